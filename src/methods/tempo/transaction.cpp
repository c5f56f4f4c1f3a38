#include "src/methods/tempo/transaction.h"

#include <algorithm>
#include <cstring>

#include "src/crypto/random.h"

namespace paycurl::tempo {
namespace {

using evm::Rlp;

constexpr std::uint8_t kType = 0x76;
constexpr std::uint8_t kHandOffType = 0x78;
constexpr std::size_t kFields = 13;
constexpr std::size_t kMaxFee = 2;
constexpr std::uint64_t kGwei = 1'000'000'000;
// Above the base fee of every hard fork: 20 gwei at first, at most 12 since TIP-1067. Three
// transfers to new accounts then reserve less than the default --max-fee of 0.02.
constexpr std::uint64_t kUsualMaxFee = 22 * kGwei;
constexpr std::uint64_t kPriorityFee = 1 * kGwei;
constexpr std::uint64_t kValidity = 25;  // seconds; the chain refuses more than 30
constexpr std::size_t kValidBefore = 8;
constexpr std::size_t kFeeToken = 10;
constexpr std::size_t kFeePayerSignature = 11;

Bytes typed(std::uint8_t type, const Rlp& fields) {
  const Bytes encoded = fields.encode();
  Bytes all{type};
  all.insert(all.end(), encoded.begin(), encoded.end());
  return all;
}

Error no_preimage() {
  return {Kind::internal, "this is no unsigned Tempo transaction"};
}

Result<Rlp> fields_of(ByteView preimage) {
  if (preimage.empty() || preimage.front() != kType) return no_preimage();
  auto fields = Rlp::decode(preimage.subspan(1));
  if (!fields || !fields->is_list() || fields->items().size() != kFields) return no_preimage();
  return fields;
}

/// The mark that leaves the fee to whoever signs field 11 later: the byte 00.
Rlp sponsor_mark() {
  return Rlp::bytes(Bytes{0x00});
}

bool is_sponsored(const Rlp& fields) {
  return fields.items()[kFeePayerSignature].content() == sponsor_mark().content();
}

}  // namespace

Amount expiring_nonce_key() {
  ByteArray<32> ones{};
  ones.fill(0xff);
  return *Amount::from_big_endian(ones);
}

Amount usual_max_fee() {
  return kUsualMaxFee;
}

Amount affordable_max_fee(std::uint64_t gas, Amount fee) {
  const auto bid = fee.times(1'000'000'000'000).value_or(Amount()).divided_by(gas).quotient;
  return bid.is_zero() ? usual_max_fee() : std::min(bid, usual_max_fee());
}

// calc_gas_balance_spending
Amount most_fee(std::uint64_t gas, Amount max_fee) {
  const auto [whole, rest] = max_fee.times(gas).value_or(Amount()).divided_by(1'000'000'000'000);
  return rest == 0 ? whole : *whole.plus(1);
}

Transaction expiring_transaction(std::uint64_t chain, std::vector<Call> calls, std::uint64_t gas,
                                 Millis now, const std::optional<Millis>& expires) {
  const auto seconds = static_cast<std::uint64_t>(now / 1000);
  std::uint64_t random = 0;
  const auto bytes = random_array<8>();
  std::memcpy(&random, bytes.data(), sizeof random);
  Transaction transaction;
  transaction.chain = chain;
  transaction.priority_fee = kPriorityFee;
  transaction.max_fee = usual_max_fee();
  transaction.gas = gas;
  transaction.calls = std::move(calls);
  transaction.nonce_key = expiring_nonce_key();
  transaction.valid_before = seconds + kValidity;
  if (expires) {
    transaction.valid_before =
        std::min(transaction.valid_before, static_cast<std::uint64_t>(*expires / 1000));
  }
  transaction.valid_after = 1 + random % (seconds - 61);
  return transaction;
}

Bytes signing_preimage(const Transaction& transaction) {
  Rlp calls = Rlp::list();
  for (const Call& call : transaction.calls) {
    calls.items().push_back(
        Rlp::list({Rlp::address(call.to), Rlp::integer(call.value), Rlp::bytes(call.input)}));
  }
  const bool names_fee_token = transaction.fee_token && !transaction.sponsored;
  return typed(
      kType,
      Rlp::list({Rlp::integer(transaction.chain), Rlp::integer(transaction.priority_fee),
                 Rlp::integer(transaction.max_fee), Rlp::integer(transaction.gas), std::move(calls),
                 transaction.access_list, Rlp::integer(transaction.nonce_key),
                 Rlp::integer(transaction.nonce), Rlp::integer(transaction.valid_before),
                 Rlp::integer(transaction.valid_after),
                 names_fee_token ? Rlp::address(*transaction.fee_token) : Rlp::bytes({}),
                 transaction.sponsored ? sponsor_mark() : Rlp::bytes({}), Rlp::list()}));
}

Result<Bytes> complete(ByteView preimage, const Address& sender, const Signature& signature) {
  auto fields = fields_of(preimage);
  if (!fields) return fields.error();
  Rlp& fee_payer = fields->items()[kFeePayerSignature];
  const bool sponsored = is_sponsored(*fields);
  if (sponsored) fee_payer = Rlp::address(sender);
  fields->items().push_back(Rlp::bytes(signature.bytes()));
  return typed(sponsored ? kHandOffType : kType, *fields);
}

Result<PreimageFacts> read_preimage(ByteView preimage) {
  const auto fields = fields_of(preimage);
  if (!fields) return fields.error();
  const auto max_fee = Amount::from_big_endian(fields->items()[kMaxFee].content());
  const Bytes& valid_before = fields->items()[kValidBefore].content();
  if (!max_fee || valid_before.size() > 8) return no_preimage();
  PreimageFacts facts{*max_fee, 0, is_sponsored(*fields), std::nullopt};
  ByteArray<20> fee_token{};
  const Bytes& named = fields->items()[kFeeToken].content();
  if (named.size() == fee_token.size()) {
    std::copy(named.begin(), named.end(), fee_token.begin());
    facts.fee_token.emplace(fee_token);
  }
  for (const std::uint8_t byte : valid_before) {
    facts.valid_before = facts.valid_before << 8 | byte;
  }
  return facts;
}

Digest expiring_nonce_hash(ByteView preimage, const Address& sender) {
  Bytes all(preimage.begin(), preimage.end());
  all.insert(all.end(), sender.bytes().begin(), sender.bytes().end());
  return keccak256(all);
}

}  // namespace paycurl::tempo
