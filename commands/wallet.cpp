#include "commands/wallet.h"

#include <cerrno>
#include <cstring>
#include <limits>

#include <fcntl.h>
#include <unistd.h>

#include "commands/output.h"
#include "commands/prompt.h"
#include "commands/turns.h"
#include "src/base/text.h"
#include "src/methods/lightning/connection.h"

namespace paycurl {
namespace {

/// One line end behind a password in a file is not part of it.
Secret without_line_end(Secret secret) {
  std::size_t size = secret.bytes().size();
  if (size > 0 && secret.text()[size - 1] == '\n') --size;
  if (size > 0 && secret.text()[size - 1] == '\r') --size;
  secret.resize(size);
  return secret;
}

/// What an account has; it was read once, when the account was made or the text handed over.
Result<lightning::Connection> connection_of(const Secret& text) {
  auto connection = lightning::read_connection(text.text());
  if (connection) return connection;
  Error error = connection.error();
  error.kind = Kind::account;
  return error;
}

/// Among the offers of endpoints, which begin with a request's method.
std::string name_of_token(const std::string& origin) {
  return "l402 " + origin;
}

}  // namespace

Wallet::Wallet(const Globals& globals, PasswordChoice password, std::string run)
    : globals_(globals), password_(std::move(password)), run_(std::move(run)) {
  const Settings& settings = globals_.settings;
  const bool may_prompt = may_unlock(globals);
  const auto say_it = [](std::string_view sentence) { say_note(sentence); };
  const PasswordSource ask = [this](std::string_view question, bool fresh) {
    return this->password(question, fresh);
  };
  keychain_ = make_keychain(may_prompt, say_it);
  files_ = make_key_folder(settings.data_folder + "/keys", ask);
  secrets_ = make_secret_keychain(may_prompt, say_it);
  secret_files_ = make_secret_folder(settings.data_folder + "/keys", ask);
}

Wallet::~Wallet() = default;

Result<Secret> Wallet::password(std::string_view question, bool fresh) {
  if (!password_.fd && password_.file.empty()) {
    const Turn turn(Turn::At::question);
    if (auto known = shared_password(question); known && !fresh) return std::move(*known);
    auto asked = ask_password(globals_.settings, question, fresh);
    if (asked) share_password(question, *asked);
    return asked;
  }
  if (!given_password_.empty()) {
    Secret copy;
    copy.assign(given_password_.bytes());
    return copy;
  }
  int fd = password_.fd.value_or(-1);
  if (!password_.fd) {
    fd = ::open(password_.file.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
      return Error{Kind::account,
                   "reading " + printable(password_.file) + ": " + std::strerror(errno)};
    }
  }
  auto secret = read_secret(fd);
  if (!password_.fd) ::close(fd);
  if (!secret) return std::move(secret).error().within("the password");
  given_password_ = without_line_end(std::move(*secret));
  return this->password(question, fresh);
}

Result<Database*> Wallet::state(bool create) {
  if (!database_) {
    auto folder = globals_.settings.need_state_folder();
    if (!folder) return create ? Result<Database*>(folder.error()) : Result<Database*>(nullptr);
    auto opened = Database::open(*folder, create);
    if (!opened) return opened.error();
    if (*opened) database_.emplace(std::move(**opened));
  }
  return database_ ? &*database_ : nullptr;
}

Result<Ledger*> Wallet::ledger() {
  const auto database = state(true);
  if (!database) return database.error();
  if (!ledger_) ledger_.emplace(**database, globals_.settings.state_folder, &system_now);
  return &*ledger_;
}

Channels* Wallet::known_channels() {
  const auto database = state(false);
  if (!database || *database == nullptr) return nullptr;
  const auto open = channels();
  return open ? *open : nullptr;
}

Result<Channels*> Wallet::channels() {
  const auto database = state(true);
  if (!database) return database.error();
  if (!channels_) channels_.emplace(**database, globals_.settings.state_folder, &system_now);
  return &*channels_;
}

Result<Accounts*> Wallet::accounts(bool create_state) {
  const auto database = state(create_state);
  if (!database) return database.error();
  if (!accounts_) {
    accounts_.emplace(
        globals_.settings, *database,
        Keystores{keychain_.get(), files_.get(), secrets_.get(), secret_files_.get()},
        [this](std::string_view question, bool fresh) { return this->password(question, fresh); });
  }
  return &*accounts_;
}

Result<> Wallet::keep_connection(const std::string& name, const Secret& text, bool in_file) {
  SecretStore& store = in_file ? *secret_files_ : *secrets_;
  return store.store(SecretPurpose::lightning_wallet, name, text, false);
}

Result<> Wallet::complete(ChosenAccount& chosen) {
  if (!chosen.account.address.empty()) return {};
  const auto all = accounts(false);
  if (!all) return all.error();
  Account account = chosen.account;
  if (account.is_wallet()) {
    auto text = (*all)->connection(std::move(chosen));
    if (!text) return text.error();
    const auto connection = connection_of(*text);
    if (!connection) return connection.error();
    account.address = connection->name();
    account.network = connection->network;
    chosen = {std::move(account), std::nullopt, std::move(*text)};
    return {};
  }
  auto key = (*all)->open(std::move(chosen));
  if (!key) return key.error();
  account.address = key->address().checksummed();
  chosen = {std::move(account), std::move(*key)};
  return {};
}

Result<Wallet::Paying*> Wallet::choose(const PayerChoice& choice, std::string_view method) {
  // The config may name another account for another host.
  const std::string key = std::string(method) + " " + choice.usual.value_or("");
  const auto known = paying_.find(key);
  if (known != paying_.end()) return &known->second;
  const auto all = accounts(false);
  if (!all) return all.error();
  auto chosen = (*all)->choose(choice, method);
  if (!chosen) return chosen.error();
  if (auto completed = complete(*chosen); !completed) return completed.error();
  Account account = chosen->account;
  Paying paying{std::move(*chosen), std::move(account)};
  return &paying_.emplace(key, std::move(paying)).first->second;
}

Result<const Account*> Wallet::payer(const PayerChoice& choice, std::string_view method) {
  const auto paying = choose(choice, method);
  if (!paying) return paying.error();
  return &(*paying)->account;
}

Result<bool> Wallet::has_payer(const PayerChoice& choice, std::string_view method) {
  const auto who = payer(choice, method);
  if (who) return true;
  const Settings& settings = globals_.settings;
  const bool handed_over = method == "lightning"
                               ? choice.wallet_fd || settings.has_wallet
                               : choice.key_fd || choice.key_file || settings.has_private_key;
  return handed_over && !choice.account ? Result<bool>(who.error()) : Result<bool>(false);
}

Result<Spender*> Wallet::spender(const PayerChoice& choice, const Limits& limits,
                                 std::string_view method) {
  const auto who = payer(choice, method);
  if (!who) return who.error();
  return spender_of({(*who)->name, (*who)->address, (*who)->network}, limits, method);
}

std::vector<Money> Wallet::signed_so_far() const {
  return purses_.empty() ? std::vector<Money>() : purses_.front().spender->signed_in_this_run();
}

PayerSource Wallet::source_of(const Payer& payer, std::string_view method) {
  PayerChoice choice;
  // Secrets that were handed over have no name; the same variable may still be set.
  const bool is_path = payer.account.find('/') != std::string::npos;
  const bool has_name = payer.account != "env" && payer.account != "key-fd" &&
                        payer.account != "wallet-fd" && !payer.account.empty();
  if (is_path) {
    choice.key_file = payer.account;
  } else if (has_name) {
    choice.account = payer.account;
  }
  const auto choose_again = [this, choice, payer,
                             name = std::string(method)]() -> Result<ChosenAccount> {
    for (auto& [key, paying] : paying_) {
      const bool is_it = key.starts_with(name + " ") && paying.account.name == payer.account &&
                         paying.account.address == payer.address;
      if (is_it) return std::move(paying.chosen);
    }
    const auto all = accounts(false);
    if (!all) return all.error();
    return (*all)->choose(choice, name);
  };
  PayerSource source;
  if (method == "lightning") {
    source.connection = [this, choose_again, address = payer.address]() -> Result<Secret> {
      const Turn turn(Turn::At::question);
      auto chosen = choose_again();
      if (!chosen) return chosen.error();
      auto text = (*accounts(false))->connection(std::move(*chosen));
      if (!text) return text.error();
      return checked_connection(std::move(*text), address);
    };
  } else {
    source.key = [this, choose_again]() -> Result<PrivateKey> {
      const Turn turn(Turn::At::question);
      auto chosen = choose_again();
      if (!chosen) return chosen.error();
      return (*accounts(false))->open(std::move(*chosen));
    };
  }
  return source;
}

/// The spender of that payer when there is one already, else a new one: a variable or a descriptor
/// gives its secret only once.
Result<Spender*> Wallet::spender_of(const Payer& payer, const Limits& limits,
                                    std::string_view method) {
  for (const Purse& purse : purses_) {
    const Payer& other = purse.spender->payer();
    const bool is_same =
        purse.method == method && other.account == payer.account && other.address == payer.address;
    if (is_same) return purse.spender.get();
  }
  const auto journal = ledger();
  if (!journal) return journal.error();
  const auto open_channels = channels();
  if (!open_channels) return open_channels.error();
  if (run_.empty()) run_ = new_payment_id(system_now());
  purses_.push_back({std::string(method),
                     std::make_unique<Spender>(**journal, **open_channels, limits, payer,
                                               source_of(payer, method), &system_now, run_)});
  return purses_.back().spender.get();
}

std::optional<std::string> KeptTokens::find(const std::string& origin) {
  Channels* known = wallet_.known_channels();
  const auto there = known == nullptr ? Result<std::optional<KnownOffer>>(std::nullopt)
                                      : known->offer(name_of_token(origin));
  if (!there || !*there) return std::nullopt;
  const auto token = wallet_.secrets().load(SecretPurpose::l402_token, origin);
  if (token) return std::string(token->text());
  say_note("the token for " + origin + " cannot be had: " + token.error().message);
  return std::nullopt;
}

Result<std::vector<Money>> Wallet::settled_in_run() {
  const auto database = state(false);
  if (!database) return database.error();
  if (*database == nullptr) return std::vector<Money>();
  const auto journal = ledger();
  return journal ? (*journal)->settled_in_run(run_) : Result<std::vector<Money>>(journal.error());
}

void KeptTokens::keep(const std::string& origin, const std::string& field) {
  const auto stored = store(origin, field);
  if (stored || !verbose_) return;  // machines without a keychain pay each time
  say("$ the token is not kept for later requests: " + stored.error().message);
}

Result<> KeptTokens::store(const std::string& origin, const std::string& field) {
  const auto known = wallet_.channels();
  if (!known) return known.error();
  if (field.size() > Secret::kCapacity) return Error{Kind::account, "it is too long"};
  Secret token;
  token.assign(as_bytes(field));
  auto stored = wallet_.secrets().store(SecretPurpose::l402_token, origin, token, true);
  if (!stored) return stored;
  constexpr Millis kNoEnd = std::numeric_limits<Millis>::max();
  return (*known)->remember_offer(name_of_token(origin), {"l402", "{}", kNoEnd, 0});
}

void KeptTokens::forget(const std::string& origin) {
  if (const auto known = wallet_.channels()) {
    (void)(*known)->forget_offer(name_of_token(origin));
  }
  (void)wallet_.secrets().remove(SecretPurpose::l402_token, origin);
}

Result<Secret> checked_connection(Secret text, const std::string& address) {
  const auto connection = connection_of(text);
  if (!connection) return connection.error();
  if (connection->name() == address) return text;
  return Error{
      Kind::account,
      "the connection is to " + printable(connection->name()) + ", not to " + printable(address),
      "another wallet took its place; see paycurl account list", "ambiguous"};
}

}  // namespace paycurl
