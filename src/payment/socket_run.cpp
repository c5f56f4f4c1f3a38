// A WebSocket that is paid for by a session (draft-tempo-session-00, and mppx): the probe over HTTP
// is answered with 402; the credential then goes as the first message of the socket. Text messages
// are JSON with the member "mpp"; anything else is application data.
//
//   ->  {"mpp":"authorization","authorization":"Payment ..."}     open, voucher, close
//   <-  {"mpp":"message","data":"..."}                            application data
//   <-  {"mpp":"payment-need-voucher","data":{...}}               answered by another authorization
//   <-  {"mpp":"payment-receipt","data":{...}}
//   ->  {"mpp":"payment-close-request"}                           when we want to end it
//   <-  {"mpp":"payment-close-ready","data":{receipt}}            answered by the closing one
//   <-  {"mpp":"payment-error","status":402,"message":"..."}
//
// A top-up goes over HTTP: the server's socket does not take it.
#include "src/base/text.h"
#include "src/http/websocket.h"
#include "src/payment/escrow.h"
#include "src/payment/run.h"

namespace paycurl {
namespace {

constexpr http::Duration kHour{3'600'000};
constexpr http::Duration kCloseDeadline{30'000};  // the server closes the channel on the chain

std::string frame(const char* name) {
  return Json::object({{"mpp", name}}).dump();
}

}  // namespace

/// The conversation on one socket.
class Flow::Run::SocketTalk {
 public:
  SocketTalk(Run& run, Method& method, std::unique_ptr<http::WebSocket> socket)
      : run_(run), method_(method), socket_(std::move(socket)) {}

  /// Until the server is done and the channel closed, or something ends it.
  Result<> talk(const Session::Step& first) {
    if (auto sent = authorize(first.credential); !sent) return sent;
    while (!over_) {
      if (is_late() && !begin_close(http::transport_error(28, "the time limit passed"))) {
        return *failure_;
      }
      const auto idle = run_.options_.paid_deadlines.idle;
      const auto came = socket_->receive(closing_ ? kCloseDeadline : until_deadline(idle));
      if (!came) {
        if (!begin_close(came.error())) return failure_.value_or(came.error());
        continue;
      }
      auto taken = take(*came);
      if (!taken && !begin_close(taken.error())) return *failure_;
    }
    if (failure_) return *failure_;
    return {};
  }

  /// What the server said when it refused the first credential.
  const Session::Reply& refusal() const { return refusal_; }
  /// The session took the first credential: from then on the payment is in.
  bool is_accepted() const { return accepted_; }

 private:
  http::Duration until_deadline(http::Duration idle) const {
    const auto total = run_.options_.paid_deadlines.total;
    if (total.count() == 0) return idle.count() == 0 ? kHour : idle;
    const auto left = std::chrono::duration_cast<http::Duration>(start_ + total -
                                                                 std::chrono::steady_clock::now());
    const auto least = std::max(left, http::Duration(1));
    return idle.count() == 0 ? least : std::min(idle, least);
  }

  /// Whether the exchange, or its orderly end, has taken too long.
  bool is_late() const {
    const auto now = std::chrono::steady_clock::now();
    const auto total = run_.options_.paid_deadlines.total;
    if (closing_) return now > closing_since_ + kCloseDeadline;
    return total.count() != 0 && now > start_ + total;
  }

  /// Ends in order what `why` ends: a signal, a limit, an output that is gone. False when it cannot
  /// be done in order any more.
  bool begin_close(const Error& why) {
    if (!failure_) failure_ = why;
    const bool broken = why.kind == Kind::transport && why.transport != 23 && why.transport != 28;
    if (closing_ || broken || !accepted_) return false;
    closing_ = true;
    closing_since_ = std::chrono::steady_clock::now();
    return socket_->send(frame("payment-close-request")).has_value();
  }

  Result<> authorize(const Credential& credential) {
    http::Request carrier = run_.request_;
    if (auto attached = run_.protocol_->attach(credential, carrier); !attached) return attached;
    const std::string* value = carrier.headers.find(credential.challenge.field);
    if (value == nullptr) return Error{Kind::internal, "a credential without a field"};
    return socket_->send(
        Json::object({{"mpp", "authorization"}, {"authorization", *value}}).dump());
  }

  /// Sends what the session wants sent, and what comes of it.
  Result<> follow(Result<std::optional<Session::Step>> next) {
    run_.note_row();
    while (next && *next) {
      const Session::Step step = std::move(**next);
      run_.offered_ = step.credential.challenge;
      if (!step.fills) return authorize(step.credential);
      next = run_.session_->answered(run_.send_alone(step));
      run_.note_row();
    }
    return next ? Result<>() : Result<>(next.error());
  }

  Result<> take(const http::Received& came) {
    switch (came.what) {
      case http::Received::What::nothing:
        return http::transport_error(28, "no data within the time limit");
      case http::Received::What::closed:
        over_ = true;
        if (settled_) return {};
        return http::transport_error(
            18, "the server closed the socket (" + std::to_string(came.close_code) +
                    (came.data.empty() ? "" : " " + printable(came.data, 120)) +
                    ") before the session was closed");
      case http::Received::What::binary:
        return deliver(came.data);
      case http::Received::What::text:
        break;
    }
    const auto json = Json::parse(came.data, http::WebSocket::kMaxMessage);
    const auto name = json ? json->string_at("mpp") : Result<std::string>(json.error());
    const Json* data = json ? json->find("data") : nullptr;
    if (name && data != nullptr) {
      if (*name == "message" && data->string() != nullptr) return deliver(*data->string());
      if (*name == "payment-receipt") return take_receipt(*data);
      if (*name == "payment-need-voucher") return take_need(*data);
      if (*name == "payment-close-ready") return close_channel(*data);
    }
    if (name && *name == "payment-error") {
      const auto message = json->optional_string_at("message");
      const auto status = json->optional_integer_at("status");
      over_ = true;
      if (message && *message) refusal_.problem = parse_problem(**message);
      refusal_.status = status && *status ? static_cast<int>(**status % 1000) : 402;
      if (refusal_.problem) {
        return Error{accepted_ ? Kind::not_delivered : Kind::rejected,
                     "the server refused the payment: " + refusal_.problem->text(), "", "rejected"};
      }
      return Error{accepted_ ? Kind::not_delivered : Kind::rejected,
                   "the server refused the payment: " +
                       printable(message && *message ? **message : std::string("no reason given")),
                   "", "rejected"};
    }
    return deliver(came.data);
  }

  Result<> deliver(const std::string& data) {
    run_.session_->delivered(1, data.size());
    if (failure_) return {};  // nobody takes it any more
    run_.outcome_.body_size += static_cast<std::int64_t>(data.size());
    return run_.parts_.audience.message(data);
  }

  Result<> take_receipt(const Json& data) {
    run_.parts_.audience.payment_event("payment-receipt", data);
    const auto receipt = run_.protocol_->read_receipt(data);
    if (!receipt) {
      run_.parts_.audience.note(receipt.error().message);
      return {};
    }
    run_.outcome_.receipt = *receipt;
    run_.row_.receipt = receipt->json.dump();
    if (closing_ && closed_by_us_) {
      settled_ = over_ = true;
      run_.parts_.audience.receipt(*receipt);
      (void)run_.session_->closed(*receipt);
      (void)socket_->close(1000, "", std::chrono::seconds(2));
      return {};
    }
    Session::Reply reply;
    reply.status = 200;
    reply.receipt = *receipt;
    accepted_ = true;
    return follow(run_.session_->answered(reply));
  }

  Result<> take_need(const Json& data) {
    run_.parts_.audience.payment_event("payment-need-voucher", data);
    if (closing_) return {};
    return follow(run_.session_->event("payment-need-voucher", data));
  }

  /// The server is done. Its numbers are taken as far as we signed for them, and the channel is
  /// closed for that.
  Result<> close_channel(const Json& data) {
    run_.parts_.audience.payment_event("payment-close-ready", data);
    closing_ = true;
    closing_since_ = std::chrono::steady_clock::now();
    const auto receipt = run_.protocol_->read_receipt(data);
    auto known = receipt ? run_.session_->received(*receipt) : Result<>(receipt.error());
    if (!known) run_.parts_.audience.note(known.error().message);
    Escrow* escrow = method_.escrow();
    const auto& channel = run_.session_->channel();
    if (escrow == nullptr || !channel) return Error{Kind::internal, "no channel to close"};
    const auto credential = escrow->close(*channel, *run_.offered_, *run_.spender_);
    if (!credential) return credential.error();
    closed_by_us_ = true;
    return authorize(*credential);
  }

  Run& run_;
  Method& method_;
  std::unique_ptr<http::WebSocket> socket_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::chrono::steady_clock::time_point closing_since_ = start_;
  bool accepted_ = false;      // a receipt came for the first credential
  bool closing_ = false;       // no more data is wanted
  bool closed_by_us_ = false;  // the closing voucher is with the server
  bool settled_ = false;       // and its receipt with us
  bool over_ = false;
  std::optional<Error> failure_;
  Session::Reply refusal_;
};

/// A WebSocket that nobody asks money for, as far as its probe says.
Outcome Flow::Run::free_socket(const http::Answer& probe) {
  if (auto wanted = refuse_free(probe.head); !wanted) return fail(wanted.error());
  const int status = probe.head.status;
  if (options_.stop_at_offers && status < 400) return std::move(outcome_);
  if (status >= 400 && status != 426) {  // 426: it wants the upgrade
    return fail({Kind::http_status, "the server answered " + std::to_string(status)});
  }
  auto upgrade = http::open_websocket(parts_.client, request_);
  if (!upgrade) return fail(upgrade.error());
  outcome_.head = upgrade->head;
  if (!upgrade->socket) {
    return fail(
        http::transport_error(22, "the server does not speak WebSocket there: it answered " +
                                      std::to_string(upgrade->head.status)));
  }
  while (true) {
    const auto idle = options_.paid_deadlines.idle;
    const auto came = upgrade->socket->receive(idle.count() == 0 ? kHour : idle);
    if (!came) return fail(came.error());
    if (came->what == http::Received::What::nothing) {
      return fail(http::transport_error(28, "no data within the time limit"));
    }
    if (came->what == http::Received::What::closed) break;
    outcome_.body_size += static_cast<std::int64_t>(came->data.size());
    if (auto shown = parts_.audience.message(came->data); !shown) return fail(shown.error());
  }
  outcome_.delivered = true;
  return std::move(outcome_);
}

/// Upgrades the connection, pays and delivers what comes.
void Flow::Run::talk_on_socket(const Session::Step& step, Method& method) {
  auto request = paid_request(*protocol_, step.credential);
  if (!request) return session_refused(request.error(), method);
  request->headers.remove(step.credential.challenge.field);  // it goes as a message
  request->headers.remove("Idempotency-Key");
  auto upgrade = http::open_websocket(parts_.client, *request);
  if (!upgrade || !upgrade->socket) {
    (void)session_->answered({});
    outcome_.error = upgrade ? http::transport_error(
                                   22, "the server does not speak WebSocket there: it answered " +
                                           std::to_string(upgrade->head.status))
                             : upgrade.error();
    return save(PaymentStatus::not_sent, outcome_.error);
  }
  outcome_.head = upgrade->head;
  outcome_.url = request_.url;
  row_.http_status = upgrade->head.status;
  events_.push_back({parts_.clock(), "sent"});
  SocketTalk talk(*this, method, std::move(upgrade->socket));
  const auto done = talk.talk(step);
  note_row();
  if (done) {
    outcome_.delivered = true;
    events_.push_back({parts_.clock(), "delivered"});
    return save(PaymentStatus::settled, std::nullopt);
  }
  const Error& why = done.error();
  if (!talk.is_accepted()) {
    if (why.kind == Kind::rejected) {
      auto next = session_->answered(talk.refusal());
      note_row();
      if (next && *next) return converse(std::move(**next), method);  // on a socket of its own
      return session_refused(why, method);
    }
    (void)session_->answered({});
    return doubt("the payment was sent and no answer came: " + why.message, "no_answer",
                 why.transport);
  }
  if (why.kind == Kind::interrupted || why.kind == Kind::terminated) {
    outcome_.error = why;
    outcome_.error->message = "stopped by a signal after the payment was made";
    outcome_.error->hint = "see what was spent: paycurl payments show " + row_.id;
    return save(PaymentStatus::settled, outcome_.error);
  }
  settled_without("paid, but the stream ended early: " + why.message,
                  why.transport == 23  ? "unwritable"
                  : why.reason.empty() ? "truncated"
                                       : why.reason);
  if (!why.hint.empty()) outcome_.error->hint = why.hint;
  outcome_.error->figures = why.figures;
}

}  // namespace paycurl
