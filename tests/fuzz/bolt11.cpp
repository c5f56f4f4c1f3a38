// Lightning invoices. The input is one as it stands; its groups of five bits are another with a
// checksum, and with a checksum and a signature, since chance finds neither.
#include "src/methods/lightning/bolt11.h"

#include "src/base/text.h"
#include "src/methods/lightning/bech32.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/methods/bolt11_encoder.h"

namespace {

using namespace paycurl;

void check(std::string_view text) {
  const auto invoice = lightning::read_invoice(text);
  if (!invoice) {
    FUZZ_CHECK(invoice.error().kind == Kind::protocol && invoice.error().reason == "malformed");
    return;
  }
  FUZZ_CHECK(invoice->text.size() <= lightning::kMaxInvoice);
  FUZZ_CHECK(lower(text).ends_with(invoice->text));
  FUZZ_CHECK(invoice->description.has_value() != invoice->description_hash.has_value());
  FUZZ_CHECK(!invoice->amount || (!invoice->amount->is_zero() && *invoice->amount <= UINT64_MAX));
  FUZZ_CHECK(invoice->created >= 0 && invoice->created <= invoice->expires);
  FUZZ_CHECK(parse_rfc3339(format_rfc3339(invoice->expires)) == invoice->expires);
  const auto again = lightning::read_invoice(invoice->text);
  FUZZ_CHECK(again && again->text == invoice->text && again->amount == invoice->amount &&
             again->payment_hash == invoice->payment_hash && again->payee == invoice->payee);
}

}  // namespace

void paycurl::fuzz_one(std::string_view input) {
  check(input);
  const std::size_t separator = input.rfind('1');
  if (separator == std::string_view::npos || separator == 0) return;
  const std::string prefix{input.substr(0, separator)};
  Bytes groups;
  for (const char c : input.substr(separator + 1)) {
    constexpr std::string_view kAlphabet = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
    const std::size_t known = kAlphabet.find(c);
    groups.push_back(
        static_cast<std::uint8_t>(known < 32 ? known : static_cast<unsigned char>(c) & 31));
  }
  check(test::write_bech32(prefix, groups));
  const Bytes bytes = lightning::packed(groups);
  if (const auto back = lightning::unpacked(groups)) FUZZ_CHECK(test::grouped(*back) == groups);
  FUZZ_CHECK(bytes.size() == (groups.size() * 5 + 7) / 8);
  const Bytes signature = test::signature_groups(prefix, groups);
  groups.insert(groups.end(), signature.begin(), signature.end());
  check(test::write_bech32(prefix, groups));
}
