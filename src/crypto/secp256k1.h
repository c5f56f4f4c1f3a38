// Keys and signatures on secp256k1, and the Ethereum address of a key.
#pragma once

#include <optional>

#include "src/base/bytes.h"
#include "src/base/secret.h"
#include "src/crypto/hash.h"

namespace paycurl {

/// An Ethereum address: the last 20 bytes of the Keccak-256 of the public key.
class Address {
 public:
  Address() = default;
  explicit Address(ByteArray<20> bytes) : bytes_(bytes) {}

  /// Reads "0x" and 40 hex digits of any case. Checksums are not looked at: servers send wrong ones
  /// (EIP-55 is for people), and what we print is always ours.
  static Result<Address> parse(std::string_view text);

  const ByteArray<20>& bytes() const { return bytes_; }
  bool is_zero() const { return *this == Address(); }
  bool operator==(const Address&) const = default;
  auto operator<=>(const Address&) const = default;

  std::string checksummed() const;  ///< EIP-55
  std::string lower_hex() const { return to_0x(bytes_); }

 private:
  ByteArray<20> bytes_{};
};

/// An ECDSA signature with the parity that recovers its key. s is in the lower half.
struct Signature {
  ByteArray<32> r;
  ByteArray<32> s;
  std::uint8_t parity;  ///< 0 or 1

  /// r, s and v = 27 + parity: 65 bytes.
  ByteArray<65> bytes() const;
};

/// A public key without the sign of its y (BIP 340).
using XOnlyKey = ByteArray<32>;
using SchnorrSignature = ByteArray<64>;

/// A private key: 32 bytes between 1 and the order of the curve.
class PrivateKey {
 public:
  /// Reads 64 hex digits, with or without "0x", in any case, with white space around. What is wrong
  /// is said without a digit of it. The bytes never leave locked memory.
  static Result<PrivateKey> parse(std::string_view hex);
  static Result<PrivateKey> from_bytes(ByteView bytes);
  static PrivateKey generate();

  const Secret& secret() const { return secret_; }
  /// "0x" and 64 hex digits, with a NUL behind them.
  Secret hex() const;
  ByteArray<64> public_key() const;  ///< x and y, without the leading 04
  Address address() const;
  /// Deterministic (RFC 6979 with SHA-256): the same digest gives the same bytes again.
  Signature sign(const Digest& digest) const;
  /// The public key of BIP 340: its x alone.
  XOnlyKey x_only_key() const;
  /// BIP 340, with fresh random bytes each time.
  SchnorrSignature sign_schnorr(const Digest& digest) const;
  /// The x of the point that both keys' owners know (Diffie-Hellman), not hashed. Kind::protocol
  /// when `peer` is no key.
  Result<Secret> shared_x(const XOnlyKey& peer) const;

 private:
  explicit PrivateKey(Secret secret) : secret_(std::move(secret)) {}
  Secret secret_;
  mutable std::optional<Address> address_;  // once it was asked for
};

/// r and s, 32 bytes each.
using CompactSignature = ByteArray<64>;
/// A public key as 02 or 03 and its x.
using CompressedKey = ByteArray<33>;

/// The key that made `signature`; s may be in either half. `recovery_id` is 0 to 3. An impossible
/// signature is an error.
Result<CompressedKey> recover_key(const Digest& digest, const CompactSignature& signature,
                                  std::uint8_t recovery_id);

/// Whether `key` made `signature`. One with s in the upper half is refused.
bool verify_ecdsa(const Digest& digest, const CompactSignature& signature,
                  const CompressedKey& key);

/// Whether `key` made `signature`, BIP 340.
bool verify_schnorr(const Digest& digest, const SchnorrSignature& signature, const XOnlyKey& key);

/// The address whose key made `signature`. An impossible signature is an error.
Result<Address> recover(const Digest& digest, const Signature& signature);

}  // namespace paycurl
