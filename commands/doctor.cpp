// paycurl doctor: is everything there that paying needs, and what to do where it is not.
#include "commands/doctor.h"

#include <algorithm>
#include <array>

#include "commands/json.h"
#include "commands/options.h"
#include "commands/output.h"
#include "src/base/text.h"

namespace paycurl {
namespace {

/// What is said with the exit status when several things fail: the first of these.
constexpr std::array<Kind, 4> kGravest{Kind::account, Kind::internal, Kind::backend, Kind::usage};

class DoctorCommand : public Command {
 public:
  void declare(OptionSet& set) override {
    set.in("Doctor")
        .value("-a,--account", options_.account, "NAME", "of the accounts look at this one alone")
        .value("--network", options_.network, "NAME", "mainnet, testnet or a chain id")
        .value("--rpc-url", options_.rpc_url, "URL", "the chain's node to ask")
        .flag("--offline", options_.offline, "ask no node, no wallet and no server");
  }

  Result<int> run(const Globals& globals) override;

 private:
  RequestOptions options_;
};

/// One error for all that fails.
std::optional<Error> verdict_of(const std::vector<Check>& checks) {
  const auto fails = [](const Check& check) { return check.status == Check::Status::fail; };
  std::string ids;
  for (const Check& check : checks) {
    if (fails(check)) ids += (ids.empty() ? "" : ", ") + printable(check.id, 80);
  }
  for (const Kind kind : kGravest) {
    const auto found = std::find_if(checks.begin(), checks.end(), [&](const Check& check) {
      return fails(check) && check.kind == kind;
    });
    if (found == checks.end()) continue;
    return Error{kind, "what fails: " + ids, found->hint, found->id.substr(0, found->id.find('.'))};
  }
  return std::nullopt;
}

std::string text_of(const std::vector<Check>& checks) {
  std::vector<std::vector<std::string>> rows;
  for (const Check& check : checks) {
    rows.push_back({std::string(name_of(check.status)), printable(check.id, 80),
                    printable(check.message, 1000)});
    if (!check.hint.empty()) rows.push_back({"", "", "-> " + printable(check.hint, 1000)});
  }
  return table(rows);
}

Json json_of(const std::vector<Check>& checks, const std::optional<Error>& error) {
  Json list = Json::array();
  for (const Check& check : checks) {
    list.push(Json::object({{"id", valid_utf8(check.id)},
                            {"status", name_of(check.status)},
                            {"message", valid_utf8(check.message)},
                            {"hint", check.hint.empty() ? Json() : Json(valid_utf8(check.hint))}}));
  }
  Json json = envelope();
  json.set("checks", std::move(list)).set("error", error ? error_json(*error) : Json());
  return json;
}

Result<int> DoctorCommand::run(const Globals& globals) {
  Globals unattended = globals;  // looking must not open a dialog
  unattended.settings.no_prompt = true;
  // A file that cannot be read is a check of its own.
  if (auto config = read_config(unattended.settings.config_paths)) {
    use_config(unattended.settings, std::move(*config), !unattended.no_config);
  }
  auto network = make_network(unattended, options_);
  if (!network) return network.error();
  Wallet wallet(unattended, {});
  const DoctorParts parts{unattended, options_, wallet, *network};
  std::vector<Check> checks;
  for (const auto look : {&check_configuration, &check_state, &check_keychain, &check_accounts,
                          &check_tls, &check_proxy, &check_chains}) {
    for (Check& check : look(parts)) {
      checks.push_back(std::move(check));
    }
  }
  const auto error = verdict_of(checks);
  if (globals.json) {
    if (auto printed = print_json(json_of(checks, error)); !printed) return printed.error();
  } else if (auto printed = print(text_of(checks)); !printed) {
    return printed.error();
  }
  if (!error) return 0;
  say_error(*error);
  return error->exit_status();
}

}  // namespace

std::string_view name_of(Check::Status status) {
  constexpr std::array<std::string_view, 4> kNames{"ok", "warn", "fail", "skip"};
  return kNames[static_cast<std::size_t>(status)];
}

std::unique_ptr<Command> make_doctor() {
  return std::make_unique<DoctorCommand>();
}

}  // namespace paycurl
