#include "tests/unit/methods/bolt11_encoder.h"

#include <cstdlib>

#include "src/base/money.h"
#include "src/crypto/secp256k1.h"

namespace paycurl::test {
namespace {

constexpr std::string_view kAlphabet = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";

const PrivateKey& key() {
  static const PrivateKey made = *PrivateKey::from_bytes(Bytes(32, 0x42));
  return made;
}

Bytes joined(ByteView a, ByteView b) {
  Bytes all(a.begin(), a.end());
  all.insert(all.end(), b.begin(), b.end());
  return all;
}

/// The shortest way to write an amount.
std::string written(std::uint64_t msat) {
  struct Unit {
    std::uint64_t size;
    const char* letter;
  };
  for (const Unit unit :
       {Unit{100'000'000'000, ""}, Unit{100'000'000, "m"}, Unit{100'000, "u"}, Unit{100, "n"}}) {
    if (msat % unit.size == 0) return std::to_string(msat / unit.size) + unit.letter;
  }
  return std::to_string(msat) + "0p";
}

/// n - s, which verifies as s does.
ByteArray<32> other_half(const ByteArray<32>& s) {
  const auto order = from_hex("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141");
  return Amount::from_big_endian(*order)->minus(*Amount::from_big_endian(s))->big_endian();
}

}  // namespace

Bytes test_payee() {
  const auto point = key().public_key();
  Bytes compressed{static_cast<std::uint8_t>(2 + (point.back() & 1))};
  compressed.insert(compressed.end(), point.begin(), point.begin() + 32);
  return compressed;
}

Bytes grouped(ByteView bytes) {
  Bytes groups((bytes.size() * 8 + 4) / 5);
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    const int value = bytes[bit / 8] >> (7 - bit % 8) & 1;
    groups[bit / 5] |= static_cast<std::uint8_t>(value << (4 - bit % 5));
  }
  return groups;
}

Bytes grouped(std::uint64_t number, std::size_t size) {
  Bytes groups;
  for (; number > 0 || groups.size() < size; number >>= 5) {
    groups.insert(groups.begin(), static_cast<std::uint8_t>(number & 31));
  }
  return groups;
}

std::string write_bech32(const std::string& prefix, ByteView groups, std::uint32_t checksum) {
  // BIP 173: the remainder of a division of polynomials over GF(32).
  Bytes values;
  for (const char c : prefix) {
    values.push_back(static_cast<std::uint8_t>(c >> 5));
  }
  values.push_back(0);
  for (const char c : prefix) {
    values.push_back(static_cast<std::uint8_t>(c & 31));
  }
  values.insert(values.end(), groups.begin(), groups.end());
  values.resize(values.size() + 6);
  std::uint32_t sum = 1;
  for (const std::uint8_t value : values) {
    const std::uint32_t top = sum >> 25;
    sum = (sum & 0x1ffffff) << 5 ^ value;
    if ((top & 1) != 0) sum ^= 0x3b6a57b2;
    if ((top & 2) != 0) sum ^= 0x26508e6d;
    if ((top & 4) != 0) sum ^= 0x1ea119fa;
    if ((top & 8) != 0) sum ^= 0x3d4233dd;
    if ((top & 16) != 0) sum ^= 0x2a1462b3;
  }
  sum ^= checksum;
  std::string text = prefix + "1";
  for (const std::uint8_t group : groups) {
    text += kAlphabet.at(group);
  }
  for (int shift = 25; shift >= 0; shift -= 5) {
    text += kAlphabet.at(sum >> shift & 31);
  }
  return text;
}

Bytes signature_groups(const std::string& prefix, ByteView groups, const InvoiceFields& defects) {
  Bytes message(prefix.begin(), prefix.end());
  std::uint32_t pending = 0;
  int bits = 0;
  for (const std::uint8_t group : groups) {
    pending = pending << 5 | group;
    bits += 5;
    if (bits < 8) continue;
    bits -= 8;
    message.push_back(static_cast<std::uint8_t>(pending >> bits));
  }
  if (bits > 0) message.push_back(static_cast<std::uint8_t>(pending << (8 - bits)));

  Signature made = key().sign(sha256(message));
  if (defects.high_s) {
    made.s = other_half(made.s);
    made.parity ^= 1;
  }
  Bytes signature = joined(made.r, made.s);
  signature[0] ^= defects.signature_flip;
  signature.push_back(defects.recovery_id.value_or(made.parity));
  return grouped(signature);
}

std::string encode(const InvoiceFields& fields) {
  Bytes groups = grouped(static_cast<std::uint64_t>(fields.created), 7);
  const auto add = [&](char letter, const Bytes& content) {
    const std::size_t tag = kAlphabet.find(letter);
    if (tag == std::string_view::npos || content.size() > 1023) std::abort();
    groups.push_back(static_cast<std::uint8_t>(tag));
    groups.push_back(static_cast<std::uint8_t>(content.size() / 32));
    groups.push_back(static_cast<std::uint8_t>(content.size() % 32));
    groups = joined(groups, content);
  };
  const auto wanted = [&](char letter) { return fields.without.find(letter) == std::string::npos; };
  if (wanted('p')) add('p', grouped(fields.payment_hash));
  if (wanted('s')) add('s', grouped(Bytes(32, 0x11)));
  if (fields.description && wanted('d')) add('d', grouped(as_bytes(*fields.description)));
  if (fields.description_hash) add('h', grouped(*fields.description_hash));
  if (fields.expiry) add('x', grouped(*fields.expiry));
  if (wanted('9')) add('9', {16, 8, 0});  // features 8 and 14
  for (const TaggedField& field : fields.extra) {
    add(field.letter, field.groups);
  }
  const std::string amount = fields.amount ? *fields.amount
                             : fields.msat ? written(*fields.msat)
                                           : "";
  const std::string prefix = fields.prefix + amount;
  return write_bech32(prefix, joined(groups, signature_groups(prefix, groups, fields)),
                      fields.checksum);
}

}  // namespace paycurl::test
