#include "src/crypto/secp256k1.h"

#include <cstdlib>
#include <cstring>

#include <secp256k1.h>
#include <secp256k1_ecdh.h>
#include <secp256k1_extrakeys.h>
#include <secp256k1_recovery.h>
#include <secp256k1_schnorrsig.h>

#include "src/base/text.h"
#include "src/crypto/random.h"

namespace paycurl {
namespace {

/// Made at the first use, and randomised against side channels as the library asks for.
const secp256k1_context* curve() {
  static const secp256k1_context* const made = [] {
    auto* context = secp256k1_context_create(SECP256K1_CONTEXT_SIGN | SECP256K1_CONTEXT_VERIFY);
    const auto seed = random_array<32>();
    if (context == nullptr || secp256k1_context_randomize(context, seed.data()) != 1) std::abort();
    return context;
  }();
  return made;
}

ByteArray<64> without_prefix(const secp256k1_pubkey& key) {
  ByteArray<65> serialized{};
  std::size_t size = serialized.size();
  secp256k1_ec_pubkey_serialize(curve(), serialized.data(), &size, &key, SECP256K1_EC_UNCOMPRESSED);
  ByteArray<64> bytes{};
  std::memcpy(bytes.data(), serialized.data() + 1, bytes.size());
  return bytes;
}

Address address_of(const ByteArray<64>& public_key) {
  const Digest digest = keccak256(public_key);
  ByteArray<20> bytes{};
  std::memcpy(bytes.data(), digest.data() + 12, bytes.size());
  return Address(bytes);
}

}  // namespace

Result<Address> Address::parse(std::string_view text) {
  ByteArray<20> bytes{};
  if (!text.starts_with("0x") || !from_hex(text, bytes)) {
    return Error{Kind::protocol, "not an address: " + printable(text, 60)};
  }
  return Address(bytes);
}

std::string Address::checksummed() const {
  std::string hex = to_hex(bytes_);
  const Digest digest = keccak256(as_bytes(hex));
  for (std::size_t i = 0; i < hex.size(); ++i) {
    const int nibble = i % 2 == 0 ? digest[i / 2] >> 4 : digest[i / 2] & 15;
    if (nibble >= 8 && hex[i] >= 'a') hex[i] = static_cast<char>(hex[i] - 'a' + 'A');
  }
  return "0x" + hex;
}

ByteArray<65> Signature::bytes() const {
  ByteArray<65> all{};
  std::memcpy(all.data(), r.data(), 32);
  std::memcpy(all.data() + 32, s.data(), 32);
  all[64] = static_cast<std::uint8_t>(27 + parity);
  return all;
}

Result<PrivateKey> PrivateKey::parse(std::string_view hex) {
  hex = trimmed(hex);
  if (hex.starts_with("0x") || hex.starts_with("0X")) hex.remove_prefix(2);
  Secret secret;
  if (!from_hex(hex, secret.buffer().first(32)) || hex.size() != 64) {
    return Error{Kind::account, "a private key is 64 hex digits, this is something else"};
  }
  secret.resize(32);
  return from_bytes(secret.bytes());
}

Result<PrivateKey> PrivateKey::from_bytes(ByteView bytes) {
  if (bytes.size() != 32 || secp256k1_ec_seckey_verify(curve(), bytes.data()) != 1) {
    return Error{Kind::account, "this is no valid secp256k1 private key"};
  }
  Secret secret;
  secret.assign(bytes);
  return PrivateKey(std::move(secret));
}

PrivateKey PrivateKey::generate() {
  while (true) {
    Secret secret;
    random_bytes(secret.buffer().first(32));
    secret.resize(32);
    if (secp256k1_ec_seckey_verify(curve(), secret.bytes().data()) == 1) {
      return PrivateKey(std::move(secret));
    }
  }
}

Secret PrivateKey::hex() const {
  constexpr std::string_view kDigits = "0123456789abcdef";
  Secret text;
  const auto out = text.buffer();
  out[0] = '0';
  out[1] = 'x';
  for (std::size_t i = 0; i < 32; ++i) {
    out[2 + 2 * i] = static_cast<std::uint8_t>(kDigits[secret_.bytes()[i] >> 4]);
    out[3 + 2 * i] = static_cast<std::uint8_t>(kDigits[secret_.bytes()[i] & 15]);
  }
  text.resize(66);  // which zeroes the rest of the page
  return text;
}

ByteArray<64> PrivateKey::public_key() const {
  secp256k1_pubkey key;
  if (secp256k1_ec_pubkey_create(curve(), &key, secret_.bytes().data()) != 1) std::abort();
  return without_prefix(key);
}

Address PrivateKey::address() const {
  if (!address_) address_ = address_of(public_key());
  return *address_;
}

Signature PrivateKey::sign(const Digest& digest) const {
  secp256k1_ecdsa_recoverable_signature made;
  if (secp256k1_ecdsa_sign_recoverable(curve(), &made, digest.data(), secret_.bytes().data(),
                                       nullptr, nullptr) != 1) {
    std::abort();
  }
  ByteArray<64> compact{};
  int parity = 0;
  secp256k1_ecdsa_recoverable_signature_serialize_compact(curve(), compact.data(), &parity, &made);
  Signature signature{};
  std::memcpy(signature.r.data(), compact.data(), 32);
  std::memcpy(signature.s.data(), compact.data() + 32, 32);
  signature.parity = static_cast<std::uint8_t>(parity);
  return signature;
}

XOnlyKey PrivateKey::x_only_key() const {
  const ByteArray<64> point = public_key();
  XOnlyKey x{};
  std::memcpy(x.data(), point.data(), x.size());
  return x;
}

SchnorrSignature PrivateKey::sign_schnorr(const Digest& digest) const {
  secp256k1_keypair pair;
  SchnorrSignature signature{};
  const auto extra = random_array<32>();
  if (secp256k1_keypair_create(curve(), &pair, secret_.bytes().data()) != 1 ||
      secp256k1_schnorrsig_sign32(curve(), signature.data(), digest.data(), &pair, extra.data()) !=
          1) {
    std::abort();
  }
  wipe(&pair, sizeof pair);
  return signature;
}

Result<Secret> PrivateKey::shared_x(const XOnlyKey& peer) const {
  CompressedKey compressed{2};  // BIP 340's point: of the two with this x the one whose y is even
  std::memcpy(compressed.data() + 1, peer.data(), peer.size());
  const auto copy_x = [](unsigned char* out, const unsigned char* x, const unsigned char*, void*) {
    std::memcpy(out, x, 32);
    return 1;
  };
  secp256k1_pubkey point;
  Secret shared;
  if (secp256k1_ec_pubkey_parse(curve(), &point, compressed.data(), compressed.size()) != 1 ||
      secp256k1_ecdh(curve(), shared.buffer().data(), &point, secret_.bytes().data(), copy_x,
                     nullptr) != 1) {
    return Error{Kind::protocol, "this is no public key"};
  }
  shared.resize(32);
  return shared;
}

Result<CompressedKey> recover_key(const Digest& digest, const CompactSignature& signature,
                                  std::uint8_t recovery_id) {
  secp256k1_ecdsa_recoverable_signature parsed;
  secp256k1_pubkey key;
  if (recovery_id > 3 ||
      secp256k1_ecdsa_recoverable_signature_parse_compact(curve(), &parsed, signature.data(),
                                                          recovery_id) != 1 ||
      secp256k1_ecdsa_recover(curve(), &key, &parsed, digest.data()) != 1) {
    return Error{Kind::protocol, "not a signature"};
  }
  CompressedKey compressed{};
  std::size_t size = compressed.size();
  secp256k1_ec_pubkey_serialize(curve(), compressed.data(), &size, &key, SECP256K1_EC_COMPRESSED);
  return compressed;
}

bool verify_ecdsa(const Digest& digest, const CompactSignature& signature,
                  const CompressedKey& key) {
  secp256k1_ecdsa_signature parsed;
  secp256k1_pubkey point;
  return secp256k1_ec_pubkey_parse(curve(), &point, key.data(), key.size()) == 1 &&
         secp256k1_ecdsa_signature_parse_compact(curve(), &parsed, signature.data()) == 1 &&
         secp256k1_ecdsa_verify(curve(), &parsed, digest.data(), &point) == 1;
}

bool verify_schnorr(const Digest& digest, const SchnorrSignature& signature, const XOnlyKey& key) {
  secp256k1_xonly_pubkey point;
  return secp256k1_xonly_pubkey_parse(curve(), &point, key.data()) == 1 &&
         secp256k1_schnorrsig_verify(curve(), signature.data(), digest.data(), digest.size(),
                                     &point) == 1;
}

Result<Address> recover(const Digest& digest, const Signature& signature) {
  const ByteArray<65> all = signature.bytes();
  secp256k1_ecdsa_recoverable_signature parsed;
  secp256k1_pubkey key;
  if (signature.parity > 1 ||
      secp256k1_ecdsa_recoverable_signature_parse_compact(curve(), &parsed, all.data(),
                                                          signature.parity) != 1 ||
      secp256k1_ecdsa_recover(curve(), &key, &parsed, digest.data()) != 1) {
    return Error{Kind::protocol, "not a signature"};
  }
  return address_of(without_prefix(key));
}

}  // namespace paycurl
