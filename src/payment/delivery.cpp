// Behind the signature: the credential goes out once, and what comes of it is written down.
#include "src/base/text.h"
#include "src/payment/identity.h"
#include "src/payment/redirect.h"
#include "src/payment/run.h"

namespace paycurl {
namespace {

std::string until(Millis time) {
  return format_rfc3339(time / 1000 * 1000);
}

/// Whether the body may come in one piece with the head: its row is then written once, with the
/// delivery. Streams of events do not.
bool may_be_short(const http::Head& head) {
  const std::string* length = head.headers.find("content-length");
  return !head.is_event_stream() && (length == nullptr || length->size() <= 5);
}

}  // namespace

Flow::Run::Fate Flow::Run::fate_of_paid(const http::Head& head, const http::Url& url) {
  events_.push_back({parts_.clock(), "answered"});
  row_.http_status = head.status;
  auto receipt = protocol_->receipt(head);
  if (!receipt) {
    parts_.audience.note(receipt.error().message);
  } else if (*receipt) {
    outcome_.receipt = **receipt;
    hide_proofs(*outcome_.receipt);
    row_.receipt = outcome_.receipt->json.dump();
    if (!row_.reference) row_.reference = (**receipt).reference;
    parts_.audience.receipt(*outcome_.receipt);
  }
  const bool is_problem = [&] {
    const std::string* type = head.headers.find("content-type");
    return type != nullptr && lower(*type).starts_with("application/problem+json");
  }();
  const bool asks_again = head.status == 401 && protocol_->wants_body(head);
  if ((head.status == 402 || asks_again) && !outcome_.receipt) return Fate::collect;
  if (session_ && head.status == 410 && !outcome_.receipt) return Fate::collect;
  if (head.status >= 500 && is_problem && !outcome_.receipt) return Fate::collect;
  if (session_) take_session_answer(head);
  if (head.status < 300 || outcome_.receipt) {
    row_.status = outcome_.payment = PaymentStatus::settled;
    pieces_until_saved_ = may_be_short(head) ? 2 : 0;
    if (pieces_until_saved_ == 0) save_answered();
    if (receipt && !*receipt && !parser_ && protocol_->has_receipts()) {
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

/// From now on nothing that a server repeats of it is shown or kept.
void Flow::Run::hide(const Credential& credential) {
  if (credential.proof.empty()) return;
  proofs_.push_back(credential.proof);
  parts_.audience.hide(credential.proof);
}

std::string Flow::Run::without_proofs(std::string text) const {
  for (const std::string& proof : proofs_) {
    remove_all(text, proof);
  }
  return text;
}

/// The same in a receipt that a server made with one.
void Flow::Run::hide_proofs(Receipt& receipt) const {
  const std::string text = receipt.json.dump();
  const std::string safe = without_proofs(text);
  if (safe == text) return;
  receipt.reference = without_proofs(receipt.reference);
  if (auto json = Json::parse(safe)) receipt.json = std::move(*json);
}

/// Writes the row. The events since the last time go with it.
void Flow::Run::write(const Row& row) {
  auto written =
      spender_ != nullptr ? spender_->ledger().answer(row, std::exchange(events_, {})) : Result<>();
  if (!written) {
    parts_.audience.note("the journal could not be updated: " + written.error().message);
  }
}

void Flow::Run::save(PaymentStatus status, std::optional<Error> error) {
  row_.status = status;
  outcome_.payment = status;
  if (error) row_.error_code = error->exit_status();
  write(row_);
  outcome_.row = row_;
}

/// Writes down that a long body has begun. Until it is over the row stays in doubt: when this
/// process dies on the way, the next run asks with the same bytes and does not pay again.
void Flow::Run::save_answered() {
  Row answered = row_;
  answered.status = PaymentStatus::unknown;
  write(answered);
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
    has_left_ = true;
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

/// Plain http carries a credential straight to this machine, or nowhere.
void Flow::Run::keep_to_loopback(http::Request& request) const {
  if (request.url.scheme == "http" && !allows_http(request.url)) {
    request.peers = http::PeerRule::direct_loopback;
  }
}

/// The request with its credential.
Result<http::Request> Flow::Run::paid_request(const Protocol& protocol,
                                              const Credential& credential) const {
  http::Request paid = request_;
  paid.deadlines = options_.paid_deadlines;
  if (auto attached = protocol.attach(credential, paid); !attached) return attached.error();
  paid.headers.replace("Idempotency-Key", row_.idempotency_key);
  keep_to_loopback(paid);
  return paid;
}

void Flow::Run::deliver(const Protocol& protocol, const Credential& credential, Method& method) {
  outcome_.problem.reset();
  outcome_.refusal_body.clear();
  sent_before_ = sent_before_ || credential.moved;
  auto request = paid_request(protocol, credential);
  if (!request) {
    if (sent_before_) return doubt(request.error().message, "no_answer");
    outcome_.error = request.error();
    return save(PaymentStatus::not_sent, outcome_.error);
  }
  http::Request paid = std::move(*request);
  if (protocol.is_reusable()) token_ = *paid.headers.find(credential.challenge.field);
  hide(credential);
  parts_.audience.paying(row_);
  for (int hops = 0;; ++hops) {
    std::optional<Leg> leg;
    const bool anything_sent = send_paid(paid, leg);
    if (!leg->head()) return after_nothing(*leg, anything_sent || hops > 0);
    if (!leg->is_redirect()) return after_answer(*leg, method);
    auto next = redirected(paid, *leg->head(), options_.redirects);
    if (!next || next->url.origin() != paid.url.origin() || hops >= 50) {
      return settled_without(next ? "paid, but the server then redirected to " +
                                        printable(next->url.origin()) + ", which gets no credential"
                                  : "paid, but the redirect that came leads nowhere",
                             "redirect");
    }
    ++outcome_.redirects;
    sent_before_ = true;
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

/// The credential pays for other requests too.
void Flow::Run::keep_token() {
  if (token_.empty() || parts_.tokens == nullptr) return;
  parts_.tokens->keep(request_.url.origin(), std::exchange(token_, {}));
}

void Flow::Run::after_delivery(Leg& leg, Method& method) {
  const int status = leg.head()->status;
  const Result<>& result = leg.result();
  if (status < 400) keep_token();
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
  const bool signalled = !result && (result.error().kind == Kind::interrupted ||
                                     result.error().kind == Kind::terminated);
  if (signalled && !sink_failure_) {
    outcome_.error = result.error();
    outcome_.error->message = "stopped by a signal after the payment was made";
    outcome_.error->hint = "the payment is in: paycurl payments show " + row_.id;
    return save(PaymentStatus::settled, outcome_.error);
  }
  if (!result && result.error().kind == Kind::outcome_unknown) {  // a deposit beside the stream
    return doubt("the answer did not arrive whole: " + result.error().message,
                 result.error().reason);
  }
  if (!result && !sink_failure_) {
    const Error& why = result.error();
    settled_without("paid, but the answer did not arrive whole: " + why.message,
                    why.transport == 23  ? "unwritable"
                    : why.reason.empty() ? "truncated"
                                         : why.reason);
    if (!why.hint.empty() && why.kind != Kind::transport) outcome_.error->hint = why.hint;
    outcome_.error->figures = why.figures;
    return;
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
  leg.collected() = without_proofs(std::move(leg.collected()));
  outcome_.problem = parse_problem(leg.collected());
  outcome_.refusal_body = leg.collected();
  const std::string said =
      outcome_.problem ? ": " + outcome_.problem->text() : " with status " + std::to_string(status);
  if (row_.status == PaymentStatus::settled) {
    return settled_without("paid, but behind the redirect the server answered" + said, "redirect");
  }
  if (!leg.result()) return doubt(leg.result().error().message, "no_answer");
  // With --once the rail decides whether its key is free again, not the server's word.
  if ((status == 402 || status == 401) && !sent_before_ && !row_.once) {
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
  const Settlement found = method.settle(row_, *spender_, parts_.client);
  if (found.state == Settlement::State::settled && found.can_prove && !has_left_) {
    outcome_.error->message += "; it has settled since";  // and the server can still be told
    return;
  }
  if (found.state == Settlement::State::settled) {
    row_.reference = found.reference;
    return settled_without(
        "the payment has settled, but it was not delivered: " + outcome_.error->message, "refused");
  }
  if (found.why && found.why->kind == Kind::insufficient_funds) {
    // The server said no to a fresh payment; one in doubt settles when funds come in time.
    outcome_.error = found.why;
    return save(sent_before_ ? row_.status : PaymentStatus::rejected, outcome_.error);
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

/// Takes up an earlier payment, as it is now: another process may be at it, or done with it.
std::optional<Row> Flow::Run::take_up(const Row& row) {
  Ledger& journal = spender_->ledger();
  if (!journal.claim(row.seq)) return std::nullopt;
  auto fresh = journal.find(row.id);
  if (fresh && fresh->status == PaymentStatus::unknown) return std::move(*fresh);
  journal.release(row.seq);
  if (fresh) outcome_.row = std::move(*fresh);
  return std::nullopt;
}

/// Sends an earlier payment's bytes again; the reason why not when that cannot be.
std::optional<Error> Flow::Run::send_again(const Protocol& protocol, Method& method) {
  if (!can_resend_) return Error{Kind::usage, ""};
  const auto echo = Json::parse(row_.challenge);
  auto challenge = echo ? protocol.restore(*echo) : Result<Challenge>(echo.error());
  if (!challenge) return challenge.error();
  challenge->url = request_.url;
  const auto credential = method.rebuild(*challenge, row_, *spender_, !resuming_);
  if (!credential) return credential.error();
  if (options_.spool) {
    if (auto spool = Spool::create(parts_.state_folder, row_.id)) spool_.emplace(std::move(*spool));
  }
  parts_.audience.note("finishing payment " + row_.id + " of an earlier run");
  sent_before_ = true;
  deliver(protocol, *credential, method);
  sent_before_ = false;
  spool_.reset();
  return std::nullopt;
}

/// Asks the rail about an earlier payment that cannot be sent again.
void Flow::Run::look_up_doubt(Method& method, const std::string& why_not) {
  const Settlement found = method.settle(row_, *spender_, parts_.client);
  const std::string why = found.why ? found.why->message : why_not;
  const std::string reason = why.empty() ? "" : " (" + why + ")";
  if (row_.intent == "session" && found.state == Settlement::State::settled) {
    return settled_without("an earlier run paid for this by a session, and its answer was lost",
                           "answer_lost");
  }
  switch (found.state) {
    case Settlement::State::settled:
      if (found.can_prove && can_resend_) {
        return doubt("an earlier payment for this has settled since", "in_doubt");
      }
      row_.reference = found.reference;
      if (!can_resend_ && is_still_valid()) {
        doubt("an earlier run paid for this, and its request is not whole in the journal",
              "in_doubt");
        outcome_.error->hint = "what was paid for comes when the same command is run again";
        return;
      }
      return settled_without("an earlier run paid for this, and its answer was lost",
                             "answer_lost");
    case Settlement::State::open:
      return doubt("an earlier payment for this is still in doubt" + reason, "in_doubt");
    case Settlement::State::never:
      if (found.is_final) row_.valid_until = std::min(row_.valid_until, parts_.clock());
      outcome_.error = Error{Kind::rejected, "an earlier payment for this did not settle" + reason,
                             "nothing was paid; the command may be run again", "not_paid"};
      return save(PaymentStatus::rejected, outcome_.error);
  }
}

/// Finishes an earlier payment for the same request. False when it turned out that nothing was
/// paid, and nothing can be paid by it any more.
bool Flow::Run::finish_doubt(Row row, const Protocol& protocol, Method& method) {
  row_ = std::move(row);
  outcome_.row = row_;
  const auto why_not = send_again(protocol, method);
  if (why_not && why_not->kind == Kind::outcome_unknown) {
    // The wallet did not say. What it paid may still be handed in: it is not over.
    doubt("an earlier payment for this is still in doubt (" + why_not->message + ")", "in_doubt");
  } else if (why_not) {
    look_up_doubt(method, why_not->message);
  }
  end_row();
  return row_.status != PaymentStatus::rejected || is_still_valid();
}

/// Whether somebody could still move money with what was signed, as far as this machine's clock
/// knows. A rail that says no is not believed enough to sign again before that.
bool Flow::Run::is_still_valid() const {
  return !row_.paid.amount.is_zero() && parts_.clock() < row_.valid_until;
}

Outcome Flow::Run::resume(Row row) {
  resuming_ = true;
  protocol_ = protocol_named(row.protocol);
  Method* method = nullptr;
  for (Method* known : parts_.methods) {
    if (known->name() == row.method) method = known;
  }
  if (protocol_ == nullptr || method == nullptr) {
    return fail({Kind::unsupported, "this paycurl does not know " + printable(row.protocol) +
                                        " with " + printable(row.method)});
  }
  auto spender = parts_.spender(row.method);
  if (!spender) return fail(spender.error());
  spender_ = *spender;
  auto request = request_of(row);
  if (!request) return fail(request.error());
  request_ = std::move(*request);
  // Without the user's secrets the request would be another one: then only the rail can tell.
  can_resend_ = row.request && row.request->complete;
  if (auto ready = parts_.audience.prepare(); !ready) return fail(ready.error());
  auto mine = take_up(row);
  if (!mine && outcome_.row) {  // finished by now
    outcome_.payment = outcome_.row->status;
    return std::move(outcome_);
  }
  if (!mine) {
    outcome_.row = row;
    outcome_.payment = PaymentStatus::unknown;
    return fail({Kind::outcome_unknown, "another process is at payment " + row.id,
                 "see how it ended: paycurl payments show " + row.id, "in_flight"});
  }
  if (is_signing(*mine)) {
    row_ = std::move(*mine);
    settle_signing(*method);
    end_row();
    return std::move(outcome_);
  }
  if (mine->intent == "session" && can_resend_) {
    if (auto offer = offer_of(*mine, *method)) return pay_by_session(*offer, std::move(mine));
  }
  if (!finish_doubt(std::move(*mine), *protocol_, *method) && !outcome_.error) {
    outcome_.error =
        Error{Kind::rejected, "payment " + row_.id + " did not settle and cannot any more",
              "nothing was paid; the command may be run again", "not_paid"};
  }
  return std::move(outcome_);
}

}  // namespace paycurl
