// A subcommand: its flags, and what it does.
//
// Adding one is a file and a line: write commands/<name>.cpp, then add its
// factory to the table in commands/commands.cpp. Options are members of the
// derived class, so they live exactly as long as CLI11 may write to them.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/result.h"
#include "wallet/settings.h"

namespace paycurl {

class OptionSet;  // CLI11 costs 3 s per translation unit; headers never include it

/// The flags every subcommand understands. Values only: no services in here.
struct Globals {
  bool json = false;
  bool json_lines = false;  ///< --format jsonl
  std::string format = "text";
  int verbosity = 0;
  bool silent = false;
  bool no_config = false;  ///< -q
  std::string color = "auto";
  Settings settings;
};

class Command {
 public:
  virtual ~Command() = default;

  /// Adds this command's options to `set`, which lives until `run` returns. Called once, before
  /// parsing.
  virtual void declare(OptionSet& set) = 0;

  /// Does the work. Called at most once, after the options were parsed. The value is the exit
  /// status of a command that has said already what went wrong.
  virtual Result<int> run(const Globals& globals) = 0;
};

/// A row of the command table.
struct CommandEntry {
  std::string_view name;
  std::string_view alias;     ///< a hidden synonym; may be empty
  std::string_view synopsis;  ///< behind the name, in --help and the man page
  std::string_view summary;
  std::unique_ptr<Command> (*make)();
};

/// All subcommands; the first is the default one.
const std::vector<CommandEntry>& command_table();

/// Reads the command line and runs it: the process's exit status. Says everything itself.
int run_command_line(int argc, char** argv);

std::unique_ptr<Command> make_request();
std::unique_ptr<Command> make_account();
std::unique_ptr<Command> make_payments();
std::unique_ptr<Command> make_sessions();
std::unique_ptr<Command> make_sign();
std::unique_ptr<Command> make_decode();
std::unique_ptr<Command> make_services();
std::unique_ptr<Command> make_doctor();
std::unique_ptr<Command> make_config();
std::unique_ptr<Command> make_validate();
std::unique_ptr<Command> make_discover();
std::unique_ptr<Command> make_completions();

}  // namespace paycurl
