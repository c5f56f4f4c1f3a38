#include "src/payment/flow.h"

#include <algorithm>
#include <array>
#include <chrono>

#include "src/base/text.h"

namespace paycurl {
namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;

constexpr std::size_t kMaxProblem = 64 * 1024;
constexpr auto kProblemTime = 2s;
constexpr std::uint64_t kMaxRecordedBody = 1 << 20;
constexpr Millis kClockTolerance = 2'000;  // a Date field has whole seconds
constexpr Millis kClockWorthSaying = 30'000;
constexpr Millis kClockBelievable = 3'600'000;

double millis_since(steady_clock::time_point start) {
  return std::chrono::duration<double, std::milli>(steady_clock::now() - start).count();
}

bool is_secret_field(std::string_view name) {
  constexpr std::array<std::string_view, 3> kSecret{"authorization", "cookie",
                                                    "proxy-authorization"};
  return std::any_of(kSecret.begin(), kSecret.end(),
                     [&](std::string_view secret) { return equals_ignoring_case(name, secret); });
}

Error status_error(Kind kind, int status) {
  return {kind, "the server answered " + std::to_string(status)};
}

std::string until(Millis time) {
  return format_rfc3339(time / 1000 * 1000);
}

/// What -L makes of a request (RFC 9110 section 15.4, and curl where it leaves room).
Result<http::Request> redirected(const http::Request& request, const http::Head& head,
                                 bool keeps_method) {
  http::Request next = request;
  auto target = http::resolve(request.url, *head.headers.find("location"));
  if (!target) return std::move(target).error().within("the redirect");
  const bool to_get = head.status == 303 ||
                      (request.method == "POST" && (head.status == 301 || head.status == 302));
  if (to_get && !request.is_head()) {
    if (!keeps_method) next.method = "GET";
    next.body.reset();
    next.headers.remove("content-type");
  }
  if (target->origin() != request.url.origin()) {
    next.headers.remove("authorization");
    next.headers.remove("cookie");
  }
  if (!head.peer_ip.empty() && !http::is_private_address(head.peer_ip)) {
    next.peers = http::PeerRule::not_private;
  }
  next.url = std::move(*target);
  return next;
}

}  // namespace

Result<std::string> identity_of(const http::Request& request, const std::string& payer) {
  Sha256 hash;
  const auto add = [&](std::string_view text) {
    hash.update(as_bytes(std::to_string(text.size()) + ":"));
    hash.update(as_bytes(text));
  };
  add(request.method);
  add(request.url.text);
  const auto body = request.body ? request.body->sha256() : Result<Digest>(sha256({}));
  if (!body) return body.error();
  add(to_hex(*body));
  add(payer);
  for (const http::Header& field : request.headers) {
    if (is_secret_field(field.name) || equals_ignoring_case(field.name, "accept-payment")) continue;
    add(lower(field.name));
    add(field.value);
  }
  return to_hex(hash.finish());
}

/// One use of a Flow.
class Flow::Run {
 public:
  Run(FlowParts& parts, const FlowOptions& options) : parts_(parts), options_(options) {}

  Outcome run(http::Request request);
  Outcome resume(Row row);

 private:
  /// What becomes of an answer's body.
  enum class Fate { deliver, collect, discard };

  /// One exchange, told to the audience as its head decides.
  class Leg : public http::Stream {
   public:
    Leg(Run& run, const http::Request& request, bool paid)
        : run_(run), url_(request.url), paid_(paid) {}

    Result<> head(const http::Head& head) override {
      head_ = head;
      fate_ = paid_ ? run_.fate_of_paid(head, url_) : run_.fate_of_unpaid(head);
      if (fate_ == Fate::collect) run_.parts_.client.limit(id_, kProblemTime);
      if (!paid_ && fate_ == Fate::deliver) {
        if (auto wanted = run_.refuse_free(head); !wanted) return wanted;
      }
      const HeadRole role = fate_ == Fate::deliver   ? HeadRole::answer
                            : fate_ == Fate::discard ? HeadRole::redirect
                            : paid_                  ? HeadRole::refusal
                                                     : HeadRole::challenge;
      return run_.parts_.audience.head(head, role);
    }

    Result<> data(std::string_view bytes) override {
      if (fate_ == Fate::deliver) return run_.deliver_bytes(bytes, paid_);
      if (fate_ == Fate::discard) return {};
      collected_ += bytes.substr(0, kMaxProblem - std::min(kMaxProblem, collected_.size()));
      if (collected_.size() < kMaxProblem) return {};
      return Error{Kind::internal, "enough of the body is here"};
    }

    void done(Result<> result, const http::Stats& stats) override {
      result_ = std::move(result);
      stats_ = stats;
      // A body that only explains is not worth failing for.
      const bool signalled = !result_ && (result_.error().kind == Kind::interrupted ||
                                          result_.error().kind == Kind::terminated);
      if (head_ && fate_ != Fate::deliver && !signalled) result_ = {};
    }

    void send(http::Request request) {
      id_ = run_.parts_.client.start(std::move(request), *this);
      run_.parts_.client.run();
      run_.outcome_.stats = stats_;
      if (head_) {
        run_.outcome_.head = head_;
        run_.outcome_.url = url_;
      }
    }

    bool is_delivery() const { return head_ && fate_ == Fate::deliver; }
    bool is_redirect() const { return head_ && fate_ == Fate::discard; }
    const std::optional<http::Head>& head() const { return head_; }
    const Result<>& result() const { return result_; }
    const http::Stats& stats() const { return stats_; }
    std::string& collected() { return collected_; }

   private:
    Run& run_;
    http::Url url_;
    bool paid_;
    int id_ = 0;
    std::optional<http::Head> head_;
    Fate fate_ = Fate::deliver;
    std::string collected_;
    Result<> result_;
    http::Stats stats_;
  };

  void set_error(Error error) {
    outcome_.error = std::move(error);
    if (outcome_.payment == PaymentStatus::none) outcome_.payment = PaymentStatus::not_sent;
  }
  Outcome fail(Error error) {
    set_error(std::move(error));
    return std::move(outcome_);
  }

  std::optional<http::Answer> ask();
  const Protocol* protocol_for(const http::Head& head) const;
  Fate fate_of_unpaid(const http::Head& head);
  Fate fate_of_paid(const http::Head& head, const http::Url& url);
  Result<> refuse_free(const http::Head& head) const;
  Result<> deliver_bytes(std::string_view bytes, bool paid);

  std::vector<Offer> read_offers(const http::Answer& answer);
  Millis clock_offset(const http::Head& head);
  Outcome pay(http::Answer answer);
  Result<> ask_again_if_expired(const Offer*& chosen);
  Result<Row> new_row(const Offer& offer, const Payer& payer) const;
  RecordedRequest recorded_request() const;

  void deliver(const Protocol& protocol, const Credential& credential, Method& method);
  bool send_paid(const http::Request& request, std::optional<Leg>& leg);
  void after_answer(Leg& leg, Method& method);
  void after_delivery(Leg& leg, Method& method);
  void after_refusal(Leg& leg, Method& method);
  void after_nothing(const Leg& leg, bool anything_sent);
  void save(PaymentStatus status, std::optional<Error> error);
  void doubt(std::string why, std::string reason, int transport = 0);
  void settled_without(std::string why, std::string reason);
  bool finish_doubt(Row row, const Protocol& protocol, Method& method);
  void settle_by_rail(Method& method);

  FlowParts& parts_;
  const FlowOptions& options_;
  http::Request request_;
  Outcome outcome_;
  Spender* spender_ = nullptr;
  const Protocol* protocol_ = nullptr;
  std::optional<Spool> spool_;
  Row row_;
  std::vector<Event> events_;
  bool sent_before_ = false;  // the credential left already, and its answer was lost
  bool can_resend_ = true;    // the request of a row in doubt is whole
  std::optional<Error> sink_failure_;
};

Flow::Flow(FlowParts parts, FlowOptions options)
    : parts_(std::move(parts)), options_(std::move(options)) {}

Flow::~Flow() = default;

Outcome Flow::run(http::Request request) {
  return Run(parts_, options_).run(std::move(request));
}

Outcome Flow::resume(Row row) {
  return Run(parts_, options_).resume(std::move(row));
}

// ---- asking
// --------------------------------------------------------------------------------------

Outcome Flow::Run::run(http::Request request) {
  request_ = std::move(request);
  auto answer = ask();
  if (!answer) return std::move(outcome_);
  return pay(std::move(*answer));
}

/// Sends the request without payment and follows redirects. An answer that asks for payment comes
/// back; anything else has been delivered or failed, and is in the outcome.
std::optional<http::Answer> Flow::Run::ask() {
  const auto start = steady_clock::now();
  while (true) {
    Leg leg(*this, request_, false);
    leg.send(request_);
    if (!leg.result()) {
      set_error(leg.result().error());
      return std::nullopt;
    }
    if (leg.is_redirect()) {
      if (options_.max_redirects >= 0 && ++outcome_.redirects > options_.max_redirects) {
        set_error(http::transport_error(
            47, "more than " + std::to_string(options_.max_redirects) + " redirects"));
        return std::nullopt;
      }
      auto next = redirected(request_, *leg.head(), options_.keeps_method);
      if (!next) {
        set_error(next.error());
        return std::nullopt;
      }
      request_ = std::move(*next);
      continue;
    }
    if (!leg.is_delivery()) {
      outcome_.challenged = true;
      outcome_.challenge_millis = millis_since(start);
      return http::Answer{*leg.head(), std::move(leg.collected()), request_.url};
    }
    outcome_.delivered = true;
    const int status = leg.head()->status;
    if ((options_.fail || options_.stop_at_offers) && status >= 400)
      set_error(status_error(Kind::http_status, status));
    return std::nullopt;
  }
}

const Protocol* Flow::Run::protocol_for(const http::Head& head) const {
  for (const Protocol* protocol : parts_.protocols) {
    if (protocol->wants_body(head)) return protocol;
  }
  return nullptr;
}

Flow::Run::Fate Flow::Run::fate_of_unpaid(const http::Head& head) {
  if (head.is_redirect()) {
    const std::string& location = *head.headers.find("location");
    if (const auto target = http::resolve(request_.url, location))
      outcome_.redirect_url = target->text;
    return options_.follow ? Fate::discard : Fate::deliver;
  }
  if (options_.pay && protocol_for(head) != nullptr) return Fate::collect;
  return Fate::deliver;
}

Result<> Flow::Run::refuse_free(const http::Head& head) const {
  if (!options_.must_charge) return {};
  if (head.status >= 400) return status_error(Kind::http_status, head.status);
  return Error{Kind::declined, "the answer is free, and an offer was expected", "",
               "expect_amount"};
}

Result<> Flow::Run::deliver_bytes(std::string_view bytes, bool paid) {
  outcome_.body_size += static_cast<std::int64_t>(bytes.size());
  if (spool_ && paid) spool_->write(bytes);
  if (sink_failure_)
    return outcome_.body_size > Spool::kMaxBody ? Result<>(*sink_failure_) : Result<>();
  auto taken = parts_.audience.body(bytes);
  if (taken || !paid || !spool_) return taken;
  sink_failure_ = taken.error();  // what was paid for still goes into the spool
  return {};
}

// ---- choosing
// ------------------------------------------------------------------------------------

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
  protocol_ = protocol_for(answer.head);
  auto challenges = protocol_->read(answer);
  const Millis offset = clock_offset(answer.head);
  Terms terms{options_.preference, parts_.limits, {}, {}, {}, parts_.clock()};
  bool bound = false;
  for (auto& challenge : challenges) {
    if (!challenge) continue;
    challenge->clock_offset = offset;
    bound = bound || challenge->digest.has_value();
  }
  if (bound) {
    const auto digest = request_.body ? request_.body->sha256() : Result<Digest>(sha256({}));
    if (digest) terms.body = *digest;
  }
  if (spender_ != nullptr) terms.spent.run = spender_->signed_in_this_run();
  terms.channel.plain_http = answer.url.scheme == "http";
  terms.channel.unverified_tls = !terms.channel.plain_http && options_.unverified_tls;
  terms.channel.loopback = answer.url.is_loopback() && answer.head.peer_port == answer.url.port &&
                           http::is_loopback_address(answer.head.peer_ip);
  return examine(std::move(challenges), parts_.methods, terms);
}

/// The journal keeps a request so that `resume` can send it, unless it holds what must not be kept.
RecordedRequest Flow::Run::recorded_request() const {
  RecordedRequest record;
  for (const http::Header& field : request_.headers) {
    if (is_secret_field(field.name)) {
      record.complete = false;
    } else {
      record.headers.emplace_back(field.name, field.value);
    }
  }
  record.removed_headers = request_.removed_headers;
  if (request_.body) {
    if (auto text = request_.body->text(kMaxRecordedBody); text && *text)
      record.body = std::move(**text);
    if (!record.body) record.complete = false;
  }
  return record;
}

Result<Row> Flow::Run::new_row(const Offer& offer, const Payer& payer) const {
  const Challenge& challenge = *offer.challenge;
  Row row;
  row.time = parts_.clock();
  row.id = new_payment_id(row.time);
  const auto identity = identity_of(request_, payer.address);
  const auto digest = request_.body ? request_.body->sha256() : Result<Digest>(sha256({}));
  if (!identity) return identity.error();
  if (!digest) return digest.error();
  row.identity = *identity;
  row.http_method = request_.method;
  row.url = request_.url.text;
  row.origin = request_.url.origin();
  row.digest = "sha-256=:" + to_base64(*digest) + ":";
  row.request = recorded_request();
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

/// Confirming can take longer than an offer lives. A new one must not cost more.
Result<> Flow::Run::ask_again_if_expired(const Offer*& chosen) {
  const Challenge& old = *chosen->challenge;
  if (!old.expires || *old.expires > parts_.clock() + old.clock_offset + 6'000) return {};
  const Spend before = chosen->quote->spend;
  auto answer = ask();
  if (!answer) {
    return outcome_.error.value_or(
        Error{Kind::protocol, "the server asked for payment once and answered without it then"});
  }
  outcome_.offers = read_offers(*answer);
  auto found = choose(outcome_.offers);
  if (!found) return found.error();
  const Spend& now = (*found)->quote->spend;
  if (now.total.asset != before.total.asset || now.total.amount > before.total.amount ||
      now.payees.front().address != before.payees.front().address) {
    return Error{Kind::declined,
                 "the offer expired, and the new one is not the one that was agreed to",
                 "run the command again", "price_changed"};
  }
  chosen = *found;
  return {};
}

Outcome Flow::Run::pay(http::Answer answer) {
  outcome_.problem = parse_problem(answer.body);
  outcome_.offers = read_offers(answer);
  auto found = choose(outcome_.offers);
  const Offer* chosen = found ? *found : nullptr;
  outcome_.chosen = chosen == nullptr ? 0 : chosen->number;
  parts_.audience.offers(outcome_.offers, chosen);
  if (!found) return fail(found.error());
  if (options_.stop_at_offers) return std::move(outcome_);
  auto spender = parts_.spender();
  if (!spender) return fail(spender.error());
  spender_ = *spender;

  const auto identity = identity_of(request_, spender_->payer().address);
  if (!identity) return fail(identity.error());
  auto doubts = spender_->ledger().in_doubt(*identity);
  if (!doubts) return fail(doubts.error());
  if (auto ready = parts_.audience.prepare(); !ready) return fail(ready.error());
  for (Row& row : *doubts) {
    if (finish_doubt(std::move(row), *protocol_, *chosen->method)) return std::move(outcome_);
  }

  if (auto unlocked = spender_->unlock(); !unlocked) return fail(unlocked.error());
  if (auto approved = parts_.approve(*chosen, spender_->payer()); !approved)
    return fail(approved.error());
  if (auto fresh = ask_again_if_expired(chosen); !fresh) return fail(fresh.error());
  outcome_.chosen = chosen->number;
  auto row = new_row(*chosen, spender_->payer());
  if (!row) return fail(row.error());
  if (options_.spool) {
    auto spool = Spool::create(parts_.state_folder, row->id);
    if (!spool) return fail(spool.error());
    spool_.emplace(std::move(*spool));
  }
  outcome_.problem.reset();
  const auto signing = steady_clock::now();
  spender_->begin(std::move(*row));
  auto credential = chosen->method->pay(*chosen->challenge, *chosen->quote, *spender_);
  outcome_.sign_millis = millis_since(signing);
  row_ = spender_->row();
  if (row_.seq != 0) outcome_.row = row_;
  if (!credential) {
    if (row_.status ==
        PaymentStatus::unknown) {  // a broadcast that failed after its row was signed
      doubt(credential.error().message, "backend");
      settle_by_rail(*chosen->method);
    } else {
      outcome_.error = credential.error();
      if (row_.seq != 0) save(PaymentStatus::not_sent, outcome_.error);
      outcome_.payment = PaymentStatus::not_sent;
    }
    return std::move(outcome_);
  }
  deliver(*protocol_, *credential, *chosen->method);
  return std::move(outcome_);
}

// ---- paying
// --------------------------------------------------------------------------------------

Flow::Run::Fate Flow::Run::fate_of_paid(const http::Head& head, const http::Url& url) {
  events_.push_back({parts_.clock(), "answered"});
  row_.http_status = head.status;
  auto receipt = protocol_->receipt(head);
  if (!receipt) {
    parts_.audience.note(receipt.error().message);
  } else if (*receipt) {
    outcome_.receipt = **receipt;
    row_.receipt = (**receipt).json.dump();
    if (!row_.reference) row_.reference = (**receipt).reference;
    parts_.audience.receipt(**receipt);
  }
  const bool is_problem = [&] {
    const std::string* type = head.headers.find("content-type");
    return type != nullptr && lower(*type).starts_with("application/problem+json");
  }();
  if (head.status == 402 && !outcome_.receipt) return Fate::collect;
  if (head.status >= 500 && is_problem && !outcome_.receipt) return Fate::collect;
  if (head.status < 400 || outcome_.receipt) {
    save(PaymentStatus::settled, std::nullopt);
    if (receipt && !*receipt && head.status < 300) {
      parts_.audience.note("the server sent no receipt");
    }
  }
  if (head.is_redirect() && options_.follow) {
    const auto target = http::resolve(url, *head.headers.find("location"));
    if (target) outcome_.redirect_url = target->text;
    return Fate::discard;
  }
  if (const std::string* type = head.headers.find("content-type")) row_.body_type = *type;
  return Fate::deliver;
}

/// Writes the row. The events since the last time go with it.
void Flow::Run::save(PaymentStatus status, std::optional<Error> error) {
  row_.status = status;
  outcome_.payment = status;
  if (error) row_.error_code = error->exit_status();
  auto saved = spender_ != nullptr ? spender_->ledger().answer(row_, std::exchange(events_, {}))
                                   : Result<>();
  if (!saved) parts_.audience.note("the journal could not be updated: " + saved.error().message);
  outcome_.row = row_;
}

void Flow::Run::doubt(std::string why, std::string reason, int transport) {
  Error error{Kind::outcome_unknown, std::move(why),
              "the payment can settle until " + until(row_.valid_until) +
                  "; finish it with: paycurl payments resume " + row_.id,
              std::move(reason), transport};
  save(PaymentStatus::unknown, error);
  outcome_.error = std::move(error);
}

void Flow::Run::settled_without(std::string why, std::string reason) {
  Error error{Kind::not_delivered, std::move(why),
              "the payment is in: paycurl payments show " + row_.id, std::move(reason)};
  save(PaymentStatus::settled, error);
  outcome_.error = std::move(error);
}

/// Sends the credential, once more when no answer came. False when nothing left this machine.
bool Flow::Run::send_paid(const http::Request& request, std::optional<Leg>& leg) {
  bool anything_sent = false;
  for (int attempt = 1; attempt <= 2; ++attempt) {
    events_.push_back({parts_.clock(), "sent"});
    leg.emplace(*this, request, true);
    leg->send(request);
    const int times_sent = leg->stats().times_sent;
    anything_sent = anything_sent || times_sent > 0;
    sent_before_ = sent_before_ || times_sent > 1;
    const bool again = !leg->head() && times_sent == 1 && !leg->result() &&
                       leg->result().error().kind == Kind::transport &&
                       leg->result().error().transport != 28;
    if (!again) break;
    sent_before_ = true;
  }
  return anything_sent;
}

void Flow::Run::deliver(const Protocol& protocol, const Credential& credential, Method& method) {
  http::Request paid = request_;
  paid.deadlines = options_.paid_deadlines;
  if (auto attached = protocol.attach(credential, paid); !attached) {
    outcome_.error = attached.error();
    return save(PaymentStatus::not_sent, outcome_.error);
  }
  paid.headers.replace("Idempotency-Key", row_.idempotency_key);
  if (paid.url.scheme == "http" && !options_.preference.allow_http) {
    paid.peers = http::PeerRule::direct_loopback;
  }
  parts_.audience.paying(row_);
  for (int hops = 0;; ++hops) {
    std::optional<Leg> leg;
    const bool anything_sent = send_paid(paid, leg);
    if (!leg->head()) return after_nothing(*leg, anything_sent || hops > 0);
    if (!leg->is_redirect()) return after_answer(*leg, method);
    auto next = redirected(paid, *leg->head(), options_.keeps_method);
    if (!next || next->url.origin() != paid.url.origin() || hops >= 50) {
      return settled_without(next ? "paid, but the server then redirected to " +
                                        printable(next->url.origin()) + ", which gets no credential"
                                  : "paid, but the redirect that came leads nowhere",
                             "redirect");
    }
    ++outcome_.redirects;
    next->peers = paid.peers;
    paid = std::move(*next);
  }
}

void Flow::Run::after_nothing(const Leg& leg, bool anything_sent) {
  const Error& why = leg.result().error();
  if (row_.status == PaymentStatus::settled) {
    return settled_without("paid, but no answer came behind the redirect: " + why.message,
                           "truncated");
  }
  if (!anything_sent && !sent_before_) {
    outcome_.error = why;
    return save(PaymentStatus::not_sent, why);
  }
  doubt("the payment was sent and no answer came: " + why.message, "no_answer", why.transport);
}

void Flow::Run::after_answer(Leg& leg, Method& method) {
  if (leg.is_delivery()) {
    after_delivery(leg, method);
  } else {
    after_refusal(leg, method);
  }
}

void Flow::Run::after_delivery(Leg& leg, Method& method) {
  const int status = leg.head()->status;
  const Result<>& result = leg.result();
  if (spool_ && result) {
    if (const auto size = spool_->keep(parts_.clock())) {
      row_.body_size = size;
      row_.body_expires = parts_.clock() + Spool::kLifetime;
    }
  }
  // An error status without a receipt says nothing about the money: the rail does.
  if (row_.status != PaymentStatus::settled && !row_.paid.amount.is_zero()) {
    doubt("the server answered " + std::to_string(status) + " and no receipt", "no_receipt");
    settle_by_rail(method);
    if (row_.status != PaymentStatus::settled) return;
    outcome_.error.reset();
    row_.error_code.reset();
  }
  if (!result && result.error().kind != Kind::transport && !sink_failure_) {  // a signal
    outcome_.error = result.error();
    outcome_.error->message = "stopped by a signal after the payment was made";
    outcome_.error->hint = "the payment is in: paycurl payments show " + row_.id;
    return save(PaymentStatus::settled, outcome_.error);
  }
  if (!result && !sink_failure_) {
    return settled_without("paid, but the answer did not arrive whole: " + result.error().message,
                           result.error().transport == 23 ? "unwritable" : "truncated");
  }
  if (sink_failure_) {
    settled_without("paid, but the answer could not be written: " + sink_failure_->message,
                    "unwritable");
    if (row_.body_size) {
      outcome_.error->hint = "it is kept: paycurl payments show " + row_.id + " --body";
    }
    return;
  }
  outcome_.delivered = true;
  events_.push_back({parts_.clock(), "delivered"});
  if (options_.fail && status >= 400) {
    return settled_without("paid, but the server answered " + std::to_string(status),
                           "http_status");
  }
  save(PaymentStatus::settled, std::nullopt);
  if (status >= 300) {
    parts_.audience.note("paid " + describe(row_.paid) + ", but the server answered " +
                         std::to_string(status));
  }
}

/// A 402 after payment, or a server that failed while it was paying.
void Flow::Run::after_refusal(Leg& leg, Method& method) {
  const int status = leg.head()->status;
  outcome_.problem = parse_problem(leg.collected());
  const std::string said =
      outcome_.problem ? ": " + outcome_.problem->text() : " with status " + std::to_string(status);
  if (row_.status == PaymentStatus::settled) {
    return settled_without("paid, but behind the redirect the server answered" + said, "redirect");
  }
  if (!leg.result()) return doubt(leg.result().error().message, "no_answer");
  if (status == 402 && !sent_before_) {
    save(PaymentStatus::rejected, std::nullopt);
    outcome_.error =
        Error{Kind::rejected, "the server refused the payment" + said,
              row_.paid.amount.is_zero() ? "" : "it cannot settle after " + until(row_.valid_until),
              "rejected"};
    row_.error_code = outcome_.error->exit_status();
  } else {
    doubt("the server answered " + std::to_string(status) + " to the payment" + said, "refused");
  }
  settle_by_rail(method);
}

/// Asks the rail what became of a payment that the server did not take. Makes the outcome more
/// exact, or leaves it.
void Flow::Run::settle_by_rail(Method& method) {
  if (row_.paid.amount.is_zero()) {
    if (row_.http_status) {  // nothing was to be moved, and the server said no
      save(PaymentStatus::rejected, std::nullopt);
      outcome_.error->kind = Kind::rejected;
      outcome_.error->hint.clear();
    }
    return;
  }
  const Settlement found = method.settle(row_, parts_.client);
  if (found.state == Settlement::State::settled) {
    row_.reference = found.reference;
    return settled_without(
        "the payment has settled, but it was not delivered: " + outcome_.error->message, "refused");
  }
  if (found.why && found.why->kind == Kind::insufficient_funds) {
    outcome_.error = found.why;
    return save(PaymentStatus::rejected, outcome_.error);
  }
  if (found.state == Settlement::State::never) {
    outcome_.error->kind = Kind::rejected;
    outcome_.error->hint = "it did not settle and cannot any more; the command may be run again";
    if (found.why) outcome_.error->message += " (" + found.why->message + ")";
    return save(PaymentStatus::rejected, outcome_.error);
  }
  if (found.why && row_.status == PaymentStatus::unknown) {
    outcome_.error->message += " (" + found.why->message + ")";
  }
}

// ---- doubt
// ---------------------------------------------------------------------------------------

/// Finishes an earlier payment for the same request. False when it turned out that nothing was
/// paid.
bool Flow::Run::finish_doubt(Row row, const Protocol& protocol, Method& method) {
  if (!spender_->ledger().claim(row.seq)) return false;  // another process took it up
  row_ = std::move(row);
  outcome_.row = row_;
  const auto echo = Json::parse(row_.challenge);
  auto challenge = echo ? protocol.restore(*echo) : Result<Challenge>(echo.error());
  if (challenge && can_resend_ && parts_.clock() < row_.valid_until) {
    challenge->url = request_.url;
    auto credential = method.rebuild(*challenge, row_, *spender_);
    if (credential) {
      if (options_.spool) {
        if (auto spool = Spool::create(parts_.state_folder, row_.id))
          spool_.emplace(std::move(*spool));
      }
      parts_.audience.note("finishing payment " + row_.id + " of an earlier run");
      sent_before_ = true;
      deliver(protocol, *credential, method);
      sent_before_ = false;
      spool_.reset();
      spender_->ledger().release(row_.seq);
      if (row_.status != PaymentStatus::rejected) return true;
      outcome_.error.reset();
      return false;
    }
  }
  const Settlement found = method.settle(row_, parts_.client);
  if (found.state == Settlement::State::settled) {
    row_.reference = found.reference;
    settled_without("an earlier run paid for this, and its answer was lost", "answer_lost");
  } else if (found.state == Settlement::State::never) {
    save(PaymentStatus::rejected, std::nullopt);
  } else {
    doubt("an earlier payment for this is still in doubt" +
              (found.why ? " (" + found.why->message + ")" : std::string()),
          "in_doubt");
  }
  spender_->ledger().release(row_.seq);
  return found.state != Settlement::State::never;
}

Outcome Flow::Run::resume(Row row) {
  const auto by_name = [&](const auto& list, const std::string& name) {
    const auto at =
        std::find_if(list.begin(), list.end(), [&](auto* item) { return item->name() == name; });
    return at == list.end() ? nullptr : *at;
  };
  protocol_ = by_name(parts_.protocols, row.protocol);
  Method* method = by_name(parts_.methods, row.method);
  if (protocol_ == nullptr || method == nullptr) {
    return fail({Kind::unsupported, "this paycurl does not know " + printable(row.protocol) +
                                        " with " + printable(row.method)});
  }
  auto spender = parts_.spender();
  if (!spender) return fail(spender.error());
  spender_ = *spender;
  auto url = http::parse_url(row.url);
  if (!url) return fail(url.error());
  request_.method = row.http_method;
  request_.url = std::move(*url);
  if (row.request) {
    for (const auto& [name, value] : row.request->headers)
      request_.headers.add(name, value);
    request_.removed_headers = row.request->removed_headers;
    if (row.request->body) request_.body = std::make_shared<const http::Body>(*row.request->body);
  }
  // Without the user's secrets the request would be another one: then only the rail can tell.
  can_resend_ = row.request && row.request->complete;
  if (auto ready = parts_.audience.prepare(); !ready) return fail(ready.error());
  if (finish_doubt(std::move(row), *protocol_, *method)) return std::move(outcome_);
  if (!outcome_.error) {
    outcome_.error =
        Error{Kind::rejected, "payment " + row_.id + " did not settle and cannot any more",
              "nothing was paid; the command may be run again", "not_paid"};
  }
  return std::move(outcome_);
}

}  // namespace paycurl
