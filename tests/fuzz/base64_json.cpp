// base64url and JSON, as challenges and credentials carry them: one text for one value.
#include "src/base/bytes.h"
#include "src/base/json.h"
#include "tests/fuzz/fuzz.h"

void paycurl::fuzz_one(std::string_view input) {
  if (const auto bytes = from_base64url(input)) {
    std::string_view bare = input;
    while (bare.ends_with('='))
      bare.remove_suffix(1);
    FUZZ_CHECK(to_base64url(*bytes) == bare);
  }
  const auto json = Json::parse(input);
  if (!json) return;
  const std::string written = json->dump();
  const auto again = Json::parse(written, 1 << 22);
  FUZZ_CHECK(again.has_value());
  FUZZ_CHECK(again->dump() == written);
  const std::string canonical = json->canonical();
  const auto third = Json::parse(canonical, 1 << 22);
  FUZZ_CHECK(third.has_value() && third->canonical() == canonical);
}
