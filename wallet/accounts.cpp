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
    "SELECT name, method, address, source, is_default FROM accounts ";

Account read_account(const Statement& row) {
  return {row.text(0), row.text(1),         row.text(2),
          row.text(3), row.integer(4) != 0, row.text(3) == "file"};
}

}  // namespace

Accounts::Accounts(const Settings& settings, Database* state, Keystore& keychain, Keystore& files,
                   PasswordSource password)
    : settings_(settings),
      state_(state),
      keychain_(keychain),
      files_(files),
      password_(std::move(password)) {}

Keystore& Accounts::keystore_of(const Account& account) {
  return account.source == "file" ? files_ : keychain_;
}

Result<ChosenAccount> Accounts::from_key(const char* name, PrivateKey key) {
  Account account{name, "tempo", key.address().checksummed(), "env"};
  return ChosenAccount{std::move(account), std::move(key)};
}

Result<ChosenAccount> Accounts::from_file(const std::string& path) {
  const auto file = read_key_file(path);
  if (!file) return file.error();
  if (file->address) {
    return ChosenAccount{{path, "tempo", file->address->checksummed(), "file"}, std::nullopt};
  }
  const auto password = password_("Password of " + printable(path), false);
  if (!password) return password.error();
  auto key = open_key_file(*file, *password);
  if (!key) return key.error();
  return ChosenAccount{{path, "tempo", key->address().checksummed(), "file"}, std::move(*key)};
}

Result<ChosenAccount> Accounts::choose(const PayerChoice& choice) {
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
  std::optional<std::string> name = choice.account;
  const char* variable = name                             ? nullptr
                         : settings_.has_private_key      ? "PAYCURL_PRIVATE_KEY"
                         : settings_.account              ? nullptr
                         : settings_.has_mppx_private_key ? "MPPX_PRIVATE_KEY"
                                                          : nullptr;
  if (variable != nullptr) {
    auto key = take_key_variable(variable);
    if (!key) return key.error();
    return from_key("env", std::move(*key));
  }
  if (!name) name = settings_.account ? settings_.account : settings_.mppx_account;
  if (!name) {
    auto usual = default_name();
    if (!usual) return usual.error();
    name = *usual;
  }
  auto found = find(*name);
  if (!found) return found.error();
  return ChosenAccount{std::move(*found), std::nullopt};
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

Result<std::string> Accounts::default_name() {
  const auto recorded_accounts = all_recorded();
  if (!recorded_accounts) return recorded_accounts.error();
  for (const Account& account : *recorded_accounts) {
    if (account.is_default) return account.name;
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
  auto listing = keychain_.list();
  if (!listing) return listing.error();
  for (const StoredKey& key : listing->keys) {
    if (key.name == name) return Account{name, "tempo", "", "mppx", false, key.locked};
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

Result<std::vector<Account>> Accounts::list(std::string& note) {
  auto accounts = all_recorded();
  if (!accounts) return accounts;
  const auto known = [&](const std::string& name) {
    return std::any_of(accounts->begin(), accounts->end(),
                       [&](const Account& account) { return account.name == name; });
  };
  if (const auto stored = files_.list()) {
    for (const StoredKey& key : stored->keys) {
      if (known(key.name)) continue;
      const auto found = find(key.name);
      if (found) accounts->push_back(*found);
    }
  }
  if (const auto listing = keychain_.list()) {
    for (const StoredKey& key : listing->keys) {
      if (known(key.name)) continue;
      Account account{key.name, "tempo", "", "mppx", false, key.locked};
      const auto opened = key.locked ? Result<PrivateKey>(Error{Kind::account, "locked"})
                                     : keychain_.load(key.name);
      if (opened) account.address = opened->address().checksummed();
      accounts->push_back(std::move(account));
    }
    if (listing->unnamed > 0) {
      note = std::to_string(listing->unnamed) +
             " accounts cannot be named until the keychain is unlocked";
    }
  } else {
    note = listing.error().message;
  }
  const auto usual = default_name();
  if (!usual) return usual.error();
  for (Account& account : *accounts) {
    account.is_default = account.name == *usual;
  }
  for (const auto& [set, name] : {std::pair{settings_.has_private_key, "PAYCURL_PRIVATE_KEY"},
                                  std::pair{settings_.has_mppx_private_key, "MPPX_PRIVATE_KEY"}}) {
    if (!set) continue;
    auto key = take_key_variable(name);
    if (!key) return key.error();
    accounts->push_back({name, "tempo", key->address().checksummed(), "env"});
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
  auto insert = state_->prepare(
      "INSERT INTO accounts (name, method, address, source, is_default, created) "
      "VALUES (?, ?, ?, ?, ?, ?)");
  if (!insert) return insert.error();
  return insert->bind(account.name)
      .bind(account.method)
      .bind(account.address)
      .bind(account.source)
      .bind(std::int64_t{recorded_accounts->empty()})
      .bind(system_now())
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
  auto update = state_->prepare("UPDATE accounts SET is_default = (name = ?)");
  if (!update) return update.error();
  return update->bind(account.name).run();
}

}  // namespace paycurl
