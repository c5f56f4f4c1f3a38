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

 private:
  explicit PrivateKey(Secret secret) : secret_(std::move(secret)) {}
  Secret secret_;
  mutable std::optional<Address> address_;  // once it was asked for
};

/// The address whose key made `signature`. An impossible signature is an error.
Result<Address> recover(const Digest& digest, const Signature& signature);

}  // namespace paycurl
