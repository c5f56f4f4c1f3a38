// The Tempo networks that may be paid on, with their tokens and nodes.
#pragma once

#include <algorithm>
#include <optional>
#include <vector>

#include "src/methods/methods.h"
#include "src/methods/tempo/node.h"
#include "src/payment/challenge.h"

namespace paycurl::tempo {

class Networks {
 public:
  /// Usage error when the options name no network, or an unknown option of the method.
  static Result<Networks> make(const MethodOptions& options, http::Client& client);

  const std::vector<std::uint64_t>& chains() const { return chains_; }
  /// The chain that an offer means, which names `named` or none. Kind::unsupported, reason
  /// "wrong_network", when it may not be paid on.
  Result<std::uint64_t> chain_of_offer(const std::optional<std::uint64_t>& named) const;

  struct Token {
    Asset asset;
    bool known = true;  ///< false: the user named it, so symbol and decimals are theirs
  };
  /// Kind::unsupported, reason "unknown_token".
  Result<Token> token(std::uint64_t chain, const Address& address) const;
  std::vector<Asset> tokens_on(std::uint64_t chain) const;

  /// What --swap-from names on `chain`, in its order, each once and not `wanted`.
  std::vector<Asset> swap_tokens(std::uint64_t chain, const Asset& wanted) const;

  /// The token that pays for transactions where `payment` is paid: -M fee-token, else itself.
  Address fee_token(const Address& payment) const { return fee_token_.value_or(payment); }

  /// Kind::backend when none is known, or --offline was given.
  Result<Node> node(std::uint64_t chain) const;
  Result<Node> node(std::uint64_t chain, http::Client& client) const;

  Millis now() const { return options_.clock(); }
  Millis server_now(const Challenge& challenge) const { return now() + challenge.clock_offset; }
  const MethodOptions& options() const { return options_; }
  /// -M key=value.
  std::optional<std::string> own(const std::string& key) const;

 private:
  bool names_token(const std::string& text) const;

  Networks(const MethodOptions& options, http::Client& client)
      : options_(options), client_(&client) {}

  MethodOptions options_;
  std::vector<std::uint64_t> chains_;  // never empty
  std::optional<Address> fee_token_;
  http::Client* client_;
};

/// "did:pkh:eip155:42431:0x...".
std::string source_of(std::uint64_t chain, const std::string& payer);

}  // namespace paycurl::tempo
