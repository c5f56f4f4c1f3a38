// Problem Details (RFC 9457): why a server refused.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "src/base/json.h"

namespace paycurl {

struct Problem {
  std::string type;  ///< the URI's last part where it is one of paymentauth.org's, else all of it
  std::string title;
  std::string detail;
  Json json;  ///< all of it

  /// "title: detail" for a person, safe for a terminal.
  std::string text() const;
};

/// Reads an answer's body; nothing when it is no problem object.
std::optional<Problem> parse_problem(std::string_view body);

}  // namespace paycurl
