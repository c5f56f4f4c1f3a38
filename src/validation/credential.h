// Credentials that are not what a server should take, made for asking what it does with them.
#pragma once

#include <string>
#include <string_view>

#include "src/base/json.h"
#include "src/http/message.h"
#include "src/validation/endpoint.h"

namespace paycurl::validation {

/// Puts "Payment <base64url of json>" into the field that the challenge names.
void attach(http::Request& request, std::string_view field, const Json& credential);

/// The credential with one parameter of its challenge replaced.
Json with_parameter(const Json& credential, std::string_view name, std::string value);

/// Another request parameter: the same terms for an amount of 1, or of 2 where 1 is asked.
std::string cheaper_request(const Challenge& challenge);

/// Another id of the same length and characters.
std::string other_id(const std::string& id);

}  // namespace paycurl::validation
