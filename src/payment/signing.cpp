// A credential for a request that somebody else makes.
#include "src/payment/identity.h"
#include "src/payment/run.h"

namespace paycurl {

Outcome Flow::Run::sign(const http::Answer& answer) {
  signing_ = true;
  request_.method = "sign";  // in the journal, where requests have GET and the like
  request_.url = answer.url;
  outcome_.challenged = true;
  outcome_.offers = read_offers(answer);
  const auto found = choose(outcome_.offers, parts_.has_account);
  const Offer* chosen = found ? *found : nullptr;
  outcome_.chosen = chosen == nullptr ? 0 : chosen->number;
  parts_.audience.offers(outcome_.offers, chosen);
  if (!found) return fail(found.error());
  if (options_.stop_at_offers) return std::move(outcome_);
  protocol_ = protocol_named(chosen->challenge->protocol);
  const auto spender = parts_.spender(std::string(chosen->method->name()));
  if (!spender) return fail(spender.error());
  spender_ = *spender;
  if (auto ready = parts_.audience.prepare(); !ready) return fail(ready.error());
  if (auto unlocked = spender_->unlock(); !unlocked) return fail(unlocked.error());
  if (take_earlier_signing(*chosen)) return std::move(outcome_);
  if (auto begun = begin_signing(*chosen); !begun) return fail(begun.error());
  if (const auto credential = make_credential(*chosen)) hand_out(*credential);
  return std::move(outcome_);
}

/// Everything that can stop the payment, before the signature.
Result<> Flow::Run::begin_signing(const Offer& offer) {
  if (auto first = refuse_second_payment(offer); !first) return first;
  if (auto completed = complete_quote(offer); !completed) return completed;
  if (auto approved = parts_.approve(offer, spender_->payer()); !approved) return approved;
  // Confirming can take longer than an offer lives.
  if (const auto refusal = offer.method->refusal(*offer.challenge)) {
    return Error{Kind::protocol, "the offer cannot be paid any more: " + refusal->text,
                 "ask the server for a new one", refusal->reason};
  }
  auto row = new_row(offer, spender_->payer());
  if (!row) return row.error();
  row->identity = identity_of_signing(*offer.challenge, row->payer);
  row->request.reset();
  spender_->begin(std::move(*row));
  return {};
}

/// Takes up an earlier signing of this challenge whose end nobody knows: true when the outcome says
/// what came of it, false when there is none, or it can no longer move money.
bool Flow::Run::take_earlier_signing(const Offer& offer) {
  Ledger& journal = spender_->ledger();
  auto doubts = journal.in_doubt(identity_of_signing(*offer.challenge, spender_->payer().address));
  if (!doubts) {
    set_error(doubts.error());
    return true;
  }
  for (const Row& row : *doubts) {
    auto mine = take_up(row);
    if (!mine) continue;
    row_ = std::move(*mine);
    outcome_.row = row_;
    if (auto approved = parts_.approve(offer, spender_->payer()); !approved) {
      set_error(approved.error());
      journal.release(row_.seq);
      return true;
    }
    const auto credential = offer.method->rebuild(*offer.challenge, row_, *spender_, true);
    if (credential) {
      parts_.audience.note("payment " + row_.id + " of an earlier run, once more");
      hand_out(*credential);
    } else if (credential.error().kind == Kind::outcome_unknown) {
      doubt(credential.error().message, "in_doubt");
    } else {
      settle_signing(*offer.method);
    }
    journal.release(row_.seq);
    if (row_.status != PaymentStatus::rejected || is_still_valid()) return true;
    outcome_.error.reset();
    outcome_.row.reset();
    outcome_.payment = PaymentStatus::none;
  }
  return false;
}

/// A challenge is paid once. Where the proof of the payment can be had again, paying it costs
/// nothing.
Result<> Flow::Run::refuse_second_payment(const Offer& offer) {
  const auto before =
      spender_->ledger().settled(identity_of_signing(*offer.challenge, spender_->payer().address));
  if (!before) return before.error();
  if (!*before || (*before)->paid.amount.is_zero()) return {};
  if (offer.method->settle(**before, *spender_, parts_.client).can_prove) return {};
  return Error{Kind::declined, "this challenge was paid by payment " + (*before)->id,
               "ask the server for a new one", "already_paid"};
}

/// The credential goes to the user. Nothing is in doubt about one that moves no money.
void Flow::Run::hand_out(const Credential& credential) {
  http::Request request;
  request.url = request_.url;
  if (auto attached = protocol_->attach(credential, request); !attached) {
    return doubt(attached.error().message, "no_answer");
  }
  hide(credential);
  outcome_.error.reset();
  outcome_.credential = *request.headers.begin();
  parts_.audience.paying(row_);
  events_.push_back({parts_.clock(), "sent"});
  save(row_.paid.amount.is_zero() ? PaymentStatus::settled : PaymentStatus::unknown, std::nullopt);
}

/// Whether somebody handed the credential in, the rail knows.
void Flow::Run::settle_signing(Method& method) {
  const Settlement found = method.settle(row_, *spender_, parts_.client);
  const std::string why = found.why ? " (" + found.why->message + ")" : "";
  outcome_.row = row_;
  switch (found.state) {
    case Settlement::State::settled:
      row_.reference = found.reference;
      return save(PaymentStatus::settled, std::nullopt);
    case Settlement::State::open:
      return doubt("payment " + row_.id + " was signed, and nobody has used it so far" + why,
                   "in_doubt");
    case Settlement::State::never:
      if (found.is_final) row_.valid_until = std::min(row_.valid_until, parts_.clock());
      outcome_.error =
          Error{Kind::rejected, "payment " + row_.id + " was signed and never used" + why,
                "nothing was paid, and it cannot settle any more", "not_paid"};
      return save(PaymentStatus::rejected, outcome_.error);
  }
}

}  // namespace paycurl
