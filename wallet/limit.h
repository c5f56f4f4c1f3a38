// One limit as a person wrote it, which assets it speaks of, and sums in its units.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/money.h"
#include "src/base/result.h"

namespace paycurl {

/// One limit as the user wrote it. The unit says which assets it speaks of.
struct Limit {
  /// What is given by an option or a variable comes before what a file says of a host.
  enum class Source { built_in, file, given };

  std::string amount;  ///< "0.05"
  std::string unit;  ///< "usd": all dollar tokens together; "sat"; else a token's address or symbol
  Source source = Source::built_in;
  std::string place = {};  ///< of one in a file: "/etc/paycurl/config.toml:4"
};

/// Reads "0.05", "1000sat" or "5:TOKEN". Usage error otherwise.
Result<Limit> parse_limit(std::string_view text);

/// How much more than the last time a price may be.
struct Increase {
  std::optional<std::uint64_t> millionths;  ///< 100'000 is 10 %; nullopt: any
  Limit::Source source = Limit::Source::built_in;
  std::string place = {};

  bool empty() const { return !millionths; }
};

/// Reads "10", "2.5" or "2.5%": at most 100000 %, four places. Usage error otherwise.
Result<Increase> parse_increase(std::string_view text);

/// Puts `limit` in the place of those on the same unit.
void replace_limit(std::vector<Limit>& limits, Limit limit);

bool speaks_of(const Limit& limit, const Asset& asset);
/// The limit that speaks most exactly of `asset`: given before others, one that names it before
/// one on its kind. nullptr when none does.
const Limit* limit_on(const Asset& asset, const std::vector<Limit>& limits);

/// Amounts of different tokens are compared in common units, of which a whole token has 10^36.
std::optional<Amount> in_common_units(const Money& money);
Amount from_common_units(Amount amount, int decimals);
/// A limit in common units. A satoshi is a thousand of Lightning's base units (millisatoshi).
Amount value_of(const Limit& limit, const Asset& asset);
/// The sum of what `limit` speaks of, in common units; nullopt when it does not fit into 256 bits.
std::optional<Amount> sum_of(const Limit& limit, const std::vector<Money>& spent);
/// Whether `text` is an amount in whole tokens.
bool is_decimal(std::string_view text);

}  // namespace paycurl
