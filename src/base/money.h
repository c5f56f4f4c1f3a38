// Amounts of money: integers in base units, what they are units of, and how people write them.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace paycurl {

/// An unsigned 256-bit number of base units. Arithmetic is checked: what does not fit is nullopt.
class Amount {
 public:
  constexpr Amount() = default;
  constexpr Amount(std::uint64_t value)
      : limbs_{value, 0, 0, 0} {}  // NOLINT: a number is an amount

  /// Reads `^(0|[1-9][0-9]{0,77})$` up to 2^256-1: no sign, no leading zero, no other base.
  static std::optional<Amount> parse(std::string_view decimal);
  /// Reads at most 32 bytes, most significant first.
  static std::optional<Amount> from_big_endian(std::span<const std::uint8_t> bytes);

  std::optional<Amount> plus(Amount other) const;
  std::optional<Amount> minus(Amount other) const;
  std::optional<Amount> times(std::uint64_t factor) const;
  /// Quotient and remainder; `divisor` is not 0.
  struct Division;
  Division divided_by(std::uint64_t divisor) const;

  bool is_zero() const { return *this == Amount(); }
  bool operator==(const Amount&) const = default;
  std::strong_ordering operator<=>(const Amount& other) const;

  std::string decimal() const;
  std::array<std::uint8_t, 32> big_endian() const;

 private:
  std::array<std::uint64_t, 4> limbs_{};  // least significant first
};

struct Amount::Division {
  Amount quotient;
  std::uint64_t remainder;
};

/// What an amount is counted in. Symbol and decimals are ours, never the server's.
struct Asset {
  std::string symbol;
  int decimals = 0;     ///< 0 to 36
  std::string token;    ///< 0x-prefixed contract address; empty where the rail has only one asset
  std::string network;  ///< "tempo:42431", "lightning:mainnet"
  bool is_dollar = false;  ///< one whole token is meant to be one US dollar
  bool is_test = false;    ///< on a network whose tokens are worth nothing

  bool operator==(const Asset&) const = default;
};

struct Money {
  Amount amount;
  Asset asset;
};

/// Adds `money` to the sum of its asset; a sum that overflows stays as it was.
void add_money(std::vector<Money>& sums, const Money& money);

/// Reads what a person writes, "0.01" with 6 decimals is 10000. More places than `decimals`, a
/// sign, an exponent or an overflow is nullopt.
std::optional<Amount> parse_units(std::string_view text, int decimals);

/// "0.01" for 10000 with 6 decimals: no trailing zeros, no exponent.
std::string format_units(Amount amount, int decimals);

/// "0.01 pathUSD".
std::string describe(const Money& money);

}  // namespace paycurl
