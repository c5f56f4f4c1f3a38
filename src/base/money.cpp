#include "src/base/money.h"

#include <algorithm>

namespace paycurl {
namespace {

__extension__ typedef unsigned __int128 Wide;

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

}  // namespace

std::optional<Amount> Amount::parse(std::string_view decimal) {
  if (decimal.empty() || decimal.size() > 78) return std::nullopt;
  if (!std::all_of(decimal.begin(), decimal.end(), is_digit)) return std::nullopt;
  if (decimal.size() > 1 && decimal.front() == '0') return std::nullopt;
  Amount value;
  for (const char digit : decimal) {
    const auto shifted = value.times(10);
    const auto next = shifted ? shifted->plus(static_cast<std::uint64_t>(digit - '0')) : shifted;
    if (!next) return std::nullopt;
    value = *next;
  }
  return value;
}

std::optional<Amount> Amount::from_big_endian(std::span<const std::uint8_t> bytes) {
  if (bytes.size() > 32) return std::nullopt;
  Amount value;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const std::size_t place = bytes.size() - 1 - i;
    value.limbs_[place / 8] |= static_cast<std::uint64_t>(bytes[i]) << (place % 8 * 8);
  }
  return value;
}

std::optional<Amount> Amount::plus(Amount other) const {
  Amount sum;
  Wide carry = 0;
  for (std::size_t i = 0; i < limbs_.size(); ++i) {
    carry += static_cast<Wide>(limbs_[i]) + other.limbs_[i];
    sum.limbs_[i] = static_cast<std::uint64_t>(carry);
    carry >>= 64;
  }
  if (carry != 0) return std::nullopt;
  return sum;
}

std::optional<Amount> Amount::minus(Amount other) const {
  if (*this < other) return std::nullopt;
  Amount difference;
  std::uint64_t borrow = 0;
  for (std::size_t i = 0; i < limbs_.size(); ++i) {
    const Wide taken = static_cast<Wide>(other.limbs_[i]) + borrow;
    borrow = limbs_[i] < taken ? 1 : 0;
    difference.limbs_[i] = limbs_[i] - static_cast<std::uint64_t>(taken);
  }
  return difference;
}

std::optional<Amount> Amount::times(std::uint64_t factor) const {
  Amount product;
  Wide carry = 0;
  for (std::size_t i = 0; i < limbs_.size(); ++i) {
    carry += static_cast<Wide>(limbs_[i]) * factor;
    product.limbs_[i] = static_cast<std::uint64_t>(carry);
    carry >>= 64;
  }
  if (carry != 0) return std::nullopt;
  return product;
}

Amount::Division Amount::divided_by(std::uint64_t divisor) const {
  Division result{};
  Wide rest = 0;
  for (std::size_t i = limbs_.size(); i-- > 0;) {
    rest = (rest << 64) | limbs_[i];
    result.quotient.limbs_[i] = static_cast<std::uint64_t>(rest / divisor);
    rest %= divisor;
  }
  result.remainder = static_cast<std::uint64_t>(rest);
  return result;
}

std::strong_ordering Amount::operator<=>(const Amount& other) const {
  for (std::size_t i = limbs_.size(); i-- > 0;) {
    if (limbs_[i] != other.limbs_[i]) return limbs_[i] <=> other.limbs_[i];
  }
  return std::strong_ordering::equal;
}

std::string Amount::decimal() const {
  std::string digits;
  Amount rest = *this;
  do {
    const auto [quotient, remainder] = rest.divided_by(10);
    digits.push_back(static_cast<char>('0' + remainder));
    rest = quotient;
  } while (!rest.is_zero());
  std::reverse(digits.begin(), digits.end());
  return digits;
}

std::array<std::uint8_t, 32> Amount::big_endian() const {
  std::array<std::uint8_t, 32> bytes{};
  for (std::size_t place = 0; place < bytes.size(); ++place) {
    bytes[31 - place] = static_cast<std::uint8_t>(limbs_[place / 8] >> (place % 8 * 8));
  }
  return bytes;
}

std::optional<Amount> parse_units(std::string_view text, int decimals) {
  const std::size_t dot = text.find('.');
  std::string_view whole = text.substr(0, dot);
  std::string_view fraction = dot == std::string_view::npos ? "" : text.substr(dot + 1);
  if (whole.empty() || (dot != std::string_view::npos && fraction.empty())) return std::nullopt;
  if (whole.size() > 1 && whole.front() == '0') return std::nullopt;
  while (!fraction.empty() && fraction.back() == '0') {
    fraction.remove_suffix(1);
  }
  if (fraction.size() > static_cast<std::size_t>(decimals)) return std::nullopt;
  std::string digits{whole};
  digits += fraction;
  digits.append(static_cast<std::size_t>(decimals) - fraction.size(), '0');
  const std::size_t first = std::min(digits.find_first_not_of('0'), digits.size() - 1);
  return Amount::parse(std::string_view(digits).substr(first));
}

std::string format_units(Amount amount, int decimals) {
  std::string digits = amount.decimal();
  const auto places = static_cast<std::size_t>(decimals);
  if (digits.size() <= places) digits.insert(0, places + 1 - digits.size(), '0');
  std::string fraction = digits.substr(digits.size() - places);
  digits.resize(digits.size() - places);
  while (!fraction.empty() && fraction.back() == '0') {
    fraction.pop_back();
  }
  return fraction.empty() ? digits : digits + "." + fraction;
}

std::string describe(const Money& money) {
  return format_units(money.amount, money.asset.decimals) + " " + money.asset.symbol;
}

void add_money(std::vector<Money>& sums, const Money& money) {
  for (Money& sum : sums) {
    if (sum.asset != money.asset) continue;
    sum.amount = sum.amount.plus(money.amount).value_or(sum.amount);
    return;
  }
  sums.push_back(money);
}

}  // namespace paycurl
