// Encrypted key files: Web3 Secret Storage, version 3, as geth, foundry's cast and others write
// them.
//
// The ciphertext is AES-128-CTR under the first half of a derived key; the MAC is Keccak-256 over
// the second half and the ciphertext.
#pragma once

#include <optional>
#include <string>

#include "src/base/bytes.h"
#include "src/crypto/cipher.h"
#include "src/crypto/secp256k1.h"

namespace paycurl {

/// What is encrypted, and how.
struct Sealed {
  std::optional<Scrypt> scrypt;  ///< else PBKDF2 with `rounds`
  std::uint64_t rounds = 0;
  Bytes salt, iv, ciphertext, mac;
};

struct KeyFile : Sealed {
  std::optional<Address> address;  ///< what the file says; some writers leave it out
};

/// Reads the file's text. Kind::account when it is not version 3 or uses something else than the
/// definition allows.
Result<KeyFile> parse_key_file(std::string_view text);

/// Decrypts. Kind::account with reason "password" when the MAC does not fit, and when the key is
/// not that of the address in the file.
Result<PrivateKey> open_key_file(const KeyFile& file, const Secret& password);

/// What a new file costs whoever tries passwords: 128 MiB and half a second each.
inline constexpr Scrypt kFileCost{131072, 8, 1};

/// Encrypts with scrypt: the file's text.
Result<std::string> seal_key_file(const PrivateKey& key, const Secret& password,
                                  const Scrypt& cost = kFileCost);

/// Reads the text of another secret's file, which is for `purpose`:
/// {"paycurlSecret":1,"purpose":"...","crypto":{as in a key file}}. Kind::account otherwise.
Result<Sealed> parse_secret_file(std::string_view text, std::string_view purpose);

/// Decrypts. Kind::account with reason "password" when the MAC, which covers the purpose too, does
/// not fit.
Result<Secret> open_secret_file(const Sealed& file, std::string_view purpose,
                                const Secret& password);

/// Encrypts as `seal_key_file` does: the file's text.
Result<std::string> seal_secret_file(const Secret& secret, std::string_view purpose,
                                     const Secret& password, const Scrypt& cost = kFileCost);

/// The text of a file, which the parsers above refuse when it is longer than 64 KiB.
Result<std::string> read_small_file(const std::string& path);

/// Reads a named key file.
Result<KeyFile> read_key_file(const std::string& path);

/// Writes a new file of mode 0600, synced before it gets its name; never over another (reason
/// "exists").
Result<> write_new_file(const std::string& path, std::string_view text);

}  // namespace paycurl
