#include "commands/help.h"

#include <algorithm>

#include "commands/command.h"
#include "commands/network.h"
#include "commands/options.h"
#include "commands/output.h"
#include "src/http/client.h"

namespace paycurl {

std::string user_agent() {
  return "paycurl/" PAYCURL_VERSION;
}

std::vector<OptionHelp> options_of(const CLI::App& app) {
  std::vector<OptionHelp> found;
  for (const CLI::Option* option : app.get_options()) {
    OptionHelp help;
    for (const std::string& name : option->get_snames()) {
      help.names.push_back("-" + name);
    }
    for (const std::string& name : option->get_lnames()) {
      const auto& opposites = option->get_fnames();
      if (std::find(opposites.begin(), opposites.end(), name) == opposites.end()) {
        help.names.push_back("--" + name);
      }
    }
    if (help.names.empty()) continue;  // positional
    if (option->get_items_expected_max() != 0) help.value = option->get_type_name();
    help.text = option->get_description();
    help.group = option->get_group();
    found.push_back(std::move(help));
  }
  return found;
}

std::string help_text(const CLI::App& app, const std::string& name, const std::string& synopsis,
                      bool all) {
  std::string text = "usage: paycurl " + (name.empty() ? synopsis : name + " " + synopsis) + "\n";
  const auto options = options_of(app);
  std::vector<std::string> groups;
  for (const OptionHelp& option : options) {
    if (std::find(groups.begin(), groups.end(), option.group) == groups.end()) {
      groups.push_back(option.group);
    }
  }
  const bool is_request = name.empty();  // the others have few options: they show all of them
  for (const std::string& group : groups) {
    if (is_request && !all && group != "Common" && group != "Payment") continue;
    std::vector<std::vector<std::string>> rows;
    for (const OptionHelp& option : options) {
      if (option.group != group) continue;
      std::string names;
      for (const std::string& one : option.names) {
        names += (names.empty() ? "" : ", ") + one;
      }
      rows.push_back({"", names + (option.value.empty() ? "" : " " + option.value), option.text});
    }
    text += "\n" + group + ":\n" + table(rows);
  }
  if (is_request && !all) {
    text += "\nAll options: paycurl --help all. The whole story: man paycurl.\n";
  }
  return text;
}

std::string commands_text() {
  std::vector<std::vector<std::string>> rows;
  for (const CommandEntry& entry : command_table()) {
    rows.push_back({"", std::string(entry.name), std::string(entry.summary)});
  }
  return "\nCommands (as the first argument):\n" + table(rows);
}

std::string version_text(bool verbose) {
  return std::string("paycurl ") + PAYCURL_VERSION + "\n" +
         (verbose ? http::library_version() + "\n" : std::string());
}

}  // namespace paycurl
