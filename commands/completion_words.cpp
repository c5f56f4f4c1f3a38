// What the completions take from the journal and the config files.
#include <algorithm>

#include "commands/completions.h"
#include "commands/output.h"
#include "src/base/clock.h"
#include "src/base/text.h"
#include "wallet/accounts.h"
#include "wallet/channels.h"
#include "wallet/ledger.h"

namespace paycurl {
namespace {

constexpr std::int64_t kMostPayments = 50;

/// A shell may expand what a script gives it.
bool is_plain(std::string_view word) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-:/@%+,=";
  return !word.empty() && word.front() != '-' &&
         word.find_first_not_of(kPlain) == std::string_view::npos;
}

class Words {
 public:
  void add(const std::string& word, const std::string& description) {
    if (is_plain(word)) text_ += word + "\t" + printable(description, 100) + "\n";
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

Result<> add_accounts(Words& words, const Settings& settings, Database* state) {
  const PasswordSource nobody = [](std::string_view, bool) {
    return Error{Kind::account, "no password"};
  };
  const auto files = make_key_folder(settings.data_folder + "/keys", nobody);
  Accounts accounts(settings, state, Keystores{nullptr, files.get(), nullptr, nullptr}, nobody);
  const auto known = accounts.known();
  if (!known) return known.error();
  for (const Account& account : *known) {
    words.add(account.name, account.method + " " + shortened(account.address));
  }
  return {};
}

Result<> add_sessions(Words& words, const Settings& settings, Database& state) {
  const auto open = Channels(state, settings.state_folder, &system_now).list(false);
  if (!open) return open.error();
  for (const Channel& channel : *open) {
    words.add(channel.id,
              describe(Money{channel.remaining(), channel.asset}) + " left, " + channel.origin);
  }
  if (!open->empty()) words.add("last", "the newest");
  return {};
}

Result<> add_payments(Words& words, Ledger& ledger) {
  LedgerFilter newest;
  newest.limit = kMostPayments;
  const auto rows = ledger.list(newest);
  if (!rows) return rows.error();
  for (const Row& row : *rows) {
    words.add(row.id, describe(row.paid) + ", " + row.origin);
  }
  if (!rows->empty()) words.add("last", "the newest");
  return {};
}

/// The hosts that the config files name; a file that cannot be read names none.
void add_named_hosts(Words& words, const Settings& settings) {
  const auto config = read_config(settings.config_paths);
  if (!config) return;
  for (const RuleFile& file : config->rules) {
    for (const Rule& rule : file.hosts) {
      const bool is_single = rule.host.find('*') == std::string::npos;
      if (is_single) words.add("https://" + rule.host + "/", "of the config");
    }
  }
}

Result<> add_origins(Words& words, Ledger& ledger, bool whole) {
  const auto origins = ledger.origins();
  if (!origins) return origins.error();
  std::vector<std::string> hosts;
  for (const std::string& origin : *origins) {
    const std::size_t authority = origin.find("://");
    if (authority == std::string::npos) continue;
    std::string host = origin.substr(authority + 3);
    if (whole) words.add(origin + "/", "paid before");
    const std::size_t colon = host.rfind(':');
    if (!host.ends_with(']')) host.resize(std::min(colon, host.size()));
    if (whole || std::find(hosts.begin(), hosts.end(), host) != hosts.end()) continue;
    hosts.push_back(host);
    words.add(host, "paid before");
  }
  return {};
}

}  // namespace

Result<std::string> journal_words(std::string_view kind, const Settings& settings) {
  Words words;
  auto state = Database::open(settings.state_folder, false);
  if (!state) return state.error();
  Database* database = *state ? &**state : nullptr;
  const auto added = [&]() -> Result<> {
    if (kind == "accounts") return add_accounts(words, settings, database);
    if (kind == "urls") add_named_hosts(words, settings);
    if (database == nullptr) return {};
    if (kind == "sessions") return add_sessions(words, settings, *database);
    Ledger ledger(*database, settings.state_folder, &system_now);
    if (kind == "payments") return add_payments(words, ledger);
    if (kind == "hosts" || kind == "urls") return add_origins(words, ledger, kind == "urls");
    return Error{Kind::usage, "no such words"};
  }();
  if (!added) return added.error();
  return words.text();
}

}  // namespace paycurl
