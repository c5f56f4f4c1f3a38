#include "src/methods/lightning/bolt11.h"

#include <algorithm>
#include <array>

#include "src/base/text.h"
#include "src/crypto/secp256k1.h"
#include "src/methods/lightning/bech32.h"

namespace paycurl::lightning {
namespace {

constexpr std::size_t kTimeGroups = 7;
constexpr std::size_t kSignatureGroups = 104;
constexpr std::uint64_t kDefaultExpiry = 3600;

Error malformed(std::string_view what) {
  return {Kind::protocol, "not a valid invoice: " + std::string(what), {}, "malformed"};
}

struct Prefix {
  std::string_view text, network;
};
// Longer ones before those that they start with.
constexpr std::array<Prefix, 4> kPrefixes{
    {{"lnbcrt", "regtest"}, {"lnbc", "mainnet"}, {"lntbs", "signet"}, {"lntb", "testnet"}}};

/// The tagged fields that a payer reads, by their numbers.
enum Tag : std::uint8_t {
  payment_hash = 1,
  features = 5,
  expiry = 6,
  description = 13,
  payment_secret = 16,
  payee = 19,
  description_hash = 23,
};
struct Field {
  Tag tag;
  char letter;
  std::size_t groups;  ///< that it has to have; 0: any number
};
constexpr std::array<Field, 7> kFields{{{payment_hash, 'p', 52},
                                        {features, '9', 0},
                                        {expiry, 'x', 0},
                                        {description, 'd', 0},
                                        {payment_secret, 's', 52},
                                        {payee, 'n', 53},
                                        {description_hash, 'h', 52}}};
using Fields = std::array<std::optional<ByteView>, 32>;

/// What stands between prefix and data. The rules for writers (no zero, no leading zero) are kept
/// too: wallets differ in what they take such an amount for.
Result<std::optional<Amount>> read_amount(std::string_view text) {
  if (text.empty()) return std::optional<Amount>();
  std::uint64_t factor = 100'000'000'000;  // millisatoshi in one bitcoin
  std::uint64_t divisor = 1;
  const std::string_view digits = text.substr(0, text.size() - 1);
  switch (text.back()) {
    case 'm':
      factor /= 1'000;
      break;
    case 'u':
      factor /= 1'000'000;
      break;
    case 'n':
      factor /= 1'000'000'000;
      break;
    case 'p':
      factor = 1;
      divisor = 10;
      break;
    default:
      break;
  }
  const bool multiplied = text.back() < '0' || text.back() > '9';
  if (multiplied && factor == 100'000'000'000) return malformed("its amount's unit is unknown");
  const auto number = Amount::parse(multiplied ? digits : text);
  if (!number || number->is_zero()) return malformed("its amount is no positive number");
  const auto scaled = number->times(factor);
  if (!scaled) return malformed("its amount is too large");
  const auto [amount, rest] = scaled->divided_by(divisor);
  if (rest != 0) return malformed("its amount is not a whole number of millisatoshi");
  if (amount > Amount(UINT64_MAX)) return malformed("its amount is too large");
  return std::optional<Amount>(amount);
}

/// Finds the fields that are read here. All others, and numbers that have no meaning yet, are
/// skipped, as BOLT 11 says.
///
/// One of p, h, s or n that has another length is refused, and so is a second one of any field that
/// is read. BOLT 11 says both in different places, to skip such a field and to fail; a payer must
/// fail, else it checks one payment hash while its wallet pays another.
Result<Fields> find_fields(ByteView groups) {
  Fields fields;
  while (!groups.empty()) {
    if (groups.size() < 3) return malformed("a field runs over its end");
    const std::uint8_t tag = groups[0];
    const std::size_t size = std::size_t{groups[1]} * 32 + groups[2];
    groups = groups.subspan(3);
    if (size > groups.size()) return malformed("a field runs over its end");
    const ByteView content = groups.first(size);
    groups = groups.subspan(size);
    const auto* known = std::find_if(kFields.begin(), kFields.end(),
                                     [&](const Field& field) { return field.tag == tag; });
    if (known == kFields.end()) continue;
    const std::string name = std::string("its field ") + known->letter;
    if (known->groups != 0 && size != known->groups) {
      return malformed(name + " has the wrong length");
    }
    if (fields[tag]) return malformed(name + " is there twice");
    fields[tag] = content;
  }
  return fields;
}

/// Fills `out` from a field that is there.
template <std::size_t N>
Result<> read_bytes(ByteView groups, ByteArray<N>& out) {
  const auto bytes = unpacked(groups);
  if (!bytes || bytes->size() != N) return malformed("a field has bits that belong to nothing");
  std::copy(bytes->begin(), bytes->end(), out.begin());
  return {};
}

Result<> read_description(const Fields& fields, Invoice& invoice) {
  if (fields[description].has_value() == fields[description_hash].has_value()) {
    return malformed(fields[description] ? "it has both a description and the hash of one"
                                         : "it has neither a description nor the hash of one");
  }
  if (fields[description_hash]) {
    return read_bytes(*fields[description_hash], invoice.description_hash.emplace());
  }
  const auto bytes = unpacked(*fields[description]);
  if (!bytes) return malformed("its description has bits that belong to nothing");
  std::string text{as_text(*bytes)};
  if (valid_utf8(text) != text) return malformed("its description is not UTF-8");
  invoice.description = std::move(text);
  return {};
}

/// An odd bit may be ignored by who does not know it, an even one may not (BOLT 9).
Result<> check_features(ByteView groups) {
  constexpr std::array<std::size_t, 6> kKnown{8,    // onions of variable length
                                              14,   // payment secrets
                                              16,   // payments in parts
                                              24,   // blinded routes
                                              36,   // attribution of failures
                                              48};  // payment metadata
  for (std::size_t bit = 0; bit < groups.size() * 5; bit += 2) {
    const std::uint8_t group = groups[groups.size() - 1 - bit / 5];
    if ((group >> bit % 5 & 1) == 0) continue;
    if (std::find(kKnown.begin(), kKnown.end(), bit) == kKnown.end()) {
      return malformed("it needs feature " + std::to_string(bit) + ", which is unknown here");
    }
  }
  return {};
}

/// The number that `groups` are, at most `limit`.
std::uint64_t number_of(ByteView groups, std::uint64_t limit) {
  std::uint64_t number = 0;
  for (const std::uint8_t group : groups) {
    number = std::min(number << 5 | group, limit);
  }
  return number;
}

Result<> read_times(ByteView time, const std::optional<ByteView>& lifetime, Invoice& invoice) {
  if (lifetime && !lifetime->empty() && lifetime->front() == 0) {
    return malformed("its expiry is not in its shortest form");
  }
  const auto created = static_cast<std::int64_t>(number_of(time, kLastSecond));
  const auto seconds =
      static_cast<std::int64_t>(lifetime ? number_of(*lifetime, kLastSecond) : kDefaultExpiry);
  invoice.created = created * 1000;
  invoice.expires = std::min(created + seconds, kLastSecond) * 1000;
  return {};
}

/// Fills Invoice::payee. The library refuses a high S when a key is given, and takes one when the
/// key is recovered: both as BOLT 11 asks for.
Result<> verify(const Bech32& parts, const std::optional<ByteView>& key, Invoice& invoice) {
  const ByteView all = parts.groups;
  Bytes message(parts.prefix.begin(), parts.prefix.end());
  const Bytes data = packed(all.first(all.size() - kSignatureGroups));
  message.insert(message.end(), data.begin(), data.end());
  const Digest digest = sha256(message);
  const Bytes bytes = packed(all.last(kSignatureGroups));
  CompactSignature signature{};
  std::copy_n(bytes.begin(), signature.size(), signature.begin());
  if (bytes.back() > 3) return malformed("its signature cannot be");
  if (!key) {
    const auto recovered = recover_key(digest, signature, bytes.back());
    if (!recovered) return malformed("its signature cannot be");
    invoice.payee = *recovered;
    return {};
  }
  if (auto read = read_bytes(*key, invoice.payee); !read) return read;
  if (!verify_ecdsa(digest, signature, invoice.payee)) {
    return malformed("its signature is not the payee's");
  }
  return {};
}

}  // namespace

Result<Invoice> read_invoice(std::string_view text) {
  constexpr std::string_view kScheme = "lightning:";
  if (equals_ignoring_case(text.substr(0, kScheme.size()), kScheme)) {
    text.remove_prefix(kScheme.size());
  }
  if (text.size() > kMaxInvoice) return malformed("it is longer than 8 KiB");
  const auto parts = read_bech32(text);
  if (!parts) return malformed(parts.error().message);

  Invoice invoice;
  invoice.text = lower(text);
  const auto* prefix = std::find_if(kPrefixes.begin(), kPrefixes.end(), [&](const Prefix& known) {
    return parts->prefix.starts_with(known.text);
  });
  if (prefix == kPrefixes.end()) return malformed("its network is unknown");
  invoice.network = prefix->network;
  auto amount = read_amount(std::string_view(parts->prefix).substr(prefix->text.size()));
  if (!amount) return amount.error();
  invoice.amount = *amount;

  const ByteView groups = parts->groups;
  if (groups.size() < kTimeGroups + kSignatureGroups) return malformed("it is too short");
  const auto fields =
      find_fields(groups.subspan(kTimeGroups, groups.size() - kTimeGroups - kSignatureGroups));
  if (!fields) return fields.error();
  if (!(*fields)[payment_hash]) return malformed("it has no payment hash");
  if (!(*fields)[payment_secret]) return malformed("it has no payment secret");
  Digest secret{};
  Result<> good = read_bytes(*(*fields)[payment_hash], invoice.payment_hash);
  if (good) good = read_bytes(*(*fields)[payment_secret], secret);
  if (good) good = read_description(*fields, invoice);
  if (good) good = check_features((*fields)[features].value_or(ByteView()));
  if (good) good = read_times(groups.first(kTimeGroups), (*fields)[expiry], invoice);
  if (good) good = verify(*parts, (*fields)[payee], invoice);
  if (!good) return good.error();
  return invoice;
}

}  // namespace paycurl::lightning
