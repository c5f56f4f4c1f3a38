// What is known of the Tempo chains without asking them: ids, tokens, nodes, contracts.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/money.h"
#include "src/crypto/secp256k1.h"

namespace paycurl::tempo {

constexpr std::uint64_t kMainnet = 4217;
constexpr std::uint64_t kTestnet = 42431;  // Moderato

/// "tempo:42431".
std::string network_name(std::uint64_t chain);
/// The chain of a network's name; nullopt when it is no Tempo network.
std::optional<std::uint64_t> chain_of(std::string_view network);

/// Tokens whose symbol and decimals we vouch for. Chains that are not the main one have the test
/// tokens: they are predeployed at the same addresses.
std::vector<Asset> known_tokens(std::uint64_t chain);
std::optional<Asset> known_token(std::uint64_t chain, const Address& address);

/// The chain's public node; empty when we know none.
std::string public_rpc(std::uint64_t chain);
/// A page about a transaction; empty when we know none.
std::string explorer_page(std::uint64_t chain, const std::string& transaction);

}  // namespace paycurl::tempo
