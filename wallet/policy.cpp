#include "wallet/policy.h"

#include <algorithm>

#include "src/base/text.h"

namespace paycurl {
namespace {

/// Amounts of different tokens are compared with this many decimals, which no asset exceeds.
constexpr int kCommonDecimals = 36;

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

bool speaks_of(const Limit& limit, const Asset& asset) {
  if (limit.unit == "usd") return asset.is_dollar;
  if (limit.unit == "sat") return asset.network.starts_with("lightning:");
  if (equals_ignoring_case(limit.unit, asset.token)) return !asset.token.empty();
  // A symbol names a token only where the symbol is ours: another token may call itself the same.
  return asset.is_dollar && equals_ignoring_case(limit.unit, asset.symbol);
}

/// A limit in common units. A satoshi is a thousand of Lightning's base units (millisatoshi).
Amount value_of(const Limit& limit, const Asset& asset) {
  const int shift = limit.unit == "sat" ? asset.decimals - 3 : 0;
  return parse_units(limit.amount, kCommonDecimals - shift).value_or(Amount());
}

/// The sum of what `limit` speaks of, or nothing when it does not fit into 256 bits.
std::optional<Amount> sum(const Limit& limit, const std::vector<Money>& spent) {
  std::optional<Amount> total = Amount();
  for (const Money& money : spent) {
    if (!speaks_of(limit, money.asset)) continue;
    const auto part = in_common_units(money);
    total = total && part ? total->plus(*part) : std::nullopt;
  }
  return total;
}

Money money_of(Amount common, const Asset& asset) {
  return {from_common_units(common, asset.decimals), asset};
}

/// How a person writes it behind an option.
std::string as_limit(const Money& money) {
  std::string number = format_units(money.amount, money.asset.decimals);
  if (money.asset.is_dollar) return number;
  return money.asset.network.starts_with("lightning:") ? number + "sat"
                                                       : number + ":" + money.asset.token;
}

Error over_limit(const Spend& spend, Amount limit, const char* reason, const std::string& option) {
  const Money allowed = money_of(limit, spend.total.asset);
  Error error{Kind::declined, describe(spend.total) + " is more than " + option + " allows (" +
                                  describe(allowed) + ")"};
  error.reason = reason;
  error.figures = {{Figure::Role::need, spend.total}, {Figure::Role::limit, allowed}};
  return error;
}

/// The limit that speaks most exactly of `asset`: one that names it, then the one on its kind.
const Limit* limit_on(const Asset& asset, const std::vector<Limit>& limits) {
  const Limit* found = nullptr;
  for (const Limit& limit : limits) {
    if (!speaks_of(limit, asset)) continue;
    const bool general = limit.unit == "usd" || limit.unit == "sat";
    if (found == nullptr || !general) found = &limit;
  }
  return found;
}

Result<> check_budget(const Spend& spend, const Limit& limit, const std::vector<Money>& before,
                      const char* reason, const std::string& option) {
  const auto already = sum(limit, before);
  const auto now = in_common_units(spend.total);
  const auto total = already && now ? already->plus(*now) : std::nullopt;
  const Amount allowed = value_of(limit, spend.total.asset);
  if (total && *total <= allowed) return {};
  Error error = over_limit(spend, allowed, reason, option);
  if (already && !already->is_zero()) {
    error.message += ", of which " + describe(money_of(*already, spend.total.asset)) + " is used";
  }
  return error;
}

Result<> check_run(const Spend& spend, const Limits& limits, const Spent& spent) {
  const Limit* limit = limit_on(spend.total.asset, limits.max_spend);
  const std::string& symbol = spend.total.asset.symbol;
  if (limit == nullptr) {
    Error error{Kind::declined, "no limit is set for " + printable(symbol, 40),
                "say what it may cost: --max-spend AMOUNT:" + spend.total.asset.token, "max_spend"};
    error.figures = {{Figure::Role::need, spend.total}};
    return error;
  }
  auto checked = check_budget(spend, *limit, spent.run, "max_spend", "--max-spend");
  if (checked) return checked;
  Error error = checked.error();
  Amount needed = spend.total.amount;
  for (const Money& money : spent.run) {
    if (money.asset == spend.total.asset) needed = needed.plus(money.amount).value_or(needed);
  }
  error.hint = "to pay it, raise the limit: --max-spend " + as_limit({needed, spend.total.asset});
  return error;
}

Result<> check_day(const Spend& spend, const Limits& limits, const Spent& spent) {
  const Limit* limit =
      spend.total.asset.is_test ? nullptr : limit_on(spend.total.asset, limits.per_day);
  if (limit == nullptr) return {};
  std::vector<Money> today = spent.today;
  std::erase_if(today, [](const Money& money) { return money.asset.is_test; });
  auto checked = check_budget(spend, *limit, today, "per_day", "the limit of a day");
  if (checked) return checked;
  Error error = checked.error();
  error.hint = "it starts again at midnight UTC";
  return error;
}

Result<> check_deposit(const Spend& spend, const Limits& limits, const Spent& spent) {
  if (spend.escrow.is_zero()) return {};
  const Asset& asset = spend.total.asset;
  const Amount allowed = deposit_limit(asset, limits, spent);
  if (spend.escrow <= allowed) return {};
  const Money need{spend.escrow, asset};
  const auto run = run_budget(asset, limits, spent);
  const bool by_run = run && limit_on(asset, limits.max_deposit) == nullptr;
  const std::string option = by_run ? "--max-spend" : "--max-deposit";
  const Amount missing = spend.escrow.minus(allowed).value_or(spend.escrow);
  const Amount enough = by_run ? run->limit.plus(missing).value_or(run->limit) : spend.escrow;
  Error error{Kind::declined,
              "a deposit of " + describe(need) + " is more than " + option +
                  (by_run ? " leaves (" : " allows (") + describe({allowed, asset}) + ")",
              "to pay it, raise the limit: " + option + " " + as_limit({enough, asset}),
              "max_deposit"};
  error.figures = {{Figure::Role::need, need}, {Figure::Role::limit, {allowed, asset}}};
  return error;
}

Result<> check_fee(const Spend& spend, const Limits& limits) {
  const Asset& asset = spend.fee.asset;
  if (spend.fee.amount.is_zero()) return {};
  const Amount paid = asset == spend.total.asset ? spend.total.amount : Amount();
  const Amount allowed = fee_limit({paid, asset}, limits);
  if (spend.fee.amount <= allowed) return {};
  Error error{Kind::declined,
              "the network may take " + describe(spend.fee) + ", more than --max-fee allows (" +
                  describe({allowed, asset}) + ")",
              "to pay it, raise the limit: --max-fee " + as_limit(spend.fee), "max_fee"};
  error.figures = {{Figure::Role::need, spend.fee}, {Figure::Role::limit, {allowed, asset}}};
  return error;
}

/// What is swapped is asked about as if the payees got it: a node says what it is, so nothing but
/// the limits holds it.
Result<> check_swap(const Spend& spend, const Limits& limits, const Spent& spent) {
  if (!spend.swap) return {};
  Spend given = spend;
  given.total = *spend.swap;
  auto checked = check_run(given, limits, spent);
  if (checked) checked = check_day(given, limits, spent);
  if (checked) return checked;
  return std::move(checked).error().within("the swap for " + describe(spend.total));
}

/// "0x000..." in any length.
bool is_zero_address(std::string_view address) {
  return address.starts_with("0x") && address.find_first_not_of('0', 2) == std::string_view::npos;
}

Result<> check_payees(const Spend& spend) {
  if (spend.total.amount.is_zero()) return {};
  std::optional<Amount> shares = Amount();
  for (const Payee& payee : spend.payees) {
    shares = shares ? shares->plus(payee.amount) : shares;
    const char* wrong = is_zero_address(payee.address)                     ? "the zero address"
                        : equals_ignoring_case(payee.address, spend.payer) ? "the payer itself"
                        : equals_ignoring_case(payee.address, spend.total.asset.token)
                            ? "the token's own address"
                            : nullptr;
    if (wrong != nullptr) {
      return Error{Kind::declined, "the money would go to " + std::string(wrong),
                   "tell the server's owner; paycurl never pays that", "recipient"};
    }
  }
  if (shares != spend.total.amount || spend.payees.empty()) {
    return Error{Kind::internal, "the shares of the payees are not the total"};
  }
  return {};
}

Error unexpected(const char* what, const std::string& wanted, const std::string& found,
                 const char* reason) {
  return {
      Kind::declined,
      std::string("the ") + what + " is " + printable(found) + ", expected " + printable(wanted),
      "", reason};
}

Result<> check_expectations(const Spend& spend, const Expectations& expected) {
  const Asset& asset = spend.total.asset;
  if (expected.amount) {
    const auto wanted = parse_units(*expected.amount, asset.decimals);
    const Amount price = spend.price.value_or(spend.total.amount);
    const bool fits = wanted && (expected.amount_at_most ? price <= *wanted : price == *wanted);
    if (!fits) {
      Error error =
          unexpected("amount", (expected.amount_at_most ? "at most " : "") + *expected.amount,
                     format_units(price, asset.decimals), "expect_amount");
      error.figures = {{Figure::Role::need, {price, asset}}};
      return error;
    }
  }
  const std::string recipient = spend.payees.empty() ? "" : spend.payees.front().address;
  if (expected.recipient && !equals_ignoring_case(*expected.recipient, recipient)) {
    return unexpected("recipient", *expected.recipient, recipient, "expect_recipient");
  }
  if (expected.currency && !equals_ignoring_case(*expected.currency, asset.token) &&
      !(spend.known_asset && equals_ignoring_case(*expected.currency, asset.symbol))) {
    return unexpected("currency", *expected.currency, asset.token, "expect_currency");
  }
  return {};
}

bool is_decimal(std::string_view text) {
  return parse_units(text, kCommonDecimals).has_value();
}

}  // namespace

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

Result<> parse_expected_amount(std::string_view text, Expectations& into) {
  into.amount_at_most = text.starts_with("<=");
  if (into.amount_at_most) text.remove_prefix(2);
  if (!is_decimal(text)) {
    return Error{Kind::usage, "not an amount: " + printable(text, 60), "write 0.01 or <=0.01"};
  }
  into.amount = std::string(text);
  return {};
}

std::vector<Money> counted(const Money& total, const std::optional<Money>& swap,
                           const std::vector<Limit>& limits) {
  if (!swap) return {total};
  const bool alike = std::all_of(limits.begin(), limits.end(), [&](const Limit& limit) {
    return speaks_of(limit, total.asset) || !speaks_of(limit, swap->asset);
  });
  if (!alike || !total.asset.is_dollar || !swap->asset.is_dollar) return {total, *swap};
  const auto given = in_common_units(*swap);
  const auto got = in_common_units(total);
  if (!given || !got) return {total, *swap};
  const auto lost = given->minus(*got);
  if (!lost) return {total};
  return {total, {from_common_units(*lost, swap->asset.decimals), swap->asset}};
}

Result<> allow(const Spend& spend, const Limits& limits, const Spent& spent) {
  if (auto expected = check_expectations(spend, limits.expected); !expected) return expected;
  if (auto payees = check_payees(spend); !payees) return payees;
  if (auto deposit = check_deposit(spend, limits, spent); !deposit) return deposit;
  if (spend.total.amount.is_zero()) return check_fee(spend, limits);
  if (auto run = check_run(spend, limits, spent); !run) return run;
  if (auto day = check_day(spend, limits, spent); !day) return day;
  if (auto swap = check_swap(spend, limits, spent); !swap) return swap;
  return check_fee(spend, limits);
}

std::optional<Budget> run_budget(const Asset& asset, const Limits& limits, const Spent& spent) {
  const Limit* limit = limit_on(asset, limits.max_spend);
  if (limit == nullptr) return std::nullopt;
  const Amount allowed = value_of(*limit, asset);
  const auto used = sum(*limit, spent.run);
  const auto left = used ? allowed.minus(*used) : std::nullopt;
  return Budget{from_common_units(allowed, asset.decimals),
                from_common_units(left.value_or(Amount()), asset.decimals)};
}

Amount fee_limit(const Money& paid, const Limits& limits) {
  constexpr std::uint64_t kLeast = 10'000;  // millisatoshi
  if (const Limit* limit = limit_on(paid.asset, limits.max_fee)) {
    return from_common_units(value_of(*limit, paid.asset), paid.asset.decimals);
  }
  if (!paid.asset.network.starts_with("lightning:")) return {};
  return std::max(Amount(kLeast), paid.amount.divided_by(100).quotient);
}

Amount deposit_limit(const Asset& asset, const Limits& limits, const Spent& spent) {
  if (const Limit* limit = limit_on(asset, limits.max_deposit)) {
    return from_common_units(value_of(*limit, asset), asset.decimals);
  }
  const auto run = run_budget(asset, limits, spent);
  return run ? run->left : Amount();
}

}  // namespace paycurl
