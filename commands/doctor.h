// What paycurl doctor looks at: a function for each thing, each with a verdict and what to do.
#pragma once

#include <string>
#include <vector>

#include "commands/network.h"
#include "commands/wallet.h"

namespace paycurl {

struct Check {
  enum class Status { ok, warn, fail, skip };
  std::string id;  ///< "rpc.4217", "account.main"; letters, digits, dots and what names may have
  Status status = Status::ok;
  std::string message;         ///< may hold foreign text
  std::string hint = {};       ///< what to do; empty when it is nothing
  Kind kind = Kind::internal;  ///< of a failure: its value is the exit status
};
std::string_view name_of(Check::Status status);

/// What all checks may use. Nothing is unlocked, and nobody is asked.
struct DoctorParts {
  const Globals& globals;
  const RequestOptions& options;  ///< --network, --rpc-url, --offline, -a
  Wallet& wallet;
  Network& network;
};

/// On this machine: configuration, journal, keychain, certificates, proxy.
std::vector<Check> check_configuration(const DoctorParts& parts);
std::vector<Check> check_state(const DoctorParts& parts);
std::vector<Check> check_keychain(const DoctorParts& parts);
std::vector<Check> check_tls(const DoctorParts& parts);
std::vector<Check> check_proxy(const DoctorParts& parts);

/// The accounts: who pays, whether their secrets can be had, what they have, whether a wallet
/// answers.
std::vector<Check> check_accounts(const DoctorParts& parts);

/// The nodes of the chains that may be paid on, and this machine's clock by theirs.
std::vector<Check> check_chains(const DoctorParts& parts);

/// No node and no wallet is waited for longer.
inline constexpr http::Duration kDoctorPatience{5'000};

}  // namespace paycurl
