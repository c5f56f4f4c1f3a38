#include "wallet/accounts.h"

#include <algorithm>
#include <fstream>

#include <unistd.h>

#include "src/base/clock.h"
#include "src/base/text.h"
#include "wallet/key_file.h"

namespace paycurl {
namespace {

constexpr std::string_view kColumns =
    "SELECT name, method, address, source, is_default, network FROM accounts ";

Account read_account(const Statement& row) {
  return {row.text(0),         row.text(1),           row.text(2), row.text(3),
          row.integer(4) != 0, row.text(3) == "file", row.text(5)};
}

Error wrong_kind(const Account& account) {
  const std::string name = "account \"" + printable(account.name) + "\" ";
  if (account.is_wallet()) {
    return {Kind::account, name + "is a Lightning wallet, which this payment cannot come from",
            "name another account with -a, or choose another offer with --method lightning",
            "no_account"};
  }
  return {Kind::account, name + "is no Lightning wallet, and this payment needs one",
          "name another account with -a, or choose another offer with --method " + account.method,
          "no_account"};
}

bool has_name(const std::vector<Account>& accounts, const std::string& name) {
  return std::any_of(accounts.begin(), accounts.end(),
                     [&](const Account& account) { return account.name == name; });
}

/// A copy without white space around it, which files and people add.
Secret without_space(const Secret& text) {
  const std::string_view kept = trimmed(text.text());
  Secret copy;
  copy.assign({reinterpret_cast<const std::uint8_t*>(kept.data()), kept.size()});
  return copy;
}

}  // namespace

Accounts::Accounts(const Settings& settings, Database* state, const Keystores& stores,
                   PasswordSource password)
    : settings_(settings), state_(state), stores_(stores), password_(std::move(password)) {}

Keystore& Accounts::keystore_of(const Account& account) {
  return account.source == "file" ? *stores_.files : *stores_.keychain;
}

bool Accounts::has_wallet_file(const std::string& name) const {
  const auto files = stores_.secret_files->list(SecretPurpose::lightning_wallet);
  return files && std::any_of(files->keys.begin(), files->keys.end(),
                              [&](const StoredKey& file) { return file.name == name; });
}

SecretStore& Accounts::store_of_wallet(const std::string& name) {
  return has_wallet_file(name) ? *stores_.secret_files : *stores_.secrets;
}

Result<ChosenAccount> Accounts::from_key(const char* name, PrivateKey key) {
  Account account{name, "tempo", key.address().checksummed(), "env"};
  return ChosenAccount{std::move(account), std::move(key)};
}

Result<ChosenAccount> Accounts::from_file(const std::string& path) {
  const auto file = read_key_file(path);
  if (!file) return file.error();
  if (file->address) {
    return ChosenAccount{{path, "tempo", file->address->checksummed(), "file"}};
  }
  const auto password = password_("Password of " + printable(path), false);
  if (!password) return password.error();
  auto key = open_key_file(*file, *password);
  if (!key) return key.error();
  return ChosenAccount{{path, "tempo", key->address().checksummed(), "file"}, std::move(*key)};
}

Result<ChosenAccount> Accounts::choose(const PayerChoice& choice, std::string_view method) {
  return method == "lightning" ? choose_wallet(choice) : choose_key(choice);
}

Result<ChosenAccount> Accounts::choose_wallet(const PayerChoice& choice) {
  if (choice.wallet_fd) {
    auto secret = read_secret(*choice.wallet_fd);
    if (!secret) {
      return std::move(secret).error().within("--wallet-fd " + std::to_string(*choice.wallet_fd));
    }
    return ChosenAccount{{"wallet-fd", "lightning", "", "env"}, std::nullopt, std::move(*secret)};
  }
  if (choice.account) {
    auto found = find(*choice.account);
    if (!found) return found.error();
    if (!found->is_wallet()) return wrong_kind(*found);
    return ChosenAccount{std::move(*found)};
  }
  if (choice.key_fd || choice.key_file) {
    return Error{Kind::account, "the key that was given does not pay Lightning invoices",
                 "leave it out, or take another offer: --method tempo", "no_account"};
  }
  if (settings_.has_wallet) {
    auto secret = take_secret_variable("PAYCURL_WALLET");
    if (!secret) return secret.error();
    return ChosenAccount{{"env", "lightning", "", "env"}, std::nullopt, std::move(*secret)};
  }
  if (settings_.account) {
    auto found = find(*settings_.account);
    if (!found) return found.error();
    if (found->is_wallet()) return ChosenAccount{std::move(*found)};
  }
  auto configured = usual_account(choice, true);
  if (!configured) return configured.error();
  if (*configured) return ChosenAccount{std::move(**configured)};
  auto usual = default_wallet();
  if (!usual) return usual.error();
  if (*usual) return ChosenAccount{std::move(**usual)};
  const auto all = all_recorded();
  const bool has_some =
      all && std::any_of(all->begin(), all->end(), [](const Account& a) { return a.is_wallet(); });
  return Error{Kind::account, "no Lightning wallet pays when none is named",
               has_some ? "choose one with: paycurl account default NAME"
                        : "connect one with: paycurl account connect (or set PAYCURL_WALLET)",
               "no_account"};
}

Result<ChosenAccount> Accounts::choose_key(const PayerChoice& choice) {
  if (choice.key_fd && choice.key_file) {
    return Error{Kind::usage, "--key-fd and --key-file are two keys", "give one of them"};
  }
  if (choice.key_fd) {
    const auto secret = read_secret(*choice.key_fd);
    if (!secret) return Error{secret.error()}.within("--key-fd " + std::to_string(*choice.key_fd));
    auto key = PrivateKey::parse(secret->text());
    if (!key) return std::move(key).error().within("--key-fd");
    return from_key("key-fd", std::move(*key));
  }
  if (choice.key_file) {  // an account whose name is a path
    const bool is_path = choice.key_file->find('/') != std::string::npos;
    return from_file(is_path ? *choice.key_file : "./" + *choice.key_file);
  }
  return choose_named_key(choice);
}

/// The account that the config names, when it is of that kind.
Result<std::optional<Account>> Accounts::usual_account(const PayerChoice& choice, bool is_wallet) {
  const auto& name = choice.usual ? choice.usual : settings_.usual_account;
  if (!name) return std::optional<Account>();
  auto found = find(*name);
  if (!found) return std::move(found).error().within("the config file's account");
  return found->is_wallet() == is_wallet ? std::optional(std::move(*found)) : std::nullopt;
}

/// By a name or a variable.
Result<ChosenAccount> Accounts::choose_named_key(const PayerChoice& choice) {
  std::optional<std::string> name = choice.account;
  if (!name && choice.wallet_fd) {
    return Error{Kind::account, "the wallet that was given pays Lightning invoices only",
                 "leave it out, or take another offer: --method lightning", "no_account"};
  }
  if (!name && settings_.has_private_key) {
    auto key = take_key_variable("PAYCURL_PRIVATE_KEY");
    if (!key) return key.error();
    return from_key("env", std::move(*key));
  }
  if (!name && settings_.account) {
    auto found = find(*settings_.account);
    if (!found) return found.error();
    if (!found->is_wallet()) return ChosenAccount{std::move(*found)};
  }
  if (!name && settings_.has_mppx_private_key) {
    auto key = take_key_variable("MPPX_PRIVATE_KEY");
    if (!key) return key.error();
    return from_key("env", std::move(*key));
  }
  if (!name) name = settings_.mppx_account;
  if (!name) {
    auto configured = usual_account(choice, false);
    if (!configured) return configured.error();
    if (*configured) return ChosenAccount{std::move(**configured)};
  }
  if (!name) {
    auto usual = default_name();
    if (!usual) return usual.error();
    name = *usual;
  }
  auto found = find(*name);
  if (!found) return found.error();
  if (found->is_wallet()) return wrong_kind(*found);
  return ChosenAccount{std::move(*found)};
}

Result<PrivateKey> Accounts::open(ChosenAccount chosen) {
  if (chosen.key) return std::move(*chosen.key);
  const Account& account = chosen.account;
  Result<PrivateKey> key = [&]() -> Result<PrivateKey> {
    if (account.source == "env") return load_credential(settings_.credentials_folder, account.name);
    if (account.source != "file" || account.name.find('/') == std::string::npos) {
      return keystore_of(account).load(account.name);
    }
    const auto file = read_key_file(account.name);  // --key-file
    if (!file) return file.error();
    const auto password = password_("Password of " + printable(account.name), false);
    if (!password) return password.error();
    return open_key_file(*file, *password);
  }();
  if (key && !account.address.empty() && key->address().checksummed() != account.address) {
    return Error{Kind::account,
                 "account \"" + printable(account.name) + "\" holds the key of " +
                     key->address().checksummed() + ", not of " + account.address,
                 "something replaced its key; see paycurl account list", "ambiguous"};
  }
  return key;
}

Result<Secret> Accounts::connection(ChosenAccount chosen) {
  if (chosen.connection) return without_space(*chosen.connection);
  const std::string& name = chosen.account.name;
  const auto secret = store_of_wallet(name).load(SecretPurpose::lightning_wallet, name);
  if (!secret) return secret.error();
  return without_space(*secret);
}

Result<std::optional<Account>> Accounts::default_wallet() {
  auto recorded_accounts = all_recorded();
  if (!recorded_accounts) return recorded_accounts.error();
  for (Account& account : *recorded_accounts) {
    if (account.is_wallet() && account.is_default) return std::optional(std::move(account));
  }
  return std::optional<Account>();
}

Result<std::string> Accounts::default_name() {
  const auto recorded_accounts = all_recorded();
  if (!recorded_accounts) return recorded_accounts.error();
  for (const Account& account : *recorded_accounts) {
    if (account.is_default && !account.is_wallet()) return account.name;
  }
  std::ifstream file(settings_.mppx_config_folder + "/default");
  std::string line;
  if (file && std::getline(file, line)) line = trimmed(line);
  return check_account_name(line) ? line : std::string("main");
}

Result<Account> Accounts::find(const std::string& name) {
  if (auto valid = check_account_name(name); !valid) return valid.error();
  auto known = recorded(name);
  if (!known) return known.error();
  if (*known) return std::move(**known);
  const std::string credential = settings_.credentials_folder + "/" + name;
  if (!settings_.credentials_folder.empty() && ::access(credential.c_str(), F_OK) == 0) {
    auto key = load_credential(settings_.credentials_folder, name);
    if (!key) return key.error();
    return Account{name, "tempo", key->address().checksummed(), "env"};
  }
  const std::string file = settings_.data_folder + "/keys/" + name + ".json";
  if (!settings_.data_folder.empty() && ::access(file.c_str(), F_OK) == 0) {
    const auto read = read_key_file(file);
    if (!read) return read.error();
    return Account{name,   "tempo", read->address ? read->address->checksummed() : "",
                   "file", false,   true};
  }
  if (has_wallet_file(name)) return Account{name, "lightning", "", "node", false, true};
  auto listing = stores_.keychain->list();
  if (!listing) return listing.error();
  for (const StoredKey& key : listing->keys) {
    if (key.name == name) return Account{name, "tempo", "", "mppx", false, key.locked};
  }
  const auto wallets = stores_.secrets->list(SecretPurpose::lightning_wallet);
  if (!wallets) return wallets.error();
  for (const StoredKey& wallet : wallets->keys) {
    if (wallet.name == name) return Account{name, "lightning", "", "node", false, wallet.locked};
  }
  // A locked keychain may hide the name: only loading tells "locked" from "not there".
  if (listing->unnamed > 0) return Account{name, "tempo", "", "mppx", false, true};
  std::string names;
  for (const StoredKey& key : listing->keys) {
    names += " " + printable(key.name, 70);
  }
  return Error{Kind::account, "no account \"" + name + "\"",
               names.empty() ? "make one with: paycurl account create " + name +
                                   " (or set PAYCURL_PRIVATE_KEY)"
                             : "accounts in the keychain:" + names,
               "no_account"};
}

/// Wallets whose row was lost: their secrets are still there.
void Accounts::add_unrecorded_wallets(std::vector<Account>& accounts) {
  for (SecretStore* store : {stores_.secret_files, stores_.secrets}) {
    const auto wallets = store->list(SecretPurpose::lightning_wallet);
    if (!wallets) continue;  // the keychain, whose error the caller meets too
    for (const StoredKey& wallet : wallets->keys) {
      if (has_name(accounts, wallet.name)) continue;
      accounts.push_back({wallet.name, "lightning", "", "node", false, wallet.locked});
    }
  }
}

/// Keys in the keychain, most of them the npm CLI's; a sentence when it cannot be looked into.
std::string Accounts::add_keychain(std::vector<Account>& accounts) {
  const auto listing = stores_.keychain->list();
  if (!listing) return listing.error().message;
  for (const StoredKey& key : listing->keys) {
    if (has_name(accounts, key.name)) continue;
    Account account{key.name, "tempo", "", "mppx", false, key.locked};
    const auto opened = key.locked ? Result<PrivateKey>(Error{Kind::account, "locked"})
                                   : stores_.keychain->load(key.name);
    if (opened) account.address = opened->address().checksummed();
    accounts.push_back(std::move(account));
  }
  if (listing->unnamed == 0) return "";
  return std::to_string(listing->unnamed) +
         " accounts cannot be named until the keychain is unlocked";
}

Result<> Accounts::add_variables(std::vector<Account>& accounts) {
  for (const auto& [set, name] : {std::pair{settings_.has_private_key, "PAYCURL_PRIVATE_KEY"},
                                  std::pair{settings_.has_mppx_private_key, "MPPX_PRIVATE_KEY"}}) {
    if (!set) continue;
    auto key = take_key_variable(name);
    if (!key) return key.error();
    accounts.push_back({name, "tempo", key->address().checksummed(), "env"});
  }
  if (settings_.has_wallet) accounts.push_back({"PAYCURL_WALLET", "lightning", "", "env"});
  return {};
}

Result<std::vector<Account>> Accounts::list(std::string& note) {
  auto accounts = all_recorded();
  if (!accounts) return accounts;
  if (const auto stored = stores_.files->list()) {
    for (const StoredKey& key : stored->keys) {
      if (has_name(*accounts, key.name)) continue;
      const auto found = find(key.name);
      if (found) accounts->push_back(*found);
    }
  }
  add_unrecorded_wallets(*accounts);
  if (std::string said = add_keychain(*accounts); !said.empty()) note = std::move(said);
  const auto usual = default_name();
  if (!usual) return usual.error();
  for (Account& account : *accounts) {
    if (!account.is_wallet()) account.is_default = account.name == *usual;
  }
  if (auto added = add_variables(*accounts); !added) return added.error();
  return accounts;
}

Result<std::vector<Account>> Accounts::known() {
  auto accounts = all_recorded();
  if (!accounts) return accounts;
  const auto stored = stores_.files->list();
  if (!stored) return accounts;
  for (const StoredKey& key : stored->keys) {
    if (!has_name(*accounts, key.name)) accounts->push_back({key.name, "tempo", "", "file"});
  }
  return accounts;
}

Result<std::optional<Account>> Accounts::recorded(const std::string& name) {
  if (state_ == nullptr) return std::optional<Account>();
  auto query = state_->prepare(std::string(kColumns) + "WHERE name = ?");
  if (!query) return query.error();
  const auto row = query->bind(name).step();
  if (!row) return row.error();
  return *row ? std::optional(read_account(*query)) : std::nullopt;
}

Result<std::vector<Account>> Accounts::all_recorded() {
  std::vector<Account> accounts;
  if (state_ == nullptr) return accounts;
  auto query = state_->prepare(std::string(kColumns) + "ORDER BY created, name");
  if (!query) return query.error();
  while (true) {
    const auto row = query->step();
    if (!row) return row.error();
    if (!*row) return accounts;
    accounts.push_back(read_account(*query));
  }
}

Result<> Accounts::add(const Account& account) {
  const auto recorded_accounts = all_recorded();
  if (!recorded_accounts) return recorded_accounts.error();
  const bool is_first =
      std::none_of(recorded_accounts->begin(), recorded_accounts->end(),
                   [&](const Account& other) { return other.method == account.method; });
  auto insert = state_->prepare(
      "INSERT INTO accounts (name, method, address, source, is_default, created, network) "
      "VALUES (?, ?, ?, ?, ?, ?, ?)");
  if (!insert) return insert.error();
  return insert->bind(account.name)
      .bind(account.method)
      .bind(account.address)
      .bind(account.source)
      .bind(std::int64_t{is_first})
      .bind(system_now())
      .bind(account.network)
      .run();
}

Result<> Accounts::forget(const std::string& name) {
  auto remove = state_->prepare("DELETE FROM accounts WHERE name = ?");
  if (!remove) return remove.error();
  return remove->bind(name).run();
}

Result<> Accounts::set_default(const Account& account) {
  auto known = recorded(account.name);
  if (!known) return known.error();
  if (!*known) {
    if (auto added = add(account); !added) return added;
  }
  auto update = state_->prepare("UPDATE accounts SET is_default = (name = ?) WHERE method = ?");
  if (!update) return update.error();
  return update->bind(account.name).bind(account.method).run();
}

}  // namespace paycurl
