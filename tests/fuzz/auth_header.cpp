// The WWW-Authenticate grammar. What is accepted and written again is read as the same.
#include "src/http/auth_header.h"

#include <string>

#include "src/base/text.h"
#include "tests/fuzz/fuzz.h"

void paycurl::fuzz_one(std::string_view input) {
  std::string written;
  std::size_t good = 0;
  const auto challenges = http::parse_auth_header(input);
  for (const auto& challenge : challenges) {
    if (!challenge.defect.empty()) continue;
    ++good;
    FUZZ_CHECK(!challenge.scheme.empty() && challenge.scheme == lower(challenge.scheme));
    FUZZ_CHECK(challenge.token68.empty() || challenge.params.empty());
    written += (written.empty() ? "" : ", ") + challenge.scheme;
    if (!challenge.token68.empty()) written += " " + challenge.token68;
    for (std::size_t i = 0; i < challenge.params.size(); ++i) {
      const auto& [name, value] = challenge.params[i];
      FUZZ_CHECK(valid_utf8(value) == value);
      written += (i == 0 ? " " : ", ") + name + "=\"";
      for (const char c : value)
        written += c == '"' || c == '\\' ? std::string("\\") + c : std::string(1, c);
      written += "\"";
    }
  }
  const auto again = http::parse_auth_header(written);
  FUZZ_CHECK(again.size() == good);
  std::size_t at = 0;
  for (const auto& challenge : challenges) {
    if (!challenge.defect.empty()) continue;
    FUZZ_CHECK(again[at].defect.empty() && again[at].scheme == challenge.scheme);
    FUZZ_CHECK(again[at].token68 == challenge.token68 && again[at].params == challenge.params);
    ++at;
  }
}
