#include "src/methods/lightning/nodes/nwc_answer.h"

#include <algorithm>
#include <array>

#include "src/base/text.h"

namespace paycurl::lightning {
namespace {

using State = Payment::State;

constexpr std::size_t kLongestAnswer = 64 * 1024;

Error unreadable(std::string what) {
  return {Kind::protocol, "the wallet's answer " + std::move(what)};
}

/// A text member, "" when it is none.
std::string text_in(const Json& json, std::string_view key) {
  const Json* value = json.find(key);
  return value != nullptr && value->string() != nullptr ? *value->string() : "";
}

/// "settled", "pending", "failed", ...; wallets of before 2025 say it with settled_at alone.
std::string state_in(const Json& result) {
  if (auto state = text_in(result, "state"); !state.empty()) return state;
  const Json* settled = result.find("settled_at");
  const bool is_settled = settled != nullptr && settled->integer().value_or(0) > 0;
  return is_settled ? "settled" : "";
}

std::optional<Amount> amount_in(const Json& result, std::string_view key) {
  const auto value = result.optional_integer_at(key);
  if (!value || !*value || **value < 0) return std::nullopt;
  return Amount(static_cast<std::uint64_t>(**value));
}

Payment payment_in(State state, std::optional<Error> why = {}) {
  Payment payment;
  payment.state = state;
  payment.why = std::move(why);
  return payment;
}

}  // namespace

bool has_word(std::string_view text, std::string_view word) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find_first_of(" ,"), text.size());
    if (text.substr(0, end) == word) return true;
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return false;
}

std::optional<Amount> fee_in(const Json& result) {
  return amount_in(result, "fees_paid");
}

bool WalletAnswer::says_paid() const {
  return lower(message).find("already") != std::string::npos;
}

bool WalletAnswer::is_final() const {
  constexpr std::array<std::string_view, 7> kFinal{
      "INSUFFICIENT_BALANCE", "QUOTA_EXCEEDED",        "RESTRICTED", "UNAUTHORIZED", "RATE_LIMITED",
      "NOT_IMPLEMENTED",      "UNSUPPORTED_ENCRYPTION"};
  return std::find(kFinal.begin(), kFinal.end(), code) != kFinal.end() && !says_paid();
}

Error WalletAnswer::as_error() const {
  const std::string said = printable(message.empty() ? code : message);
  if (code == "INSUFFICIENT_BALANCE") {
    return {Kind::insufficient_funds, "the wallet has too little: " + said};
  }
  if (code == "QUOTA_EXCEEDED") {
    return {Kind::declined, "the wallet's budget for this connection is used up: " + said,
            "raise the budget in the wallet", "budget"};
  }
  if (code == "RESTRICTED" || code == "UNAUTHORIZED") {
    return {Kind::account, "the wallet does not permit that to this connection: " + said,
            "look at the connection's permissions in the wallet"};
  }
  if (code == "PAYMENT_FAILED") {
    return {Kind::backend, "the wallet could not pay: " + said, {}, "failed"};
  }
  return {Kind::backend,
          "the wallet refuses: " + said + " (" + printable(code, 40) + ")",
          {},
          "failed"};
}

Error WalletAnswer::as_no_invoices() const {
  constexpr std::array<std::string_view, 4> kCannot{"NOT_IMPLEMENTED", "RESTRICTED", "OTHER",
                                                    "BAD_REQUEST"};
  if (std::find(kCannot.begin(), kCannot.end(), code) == kCannot.end()) return as_error();
  return {Kind::unsupported,
          "the wallet makes no invoice without an amount: " +
              printable(message.empty() ? code : message),
          {},
          "no_invoices"};
}

Result<WalletAnswer> read_wallet_answer(std::string_view text, std::string_view method) {
  auto json = Json::parse(text, kLongestAnswer);
  if (!json || json->members() == nullptr) return unreadable("is no JSON object");
  if (text_in(*json, "result_type") != method) return unreadable("is for another question");
  WalletAnswer answer;
  const Json* error = json->find("error");
  if (error != nullptr && !error->is_null()) {
    if (error->members() == nullptr) return unreadable("has an error that cannot be read");
    answer.code = text_in(*error, "code");
    answer.message = text_in(*error, "message");
    if (answer.code.empty()) answer.code = "OTHER";
    return answer;
  }
  const Json* result = json->find("result");
  if (result == nullptr || result->members() == nullptr) return unreadable("has no result");
  answer.result = *result;
  return answer;
}

NodeInfo read_info(const Json& result, std::string_view advertised) {
  NodeInfo info;
  info.network = text_in(result, "network");
  info.name = text_in(result, "alias");
  info.id = text_in(result, "pubkey");
  constexpr std::array<std::string_view, 4> kNetworks{"mainnet", "testnet", "signet", "regtest"};
  if (std::find(kNetworks.begin(), kNetworks.end(), info.network) == kNetworks.end()) {
    info.network.clear();
  }
  const Json* listed = result.find("methods");
  const Json::Array* methods = listed == nullptr ? nullptr : listed->items();
  if (methods == nullptr && advertised.empty()) return info;
  const auto has = [&](std::string_view method) {
    if (methods == nullptr) return has_word(advertised, method);
    return std::any_of(methods->begin(), methods->end(), [&](const Json& one) {
      return one.string() != nullptr && *one.string() == method;
    });
  };
  info.can_pay = has("pay_invoice");
  info.can_invoice = has("make_invoice");
  info.can_look_up = has("lookup_invoice");
  return info;
}

Payment read_payment(const WalletAnswer& answer, const Digest& payment_hash) {
  if (answer.code == "NOT_FOUND") return payment_in(State::never);
  if (answer.refused()) {
    Error why = answer.as_error();
    const bool cannot = answer.code == "NOT_IMPLEMENTED" || answer.code == "RESTRICTED";
    if (cannot) why.reason = kNoLookUp;
    return payment_in(State::unknown, std::move(why));
  }
  const Json& result = answer.result;
  if (text_in(result, "type") == "incoming") {
    return payment_in(State::unknown,
                      unreadable("is about a payment to the wallet, not about one from it"));
  }
  if (const Json* hash = result.find("payment_hash"); hash != nullptr && !hash->is_null()) {
    if (hash->string() == nullptr || lower(*hash->string()) != to_hex(payment_hash)) {
      return payment_in(State::unknown, unreadable("is about another payment"));
    }
  }
  const std::string state = state_in(result);
  if (state == "settled") {
    return settled_with(text_in(result, "preimage"), payment_hash, fee_in(result));
  }
  if (state == "pending" || state == "accepted") return payment_in(State::in_flight);
  if (state == "failed") {
    return payment_in(State::failed,
                      Error{Kind::backend, "the wallet could not pay", {}, "failed"});
  }
  return payment_in(State::unknown, unreadable("does not tell where the payment stands"));
}

Result<std::optional<Received>> read_received(const WalletAnswer& answer) {
  if (answer.code == "NOT_FOUND") return std::optional<Received>();
  if (answer.refused()) return answer.as_error();
  if (text_in(answer.result, "type") == "outgoing") return std::optional<Received>();
  Received received;
  if (state_in(answer.result) != "settled") return std::optional(received);
  const auto amount = amount_in(answer.result, "amount");
  if (!amount) return unreadable("names no amount");
  received.settled = true;
  received.amount = *amount;
  return std::optional(received);
}

}  // namespace paycurl::lightning
