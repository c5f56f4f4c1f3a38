// The JSON objects of --format json (OUTPUT FORMATS in man/paycurl.1), version 1.
#pragma once

#include "src/base/error.h"
#include "src/base/json.h"
#include "src/payment/flow.h"
#include "wallet/accounts.h"

namespace paycurl {

/// {"paycurl":1}, to which a command adds its members.
Json envelope();
/// The same with "error".
Json failed(const Error& error);

Json money_json(const Money& money);
Json money_list(const std::vector<Money>& list);
/// An E object. `outcome` adds what is known of the payment.
Json error_json(const Error& error, const Outcome* outcome = nullptr);
/// A P object. `now` decides whether the kept body is still there.
Json payment_json(const Row& row, Millis now);
Json offer_json(const Offer& offer);
/// An S object.
Json channel_json(const Channel& channel);
Json account_json(const Account& account);
Json request_json(const http::Request& request);

/// Text of a journal row that holds JSON, as JSON; null when there is none.
Json stored_json(const std::optional<std::string>& text);

}  // namespace paycurl
