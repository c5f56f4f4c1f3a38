// What the completion scripts of the three shells have in common.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "commands/help.h"
#include "src/base/result.h"
#include "wallet/settings.h"

namespace paycurl {

/// What can stand somewhere on a command line.
struct Candidates {
  bool files = false, folders = false;
  std::string words;    ///< "auto new"
  std::string journal;  ///< "accounts": what `paycurl completions words accounts` says
};

/// A command, its verbs and its options.
struct CommandGrammar {
  std::string name;
  std::string summary;
  std::vector<std::string> verbs;
  std::vector<OptionHelp> options;
};

/// All commands; the first is the default one.
std::vector<CommandGrammar> read_grammar();

/// What an option takes; empty when only the user knows.
Candidates values_of(const CommandGrammar& command, const OptionHelp& option);

/// What stands behind the verbs of a command: which verbs, separated by spaces, and what. No verbs:
/// behind the command itself.
struct Operand {
  std::string_view command, verbs, journal;
};
const std::vector<Operand>& operands();

std::string bash_script(const std::vector<CommandGrammar>& commands);
std::string zsh_script(const std::vector<CommandGrammar>& commands);
std::string fish_script(const std::vector<CommandGrammar>& commands);

/// Names that the journal knows, a line each with a tab and a description behind: accounts,
/// sessions, payments, hosts or urls. Without network, keychain or questions; only names that mean
/// nothing to a shell.
Result<std::string> journal_words(std::string_view kind, const Settings& settings);

}  // namespace paycurl
