// Paying by a session: the steps before a request's answer, and those beside its stream.
#include "src/base/text.h"
#include "src/payment/identity.h"
#include "src/payment/run.h"

namespace paycurl {
namespace {

constexpr std::size_t kMaxReply = 64UL * 1024;
constexpr Millis kOfferLifetime = 3'600'000;  // of a challenge that names no end
constexpr http::Duration kRecoveryDeadline{5'000};
constexpr http::Duration kStepDeadline{60'000};  // an opening waits for the chain

/// What an offer is remembered by. Where a query has a higher price of its own, the payment is
/// refused, the offer forgotten, and the command run again asks anew.
std::string endpoint_of(const http::Request& request) {
  return request.method + " " + request.url.origin() + request.url.path;
}

/// Once a credential has left, no error may sound as if none had. When the disk fails behind it,
/// the row stays as it is, in doubt.
Error after_sending(Error error) {
  switch (error.kind) {
    case Kind::internal:
      error.kind = Kind::outcome_unknown;
      return error;
    case Kind::usage:
    case Kind::unsupported:
    case Kind::declined:
    case Kind::protocol:
    case Kind::account:
      error.kind = Kind::rejected;
      return error;
    default:
      return error;
  }
}

/// JSON in standard base64, padded, or in base64url, as the draft has it.
Result<Json> read_snapshot_field(std::string text) {
  std::replace(text.begin(), text.end(), '+', '-');
  std::replace(text.begin(), text.end(), '/', '_');
  const auto bytes = from_base64url(text);
  if (!bytes) return bytes.error();
  return Json::parse(as_text(*bytes));
}

}  // namespace

/// A step that is sent while the stream goes on.
class Flow::Run::Aside : public http::Stream {
 public:
  explicit Aside(Run& run) : run_(run) {}

  Result<> head(const http::Head& head) override {
    answer_.head = head;
    return {};
  }
  Result<> data(std::string_view bytes) override {
    answer_.body += bytes.substr(0, kMaxReply - std::min(kMaxReply, answer_.body.size()));
    return {};
  }
  void done(Result<> result, const http::Stats& stats) override {
    run_.outcome_.stats.connections += stats.connections;
    run_.aside_done(result, answer_);
  }

 private:
  Run& run_;
  http::Answer answer_;
};

Flow::Run::Run(FlowParts& parts, const FlowOptions& options) : parts_(parts), options_(options) {}

Flow::Run::~Run() = default;

// ---- offers of earlier runs

/// An offer that this endpoint made before and that is still good: then the request need not be
/// made once without payment.
bool Flow::Run::take_known_offer() {
  if (!options_.pay || options_.stop_at_offers || request_.url.websocket ||
      !options_.preference.sessions || !parts_.known || options_.preference.number) {
    return false;
  }
  Channels* known = parts_.known();
  if (known == nullptr) return false;
  const auto found = known->offer(endpoint_of(request_));
  if (!found || !*found || (*found)->expires <= parts_.clock()) return false;
  protocol_ = protocol_named((*found)->protocol);
  const auto echo = Json::parse((*found)->challenge);
  if (protocol_ == nullptr || !echo) return false;
  auto challenge = protocol_->restore(*echo);
  if (!challenge) return false;
  challenge->url = request_.url;
  challenge->clock_offset = (*found)->clock_offset;
  std::vector<ReadChallenge> challenges;
  challenges.emplace_back(protocol_->name(), std::move(*challenge));
  Terms terms{options_.preference, parts_.limits, {parts_.signed_before, {}}, {}, {},
              parts_.clock()};
  terms.arrival = {request_.url.scheme == "http",
                   request_.url.scheme == "https" && options_.unverified_tls,
                   request_.url.is_loopback() ||
                       request_.to_local_socket()};  // looked at again when the connection stands
  auto offers = examine(std::move(challenges), parts_.methods, terms);
  if (!choose(offers)) return false;
  outcome_.offers = std::move(offers);
  outcome_.chosen = 1;
  outcome_.challenged = true;
  parts_.audience.offers(outcome_.offers, &outcome_.offers.front());
  return true;
}

/// Challenges that are bound to one body are of no use for another request.
void Flow::Run::remember_offer(const Challenge& challenge) {
  if (challenge.digest || session_ == nullptr || !session_->reuses_challenges()) return;
  Channels& known = spender_->channels();
  const std::string endpoint = endpoint_of(request_);
  const KnownOffer offer{
      challenge.protocol, challenge.echo.dump(),
      challenge.expires.value_or(parts_.clock() + kOfferLifetime) - challenge.clock_offset,
      challenge.clock_offset};
  const auto before = known.offer(endpoint);
  if (before && *before && (*before)->challenge == offer.challenge) return;
  (void)known.remember_offer(endpoint, offer);
}

/// The offer that a payment in doubt was made for.
std::optional<Offer> Flow::Run::offer_of(const Row& row, Method& method) const {
  const auto echo = Json::parse(row.challenge);
  auto challenge = echo ? protocol_->restore(*echo) : Result<Challenge>(echo.error());
  if (!challenge) return std::nullopt;
  Offer offer;
  offer.number = 1;
  offer.challenge = std::move(*challenge);
  offer.challenge->url = request_.url;
  offer.method = &method;
  return offer;
}

// ---- before the answer

Outcome Flow::Run::pay_by_session(const Offer& offer, std::optional<Row> earlier) {
  const bool again = earlier.has_value();
  if (again) can_resend_ = true;
  SessionChoice choice = options_.session;
  choice.nothing_new = resuming_;
  auto session = offer.method->session(*offer.challenge, choice, *spender_);
  if (!session) return fail(session.error());
  session_ = std::move(*session);
  offered_ = *offer.challenge;
  const auto lacks = again ? Result<bool>(false) : session_->lacks_channel();
  if (!lacks) return fail(lacks.error());
  if (*lacks) {
    if (auto snapshot = ask_for_snapshot(offer)) session_->remembered(std::move(*snapshot));
  }
  if (auto begun = begin_row(offer, std::move(earlier)); !begun) return fail(begun.error());
  const auto start = std::chrono::steady_clock::now();
  auto step = session_->pay(again);
  outcome_.sign_millis =
      std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  note_row();
  if (again) parts_.audience.note("finishing payment " + row_.id + " of an earlier run");
  if (step) {
    converse(std::move(*step), *offer.method);
  } else if (row_.seq == 0) {
    set_error(step.error());
  } else if (again && step.error().kind != Kind::rejected &&
             step.error().kind != Kind::not_delivered) {
    save(PaymentStatus::unknown, step.error());  // nothing came of this run: the doubt stays
    outcome_.error = step.error();
  } else {
    session_refused(step.error(), *offer.method);
  }
  outcome_.channel = session_->channel();
  session_.reset();  // lets go of the channel
  end_row();
  const bool came_to_nothing = again && outcome_.error && outcome_.error->reason == "not_paid";
  if (came_to_nothing && !resuming_) {  // as for a charge that never settled: pay now
    start_over();
    return pay_by_session(offer, std::nullopt);
  }
  return std::move(outcome_);
}

/// Forgets a payment that came to nothing, and keeps what was asked.
void Flow::Run::start_over() {
  outcome_.error.reset();
  outcome_.row.reset();
  outcome_.receipt.reset();
  outcome_.payment = PaymentStatus::none;
  row_ = Row();
  events_.clear();
  spool_.reset();
  parser_.reset();
  sent_before_ = false;
}

/// Before a channel is opened: the server may remember one of ours that we have lost. Its answer
/// may say so, or it tells who proves to be the payer (mppx: HEAD, which asks for a proof). Nothing
/// comes of a server that knows nothing of this, nor of a failure.
std::optional<Json> Flow::Run::ask_for_snapshot(const Offer& offer) {
  if (outcome_.head) {
    if (const auto* field = outcome_.head->headers.find("payment-session-snapshot")) {
      if (auto json = read_snapshot_field(*field)) return std::move(*json);
    }
  }
  http::Request head = request_;
  head.method = "HEAD";
  head.body.reset();
  head.headers.remove("content-type");
  head.headers.remove("content-length");
  head.headers.replace("Accept-Payment", offer.challenge->method + "/charge");
  head.deadlines.total = kRecoveryDeadline;
  keep_to_loopback(head);
  const auto asked = http::fetch(parts_.client, std::move(head), kMaxReply);
  if (!asked || asked->head.status != 402) return std::nullopt;
  return prove_for_snapshot(*asked, *offer.method);
}

std::optional<Json> Flow::Run::prove_for_snapshot(const http::Answer& asked, Method& method) {
  for (auto& challenge : protocol_->read(asked)) {
    if (!challenge || challenge->method != method.name() || challenge->intent != "charge" ||
        method.refusal(*challenge)) {
      continue;
    }
    challenge->url = request_.url;
    const auto quote = method.quote(*challenge);
    if (!quote || !quote->spend.total.amount.is_zero()) continue;
    Offer proof;
    proof.challenge = *challenge;
    auto row = new_row(proof, spender_->payer());
    if (!row) return std::nullopt;
    row->http_method = "HEAD";
    row->identity = "HEAD " + row->identity;  // it is no part of the request that is paid
    spender_->begin(std::move(*row));
    const auto credential = method.pay(*challenge, *quote, *spender_);
    Row written = spender_->row();
    if (!credential) return std::nullopt;
    http::Request head = request_;
    head.method = "HEAD";
    head.body.reset();
    head.headers.remove("content-type");
    head.deadlines.total = kRecoveryDeadline;
    keep_to_loopback(head);
    std::optional<Json> snapshot;
    if (protocol_->attach(*credential, head)) {
      const auto told = http::fetch(parts_.client, std::move(head), kMaxReply);
      if (told) written.http_status = told->head.status;
      const auto* field = told ? told->head.headers.find("payment-session-snapshot") : nullptr;
      if (field != nullptr) {
        if (auto json = read_snapshot_field(*field)) snapshot = std::move(*json);
      }
    }
    written.status = PaymentStatus::settled;  // nothing was to be moved
    (void)spender_->ledger().answer(written, {{parts_.clock(), "answered"}});
    spender_->ledger().release(written.seq);
    return snapshot;
  }
  return std::nullopt;
}

/// What the spender wrote into the row.
void Flow::Run::note_row() {
  const Row& written = spender_->row();
  row_.paid = written.paid;
  row_.fee = written.fee;
  row_.rebuild = written.rebuild;
  row_.session = written.session;
  if (row_.seq == 0) row_ = written;
  row_.reference = written.reference;
  if (row_.seq != 0) outcome_.row = row_;
}

Session::Reply Flow::Run::reply_of(const http::Answer& answer) const {
  Session::Reply reply;
  reply.status = answer.head.status;
  if (auto receipt = protocol_->receipt(answer.head); receipt && *receipt) {
    reply.receipt = std::move(**receipt);
  }
  if (reply.receipt) hide_proofs(*reply.receipt);
  reply.problem = parse_problem(without_proofs(answer.body));
  for (auto& challenge : protocol_->read(answer)) {
    if (!challenge || challenge->method != offered_->method ||
        challenge->intent != offered_->intent) {
      continue;
    }
    challenge->clock_offset = offered_->clock_offset;
    reply.challenges.push_back(std::move(*challenge));
  }
  return reply;
}

/// Without a body it is no request for content.
Result<http::Request> Flow::Run::request_alone(const Session::Step& step) const {
  http::Request request = request_;
  if (!step.as_request) request.method = "POST";
  request.body.reset();
  request.headers.remove("content-type");
  request.headers.remove("expect");
  if (request.method != "GET") request.headers.replace("Content-Length", "0");
  request.deadlines = options_.paid_deadlines;
  request.deadlines.total = kStepDeadline;
  if (!step.bare) {
    if (auto attached = protocol_->attach(step.credential, request); !attached) {
      return attached.error();
    }
  }
  keep_to_loopback(request);
  return request;
}

Session::Reply Flow::Run::send_alone(const Session::Step& step) {
  auto request = request_alone(step);
  if (!request) return {};
  for (int attempt = 1;; ++attempt) {
    const auto answer = http::fetch(parts_.client, *request, kMaxReply);
    if (answer) {
      Session::Reply reply = reply_of(*answer);
      reply.repeated = attempt == 2;
      return reply;
    }
    // The same bytes move nothing twice: a voucher is a sum, a transaction has one nonce.
    if (answer.error().kind != Kind::transport || attempt == 2) return {};
  }
}

/// Sends steps until the request is answered, or nothing more can be done for it.
void Flow::Run::converse(Session::Step step, Method& method) {
  parts_.audience.paying(row_);
  bool anything_sent = false;
  while (true) {
    Session::Reply reply;
    offered_ = step.credential.challenge;
    if (step.alone) {
      hide(step.credential);
      reply = send_alone(step);
      anything_sent = true;
    } else if (request_.url.websocket) {
      return talk_on_socket(step, method);
    } else {
      hide(step.credential);
      auto request = paid_request(*protocol_, step.credential);
      if (!request) {
        return session_refused(anything_sent ? after_sending(request.error()) : request.error(),
                               method);
      }
      std::optional<Leg> leg;
      anything_sent = send_paid(*request, leg) || anything_sent;
      if (leg->is_delivery()) return after_session_delivery(*leg, method);
      if (!leg->head()) {
        (void)session_->answered({});
        return after_nothing(*leg, anything_sent);
      }
      if (leg->is_redirect()) {
        (void)session_->answered({});
        return settled_without("paid, but the server then redirected", "redirect");
      }
      outcome_.refusal_body = without_proofs(leg->collected());
      reply = reply_of({*leg->head(), outcome_.refusal_body, leg->url()});
    }
    outcome_.problem = reply.problem;
    reply.repeated = reply.repeated || sent_before_;
    auto next = session_->answered(reply);
    note_row();
    if (!next) return session_refused(after_sending(next.error()), method);
    if (!*next) {
      return session_refused(
          {Kind::outcome_unknown, "the payment was sent and no answer came", "", "no_answer"},
          method);
    }
    step = std::move(**next);
    outcome_.problem.reset();
    outcome_.refusal_body.clear();
  }
}

/// Nothing came of the payment. What was signed stays in the channel's numbers, and the next
/// request uses it.
void Flow::Run::session_refused(const Error& error, Method& method) {
  (void)spender_->channels().forget_offer(endpoint_of(request_));
  if (row_.seq == 0) return set_error(error);
  if (error.kind == Kind::not_delivered) return settled_without(error.message, error.reason);
  if (error.kind == Kind::outcome_unknown) {
    doubt(error.message, error.reason);
    return settle_by_rail(method);
  }
  outcome_.error = error;
  const bool rejected = error.kind == Kind::rejected;
  if (rejected && row_.rebuild && !row_.paid.amount.is_zero()) {
    const Settlement found = method.settle(row_, *spender_, parts_.client);
    if (found.why && found.why->kind == Kind::insufficient_funds) outcome_.error = found.why;
  }
  save(PaymentStatus::rejected, outcome_.error);
}

/// The head of the answer to a step that went with the request. Called before the body.
void Flow::Run::take_session_answer(const http::Head& head) {
  Session::Reply reply;
  const bool served = head.status < 300 || outcome_.receipt;
  reply.status = served ? 200 : 0;
  reply.receipt = outcome_.receipt;
  auto next = session_->answered(reply);
  if (!next) parts_.audience.note(next.error().message);
  if (served && offered_) remember_offer(*offered_);
  if (!head.is_event_stream() || !served) return;
  if (!options_.spool_streams) spool_.reset();
  parser_.emplace([this](const http::ServerEvent& event) { return take_event(event); });
}

void Flow::Run::after_session_delivery(Leg& leg, Method& method) {
  if (parser_ && leg.result()) (void)pass_on(parser_->rest(), true);
  if (parser_ && leg.result() && !outcome_.receipt) {
    parts_.audience.note("the stream ended without a receipt");
  }
  note_row();
  after_delivery(leg, method);
  const bool has_hint = outcome_.error && (outcome_.error->kind == Kind::not_delivered ||
                                           outcome_.error->kind == Kind::outcome_unknown);
  if (outcome_.error && !has_hint && session_->channel()) {
    outcome_.error->hint =
        "the session stays open: paycurl sessions show " + session_->channel()->id.substr(0, 10);
  }
}

// ---- beside the stream

Result<> Flow::Run::feed_stream(std::string_view bytes) {
  auto fed = parser_->feed(bytes);
  auto passed = pass_on(std::exchange(passed_on_, {}), true);
  return fed ? passed : fed;
}

Result<> Flow::Run::take_event(const http::ServerEvent& event) {
  if (!session_->is_about_payment(event.name)) {
    if (event.has_data) session_->delivered(1, event.data.size());
    passed_on_ += event.raw;
    return {};
  }
  if (options_.show_payment_events) passed_on_ += event.raw;
  auto data = Json::parse(event.data);
  if (!data && event.name == "payment-receipt") {  // what was paid for has come all the same
    parts_.audience.note(std::move(data).error().within("the receipt").message);
    return {};
  }
  if (!data) return std::move(data).error().within("an event of the payment");
  parts_.audience.payment_event(event.name, *data);
  if (event.name != "payment-receipt") return answer_event(event.name, *data);
  auto receipt = protocol_->read_receipt(std::move(*data));
  auto taken = receipt ? session_->received(*receipt) : Result<>(receipt.error());
  if (!taken) parts_.audience.note(taken.error().message);
  if (!taken || !receipt) return {};
  hide_proofs(*receipt);
  outcome_.receipt = *receipt;
  row_.receipt = receipt->json.dump();
  parts_.audience.receipt(*receipt);
  return {};
}

Result<> Flow::Run::answer_event(std::string_view name, const Json& data) {
  const bool asks = name.starts_with("payment-need");
  if (aside_step_ && asks) {  // one at a time
    waiting_event_.emplace(name, data);
    return {};
  }
  auto step = session_->event(name, data);
  note_row();
  if (!step) return step.error();
  if (*step) send_aside(std::move(**step));
  return {};
}

void Flow::Run::send_aside(Session::Step step) {
  hide(step.credential);
  auto request = request_alone(step);
  if (!request) return stop_stream(request.error());
  aside_step_ = std::move(step);
  aside_ = std::make_unique<Aside>(*this);
  parts_.client.start(std::move(*request), *aside_);
}

void Flow::Run::aside_done(const Result<>& result, const http::Answer& answer) {
  const Session::Step sent = std::move(*std::exchange(aside_step_, std::nullopt));
  if (!result) {
    const bool again = result.error().kind == Kind::transport && !aside_repeated_;
    if (again) {
      aside_repeated_ = true;
      return send_aside(sent);
    }
    (void)session_->answered({});
    return stop_stream(result.error());
  }
  http::Answer whole = answer;
  whole.url = request_.url;
  Session::Reply reply = reply_of(whole);
  reply.repeated = std::exchange(aside_repeated_, false);
  auto next = session_->answered(reply);
  note_row();
  if (!next) return stop_stream(next.error());
  if (*next) return send_aside(std::move(**next));
  if (waiting_event_) {
    const auto event = *std::exchange(waiting_event_, std::nullopt);
    if (auto answered = answer_event(event.first, event.second); !answered) {
      stop_stream(answered.error());
    }
  }
}

void Flow::Run::stop_stream(const Error& why) {
  parts_.client.cancel(leg_, why);
}

}  // namespace paycurl
