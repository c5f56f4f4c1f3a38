#include "commands/help.h"

#include <algorithm>

#include "commands/command.h"
#include "commands/network.h"
#include "commands/options.h"
#include "commands/output.h"
#include "src/base/text.h"
#include "src/http/client.h"
#include "wallet/version.h"

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

namespace {

std::string rows_of(const std::vector<OptionHelp>& options, const std::string& group) {
  std::vector<std::vector<std::string>> rows;
  for (const OptionHelp& option : options) {
    if (option.group != group) continue;
    std::string names;
    for (const std::string& one : option.names) {
      names += (names.empty() ? "" : ", ") + one;
    }
    rows.push_back({"", names + (option.value.empty() ? "" : " " + option.value), option.text});
  }
  return "\n" + group + ":\n" + table(rows);
}

/// The one word that asks for a group.
std::string topic_of(const std::string& group) {
  if (group == "Choosing an offer") return "offer";
  if (group == "Many requests") return "many";
  if (group == "Who pays") return "payer";
  return lower(group);
}

/// Whether `topic` is "-o", "--output", "output", or "--no-NAME" of a flag.
bool names_option(const OptionHelp& option, const std::string& topic) {
  return std::any_of(option.names.begin(), option.names.end(), [&](const std::string& name) {
    const std::string bare = name.substr(name.find_first_not_of('-'));
    return topic == name || (bare.size() > 1 && topic == bare) || topic == "--no-" + bare;
  });
}

}  // namespace

Result<std::string> help_text(const CLI::App& app, const std::string& name,
                              const std::string& synopsis, const std::string& topic) {
  const auto options = options_of(app);
  std::vector<std::string> groups;
  for (const OptionHelp& option : options) {
    if (std::find(groups.begin(), groups.end(), option.group) == groups.end()) {
      groups.push_back(option.group);
    }
  }
  const bool is_request = name.empty();  // the others have few options: they show all of them
  std::string text = "usage: paycurl " + (is_request ? synopsis : name + " " + synopsis) + "\n";
  if (topic.empty() || topic == "all") {
    for (const std::string& group : groups) {
      const bool is_shown =
          !is_request || !topic.empty() || group == "Common" || group == "Payment";
      if (is_shown) text += rows_of(options, group);
    }
    if (is_request && topic.empty()) {
      text +=
          "\nAll options: paycurl --help all. Some: --help category, --help --retry.\n"
          "The whole story: man paycurl.\n";
    }
    if (is_request) text += commands_text();
    return text;
  }
  std::string topics;
  for (const std::string& group : groups) {
    if (lower(topic) == topic_of(group)) return text + rows_of(options, group);
    topics += (topics.empty() ? "" : " ") + topic_of(group);
  }
  if (topic == "category") return "all " + topics + "\n";
  std::vector<OptionHelp> found;
  for (const OptionHelp& option : options) {
    if (names_option(option, topic)) found.push_back(option);
  }
  if (!found.empty()) return rows_of(found, found.front().group).substr(1);
  return Error{Kind::usage, "no help on " + printable(topic, 60),
               "there is some on each option, and on: all " + topics};
}

std::string commands_text() {
  std::vector<std::vector<std::string>> rows;
  for (const CommandEntry& entry : command_table()) {
    rows.push_back({"", std::string(entry.name), std::string(entry.summary)});
  }
  return "\nCommands (as the first argument):\n" + table(rows);
}

std::string version_text(bool verbose) {
  std::string text = "paycurl " PAYCURL_VERSION "\n";
  if (verbose) {
    text += http::library_version() + "\n" + wallet_libraries() + " " PAYCURL_BUILT_WITH "\n";
  }
  return text;
}

}  // namespace paycurl
