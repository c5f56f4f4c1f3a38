// The checks of what a challenge asks for: the drafts of the charge intent and of its methods.
#include <algorithm>

#include "src/base/money.h"
#include "src/base/text.h"
#include "src/validation/endpoint.h"

namespace paycurl::validation {
namespace {

std::string shown(const Json* value) {
  return value == nullptr ? "nothing" : value->dump();
}

bool is_hex(const Json* value, std::size_t bytes) {
  if (value == nullptr || value->string() == nullptr) return false;
  const std::string& text = *value->string();
  return text.starts_with("0x") && text.size() == 2 + 2 * bytes && from_hex(text).has_value();
}

std::optional<Amount> amount_of(const Json* value) {
  return value == nullptr || value->string() == nullptr ? std::nullopt
                                                        : Amount::parse(*value->string());
}

bool is_currency_code(const Json* value) {
  if (value == nullptr || value->string() == nullptr || value->string()->size() != 3) return false;
  const std::string code = lower(*value->string());
  return std::all_of(code.begin(), code.end(), [](char c) { return c >= 'a' && c <= 'z'; });
}

/// Splits: addresses, amounts above zero, and a rest for the recipient.
std::string splits_defect(const Json& splits, const std::optional<Amount>& total) {
  if (splits.items() == nullptr || splits.items()->empty()) return "no list with entries";
  Amount sum;
  for (const Json& split : *splits.items()) {
    const auto amount = amount_of(split.find("amount"));
    if (!is_hex(split.find("recipient"), 20)) return "recipient " + shown(split.find("recipient"));
    if (!amount || amount->is_zero()) return "amount " + shown(split.find("amount"));
    const Json* memo = split.find("memo");
    if (memo != nullptr && !is_hex(memo, 32)) return "memo " + shown(memo);
    const auto more = sum.plus(*amount);
    if (!more) return "amounts that are too large";
    sum = *more;
  }
  return total && sum >= *total ? sum.decimal() + " of " + total->decimal() : "";
}

void check_tempo(const Json& request, const Json& details, Report& report) {
  const Json* chain = details.find("chainId");
  if (chain != nullptr) {
    const auto number = chain->integer();
    report.check("request.chain", number && *number > 0, "a positive integer", shown(chain));
  }
  if (const Json* payer = details.find("feePayer")) {
    report.check("request.fee-payer", payer->boolean() != nullptr, "true or false", shown(payer));
  }
  if (const Json* memo = details.find("memo")) {
    report.check("request.memo", is_hex(memo, 32), "0x and 64 digits", shown(memo));
  }
  if (const Json* modes = details.find("supportedModes")) {
    const auto* items = modes->items();
    const bool fine =
        items != nullptr && !items->empty() &&
        std::all_of(items->begin(), items->end(), [](const Json& mode) {
          return mode.string() != nullptr && (*mode.string() == "pull" || *mode.string() == "push");
        });
    report.check("request.modes", fine, "pull, push", shown(modes));
  }
  if (const Json* splits = details.find("splits")) {
    const std::string defect = splits_defect(*splits, amount_of(request.find("amount")));
    report.check("request.splits", defect.empty(), "less than the amount, to addresses", defect);
  }
}

void check_stripe(const Json& details, Report& report) {
  const Json* network = details.find("networkId");
  report.check("request.stripe-network",
               network != nullptr && network->string() != nullptr && !network->string()->empty(),
               "a text", shown(network));
  const Json* types = details.find("paymentMethodTypes");
  report.check("request.stripe-types",
               types != nullptr && types->items() != nullptr && !types->items()->empty(), "a list",
               shown(types));
}

}  // namespace

void check_terms(const Challenge& challenge, const std::vector<Method*>& methods, Report& report) {
  const std::size_t before = report.count(Status::fail) + report.count(Status::warn);
  const Json& request = challenge.request;
  static const Json nothing = Json::object();
  const Json* own = request.find("methodDetails");
  const Json& details = own == nullptr ? nothing : *own;
  const Json* amount = request.find("amount");
  const Json* currency = request.find("currency");
  const bool is_evm = challenge.method == "tempo" || challenge.method == "evm";
  const bool is_known = is_evm || challenge.method == "stripe" || challenge.method == "lightning";
  const bool is_text = amount != nullptr && amount->string() != nullptr;
  report.check("request.amount", is_known ? amount_of(amount).has_value() : is_text,
               is_known ? "a text of digits" : "a text", shown(amount));
  if (is_evm) {
    report.check("request.currency", is_hex(currency, 20), "a token's address", shown(currency));
    report.check("request.recipient", is_hex(request.find("recipient"), 20), "an address",
                 shown(request.find("recipient")));
  } else if (challenge.method == "stripe") {
    report.check("request.currency", is_currency_code(currency), "a code of three letters",
                 shown(currency));
  } else {
    report.check("request.currency", currency != nullptr && currency->string() != nullptr, "a text",
                 shown(currency));
  }
  report.check("request.expires", request.find("expires") == nullptr, "no expires",
               shown(request.find("expires")));
  if (challenge.method == "tempo") check_tempo(request, details, report);
  if (challenge.method == "stripe") check_stripe(details, report);
  if (challenge.method == "evm") {
    const Json* chain = details.find("chainId");
    const auto number = chain == nullptr ? std::nullopt : chain->integer();
    report.check("request.chain", number && *number > 0, "a positive integer", shown(chain));
  }
  if (report.count(Status::fail) + report.count(Status::warn) != before) return;
  const auto method = std::find_if(methods.begin(), methods.end(), [&](const Method* one) {
    return one->name() == challenge.method;
  });
  if (method == methods.end()) {
    return report.skip("request.terms", "paycurl does not know the method " + challenge.method);
  }
  const auto refusal = (*method)->refusal(challenge);
  if (refusal && refusal->reason == "malformed") {
    return report.fault("request.terms", "terms that can be paid", refusal->text);
  }
  if (refusal) return report.skip("request.terms", refusal->text);
  report.pass("request.terms");
}

}  // namespace paycurl::validation
