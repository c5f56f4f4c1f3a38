#include "src/methods/tempo/session.h"

#include <algorithm>

#include "src/base/text.h"
#include "src/crypto/random.h"
#include "src/methods/tempo/settlement.h"

namespace paycurl::tempo {
namespace {

constexpr std::uint64_t kOpenGasV1 = 2'000'000;  // allowance, escrow balance, five words (TIP-1000)
constexpr std::uint64_t kOpenGasV2 = 1'000'000;
constexpr std::uint64_t kTopUpGas = 600'000;
constexpr std::uint64_t kSponsoredFee = 26'000;
constexpr Millis kVoucherDoubt = 300'000;  // how long an unanswered voucher stays in doubt
constexpr Millis kOpeningMargin = 6'000;   // behind validBefore, until nobody can be wrong
constexpr int kMostSteps = 6;              // for one request, so that no server can keep us busy
constexpr std::uint64_t kUnitsOfDeposit = 100;  // when nothing is suggested
constexpr const char* kUsualDeposit = "0.10";

Amount sum(Amount a, Amount b) {
  return a.plus(b).value_or(a);
}

Amount difference(Amount a, Amount b) {
  return a.minus(b).value_or(Amount());
}

/// Streams are counted by events or by bytes where the unit says so. Of other units, tokens or
/// words, every one has at least a byte; then one voucher reaches one step at most.
bool counts_events(const std::string& unit) {
  return unit == "request" || unit == "message" || unit == "event" || unit == "chunk";
}
bool counts_bytes(const std::string& unit) {
  return unit == "byte" || unit == "bytes";
}

bool is_usable(const Channel& channel) {
  return channel.status == ChannelStatus::open || channel.status == ChannelStatus::opening;
}

/// A step that there always is.
Result<std::optional<Session::Step>> surely(Result<Session::Step> step) {
  if (!step) return step.error();
  return std::optional(*std::move(step));
}

class TempoSession : public Session {
 public:
  TempoSession(SessionTerms terms, Challenge challenge, SessionChoice choice, const Address& payer,
               const Networks& networks, Spender& spender)
      : terms_(std::move(terms)),
        challenge_(std::move(challenge)),
        choice_(std::move(choice)),
        networks_(networks),
        spender_(spender),
        channels_(spender.channels()),
        payer_(payer),
        step_(step_of(terms_, networks)) {}

  Result<bool> lacks_channel() override;
  void remembered(Json snapshot) override { terms_.snapshot = std::move(snapshot); }
  Result<Step> pay(bool again) override;
  Result<std::optional<Step>> answered(const Reply& reply) override;
  Result<std::optional<Step>> event(std::string_view name, const Json& data) override;
  void delivered(std::size_t events, std::size_t bytes) override {
    units_delivered_ += counts_events(terms_.unit) ? events : bytes;
    fresh_data_ = true;
  }
  Result<> received(const Receipt& receipt) override;
  Result<> closed(const Receipt& receipt) override;
  const std::optional<Channel>& channel() const override { return channel_; }

 private:
  enum class Action { none, open, voucher, ask, top_up };

  Result<> hold();
  /// Ends the step with `error`; the channel is the next one's.
  Error let_go(Error error) {
    lock_.release();
    return error;
  }
  Result<> reload();
  Result<> find_channel();
  Result<> resolve_opening();
  void take_over(const Snapshot& snapshot);
  Result<Node::ChannelStates> ask_chain(const Digest& id) const;
  Result<> adopt(const ChannelState& state);
  Channel new_channel(const Descriptor& descriptor) const;
  Result<Amount> opening_deposit() const;
  Result<Step> go_on();
  Result<Step> open();
  Result<Step> open_again();
  Result<> settle_filling();
  Result<> begin_filling(Amount needed);
  Result<Step> top_up(Amount needed);
  Result<Step> voucher(Amount cumulative, Action action, bool alone);
  Result<std::optional<Step>> refused(const Reply& reply);
  Result<std::optional<Step>> after_refused_opening(const Error& why);
  Result<std::optional<Step>> channel_is_gone(const Error& why);
  Result<std::optional<Step>> accept_new_challenge(const Reply& reply, const Error& why);
  Result<std::optional<Step>> stream_voucher(Amount required);
  Spend spend_of(Amount delta) const;
  Credential credential(Json payload) const {
    return {challenge_, std::move(payload), source_of(terms_.chain, spender_.payer().address),
            false};
  }
  Transaction transaction(std::vector<Call> calls, std::uint64_t gas) const;

  SessionTerms terms_;
  Challenge challenge_;
  SessionChoice choice_;
  const Networks& networks_;
  Spender& spender_;
  Channels& channels_;
  Address payer_;
  Amount step_;  // how far may be signed ahead

  ChannelLock lock_;
  std::optional<Channel> channel_;
  Descriptor descriptor_;
  Digest id_{};
  Action action_ = Action::none;  // the step whose answer is awaited
  Amount added_;                  // by a top-up that is awaited
  Error gone_{Kind::rejected, "the channel that an earlier run paid with was never opened", "",
              "not_paid"};
  bool again_ = false;      // an earlier run's payment: nothing new may be signed
  bool streaming_ = false;  // the request was answered, vouchers now follow its stream
  int steps_ = 0;
  bool asked_ = false;     // the server said what it counts as spent, once
  bool replaced_ = false;  // a channel was found gone and a new one opened, once
  Amount own_signed_;      // in this session, without what earlier vouchers covered
  std::uint64_t units_delivered_ = 0;
  bool fresh_data_ = false;  // since the last voucher of the stream
  bool signed_in_stream_ = false;
  Amount required_;  // by the stream, while a top-up comes first
};

// ---- finding the channel

Result<> TempoSession::hold() {
  if (lock_.is_held()) return {};
  auto lock = channels_.lock(scope_of(payer_, terms_), choice_.patience);
  if (!lock) return lock.error();
  lock_ = std::move(*lock);
  return {};
}

/// The row as it is now: other processes sign between our steps.
Result<> TempoSession::reload() {
  auto fresh = channels_.get(channel_->id);
  if (!fresh) return fresh.error();
  if (!*fresh) return Error{Kind::session, "the channel is gone from the journal", "", "stale"};
  channel_ = std::move(**fresh);
  return {};
}

Result<> TempoSession::find_channel() {
  channel_.reset();
  const std::string scope = scope_of(payer_, terms_);
  if (!choice_.id.empty()) {
    auto found = channels_.find(choice_.id);
    if (!found) return found.error();
    if (found->scope != scope) {
      return Error{Kind::session, "session " + found->id + " is not one that this offer takes", "",
                   "stale"};
    }
    if (!is_usable(*found)) {
      return Error{Kind::session,
                   "session " + found->id + " is " + std::string(name_of(found->status)),
                   "leave --session out, or open one with --session new", "stale"};
    }
    channel_ = std::move(*found);
  } else if (again_ && spender_.row().session) {
    auto found = channels_.get(*spender_.row().session);
    if (!found) return found.error();
    if (*found && !is_usable(**found)) {
      gone_ = {Kind::not_delivered, "an earlier run paid for this, and its session is over", "",
               "answer_lost"};
    } else {
      channel_ = std::move(*found);
    }
  } else if (!choice_.fresh) {
    auto found = channels_.current(scope);
    if (!found) return found.error();
    channel_ = std::move(*found);
  }
  if (channel_) {
    auto descriptor = Descriptor::parse(channel_->descriptor);
    if (!descriptor) return descriptor.error();
    descriptor_ = *descriptor;
    id_ = channel_id(descriptor_);
    if (channel_->status == ChannelStatus::opening) return resolve_opening();
    return {};
  }
  if (terms_.snapshot.is_null() || choice_.fresh || again_) return {};
  const auto snapshot = read_snapshot(terms_.snapshot, payer_);
  if (snapshot) take_over(*snapshot);  // a claim that does not hold is as good as none
  return {};
}

/// A channel that the server remembers and we do not: ours when the chain says so as well.
void TempoSession::take_over(const Snapshot& snapshot) {
  if (scope_of(snapshot.descriptor) != scope_of(payer_, terms_)) return;
  const Digest id = channel_id(snapshot.descriptor);
  const auto found = ask_chain(id);
  if (!found) return;
  const ChannelState& state = found->channels.front();
  if (!state.exists || state.close_requested != 0) return;
  Channel channel = new_channel(snapshot.descriptor);
  channel.status = ChannelStatus::open;
  channel.deposit = state.deposit;
  channel.signed_amount = channel.accepted = std::max(snapshot.accepted, state.settled);
  channel.spent = std::max(snapshot.spent, state.settled);
  channel.units = snapshot.units;
  channel.source = "chain";
  if (auto inserted = channels_.insert(channel); !inserted) return;  // we had closed it
  channel_ = std::move(channel);
  descriptor_ = snapshot.descriptor;
  id_ = id;
}

/// A row for a channel that this request opens or finds.
Channel TempoSession::new_channel(const Descriptor& descriptor) const {
  Channel channel = row_of(descriptor, terms_.asset);
  channel.origin = challenge_.url.origin();
  channel.url = challenge_.url.text;
  channel.account = spender_.payer().account;
  channel.opened = channel.used = networks_.now();
  return channel;
}

Result<Node::ChannelStates> TempoSession::ask_chain(const Digest& id) const {
  auto node = networks_.node(terms_.chain);
  if (!node) return node.error();
  return node->channel_states(terms_.version, terms_.escrow, {id});
}

/// The chain has what we were opening.
Result<> TempoSession::adopt(const ChannelState& state) {
  channel_->status = ChannelStatus::open;
  channel_->deposit = state.deposit;
  channel_->opening.clear();
  return channels_.save(*channel_);
}

/// A run that opened this channel died, or its answer was lost. The lock says that nobody is at it.
Result<> TempoSession::resolve_opening() {
  const auto found = ask_chain(id_);
  if (found && found->channels.front().exists) return adopt(found->channels.front());
  if (networks_.now() < channel_->opening_until) return {};  // the same opening may go again
  if (!found) return found.error();
  if (found->time * 1000 < channel_->opening_until + kOpeningMargin) {
    return Error{Kind::session, "an earlier run may still be opening the payment channel",
                 "run the command again in half a minute", "opening"};
  }
  auto forgotten = channels_.forget(*channel_);
  channel_.reset();
  return forgotten;
}

Result<bool> TempoSession::lacks_channel() {
  if (choice_.fresh || !choice_.id.empty() || !terms_.snapshot.is_null()) return false;
  if (auto held = hold(); !held) return held.error();
  auto found = channels_.current(scope_of(payer_, terms_));
  if (!found) return found.error();
  return !*found;
}

// ---- paying

Result<Session::Step> TempoSession::pay(bool again) {
  const auto before = Rebuild::parse(spender_.row());
  if (again && before && before->type == "topUp" && spender_.row().paid.amount.is_zero()) {
    return Error{Kind::rejected, "an earlier run filled the channel and paid nothing from it",
                 "nothing was paid; the command may be run again", "not_paid"};
  }
  again_ = again;
  steps_ = 0;
  if (auto held = hold(); !held) return held.error();
  if (auto found = find_channel(); !found) return found.error();
  return go_on();
}

Result<Session::Step> TempoSession::go_on() {
  if (++steps_ > kMostSteps) {
    return Error{Kind::session, "the server keeps asking for other payments", "", "refused"};
  }
  if (!channel_) {
    return again_ ? Result<Step>(let_go(gone_)) : open();
  }
  if (channel_->status == ChannelStatus::opening) return open_again();
  const Amount needed = sum(channel_->spent, terms_.amount);
  if (needed <= channel_->signed_amount || again_) {
    return voucher(channel_->signed_amount, Action::voucher, false);
  }
  // What servers call too small a step is made larger, as far as our own step lets it.
  const Amount most = sum(channel_->signed_amount, difference(step_, own_signed_));
  if (needed > most) {
    return Error{Kind::rejected, "the server counts more than it has served", "", "overcharged"};
  }
  const Amount larger = std::min(sum(channel_->accepted, terms_.least_step), most);
  const Amount cumulative = std::max(needed, larger);
  if (cumulative > channel_->deposit) {
    if (auto settled = settle_filling(); !settled) return settled.error();
  }
  if (cumulative > channel_->deposit) return top_up(cumulative);
  return voucher(cumulative, Action::voucher, false);
}

Spend TempoSession::spend_of(Amount delta) const {
  Spend spend = price_of(terms_);
  spend.total.amount = delta;
  spend.payees.front().amount = delta;
  spend.payer = spender_.payer().address;
  spend.origin = challenge_.url.origin();
  spend.attempt = spender_.row().id;
  spend.valid_until = challenge_.expires ? local_end(*challenge_.expires, challenge_.clock_offset)
                                         : networks_.now() + kVoucherDoubt;
  return spend;
}

Transaction TempoSession::transaction(std::vector<Call> calls, std::uint64_t gas) const {
  Transaction made = expiring_transaction(terms_.chain, std::move(calls), gas,
                                          networks_.server_now(challenge_), challenge_.expires);
  made.max_fee = affordable_max_fee(
      gas, terms_.sponsored ? kSponsoredFee : spender_.fee_limit({Amount(), terms_.fee_asset}));
  made.fee_token = terms_.fee_token;
  made.sponsored = terms_.sponsored;
  return made;
}

/// The user's, else what the offer suggests, else a sensible one; never above the limit.
Result<Amount> TempoSession::opening_deposit() const {
  const Amount limit = spender_.deposit_limit(terms_.asset, "");
  if (!choice_.deposit.empty()) {
    const auto own = parse_units(choice_.deposit, terms_.asset.decimals);
    if (!own || *own < terms_.amount) {
      return Error{Kind::usage, "--deposit " + printable(choice_.deposit, 40) +
                                    " is not at least " + describe({terms_.amount, terms_.asset})};
    }
    return *own;  // the limits have their say when it is signed
  }
  Amount wanted = terms_.suggested_deposit.value_or(Amount());
  if (wanted.is_zero()) {
    wanted = terms_.amount.times(kUnitsOfDeposit).value_or(terms_.amount);
    if (terms_.asset.is_dollar) {
      wanted = std::max(wanted, *parse_units(kUsualDeposit, terms_.asset.decimals));
    }
  }
  return std::max(std::min(wanted, limit), terms_.amount);
}

Result<Session::Step> TempoSession::open() {
  const auto deposit = opening_deposit();
  if (!deposit) return deposit.error();
  Descriptor d;
  d.version = terms_.version;
  d.chain = terms_.chain;
  d.escrow = terms_.escrow;
  d.payer = d.signer = payer_;
  d.payee = terms_.recipient;
  d.operator_ = terms_.operator_;
  d.token = terms_.currency;
  d.salt = random_array<32>();
  const Transaction opening =
      transaction(open_calls(d, *deposit), d.version == Version::v1 ? kOpenGasV1 : kOpenGasV2);
  const Bytes preimage = signing_preimage(opening);
  if (d.version == Version::v2) d.expiring_nonce_hash = expiring_nonce_hash(preimage, payer_);
  const Digest id = channel_id(d);
  Spend spend = spend_of(terms_.amount);
  spend.escrow = *deposit;
  spend.fee.amount = terms_.sponsored ? Amount() : most_fee(opening);
  spend.valid_until =
      local_end(static_cast<Millis>(opening.valid_before) * 1000, challenge_.clock_offset);

  Channel channel = new_channel(d);
  channel.opening = to_0x(preimage);
  channel.opening_until = spend.valid_until;
  channel.deposit = *deposit;
  channel.signed_amount = terms_.amount;
  const auto signatures =
      spender_.sign_step({spend,
                          {keccak256(preimage), voucher_digest(d, id, terms_.amount)},
                          channel.id,
                          Rebuild{"open", preimage, channel.descriptor, *deposit}.to_text(),
                          [&] { return channels_.insert(channel); }});
  if (!signatures) return signatures.error();
  own_signed_ = sum(own_signed_, terms_.amount);
  channel_ = std::move(channel);
  descriptor_ = d;
  id_ = id;
  return open_again();
}

/// The credential of the channel that is being opened; the same bytes every time.
Result<Session::Step> TempoSession::open_again() {
  const auto preimage = from_hex(channel_->opening);
  if (!preimage) return Error{Kind::internal, "the journal's channel cannot be read"};
  const auto opening = spender_.sign_covered(keccak256(*preimage));
  if (!opening) return opening.error();
  const auto first =
      spender_.sign_covered(voucher_digest(descriptor_, id_, channel_->signed_amount));
  if (!first) return first.error();
  const auto whole = complete(*preimage, payer_, *opening);
  if (!whole) return whole.error();
  Json payload = voucher_payload("open", descriptor_, id_, channel_->signed_amount, *first);
  payload.set("type", "transaction").set("transaction", to_0x(*whole));
  payload.set("authorizedSigner", descriptor_.signer.checksummed());
  if (spender_.row().seq == 0) {  // another request's run began this opening
    auto written = spender_.sign_step(
        {spend_of(Amount()),
         {keccak256(*preimage)},
         channel_->id,
         Rebuild{"open", *preimage, channel_->descriptor, channel_->deposit}.to_text(),
         [] { return Result<>(); }});
    if (!written) return written.error();
  }
  action_ = Action::open;
  return Step{credential(std::move(payload)), false};
}

/// A top-up whose answer was lost may have been mined: the chain knows. While it still can be, it
/// is the only one that may be sent.
Result<> TempoSession::settle_filling() {
  if (channel_->opening.empty()) return {};
  const auto found = ask_chain(id_);
  const bool over = networks_.now() >= channel_->opening_until;
  if (!found) return over ? Result<>(found.error()) : Result<>();
  const Amount deposit = found->channels.front().deposit;
  const bool mined = deposit > channel_->deposit;
  if (!mined && !(over && found->time * 1000 >= channel_->opening_until + kOpeningMargin)) {
    return {};
  }
  if (mined) channel_->deposit = deposit;
  channel_->opening.clear();
  return channels_.save(*channel_);
}

/// Fills the channel so that `needed` can be signed. Goes by itself; the voucher comes behind it.
Result<Session::Step> TempoSession::top_up(Amount needed) {
  if (channel_->opening.empty()) {
    if (auto begun = begin_filling(needed); !begun) return begun.error();
  }
  const std::size_t colon = std::min(channel_->opening.find(':'), channel_->opening.size() - 1);
  const auto preimage = from_hex(channel_->opening.substr(0, colon));
  const auto added = Amount::parse(channel_->opening.substr(colon + 1));
  if (!preimage || !added) return Error{Kind::internal, "the journal's channel cannot be read"};
  added_ = *added;
  const auto signature = spender_.sign_covered(keccak256(*preimage));
  if (!signature) return signature.error();
  const auto whole = complete(*preimage, payer_, *signature);
  if (!whole) return whole.error();
  Json payload = Json::object({{"action", "topUp"},
                               {"type", "transaction"},
                               {"channelId", to_0x(id_)},
                               {"transaction", to_0x(*whole)},
                               {"additionalDeposit", added_.decimal()}});
  if (descriptor_.version == Version::v2) payload.set("descriptor", descriptor_.json());
  action_ = Action::top_up;
  return Step{credential(std::move(payload)), true, true};
}

/// Decides how much is added and writes it down, with what its bytes are made from.
Result<> TempoSession::begin_filling(Amount needed) {
  const Amount shortfall = difference(needed, channel_->deposit);
  const Amount unspent = channel_->remaining();
  const Amount room = difference(spender_.deposit_limit(terms_.asset, channel_->id), unspent);
  const Amount wanted = std::max(shortfall, terms_.suggested_deposit.value_or(shortfall));
  const Amount added = std::max(std::min(wanted, room), shortfall);
  const Transaction filling = transaction(top_up_calls(descriptor_, id_, added), kTopUpGas);
  const Bytes preimage = signing_preimage(filling);
  Spend spend = spend_of(Amount());
  spend.escrow = sum(unspent, added);
  spend.fee.amount = terms_.sponsored ? Amount() : most_fee(filling);
  Channel begun = *channel_;
  begun.opening = to_0x(preimage) + ":" + added.decimal();
  begun.opening_until =
      local_end(static_cast<Millis>(filling.valid_before) * 1000, challenge_.clock_offset);
  const auto signatures =
      spender_.sign_step({spend,
                          {keccak256(preimage)},
                          channel_->id,
                          Rebuild{"topUp", preimage, channel_->descriptor, added}.to_text(),
                          [&] { return channels_.save(begun); }});
  if (!signatures) return signatures.error();
  channel_ = std::move(begun);
  return {};
}

Result<Session::Step> TempoSession::voucher(Amount cumulative, Action action, bool alone) {
  const Digest digest = voucher_digest(descriptor_, id_, cumulative);
  const Amount delta = difference(cumulative, channel_->signed_amount);
  std::optional<Signature> signature;
  if (delta.is_zero() && spender_.row().seq != 0) {
    const auto made = spender_.sign_covered(digest);
    if (!made) return made.error();
    signature = *made;
  } else {
    Channel raised = *channel_;
    const auto made = spender_.sign_step({spend_of(delta),
                                          {digest},
                                          channel_->id,
                                          Rebuild{"voucher", {}, channel_->descriptor}.to_text(),
                                          [&] {
                                            return delta.is_zero()
                                                       ? Result<>()
                                                       : channels_.raise_signed(raised, cumulative);
                                          }});
    if (!made) return made.error();
    channel_ = std::move(raised);
    own_signed_ = sum(own_signed_, delta);
    signature = made->front();
  }
  action_ = action;
  return Step{credential(voucher_payload("voucher", descriptor_, id_, cumulative, *signature)),
              alone};
}

// ---- answers

Result<> TempoSession::received(const Receipt& receipt) {
  if (!channel_) return {};
  const bool in_step = lock_.is_held();  // its answer will let go
  if (auto held = hold(); !held) return held;
  if (auto read = reload(); !read) return read;
  auto read = take_numbers(receipt, *channel_);
  if (read) read = channels_.save_lightly(*channel_);
  if (!in_step) lock_.release();
  return read;
}

Result<> TempoSession::closed(const Receipt& receipt) {
  if (!channel_) return {};
  if (auto held = hold(); !held) return held;
  auto taken = closing_numbers(receipt, *channel_);
  if (taken) {
    channel_->status = ChannelStatus::closed;
    taken = channels_.save(*channel_);
  }
  lock_.release();
  return taken;
}

Result<std::optional<Session::Step>> TempoSession::answered(const Reply& reply) {
  if (reply.status == 0) {
    lock_.release();
    return std::optional<Step>();
  }
  again_ = again_ || reply.repeated;  // what it refuses now, it may have served before
  if (reply.status >= 300 && !reply.receipt) return refused(reply);
  const Action done = std::exchange(action_, Action::none);
  const bool was_open = channel_->status == ChannelStatus::open;
  if (done == Action::open) {
    channel_->status = ChannelStatus::open;
    channel_->opening.clear();
  }
  if (done == Action::top_up) {
    channel_->deposit = sum(channel_->deposit, added_);
    channel_->opening.clear();
  }
  Result<> read;
  if (reply.receipt) read = take_numbers(*reply.receipt, *channel_);
  const Amount spent = sum(channel_->spent, terms_.amount);
  const bool counts = !reply.receipt && done == Action::voucher && !streaming_;
  if (counts && spent <= channel_->signed_amount) {  // without a receipt a request is one unit
    channel_->spent = spent;
    channel_->accepted = std::max(channel_->accepted, spent);
  }
  const bool light = was_open && done != Action::top_up;
  auto saved = light ? channels_.save_lightly(*channel_) : channels_.save(*channel_);
  if (!saved) return saved.error();
  if (done == Action::top_up && streaming_) return stream_voucher(required_);
  asked_ = asked_ || done == Action::ask;
  if (done == Action::top_up || done == Action::ask) {
    return surely(go_on());
  }
  streaming_ = true;
  lock_.release();
  if (!read) return read.error();
  return std::optional<Step>();
}

Result<std::optional<Session::Step>> TempoSession::refused(const Reply& reply) {
  const std::string type = reply.problem ? reply.problem->type : "";
  const std::string said =
      reply.problem ? ": " + reply.problem->text() : " with status " + std::to_string(reply.status);
  const Error why{Kind::rejected, "the server refused the payment" + said, "", "rejected"};
  const Error unknown{Kind::outcome_unknown, why.message, "", "refused"};
  if (reply.status >= 500 && action_ != Action::open) {
    return let_go(unknown);
  }
  if (++steps_ > kMostSteps) {
    return let_go(why);
  }
  const bool renewable = type == "invalid-challenge" || type == "payment-expired" ||
                         type == "payment-required" || type == "session/challenge-not-found";
  if (renewable) return accept_new_challenge(reply, why);
  if (type == "session/channel-not-found" || type == "session/channel-finalized" ||
      reply.status == 410) {
    return channel_is_gone(why);
  }
  if (action_ == Action::open) {
    return after_refused_opening(reply.status >= 500 ? unknown : why);
  }
  const bool may_ask = action_ == Action::voucher && !again_ && !streaming_ && !asked_;
  if (type == "session/insufficient-balance" && may_ask) {
    // It counts more as spent than we know of. Its word is asked for, not guessed, and taken once.
    return surely(voucher(channel_->signed_amount, Action::ask, true));
  }
  lock_.release();
  if (type == "session/insufficient-balance" && again_) {
    return Error{Kind::not_delivered, "an earlier run paid for this, and its answer was lost", "",
                 "answer_lost"};
  }
  return why;
}

/// The same payment for a fresh challenge, which must ask for the same.
Result<std::optional<Session::Step>> TempoSession::accept_new_challenge(const Reply& reply,
                                                                        const Error& why) {
  for (const Challenge& challenge : reply.challenges) {
    auto terms = read_session(challenge, networks_);
    if (!terms || scope_of(payer_, *terms) != scope_of(payer_, terms_)) continue;
    if (terms->amount > terms_.amount) {
      return let_go({Kind::declined,
                     "the price rose from " + describe({terms_.amount, terms_.asset}) + " to " +
                         describe({terms->amount, terms->asset}),
                     "run the command again to be asked for the new one", "price_changed"});
    }
    if (terms->unit != terms_.unit) {
      return let_go({Kind::declined, "the price is now for another unit",
                     "run the command again to be asked for the new one", "price_changed"});
    }
    terms_ = std::move(*terms);
    challenge_ = challenge;
    if (action_ == Action::open) {
      return surely(open_again());
    }
    if (streaming_) return stream_voucher(required_);
    return surely(go_on());
  }
  return let_go(why);
}

/// An opening was refused. The transaction may have been mined all the same.
Result<std::optional<Session::Step>> TempoSession::after_refused_opening(const Error& why) {
  const auto found = ask_chain(id_);
  if (!found || !found->channels.front().exists) return let_go(why);
  if (auto adopted = adopt(found->channels.front()); !adopted) return adopted.error();
  return surely(go_on());
}

/// The payee does not know the channel, or it is closed. A new one is opened, once.
Result<std::optional<Session::Step>> TempoSession::channel_is_gone(const Error& why) {
  if (streaming_ || replaced_ || channel_->status == ChannelStatus::opening) return let_go(why);
  replaced_ = true;
  const auto found = ask_chain(id_);
  const bool is_closed = found && !found->channels.front().exists;
  channel_->status = is_closed ? ChannelStatus::closed : ChannelStatus::lost;
  if (auto saved = channels_.save(*channel_); !saved) return saved.error();
  if (again_) {
    return let_go({Kind::not_delivered, "an earlier run paid for this, and its channel is gone", "",
                   "answer_lost"});
  }
  channel_.reset();
  return surely(go_on());
}

// ---- streams

Result<std::optional<Session::Step>> TempoSession::event(std::string_view name, const Json& data) {
  if (name != "payment-need-voucher") return std::optional<Step>();
  const auto channel = data.string_at("channelId");
  const auto text = data.string_at("requiredCumulative");
  const auto required = text ? Amount::parse(*text) : std::nullopt;
  if (!channel || !required || !channel_ || lower(*channel) != channel_->id) {
    return Error{Kind::protocol, "the server asks for a voucher of another channel", "",
                 "malformed"};
  }
  if (auto held = hold(); !held) return held.error();
  if (auto read = reload(); !read) return read.error();
  steps_ = 0;
  return stream_voucher(*required);
}

/// Signs ahead of the stream by one step, and never more than a step ahead of what has come.
Result<std::optional<Session::Step>> TempoSession::stream_voucher(Amount required) {
  required_ = required;
  const auto stop = [&](std::string text) {
    return let_go({Kind::protocol, std::move(text),
                   "stopped paying; -M step=AMOUNT lets vouchers run further ahead",
                   "overcharged"});
  };
  if (required <= channel_->signed_amount) {  // another process, or a voucher that was lost
    return surely(voucher(channel_->signed_amount, Action::voucher, true));
  }
  if (choice_.nothing_new) {
    return let_go({Kind::declined, "the rest of the stream costs more",
                   "run the command again to pay for it", "resume"});
  }
  if (signed_in_stream_ && !fresh_data_) {
    return stop("the server asks for another voucher before it has sent anything for the last");
  }
  const Amount value = terms_.amount.times(units_delivered_).value_or(Amount());
  Amount ahead = difference(sum(value, step_), own_signed_);
  if (!counts_events(terms_.unit) && !counts_bytes(terms_.unit)) ahead = std::min(ahead, step_);
  const Amount most = sum(channel_->signed_amount, ahead);
  if (required > most) {
    return stop("the server asks for more than it has delivered (" +
                describe({difference(required, channel_->signed_amount), terms_.asset}) + ")");
  }
  Amount target = std::min(most, sum(difference(required, terms_.amount), step_));
  target = std::max(target, required);
  if (target > channel_->deposit) target = std::max(required, channel_->deposit);
  if (target > channel_->deposit) {
    if (auto settled = settle_filling(); !settled) return settled.error();
  }
  if (target > channel_->deposit) return surely(top_up(target));
  auto next = voucher(target, Action::voucher, true);
  // Near a limit the step shrinks to what is asked for.
  if (!next && next.error().kind == Kind::declined && target > required) {
    next = voucher(required, Action::voucher, true);
  }
  if (!next) {
    return let_go(next.error());
  }
  fresh_data_ = false;
  signed_in_stream_ = true;
  return std::optional(std::move(*next));
}

}  // namespace

Result<std::unique_ptr<Session>> make_session(SessionTerms terms, Challenge challenge,
                                              const SessionChoice& choice, const Networks& networks,
                                              Spender& spender) {
  const auto payer = Address::parse(spender.payer().address);
  if (!payer) return payer.error();
  return std::unique_ptr<Session>(std::make_unique<TempoSession>(
      std::move(terms), std::move(challenge), choice, *payer, networks, spender));
}

}  // namespace paycurl::tempo
