// paycurl completions: scripts for bash, zsh and fish, made from the option declarations
// themselves.
#include "commands/completions.h"

#include <algorithm>
#include <array>

#include "commands/options.h"
#include "commands/output.h"
#include "commands/request_options.h"
#include "src/base/text.h"

namespace paycurl {
namespace {

/// "create | import | list [NAME]": the words before the brackets.
std::vector<std::string> verbs_of(std::string_view synopsis) {
  std::vector<std::string> verbs;
  if (synopsis.find('|') == std::string_view::npos) return verbs;
  synopsis = synopsis.substr(0, synopsis.find('['));
  while (!synopsis.empty()) {
    const std::size_t end = std::min(synopsis.find('|'), synopsis.size());
    verbs.emplace_back(trimmed(synopsis.substr(0, end)));
    synopsis.remove_prefix(std::min(end + 1, synopsis.size()));
  }
  return verbs;
}

/// What the values of options are. An option that only one command means so has its name in front.
struct Values {
  std::string_view option, words, journal;
};
constexpr std::array<Values, 23> kValues{{
    {"--account", "", "accounts"},
    {"--session", "auto new", "sessions"},
    {"--swap-from", "auto pathUSD USDC.e", ""},
    {"--host", "", "hosts"},
    {"--url", "", "urls"},
    {"--request", "GET HEAD POST PUT PATCH DELETE OPTIONS", ""},
    {"--method", "tempo lightning", ""},
    {"--intent", "charge session", ""},
    {"--protocol", "auto mpp l402", ""},
    {"--network", "mainnet testnet signet regtest", ""},
    {"--proto-default", "http https", ""},
    {"--format", "text json jsonl csv", ""},
    {"validate --format", "text json junit tap github", ""},
    {"--color", "auto always never", ""},
    {"--store", "keychain file", ""},
    {"payments --status", "settled unknown rejected not_sent", ""},
    {"services --status", "active beta deprecated maintenance", ""},
    {"payments --totals", "host day token", ""},
    {"--report", "human json junit tap github", ""},
    {"--fail-on", "error warning", ""},
    {"--tls-max", "default 1.0 1.1 1.2 1.3", ""},
    {"--cert-type", "PEM DER P12", ""},
    {"--key-type", "PEM DER ENG", ""},
}};

}  // namespace

std::vector<CommandGrammar> read_grammar() {
  std::vector<CommandGrammar> commands;
  for (const CommandEntry& entry : command_table()) {
    CLI::App app;
    OptionSet set(app, nullptr);
    const auto command = entry.make();
    command->declare(set);
    declare_common_options(set);
    commands.push_back({std::string(entry.name), std::string(entry.summary),
                        verbs_of(entry.synopsis), options_of(app)});
  }
  return commands;
}

Candidates values_of(const CommandGrammar& command, const OptionHelp& option) {
  Candidates candidates;
  candidates.files = option.value.starts_with("FILE");
  candidates.folders = option.value == "FOLDER";
  for (const Values& values : kValues) {
    for (const std::string& name : option.names) {
      const bool is_own = values.option == command.name + " " + name;
      if (option.value.empty() || (!is_own && values.option != name)) continue;
      candidates.words = values.words;
      candidates.journal = values.journal;
    }
  }
  return candidates;
}

const std::vector<Operand>& operands() {
  static const std::vector<Operand> all{
      {"request", "", "urls"},
      {"account", "show default export delete fund balance", "accounts"},
      {"sessions", "show close sync import", "sessions"},
      {"payments", "show resume", "payments"},
      {"validate", "", "urls"},
      {"discover", "", "urls"},
  };
  return all;
}

namespace {

class CompletionsCommand : public Command {
 public:
  void declare(OptionSet& set) override { set.positional("shell", given_, "bash, zsh or fish"); }

  Result<int> run(const Globals& globals) override {
    const std::string shell = given_.empty() ? "" : given_.front();
    if (shell == "words" && given_.size() == 2) {  // what the scripts ask at every press of Tab
      const auto words = journal_words(given_.back(), globals.settings);
      if (words) (void)print(*words);
      return 0;
    }
    if (given_.size() > 1) return Error{Kind::usage, "one shell at a time"};
    const auto grammar = read_grammar();
    const std::string script = shell == "bash"   ? bash_script(grammar)
                               : shell == "zsh"  ? zsh_script(grammar)
                               : shell == "fish" ? fish_script(grammar)
                                                 : "";
    if (script.empty()) {
      return Error{Kind::usage,
                   shell.empty() ? "which shell?" : "not a shell we know: " + printable(shell, 40),
                   "bash, zsh and fish are"};
    }
    if (auto printed = print(script); !printed) return printed.error();
    return 0;
  }

 private:
  std::vector<std::string> given_;
};

}  // namespace

std::unique_ptr<Command> make_completions() {
  return std::make_unique<CompletionsCommand>();
}

}  // namespace paycurl
