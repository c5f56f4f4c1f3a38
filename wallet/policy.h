// What the user and the machine's owner allow. One pure function answers for every payment, on the
// integer that will be signed; nothing else in the project compares an amount with a limit.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "src/base/result.h"
#include "src/base/spend.h"
#include "wallet/limit.h"
#include "wallet/rule.h"

namespace paycurl {

/// What an offer must be like, or nothing is signed.
struct Expectations {
  std::optional<std::string> amount;  ///< "0.01", in whole tokens
  bool amount_at_most = false;        ///< written as "<=0.01"
  std::optional<std::string> recipient;
  std::optional<std::string> currency;  ///< address or symbol
};

/// Reads "0.01" or "<=0.01". Usage error otherwise.
Result<> parse_expected_amount(std::string_view text, Expectations& into);

/// The limits of one run: what options and variables give, else [limits] of the files, else what is
/// built in. What the files say of hosts, and their ceilings, are in `files`.
struct Limits {
  std::vector<Limit> max_spend{{"1.00", "usd"}, {"1000", "sat"}};  ///< in one invocation
  std::vector<Limit> per_day{{"10.00", "usd"}, {"10000", "sat"}};  ///< per payer
  std::vector<Limit> max_deposit;  ///< in an escrow; where none speaks, what max_spend leaves
  /// Network fee of one payment; where none speaks of Lightning, 10 sat or 1 %, whichever is more.
  std::vector<Limit> max_fee{{"0.02", "usd"}};
  Increase max_increase;              ///< of a price since it was last paid
  std::optional<Money> agreed_price;  ///< the user was asked about an increase up to this
  Expectations expected;
  std::vector<RuleFile> files;  ///< /etc first; a later one comes before an earlier one
};

/// The limits that `files` set where no option and no variable does.
Limits limits_of_files(std::vector<RuleFile> files);

/// What was signed already.
struct Spent {
  std::vector<Money> run;                                     ///< in this invocation
  std::vector<Money> today;                                   ///< by this payer
  std::vector<Money> call = {};                               ///< for this request
  std::vector<std::pair<std::string, Money>> by_origin = {};  ///< today, by all payers
  std::optional<Amount> last_price = {};  ///< of this endpoint, in the asset that is to be paid
};

/// The hint where a file has the last word: no option and no answer of the user's changes it.
inline constexpr std::string_view kNoOptionRaises = "no option raises it; the file's owner can";

/// Whether this may be signed. Kind::declined otherwise, with a reason that scripts can read:
/// denied, pinned_recipient, pinned_currency, pinned_network, pinned_method, max_spend,
/// max_deposit, per_day, max_fee, max_increase, recipient, expect_amount, expect_recipient,
/// expect_currency; the figures need and limit are set where they are numbers.
Result<> allow(const Spend& spend, const Limits& limits, const Spent& spent);

/// Whether a price is higher than the last one allows. Kind::declined, max_increase, when it is.
Result<> allow_increase(const Spend& spend, const Limits& limits, const Spent& spent);
/// Whether any limit on increases speaks of `origin`, so that the last price is worth looking up.
bool limits_increase(const Limits& limits, std::string_view origin);
/// Every limit on what a day may cost, of all accounts and hosts.
std::vector<Limit> limits_by_day(const Limits& limits);
/// Whether any file limits what a day may cost at a host.
bool limits_hosts_by_day(const Limits& limits);

/// What a payment counts as in Spent: what the payees get, and what is lost when that is swapped
/// for; all that is swapped where one of `limits` speaks of that token and not of both, and of a
/// swap between tokens of which only one is a dollar.
std::vector<Money> counted(const Money& total, const std::optional<Money>& swap,
                           const std::vector<Limit>& limits);

/// The limit on `asset` in this invocation and what is left of it; nullopt when no limit speaks of
/// the asset, in which case nothing of it may be spent. `origin` is who is paid, where it is known.
struct Budget {
  Amount limit;
  Amount left;
};
std::optional<Budget> run_budget(const Asset& asset, const Limits& limits, const Spent& spent,
                                 std::string_view origin = {});

/// The most that the network may take for a payment of `paid`, in its asset; zero when no limit
/// speaks of it.
Amount fee_limit(const Money& paid, const Limits& limits, std::string_view origin = {});

/// The most of `asset` that may lie in an escrow.
Amount deposit_limit(const Asset& asset, const Limits& limits, const Spent& spent,
                     std::string_view origin = {});

}  // namespace paycurl
