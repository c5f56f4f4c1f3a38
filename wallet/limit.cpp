#include "wallet/limit.h"

#include <algorithm>
#include <charconv>

#include "src/base/text.h"

namespace paycurl {
namespace {

/// Which no asset exceeds.
constexpr int kCommonDecimals = 36;

}  // namespace

bool speaks_of(const Limit& limit, const Asset& asset) {
  if (limit.unit == "usd") return asset.is_dollar;
  if (limit.unit == "sat") return asset.network.starts_with("lightning:");
  if (equals_ignoring_case(limit.unit, asset.token)) return !asset.token.empty();
  // A symbol names a token only where the symbol is ours: another token may call itself the same.
  return asset.is_dollar && equals_ignoring_case(limit.unit, asset.symbol);
}

std::optional<Amount> in_common_units(const Money& money) {
  std::optional<Amount> amount = money.amount;
  for (int i = money.asset.decimals; i < kCommonDecimals && amount; ++i) {
    amount = amount->times(10);
  }
  return amount;
}

Amount from_common_units(Amount amount, int decimals) {
  for (int i = decimals; i < kCommonDecimals; ++i) {
    amount = amount.divided_by(10).quotient;
  }
  return amount;
}

Amount value_of(const Limit& limit, const Asset& asset) {
  const int shift = limit.unit == "sat" ? asset.decimals - 3 : 0;
  return parse_units(limit.amount, kCommonDecimals - shift).value_or(Amount());
}

std::optional<Amount> sum_of(const Limit& limit, const std::vector<Money>& spent) {
  std::optional<Amount> total = Amount();
  for (const Money& money : spent) {
    if (!speaks_of(limit, money.asset)) continue;
    const auto part = in_common_units(money);
    total = total && part ? total->plus(*part) : std::nullopt;
  }
  return total;
}

bool is_decimal(std::string_view text) {
  return parse_units(text, kCommonDecimals).has_value();
}

Result<Limit> parse_limit(std::string_view text) {
  const Error bad{Kind::usage, "not a limit: " + printable(text, 60),
                  "write 0.05 (dollar tokens), 1000sat (Lightning) or 5:TOKEN"};
  if (text.ends_with("sat")) {
    const std::string_view amount = text.substr(0, text.size() - 3);
    if (!is_decimal(amount) || amount.find('.') != std::string_view::npos) return bad;
    return Limit{std::string(amount), "sat"};
  }
  const std::size_t colon = text.find(':');
  const std::string_view amount = text.substr(0, colon);
  if (!is_decimal(amount)) return bad;
  if (colon == std::string_view::npos) return Limit{std::string(amount), "usd"};
  const std::string_view unit = text.substr(colon + 1);
  if (unit.empty() || unit == "usd" || unit == "sat") return bad;
  return Limit{std::string(amount), std::string(unit)};
}

Result<Increase> parse_increase(std::string_view text) {
  constexpr std::uint64_t kMost = 1'000'000'000;  // millionths
  std::string_view number = text;
  if (number.ends_with('%')) number.remove_suffix(1);
  const auto read = parse_units(number, 4);
  if (!read || *read > Amount(kMost)) {
    return Error{Kind::usage, "not an increase: " + printable(text, 60),
                 "write a percentage, 10 or 2.5"};
  }
  std::uint64_t millionths = 0;
  const std::string digits = read->decimal();
  std::from_chars(digits.data(), digits.data() + digits.size(), millionths);
  return Increase{millionths};
}

void replace_limit(std::vector<Limit>& limits, Limit limit) {
  std::erase_if(limits,
                [&](const Limit& old) { return equals_ignoring_case(old.unit, limit.unit); });
  limits.push_back(std::move(limit));
}

const Limit* limit_on(const Asset& asset, const std::vector<Limit>& limits) {
  const auto rank = [](const Limit& limit) {
    const bool general = limit.unit == "usd" || limit.unit == "sat";
    return (limit.source == Limit::Source::given ? 2 : 0) + (general ? 0 : 1);
  };
  const Limit* found = nullptr;
  for (const Limit& limit : limits) {
    if (!speaks_of(limit, asset)) continue;
    if (found == nullptr || rank(limit) >= rank(*found)) found = &limit;
  }
  return found;
}

}  // namespace paycurl
