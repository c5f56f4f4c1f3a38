// The "charge" intent of Tempo: what a challenge asks for and the calls that pay it
// (draft-tempo-charge-00, and mppx where they differ).
#pragma once

#include <optional>
#include <vector>

#include "src/evm/eip712.h"
#include "src/methods/tempo/transaction.h"
#include "src/payment/challenge.h"

namespace paycurl::tempo {

using Memo = ByteArray<32>;

struct Split {
  Address recipient;
  Amount amount;
  std::optional<Memo> memo;
};

/// The decoded request of a charge.
struct Charge {
  Amount amount;  ///< everything, splits included
  Address currency;
  Address recipient;
  std::optional<std::uint64_t> chain;
  bool fee_payer = false;
  std::optional<Memo> memo;
  std::vector<Split> splits;
  bool allows_pull = true;
  bool allows_push = true;
};

/// Reads Challenge::request. Kind::protocol when a member is missing, of another form, or the
/// splits leave nothing to the recipient.
Result<Charge> parse_charge(const Json& request);

/// One transfer: what a payee gets, and the memo that goes with it.
struct Transfer {
  Address to;
  Amount amount;
  std::optional<Memo> memo;
};

/// The recipient's share first, with `memo`, then the splits in their order.
std::vector<Transfer> transfers_of(const Charge& charge, const Memo& memo);

/// transfer(address,uint256) or transferWithMemo(address,uint256,bytes32) of a TIP-20 token.
Call transfer_call(const Address& token, const Transfer& transfer);

/// What such a call transfers; nothing when it is another call, or not exactly of that form.
std::optional<Transfer> read_transfer_call(ByteView input);

/// The 32 bytes that tie a transfer to a challenge: "mpp" tag, version 1, and the first bytes of
/// the Keccak-256 of realm, client (none: zeros) and challenge id (mppx Attribution).
Memo attribution_memo(std::string_view realm, std::string_view client,
                      std::string_view challenge_id);

/// What is signed for a charge of zero: Proof(address account,string challengeId,string realm) in
/// the domain "MPP" version "3". The draft's version "1" is refused by servers.
Digest proof_digest(std::uint64_t chain, const Address& account, std::string_view challenge_id,
                    std::string_view realm);

}  // namespace paycurl::tempo
