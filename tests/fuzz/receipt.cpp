// Payment-Receipt.
#include "src/base/text.h"
#include "src/protocols/protocols.h"
#include "tests/fuzz/fuzz.h"

void paycurl::fuzz_one(std::string_view input) {
  static const auto mpp = make_mpp();
  http::Head head;
  head.headers.add("payment-receipt", std::string(input));
  const auto receipt = mpp->receipt(head);
  if (!receipt) return;
  FUZZ_CHECK(receipt->has_value());
  FUZZ_CHECK(*(*receipt)->json.string_at("reference") == (*receipt)->reference);
  const std::string shown = printable((*receipt)->reference);
  for (const char c : shown)
    FUZZ_CHECK(static_cast<unsigned char>(c) >= 0x20 && c != 0x7f);
}
