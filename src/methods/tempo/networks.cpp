#include "src/methods/tempo/networks.h"

#include <array>

#include "src/base/text.h"
#include "src/methods/tempo/chain.h"

namespace paycurl::tempo {
namespace {

constexpr std::array<std::string_view, 3> kOwn{"fee-token", "allow-escrow", "step"};

Result<std::vector<std::uint64_t>> allowed_chains(const std::optional<std::string>& network) {
  if (!network) return std::vector<std::uint64_t>{kMainnet, kTestnet};
  if (*network == "mainnet") return std::vector<std::uint64_t>{kMainnet};
  if (*network == "testnet") return std::vector<std::uint64_t>{kTestnet};
  if (*network == "signet" || *network == "regtest") return std::vector<std::uint64_t>{};
  const auto chain = chain_of("tempo:" + *network);
  if (chain && *chain != 0) return std::vector<std::uint64_t>{*chain};
  return Error{Kind::usage, "not a network: " + printable(*network, 40),
               "write mainnet, testnet or a chain id; signet or regtest for Lightning alone"};
}

constexpr std::array<std::string_view, 2> kAutomatic{"pathUSD", "USDC.e"};

bool names(std::string_view text, const Asset& asset) {
  if (text == "auto") {
    return asset.is_dollar &&
           std::find(kAutomatic.begin(), kAutomatic.end(), asset.symbol) != kAutomatic.end();
  }
  return equals_ignoring_case(text, asset.token) || equals_ignoring_case(text, asset.symbol);
}

bool is_own_option(const std::string& key, const std::string& value) {
  if (std::find(kOwn.begin(), kOwn.end(), key) == kOwn.end()) return false;
  return key == "step" ? parse_units(value, 18).has_value() : Address::parse(value).has_value();
}

}  // namespace

Result<Networks> Networks::make(const MethodOptions& options, http::Client& client) {
  Networks networks(options, client);
  auto chains = allowed_chains(options.network);
  if (!chains) return chains.error();
  networks.chains_ = std::move(*chains);
  for (const auto& [key, value] : options.own) {
    if (!is_own_option(key, value)) {
      return Error{
          Kind::usage,
          "not an option of a payment method: " + printable(key, 40) + "=" + printable(value, 60),
          "tempo knows -M fee-token=0xADDRESS, allow-escrow=0xADDRESS and step=AMOUNT"};
    }
    if (key == "fee-token") networks.fee_token_ = *Address::parse(value);
  }
  for (const std::string& text : options.swap_from) {
    if (networks.names_token(text)) continue;
    return Error{Kind::usage, "--swap-from: not a token that paycurl knows: " + printable(text, 60),
                 "write a symbol as pathUSD, auto, or an address; other tokens are named with "
                 "--token ADDRESS:DECIMALS"};
  }
  return networks;
}

bool Networks::names_token(const std::string& text) const {
  std::vector<std::uint64_t> chains = chains_;
  chains.insert(chains.end(), {kMainnet, kTestnet});
  return std::any_of(chains.begin(), chains.end(), [&](std::uint64_t chain) {
    const auto tokens = tokens_on(chain);
    return std::any_of(tokens.begin(), tokens.end(),
                       [&](const Asset& asset) { return names(text, asset); });
  });
}

std::vector<Asset> Networks::swap_tokens(std::uint64_t chain, const Asset& wanted) const {
  std::vector<Asset> found;
  for (const std::string& text : options_.swap_from) {
    for (const Asset& asset : tokens_on(chain)) {
      const bool again = std::any_of(found.begin(), found.end(), [&](const Asset& other) {
        return equals_ignoring_case(other.token, asset.token);
      });
      const bool same = equals_ignoring_case(wanted.token, asset.token);
      if (!again && !same && names(text, asset)) found.push_back(asset);
    }
  }
  return found;
}

std::optional<std::string> Networks::own(const std::string& key) const {
  const auto found = options_.own.find(key);
  return found == options_.own.end() ? std::nullopt : std::optional(found->second);
}

Result<std::uint64_t> Networks::chain_of_offer(const std::optional<std::uint64_t>& named) const {
  // Without a chain the main one is meant, unless the user chose.
  const bool chose = options_.network && !chains_.empty();
  const std::uint64_t chain = named.value_or(chose ? chains_.front() : kMainnet);
  if (std::find(chains_.begin(), chains_.end(), chain) != chains_.end()) return chain;
  return Error{Kind::unsupported, "it wants a payment on chain " + std::to_string(chain),
               "name the chain with --network", "wrong_network"};
}

Result<Networks::Token> Networks::token(std::uint64_t chain, const Address& address) const {
  if (auto found = known_token(chain, address)) return Token{std::move(*found), true};
  for (const Asset& asset : tokens_on(chain)) {
    if (equals_ignoring_case(asset.token, address.lower_hex())) return Token{asset, false};
  }
  return Error{Kind::unsupported, "the token " + address.checksummed() + " is unknown",
               "name it with --token ADDRESS:DECIMALS", "unknown_token"};
}

std::vector<Asset> Networks::tokens_on(std::uint64_t chain) const {
  std::vector<Asset> tokens = known_tokens(chain);
  for (Asset named : options_.tokens) {
    named.network = network_name(chain);
    named.is_test = chain != kMainnet;
    tokens.push_back(named);
  }
  return tokens;
}

Result<Node> Networks::node(std::uint64_t chain) const {
  return node(chain, *client_);
}

Result<Node> Networks::node(std::uint64_t chain, http::Client& client) const {
  if (options_.offline) return Error{Kind::backend, "--offline leaves the chain unasked"};
  const auto own = options_.rpc_url ? options_.rpc_url(chain) : std::nullopt;
  if (own) return Node(client, *own, chain);
  const std::string known = public_rpc(chain);
  if (!known.empty()) return Node(client, known, chain);
  return Error{Kind::backend, "no node is known for chain " + std::to_string(chain),
               "give one with --rpc-url or PAYCURL_RPC_URL"};
}

std::string source_of(std::uint64_t chain, const std::string& payer) {
  return "did:pkh:eip155:" + std::to_string(chain) + ":" + payer;
}

}  // namespace paycurl::tempo
