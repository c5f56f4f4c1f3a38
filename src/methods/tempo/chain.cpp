#include "src/methods/tempo/chain.h"

#include <array>
#include <charconv>

namespace paycurl::tempo {
namespace {

struct Token {
  std::uint64_t chain;
  std::string_view symbol;
  std::string_view address;
};

constexpr int kDecimals = 6;  // of every TIP-20 token
constexpr std::array<Token, 6> kTokens{{
    {kMainnet, "pathUSD", "0x20c0000000000000000000000000000000000000"},
    {kMainnet, "USDC.e", "0x20c000000000000000000000b9537d11c60e8b50"},
    {kTestnet, "pathUSD", "0x20c0000000000000000000000000000000000000"},
    {kTestnet, "AlphaUSD", "0x20c0000000000000000000000000000000000001"},
    {kTestnet, "BetaUSD", "0x20c0000000000000000000000000000000000002"},
    {kTestnet, "ThetaUSD", "0x20c0000000000000000000000000000000000003"},
}};

}  // namespace

std::string network_name(std::uint64_t chain) {
  return "tempo:" + std::to_string(chain);
}

std::optional<std::uint64_t> chain_of(std::string_view network) {
  constexpr std::string_view kPrefix = "tempo:";
  if (!network.starts_with(kPrefix)) return std::nullopt;
  network.remove_prefix(kPrefix.size());
  std::uint64_t chain = 0;
  const auto end = std::from_chars(network.data(), network.data() + network.size(), chain);
  if (end.ec != std::errc() || end.ptr != network.data() + network.size()) return std::nullopt;
  return chain;
}

std::vector<Asset> known_tokens(std::uint64_t chain) {
  std::vector<Asset> tokens;
  for (const Token& token : kTokens) {
    if (token.chain != (chain == kMainnet ? kMainnet : kTestnet)) continue;
    tokens.push_back({std::string(token.symbol), kDecimals, std::string(token.address),
                      network_name(chain), true, chain != kMainnet});
  }
  return tokens;
}

std::optional<Asset> known_token(std::uint64_t chain, const Address& address) {
  const std::string wanted = address.lower_hex();
  for (const Asset& token : known_tokens(chain)) {
    if (token.token == wanted) return token;
  }
  return std::nullopt;
}

std::string public_rpc(std::uint64_t chain) {
  return chain == kMainnet   ? "https://rpc.tempo.xyz"
         : chain == kTestnet ? "https://rpc.moderato.tempo.xyz"
                             : "";
}

std::string explorer_page(std::uint64_t chain, const std::string& transaction) {
  return chain == kMainnet   ? "https://explore.tempo.xyz/tx/" + transaction
         : chain == kTestnet ? "https://explore.testnet.tempo.xyz/tx/" + transaction
                             : "";
}

}  // namespace paycurl::tempo
