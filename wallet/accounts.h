// The accounts a user has, and which of them pays.
//
// An account is of one kind: "tempo" has a key that signs, "lightning" is a wallet that pays by
// itself, whose secret is the text of its connection. The database knows names, addresses and where
// the secret is; the secrets themselves are in keystores. Keychain entries of the npm CLI are
// accounts without being in the database.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "wallet/keystore.h"
#include "wallet/settings.h"
#include "wallet/sqlite.h"

namespace paycurl {

struct Account {
  std::string name;
  std::string method = "tempo";
  std::string address;  ///< EIP-55, a wallet's public name; empty when only the secret would tell
  std::string source;   ///< keychain, file, env, mppx; node: a wallet that was connected
  bool is_default = false;  ///< of its method
  bool locked = false;
  std::string network = {};  ///< lightning: "mainnet"..., empty when the wallet does not tell

  bool is_wallet() const { return method == "lightning"; }
};

/// The places where secrets are.
struct Keystores {
  Keystore* keychain;
  Keystore* files;
  SecretStore* secrets;       ///< in the keychain
  SecretStore* secret_files;  ///< in the folder of `files`
};

/// What the command line says about who pays.
struct PayerChoice {
  std::optional<std::string> account;
  std::optional<int> key_fd;
  std::optional<std::string> key_file;
  std::optional<int> wallet_fd;
  /// What the config names for who is paid; nothing: what it names for all.
  std::optional<std::string> usual = {};
};

/// An account and, where choosing it needed its secret (descriptors, variables), the secret.
struct ChosenAccount {
  Account account;
  std::optional<PrivateKey> key = {};
  std::optional<Secret> connection = {};
};

class Accounts {
 public:
  /// `state` may be nullptr: then there is no database (yet). The keystores are used only when
  /// needed.
  Accounts(const Settings& settings, Database* state, const Keystores& stores,
           PasswordSource password);

  /// Who pays what `method` pays. "tempo": --key-fd and --key-file, then -a, PAYCURL_PRIVATE_KEY,
  /// PAYCURL_ACCOUNT, MPPX_PRIVATE_KEY, MPPX_ACCOUNT, the config's, the default. "lightning":
  /// --wallet-fd, -a, PAYCURL_WALLET, PAYCURL_ACCOUNT, the config's, the default. A PAYCURL_ACCOUNT
  /// or a config's account of the other kind says nothing about this one; otherwise what was named
  /// and cannot be had is Kind::account, never a reason to take another identity. The address of a
  /// wallet that was handed over is empty: who can read connections knows it.
  Result<ChosenAccount> choose(const PayerChoice& choice, std::string_view method);
  /// The key of a chosen account.
  Result<PrivateKey> open(ChosenAccount chosen);
  /// The connection of a chosen wallet: its text, without white space around.
  Result<Secret> connection(ChosenAccount chosen);

  /// All of them, without unlocking anything. `note` gets a sentence when the keychain could not be
  /// looked into.
  Result<std::vector<Account>> list(std::string& note);
  /// The names that the database and the folder of key files know, some without an address. Nothing
  /// is opened or asked; the other places are not used.
  Result<std::vector<Account>> known();
  /// Usage or account error when there is none of that name.
  Result<Account> find(const std::string& name);
  /// The name of a key that is used when nothing is said: ours, else the npm CLI's, else "main".
  Result<std::string> default_name();
  /// The wallet that is used when nothing is said; nullopt when there is none.
  Result<std::optional<Account>> default_wallet();

  /// Needs the database. `add` makes the first account of a kind the default one.
  Result<> add(const Account& account);
  Result<> forget(const std::string& name);
  Result<> set_default(const Account& account);

  Keystore& keystore_of(const Account& account);
  /// Where the connection of the wallet `name` is.
  SecretStore& store_of_wallet(const std::string& name);

 private:
  Result<ChosenAccount> choose_key(const PayerChoice& choice);
  Result<ChosenAccount> choose_named_key(const PayerChoice& choice);
  Result<ChosenAccount> choose_wallet(const PayerChoice& choice);
  Result<std::optional<Account>> usual_account(const PayerChoice& choice, bool is_wallet);
  bool has_wallet_file(const std::string& name) const;
  void add_unrecorded_wallets(std::vector<Account>& accounts);
  std::string add_keychain(std::vector<Account>& accounts);
  Result<> add_variables(std::vector<Account>& accounts);
  Result<std::optional<Account>> recorded(const std::string& name);
  Result<std::vector<Account>> all_recorded();
  Result<ChosenAccount> from_key(const char* name, PrivateKey key);
  Result<ChosenAccount> from_file(const std::string& path);

  const Settings& settings_;
  Database* state_;
  Keystores stores_;
  PasswordSource password_;
};

}  // namespace paycurl
