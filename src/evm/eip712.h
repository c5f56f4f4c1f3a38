// Typed data: what EIP-712 hashes before it is signed.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "src/crypto/hash.h"
#include "src/evm/abi.h"

namespace paycurl::evm {

struct Domain {
  std::string_view name;
  std::string_view version;
  std::uint64_t chain_id;
  std::optional<Address> verifying_contract;
};

/// The separator of a domain with those fields.
Digest domain_separator(const Domain& domain);

/// hashStruct: `type` is the encoded type, "Proof(address account,...)"; `members` are its encoded
/// values, strings as their Keccak-256.
Digest struct_hash(std::string_view type, const std::vector<Word>& members);

/// What is signed: Keccak-256 of 19 01, separator, struct hash.
Digest typed_digest(const Domain& domain, const Digest& hashed_struct);

}  // namespace paycurl::evm
