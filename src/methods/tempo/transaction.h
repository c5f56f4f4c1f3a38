// Tempo transactions, EIP-2718 type 0x76.
//
//   0x76 || rlp([chainId, maxPriorityFeePerGas, maxFeePerGas, gas, calls, accessList, nonceKey,
//   nonce,
//                validBefore, validAfter, feeToken, feePayerSignature, aaAuthorizationList,
//                signature])
//
// Ours have an expiring nonce (TIP-1009): nonceKey 2^256-1, nonce 0 and a validBefore at most 30 s
// away, after which the transaction can never be mined.
#pragma once

#include <optional>
#include <vector>

#include "src/base/clock.h"
#include "src/evm/rlp.h"

namespace paycurl::tempo {

struct Call {
  Address to;
  Bytes input;
  Amount value = {};
};

struct Transaction {
  std::uint64_t chain = 0;
  Amount priority_fee;  ///< per gas, in units of 10^-18 dollar
  Amount max_fee;       ///< per gas
  std::uint64_t gas = 0;
  std::vector<Call> calls;
  evm::Rlp access_list = evm::Rlp::list();
  Amount nonce_key;
  std::uint64_t nonce = 0;
  std::uint64_t valid_before = 0;  ///< Unix seconds; 0: absent
  std::uint64_t valid_after = 0;   ///< Unix seconds; 0: absent
  std::optional<Address> fee_token;
  bool sponsored = false;  ///< another account pays the fee: fee_token is then left to it
};

/// 2^256-1.
Amount expiring_nonce_key();

/// A transaction of our own that can be mined for 25 s from `now` (by the chain's clock), and not
/// behind `expires`. Two that are alike otherwise differ in valid_after.
Transaction expiring_transaction(std::uint64_t chain, std::vector<Call> calls, std::uint64_t gas,
                                 Millis now, const std::optional<Millis>& expires);

/// The most that it costs, in base units of a token with 6 decimals, rounded up.
Amount most_fee(std::uint64_t gas, Amount max_fee);
inline Amount most_fee(const Transaction& transaction) {
  return most_fee(transaction.gas, transaction.max_fee);
}
/// What our transactions bid per gas, in units of 10^-18 dollar.
Amount usual_max_fee();
/// What a transaction of `gas` can bid when all of it may cost `fee` (base units of a token with 6
/// decimals); never more than usual.
Amount affordable_max_fee(std::uint64_t gas, Amount fee);

/// What the sender signs the Keccak-256 of.
Bytes signing_preimage(const Transaction& transaction);

/// The signed transaction, made from its preimage: 0x76 as nodes take it, or, when it is sponsored,
/// 0x78 with the sender's address, which servers co-sign. Kind::internal when `preimage` is none.
Result<Bytes> complete(ByteView preimage, const Address& sender, const Signature& signature);

/// What later questions about a transaction need of its preimage.
struct PreimageFacts {
  Amount max_fee;
  std::uint64_t valid_before;  ///< 0: absent
  bool sponsored;
  std::optional<Address> fee_token;  ///< absent when sponsored
};
Result<PreimageFacts> read_preimage(ByteView preimage);

/// TIP-1034: what the chain tells expiring transactions apart by, whoever pays the fee.
Digest expiring_nonce_hash(ByteView preimage, const Address& sender);

}  // namespace paycurl::tempo
