// Key derivation, ciphers, message authentication, comparison in constant time: what encrypted key
// files and encrypted messages are made of.
#pragma once

#include "src/base/bytes.h"
#include "src/base/secret.h"
#include "src/crypto/hash.h"

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

/// RFC 8439's ChaCha20 from block 0: encrypts and decrypts. `key` has 32 bytes.
Bytes chacha20(ByteView key, const ByteArray<12>& nonce, ByteView in);

/// AES-256 in CBC mode with PKCS #7's padding. `key` has 32 bytes, `iv` 16. Kind::protocol when
/// that is no cipher text of this key.
Bytes encrypt_aes256_cbc(ByteView key, ByteView iv, ByteView in);
Result<Bytes> decrypt_aes256_cbc(ByteView key, ByteView iv, ByteView in);

/// RFC 2104 with SHA-256.
Digest hmac_sha256(ByteView key, ByteView message);

/// RFC 5869 with SHA-256: a key from a shared secret, and from that `size` bytes for one use, at
/// most Secret::kCapacity.
Secret hkdf_extract(ByteView salt, ByteView secret);
Secret hkdf_expand(ByteView key, ByteView info, std::size_t size);

/// Whether two digests are equal, in a time that does not tell where they differ.
bool equal_constant_time(ByteView a, ByteView b);

}  // namespace paycurl
