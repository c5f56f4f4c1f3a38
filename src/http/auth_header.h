// The grammar of WWW-Authenticate.
//
//   WWW-Authenticate = #challenge                                      RFC 9110 section 11.6.1
//   challenge        = auth-scheme [ 1*SP ( token68 / #auth-param ) ]  section 11.3
//   auth-param       = token BWS "=" BWS ( token / quoted-string )     section 11.2
//
// A list of challenges and the list of parameters of one use the same comma; a token that is not
// followed by "=" starts the next challenge.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace paycurl::http {

struct AuthChallenge {
  std::string scheme;   ///< lower case
  std::string token68;  ///< instead of parameters
  std::vector<std::pair<std::string, std::string>>
      params;          ///< names in lower case, values unquoted
  std::string defect;  ///< why this one cannot be used: a parameter twice, broken quoting...

  const std::string* find(std::string_view name) const;
};

/// Reads one field value. A defect spoils the challenge it stands in and no other. Values are
/// UTF-8: bytes that are not are taken as Latin-1, and `\uXXXX` inside quotes is the letter it
/// names, as real servers write letters that a header field cannot carry.
std::vector<AuthChallenge> parse_auth_header(std::string_view field);

}  // namespace paycurl::http
