// What users see of offers before one is paid: --inspect, --dry-run, --confirm.
#pragma once

#include "commands/request_options.h"
#include "src/base/json.h"
#include "src/payment/flow.h"
#include "wallet/accounts.h"

namespace paycurl {

/// The object of --inspect.
Json inspect_json(const http::Request& request, const Outcome& outcome);

/// The offer that would be paid; nullptr when there is none.
const Offer* chosen_offer(const Outcome& outcome);

struct QuoteParts {
  const Offer& offer;  ///< with a quote
  const Account& payer;
  const Limits& limits;
  const std::vector<Money>& spent;  ///< in this invocation
  http::Client* client;             ///< nullptr: the balance is not looked up
};
/// The quote of --dry-run: who would pay how much of what they have. Kind::insufficient_funds when
/// that is not enough, Kind::backend when nobody knows.
Result<Json> quote_json(const QuoteParts& parts);
/// The same in a line for people; empty for null.
std::string describe_quote(const Json& quote);

/// --confirm, and a price that rose: asks at the terminal. Kind::declined when the answer is no or
/// nobody can be asked. A higher price that the user agrees to is noted in `limits`.
Result<> confirm_payment(const Globals& globals, const RequestOptions& options, const Offer& offer,
                         const Payer& payer, Limits& limits);

}  // namespace paycurl
