// Encrypted files of keys and other secrets: parsing only, the key derivation has its own limits.
#include "wallet/key_file.h"

#include "tests/fuzz/fuzz.h"

void paycurl::fuzz_one(std::string_view input) {
  if (const auto secret = parse_secret_file(input, "lightning-wallet")) {
    FUZZ_CHECK(secret->iv.size() == 16 && secret->mac.size() == 32);
    FUZZ_CHECK(!secret->ciphertext.empty() && secret->ciphertext.size() <= Secret::kCapacity);
    FUZZ_CHECK(!parse_key_file(input));
  }
  const auto file = parse_key_file(input);
  if (!file) return;
  FUZZ_CHECK(file->iv.size() == 16 && file->ciphertext.size() == 32 && file->mac.size() == 32);
  FUZZ_CHECK(file->scrypt.has_value() != (file->rounds != 0));
}
