// RLP: what is accepted encodes to the same bytes, as a transaction's preimage too.
#include "src/evm/rlp.h"

#include "src/methods/tempo/transaction.h"
#include "tests/fuzz/fuzz.h"

void paycurl::fuzz_one(std::string_view input) {
  const auto bytes = as_bytes(input);
  if (const auto item = evm::Rlp::decode(bytes)) {
    const Bytes again = item->encode();
    FUZZ_CHECK(std::equal(again.begin(), again.end(), bytes.begin(), bytes.end()));
  }
  (void)tempo::complete(bytes, Address(), Signature{});
  (void)tempo::read_preimage(bytes);
}
