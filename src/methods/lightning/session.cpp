#include "src/methods/lightning/session.h"

#include <algorithm>

#include "src/base/text.h"

namespace paycurl::lightning {
namespace {

constexpr std::chrono::seconds kLeastReturnLife{30 * 86'400};
constexpr Millis kShortestReturnLife = 86'400'000;  // of an invoice that a wallet made
constexpr int kMostSteps = 8;                       // for one request, or one pause of a stream

/// A whole number that may be written as a string, in satoshi; as millisatoshi.
std::optional<Amount> sats_of(const Json* value) {
  if (value == nullptr) return std::nullopt;
  const auto number = value->integer();
  const std::optional<Amount> sats =
      number && *number >= 0       ? std::optional(Amount(static_cast<std::uint64_t>(*number)))
      : value->string() != nullptr ? Amount::parse(*value->string())
                                   : std::nullopt;
  return sats ? sats->times(1000) : std::nullopt;
}

/// The server's words about what was spent, believed up to the deposit and what is being added.
Result<> take_spent(const Json& told, Amount coming, Channel& channel) {
  const Json* spent = told.find("spent");
  if (spent == nullptr) return {};
  const auto amount = sats_of(spent);
  if (!amount || *amount > channel.deposit.plus(coming).value_or(channel.deposit)) {
    return Error{Kind::protocol, "the receipt's numbers are not those of our session"};
  }
  channel.spent = std::max(channel.spent, *amount);
  const Json* units = told.find("units");
  const auto count = units == nullptr ? std::nullopt : units->integer();
  if (count && *count >= 0) channel.units = std::max(channel.units, *count);
  return {};
}

/// The last part of a problem's type: "insufficient-balance".
std::string word_of(const std::optional<Problem>& problem) {
  if (!problem) return "";
  return problem->type.substr(problem->type.rfind('/') + 1);
}

class LightningSession : public Session {
 public:
  LightningSession(SessionTerms terms, Challenge challenge, SessionChoice choice,
                   PayingWallet& wallet, Spender& spender)
      : terms_(std::move(terms)),
        challenge_(std::move(challenge)),
        choice_(std::move(choice)),
        wallet_(wallet),
        spender_(spender),
        channels_(spender.channels()) {}

  Result<bool> lacks_channel() override { return false; }  // servers remember none
  bool reuses_challenges() const override { return false; }
  bool is_about_payment(std::string_view event) const override {
    return event == "payment-need-topup" || event == "session-timeout" ||
           event == "payment-receipt";
  }
  void remembered(Json /*snapshot*/) override {}
  Result<Step> pay(bool again) override;
  Result<std::optional<Step>> answered(const Reply& reply) override;
  Result<std::optional<Step>> event(std::string_view name, const Json& data) override;
  void delivered(std::size_t /*events*/, std::size_t /*bytes*/) override { fresh_data_ = true; }
  Result<> received(const Receipt& receipt) override;
  Result<> closed(const Receipt& /*receipt*/) override { return {}; }
  const std::optional<Channel>& channel() const override { return channel_; }

 private:
  enum class Action { none, open, bearer, ask, top_up };

  Result<> hold();
  Result<> find_channel();
  Result<Step> begin();
  Result<bool> keeps_proof();
  Channel new_channel(const Invoice& deposit, const Spend& spend) const;
  Result<Step> open();
  Error not_opened(const Error& why, const Money& deposit);
  Step open_step(const Agreement& agreement);
  Result<Step> finish_deposit();
  Result<> note_use();
  Result<Step> use();
  Step ask();
  Result<Step> top_up();
  Step top_up_step(const std::string& preimage);
  bool can_keep_proofs();
  Result<Agreement> make_agreement(const Invoice& deposit);
  Result<Spend> spend_of(const Invoice& deposit);
  Result<std::string> proof_of_channel();
  Credential credential(Json payload, std::string proof) const;

  Result<std::optional<Step>> accepted(const Reply& reply);
  Result<std::optional<Step>> refused(const Reply& reply);
  Result<std::optional<Step>> take_challenge(const Reply& reply);
  Result<std::optional<Step>> begin_anew(const Reply& reply);
  Result<std::optional<Step>> over(const Reply& reply, const Error& why);
  bool was_closed();
  /// Ends the step with `error`; behind a deposit it must not sound as if none had been made.
  Error let_go(Error error) {
    lock_.release();
    const bool harmless = error.kind == Kind::rejected || error.kind == Kind::protocol ||
                          error.kind == Kind::declined || error.kind == Kind::session;
    if (deposited_ && harmless) {
      error.kind = Kind::not_delivered;
      error.message = "a deposit was paid, but " + error.message;
    }
    return error;
  }

  SessionTerms terms_;
  Challenge challenge_;
  SessionChoice choice_;
  PayingWallet& wallet_;
  Spender& spender_;
  Channels& channels_;
  ChannelLock lock_;
  std::optional<Channel> channel_;
  std::string preimage_;  // of the first deposit, in hex
  Action action_ = Action::none;
  Amount added_;             // by the top-up that is on its way
  bool again_ = false;       // an earlier run's payment: no other deposit may be made
  bool wants_more_ = false;  // the next challenge is for a top-up
  bool topped_up_ = false, replaced_ = false;
  bool finishing_ = false;  // a deposit whose proof an earlier run may have sent
  bool streaming_ = false;
  bool fresh_data_ = true;  // since the last top-up
  bool deposited_ = false;  // in this run
  int steps_ = 0;
};

Result<> LightningSession::hold() {
  if (lock_.is_held()) return {};
  auto locked = channels_.lock(scope_of(spender_.payer().address, challenge_), choice_.patience);
  if (!locked) return locked.error();
  lock_ = std::move(*locked);
  if (!channel_) return {};
  auto fresh = channels_.get(channel_->id);
  if (!fresh) return fresh.error();
  if (*fresh) channel_ = std::move(*fresh);
  return {};
}

Result<> LightningSession::find_channel() {
  const std::string scope = scope_of(spender_.payer().address, challenge_);
  if (!choice_.id.empty()) {
    auto named = channels_.find(choice_.id);
    if (!named) return named.error();
    const bool usable =
        named->status == ChannelStatus::open || named->status == ChannelStatus::opening;
    if (named->scope != scope || !usable) {
      return Error{Kind::session, "session " + named->id + " is not one that this offer takes", "",
                   "stale"};
    }
    channel_ = std::move(*named);
    return {};
  }
  if (choice_.fresh && !again_) return {};
  const auto of_row = again_ ? spender_.row().session : std::nullopt;
  auto found = of_row ? channels_.get(*of_row) : channels_.current(scope);
  if (!found) return found.error();
  channel_ = std::move(*found);
  return {};
}

Result<Session::Step> LightningSession::pay(bool again) {
  again_ = again;
  if (auto held = hold(); !held) return held.error();
  if (auto found = find_channel(); !found) return let_go(found.error());
  auto step = begin();
  if (!step) lock_.release();
  return step;
}

Result<Session::Step> LightningSession::begin() {
  if (!channel_) {
    if (!again_) return open();
    return Error{Kind::rejected, "the deposit that an earlier run began was never paid", "",
                 "not_paid"};
  }
  if (channel_->status != ChannelStatus::open && channel_->status != ChannelStatus::opening) {
    return Error{Kind::not_delivered, "an earlier run paid for this, and its session is over", "",
                 "answer_lost"};
  }
  return channel_->opening.empty() ? use() : finish_deposit();
}

Credential LightningSession::credential(Json payload, std::string proof) const {
  return {challenge_, std::move(payload), "", true, std::move(proof)};
}

/// The wallet's word for the money that is still to come back.
Result<Agreement> LightningSession::make_agreement(const Invoice& deposit) {
  const auto node = wallet_.node(spender_);
  if (!node) return node.error();
  const auto life = std::max(kLeastReturnLife, terms_.idle * 2);
  auto text = (*node)->make_invoice("what is left of a session", life);
  if (!text) return text.error();
  const Error wrong{Kind::backend, "the wallet made no invoice that the rest can come back to", "",
                    "no_invoices"};
  const auto invoice = read_invoice(*text);
  if (!invoice) return Error(wrong).within(invoice.error().message);
  const bool good = !invoice->amount && invoice->network == deposit.network &&
                    invoice->expires > wallet_.now() + std::max<Millis>(kShortestReturnLife,
                                                                        terms_.idle.count() * 1000);
  if (!good) return wrong;
  return Agreement{invoice->text, invoice->payment_hash, spender_.row().http_method};
}

Result<Spend> LightningSession::spend_of(const Invoice& deposit) {
  const auto fee = wallet_.fee_of(spender_, deposit);
  if (!fee) return fee.error();
  Spend spend;
  spend.why = Purpose::session;
  spend.total = {*deposit.amount, satoshi(deposit.network)};
  spend.price = terms_.price;
  spend.fee = {*fee, spend.total.asset};
  spend.payees = {{to_hex(deposit.payee), spend.total.amount}};
  spend.payer = spender_.payer().address;
  spend.origin = challenge_.url.origin();
  spend.attempt = spender_.row().id;
  spend.valid_until = local_end(terms_.until, challenge_.clock_offset);
  if (!choice_.deposit.empty()) {
    const auto most = parse_units(choice_.deposit, spend.total.asset.decimals);
    if (!most || spend.total.amount > *most) {
      return Error{
          Kind::declined,
          "the server wants a deposit of " + describe(spend.total) + ", more than --deposit says",
          "of Lightning the server names the deposit", "max_deposit"};
    }
  }
  return spend;
}

/// Whether the preimage has to be kept, as the wallet will not find it again.
Result<bool> LightningSession::keeps_proof() {
  const auto told = wallet_.info(spender_);
  if (!told) return told.error();
  const bool keeps = !(*told)->can_look_up;
  if ((*told)->can_invoice && (!keeps || can_keep_proofs())) return keeps;
  return Error{Kind::unsupported, "this wallet pays charges only, no sessions",
               "leave sessions out: --no-session", "no_invoices"};
}

Channel LightningSession::new_channel(const Invoice& deposit, const Spend& spend) const {
  Channel channel;
  channel.id = to_hex(deposit.payment_hash);
  channel.scope = scope_of(spender_.payer().address, challenge_);
  channel.method = "lightning";
  channel.origin = challenge_.url.origin();
  channel.url = challenge_.url.text;
  channel.payer = spender_.payer().address;
  channel.payee = to_hex(deposit.payee);
  channel.account = spender_.payer().account;
  channel.opening_until = spend.valid_until;
  channel.asset = spend.total.asset;
  channel.deposit = channel.signed_amount = channel.accepted = spend.total.amount;
  channel.opened = channel.used = wallet_.now();
  return channel;
}

/// The invoice for what comes back is made before anything is paid: a server keeps a deposit whose
/// return invoice it does not like.
Result<Session::Step> LightningSession::open() {
  if (choice_.nothing_new) {
    return Error{Kind::rejected, "nothing new is paid for", "", "not_paid"};
  }
  if (!terms_.deposit) return Error{Kind::protocol, "the offer has no deposit invoice"};
  const Invoice& deposit = *terms_.deposit;
  if (auto right = wallet_.check_network(spender_, deposit.network); !right) return right.error();
  const auto keeps = keeps_proof();
  if (!keeps) return keeps.error();
  const auto spend = spend_of(deposit);
  if (!spend) return spend.error();
  if (auto allowed = spender_.would_allow(*spend); !allowed) return allowed.error();
  const auto agreement = make_agreement(deposit);
  if (!agreement) return agreement.error();
  const Commitment pending{deposit.text, spend->fee.amount, challenge_.echo, false};
  Channel channel = new_channel(deposit, *spend);
  channel.descriptor = agreement->to_text();
  channel.opening = pending.to_text();
  const auto committed = spender_.sign_step(
      {*spend, {}, channel.id, pending.to_text(), [&] { return channels_.insert(channel); }});
  if (!committed) return committed.error();
  channel_ = std::move(channel);
  auto preimage = wallet_.pay(spender_, deposit, spend->fee.amount, spend->valid_until);
  deposited_ = deposited_ || preimage;
  if (!preimage) return not_opened(preimage.error(), spend->total);
  if (*keeps) {
    if (auto kept = wallet_.options().proofs->keep(channel_->id, *preimage); !kept) {
      return Error{Kind::outcome_unknown, "the deposit is paid: " + kept.error().message};
    }
  }
  preimage_ = std::move(*preimage);
  return open_step(*agreement);
}

/// The deposit was not paid, as far as the wallet says.
Error LightningSession::not_opened(const Error& why, const Money& deposit) {
  if (why.kind == Kind::outcome_unknown) return why;
  if (auto off = spender_.call_off(deposit); !off) return off.error();
  if (auto forgotten = channels_.forget(*channel_); !forgotten) return forgotten.error();
  channel_.reset();
  return why;
}

Session::Step LightningSession::open_step(const Agreement& agreement) {
  action_ = Action::open;
  return {credential(Json::object({{"action", "open"},
                                   {"preimage", preimage_},
                                   {"returnInvoice", agreement.return_invoice}}),
                     preimage_)};
}

/// Asked before anything is paid: without the preimage a session is lost.
bool LightningSession::can_keep_proofs() {
  const auto& proofs = wallet_.options().proofs;
  const std::string id = to_hex(terms_.deposit->payment_hash);
  return proofs && proofs->keep(id, "not paid yet");
}

/// A run that was paying a deposit died, or its proof was not answered.
Result<Session::Step> LightningSession::finish_deposit() {
  const auto pending = Commitment::parse(channel_->opening);
  if (!pending) return pending.error();
  if (pending->challenge.is_null()) {
    return Error{Kind::internal, "the journal does not say which offer a deposit was for"};
  }
  const auto invoice = read_invoice(pending->invoice);
  if (!invoice) return invoice.error();
  auto preimage = pending->top_up
                      ? wallet_.find(spender_, invoice->payment_hash, wallet_.patience())
                      : wallet_.session_proof(spender_, channel_->id);
  const bool untried = !preimage && preimage.error().reason == "not_paid";
  const bool may_pay = again_ && !choice_.nothing_new;
  if (untried && may_pay && wallet_.now() < channel_->opening_until) {
    preimage = wallet_.pay(spender_, *invoice, pending->most_fee,
                           channel_->opening_until);  // that same invoice, once
  }
  if (!preimage && preimage.error().kind == Kind::outcome_unknown) return preimage.error();
  if (!preimage) {
    if (untried && wallet_.now() < channel_->opening_until && !may_pay) {
      if (again_) return Error{Kind::outcome_unknown, "the deposit is not paid so far"};
      return Error{Kind::session, "an earlier run was paying a deposit here and has not finished",
                   "finish it first: paycurl payments resume", "busy"};
    }
    channel_->opening.clear();
    if (!pending->top_up) {
      if (auto forgotten = channels_.forget(*channel_); !forgotten) return forgotten.error();
      channel_.reset();
      return begin();
    }
    if (auto saved = channels_.save(*channel_); !saved) return saved.error();
    return use();
  }
  challenge_.echo = pending->challenge;
  finishing_ = true;
  if (!again_) {
    if (auto noted = note_use(); !noted) return noted.error();
  }
  if (pending->top_up) {
    added_ = *invoice->amount;
    return top_up_step(*preimage);
  }
  const auto agreement = Agreement::parse(channel_->descriptor);
  if (!agreement) return agreement.error();
  preimage_ = std::move(*preimage);
  return open_step(*agreement);
}

Result<std::string> LightningSession::proof_of_channel() {
  if (!preimage_.empty()) return preimage_;
  auto found = wallet_.session_proof(spender_, channel_->id);
  if (!found && found.error().kind == Kind::outcome_unknown) {
    return Error{Kind::backend, found.error().message, "run the command again", "away"};
  }
  if (!found) {
    return Error{Kind::session,
                 "the wallet does not find the deposit of this session: " + found.error().message,
                 "open another with --session new", "stale"};
  }
  preimage_ = *found;
  return preimage_;
}

/// A row of nothing, so that a lost answer is remembered: the deposit was counted when it left.
Result<> LightningSession::note_use() {
  if (!spender_.row().session || *spender_.row().session != channel_->id) {
    Spend spend;
    spend.why = Purpose::session;
    spend.total = spend.fee = {Amount(), channel_->asset};
    spend.price = terms_.price;
    spend.payees = {{channel_->payee, Amount()}};
    spend.payer = spender_.payer().address;
    spend.origin = challenge_.url.origin();
    spend.attempt = spender_.row().id;
    spend.valid_until = local_end(terms_.until, challenge_.clock_offset);
    channel_->used = wallet_.now();
    const auto committed = spender_.sign_step(
        {spend, {}, channel_->id, "{}", [&] { return channels_.save(*channel_); }});
    if (!committed) return committed.error();
  }
  return {};
}

/// The request on the balance that there is.
Result<Session::Step> LightningSession::use() {
  const auto proof = proof_of_channel();
  if (!proof) return proof.error();
  if (auto noted = note_use(); !noted) return noted.error();
  action_ = Action::bearer;
  return Step{credential(
      Json::object({{"action", "bearer"}, {"sessionId", channel_->id}, {"preimage", *proof}}),
      *proof)};
}

/// The same request without a credential: what comes back is a challenge that nobody has used.
Session::Step LightningSession::ask() {
  action_ = Action::ask;
  return {credential(Json(), ""), true, false, true, true};
}

Result<Session::Step> LightningSession::top_up() {
  if (!terms_.deposit) return Error{Kind::protocol, "the offer has no invoice to top up with"};
  if (choice_.nothing_new) {
    return Error{Kind::declined, "the rest costs more", "run the command again to pay for it",
                 "resume"};
  }
  const Invoice& deposit = *terms_.deposit;
  if (auto right = wallet_.check_network(spender_, deposit.network); !right) return right.error();
  const auto spend = spend_of(deposit);
  if (!spend) return spend.error();
  const Commitment pending{deposit.text, spend->fee.amount, challenge_.echo, true};
  Channel begun = *channel_;
  begun.opening = pending.to_text();
  begun.opening_until = spend->valid_until;
  begun.used = wallet_.now();
  const auto committed = spender_.sign_step(
      {*spend, {}, begun.id, pending.to_text(), [&] { return channels_.save(begun); }});
  if (!committed) return committed.error();
  channel_ = std::move(begun);
  if (streaming_) fresh_data_ = false;  // what came since the stream paused was owed anyway
  const auto preimage = wallet_.pay(spender_, deposit, spend->fee.amount, spend->valid_until);
  deposited_ = deposited_ || preimage;
  if (!preimage && preimage.error().kind != Kind::outcome_unknown) {
    channel_->opening.clear();
    if (auto off = spender_.call_off(spend->total); !off) return off.error();
    if (auto saved = channels_.save(*channel_); !saved) return saved.error();
  }
  if (!preimage) return preimage.error();
  added_ = spend->total.amount;
  return top_up_step(*preimage);
}

Session::Step LightningSession::top_up_step(const std::string& preimage) {
  action_ = Action::top_up;
  return {credential(
              Json::object(
                  {{"action", "topUp"}, {"sessionId", channel_->id}, {"topUpPreimage", preimage}}),
              preimage),
          true, true, false, true};
}

// ---- answers

Result<std::optional<Session::Step>> LightningSession::answered(const Reply& reply) {
  if (reply.status == 0) {
    lock_.release();
    return std::optional<Step>();
  }
  if (action_ == Action::ask) return take_challenge(reply);
  if (reply.status < 300 || reply.receipt) return accepted(reply);
  if (++steps_ > kMostSteps) {
    return let_go({Kind::session, "the server keeps asking for other payments", "", "refused"});
  }
  return refused(reply);
}

Result<std::optional<Session::Step>> LightningSession::accepted(const Reply& reply) {
  const Action done = std::exchange(action_, Action::none);
  finishing_ = false;
  channel_->status = ChannelStatus::open;
  channel_->used = wallet_.now();
  // A request that was served on the balance says that what was under way has arrived.
  const auto pending = Commitment::parse(channel_->opening);
  const bool was_filled =
      done == Action::top_up || (done == Action::bearer && pending && pending->top_up);
  channel_->opening.clear();
  if (was_filled) {
    channel_->deposit = channel_->deposit.plus(added_).value_or(channel_->deposit);
    channel_->accepted = channel_->deposit;
    auto raised = channels_.raise_signed(*channel_, channel_->deposit);
    if (!raised) return let_go(raised.error());
  }
  const auto numbers =
      reply.receipt ? take_spent(reply.receipt->json, Amount(), *channel_) : Result<>();
  if (auto saved = channels_.save(*channel_); !saved) return let_go(saved.error());
  if (!numbers) return let_go(numbers.error());
  if (done == Action::top_up && !streaming_) return std::optional(ask());
  streaming_ = true;
  lock_.release();
  return std::optional<Step>();
}

/// The answer to a request without a credential.
Result<std::optional<Session::Step>> LightningSession::take_challenge(const Reply& reply) {
  for (const Challenge& challenge : reply.challenges) {
    auto terms = read_session(challenge);
    if (!terms || challenge.realm != challenge_.realm) continue;
    if (terms->price > terms_.price) {
      return let_go({Kind::declined, "the price rose while the session was used",
                     "run the command again to be asked for the new one", "price_changed"});
    }
    terms_ = std::move(*terms);
    challenge_ = challenge;
    auto next = std::exchange(wants_more_, false) ? top_up() : use();
    if (!next) return let_go(next.error());
    return std::optional(std::move(*next));
  }
  return let_go(
      {Kind::protocol, "the server makes no offer for this session any more", "", "no_offer"});
}

Result<std::optional<Session::Step>> LightningSession::refused(const Reply& reply) {
  const std::string said =
      reply.problem ? ": " + reply.problem->text() : " with status " + std::to_string(reply.status);
  const std::string word = word_of(reply.problem);
  const Error why{Kind::rejected, "the server refused the payment" + said, "", "rejected"};
  if (reply.status >= 500) {
    return let_go({Kind::outcome_unknown, why.message, "", "refused"});
  }
  if (action_ == Action::top_up) {
    // A proof that went twice was taken the first time; one of an earlier run perhaps.
    if (reply.repeated) return accepted(reply);
    if (std::exchange(finishing_, false)) return std::optional(ask());
    return let_go({Kind::not_delivered, "a deposit was paid, and the server did not take it" + said,
                   "", "refused"});
  }
  if (action_ == Action::open && reply.repeated) {
    channel_->status = ChannelStatus::open;
    channel_->opening.clear();
    if (auto saved = channels_.save(*channel_); !saved) return let_go(saved.error());
    return std::optional(ask());
  }
  // An earlier run may have opened it, and not have seen the answer: then it can be used.
  if (action_ == Action::open && std::exchange(finishing_, false)) return std::optional(ask());
  if (!channel_->opening.empty()) {
    return let_go({Kind::not_delivered,
                   "a deposit was paid, and the server does not take it" + said,
                   "try again later: paycurl payments show last", "refused"});
  }
  const Amount left = channel_->remaining();
  const bool empty =
      word == "insufficient-balance" || (word != "session-closed" && word != "session-not-found" &&
                                         !reply.repeated && left < terms_.price);
  if (empty && !topped_up_ && !again_) {
    topped_up_ = wants_more_ = true;
    return begin_anew(reply);
  }
  if (word == "challenge-expired" || word == "unknown-challenge" || word == "payment-expired") {
    return begin_anew(reply);
  }
  return over(reply, why);
}

/// With the challenge that the refusal brought, or with one that is asked for.
Result<std::optional<Session::Step>> LightningSession::begin_anew(const Reply& reply) {
  action_ = Action::ask;
  if (reply.challenges.empty()) return std::optional(ask());
  return take_challenge(reply);
}

/// Whether the wallet has got the rest back, which only a close does.
bool LightningSession::was_closed() {
  const auto agreement = Agreement::parse(channel_->descriptor);
  const auto node = wallet_.node(spender_);
  if (!agreement || !node) return false;
  const auto found = (*node)->received(agreement->return_hash);
  if (!found || !*found || !(*found)->settled) return false;
  channel_->spent = channel_->deposit.minus((*found)->amount).value_or(channel_->spent);
  return true;
}

/// The server does not know the session, or has closed it. Another is opened, once.
Result<std::optional<Session::Step>> LightningSession::over(const Reply& reply, const Error& why) {
  const std::string word = word_of(reply.problem);
  const Money left{channel_->remaining(), channel_->asset};
  const bool came_back = was_closed();
  if (!came_back && word != "session-closed" && word != "session-not-found") return let_go(why);
  const bool nothing_left = left.amount < terms_.price;
  const bool is_closed = came_back || (word == "session-closed" && nothing_left);
  channel_->status = is_closed ? ChannelStatus::closed : ChannelStatus::lost;
  if (auto saved = channels_.save(*channel_); !saved) return let_go(saved.error());
  if (again_) {
    return let_go({Kind::not_delivered, "an earlier run paid for this, and its session is over", "",
                   "answer_lost"});
  }
  if (!came_back && !nothing_left) {  // no second deposit for one that is gone
    return let_go({Kind::session,
                   "the server has closed the session, and the wallet has not got back up to " +
                       describe(left),
                   "look again: paycurl sessions sync; the command opens another session",
                   "refund_missing"});
  }
  if (choice_.asks_first) {
    return let_go({Kind::session, "the session is over",
                   "run the command again to be asked for a new deposit", "stale"});
  }
  if (replaced_ || streaming_) return let_go(why);
  replaced_ = true;
  preimage_.clear();
  for (const Challenge& challenge : reply.challenges) {
    auto terms = read_session(challenge);
    if (!terms || challenge.realm != challenge_.realm || terms->price > terms_.price) continue;
    terms_ = std::move(*terms);
    challenge_ = challenge;
    channel_.reset();
    auto opened = open();
    if (!opened) return let_go(opened.error());
    return std::optional(std::move(*opened));
  }
  return let_go(why);
}

// ---- streams

Result<std::optional<Session::Step>> LightningSession::event(std::string_view name,
                                                             const Json& data) {
  const auto id = data.string_at("sessionId");
  if (!id || lower(*id) != channel_->id) {
    return Error{Kind::protocol, "the server speaks of another session"};
  }
  if (name == "session-timeout") {
    return Error{Kind::session, "the server ended the stream, as its balance was not topped up", "",
                 "session_timeout"};
  }
  // Where everything was spent, nothing is left to deposit on top of.
  if (auto held = hold(); !held) return held.error();
  if (!channel_->opening.empty()) {
    return let_go({Kind::session, "another run was paying a deposit here and has not finished",
                   "finish it first: paycurl payments resume", "busy"});
  }
  channel_->spent = std::max(
      channel_->spent,
      std::min(sats_of(data.find("balanceSpent")).value_or(channel_->spent), channel_->deposit));
  if (!fresh_data_) {
    return let_go({Kind::protocol,
                   "the server asks for another deposit before it has sent anything for the last",
                   "stopped paying", "overcharged"});
  }
  wants_more_ = true;
  steps_ = 0;
  return std::optional(ask());
}

Result<> LightningSession::received(const Receipt& receipt) {
  if (lower(receipt.reference) != channel_->id) {
    return Error{Kind::protocol, "the receipt is not of our session"};
  }
  const bool in_step = lock_.is_held();  // its answer will let go
  if (auto held = hold(); !held) return held;
  // The top-up may be spent before its own answer is here.
  const Amount coming = action_ == Action::top_up ? added_ : Amount();
  auto taken = take_spent(receipt.json, coming, *channel_);
  if (taken) taken = channels_.save_lightly(*channel_);
  if (!in_step) lock_.release();
  return taken;
}

}  // namespace

std::string scope_of(const std::string& payer, const Challenge& challenge) {
  return "lightning " + payer + " " + challenge.url.origin() + " " + challenge.realm;
}

std::optional<Digest> pending_hash(const std::string& opening) {
  const auto pending = Commitment::parse(opening);
  const auto invoice = pending ? read_invoice(pending->invoice) : Result<Invoice>(pending.error());
  return invoice ? std::optional(invoice->payment_hash) : std::nullopt;
}

Result<Quote> session_quote(const Challenge& challenge) {
  const auto terms = read_session(challenge);
  if (!terms) return terms.error();
  const std::string network = terms->deposit ? terms->deposit->network : "mainnet";
  Quote quote;
  quote.spend.why = Purpose::session;
  quote.spend.total = {terms->price, satoshi(network)};
  quote.spend.fee = {Amount(), quote.spend.total.asset};
  quote.unit = terms->unit;
  if (terms->deposit) {
    quote.spend.payees = {{to_hex(terms->deposit->payee), terms->price}};
    quote.suggested_deposit = Money{*terms->deposit->amount, quote.spend.total.asset};
  } else {
    quote.spend.payees = {{challenge.realm, terms->price}};
  }
  return quote;
}

Result<std::unique_ptr<Session>> make_session(const Challenge& challenge,
                                              const SessionChoice& choice, PayingWallet& wallet,
                                              Spender& spender) {
  auto terms = read_session(challenge);
  if (!terms) return terms.error();
  if (challenge.url.websocket) {
    return Error{Kind::unsupported, "a Lightning session does not pay for a WebSocket", "",
                 "unknown_intent"};
  }
  return std::unique_ptr<Session>(
      std::make_unique<LightningSession>(std::move(*terms), challenge, choice, wallet, spender));
}

}  // namespace paycurl::lightning
