#include "src/payment/flow.h"

#include <charconv>
#include <chrono>
#include <utility>

#include "src/payment/identity.h"
#include "src/payment/redirect.h"
#include "src/payment/run.h"

namespace paycurl {
namespace {

using std::chrono::steady_clock;

constexpr Millis kClockTolerance = 2'000;  // a Date field has whole seconds
constexpr Millis kClockWorthSaying = 30'000;
constexpr Millis kClockBelievable = 3'600'000;
constexpr Millis kLeastValidity = 6'000;  // an offer that lives shorter is asked for again

double millis_since(steady_clock::time_point start) {
  return std::chrono::duration<double, std::milli>(steady_clock::now() - start).count();
}

Error status_error(int status) {
  return {Kind::http_status, "the server answered " + std::to_string(status)};
}

constexpr int kTooLarge = 63;  // libcurl's number

std::string seconds(http::Duration length) {
  std::string text = std::to_string(length.count() / 1000);
  const auto millis = length.count() % 1000;
  if (millis != 0) text += "." + std::to_string(1000 + millis).substr(1);
  return text + " s";
}

Error too_large() {
  return http::transport_error(kTooLarge, "the body is larger than --max-filesize allows");
}

}  // namespace

Flow::Flow(FlowParts parts, FlowOptions options)
    : parts_(std::move(parts)), options_(std::move(options)) {}

Flow::~Flow() = default;

Outcome Flow::run(http::Request request) {
  return Run(parts_, options_).run(std::move(request));
}

Outcome Flow::resume(Row row) {
  return Run(parts_, options_).resume(std::move(row));
}

Outcome Flow::sign(const http::Answer& answer) {
  return Run(parts_, options_).sign(answer);
}

// ---- asking

Outcome Flow::Run::run(http::Request request) {
  request_ = std::move(request);
  if (take_known_offer()) return purchase(&outcome_.offers.front());
  has_token_ = take_token();
  const auto answer = ask();
  if (!answer) return std::move(outcome_);
  if (has_token_) return token_refused(*answer);
  if (protocol_for(answer->head) == nullptr || !options_.pay) return free_socket(*answer);
  return pay(*answer);
}

/// What was paid for before may be good for this request as well.
bool Flow::Run::take_token() {
  const std::string& protocol = options_.preference.protocol;
  const bool wanted = options_.pay && !options_.stop_at_offers && parts_.tokens != nullptr &&
                      (protocol.empty() || protocol == "l402") && !request_.url.websocket;
  const bool names_user =
      request_.headers.find("authorization") != nullptr || !request_.user.empty();
  if (!wanted || names_user) return false;
  const bool safe =
      request_.url.scheme == "https" ? !options_.unverified_tls : request_.url.is_loopback();
  if (!safe && !allows_http(request_.url)) return false;
  const auto token = parts_.tokens->find(request_.url.origin());
  if (!token) return false;
  parts_.audience.hide(token->substr(token->rfind(':') + 1));
  request_.headers.replace("Authorization", *token);
  keep_to_loopback(request_);
  return true;
}

/// A second payment is for the user to decide: they have paid for this once.
Outcome Flow::Run::token_refused(const http::Answer& answer) {
  parts_.tokens->forget(answer.url.origin());
  outcome_.problem = parse_problem(answer.body);
  outcome_.refusal_body = answer.body;
  return fail({Kind::rejected, "the server no longer takes the token that was paid for before",
               "it is forgotten; run the command again to pay for another", "token_refused"});
}

/// Sends the request without payment, again where --retry says so, and follows redirects. An answer
/// that asks for payment comes back; anything else has been delivered or failed, and is in the
/// outcome.
std::optional<http::Answer> Flow::Run::ask() {
  if (options_.retry.times == 0 || has_left_ || has_token_) return ask_once();
  const http::Request first = request_;
  retries_.emplace(options_.retry, steady_clock::now());
  while (true) {
    retry_.reset();
    auto answer = ask_once();
    if (!retry_ || !may_ask_again()) {
      retries_.reset();
      return answer;
    }
    request_ = first;
  }
}

/// Waits until it is time.
bool Flow::Run::may_ask_again() {
  outcome_.error.reset();
  outcome_.payment = PaymentStatus::none;
  outcome_.head.reset();
  outcome_.url.reset();
  outcome_.redirect_url.clear();
  outcome_.redirects = 0;
  outcome_.body_size = 0;
  auto waited = parts_.pause(*retry_);
  if (!waited) set_error(waited.error());
  return waited.has_value();
}

/// True when the request goes again: nothing of what came was printed, or it can be taken back.
bool Flow::Run::plan_retry(std::optional<http::Duration> wait, const std::string& why) {
  if (!wait || !parts_.audience.start_over()) return false;
  retry_ = wait;
  parts_.audience.note(why + "; asking again in " + seconds(*wait) + ", " +
                       std::to_string(retries_->left()) + " retries left");
  return true;
}

std::optional<http::Answer> Flow::Run::ask_once() {
  const auto start = steady_clock::now();
  while (true) {
    Leg leg(*this, request_, false);
    leg.send(request_);
    if (!leg.result()) {
      const Error& error = leg.result().error();
      if (retries_) {
        plan_retry(retries_->after(error, leg.stats().system_error, steady_clock::now()),
                   error.message);
      }
      set_error(error);
      return std::nullopt;
    }
    if (leg.is_transient()) return std::nullopt;
    if (leg.is_redirect()) {
      if (options_.max_redirects >= 0 && ++outcome_.redirects > options_.max_redirects) {
        set_error(http::transport_error(
            47, "more than " + std::to_string(options_.max_redirects) + " redirects"));
        return std::nullopt;
      }
      auto next = redirected(request_, *leg.head(), options_.redirects);
      if (!next) {
        set_error(next.error());
        return std::nullopt;
      }
      has_token_ = has_token_ && next->url.origin() == request_.url.origin();
      request_ = std::move(*next);
      continue;
    }
    if (!leg.is_delivery()) {
      outcome_.challenged = protocol_for(*leg.head()) != nullptr;
      outcome_.challenge_millis = millis_since(start);
      return http::Answer{*leg.head(), std::move(leg.collected()), request_.url};
    }
    outcome_.delivered = true;
    const int status = leg.head()->status;
    if ((options_.fail || options_.stop_at_offers) && status >= 400) {
      set_error(status_error(status));
    }
    return std::nullopt;
  }
}

const Protocol* Flow::Run::protocol_for(const http::Head& head) const {
  for (const Protocol* protocol : parts_.protocols) {
    if (protocol->wants_body(head)) return protocol;
  }
  return nullptr;
}

const Protocol* Flow::Run::protocol_named(std::string_view name) const {
  for (const Protocol* protocol : parts_.protocols) {
    if (protocol->name() == name) return protocol;
  }
  return nullptr;
}

Flow::Run::Fate Flow::Run::fate_of_unpaid(const http::Head& head) {
  if (head.is_redirect()) {
    const std::string& location = *head.headers.find("location");
    const auto target = http::resolve(request_.url, location);
    if (target && !options_.follow) outcome_.redirect_url = target->text;
    return options_.follow ? Fate::discard : Fate::deliver;
  }
  // What answers the probe of a WebSocket is not what the user asked for.
  const bool refused = has_token_ && (head.status == 401 || head.status == 402);
  const bool asks = refused || (options_.pay && protocol_for(head) != nullptr);
  if (!asks && retries_) {
    const bool fails = options_.fail || options_.stop_at_offers;
    const auto wait = retries_->after(head, fails, steady_clock::now(), parts_.clock());
    if (plan_retry(wait, "the server answered " + std::to_string(head.status))) return Fate::retry;
  }
  return asks || request_.url.websocket ? Fate::collect : Fate::deliver;
}

Result<> Flow::Run::refuse_free(const http::Head& head) const {
  if (!options_.must_charge) return {};
  if (head.status >= 400) return status_error(head.status);
  return Error{Kind::declined, "the answer is free, and an offer was expected", "",
               "expect_amount"};
}

/// What is paid for still goes into the spool.
Result<> Flow::Run::refuse_large(const http::Head& head, bool paid) {
  const std::string* length = head.headers.find("content-length");
  if (options_.max_body == 0 || length == nullptr) return {};
  std::uint64_t size = 0;
  const char* end = length->data() + length->size();
  const auto read = std::from_chars(length->data(), end, size);
  const bool is_large = read.ec == std::errc::result_out_of_range || size > options_.max_body;
  if (!is_large) return {};
  if (!paid) return too_large();
  sink_failure_ = too_large();
  return {};
}

Result<> Flow::Run::deliver_bytes(std::string_view bytes, bool paid) {
  return paid && parser_ ? feed_stream(bytes) : pass_on(bytes, paid);
}

Result<> Flow::Run::pass_on(std::string_view bytes, bool paid) {
  outcome_.body_size += static_cast<std::int64_t>(bytes.size());
  if (spool_ && paid) spool_->write(bytes);
  if (pieces_until_saved_ > 0 && --pieces_until_saved_ == 0) {
    save_answered();
  }
  if (options_.max_body != 0 && std::cmp_greater(outcome_.body_size, options_.max_body)) {
    if (!paid || !spool_) return too_large();
    if (!sink_failure_) sink_failure_ = too_large();
  }
  if (sink_failure_) {
    return outcome_.body_size > Spool::kMaxBody ? Result<>(*sink_failure_) : Result<>();
  }
  auto taken = parts_.audience.body(bytes);
  if (taken || !paid || !spool_) return taken;
  sink_failure_ = taken.error();  // what was paid for still goes into the spool
  return {};
}

// ---- choosing

/// The server's clock minus ours, from its Date field; 0 when they agree or it cannot be believed.
Millis Flow::Run::clock_offset(const http::Head& head) {
  const std::string* date = head.headers.find("date");
  const auto seconds = date == nullptr ? std::nullopt : http::parse_http_date(*date);
  if (!seconds) return 0;
  const Millis offset = *seconds * 1000 + 500 - parts_.clock();
  const Millis distance = offset < 0 ? -offset : offset;
  if (distance > kClockWorthSaying) {
    parts_.audience.note("the server's clock is " + std::to_string(distance / 1000) + " s " +
                         (offset < 0 ? "behind" : "ahead of") + " this machine's" +
                         (distance > kClockBelievable ? ", too much to be believed" : ""));
  }
  return distance <= kClockTolerance || distance > kClockBelievable ? 0 : offset;
}

std::vector<Offer> Flow::Run::read_offers(const http::Answer& answer) {
  std::vector<ReadChallenge> challenges;
  for (const Protocol* protocol : parts_.protocols) {
    if (!protocol->wants_body(answer.head)) continue;
    for (auto& challenge : protocol->read(answer)) {
      challenges.emplace_back(protocol->name(), std::move(challenge));
    }
  }
  const Millis offset = clock_offset(answer.head);
  Terms terms{options_.preference, parts_.limits, {parts_.signed_before, {}}, {}, {},
              parts_.clock()};
  bool bound = false;
  for (auto& [protocol, challenge] : challenges) {
    if (!challenge) continue;
    challenge->clock_offset = offset;
    bound = bound || challenge->digest.has_value();
  }
  if (bound) {
    const auto digest = body_digest(request_);
    if (digest) terms.body = *digest;
  }
  terms.foreign_body = signing_;
  terms.arrival.plain_http = answer.url.scheme == "http";
  terms.arrival.unverified_tls = !terms.arrival.plain_http && options_.unverified_tls;
  const bool direct = signing_ || (answer.head.peer_port == answer.url.port &&
                                   http::is_loopback_address(answer.head.peer_ip));
  terms.arrival.loopback = answer.head.local_socket || (answer.url.is_loopback() && direct);
  return examine(std::move(challenges), parts_.methods, terms);
}

Result<Row> Flow::Run::new_row(const Offer& offer, const Payer& payer) const {
  const Challenge& challenge = *offer.challenge;
  Row row;
  row.time = parts_.clock();
  row.id = new_payment_id(row.time);
  const auto identity = identity_of(request_, payer.address);
  const auto digest = body_digest(request_);
  if (!identity) return identity.error();
  if (!digest) return digest.error();
  row.identity = *identity;
  row.http_method = request_.method;
  row.url = request_.url.text;
  row.origin = request_.url.origin();
  row.digest = "sha-256=:" + to_base64(*digest) + ":";
  row.request = record_of(request_);
  const std::string* own_key = request_.headers.find("idempotency-key");
  row.idempotency_key = own_key == nullptr ? row.id : *own_key;
  row.protocol = challenge.protocol;
  row.method = challenge.method;
  row.intent = challenge.intent;
  row.challenge_id = challenge.id;
  row.challenge = challenge.echo.dump();
  row.payer = payer.address;
  row.account = payer.account;
  return row;
}

/// By what depends on who pays. The user is not asked about what the limits refuse.
Result<> Flow::Run::complete_quote(const Offer& chosen) {
  Quote& quote = *outcome_.offers[chosen.number - 1].quote;
  auto prepared =
      chosen.method->prepare(*chosen.challenge, quote, spender_->payer().address, parts_.limits);
  if (!prepared || !quote.spend.swap) return prepared;
  return spender_->would_allow(quote.spend);
}

/// Confirming can take longer than an offer lives. A new one must not cost more.
Result<> Flow::Run::ask_again_if_expired(const Offer*& chosen) {
  const Challenge& old = *chosen->challenge;
  if (!old.expires || *old.expires > parts_.clock() + old.clock_offset + kLeastValidity) return {};
  const Spend before = chosen->quote->spend;
  const std::string intent = old.intent, origin = old.url.origin();  // `old` goes with its offers
  auto answer = ask();
  if (!answer) {
    return outcome_.error.value_or(
        Error{Kind::protocol, "the server asked for payment once and answered without it then"});
  }
  outcome_.offers = read_offers(*answer);
  auto found = choose(outcome_.offers, parts_.has_account);
  if (!found) return found.error();
  const Spend& now = (*found)->quote->spend;
  const auto goes_to_another = [&](const Payee& payee) {
    return std::none_of(before.payees.begin(), before.payees.end(), [&](const Payee& agreed) {
      return agreed.address == payee.address && payee.amount <= agreed.amount;
    });
  };
  if (now.total.asset != before.total.asset || now.total.amount > before.total.amount ||
      (*found)->challenge->intent != intent || (*found)->challenge->url.origin() != origin ||
      std::any_of(now.payees.begin(), now.payees.end(), goes_to_another)) {
    return Error{Kind::declined,
                 "the offer expired, and the new one is not the one that was agreed to",
                 "run the command again", "price_changed"};
  }
  if (auto completed = complete_quote(**found); !completed) return completed;
  const auto& swap = now.swap;
  const bool dearer = swap && (!before.swap || swap->asset != before.swap->asset ||
                               swap->amount > before.swap->amount);
  if (dearer) {
    return Error{
        Kind::declined,
        "the offer expired, and the swap for the new one is not the one that was agreed to",
        "run the command again", "price_changed"};
  }
  chosen = *found;
  return {};
}

Outcome Flow::Run::pay(const http::Answer& answer) {
  outcome_.problem = parse_problem(answer.body);
  outcome_.refusal_body = answer.body;
  outcome_.offers = read_offers(answer);
  if (parts_.asked_by) parts_.asked_by(request_.url.origin());
  const auto found = choose(outcome_.offers, parts_.has_account);
  const Offer* chosen = found ? *found : nullptr;
  outcome_.chosen = chosen == nullptr ? 0 : chosen->number;
  parts_.audience.offers(outcome_.offers, chosen);
  if (!found) return fail(found.error());
  if (options_.stop_at_offers) return std::move(outcome_);
  return purchase(chosen);
}

/// Notes in the offer that its price rose, so that the user can be asked about it.
Result<> Flow::Run::compare_price(const Offer& offer) {
  if (!limits_increase(parts_.limits, offer.quote->spend.origin)) return {};
  const auto row = new_row(offer, spender_->payer());
  if (!row) return row.error();
  auto compared = spender_->check_increase(*row, offer.quote->spend);
  if (compared) return {};
  if (compared.error().kind != Kind::declined) return compared;
  for (Offer& noted : outcome_.offers) {
    if (noted.number == offer.number) noted.risen = compared.error();
  }
  return {};
}

/// A row in doubt, unless another process has it or it is another key's of --once; the key of this
/// run is its from now on.
Result<std::optional<Row>> Flow::Run::take_up_for_key(const Row& row) {
  const std::string& key = options_.once;
  if (!key.empty() && row.once && *row.once != key) return std::optional<Row>();
  auto mine = take_up(row);
  if (!mine || key.empty() || mine->once) return mine;
  if (auto held = spender_->ledger().hold_once(*mine, key); !held) {
    spender_->ledger().release(mine->seq);
    return held.error();
  }
  return mine;
}

/// Finishes the payments in doubt that were for the same request. True when one of them is what
/// this run comes to; one that a session can go on with is put into `earlier`.
Result<bool> Flow::Run::finish_doubts(const std::vector<Row>& doubts, const Offer& offer,
                                      std::optional<Row>& earlier) {
  const bool by_session = offer.challenge->intent == "session";
  for (const Row& row : doubts) {
    protocol_ = protocol_named(row.protocol);
    if (protocol_ == nullptr) continue;
    auto mine = take_up_for_key(row);
    if (!mine) return mine.error();
    if (*mine && by_session && (*mine)->intent == "session") {
      earlier = std::move(*mine);
      return false;
    }
    if (*mine && finish_doubt(std::move(**mine), *protocol_, *offer.method)) return true;
    // Nothing was paid, or another process has it, which is another purchase: pay now.
    outcome_.error.reset();
    outcome_.row.reset();
    outcome_.receipt.reset();
    outcome_.payment = PaymentStatus::none;
  }
  return false;
}

/// Everything that can stop a payment comes here, before the signature: doubts about an earlier
/// one, outputs that cannot be written, a locked keychain, the user.
Outcome Flow::Run::purchase(const Offer* chosen) {
  protocol_ = protocol_named(chosen->challenge->protocol);
  if (parts_.asked_by) parts_.asked_by(chosen->challenge->url.origin());
  const auto spender = parts_.spender(std::string(chosen->method->name()));
  if (!spender) return fail(spender.error());
  spender_ = *spender;
  const auto identity = identity_of(request_, spender_->payer().address);
  if (!identity) return fail(identity.error());
  auto doubts = spender_->ledger().in_doubt(*identity);
  if (!doubts) return fail(doubts.error());
  if (auto ready = parts_.audience.prepare(); !ready) return fail(ready.error());
  std::optional<Row> earlier;
  const auto finished = finish_doubts(*doubts, *chosen, earlier);
  if (!finished) return fail(finished.error());
  if (*finished) return std::move(outcome_);
  protocol_ = protocol_named(chosen->challenge->protocol);
  if (auto unlocked = spender_->unlock(); !unlocked) return fail(unlocked.error());
  if (auto completed = complete_quote(*chosen); !completed) return fail(completed.error());
  if (auto compared = compare_price(*chosen); !compared) return fail(compared.error());
  auto approved = parts_.approve(*chosen, spender_->payer());
  if (!approved) return fail(approved.error());
  if (auto fresh = ask_again_if_expired(chosen); !fresh) return fail(fresh.error());
  outcome_.chosen = chosen->number;
  const bool by_session = chosen->challenge->intent == "session";
  return by_session ? pay_by_session(*chosen, std::move(earlier)) : sign_and_deliver(*chosen);
}

/// The row of this payment, its spool and the spender are ready to be used.
Result<> Flow::Run::begin_row(const Offer& offer, std::optional<Row> earlier) {
  const bool is_new = !earlier;
  auto row = earlier ? Result<Row>(std::move(*earlier)) : new_row(offer, spender_->payer());
  if (!row) return row.error();
  if (is_new && !options_.once.empty()) {
    row->once = options_.once;
    row->idempotency_key = options_.once;
  }
  if (options_.spool) {
    auto spool = Spool::create(parts_.state_folder, row->id);
    if (!spool) return spool.error();
    spool_.emplace(std::move(*spool));
  }
  outcome_.problem.reset();
  outcome_.refusal_body.clear();
  spender_->begin(std::move(*row));
  return {};
}

Outcome Flow::Run::sign_and_deliver(const Offer& offer) {
  if (auto begun = begin_row(offer, std::nullopt); !begun) return fail(begun.error());
  if (const auto credential = make_credential(offer)) {
    deliver(*protocol_, *credential, *offer.method);
  }
  end_row();
  return std::move(outcome_);
}

/// What can be known of the row is written: others may take it up. The spool goes first, as it
/// would take theirs along.
void Flow::Run::end_row() {
  spool_.reset();
  if (row_.seq != 0) spender_->ledger().release(row_.seq);
}

/// Pays. Without a credential, the outcome says what is known of the payment.
std::optional<Credential> Flow::Run::make_credential(const Offer& offer) {
  const auto start = steady_clock::now();
  auto credential = offer.method->pay(*offer.challenge, *offer.quote, *spender_);
  outcome_.sign_millis = millis_since(start);
  row_ = spender_->row();
  if (row_.seq != 0) outcome_.row = row_;
  if (credential) return std::move(*credential);
  if (row_.status == PaymentStatus::unknown) {
    // A broadcast that failed: its row was signed, so only the rail knows.
    doubt(credential.error().message, "backend");
    settle_by_rail(*offer.method);
  } else {
    set_error(credential.error());
    if (row_.seq != 0) save(PaymentStatus::not_sent, outcome_.error);
  }
  return std::nullopt;
}

}  // namespace paycurl
