// --help, --version, and the list of options that completions are made of.
#pragma once

#include <string>
#include <vector>

#include "src/base/result.h"

namespace CLI {  // NOLINT(readability-identifier-naming): the library's name
class App;
}

namespace paycurl {

class OptionSet;

struct OptionHelp {
  std::vector<std::string> names;  ///< "-o", "--output"
  std::string value;               ///< "FILE"; empty for a flag
  std::string text;
  std::string group;
};

/// The named options of a command, in their order, without the --no-NAME forms.
std::vector<OptionHelp> options_of(const CLI::App& app);

/// Declares the options that every command has, where only their names are of interest.
void declare_common_options(OptionSet& set);

/// The help of one command: synopsis, then its options in groups. `topic` is empty (of requests,
/// the common ones only), "all", "category" (the groups), the name of a group or of one option,
/// with or without dashes. Usage error for another.
Result<std::string> help_text(const CLI::App& app, const std::string& name,
                              const std::string& synopsis, const std::string& topic);

/// The list of subcommands.
std::string commands_text();

/// "0.1.0", and with `verbose` the libraries below it.
std::string version_text(bool verbose);

}  // namespace paycurl
