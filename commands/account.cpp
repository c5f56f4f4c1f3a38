// paycurl account: the accounts that pay, their keys and what they have.
#include <algorithm>
#include <thread>

#include <unistd.h>

#include "commands/json.h"
#include "commands/lightning_wallet.h"
#include "commands/network.h"
#include "commands/options.h"
#include "commands/output.h"
#include "commands/prompt.h"
#include "commands/wallet.h"
#include "src/base/text.h"
#include "wallet/key_file.h"

namespace paycurl {
namespace {

constexpr auto kFaucetPatience = std::chrono::seconds(30);

class AccountCommand : public Command {
 public:
  void declare(OptionSet& set) override {
    set.in("Account")
        .positional("verb", verb_, "what to do")
        .positional("name", name_, "the account")
        .value("-a,--account", name_, "NAME", "the account, as NAME")
        .value("--store", store_, "PLACE",
               "keep the secret in the keychain (default) or in an encrypted file")
        .value("--key-fd", key_fd_, "N", "import: read the key from this descriptor")
        .value("--key-file", key_file_, "FILE", "import: read the key from this encrypted file")
        .value("--wallet-fd", wallet_fd_, "N",
               "connect, show, balance: read the wallet's connection from this descriptor")
        .value("--password-fd", password_.fd, "N",
               "read the key file's password from this descriptor")
        .value("--password-file", password_.file, "FILE",
               "read the key file's password from this file")
        .value("-o,--output", output_, "FILE", "export: write the encrypted key to this file")
        .flag("--raw", raw_, "export: show the bare key")
        .value("--fd", export_fd_, "N", "export --raw: write the key to this descriptor")
        .flag("--yes", yes_, "delete: do not ask")
        .flag("--fund", fund_, "create: ask the test network's faucet (default)")
        .value("--network", options_.network, "NAME", "mainnet, testnet or a chain id")
        .value("--rpc-url", options_.rpc_url, "URL", "the chain's node to ask")
        .value("-m,--max-time", options_.max_time, "SECONDS", "fund: wait at most that long (30)");
  }

  Result<int> run(const Globals& globals) override;

 private:
  Result<> set_up(const Globals& globals);
  Result<> create();
  Result<> import();
  Result<> connect();
  Result<> list();
  Result<> show(bool only_balances);
  Result<> show_account(const Account& account, bool only_balances);
  Result<> show_wallet(ChosenAccount who, bool only_balances);
  Result<std::vector<Money>> spent_today(const Account& account);
  Result<> set_default();
  Result<> export_key();
  Result<> export_raw(const Account& account, const PrivateKey& key);
  Result<> remove();
  Result<> fund();

  Result<Accounts*> accounts(bool create_state) { return wallet_->accounts(create_state); }
  /// The named account, or the one that pays by default, with its address.
  Result<ChosenAccount> chosen();
  /// The same, when it has a key.
  Result<ChosenAccount> chosen_key(const char* what_not, const char* hint);
  Result<ChosenAccount> choose(const PayerChoice& choice);
  Result<> refuse_taken(const std::string& name);
  Result<> keep(const std::string& name, const PrivateKey& key);
  Result<> forget(const Account& account);
  Result<> confirm_deletion(const Account& account);
  std::vector<Asset> tokens_of(const Account& account) const;
  Result<std::vector<Money>> balances(const std::string& address);
  Result<> wait_for_funds(const std::string& address, const std::vector<Money>& before);
  Result<> print_account(const Account& account, const std::string& sentence);
  Result<> show_json(const Account& account, const std::vector<Money>* held);

  std::string verb_, name_, store_ = "keychain", key_file_, output_;
  std::optional<int> key_fd_, export_fd_, wallet_fd_;
  PasswordChoice password_;
  bool raw_ = false, yes_ = false, fund_ = true;
  RequestOptions options_;
  const Globals* globals_ = nullptr;
  std::unique_ptr<Wallet> wallet_;
  Network network_;
};

Result<> AccountCommand::set_up(const Globals& globals) {
  globals_ = &globals;
  wallet_ = std::make_unique<Wallet>(globals, password_);
  if (store_ != "keychain" && store_ != "file") {
    return Error{Kind::usage, "not a place for keys: " + printable(store_, 40),
                 "keychain and file are"};
  }
  auto network = make_network(globals, options_);
  if (!network) return network.error();
  network_ = std::move(*network);
  return {};
}

Result<int> AccountCommand::run(const Globals& globals) {
  if (auto ready = set_up(globals); !ready) return ready.error();
  const auto verb = [this]() -> Result<> {
    if (verb_ == "create") return create();
    if (verb_ == "import") return import();
    if (verb_ == "list" || verb_.empty()) return list();
    if (verb_ == "show" || verb_ == "view") return show(false);
    if (verb_ == "balance") return show(true);
    if (verb_ == "default") return set_default();
    if (verb_ == "export") return export_key();
    if (verb_ == "delete") return remove();
    if (verb_ == "fund") return fund();
    if (verb_ == "connect") return connect();
    return Error{
        Kind::usage, "not something to do with accounts: " + printable(verb_, 40),
        "create, import, connect, list, show, default, export, delete, fund and balance are"};
  }();
  if (!verb) return verb.error();
  return 0;
}

Result<ChosenAccount> AccountCommand::chosen() {
  PayerChoice choice;
  if (!name_.empty()) choice.account = name_;
  choice.wallet_fd = wallet_fd_;
  auto who = choose(choice);
  if (!who) return who;
  if (auto completed = wallet_->complete(*who); !completed) return completed.error();
  return who;
}

Result<ChosenAccount> AccountCommand::choose(const PayerChoice& choice) {
  auto all = accounts(false);
  if (!all) return all.error();
  if (choice.wallet_fd) return (*all)->choose(choice, "lightning");
  if (choice.account) {
    auto found = (*all)->find(*choice.account);
    if (!found) return found.error();
    return ChosenAccount{std::move(*found)};
  }
  auto who = (*all)->choose(choice, "tempo");
  if (who || who.error().kind != Kind::account) return who;
  // Somebody who only has a wallet means that.
  const std::string& reason = who.error().reason;
  const bool is_nowhere = reason == "no_account" || reason == "no_bus" || reason == "no_service" ||
                          reason == "no_keychain";
  const auto wallet = (*all)->default_wallet();
  if (is_nowhere && wallet && *wallet) return ChosenAccount{**wallet};
  return who;
}

Result<ChosenAccount> AccountCommand::chosen_key(const char* what_not, const char* hint) {
  auto who = chosen();
  if (who && who->account.is_wallet()) return Error{Kind::usage, what_not, hint};
  return who;
}

Result<> AccountCommand::print_account(const Account& account, const std::string& sentence) {
  if (globals_->json) return show_json(account, nullptr);
  return print(sentence + account.name + "  " + account.address + "\n");
}

Result<> AccountCommand::refuse_taken(const std::string& name) {
  if (auto valid = check_account_name(name); !valid) return valid;
  auto all = accounts(true);
  if (!all) return all.error();
  const auto known = (*all)->find(name);
  const bool is_away = !known && known.error().reason != "no_account" && store_ == "keychain";
  if (is_away) {
    Error error = known.error();
    error.hint = "keep it in an encrypted file: --store file";
    return error;
  }
  if (!known || known->source == "env") return {};
  return Error{Kind::account, "account \"" + name + "\" exists already",
               "choose another name, or delete it first", "exists"};
}

/// Stores a new key, then the account. The order matters: a name without a key would be worse than
/// a key without a name, which `account list` still finds.
Result<> AccountCommand::keep(const std::string& name, const PrivateKey& key) {
  if (auto free = refuse_taken(name); !free) return free;
  auto all = accounts(true);
  if (!all) return all.error();
  Account account{name, "tempo", key.address().checksummed(), store_};
  if (auto stored = (*all)->keystore_of(account).store(name, key); !stored) return stored;
  return (*all)->add(account);
}

/// Asks the wallet before anything is stored: what does not answer is not kept.
Result<> AccountCommand::connect() {
  const std::string name = name_.empty() ? "lightning" : name_;
  if (auto free = refuse_taken(name); !free) return free;
  auto given = read_connection_text(globals_->settings, wallet_fd_);
  if (!given) return given.error();
  auto all = accounts(true);
  if (!all) return all.error();
  const auto text = (*all)->connection({{}, std::nullopt, std::move(*given)});
  if (!text) return text.error();
  const auto report = ask_wallet(*text, client_for(*globals_));
  if (!report) return report.error();
  if (!report->info.can_pay) {
    const std::string command = lightning::least_privilege(report->kind);
    return Error{Kind::account, "this " + secret_word(report->address) + " does not permit to pay",
                 command.empty() ? "" : "one that does: " + command, "permission"};
  }
  Account account{name, "lightning", report->address, "node", false, false, report->network};
  if (auto kept = wallet_->keep_connection(name, *text, store_ == "file"); !kept) return kept;
  if (auto added = (*all)->add(account); !added) return added;
  if (const auto kept = (*all)->find(name)) account = *kept;
  if (globals_->json) {
    const std::vector<Money> held =
        report->balance ? std::vector<Money>{*report->balance} : std::vector<Money>();
    return show_json(account, report->balance ? &held : nullptr);
  }
  return print("connected " + account.name + "  " + printable(account.address) + "\n" +
               table(describe(*report)));
}

Result<> AccountCommand::create() {
  const std::string name = name_.empty() ? "main" : name_;
  const PrivateKey key = PrivateKey::generate();
  const std::string address = key.address().checksummed();
  if (auto kept = keep(name, key); !kept) return kept;
  Account account{name, "tempo", address, store_};
  if (fund_ && options_.network != "mainnet") {
    const auto funded = network_.methods.front()->fund(address, *network_.client);
    if (!funded && !globals_->silent) {
      say_note("the faucet was asked and did not answer: " + funded.error().message);
    }
  }
  return print_account(account, "created ");
}

Result<> AccountCommand::import() {
  const std::string name = name_.empty() ? "main" : name_;
  Result<PrivateKey> key = [&]() -> Result<PrivateKey> {
    if (!key_file_.empty()) {
      auto all = accounts(false);
      if (!all) return all.error();
      auto chosen = (*all)->choose({std::nullopt, std::nullopt, key_file_, std::nullopt}, "tempo");
      if (!chosen) return chosen.error();
      return (*all)->open(std::move(*chosen));
    }
    const bool from_terminal = !key_fd_ && is_terminal(STDIN_FILENO);
    auto secret = from_terminal ? ask_password(globals_->settings, "Private key of " + name, false)
                                : read_secret(key_fd_.value_or(STDIN_FILENO));
    if (!secret) return secret.error();
    return PrivateKey::parse(secret->text());
  }();
  if (!key) return key.error();
  if (auto kept = keep(name, *key); !kept) return kept;
  return print_account({name, "tempo", key->address().checksummed(), store_}, "imported ");
}

Result<> AccountCommand::list() {
  auto all = accounts(false);
  if (!all) return all.error();
  std::string note;
  const auto found = (*all)->list(note);
  if (!found) return found.error();
  if (!note.empty() && !globals_->silent) say_note(note);
  if (globals_->json) {
    Json array = Json::array();
    for (const Account& account : *found) {
      array.push(account_json(account));
    }
    return print_json(envelope().set("accounts", std::move(array)));
  }
  std::vector<std::vector<std::string>> rows;
  for (const Account& account : *found) {
    rows.push_back({account.is_default ? "*" : "", printable(account.name, 64), account.method,
                    !account.address.empty()  ? printable(account.address)
                    : account.source == "env" ? "(not read)"
                                              : "(locked)",
                    account.source});
  }
  return print(rows.empty() ? "no accounts; make one with: paycurl account create\n" : table(rows));
}

Result<std::vector<Money>> AccountCommand::balances(const std::string& address) {
  return network_.methods.front()->balances(address, *network_.client);
}

Result<> AccountCommand::show(bool only_balances) {
  auto who = chosen();
  if (!who) return who.error();
  if (who->account.is_wallet()) return show_wallet(std::move(*who), only_balances);
  return show_account(who->account, only_balances);
}

/// What a wallet says now; without it what is known.
Result<> AccountCommand::show_wallet(ChosenAccount who, bool only_balances) {
  const Account account = who.account;
  const auto report = [&]() -> Result<WalletReport> {
    auto all = accounts(false);
    if (!all) return all.error();
    auto text = (*all)->connection(std::move(who));
    if (!text) return text.error();
    const auto checked = checked_connection(std::move(*text), account.address);
    if (!checked) return checked.error();
    return ask_wallet(*checked, client_for(*globals_));
  }();
  if (!report && only_balances) return report.error();
  if (report && only_balances && !report->balance) return report->balance.error();
  std::vector<Money> held;
  if (report && report->balance) held.push_back(*report->balance);
  if (!report && !globals_->silent) say_note("no balance: " + report.error().message);
  if (globals_->json) return show_json(account, held.empty() ? nullptr : &held);
  if (only_balances) return print(table({{describe(held.front()), held.front().asset.network}}));
  const auto today = spent_today(account);
  if (!today) return today.error();
  std::vector<std::vector<std::string>> rows{{"account", printable(account.name, 64)},
                                             {"address", printable(account.address)},
                                             {"secret", account.source}};
  for (const Money& money : *today) {
    rows.push_back({"today", describe(money) + " on " + money.asset.network});
  }
  if (report) {
    for (auto& row : describe(*report)) {
      rows.push_back(std::move(row));
    }
  }
  return print(table(rows));
}

std::vector<Asset> AccountCommand::tokens_of(const Account& account) const {
  if (account.is_wallet()) return {satoshi_of(account.network)};
  return network_.methods.front()->tokens();
}

/// An account as JSON, with the limits of every token that it can pay with.
Result<> AccountCommand::show_json(const Account& account, const std::vector<Money>* held) {
  const auto today = spent_today(account);
  if (!today) return today.error();
  const auto limits = limits_of(options_, globals_->settings);
  if (!limits) return limits.error();
  Limits daily;
  daily.max_spend = limits->per_day;
  Json per_run = Json::array();
  Json per_day = Json::array();
  for (const Asset& token : tokens_of(account)) {
    if (const auto run = run_budget(token, *limits, {})) {
      per_run.push(money_json({run->limit, token}));
    }
    const auto day = run_budget(token, daily, {});
    if (day && !token.is_test) per_day.push(money_json({day->limit, token}));
  }
  Json json = account_json(account);
  if (held != nullptr) json.set("balances", money_list(*held));
  json.set("spentToday", money_list(*today));
  json.set("limits",
           Json::object({{"perRun", std::move(per_run)}, {"perDay", std::move(per_day)}}));
  return print_json(envelope().set("account", std::move(json)));
}

Result<std::vector<Money>> AccountCommand::spent_today(const Account& account) {
  const auto state = wallet_->state(false);
  if (!state) return state.error();
  if (*state == nullptr) return std::vector<Money>();
  const auto journal = wallet_->ledger();
  if (!journal) return journal.error();
  return (*journal)->spent_today(account.address);
}

Result<> AccountCommand::show_account(const Account& account, bool only_balances) {
  const auto found = balances(account.address);
  if (!found && only_balances) return found.error();
  if (globals_->json) return show_json(account, found ? &*found : nullptr);
  const auto today = spent_today(account);
  if (!today) return today.error();
  std::vector<std::vector<std::string>> rows;
  if (!only_balances) {
    rows.push_back({"account", printable(account.name, 64)});
    rows.push_back({"address", account.address});
    rows.push_back({"key", account.source});
    for (const Money& money : *today) {
      rows.push_back({"today", describe(money) + " on " + money.asset.network});
    }
  }
  for (const Money& money : found ? *found : std::vector<Money>()) {
    rows.push_back(
        {only_balances ? describe(money) : "balance",
         only_balances ? money.asset.network : describe(money) + " on " + money.asset.network});
  }
  if (!found && !globals_->silent) say_note("no balances: " + found.error().message);
  return print(table(rows));
}

Result<> AccountCommand::set_default() {
  if (name_.empty()) {
    auto all = accounts(false);
    if (!all) return all.error();
    const auto usual = (*all)->default_name();
    if (!usual) return usual.error();
    const auto wallet = (*all)->default_wallet();
    if (!wallet) return wallet.error();
    return print(*usual + "\n" + (*wallet ? (*wallet)->name + "  lightning\n" : ""));
  }
  auto all = accounts(true);
  if (!all) return all.error();
  auto account = (*all)->find(name_);
  if (!account) return account.error();
  ChosenAccount whole{std::move(*account)};
  if (auto completed = wallet_->complete(whole); !completed) return completed;
  // The npm CLI's entries are keychain entries like ours.
  if (whole.account.source == "mppx") whole.account.source = "keychain";
  if (auto set = (*all)->set_default(whole.account); !set) return set;
  whole.account.is_default = true;
  return print_account(whole.account, "default is ");
}

/// The bare key, to a terminal or a descriptor that was named.
Result<> AccountCommand::export_raw(const Account& account, const PrivateKey& key) {
  if (!export_fd_ && !is_terminal(STDOUT_FILENO)) {
    return Error{Kind::usage, "a bare key is only shown on a terminal",
                 "write it to a descriptor with --fd N, or leave --raw out for an encrypted file"};
  }
  const auto typed =
      ask_line(globals_->settings, "Whoever sees this key can take everything. Type \"" +
                                       account.name + "\" to show it:");
  if (!typed) return typed.error();
  if (*typed != account.name) {
    return Error{Kind::declined, "you typed something else", "", "confirm"};
  }
  const int fd = export_fd_.value_or(STDOUT_FILENO);
  if (auto written = write_all(fd, key.hex().text()); !written) return written;
  return write_all(fd, "\n");
}

Result<> AccountCommand::export_key() {
  auto who = chosen_key("a wallet's connection is not exported: its secret is the wallet's",
                        "make another one at the wallet itself");
  if (!who) return who.error();
  const Account account = who->account;
  auto all = accounts(false);
  if (!all) return all.error();
  const auto key = (*all)->open(std::move(*who));
  if (!key) return key.error();
  if (raw_) return export_raw(account, *key);
  const std::string file = output_.empty() ? account.name + ".json" : output_;
  const auto password = wallet_->password("New password of " + printable(file), true);
  if (!password) return password.error();
  const auto text = seal_key_file(*key, *password);
  if (!text) return text.error();
  if (auto written = write_new_file(file, *text); !written) return written;
  if (globals_->json) return show_json(account, nullptr);
  return print("wrote " + file + "\n");
}

/// Says what would be lost: the key, with what it still holds.
Result<> AccountCommand::confirm_deletion(const Account& account) {
  if (yes_) return {};
  std::string lost = account.address.empty() ? "its key" : "the key of " + account.address;
  if (account.is_wallet()) {
    lost = "the connection to " + (account.address.empty() ? "it" : printable(account.address));
  } else if (!account.address.empty()) {
    const auto found = balances(account.address);
    std::string held;
    for (const Money& money : found ? *found : std::vector<Money>()) {
      if (!money.amount.is_zero()) held += (held.empty() ? "" : ", ") + describe(money);
    }
    lost += !found         ? ", whose balance nobody could be asked for"
            : held.empty() ? ", which is empty"
                           : ", with " + held;
  }
  const auto agreed =
      ask_yes(globals_->settings, "Delete account " + account.name + "? This loses " + lost +
                                      ", unless you have a copy.");
  if (!agreed) {
    return Error{Kind::usage, "deleting loses " + lost, "to do it without a terminal: --yes"};
  }
  if (!*agreed) return Error{Kind::declined, "you said no", "", "confirm"};
  return {};
}

/// The secret, then the row.
Result<> AccountCommand::forget(const Account& account) {
  auto all = accounts(false);
  if (!all) return all.error();
  auto removed = account.is_wallet() ? (*all)
                                           ->store_of_wallet(account.name)
                                           .remove(SecretPurpose::lightning_wallet, account.name)
                                     : (*all)->keystore_of(account).remove(account.name);
  // A row without a connection is good for nothing.
  const bool was_gone = !removed && account.is_wallet() && removed.error().reason == "no_account";
  if (!removed && !was_gone) return removed;
  const auto state = wallet_->state(false);
  if (!state) return state.error();
  return *state == nullptr ? Result<>() : (*all)->forget(account.name);
}

Result<> AccountCommand::remove() {
  if (name_.empty()) {
    return Error{Kind::usage, "which account? name it", "see paycurl account list"};
  }
  auto all = accounts(false);
  if (!all) return all.error();
  const auto account = (*all)->find(name_);
  if (!account) return account.error();
  if (account->source == "env") {
    return Error{Kind::usage, "this account is in the environment, not in a keystore"};
  }
  if (auto confirmed = confirm_deletion(*account); !confirmed) return confirmed;
  if (auto forgotten = forget(*account); !forgotten) return forgotten;
  if (account->is_wallet() && !globals_->silent) {
    say_note("its " + secret_word(account->address) +
             " is still valid: revoke it at the wallet if nobody else uses it");
  }
  return print_account(*account, "deleted ");
}

Result<> AccountCommand::wait_for_funds(const std::string& address,
                                        const std::vector<Money>& before) {
  const auto sum = [](const std::vector<Money>& list) {
    Amount total;
    for (const Money& money : list) {
      total = total.plus(money.amount).value_or(total);
    }
    return total;
  };
  const auto patience =
      options_.max_time ? std::chrono::milliseconds(static_cast<long>(*options_.max_time * 1000))
                        : std::chrono::milliseconds(kFaucetPatience);
  const auto end = std::chrono::steady_clock::now() + patience;
  while (true) {
    const auto now = balances(address);
    if (!now) return now.error();
    if (sum(*now) > sum(before)) return {};
    if (std::chrono::steady_clock::now() >= end) {
      return Error{Kind::backend, "the faucet answered, but the money has not arrived yet",
                   "look again with: paycurl account balance"};
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(250));
  }
}

Result<> AccountCommand::fund() {
  auto who = chosen_key("a Lightning wallet is not funded by paycurl", "pay to it at the wallet");
  if (!who) return who.error();
  const std::string address = who->account.address;
  if (options_.network == "mainnet") {
    if (auto printed = print(address + "\n"); !printed) return printed;
    return Error{Kind::usage, "there is no faucet on the main network",
                 "send a dollar token of Tempo to the address above"};
  }
  if (options_.network.empty()) options_.network = "testnet";
  auto network = make_network(*globals_, options_);
  if (!network) return network.error();
  network_ = std::move(*network);
  const auto before = balances(address);
  if (!before) return before.error();
  const auto sent = network_.methods.front()->fund(address, *network_.client);
  if (!sent) return sent.error();
  if (auto arrived = wait_for_funds(address, *before); !arrived) return arrived;
  return show_account(who->account, true);
}

}  // namespace

std::unique_ptr<Command> make_account() {
  return std::make_unique<AccountCommand>();
}

}  // namespace paycurl
