// What paycurl doctor sees without asking anybody outside of this machine.
#include <algorithm>
#include <filesystem>
#include <fstream>

#include "commands/defaults.h"
#include "commands/doctor.h"
#include "src/base/text.h"
#include "src/http/trust.h"

namespace paycurl {
namespace {

using Status = Check::Status;

Check failed_check(std::string id, const Error& error, Kind kind) {
  return {std::move(id), Status::fail, error.message, error.hint, kind};
}

/// Everything that SQLite finds wrong, or "ok".
Result<std::string> integrity_of(Database& database) {
  auto query = database.prepare("PRAGMA quick_check(1)");
  if (!query) return query.error();
  const auto row = query->step();
  if (!row) return row.error();
  return *row ? query->text(0) : std::string("no answer");
}

std::string plural(std::size_t count, const std::string& what) {
  return std::to_string(count) + " " + what + (count == 1 ? "" : "s");
}

Result<Check> payments_check(Wallet& wallet) {
  const auto ledger = wallet.ledger();
  if (!ledger) return ledger.error();
  const auto doubts = (*ledger)->in_doubt();
  if (!doubts) return doubts.error();
  if (doubts->empty()) return Check{"payments", Status::ok, "no payment is in doubt"};
  return Check{"payments", Status::warn,
               "of " + plural(doubts->size(), "payment") + " nobody knows how it ended",
               "finish what was begun: paycurl payments resume"};
}

Result<Check> sessions_check(Wallet& wallet) {
  const auto channels = wallet.channels();
  if (!channels) return channels.error();
  const auto all = (*channels)->list(false);
  if (!all) return all.error();
  if (all->empty()) return Check{"sessions", Status::ok, "no channel is open"};
  std::vector<Money> sums;
  for (const Channel& channel : *all) {
    add_money(sums, {channel.remaining(), channel.asset});
  }
  std::string inside;
  for (const Money& money : sums) {
    inside += (inside.empty() ? "" : ", ") + describe(money);
  }
  return Check{"sessions", Status::ok,
               plural(all->size(), "channel") + " not closed, with " + inside + " still in it",
               "to take it back: paycurl sessions close"};
}

bool has_certificates(const std::string& file) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("-----BEGIN ")) return true;
  }
  return false;
}

bool has_files(const std::string& folder) {
  std::error_code failed;
  const std::filesystem::directory_iterator entries(folder, failed);
  return !failed && entries != std::filesystem::directory_iterator();
}

/// A proxy's address without the user and the password that may be in it.
std::string without_userinfo(const std::string& proxy) {
  const std::size_t at = proxy.rfind('@');
  if (at == std::string::npos) return proxy;
  const std::size_t scheme = proxy.find("://");
  const std::string start = scheme == std::string::npos ? "" : proxy.substr(0, scheme + 3);
  return start + proxy.substr(at + 1);
}

}  // namespace

std::vector<Check> check_configuration(const DoctorParts& parts) {
  const auto variables = read_settings();  // those of `parts` have the files' defaults as well
  const Settings& settings = variables ? *variables : parts.globals.settings;
  const auto config = read_config(settings.config_paths);
  const auto defaults = config ? default_arguments(command_table().front(), *config)
                               : Result<std::vector<std::string>>(config.error());
  if (!defaults) {
    Check failed = failed_check("config", defaults.error(), Kind::usage);
    if (failed.hint.empty()) failed.hint = "correct it; man 5 paycurl-config describes the keys";
    return {failed};
  }
  std::string files;
  for (const ConfigFile& file : config->files) {
    files += (files.empty() ? "" : ", ") + file.path;
  }
  files = files.empty() ? "no file" : files;
  std::string set;
  for (const auto& [name, value] :
       {std::pair{"max-spend", settings.max_spend}, std::pair{"max-deposit", settings.max_deposit},
        std::pair{"network", settings.network}, std::pair{"method", settings.method},
        std::pair{"account", settings.account}}) {
    if (value) set += (set.empty() ? "" : ", ") + std::string(name) + " " + *value;
  }
  for (const auto& limit : {settings.max_spend, settings.max_deposit}) {
    const auto read = limit ? parse_limit(*limit) : Result<Limit>(Limit{});
    if (!read) return {failed_check("config", read.error(), Kind::usage)};
  }
  return {
      {"config", Status::ok,
       files + (set.empty() ? ", and no variable changes a default" : "; variables say: " + set)}};
}

std::vector<Check> check_state(const DoctorParts& parts) {
  const auto folder = parts.globals.settings.need_state_folder();
  if (!folder) return {failed_check("journal", folder.error(), Kind::usage)};
  const auto state = parts.wallet.state(false);
  if (!state) return {failed_check("journal", state.error(), Kind::internal)};
  if (*state == nullptr) {
    return {{"journal", Status::ok, "not there yet; the first payment makes it in " + *folder}};
  }
  const auto found = integrity_of(**state);
  const std::string hint = "nothing is paid with a damaged journal: move " + *folder +
                           " away, and keep it: paycurl sessions sync finds open channels again";
  if (!found) return {failed_check("journal", found.error(), Kind::internal)};
  if (*found != "ok") {
    return {{"journal", Status::fail, "damaged: " + *found, hint, Kind::internal}};
  }
  std::vector<Check> checks{{"journal", Status::ok, *folder + "/paycurl.db is sound and private"}};
  for (auto& check : {payments_check(parts.wallet), sessions_check(parts.wallet)}) {
    checks.push_back(check ? *check : failed_check("journal", check.error(), Kind::internal));
  }
  return checks;
}

std::vector<Check> check_keychain(const DoctorParts&) {
  const auto keychain = make_keychain(false, nullptr);
  const auto listing = keychain->list();
  if (!listing) {
    // Normal on servers; an account that needs it fails by itself.
    return {{"keychain", Status::warn, listing.error().message, listing.error().hint}};
  }
  const auto program = keychain_program();
  const std::string who = program ? *program : "it";
  const auto locked = static_cast<std::size_t>(
      listing->unnamed + std::count_if(listing->keys.begin(), listing->keys.end(),
                                       [](const StoredKey& key) { return key.locked; }));
  if (locked > 0) {
    return {{"keychain", Status::warn,
             who + " is locked, with " + plural(locked, "key") + " inside",
             "unlock it on the desktop before something has to be paid"}};
  }
  return {{"keychain", Status::ok, who + " answers, with " + plural(listing->keys.size(), "key")}};
}

std::vector<Check> check_tls(const DoctorParts& parts) {
  const Settings& settings = parts.globals.settings;
  const http::TrustStore usual = http::default_trust();
  const std::string file = settings.ca_file.empty() ? usual.file : settings.ca_file;
  const std::string folder = settings.ca_path.empty() ? usual.folder : settings.ca_path;
  const std::string versions = ", " + http::library_version();
  // A file that is named is read, whatever the folder has.
  const bool is_there = file.empty() ? has_files(folder) : has_certificates(file);
  const std::string place = file.empty() ? folder : file;
  if (is_there) return {{"tls", Status::ok, "certificates in " + place + versions}};
  return {{"tls", Status::fail,
           "no certificates to hold servers against" + (place.empty() ? "" : " in " + place),
           "install ca-certificates, or name a file with CURL_CA_BUNDLE", Kind::usage}};
}

std::vector<Check> check_proxy(const DoctorParts&) {
  std::string text;
  for (const auto& [name, value] : proxy_variables()) {
    text += (text.empty() ? "" : ", ") + name + "=" + without_userinfo(value);
  }
  if (text.empty()) return {{"proxy", Status::ok, "none"}};
  return {{"proxy", Status::ok, "requests go as the environment says: " + text}};
}

}  // namespace paycurl
