// Another stablecoin of the payer's in place of the one that is asked for: it is exchanged on the
// chain's own exchange (StablecoinDEX), in the transaction that pays (mppx's auto-swap).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "src/methods/tempo/networks.h"
#include "src/methods/tempo/transaction.h"

namespace paycurl::tempo {

/// What approval and exchange take beside the transfers: up to four new storage slots of 250 000
/// (TIP-1000), for the allowance and for what payer and makers get, and the orders' own work.
constexpr std::uint64_t kSwapGas = 1'000'000;

/// `quoted` and `slippage` (hundredths of a percent) of it, rounded up. Nothing when that is zero
/// or does not fit into the exchange's 128 bits.
std::optional<Amount> most_in(Amount quoted, std::uint32_t slippage);

/// approve(DEX, most) on `from`, then swapExactAmountOut(from, to, amount, most): all or nothing,
/// in this order, as servers that pay the fee demand it.
std::vector<Call> swap_calls(const Address& from, const Address& to, Amount amount, Amount most);

/// What a payment needs.
struct SwapWish {
  Money wanted;             ///< what the payees get, in the offer's token
  Amount fee;               ///< the most that the network takes when no swap is made
  bool fee_in_token;        ///< it is paid in the token that is paid with
  Amount swap_fee;          ///< the same with a swap
  std::vector<Asset> from;  ///< in the order in which they are tried
  std::uint32_t slippage;   ///< hundredths of a percent
};

struct Swap {
  Money most;           ///< that leaves the payer
  Amount bid_at_least;  ///< per gas: less, and the network may not take it now
};

/// Asks the node, in one batch, what `payer` has and what a swap costs. Nothing when they have
/// enough; else the first token that suffices. Kind::backend when the node does not say,
/// Kind::insufficient_funds when no token does.
Result<std::optional<Swap>> find_swap(Node& node, const Address& payer, const SwapWish& wish);

}  // namespace paycurl::tempo
