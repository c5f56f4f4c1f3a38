// Credentials of MPP: what is accepted has a challenge that the protocol reads again from its echo.
#include "src/protocols/protocols.h"
#include "tests/fuzz/fuzz.h"

void paycurl::fuzz_one(std::string_view input) {
  static const auto mpp = make_mpp();
  for (const std::string& text : {std::string(input), to_base64url(as_bytes(input))}) {
    const auto credential = read_mpp_credential(text);
    if (!credential) continue;
    FUZZ_CHECK(credential->payload.members() != nullptr);
    const auto again = mpp->restore(credential->challenge.echo);
    FUZZ_CHECK(again.has_value());
    FUZZ_CHECK(again->id == credential->challenge.id);
    FUZZ_CHECK(again->request.canonical() == credential->challenge.request.canonical());
  }
}
