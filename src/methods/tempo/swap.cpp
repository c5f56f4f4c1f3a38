#include "src/methods/tempo/swap.h"

#include "src/base/text.h"
#include "src/evm/abi.h"

namespace paycurl::tempo {
namespace {

constexpr std::uint32_t kApprove = 0x095ea7b3;
constexpr std::uint32_t kSwapExactAmountOut = 0xf0122b75;
constexpr std::uint64_t kWhole = 10'000;  // hundredths of a percent

Address exchange() {
  return *Address::parse("0xdec0000000000000000000000000000000000000");
}

bool fits_exchange(Amount amount) {
  const auto bytes = amount.big_endian();
  return std::all_of(bytes.begin(), bytes.begin() + 16,
                     [](std::uint8_t byte) { return byte == 0; });
}

Error none_suffices(const Address& payer, const Money& have, Amount need,
                    const std::string& tokens) {
  const Money needed{need, have.asset};
  Error error{Kind::insufficient_funds,
              payer.checksummed() + " has " + describe(have) + ", the payment needs " +
                  describe(needed) + ", and no token of --swap-from can be swapped for it" +
                  (tokens.empty() ? "" : ": " + tokens),
              "add funds, or name other tokens with --swap-from", "insufficient_funds"};
  error.figures = {{Figure::Role::need, needed}, {Figure::Role::have, have}};
  return error;
}

}  // namespace

std::optional<Amount> most_in(Amount quoted, std::uint32_t slippage) {
  const auto product = quoted.times(slippage);
  if (!product || quoted.is_zero()) return std::nullopt;
  const auto [whole, rest] = product->divided_by(kWhole);
  const auto most = quoted.plus(rest == 0 ? whole : whole.plus(1).value_or(whole));
  return most && fits_exchange(*most) ? most : std::nullopt;
}

std::vector<Call> swap_calls(const Address& from, const Address& to, Amount amount, Amount most) {
  evm::Call approve(kApprove);
  approve.add(exchange()).add(most);
  evm::Call swap(kSwapExactAmountOut);
  swap.add(from).add(to).add(amount).add(most);
  return {{from, approve.bytes()}, {exchange(), swap.bytes()}};
}

Result<std::optional<Swap>> find_swap(Node& node, const Address& payer, const SwapWish& wish) {
  const Money& wanted = wish.wanted;
  if (!fits_exchange(wanted.amount)) {
    return Error{Kind::insufficient_funds, describe(wanted) + " is more than can be swapped", "",
                 "insufficient_funds"};
  }
  const auto there = node.swap_prices(payer, wanted, wish.from, exchange());
  if (!there) return there.error();
  const auto need = wanted.amount.plus(wish.fee_in_token ? wish.fee : Amount());
  if (need && there->have >= *need) return std::optional<Swap>();
  std::string why;
  for (std::size_t i = 0; i < wish.from.size(); ++i) {
    const Asset& asset = wish.from[i];
    const auto& [have, quoted] = there->tokens[i];
    why += (why.empty() ? "" : "; ") + printable(asset.symbol, 40);
    if (!have || !quoted) {
      why += have ? " cannot be exchanged for that much" : " is not there";
      continue;
    }
    const auto most = most_in(*quoted, wish.slippage);
    const auto all = most ? most->plus(wish.fee_in_token ? wish.swap_fee : Amount()) : most;
    if (!all) {
      why += " has a price that makes no sense";
      continue;
    }
    if (*have >= *all) {
      const Amount eighth = there->base_fee.divided_by(8).quotient;  // it rises from block to block
      const auto bid = there->base_fee.plus(eighth);
      return std::optional(Swap{{*most, asset}, bid.value_or(there->base_fee)});
    }
    why += ": " + describe({*have, asset}) + " of at most " + describe({*all, asset});
  }
  return none_suffices(payer, {there->have, wanted.asset}, need.value_or(wanted.amount), why);
}

}  // namespace paycurl::tempo
