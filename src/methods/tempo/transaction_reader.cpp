#include "src/methods/tempo/transaction_reader.h"

#include <algorithm>

namespace paycurl::tempo {
namespace {

using evm::Rlp;

constexpr std::uint8_t kType = 0x76;
constexpr std::uint8_t kFeePayerType = 0x78;
constexpr std::size_t kUnsigned = 13;  // fields, without keyAuthorization and signature
constexpr std::size_t kFeeToken = 10;
constexpr std::size_t kFeePayer = 11;
constexpr std::size_t kKeyAuthorization = 13;
constexpr std::size_t kMaxCalls = 32;

Error malformed(const std::string& why) {
  return {Kind::protocol, "not a Tempo transaction: " + why, "", "malformed"};
}

/// A number of at most `size` bytes in its shortest form.
std::optional<Amount> read_number(const Rlp& item, std::size_t size) {
  const Bytes& content = item.content();
  const bool minimal = content.empty() || content.front() != 0;
  if (item.is_list() || content.size() > size || !minimal) return std::nullopt;
  return Amount::from_big_endian(content);
}

std::optional<std::uint64_t> read_word(const Rlp& item) {
  if (!read_number(item, sizeof(std::uint64_t))) return std::nullopt;
  std::uint64_t value = 0;
  for (const std::uint8_t byte : item.content()) {
    value = value << 8 | byte;
  }
  return value;
}

std::optional<Address> read_address(ByteView bytes) {
  ByteArray<20> address{};
  if (bytes.size() != address.size()) return std::nullopt;
  std::copy(bytes.begin(), bytes.end(), address.begin());
  return Address(address);
}

std::optional<ByteArray<32>> read_32(ByteView bytes) {
  ByteArray<32> out{};
  if (bytes.size() > out.size()) return std::nullopt;
  std::copy(bytes.begin(), bytes.end(), out.end() - static_cast<std::ptrdiff_t>(bytes.size()));
  return out;
}

/// s in the lower half of the order, so that nobody else can write the same signature differently.
bool has_low_s(const Signature& signature) {
  ByteArray<32> half{};
  (void)from_hex("7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0", half);
  return signature.s <= half;
}

Digest digest_of(std::uint8_t type, const Rlp& fields) {
  Bytes all{type};
  const Bytes encoded = fields.encode();
  all.insert(all.end(), encoded.begin(), encoded.end());
  return keccak256(all);
}

Result<> read_calls(const Rlp& field, SignedTransaction& into) {
  if (!field.is_list() || field.items().empty() || field.items().size() > kMaxCalls) {
    return malformed("it has no calls, or too many");
  }
  for (const Rlp& item : field.items()) {
    if (!item.is_list() || item.items().size() != 3) return malformed("a call has other fields");
    const Rlp& to = item.items()[0];
    const auto value = read_number(item.items()[1], 32);
    const Rlp& input = item.items()[2];
    SignedTransaction::Call call{read_address(to.content()), value.value_or(Amount()),
                                 input.content()};
    const bool makes = into.calls.empty() && !to.is_list() && to.content().empty();
    if (to.is_list() || input.is_list() || !value || (!call.to && !makes)) {
      return malformed("a call is to nobody, or has a field of another form");
    }
    into.calls.push_back(std::move(call));
  }
  return {};
}

Result<> read_fields(const std::vector<Rlp>& fields, SignedTransaction& into) {
  const auto chain = read_word(fields[0]);
  const auto priority_fee = read_number(fields[1], 16);
  const auto max_fee = read_number(fields[2], 16);
  const auto gas = read_word(fields[3]);
  const auto nonce_key = read_number(fields[6], 32);
  const auto nonce = read_word(fields[7]);
  const auto valid_before = read_word(fields[8]);
  const auto valid_after = read_word(fields[9]);
  const Rlp& fee_token = fields[kFeeToken];
  if (!chain || !priority_fee || !max_fee || !gas || !nonce_key || !nonce || !valid_before ||
      !valid_after) {
    return malformed("a number is too long, or not in its shortest form");
  }
  if (!fields[5].is_list() || !fields[12].is_list()) return malformed("a list is missing");
  into.chain = *chain;
  into.priority_fee = *priority_fee;
  into.max_fee = *max_fee;
  into.gas = *gas;
  into.nonce_key = *nonce_key;
  into.nonce = *nonce;
  into.valid_before = *valid_before;
  into.valid_after = *valid_after;
  into.access_list = fields[5].items().size();
  into.authorizations = fields[12].items().size();
  into.fee_token = read_address(fee_token.content());
  if (fee_token.is_list() || (!into.fee_token && !fee_token.content().empty())) {
    return malformed("its fee token is not an address");
  }
  return read_calls(fields[4], into);
}

/// r, s and v, v being 27 or 28, or 0 or 1 as nodes take it too.
std::optional<Signature> read_signature(ByteView bytes) {
  if (bytes.size() != 65) return std::nullopt;
  const std::uint8_t v = bytes[64];
  const bool known = v == 0 || v == 1 || v == 27 || v == 28;
  Signature signature{*read_32(bytes.first(32)), *read_32(bytes.subspan(32, 32)),
                      static_cast<std::uint8_t>(v >= 27 ? v - 27 : v)};
  return known && has_low_s(signature) ? std::optional(signature) : std::nullopt;
}

/// The account of a key that is written as x and y.
std::optional<Address> owner_of(ByteView key) {
  const Digest digest = keccak256(key);
  return read_address(ByteView(digest).subspan(12));
}

/// Whose signature it is, and of which kind: the first byte tells, but for secp256k1, which has its
/// size. Only that kind is verified, against the digest that the sender signed.
Result<> read_sender(ByteView bytes, const Digest& signed_digest, SignedTransaction& into) {
  std::optional<Address> sender;
  if (const auto signature = read_signature(bytes)) {
    const auto recovered = recover(signed_digest, *signature);
    if (recovered) sender = *recovered;
    into.signature = "secp256k1";
    into.verified = sender.has_value();
  } else if (bytes.size() == 130 && bytes[0] == 0x01 && bytes[129] <= 1) {
    into.signature = "p256";
    sender = owner_of(bytes.subspan(65, 64));
  } else if (bytes.size() > 1 + 128 && bytes.size() <= 2049 && bytes[0] == 0x02) {
    into.signature = "webauthn";
    sender = owner_of(bytes.last(64));
  } else if (bytes.size() > 1 + 20 && bytes.size() <= 2070 && bytes[0] == 0x04) {
    into.signature = "keychain";
    sender = read_address(bytes.subspan(1, 20));
  }
  if (!sender) return malformed("its signature is not one that the chain takes");
  into.sender = *sender;
  return {};
}

/// [parity, r, s] over the fields with the fee token and the sender's address.
std::optional<Address> read_fee_payer(const Rlp& field, Rlp fields, const Address& sender) {
  if (!field.is_list() || field.items().size() != 3) return std::nullopt;
  const auto parity = read_word(field.items()[0]);
  const bool right = parity && *parity <= 1 && read_number(field.items()[1], 32) &&
                     read_number(field.items()[2], 32);
  if (!right) return std::nullopt;
  const Signature signature{*read_32(field.items()[1].content()),
                            *read_32(field.items()[2].content()),
                            static_cast<std::uint8_t>(*parity)};
  if (!has_low_s(signature)) return std::nullopt;
  fields.items()[kFeePayer] = Rlp::address(sender);
  const auto payer = recover(digest_of(kFeePayerType, fields), signature);
  return payer ? std::optional(*payer) : std::nullopt;
}

/// Who is to pay the fee: the sender, somebody who has signed, or somebody who has not yet.
struct FeePayer {
  bool is_other = false, has_signed = false;
  std::optional<Address> sender;  ///< as a hand-off names it
};

Result<FeePayer> read_fee_payer_field(const Rlp& field, SignedTransaction& into) {
  const bool is_hand_off = into.type == kFeePayerType;
  const bool marked = !field.is_list() && field.content() == Bytes{0x00};
  FeePayer payer;
  payer.has_signed = field.is_list() && !is_hand_off;
  payer.is_other = is_hand_off || marked || payer.has_signed;
  if (is_hand_off && !field.is_list()) payer.sender = read_address(field.content());
  if (is_hand_off && !payer.sender) return malformed("it does not name its sender");
  if (!payer.is_other && !field.content().empty()) {
    return malformed("its fee payer is no signature");
  }
  into.awaits_fee_payer = is_hand_off || marked;
  if (into.awaits_fee_payer && into.fee_token) {
    return malformed("it names the token of a fee that another account pays");
  }
  return payer;
}

/// As nodes hash it: with 27 or 28 for 0 or 1 at the end of a signature on secp256k1.
Digest hash_of(ByteView bytes, std::string_view signature) {
  if (signature != "secp256k1" || bytes.back() >= 27) return keccak256(bytes);
  Bytes canonical(bytes.begin(), bytes.end());
  canonical.back() = static_cast<std::uint8_t>(canonical.back() + 27);
  return keccak256(canonical);
}

/// Reads the signatures over `fields`, which are all but the sender's.
Result<> read_signatures(Rlp fields, ByteView signature, SignedTransaction& into) {
  const Rlp field = fields.items()[kFeePayer];
  const auto payer = read_fee_payer_field(field, into);
  if (!payer) return payer.error();
  Rlp own = fields;  // as the sender signed them
  if (payer->is_other) {
    own.items()[kFeeToken] = Rlp::bytes({});
    own.items()[kFeePayer] = Rlp::bytes(Bytes{0x00});
  }
  auto sender = read_sender(signature, digest_of(kType, own), into);
  if (!sender) return sender;
  if (payer->sender && *payer->sender != into.sender) {
    return malformed("its sender did not sign it");
  }
  if (!payer->has_signed) return {};
  into.fee_payer = read_fee_payer(field, std::move(fields), into.sender);
  return into.fee_payer ? Result<>() : malformed("its fee payer's signature is none");
}

}  // namespace

Result<SignedTransaction> read_transaction(ByteView bytes) {
  const bool known = !bytes.empty() && (bytes[0] == kType || bytes[0] == kFeePayerType);
  if (!known || bytes.size() > kMaxTransaction) {
    return malformed(known ? "it is too long" : "it is of another type");
  }
  auto fields = Rlp::decode(bytes.subspan(1));
  if (!fields) return malformed(fields.error().message);
  const std::size_t count = fields->items().size();
  if (count == kUnsigned) return malformed("it is not signed");
  if (count != kUnsigned + 1 && count != kUnsigned + 2) return malformed("it has other fields");
  const Rlp signature = std::move(fields->items().back());
  fields->items().pop_back();
  SignedTransaction transaction;
  transaction.type = bytes[0];
  transaction.authorizes_key = count == kUnsigned + 2;
  if (signature.is_list() ||
      (transaction.authorizes_key && !fields->items()[kKeyAuthorization].is_list())) {
    return malformed("its signature or its key authorization is of another form");
  }
  if (auto read = read_fields(fields->items(), transaction); !read) return read.error();
  auto read = read_signatures(std::move(*fields), signature.content(), transaction);
  if (!read) return read.error();
  transaction.hash = hash_of(bytes, transaction.signature);
  return transaction;
}

}  // namespace paycurl::tempo
