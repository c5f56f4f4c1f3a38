// Puts journal, accounts, limits and keystores together, each opened when it is first needed.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "commands/command.h"
#include "src/payment/flow.h"
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
  /// `run` names the invocation where several processes make it; empty: this one alone does.
  Wallet(const Globals& globals, PasswordChoice password, std::string run = "");
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

  /// Who pays what `method` pays; chosen once for each.
  Result<const Account*> payer(const PayerChoice& choice, std::string_view method);
  /// Whether somebody pays what `method` pays. An error when one was handed over that cannot.
  Result<bool> has_payer(const PayerChoice& choice, std::string_view method);
  /// The spender of that payer; opens the key or the connection when it first needs it.
  Result<Spender*> spender(const PayerChoice& choice, const Limits& limits,
                           std::string_view method);
  /// What this invocation signed away until now, by all methods; nothing before it pays.
  std::vector<Money> signed_so_far() const;
  /// What all processes of this invocation paid until now.
  Result<std::vector<Money>> settled_in_run();
  /// A spender of an account by name: the one that began a payment or opened a channel.
  Result<Spender*> spender_of(const Payer& payer, const Limits& limits, std::string_view method);

  /// Secrets that are no keys, in the keychain.
  SecretStore& secrets() { return *secrets_; }
  /// Stores the connection of a new wallet, in an encrypted file or the keychain.
  Result<> keep_connection(const std::string& name, const Secret& text, bool in_file);
  /// Fills in what only the secret tells: the address of a key in the keychain that paycurl did not
  /// make, the name of a wallet whose row is not there.
  Result<> complete(ChosenAccount& chosen);

  /// The password that the user named, or one typed at the terminal.
  Result<Secret> password(std::string_view question, bool fresh);

 private:
  struct Paying {
    ChosenAccount chosen;
    Account account;
  };
  struct Purse {
    std::string method;
    std::unique_ptr<Spender> spender;
  };

  Result<Paying*> choose(const PayerChoice& choice, std::string_view method);
  PayerSource source_of(const Payer& payer, std::string_view method);

  const Globals& globals_;
  PasswordChoice password_;
  Secret given_password_;  // a descriptor can be read only once
  std::unique_ptr<Keystore> keychain_;
  std::unique_ptr<Keystore> files_;
  std::unique_ptr<SecretStore> secrets_;
  std::unique_ptr<SecretStore> secret_files_;
  std::optional<Database> database_;
  std::optional<Ledger> ledger_;
  std::optional<Channels> channels_;
  std::optional<Accounts> accounts_;
  std::string run_;                                    // named when somebody first pays
  std::map<std::string, Paying, std::less<>> paying_;  // by method and config's account
  std::vector<Purse> purses_;
};

/// Tokens of L402 in the keychain. The state database says for which origins there is one, so that
/// other requests do not wait for the keychain.
class KeptTokens : public Tokens {
 public:
  KeptTokens(Wallet& wallet, bool verbose) : wallet_(wallet), verbose_(verbose) {}
  std::optional<std::string> find(const std::string& origin) override;
  void keep(const std::string& origin, const std::string& field) override;
  void forget(const std::string& origin) override;

 private:
  Result<> store(const std::string& origin, const std::string& field);

  Wallet& wallet_;
  bool verbose_;
};

/// The connection of a wallet that must be the one called `address`. Kind::account when something
/// replaced it.
Result<Secret> checked_connection(Secret text, const std::string& address);

}  // namespace paycurl
