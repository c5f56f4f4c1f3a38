#include "commands/wallet.h"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <unistd.h>

#include "commands/output.h"
#include "commands/prompt.h"
#include "src/base/text.h"

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

}  // namespace

Wallet::Wallet(const Globals& globals, PasswordChoice password)
    : globals_(globals), password_(std::move(password)) {
  const Settings& settings = globals_.settings;
  const bool may_prompt = !settings.no_prompt && settings.has_display && is_terminal(STDIN_FILENO);
  keychain_ = make_keychain(may_prompt, [](std::string_view sentence) { say_note(sentence); });
  files_ = make_key_folder(
      settings.data_folder + "/keys",
      [this](std::string_view question, bool fresh) { return this->password(question, fresh); });
}

Wallet::~Wallet() = default;

Result<Secret> Wallet::password(std::string_view question, bool fresh) {
  if (!password_.fd && password_.file.empty()) {
    return ask_password(globals_.settings, question, fresh);
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
        globals_.settings, *database, *keychain_, *files_,
        [this](std::string_view question, bool fresh) { return this->password(question, fresh); });
  }
  return &*accounts_;
}

Result<const Account*> Wallet::payer(const PayerChoice& choice) {
  if (payer_) return &*payer_;
  const auto all = accounts(false);
  if (!all) return all.error();
  auto chosen = (*all)->choose(choice);
  if (!chosen) return chosen.error();
  chosen_.emplace(std::move(*chosen));
  if (chosen_->account.address.empty()) {
    // Only the key tells the address: a keychain entry that paycurl did not make.
    auto key = (*all)->open(std::move(*chosen_));
    if (!key) return key.error();
    chosen_->account.address = key->address().checksummed();
    chosen_->key.emplace(std::move(*key));
  }
  payer_ = chosen_->account;
  return &*payer_;
}

Result<Spender*> Wallet::spender(const PayerChoice& choice, const Limits& limits) {
  if (spender_) return &*spender_;
  const auto who = payer(choice);
  if (!who) return who.error();
  const auto journal = ledger();
  if (!journal) return journal.error();
  const auto open_channels = channels();
  if (!open_channels) return open_channels.error();
  spender_.emplace(
      **journal, **open_channels, limits, Payer{(*who)->name, (*who)->address},
      PayerSource{[this] { return (*accounts(false))->open(std::move(*chosen_)); }, {}},
      &system_now);
  return &*spender_;
}

std::vector<Money> Wallet::signed_so_far() const {
  return spender_ ? spender_->signed_in_this_run() : std::vector<Money>();
}

Result<Spender*> Wallet::spender_of(const Payer& payer, const Limits& limits) {
  const auto journal = ledger();
  if (!journal) return journal.error();
  // The key of the row before: a variable or a descriptor gives it only once.
  const bool same = spender_ && spender_->payer().account == payer.account &&
                    spender_->payer().address == payer.address;
  if (same) return &*spender_;
  const auto open = [this, account = payer.account]() -> Result<PrivateKey> {
    const auto all = accounts(false);
    if (!all) return all.error();
    PayerChoice choice;
    // Keys that were handed over have no name; the same variable may still be set.
    const bool has_name = account != "env" && account != "key-fd" && !account.empty();
    if (has_name) choice.account = account;
    if (account.find('/') != std::string::npos) choice = {std::nullopt, std::nullopt, account};
    auto chosen = (*all)->choose(choice);
    if (!chosen) return chosen.error();
    return (*all)->open(std::move(*chosen));
  };
  const auto open_channels = channels();
  if (!open_channels) return open_channels.error();
  spender_.emplace(**journal, **open_channels, limits, payer, PayerSource{open, {}}, &system_now);
  return &*spender_;
}

}  // namespace paycurl
