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

struct KeyFile {
  std::optional<Address> address;  ///< what the file says; some writers leave it out
  std::optional<Scrypt> scrypt;    ///< else PBKDF2 with `rounds`
  std::uint64_t rounds = 0;
  Bytes salt, iv, ciphertext, mac;
};

/// Reads the file's text. Kind::account when it is not version 3 or uses something else than the
/// definition allows.
Result<KeyFile> parse_key_file(std::string_view text);

/// Decrypts. Kind::account with reason "password" when the MAC does not fit, and when the key is
/// not that of the address in the file.
Result<PrivateKey> open_key_file(const KeyFile& file, const Secret& password);

/// Encrypts with scrypt, n = 131072: the file's text.
Result<std::string> seal_key_file(const PrivateKey& key, const Secret& password);

/// Reads a named file, at most 64 KiB.
Result<KeyFile> read_key_file(const std::string& path);

/// Writes a new file of mode 0600, synced before it gets its name; never over another (reason
/// "exists").
Result<> write_new_file(const std::string& path, std::string_view text);

}  // namespace paycurl
