// A Tempo chain's node, as far as payments need one: none of these is on the way of a pull charge.
#pragma once

#include <string>
#include <vector>

#include "src/base/money.h"
#include "src/crypto/secp256k1.h"
#include "src/evm/rpc.h"
#include "src/methods/tempo/channel.h"

namespace paycurl::tempo {

class Node {
 public:
  /// `url` is http or https; `chain` is the one it should be on.
  Node(http::Client& client, std::string url, std::uint64_t chain)
      : rpc_(client, std::move(url)), chain_(chain) {}

  /// Kind::backend when it is away or on another chain.
  Result<> check();

  /// Sends a signed transaction with this hash and waits until it is mined. Kind::rejected when it
  /// was reverted; after any other error nobody knows.
  Result<> broadcast(const Bytes& transaction, const std::string& hash);

  /// What `owner` has of each of `tokens`; those that do not answer are left out.
  Result<std::vector<Money>> balances(const Address& owner, const std::vector<Asset>& tokens);

  /// What `owner` has of `wanted`'s token and of each of `from`, and how much of each the exchange
  /// at `exchange` wants for `wanted` now (quoteSwapExactAmountOut). What a token does not say is
  /// nullopt. Kind::backend when `have` cannot be told.
  struct SwapPrices {
    Amount have;
    Amount base_fee;  ///< of the newest block, per gas; zero when it does not tell
    struct Token {
      std::optional<Amount> have, quoted;
    };
    std::vector<Token> tokens;  ///< as `from`
  };
  Result<SwapPrices> swap_prices(const Address& owner, const Money& wanted,
                                 const std::vector<Asset>& from, const Address& exchange);

  /// What an escrow says of its channels, and the time of the newest block (Unix seconds).
  struct ChannelStates {
    Millis time = 0;
    std::vector<ChannelState> channels;
  };
  Result<ChannelStates> channel_states(Version version, const Address& escrow,
                                       const std::vector<Digest>& ids);

  /// The channels that `payer` ever opened in `escrow`, by their logs, newest first.
  Result<std::vector<OpenedLog>> opened_channels(Version version, const Address& escrow,
                                                 const Address& payer);

  /// Asks a test network's faucet (tempo_fundAddress): the hashes of its transactions.
  Result<std::vector<std::string>> fund(const std::string& address);

  evm::Rpc& rpc() { return rpc_; }

 private:
  Result<> is_right(const Result<Json>& chain_id) const;
  Result<Json> wait_until_mined(const std::string& hash);

  evm::Rpc rpc_;
  std::uint64_t chain_;
};

}  // namespace paycurl::tempo
