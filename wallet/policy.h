// What the user allows. One pure function answers for every payment, on the integer that will be
// signed; nothing else in the project compares an amount with a limit.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/result.h"
#include "src/base/spend.h"

namespace paycurl {

/// One limit as the user wrote it. The unit says which assets it speaks of.
struct Limit {
  std::string amount;  ///< "0.05"
  std::string unit;  ///< "usd": all dollar tokens together; "sat"; else a token's address or symbol
};

/// Reads "0.05", "1000sat" or "5:TOKEN". Usage error otherwise.
Result<Limit> parse_limit(std::string_view text);

/// What an offer must be like, or nothing is signed.
struct Expectations {
  std::optional<std::string> amount;  ///< "0.01", in whole tokens
  bool amount_at_most = false;        ///< written as "<=0.01"
  std::optional<std::string> recipient;
  std::optional<std::string> currency;  ///< address or symbol
};

/// Reads "0.01" or "<=0.01". Usage error otherwise.
Result<> parse_expected_amount(std::string_view text, Expectations& into);

struct Limits {
  std::vector<Limit> max_spend{{"1.00", "usd"}, {"1000", "sat"}};  ///< in one invocation
  std::vector<Limit> per_day{{"10.00", "usd"}, {"10000", "sat"}};  ///< per payer, real money only
  std::vector<Limit> max_deposit;  ///< in an escrow; where none speaks, what max_spend leaves
  /// Network fee of one payment; where none speaks of Lightning, 10 sat or 1 %, whichever is more.
  std::vector<Limit> max_fee{{"0.02", "usd"}};
  Expectations expected;
};

/// What was signed already.
struct Spent {
  std::vector<Money> run;
  std::vector<Money> today;
};

/// Whether this may be signed. Kind::declined otherwise, with a reason that scripts can read:
/// max_spend, max_deposit, per_day, max_fee, recipient, expect_amount, expect_recipient,
/// expect_currency; the figures need and limit are set where they are numbers.
Result<> allow(const Spend& spend, const Limits& limits, const Spent& spent);

/// What a payment counts as in Spent: what the payees get, and what is lost when that is swapped
/// for; all that is swapped where one of `limits` speaks of that token and not of both, and of a
/// swap between tokens of which only one is a dollar.
std::vector<Money> counted(const Money& total, const std::optional<Money>& swap,
                           const std::vector<Limit>& limits);

/// The limit on `asset` in this invocation and what is left of it; nullopt when no limit speaks of
/// the asset, in which case nothing of it may be spent.
struct Budget {
  Amount limit;
  Amount left;
};
std::optional<Budget> run_budget(const Asset& asset, const Limits& limits, const Spent& spent);

/// The most that the network may take for a payment of `paid`, in its asset; zero when no limit
/// speaks of it.
Amount fee_limit(const Money& paid, const Limits& limits);

/// The most of `asset` that may lie in an escrow.
Amount deposit_limit(const Asset& asset, const Limits& limits, const Spent& spent);

}  // namespace paycurl
