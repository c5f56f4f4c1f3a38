// Puts journal, accounts, limits and keystores together, each opened when it is first needed.
#pragma once

#include <memory>
#include <optional>

#include "commands/command.h"
#include "wallet/accounts.h"
#include "wallet/ledger.h"
#include "wallet/spender.h"

namespace paycurl {

/// Where a key file's password comes from; nothing: the terminal.
struct PasswordChoice {
  std::optional<int> fd;
  std::string file;
};

class Wallet {
 public:
  Wallet(const Globals& globals, PasswordChoice password);
  ~Wallet();
  Wallet(const Wallet&) = delete;
  Wallet& operator=(const Wallet&) = delete;

  /// The state database; nullptr when it does not exist and `create` is not set.
  Result<Database*> state(bool create);
  Result<Accounts*> accounts(bool create_state);
  /// The journal, created when missing.
  Result<Ledger*> ledger();
  /// The channels of earlier runs; nullptr when there is no state database.
  Channels* known_channels();
  /// The payment channels, beside the journal.
  Result<Channels*> channels();

  /// Who pays; chosen once.
  Result<const Account*> payer(const PayerChoice& choice);
  /// The spender of that payer; opens the key when it first signs.
  Result<Spender*> spender(const PayerChoice& choice, const Limits& limits);
  /// What this process signed away until now.
  std::vector<Money> signed_so_far() const;
  /// A spender of an account by name: the one that began a payment or opened a channel.
  Result<Spender*> spender_of(const Payer& payer, const Limits& limits);

  /// The password that the user named, or one typed at the terminal.
  Result<Secret> password(std::string_view question, bool fresh);

 private:
  const Globals& globals_;
  PasswordChoice password_;
  Secret given_password_;  // a descriptor can be read only once
  std::unique_ptr<Keystore> keychain_;
  std::unique_ptr<Keystore> files_;
  std::optional<Database> database_;
  std::optional<Ledger> ledger_;
  std::optional<Channels> channels_;
  std::optional<Accounts> accounts_;
  std::optional<ChosenAccount> chosen_;
  std::optional<Account> payer_;
  std::optional<Spender> spender_;
};

}  // namespace paycurl
