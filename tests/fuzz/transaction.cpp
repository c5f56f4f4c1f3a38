// Signed Tempo transactions. Written again from its fields, what is accepted is the same bytes; and
// nobody can change one byte of a verified one and keep its sender.
#include "src/methods/tempo/charge.h"
#include "src/methods/tempo/transaction_reader.h"
#include "tests/fuzz/fuzz.h"

void paycurl::fuzz_one(std::string_view input) {
  const auto bytes = as_bytes(input);
  (void)tempo::read_transfer_call(bytes);
  const auto found = tempo::read_transaction(bytes);
  if (!found) return;
  const auto again = evm::Rlp::decode(bytes.subspan(1))->encode();
  FUZZ_CHECK(std::equal(again.begin(), again.end(), bytes.begin() + 1, bytes.end()));
  FUZZ_CHECK(!found->calls.empty() && found->calls.size() <= 32);
  FUZZ_CHECK(found->verified == (found->signature == "secp256k1"));
  FUZZ_CHECK(!found->fee_payer || !found->awaits_fee_payer);
  if (!found->verified || bytes.size() < 8) return;
  Bytes other(bytes.begin(), bytes.end());
  other[other.size() - 2] ^= 1;  // of s
  const auto changed = tempo::read_transaction(other);
  FUZZ_CHECK(!changed || changed->sender != found->sender);
}
