// The accounts a user has, and which of them pays.
//
// The database knows names, addresses and where the key is; the keys themselves are in keystores.
// Keychain entries of the npm CLI are accounts without being in the database.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "wallet/keystore.h"
#include "wallet/settings.h"
#include "wallet/sqlite.h"

namespace paycurl {

struct Account {
  std::string name;
  std::string method = "tempo";
  std::string address;  ///< EIP-55; empty when only the key would tell
  std::string source;   ///< keychain, file, env, mppx
  bool is_default = false;
  bool locked = false;
};

/// What the command line says about who pays.
struct PayerChoice {
  std::optional<std::string> account;
  std::optional<int> key_fd;
  std::optional<std::string> key_file;
};

/// An account and, where choosing it needed the key (descriptors, variables), the key.
struct ChosenAccount {
  Account account;
  std::optional<PrivateKey> key;
};

class Accounts {
 public:
  /// `state` may be nullptr: then there is no database (yet). The keystores are used only when
  /// needed.
  Accounts(const Settings& settings, Database* state, Keystore& keychain, Keystore& files,
           PasswordSource password);

  /// Who pays: --key-fd and --key-file, then -a, PAYCURL_PRIVATE_KEY, PAYCURL_ACCOUNT,
  /// MPPX_PRIVATE_KEY, MPPX_ACCOUNT, the default. Never falls through to another identity: what was
  /// named and cannot be had is Kind::account.
  Result<ChosenAccount> choose(const PayerChoice& choice);
  /// The key of a chosen account.
  Result<PrivateKey> open(ChosenAccount chosen);

  /// All of them, without unlocking anything. `note` gets a sentence when the keychain could not be
  /// looked into.
  Result<std::vector<Account>> list(std::string& note);
  /// Usage or account error when there is none of that name.
  Result<Account> find(const std::string& name);
  /// The name that is used when nothing is said: ours, else the npm CLI's, else "main".
  Result<std::string> default_name();

  /// Needs the database. `add` makes the first account the default one.
  Result<> add(const Account& account);
  Result<> forget(const std::string& name);
  Result<> set_default(const Account& account);

  Keystore& keystore_of(const Account& account);

 private:
  Result<std::optional<Account>> recorded(const std::string& name);
  Result<std::vector<Account>> all_recorded();
  Result<ChosenAccount> from_key(const char* name, PrivateKey key);
  Result<ChosenAccount> from_file(const std::string& path);

  const Settings& settings_;
  Database* state_;
  Keystore& keychain_;
  Keystore& files_;
  PasswordSource password_;
};

}  // namespace paycurl
