// paycurl config: the files, what they say, and where each value comes from.
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <tuple>

#include <fcntl.h>
#include <unistd.h>

#include "commands/defaults.h"
#include "commands/json.h"
#include "commands/options.h"
#include "commands/output.h"
#include "commands/request_options.h"
#include "src/base/text.h"
#include "wallet/sqlite.h"

namespace paycurl {
namespace {

/// One line of `config show`.
struct Shown {
  std::string section;  ///< empty, "limits", "host NAME"
  std::string name;
  std::string value;
  std::string from;   ///< "file", "environment", "built_in"
  std::string place;  ///< "FILE:LINE", the variable's name
  bool is_ceiling = false;
};

bool exists(const std::string& path) {
  return !path.empty() && ::access(path.c_str(), F_OK) == 0;
}

std::string text_of(const Limit& limit) {
  if (limit.unit == "usd") return limit.amount;
  return limit.unit == "sat" ? limit.amount + "sat" : limit.amount + ":" + limit.unit;
}

/// A value without what may be a secret in it: fields' values, the path and the user of a URL.
std::string without_secrets(const std::string& key, const std::string& value) {
  if (key == "header" || key == "proxy-header" || key == "cookie") {
    return value.substr(0, value.find_first_of(":;=")) + ": (not shown)";
  }
  if (key == "cert") {  // FILE:PASSWORD
    const std::size_t colon = value.find(':');
    return colon == std::string::npos ? value : value.substr(0, colon) + ": (not shown)";
  }
  const std::size_t scheme = value.find("://");
  if (scheme == std::string::npos) return value;
  const std::size_t end = std::min(value.find_first_of("/?#", scheme + 3), value.size());
  const std::size_t user = value.rfind('@', end - 1);
  const std::size_t host = user != std::string::npos && user > scheme ? user + 1 : scheme + 3;
  const std::string shown = value.substr(0, scheme + 3) + value.substr(host, end - host);
  return shown + (value.size() - end > 1 ? "/..." : "");
}

class ConfigCommand : public Command {
 public:
  void declare(OptionSet& set) override {
    set.in("Config").positional("verb", verb_, "what to do");
  }

  Result<int> run(const Globals& globals) override {
    globals_ = &globals;
    paths_ = globals.settings.config_paths;
    const auto done = verb_ == "path"                    ? path()
                      : verb_ == "init"                  ? init()
                      : verb_ == "show" || verb_.empty() ? show()
                                                         : Result<>(unknown_verb());
    return done ? Result<int>(0) : Result<int>(done.error());
  }

 private:
  Error unknown_verb() const {
    return {Kind::usage, "not something to do with the config: " + printable(verb_, 40),
            "show, path and init are"};
  }
  Json files_json() const;
  Result<> path();
  Result<> init();
  Result<> show();
  static std::vector<Shown> variables(const Settings& settings);
  static void add_entries(std::vector<Shown>& all, const Config& config);
  static std::vector<Shown> limit_values(const Limits& limits);
  static void add_ceiling(std::vector<Shown>& all, Shown ceiling);

  std::string verb_;
  const Globals* globals_ = nullptr;
  ConfigPaths paths_;
};

Json ConfigCommand::files_json() const {
  Json files = Json::array();
  for (const auto& [kind, file] : {std::pair{"system", paths_.system},
                                   std::pair{paths_.is_named ? "variable" : "user", paths_.user}}) {
    if (file.empty()) continue;
    files.push(Json::object({{"path", file}, {"kind", kind}, {"exists", exists(file)}}));
  }
  return files;
}

Result<> ConfigCommand::path() {
  if (globals_->json) {
    return print_json(envelope().set("config", Json::object({{"files", files_json()}})));
  }
  std::vector<std::vector<std::string>> rows;
  for (const std::string& file : {paths_.system, paths_.user}) {
    if (file.empty()) continue;
    rows.push_back({printable(file, 4096), exists(file) ? "is there" : "is not there"});
  }
  return print(table(rows));
}

/// Never writes over anything.
Result<> ConfigCommand::init() {
  if (paths_.user.empty()) {
    return Error{Kind::usage, "there is no home folder to keep the config in",
                 "set HOME, XDG_CONFIG_HOME or PAYCURL_CONFIG to an absolute path"};
  }
  const std::size_t slash = paths_.user.rfind('/');
  if (slash != std::string::npos && slash != 0) {
    auto made = make_private_folder(paths_.user.substr(0, slash));
    if (!made) return made;
  }
  const int fd =
      ::open(paths_.user.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0) {
    const bool is_there = errno == EEXIST;
    return Error{Kind::usage,
                 is_there ? printable(paths_.user) + " is there already"
                          : "making " + printable(paths_.user) + ": " + std::strerror(errno),
                 is_there ? "it is never written over" : ""};
  }
  auto written = write_all(fd, example_config());
  if (::close(fd) != 0 && written) written = Error{Kind::internal, std::strerror(errno)};
  if (!written) return written;
  if (globals_->json) {
    return print_json(envelope().set("config", Json::object({{"files", files_json()}})));
  }
  return print("made " + printable(paths_.user, 4096) + "\n");
}

/// The limits that hold, then the ceilings that something else stands in front of.
std::vector<Shown> ConfigCommand::limit_values(const Limits& limits) {
  struct Kind {
    const char* name;
    const char* variable;
    std::vector<Limit> Limits::*effective;
    std::vector<Limit> Rule::*said;
  };
  const std::array<Kind, 4> kinds{
      Kind{"max-spend", "PAYCURL_MAX_SPEND", &Limits::max_spend, &Rule::max_spend},
      Kind{"per-day", "", &Limits::per_day, &Rule::per_day},
      Kind{"max-deposit", "PAYCURL_MAX_DEPOSIT", &Limits::max_deposit, &Rule::max_deposit},
      Kind{"max-fee", "", &Limits::max_fee, &Rule::max_fee}};
  std::vector<Shown> all;
  for (const Kind& kind : kinds) {
    for (const Limit& limit : limits.*kind.effective) {
      Shown shown{"limits", kind.name, text_of(limit), "built_in", limit.place};
      if (limit.source == Limit::Source::file) shown.from = "file";
      if (limit.source == Limit::Source::given) {
        shown.from = "environment";
        shown.place = kind.variable;
      }
      all.push_back(std::move(shown));
    }
  }
  for (const RuleFile& file : limits.files) {
    if (!file.is_final) continue;
    for (const Kind& kind : kinds) {
      for (const Limit& limit : file.all.*kind.said) {
        add_ceiling(all, {"limits", kind.name, text_of(limit), "file", limit.place, true});
      }
    }
  }
  for (const RuleFile& file : limits.files) {
    const Increase& increase = file.all.max_increase;
    if (increase.empty()) continue;
    const Shown shown{"limits", "max-increase", format_units(Amount(*increase.millionths), 4) + "%",
                      "file",   increase.place, file.is_final};
    if (file.is_final || limits.max_increase.place == increase.place) all.push_back(shown);
  }
  return all;
}

/// Marks the line when it is there already.
void ConfigCommand::add_ceiling(std::vector<Shown>& all, Shown ceiling) {
  for (Shown& shown : all) {
    if (shown.name != ceiling.name || shown.place != ceiling.place) continue;
    if (shown.value != ceiling.value) continue;
    shown.is_ceiling = true;
    return;
  }
  all.push_back(std::move(ceiling));
}

std::vector<Shown> ConfigCommand::variables(const Settings& settings) {
  std::vector<Shown> all;
  for (const auto& [name, set, variable] :
       {std::tuple{"private-key", settings.has_private_key, "PAYCURL_PRIVATE_KEY"},
        std::tuple{"wallet", settings.has_wallet, "PAYCURL_WALLET"}}) {
    if (set) all.push_back({"", name, "(not shown)", "environment", variable});
  }
  for (const auto& [name, value, variable] :
       {std::tuple{"account", settings.account, "PAYCURL_ACCOUNT"},
        std::tuple{"network", settings.network, "PAYCURL_NETWORK"},
        std::tuple{"method", settings.method, "PAYCURL_METHOD"},
        std::tuple{"rpc-url", settings.rpc_url, "PAYCURL_RPC_URL"}}) {
    if (value) all.push_back({"", name, without_secrets(name, *value), "environment", variable});
  }
  return all;
}

/// Defaults of options that nothing stands in front of, and what is said of hosts.
void ConfigCommand::add_entries(std::vector<Shown>& all, const Config& config) {
  const auto is_hidden = [&](const ConfigEntry& entry) {
    return config.option(entry.key) != &entry ||
           std::any_of(all.begin(), all.end(), [&](const Shown& shown) {
             return shown.from == "environment" && shown.section.empty() && shown.name == entry.key;
           });
  };
  for (const ConfigFile& file : config.files) {
    for (const ConfigEntry& entry : file.entries) {
      const bool is_host = entry.section.starts_with("host ");
      if (!is_host && (!entry.section.empty() || is_hidden(entry))) continue;
      std::string value = entry.flag ? (*entry.flag ? "true" : "false") : "";
      for (const std::string& one : entry.values) {
        value += (value.empty() ? "" : ", ") + without_secrets(entry.key, one);
      }
      const bool is_ceiling = is_host && file.is_final && entry.key != "account";
      all.push_back({entry.section, entry.key, value, "file", entry.place, is_ceiling});
    }
  }
}

Result<> ConfigCommand::show() {
  auto config = read_config(paths_);
  if (!config) return config.error();
  if (auto good = default_arguments(command_table().front(), *config); !good) return good.error();
  Settings settings = globals_->settings;
  use_config(settings, *config, false);
  const auto limits = limits_of(RequestOptions(), settings);
  if (!limits) return limits.error();
  std::vector<Shown> all = limit_values(*limits);
  for (Shown& shown : variables(globals_->settings)) {
    all.push_back(std::move(shown));
  }
  add_entries(all, *config);
  if (globals_->json) {
    Json list = Json::array();
    for (const Shown& shown : all) {
      list.push(Json::object({{"section", Json::or_null(std::string_view(shown.section))},
                              {"name", shown.name},
                              {"value", shown.value},
                              {"from", shown.from},
                              {"place", Json::or_null(std::string_view(shown.place))},
                              {"ceiling", shown.is_ceiling}}));
    }
    return print_json(envelope().set(
        "config", Json::object({{"files", files_json()}, {"values", std::move(list)}})));
  }
  std::vector<std::vector<std::string>> rows;
  rows.reserve(all.size());
  for (const Shown& shown : all) {
    rows.push_back({printable(shown.section, 80), shown.name, printable(shown.value, 200),
                    (shown.from == "built_in" ? "built in" : printable(shown.place, 4096)) +
                        (shown.is_ceiling ? " (ceiling)" : "")});
  }
  return print(table(rows));
}

}  // namespace

std::unique_ptr<Command> make_config() {
  return std::make_unique<ConfigCommand>();
}

}  // namespace paycurl
