// What the config files say about payments: to all, and to the hosts that they name.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "wallet/limit.h"

namespace paycurl {

/// The only values that are allowed; any where it is empty.
struct Pin {
  std::vector<std::string> values;
  std::string place;  ///< "FILE:LINE"

  bool empty() const { return values.empty(); }
};

struct Switch {
  std::optional<bool> on;
  std::string place;

  bool empty() const { return !on; }
};

/// A section of a file: [limits], or [host."..."].
struct Rule {
  std::string host;  ///< "api.example.com", "api.example.com:8443", "*.example.com", "*"
  std::vector<Limit> max_spend;    ///< [limits]: in one invocation; a host: for one request
  std::vector<Limit> per_day;      ///< [limits]: per payer; a host: of all payers together
  std::vector<Limit> max_deposit;  ///< in the escrow of a channel
  std::vector<Limit> max_fee;      ///< of the network, for one payment
  Increase max_increase;
  Pin recipient, currency, network, method;
  Switch deny;        ///< nothing is paid
  Switch allow_http;  ///< paid over plain http or unverified TLS as well
  std::string account;
};

/// The rules of one file.
struct RuleFile {
  std::string path;
  bool is_final = false;  ///< its limits are ceilings for everything else
  Rule all;
  std::vector<Rule> hosts;
};

/// Whether a host's pattern can be read: a name or an address, perhaps with a port; "*" in front
/// stands for everything below the name, alone for every host.
bool is_host_pattern(std::string_view text);

/// Whether `pattern` speaks of `origin` ("https://api.example.com:8443"). Case does not matter, nor
/// does a final dot; a pattern without a port means every port.
bool matches_host(std::string_view pattern, std::string_view origin);

/// The host sections of `file` that speak of `origin`, the most exact first: a whole name before a
/// pattern, a longer pattern before a shorter, one with a port before one without.
std::vector<const Rule*> rules_for(const RuleFile& file, std::string_view origin);

/// What the most exact of `rules` that says anything says.
template <class T>
const T* first_said(const std::vector<const Rule*>& rules, T Rule::*member) {
  for (const Rule* rule : rules) {
    if (!(rule->*member).empty()) return &(rule->*member);
  }
  return nullptr;
}

/// The account that pays `origin`: the last file that names one for it. Empty when none does.
std::string account_for(const std::vector<RuleFile>& files, std::string_view origin);
/// Whether payments to `origin` may go over plain http or unverified TLS: `wanted` is what an
/// option says, else the last file that says anything; never when a final file forbids it.
bool allows_http(const std::vector<RuleFile>& files, std::string_view origin, bool wanted);

}  // namespace paycurl
