// Closing prepaid sessions, and looking for the refund where it has to arrive: in the wallet.
#include <algorithm>
#include <thread>

#include "src/base/text.h"
#include "src/methods/lightning/session.h"

namespace paycurl::lightning {
namespace {

constexpr std::chrono::seconds kRefundPatience{10};
constexpr std::chrono::milliseconds kBetweenLooks{500};

std::optional<Amount> refund_told(const http::Answer& answer,
                                  const std::optional<Receipt>& receipt) {
  const auto body = Json::parse(answer.body);
  for (const Json* told : {body ? &*body : nullptr, receipt ? &receipt->json : nullptr}) {
    const Json* sats = told == nullptr ? nullptr : told->find("refundSats");
    const auto number = sats == nullptr ? std::nullopt : sats->integer();
    if (number && *number >= 0) return Amount(static_cast<std::uint64_t>(*number)).times(1000);
  }
  return std::nullopt;
}

}  // namespace

std::string Agreement::to_text() const {
  return Json::object({{"returnInvoice", return_invoice},
                       {"returnHash", to_hex(return_hash)},
                       {"method", http_method}})
      .canonical();
}

Result<Agreement> Agreement::parse(const std::string& text) {
  const Error bad{Kind::internal, "the journal does not say how the session was agreed"};
  const auto json = Json::parse(text);
  if (!json) return bad;
  auto invoice = json->string_at("returnInvoice");
  const auto hash = json->string_at("returnHash");
  auto method = json->string_at("method");
  Agreement agreement;
  if (!invoice || !hash || !method || !from_hex(*hash, agreement.return_hash)) return bad;
  agreement.return_invoice = std::move(*invoice);
  agreement.http_method = std::move(*method);
  return agreement;
}

Result<Credential> PrepaidBalance::close(const Channel& channel, const Challenge& challenge,
                                         Spender& spender) {
  if (!channel.opening.empty() && !was_never_paid(channel, spender)) {
    return Error{Kind::session, "a deposit for this session is not finished",
                 "finish it first: paycurl payments resume", "busy"};
  }
  auto preimage = wallet_.session_proof(spender, channel.id);
  if (!preimage) return preimage.error();
  return Credential{
      challenge,
      Json::object({{"action", "close"}, {"sessionId", channel.id}, {"preimage", *preimage}}), "",
      true, *preimage};
}

Result<Credential> PrepaidBalance::ask(const Channel& /*channel*/, const Challenge& /*challenge*/,
                                       Spender& /*spender*/) {
  return Error{Kind::unsupported, "a prepaid session tells its numbers only when it is used"};
}

std::string PrepaidBalance::close_method(const Channel& channel) const {
  const auto agreement = Agreement::parse(channel.descriptor);
  return agreement ? agreement->http_method : "GET";
}

/// What the server says it sent back is only believed when the wallet has it.
Result<Escrow::Ending> PrepaidBalance::ended(Channel& channel, const http::Answer& answer,
                                             const std::optional<Receipt>& receipt,
                                             Spender& spender) {
  const auto agreement = Agreement::parse(channel.descriptor);
  if (!agreement) return agreement.error();
  const auto node = wallet_.node(spender);
  if (!node) return node.error();
  const auto told = refund_told(answer, receipt);
  Ending ending;
  ending.reference = channel.id;
  if (wallet_.options().proofs) wallet_.options().proofs->forget(channel.id);
  const auto able = wallet_.info(spender);
  if (told && able && !(*able)->can_look_up) {  // the server's word is all that there is
    ending.returned = *told;
    channel.spent = channel.deposit.minus(*told).value_or(Amount());
    return ending;
  }
  if (told && told->is_zero()) {
    channel.spent = channel.deposit;
    return ending;
  }
  std::optional<Received> got;
  std::optional<Error> away;
  const auto end = std::chrono::steady_clock::now() + kRefundPatience;
  for (bool first = true; !got && (first || std::chrono::steady_clock::now() < end);
       first = false) {
    if (!first) std::this_thread::sleep_for(kBetweenLooks);
    const auto found = (*node)->received(agreement->return_hash);
    if (!found) away = found.error();
    if (found && *found && (*found)->settled) got = **found;
  }
  const Money claimed{told.value_or(channel.remaining()), channel.asset};
  if (got) {
    ending.returned = got->amount;
    channel.spent = channel.deposit.minus(got->amount).value_or(Amount());
  }
  if (!got || (told && got->amount < *told)) {
    ending.missing =
        Error{Kind::session,
              "the session is closed, and " + describe(claimed) +
                  " should have come back; the wallet has " +
                  (got ? describe({got->amount, channel.asset}) : "nothing of it") +
                  (away ? " (" + away->message + ")" : ""),
              "look for the invoice " + to_hex(agreement->return_hash) + " in the wallet",
              "refund_missing"};
  }
  return ending;
}

Result<std::string> PrepaidBalance::scope(const Challenge& challenge, const std::string& payer) {
  return scope_of(payer, challenge);
}

/// Whether the deposit that is on its way did not leave, and cannot any more.
bool PrepaidBalance::was_never_paid(const Channel& channel, Spender& spender) {
  if (wallet_.now() < channel.opening_until) return false;
  const auto hash = pending_hash(channel.opening);
  if (!hash) return false;
  const auto preimage = wallet_.find(spender, *hash, http::Duration(0));
  return !preimage && preimage.error().kind != Kind::outcome_unknown;
}

/// A session is over when its refund has arrived, or when its server told us so.
Result<std::vector<Escrow::Facts>> PrepaidBalance::look_at(const std::vector<Channel>& channels,
                                                           const SpenderOf& spender_of,
                                                           http::Client& /*client*/) {
  std::vector<Facts> all;
  for (const Channel& channel : channels) {
    Facts facts;
    facts.now = wallet_.now();
    facts.exists = channel.status != ChannelStatus::closed;
    facts.deposit = channel.deposit;
    facts.settled = channel.spent;
    const auto agreement = Agreement::parse(channel.descriptor);
    const auto spender = spender_of(channel);
    if (!agreement) return agreement.error();
    if (!spender) return spender.error();
    const auto node = wallet_.node(**spender);
    if (!node) return node.error();
    if (!channel.opening.empty()) {
      facts.undecided = !was_never_paid(channel, **spender);
      facts.exists = !(channel.status == ChannelStatus::opening && !facts.undecided);
    }
    const auto found = (*node)->received(agreement->return_hash);
    if (!found) return found.error();
    if (*found && (*found)->settled) {
      facts.exists = false;
      facts.settled = channel.deposit.minus((*found)->amount).value_or(Amount());
    }
    all.push_back(facts);
  }
  return all;
}

Result<std::string> PrepaidBalance::leave(const Channel& /*channel*/, bool /*withdraw*/,
                                          Spender& /*spender*/, http::Client& /*client*/) {
  return Error{Kind::unsupported, "a prepaid balance comes back only from its server",
               "servers close idle sessions by themselves; see later: paycurl sessions sync",
               "no_escrow"};
}

Result<std::vector<Channel>> PrepaidBalance::orphans(const std::string& /*payer*/,
                                                     http::Client& /*client*/) {
  return std::vector<Channel>();
}

Result<Channel> PrepaidBalance::from_mppx(const Json& /*file*/) {
  return Error{Kind::usage, "not a Lightning session"};
}

}  // namespace paycurl::lightning
