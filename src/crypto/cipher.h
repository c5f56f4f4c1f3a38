// What an encrypted key file needs: key derivation, AES in counter mode, comparison in constant
// time.
#pragma once

#include "src/base/bytes.h"
#include "src/base/secret.h"

namespace paycurl {

/// RFC 7914. Parameters that break its rules or ask for more than 1 GiB are an error of kind
/// account.
struct Scrypt {
  std::uint64_t n;
  std::uint64_t r;
  std::uint64_t p;
};
Result<Secret> derive_scrypt(const Secret& password, ByteView salt, const Scrypt& cost);

/// RFC 8018 with HMAC-SHA-256; at most 10^7 rounds.
Result<Secret> derive_pbkdf2(const Secret& password, ByteView salt, std::uint64_t rounds);

/// AES-128 in counter mode: encrypts and decrypts. `key` has 16 bytes, `iv` 16, `out` as many as
/// `in`.
Result<> aes128_ctr(ByteView key, ByteView iv, ByteView in, std::span<std::uint8_t> out);

/// Whether two digests are equal, in a time that does not tell where they differ.
bool equal_constant_time(ByteView a, ByteView b);

}  // namespace paycurl
