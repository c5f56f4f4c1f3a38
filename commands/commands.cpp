// The command table, and the way from argv to a command.
#include <algorithm>
#include <array>

#include "commands/check_report.h"
#include "commands/command.h"
#include "commands/config_lines.h"
#include "commands/curl_options.h"
#include "commands/defaults.h"
#include "commands/help.h"
#include "commands/json.h"
#include "commands/options.h"
#include "commands/output.h"
#include "src/base/text.h"

namespace paycurl {
namespace {

/// What peers of paycurl and curl call something that we call otherwise.
struct Spelling {
  std::string_view option;
  std::string_view hint;
};
constexpr const char* kKnownAuthentication =
    "paycurl knows -u with Basic, --digest, and --oauth2-bearer";
constexpr auto kSpellings = std::to_array<Spelling>({
    {"--json-body", "a JSON body is --json DATA"},
    {"--json-output", "what is printed is JSON with -j"},
    {"--rpc", "the option is --rpc-url URL"},
    {"--stream", "a stream is always printed, and paid for, as it comes"},
    {"--max-amount", "the limit is --max-spend LIMIT"},
    {"--max-cost", "the limit is --max-spend LIMIT"},
    {"--retries", "the option is --retry N"},
    {"--timeout", "the limit of the whole exchange is -m SECONDS"},
    {"--auto-swap", "the option is --swap-from auto, or --swap-from TOKEN"},
    {"--pay-with", "the option is --swap-from TOKEN"},
    {"--append", "-a is --account here; paycurl does not upload by FTP"},
    {"--junk-session-cookies", "-j is --format json here"},
    {"--manual", "-M is a method option here; see man paycurl"},
    {"--next", "run paycurl once for each request"},
    {"--anyauth", kKnownAuthentication},
    {"--ntlm", kKnownAuthentication},
    {"--negotiate", kKnownAuthentication},
});

/// Whether requests have it.
bool is_request_option(const std::string& name) {
  CLI::App app;
  OptionSet set(app, nullptr);
  const auto command = command_table().front().make();
  command->declare(set);
  return app.get_option_no_throw(name) != nullptr;
}

Error unknown_option(const std::string& option) {
  const std::string name =
      option.starts_with("--") ? option.substr(0, option.find('=')) : option.substr(0, 2);
  Error error{Kind::usage, "unknown option " + printable(name, 60), "try paycurl --help all"};
  for (const Spelling& spelling : kSpellings) {
    if (spelling.option != name) continue;
    error.hint = spelling.hint;
    return error;
  }
  if (is_request_option(name)) {  // so this is another command
    error.message = "this command has no option " + printable(name, 60);
    error.hint = name == "--json" ? "what it prints is JSON with -j" : "its options: --help";
    return error;
  }
  if (is_curl_option(name)) {
    error.message = "curl's " + name + " is not in paycurl";
    error.hint = "docs/curl.md says what there is instead";
  }
  return error;
}

/// Whether `text` begins as the connections to wallets do.
bool is_connection(std::string_view text) {
  constexpr std::array<std::string_view, 6> kStarts{
      "lndconnect:",        "clnrest", "phoenixd:", "lnbits", "nostr+walletconnect:",
      "nostrwalletconnect:"};
  const std::string start = lower(text.substr(0, 24));
  return start.find(':') != std::string::npos &&
         std::any_of(kStarts.begin(), kStarts.end(),
                     [&](std::string_view known) { return start.starts_with(known); });
}

/// Refuses what must not be repeated in a message or a process list.
Result<> refuse_keys_in_arguments(const std::vector<std::string>& arguments) {
  for (const std::string& argument : arguments) {
    const std::size_t equals = argument.starts_with("--") ? argument.find('=') : std::string::npos;
    const std::size_t value = equals == std::string::npos ? 0 : equals + 1;
    if (!is_connection(std::string_view(argument).substr(value))) continue;
    return Error{Kind::usage, "a wallet's connection does not belong on a command line",
                 "give it on standard input or with --wallet-fd N; the one you gave is now in your "
                 "shell's history"};
  }
  for (const std::string& argument : arguments) {
    if (argument == "--") return {};
    if (argument == "--private-key" || argument.starts_with("--private-key=")) {
      return Error{
          Kind::usage, "a private key does not belong on a command line",
          "use PAYCURL_PRIVATE_KEY, --key-fd N or --key-file FILE; the key you gave is now in your "
          "shell's history"};
    }
  }
  return {};
}

bool is_http_method(const std::string& text) {
  constexpr std::array<std::string_view, 7> kMethods{"GET",    "POST", "PUT",    "PATCH",
                                                     "DELETE", "HEAD", "OPTIONS"};
  return std::find(kMethods.begin(), kMethods.end(), text) != kMethods.end();
}

/// CLI11 reads "--name= next" as "--name next": an empty value becomes an argument of its own.
std::vector<std::string> with_empty_values(const CLI::App& app,
                                           const std::vector<std::string>& arguments) {
  std::vector<std::string> out;
  const CLI::Option* waiting = nullptr;  // takes the next argument, whatever it looks like
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    const bool is_value = std::exchange(waiting, nullptr) != nullptr;
    out.push_back(argument);
    if (is_value) continue;
    if (argument == "--") {
      out.insert(out.end(), arguments.begin() + static_cast<std::ptrdiff_t>(i) + 1,
                 arguments.end());
      break;
    }
    if (argument.starts_with("--")) {
      const std::size_t equals = argument.find('=');
      const auto* option = app.get_option_no_throw(argument.substr(0, equals));
      const bool takes_value = option != nullptr && option->get_items_expected_max() != 0;
      if (takes_value && equals + 1 == argument.size()) {
        out.back().pop_back();
        out.emplace_back();
      } else if (takes_value && equals == std::string::npos) {
        waiting = option;
      }
    } else if (argument.starts_with("-") && argument.size() > 1) {
      for (std::size_t j = 1; j < argument.size(); ++j) {
        const auto* option = app.get_option_no_throw(std::string("-") + argument[j]);
        if (option == nullptr || option->get_items_expected_max() == 0) continue;
        if (j + 1 == argument.size()) waiting = option;
        break;
      }
    }
  }
  return out;
}

/// "$UNSET" as a limit, a price or a payer must not pass for none.
Result<> refuse_empty_values(const CLI::App& app) {
  constexpr std::array<std::string_view, 9> kGroups{
      "Payment",  "Choosing an offer", "Who pays", "Account", "Payments",
      "Sessions", "Many requests",     "Signing",  "Decoding"};
  for (const CLI::Option* option : app.get_options()) {
    const bool is_strict =
        std::find(kGroups.begin(), kGroups.end(), option->get_group()) != kGroups.end() ||
        option->check_lname("account");
    const auto& values = option->results();
    const bool is_flag = option->get_items_expected_max() == 0;
    const bool has_empty = std::find(values.begin(), values.end(), "") != values.end();
    if (!is_strict || is_flag || !has_empty) continue;
    return Error{Kind::usage, option->get_name() + " has an empty value",
                 "give it a value, or leave it out"};
  }
  return {};
}

struct Help {
  bool wanted = false;
  bool version = false;
};

void declare_globals(OptionSet& set, Globals& globals, std::string& format, Help& help) {
  set.app().set_help_flag();
  set.in("Common")
      .counter("-v,--verbose", globals.verbosity, "show both requests and the payment; -vv decodes")
      .flag("-s,--silent", globals.silent, "no meter, no messages")
      .action(
          "-j", [&format] { format = "json"; }, "the same as --format json")
      .value("--format", format, "FORMAT", "text, json, or jsonl and csv where lists are")
      .flag("-h,--help", help.wanted, "this text; --help TOPIC: all, category, a group, an option")
      .flag("-V,--version", help.version, "the version; with -v, of the libraries too");
  // The services command has another -q, that of the npm CLI.
  const bool has_own_q = set.app().get_option_no_throw("-q") != nullptr;
  set.in("Output")
      .value("--color", globals.color, "WHEN", "auto, always or never")
      .flag(has_own_q ? "--disable" : "-q,--disable", globals.no_config,
            "skip the config files' defaults; their limits hold");
}

}  // namespace

void declare_common_options(OptionSet& set) {
  static Globals globals;
  static std::string format;
  static Help help;
  declare_globals(set, globals, format, help);
}

namespace {

const CommandEntry* find_command(std::string_view name) {
  const auto& table = command_table();
  const auto found = std::find_if(table.begin(), table.end(), [&](const CommandEntry& entry) {
    return entry.name == name || (!entry.alias.empty() && entry.alias == name);
  });
  return found == table.end() ? nullptr : &*found;
}

Error translated(const CLI::ParseError& error) {
  const std::string text = error.what();
  if (dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr) {
    // The text ends with the extras; the first that looks like an option is the one to name.
    const std::string extras = text.substr(text.find(": ") + 2);
    for (std::size_t at = 0; at < extras.size();) {
      const std::size_t end = std::min(extras.find(' ', at), extras.size());
      if (extras[at] == '-' && end > at + 1) return unknown_option(extras.substr(at, end - at));
      at = end + 1;
    }
    return {Kind::usage, "unexpected argument " + printable(extras, 80)};
  }
  const std::string option = text.substr(0, text.find(':'));
  if (dynamic_cast<const CLI::ArgumentMismatch*>(&error) != nullptr) {
    return {Kind::usage, "option " + printable(option, 60) + " needs a value"};
  }
  if (dynamic_cast<const CLI::ConversionError*>(&error) != nullptr) {
    // "Could not convert: --max-time = soon"
    const std::size_t name = std::min(text.find(": ") + 2, text.size());
    return {Kind::usage,
            "option " + printable(text.substr(name, text.find(" = ") - name), 60) +
                " does not take that value",
            "try paycurl --help all"};
  }
  return {Kind::usage, printable(text)};
}

/// Whether the command line asks for JSON, as far as one can tell without parsing it.
bool wants_json(const std::vector<std::string>& arguments) {
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    if (argument == "-j" || argument == "--format=json") return true;
    const bool has_next = i + 1 < arguments.size();
    if (argument == "--format" && has_next && arguments[i + 1] == "json") return true;
  }
  return false;
}

int fail(bool json, const Error& error) {
  say_error(error);
  if (json) (void)print_json(failed(error));
  return error.exit_status();
}

/// What stands behind --help; a URL there is not meant as a topic.
std::string topic_of(const std::vector<std::string>& arguments) {
  for (std::size_t i = 0; i + 1 < arguments.size(); ++i) {
    const std::string& next = arguments[i + 1];
    const bool is_help = arguments[i] == "--help" || arguments[i] == "-h";
    if (is_help && next.find("://") == std::string::npos) return next;
  }
  return "";
}

int show_help(const CommandEntry& entry, const std::vector<std::string>& arguments, bool json) {
  CLI::App app;
  OptionSet set(app, nullptr);
  const auto command = entry.make();
  command->declare(set);
  declare_common_options(set);
  const bool is_default = &entry == &command_table().front();
  const auto text = help_text(app, is_default ? "" : std::string(entry.name),
                              std::string(entry.synopsis), topic_of(arguments));
  if (!text) return fail(json, text.error());
  return print(*text) ? 0 : 23;
}

/// -K, which may name any option: so all of them have to be declared.
Result<std::vector<std::string>> with_configs(const CommandEntry& entry,
                                              const std::vector<std::string>& arguments) {
  const bool may_mention =
      std::any_of(arguments.begin(), arguments.end(), [](const std::string& argument) {
        return argument.starts_with('-') &&
               (argument.find('K') != std::string::npos || argument.starts_with("--config"));
      });
  if (!may_mention || &entry != &command_table().front()) return arguments;
  CLI::App app;
  OptionSet set(app, nullptr);
  const auto command = entry.make();
  command->declare(set);
  declare_common_options(set);
  return with_config_files(arguments, [&](const std::string& name) {
    const auto* option = app.get_option_no_throw(name);
    return OptionShape{option != nullptr,
                       option != nullptr && option->get_items_expected_max() != 0};
  });
}

/// Whether the config files have a say in a command; the others work without a home.
bool reads_config(const CommandEntry& entry) {
  constexpr std::array<std::string_view, 4> kWithout{"completions", "config", "decode", "doctor"};
  return std::find(kWithout.begin(), kWithout.end(), entry.name) == kWithout.end();
}

/// --format and --color.
Result<> take_format(const CommandEntry& entry, const std::string& format, Globals& globals) {
  globals.json = format == "json";
  globals.json_lines = format == "jsonl";
  globals.format = format;
  constexpr std::array<std::string_view, 4> kFormats{"text", "json", "jsonl", "csv"};
  const bool is_report = entry.name == "validate" && is_report_format(format);
  if (!is_report && std::find(kFormats.begin(), kFormats.end(), format) == kFormats.end()) {
    return Error{Kind::usage, "not a format: " + printable(format, 40), "text and json are"};
  }
  if (globals.color != "auto" && globals.color != "always" && globals.color != "never") {
    return Error{Kind::usage, "not a way to colour: " + printable(globals.color, 40),
                 "auto, always and never are"};
  }
  return {};
}

int run_command(const CommandEntry& entry, const std::vector<std::string>& given,
                const Config* config = nullptr);

/// Runs a command whose arguments are parsed, with the settings that it needs.
int run_parsed(const CommandEntry& entry, Command& command, Globals& globals,
               const std::vector<std::string>& arguments, const Config* config) {
  const auto fail = [&](const Error& error) {
    return paycurl::fail(globals.json, config == nullptr ? error : with_place(error, *config));
  };
  auto settings = read_settings();
  if (!settings) return fail(settings.error());
  globals.settings = std::move(*settings);
  if (config == nullptr && reads_config(entry)) {
    const auto read = read_config(globals.settings.config_paths);
    if (!read) return fail(read.error());
    auto all = default_arguments(entry, *read);
    if (!all) return fail(all.error());
    if (!all->empty() && !globals.no_config) {
      all->insert(all->end(), arguments.begin(), arguments.end());
      return run_command(entry, *all, &*read);
    }
    use_config(globals.settings, *read, !globals.no_config);
  } else if (config != nullptr) {
    use_config(globals.settings, *config, !globals.no_config);
  }
  const auto status = command.run(globals);
  return status ? *status : fail(status.error());
}

/// Parses and runs one command. `config` is what the files say when their defaults stand in front
/// of `arguments`; until then it is nullptr.
int run_command(const CommandEntry& entry, const std::vector<std::string>& given,
                const Config* config) {
  const auto fail = [config](bool json, const Error& error) {
    return paycurl::fail(json, config == nullptr ? error : with_place(error, *config));
  };
  const auto expanded = with_configs(entry, given);
  if (!expanded) return fail(wants_json(given), expanded.error());
  const std::vector<std::string>& arguments = *expanded;
  Globals globals;
  std::string format = "text";
  Help help;
  CLI::App app;
  OptionSet set(app, &arguments);
  const auto command = entry.make();
  command->declare(set);
  declare_globals(set, globals, format, help);
  globals.json = wants_json(arguments);  // before anything can fail, so that failures are in it
  if (auto refused = refuse_keys_in_arguments(arguments); !refused) {
    return fail(globals.json, refused.error());
  }
  try {
    std::vector<std::string> prepared = with_empty_values(app, arguments);
    std::reverse(prepared.begin(), prepared.end());  // CLI11 takes them from the back
    app.parse(std::move(prepared));
  } catch (const CLI::ParseError& error) {
    // An option behind --help is a topic: it has no value.
    if (help.wanted || !topic_of(arguments).empty()) {
      return show_help(entry, arguments, globals.json);
    }
    return fail(globals.json || format == "json", translated(error));
  }
  if (help.wanted) return show_help(entry, arguments, globals.json);
  if (help.version) return print(version_text(globals.verbosity > 0)) ? 0 : 23;
  if (auto fine = take_format(entry, format, globals); !fine) {
    return fail(globals.json, fine.error());
  }
  if (auto refused = refuse_empty_values(app); !refused) {
    return fail(globals.json, refused.error());
  }
  return run_parsed(entry, *command, globals, arguments, config);
}

}  // namespace

const std::vector<CommandEntry>& command_table() {
  static const std::vector<CommandEntry> table{
      {"request", "", "[options] URL...", "make a request and pay for it when asked (the default)",
       &make_request},
      {"account", "accounts",
       "create | import | connect | list | show | default | export | delete | fund | balance "
       "[NAME]",
       "the accounts that pay", &make_account},
      {"sessions", "session", "list | show | close | sync | import [ID | URL]",
       "payment channels, and what lies in them", &make_sessions},
      {"payments", "payment", "list | show | resume | export [ID]", "the journal of what was paid",
       &make_payments},
      {"sign", "", "[CHALLENGE | @FILE]",
       "pay a challenge, print the Authorization value; no request", &make_sign},
      {"decode", "", "[TEXT | @FILE]", "what a challenge, credential, receipt or the like says",
       &make_decode},
      {"services", "service", "list | show | endpoints [ID]", "the directory of paid services",
       &make_services},
      {"doctor", "", "", "see whether everything is there that paying needs", &make_doctor},
      {"config", "", "show | path | init", "the config files, and what they say", &make_config},
      {"validate", "", "[options] URL", "is this server a correct MPP server?", &make_validate},
      {"discover", "", "[options] URL | FILE", "what a service offers, as its document says",
       &make_discover},
      {"completions", "", "bash | zsh | fish", "a completion script for your shell",
       &make_completions},
  };
  return table;
}

namespace {

/// What other tools mean by options that are ours with another meaning: a request would be made,
/// and paid, that is not the one that was meant.
Result<> refuse_other_meanings(const CommandEntry& entry,
                               const std::vector<std::string>& arguments) {
  if (&entry != &command_table().front()) return {};
  for (std::size_t i = 0; i + 1 < arguments.size() && arguments[i] != "--"; ++i) {
    const std::string& next = arguments[i + 1];
    if (arguments[i] == "--method" && is_http_method(next)) {
      return Error{Kind::usage, "--method chooses a payment method",
                   "the request's method is -X " + next};
    }
    if (arguments[i] == "-r" && next.find("://") != std::string::npos) {
      return Error{Kind::usage, "-r is a range of bytes, and that is a URL",
                   "the chain's node is --rpc-url URL"};
    }
    if (arguments[i] == "-J" && (next.starts_with('{') || next.starts_with('['))) {
      return Error{Kind::usage, "-J takes a file's name from the answer, and that is JSON",
                   "a JSON body is --json DATA"};
    }
  }
  return {};
}

}  // namespace

int run_command_line(int argc, char** argv) {
  std::vector<std::string> arguments(argv + std::min(argc, 1), argv + argc);
  const CommandEntry* entry = arguments.empty() ? nullptr : find_command(arguments.front());
  if (entry != nullptr) {
    arguments.erase(arguments.begin());
  }
  const CommandEntry& command = entry != nullptr ? *entry : command_table().front();
  if (auto other = refuse_other_meanings(command, arguments); !other) {
    return fail(wants_json(arguments), other.error());
  }
  return run_command(command, arguments);
}

}  // namespace paycurl
