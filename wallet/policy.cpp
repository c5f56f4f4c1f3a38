#include "wallet/policy.h"

#include <algorithm>
#include <utility>

#include "src/base/text.h"

namespace paycurl {
namespace {

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

/// What a limit is called: the option, or its place in a file.
std::string name_of(const Limit& limit, const char* option) {
  return limit.place.empty() ? option : printable(limit.place);
}

Error over_limit(const Money& need, Amount limit, const char* reason, const std::string& name) {
  const Money allowed = money_of(limit, need.asset);
  Error error{Kind::declined,
              describe(need) + " is more than " + name + " allows (" + describe(allowed) + ")"};
  error.reason = reason;
  error.figures = {{Figure::Role::need, need}, {Figure::Role::limit, allowed}};
  return error;
}

Result<> check_budget(const Money& need, const Limit& limit, const std::vector<Money>& before,
                      const char* reason, const std::string& name) {
  const auto already = sum_of(limit, before);
  const auto now = in_common_units(need);
  const auto total = already && now ? already->plus(*now) : std::nullopt;
  const Amount allowed = value_of(limit, need.asset);
  if (total && *total <= allowed) return {};
  Error error = over_limit(need, allowed, reason, name);
  if (already && !already->is_zero()) {
    error.message += ", of which " + describe(money_of(*already, need.asset)) + " is used";
  }
  return error;
}

// ---- what files say

using LimitList = std::vector<Limit> Rule::*;

/// The limit of the files on payments to `origin`; the last file that speaks of the asset has it.
const Limit* host_limit(const Asset& asset, const Limits& limits, std::string_view origin,
                        LimitList kind) {
  for (auto file = limits.files.rbegin(); file != limits.files.rend(); ++file) {
    const auto* said = first_said(rules_for(*file, origin), kind);
    const Limit* limit = said == nullptr ? nullptr : limit_on(asset, *said);
    if (limit != nullptr) return limit;
  }
  return nullptr;
}

/// Limits that nothing raises.
struct Ceiling {
  const RuleFile* file;
  const std::vector<Limit>* limits;
  bool of_host;
};

std::vector<Ceiling> ceilings(const Limits& limits, std::string_view origin, LimitList kind) {
  std::vector<Ceiling> found;
  for (const RuleFile& file : limits.files) {
    if (!file.is_final) continue;
    if (!(file.all.*kind).empty()) found.push_back({&file, &(file.all.*kind), false});
    if (const auto* said = first_said(rules_for(file, origin), kind)) {
      found.push_back({&file, said, true});
    }
  }
  return found;
}

/// Where a file has the last word, nothing may be spent of what it does not speak of.
Result<> check_ceiling(const Ceiling& ceiling, const Money& need, const std::vector<Money>& before,
                       const char* reason) {
  const Limit* limit = limit_on(need.asset, *ceiling.limits);
  if (limit == nullptr) {
    Error error{Kind::declined,
                printable(ceiling.file->path) + " sets no limit for " +
                    printable(need.asset.symbol, 40) + ", and has the last word",
                std::string(kNoOptionRaises), reason};
    error.figures = {{Figure::Role::need, need}};
    return error;
  }
  auto checked = check_budget(need, *limit, before, reason, name_of(*limit, "a ceiling"));
  if (checked) return checked;
  Error error = checked.error();
  error.hint = kNoOptionRaises;
  return error;
}

/// The least of what ceilings leave of that much, in the asset's units.
Amount under_ceilings(Money most, const Limits& limits, std::string_view origin, LimitList kind,
                      const Spent& spent) {
  for (const Ceiling& ceiling : ceilings(limits, origin, kind)) {
    const Limit* limit = limit_on(most.asset, *ceiling.limits);
    if (limit == nullptr) return {};
    const auto used = sum_of(*limit, ceiling.of_host ? spent.call : spent.run);
    const auto left = used ? value_of(*limit, most.asset).minus(*used) : std::nullopt;
    most.amount =
        std::min(most.amount, from_common_units(left.value_or(Amount()), most.asset.decimals));
  }
  return most.amount;
}

std::string host_of(const Spend& spend) {
  return printable(
      spend.origin.substr(std::min(spend.origin.find("://") + 3, spend.origin.size())));
}

Result<> check_pin(const Pin* pin, const char* what, const std::string& found,
                   const std::string& other, const char* reason) {
  if (pin == nullptr) return {};
  for (const std::string& value : pin->values) {
    if (equals_ignoring_case(value, found)) return {};
    if (!other.empty() && equals_ignoring_case(value, other)) return {};
  }
  return Error{Kind::declined,
               std::string("the ") + what + " is " + printable(found) + ", which " +
                   printable(pin->place) + " does not allow",
               "no option changes it; the file's owner can", reason};
}

Result<> check_pins(const Spend& spend, const std::vector<const Rule*>& rules) {
  const Asset& asset = spend.total.asset;
  const Pin* recipient = first_said(rules, &Rule::recipient);
  for (const Payee& payee : spend.payees) {
    auto pinned = check_pin(recipient, "recipient", payee.address, "", "pinned_recipient");
    if (!pinned) return pinned;
  }
  auto pinned = check_pin(first_said(rules, &Rule::currency), "currency", asset.token,
                          spend.known_asset ? asset.symbol : "", "pinned_currency");
  if (!pinned) return pinned;
  pinned = check_pin(first_said(rules, &Rule::network), "network", asset.network,
                     asset.is_test ? "testnet" : "mainnet", "pinned_network");
  if (!pinned) return pinned;
  return check_pin(first_said(rules, &Rule::method), "payment method",
                   asset.network.substr(0, asset.network.find(':')), "", "pinned_method");
}

/// Denials and pins.
Result<> check_rules(const Spend& spend, const Limits& limits) {
  for (const RuleFile& file : limits.files) {
    const auto rules = rules_for(file, spend.origin);
    const Switch* deny = first_said(rules, &Rule::deny);
    if (deny != nullptr && *deny->on) {
      return Error{Kind::declined,
                   "payments to " + host_of(spend) + " are denied by " + printable(deny->place),
                   "no option changes it; the file's owner can", "denied"};
    }
    if (auto pinned = check_pins(spend, rules); !pinned) return pinned;
  }
  return {};
}

// ---- limits

/// What a run may cost, and one request of it.
struct RunLimits {
  const Limit* run = nullptr;
  const Limit* call = nullptr;
};

RunLimits run_limits(const Asset& asset, const Limits& limits, std::string_view origin) {
  const Limit* base = limit_on(asset, limits.max_spend);
  if (base != nullptr && base->source == Limit::Source::given) return {base, nullptr};
  const Limit* host = host_limit(asset, limits, origin, &Rule::max_spend);
  if (host == nullptr) return {base, nullptr};
  const bool covers = base != nullptr && value_of(*base, asset) >= value_of(*host, asset);
  return {covers ? base : host, host};
}

Result<> check_run(const Spend& spend, const Limits& limits, const Spent& spent) {
  const Asset& asset = spend.total.asset;
  for (const Ceiling& ceiling : ceilings(limits, spend.origin, &Rule::max_spend)) {
    const auto& before = ceiling.of_host ? spent.call : spent.run;
    auto checked = check_ceiling(ceiling, spend.total, before, "max_spend");
    if (!checked) return checked;
  }
  const auto [run, call] = run_limits(asset, limits, spend.origin);
  if (run == nullptr) {
    Error error{Kind::declined, "no limit is set for " + printable(asset.symbol, 40),
                "say what it may cost: --max-spend AMOUNT:" + asset.token, "max_spend"};
    error.figures = {{Figure::Role::need, spend.total}};
    return error;
  }
  Result<> checked;
  if (call != nullptr) {
    checked = check_budget(spend.total, *call, spent.call, "max_spend", name_of(*call, ""));
  }
  if (checked) {
    checked = check_budget(spend.total, *run, spent.run, "max_spend", name_of(*run, "--max-spend"));
  }
  if (checked) return checked;
  Error error = checked.error();
  Amount needed = spend.total.amount;
  for (const Money& money : spent.run) {
    if (money.asset == asset) needed = needed.plus(money.amount).value_or(needed);
  }
  error.hint = "to pay it, raise the limit: --max-spend " + as_limit({needed, asset});
  return error;
}

/// Of money that is worth something, or of money for tests.
std::vector<Money> of_kind(std::vector<Money> sums, bool is_test) {
  std::erase_if(sums, [&](const Money& money) { return money.asset.is_test != is_test; });
  return sums;
}

std::vector<Money> spent_at(const std::string& pattern, const Spent& spent) {
  std::vector<Money> sums;
  for (const auto& [origin, money] : spent.by_origin) {
    if (matches_host(pattern, origin)) add_money(sums, money);
  }
  return sums;
}

Result<> check_day(const Spend& spend, const Limits& limits, const Spent& spent) {
  const Asset& asset = spend.total.asset;
  const Limit* limit = limit_on(asset, limits.per_day);
  const bool is_worthless =
      asset.is_test && limit != nullptr && limit->source == Limit::Source::built_in;
  const auto today = of_kind(spent.today, asset.is_test);
  Result<> checked;
  if (limit != nullptr && !is_worthless) {
    checked =
        check_budget(spend.total, *limit, today, "per_day", name_of(*limit, "the limit of a day"));
  }
  for (const RuleFile& file : limits.files) {
    if (checked && file.is_final && !file.all.per_day.empty()) {
      checked = check_ceiling({&file, &file.all.per_day, false}, spend.total, today, "per_day");
    }
    for (const Rule* rule : rules_for(file, spend.origin)) {
      if (rule->per_day.empty()) continue;
      const auto before = of_kind(spent_at(rule->host, spent), asset.is_test);
      const Limit* host = limit_on(asset, rule->per_day);
      if (checked && (file.is_final || host != nullptr)) {
        checked = check_ceiling({&file, &rule->per_day, true}, spend.total, before, "per_day");
      }
      break;  // the most exact section has it
    }
  }
  if (checked) return checked;
  Error error = checked.error();
  error.hint = "it starts again at midnight UTC";
  return error;
}

/// The limit on an escrow that somebody wrote down; nullptr: what max_spend leaves.
const Limit* escrow_limit(const Asset& asset, const Limits& limits, std::string_view origin) {
  const Limit* base = limit_on(asset, limits.max_deposit);
  if (base != nullptr && base->source == Limit::Source::given) return base;
  const Limit* host = host_limit(asset, limits, origin, &Rule::max_deposit);
  return host != nullptr ? host : base;
}

/// What no limit on fees says otherwise.
Amount usual_fee(const Money& paid) {
  constexpr std::uint64_t kLeast = 10'000;  // millisatoshi
  if (const Limit* limit = limit_on(paid.asset, Limits().max_fee)) {
    return from_common_units(value_of(*limit, paid.asset), paid.asset.decimals);
  }
  if (!paid.asset.network.starts_with("lightning:")) return {};
  return std::max(Amount(kLeast), paid.amount.divided_by(100).quotient);
}

Amount fee_limit_without_ceilings(const Money& paid, const Limits& limits,
                                  std::string_view origin) {
  const Limit* limit = limit_on(paid.asset, limits.max_fee);
  if (limit == nullptr || limit->source != Limit::Source::given) {
    const Limit* host = host_limit(paid.asset, limits, origin, &Rule::max_fee);
    if (host != nullptr) limit = host;
  }
  if (limit == nullptr) return usual_fee(paid);
  return from_common_units(value_of(*limit, paid.asset), paid.asset.decimals);
}

Result<> check_deposit(const Spend& spend, const Limits& limits, const Spent& spent) {
  if (spend.escrow.is_zero()) return {};
  const Asset& asset = spend.total.asset;
  const Money need{spend.escrow, asset};
  for (const Ceiling& ceiling : ceilings(limits, spend.origin, &Rule::max_deposit)) {
    if (auto checked = check_ceiling(ceiling, need, {}, "max_deposit"); !checked) return checked;
  }
  const Amount allowed = deposit_limit(asset, limits, spent, spend.origin);
  if (spend.escrow <= allowed) return {};
  const auto run = run_budget(asset, limits, spent, spend.origin);
  const Limit* limit = escrow_limit(asset, limits, spend.origin);
  const bool by_run = run && limit == nullptr;
  const std::string option = by_run ? "--max-spend" : "--max-deposit";
  const Amount missing = spend.escrow.minus(allowed).value_or(spend.escrow);
  const Amount enough = by_run ? run->limit.plus(missing).value_or(run->limit) : spend.escrow;
  Error error{Kind::declined,
              "a deposit of " + describe(need) + " is more than " +
                  (limit == nullptr ? option : name_of(*limit, option.c_str())) +
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
  const Amount allowed = fee_limit({paid, asset}, limits, spend.origin);
  if (spend.fee.amount <= allowed) return {};
  const bool is_final =
      !ceilings(limits, spend.origin, &Rule::max_fee).empty() &&
      spend.fee.amount <= fee_limit_without_ceilings({paid, asset}, limits, spend.origin);
  Error error{Kind::declined,
              "the network may take " + describe(spend.fee) + ", more than " +
                  (is_final ? "a config file" : "--max-fee") + " allows (" +
                  describe({allowed, asset}) + ")",
              is_final ? std::string(kNoOptionRaises)
                       : "to pay it, raise the limit: --max-fee " + as_limit(spend.fee),
              "max_fee"};
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
  if (expected.recipient && spend.payees.empty()) {
    return unexpected("recipient", *expected.recipient, "", "expect_recipient");
  }
  for (const Payee& payee : spend.payees) {  // whoever shares with the first one is paid as well
    if (expected.recipient && !equals_ignoring_case(*expected.recipient, payee.address)) {
      return unexpected("recipient", *expected.recipient, payee.address, "expect_recipient");
    }
  }
  if (expected.currency && !equals_ignoring_case(*expected.currency, asset.token) &&
      !(spend.known_asset && equals_ignoring_case(*expected.currency, asset.symbol))) {
    return unexpected("currency", *expected.currency, asset.token, "expect_currency");
  }
  return {};
}

// ---- prices that rise

/// Whether `now` is more than `last` and the increase together; what cannot be counted is.
bool is_higher(Amount now, Amount last, const Increase& increase) {
  constexpr std::uint64_t kWhole = 1'000'000;
  const auto scaled = now.times(kWhole);
  const auto most = last.times(kWhole + *increase.millionths);
  return now > last && (!scaled || !most || *scaled > *most);
}

Amount highest(Amount last, const Increase& increase) {
  constexpr std::uint64_t kWhole = 1'000'000;
  const auto most = last.times(kWhole + *increase.millionths);
  return most ? most->divided_by(kWhole).quotient : last;
}

/// The increases that hold for an origin, and whether they are ceilings.
std::vector<std::pair<const Increase*, bool>> increases_for(const Limits& limits,
                                                            std::string_view origin) {
  std::vector<std::pair<const Increase*, bool>> found;
  const Increase* usual = limits.max_increase.empty() ? nullptr : &limits.max_increase;
  for (const RuleFile& file : limits.files) {
    const Increase* host = first_said(rules_for(file, origin), &Rule::max_increase);
    const bool is_given = usual != nullptr && usual->source == Limit::Source::given;
    if (host != nullptr && !is_given) usual = host;
    if (file.is_final && host != nullptr) found.emplace_back(host, true);
    if (file.is_final && !file.all.max_increase.empty()) {
      found.emplace_back(&file.all.max_increase, true);
    }
  }
  if (usual != nullptr) found.emplace_back(usual, false);
  return found;
}

}  // namespace

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

Limits limits_of_files(std::vector<RuleFile> files) {
  Limits limits;
  for (const RuleFile& file : files) {
    for (const auto& [from, to] : {std::pair{&file.all.max_spend, &limits.max_spend},
                                   std::pair{&file.all.per_day, &limits.per_day},
                                   std::pair{&file.all.max_deposit, &limits.max_deposit},
                                   std::pair{&file.all.max_fee, &limits.max_fee}}) {
      for (const Limit& limit : *from) {
        replace_limit(*to, limit);
      }
    }
    if (!file.all.max_increase.empty()) limits.max_increase = file.all.max_increase;
  }
  limits.files = std::move(files);
  return limits;
}

Result<> allow(const Spend& spend, const Limits& limits, const Spent& spent) {
  if (auto ruled = check_rules(spend, limits); !ruled) return ruled;
  if (auto expected = check_expectations(spend, limits.expected); !expected) return expected;
  if (auto payees = check_payees(spend); !payees) return payees;
  if (auto deposit = check_deposit(spend, limits, spent); !deposit) return deposit;
  if (spend.total.amount.is_zero()) return check_fee(spend, limits);
  if (auto increase = allow_increase(spend, limits, spent); !increase) return increase;
  if (auto run = check_run(spend, limits, spent); !run) return run;
  if (auto day = check_day(spend, limits, spent); !day) return day;
  if (auto swap = check_swap(spend, limits, spent); !swap) return swap;
  return check_fee(spend, limits);
}

Result<> allow_increase(const Spend& spend, const Limits& limits, const Spent& spent) {
  if (!spent.last_price) return {};
  const Asset& asset = spend.total.asset;
  const Money price{spend.price.value_or(spend.total.amount), asset};
  const bool is_agreed = limits.agreed_price && limits.agreed_price->asset == asset &&
                         price.amount <= limits.agreed_price->amount;
  for (const auto& [increase, is_final] : increases_for(limits, spend.origin)) {
    if ((is_agreed && !is_final) || !is_higher(price.amount, *spent.last_price, *increase)) {
      continue;
    }
    const Amount most = highest(*spent.last_price, *increase);
    Error error{Kind::declined,
                "the price is " + describe(price) + ", and was " +
                    describe({*spent.last_price, asset}) + " the last time: more than " +
                    (increase->place.empty() ? "--max-increase" : printable(increase->place)) +
                    " allows (" + describe({most, asset}) + ")",
                is_final ? std::string(kNoOptionRaises)
                         : "to pay it, raise the limit: --max-increase PERCENT",
                "max_increase"};
    error.figures = {{Figure::Role::need, price}, {Figure::Role::limit, {most, asset}}};
    return error;
  }
  return {};
}

bool limits_increase(const Limits& limits, std::string_view origin) {
  return !increases_for(limits, origin).empty();
}

std::vector<Limit> limits_by_day(const Limits& limits) {
  std::vector<Limit> all = limits.per_day;
  for (const RuleFile& file : limits.files) {
    all.insert(all.end(), file.all.per_day.begin(), file.all.per_day.end());
    for (const Rule& rule : file.hosts) {
      all.insert(all.end(), rule.per_day.begin(), rule.per_day.end());
    }
  }
  return all;
}

bool limits_hosts_by_day(const Limits& limits) {
  return std::any_of(limits.files.begin(), limits.files.end(), [](const RuleFile& file) {
    return std::any_of(file.hosts.begin(), file.hosts.end(),
                       [](const Rule& rule) { return !rule.per_day.empty(); });
  });
}

std::optional<Budget> run_budget(const Asset& asset, const Limits& limits, const Spent& spent,
                                 std::string_view origin) {
  const auto [run, call] = run_limits(asset, limits, origin);
  if (run == nullptr) return std::nullopt;
  Amount allowed = value_of(*run, asset);
  const auto left_of = [&](const Limit& limit, const std::vector<Money>& before) {
    const auto used = sum_of(limit, before);
    const auto left = used ? value_of(limit, asset).minus(*used) : std::nullopt;
    return left.value_or(Amount());
  };
  Amount left = left_of(*run, spent.run);
  if (call != nullptr) {
    allowed = std::min(allowed, value_of(*call, asset));
    left = std::min(left, left_of(*call, spent.call));
  }
  const auto under = [&](Amount common, const Spent& before) {
    return under_ceilings({from_common_units(common, asset.decimals), asset}, limits, origin,
                          &Rule::max_spend, before);
  };
  return Budget{under(allowed, {}), under(left, spent)};
}

Amount fee_limit(const Money& paid, const Limits& limits, std::string_view origin) {
  Amount allowed = fee_limit_without_ceilings(paid, limits, origin);
  for (const Ceiling& ceiling : ceilings(limits, origin, &Rule::max_fee)) {
    const Limit* limit = limit_on(paid.asset, *ceiling.limits);
    const Amount most = limit == nullptr
                            ? usual_fee(paid)
                            : from_common_units(value_of(*limit, paid.asset), paid.asset.decimals);
    allowed = std::min(allowed, most);
  }
  return allowed;
}

Amount deposit_limit(const Asset& asset, const Limits& limits, const Spent& spent,
                     std::string_view origin) {
  Amount allowed;
  if (const Limit* limit = escrow_limit(asset, limits, origin)) {
    allowed = from_common_units(value_of(*limit, asset), asset.decimals);
  } else if (const auto run = run_budget(asset, limits, spent, origin)) {
    allowed = run->left;
  }
  return under_ceilings({allowed, asset}, limits, origin, &Rule::max_deposit, {});
}

}  // namespace paycurl
