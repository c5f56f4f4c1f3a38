// Signed Tempo transactions, read from their bytes: 0x76 as nodes take it, and what a client hands
// to the server that is going to pay its fee (0x78 with the sender's address, or 0x76 with a mark
// in the fee payer's place). transaction.h has the fields.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "src/methods/tempo/transaction.h"

namespace paycurl::tempo {

inline constexpr std::size_t kMaxTransaction = 128UL * 1024;

struct SignedTransaction {
  struct Call {
    std::optional<Address> to;  ///< nullopt: it makes a contract
    Amount value;
    Bytes input;
  };

  std::uint8_t type = 0;  ///< 0x76 or 0x78
  std::uint64_t chain = 0;
  Amount priority_fee, max_fee;  ///< per gas, in units of 10^-18 dollar
  std::uint64_t gas = 0;
  std::vector<Call> calls;  ///< 1 to 32
  Amount nonce_key;
  std::uint64_t nonce = 0;
  std::uint64_t valid_before = 0, valid_after = 0;  ///< Unix seconds; 0: absent
  std::optional<Address> fee_token;
  std::size_t access_list = 0, authorizations = 0;  ///< how many entries
  bool authorizes_key = false;

  std::string_view signature;  ///< "secp256k1", "p256", "webauthn", "keychain"
  Address sender;
  bool verified = false;             ///< the signature is the sender's; only of "secp256k1"
  bool awaits_fee_payer = false;     ///< no node takes it until another account has signed too
  std::optional<Address> fee_payer;  ///< who did
  Digest hash{};                     ///< by which the chain knows it, unless it awaits somebody
};

/// Reads one. Kind::protocol when it is cut, has bytes behind it, a field of another form or size,
/// a number that is not minimal, no call or more than 32, no signature, one with a high s or of an
/// unknown kind, or a sender who did not sign it.
Result<SignedTransaction> read_transaction(ByteView bytes);

}  // namespace paycurl::tempo
