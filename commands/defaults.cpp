#include "commands/defaults.h"

#include <algorithm>
#include <array>

#include "commands/help.h"
#include "commands/options.h"
#include "src/base/text.h"

namespace paycurl {
namespace {

/// What belongs to one request or one host, and secrets.
constexpr std::array<std::string_view, 31> kNotHere{
    "url",        "data",   "data-ascii",  "data-raw",  "data-binary", "data-urlencode",
    "json",       "form",   "form-string", "get",       "head",        "upload-file",
    "config",     "input",  "once",        "next",      "help",        "version",
    "disable",    "user",   "bearer",      "pass",      "proxy-user",  "oauth2-bearer",
    "proxy-pass", "key-fd", "key-file",    "wallet-fd", "password-fd", "password-file",
    "url-query"};

/// Settings read these, as they come behind a variable.
constexpr std::array<std::string_view, 4> kBehindVariables{"network", "method", "rpc-url",
                                                           "account"};

template <class Names>
bool has(const Names& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

Error at(const ConfigEntry& entry, const std::string& message, const std::string& hint = "") {
  return {Kind::usage, printable(entry.place) + ": " + message, hint};
}

/// "--no-spool" of "spool", and the other way round.
std::string opposite(const std::string& key) {
  return "--" + (key.starts_with("no-") ? key.substr(3) : "no-" + key);
}

/// The options of a command, declared.
struct Grammar {
  Grammar(const CommandEntry& entry, const std::vector<std::string>& arguments)
      : set(app, &arguments), command(entry.make()) {
    command->declare(set);
    declare_common_options(set);
  }
  CLI::App app;
  OptionSet set;
  std::unique_ptr<Command> command;
};

Result<std::vector<std::string>> arguments_of(const ConfigEntry& entry, const CLI::App& app) {
  const std::string name = "--" + entry.key;
  const CLI::Option* option = app.get_option_no_throw(name);
  if (option == nullptr || has(kNotHere, entry.key)) {
    return at(entry,
              (option == nullptr ? "unknown key " : "no default can be set for ") +
                  printable(entry.key, 60),
              option == nullptr ? "keys are long names of options: see paycurl --help all"
                                : "it belongs to one request; give it on the command line");
  }
  const bool is_flag = option->get_items_expected_max() == 0;
  std::vector<std::string> arguments;
  if (entry.flag && is_flag) {
    const std::string other = opposite(entry.key);
    if (*entry.flag) arguments.push_back(name);
    if (!*entry.flag && app.get_option_no_throw(other) != nullptr) arguments.push_back(other);
    return arguments;
  }
  if (entry.key == "verbose" && !entry.is_list && entry.values.front().size() == 1) {
    arguments.assign(static_cast<std::size_t>(std::clamp(entry.values.front()[0] - '0', 0, 3)),
                     name);
    return arguments;
  }
  if (is_flag) return at(entry, entry.key + " is true or false");
  if (entry.flag) return at(entry, entry.key + " needs a value");
  if (entry.is_list && option->get_expected_max() <= 1) {
    return at(entry, entry.key + " takes one value");
  }
  for (const std::string& value : entry.values) {
    arguments.push_back(name);
    arguments.back().append("=").append(value);
  }
  return arguments;
}

/// The entries that count: of a key the last file's.
std::vector<const ConfigEntry*> defaults_of(const Config& config) {
  std::vector<const ConfigEntry*> entries;
  for (const ConfigFile& file : config.files) {
    for (const ConfigEntry& entry : file.entries) {
      if (config.option(entry.key) == &entry) entries.push_back(&entry);
    }
  }
  return entries;
}

/// Whether an option of another command is the one of a request.
bool is_same(const CLI::Option* ours, const CLI::Option* theirs) {
  return ours != nullptr && theirs != nullptr && ours->get_group() == theirs->get_group() &&
         ours->get_items_expected_max() == theirs->get_items_expected_max();
}

}  // namespace

Result<std::vector<std::string>> default_arguments(const CommandEntry& entry,
                                                   const Config& config) {
  const auto entries = defaults_of(config);
  std::vector<std::string> mentioned;
  for (const ConfigEntry* one : entries) {
    mentioned.push_back("--" + one->key);
    mentioned.push_back(opposite(one->key));
  }
  std::vector<std::string> all;
  if (entries.empty()) return all;
  const CommandEntry& request_entry = command_table().front();
  const Grammar request(request_entry, mentioned);
  const Grammar own(entry, mentioned);
  for (const ConfigEntry* one : entries) {
    auto arguments = arguments_of(*one, request.app);
    if (!arguments) return arguments.error();
    if (has(kBehindVariables, one->key)) continue;
    const std::string name = "--" + one->key;
    const bool applies = &entry == &request_entry || is_same(own.app.get_option_no_throw(name),
                                                             request.app.get_option_no_throw(name));
    if (applies) all.insert(all.end(), arguments->begin(), arguments->end());
  }
  return all;
}

Error with_place(Error error, const Config& config) {
  for (const ConfigEntry* entry : defaults_of(config)) {
    if (error.message.find("--" + entry->key) == std::string::npos) continue;
    error.message.insert(0, printable(entry->place) + ": ");
    return error;
  }
  return error;
}

}  // namespace paycurl
