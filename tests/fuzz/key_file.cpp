// Encrypted key files: parsing only, the key derivation has its own limits.
#include "wallet/key_file.h"

#include "tests/fuzz/fuzz.h"

void paycurl::fuzz_one(std::string_view input) {
  const auto file = parse_key_file(input);
  if (!file) return;
  FUZZ_CHECK(file->iv.size() == 16 && file->ciphertext.size() == 32 && file->mac.size() == 32);
  FUZZ_CHECK(file->scrypt.has_value() != (file->rounds != 0));
}
