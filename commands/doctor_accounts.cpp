// What paycurl doctor says of the accounts.
#include <algorithm>
#include <filesystem>

#include "commands/doctor.h"
#include "src/base/text.h"
#include "src/methods/lightning/node.h"
#include "wallet/key_file.h"

namespace paycurl {
namespace {

using Status = Check::Status;

Check failure(const std::string& id, const Error& error) {
  if (error.reason == "locked") {
    return {id, Status::warn, error.message, "unlock it on the desktop before something is paid"};
  }
  return {id, Status::fail, error.message, error.hint, error.kind};
}

std::string described(const Account& account) {
  return account.method + ", " + account.source +
         (account.address.empty() ? "" : ", " + account.address) +
         (account.is_default ? ", the default" : "");
}

/// Whether the key is the account's. It is thrown away at once.
Check key_check(const DoctorParts& parts, Accounts& accounts, const Account& account) {
  const std::string id = "account." + account.name;
  const bool by_variable =
      account.source == "env" && (account.name == "PAYCURL_PRIVATE_KEY" ||
                                  account.name == "MPPX_PRIVATE_KEY");  // read when it was listed
  if (account.source == "file") {
    const auto path = parts.globals.settings.data_folder + "/keys/" + account.name + ".json";
    const auto file = read_key_file(path);
    if (!file) return failure(id, file.error());
    return {id, Status::ok, described(account) + "; its file is whole, a password opens it"};
  }
  if (!by_variable) {
    if (const auto key = accounts.open({account}); !key) return failure(id, key.error());
  }
  return {id, Status::ok, described(account) + "; its key opens"};
}

/// What `account` has on the networks that may be paid on.
Check balance_check(const DoctorParts& parts, const Account& account) {
  const std::string id = "balance." + account.name;
  if (parts.options.offline) return {id, Status::skip, "not asked"};
  for (Method* method : parts.network.method_list()) {
    if (method->name() != account.method) continue;
    const auto held = method->balances(account.address, *parts.network.client);
    if (!held) return {id, Status::skip, "not known: " + held.error().message};
    std::string text;
    for (const Money& money : *held) {
      if (!money.amount.is_zero()) {
        text += (text.empty() ? "" : ", ") + describe(money) + " (" + money.asset.network + ")";
      }
    }
    if (!text.empty()) return {id, Status::ok, text};
  }
  return {id, Status::warn, "it has nothing to pay with",
          "send it a dollar token; on a test network: paycurl account fund " + account.name};
}

/// Whether the wallet answers and may pay.
Check wallet_check(const DoctorParts& parts, Accounts& accounts, const Account& account) {
  const std::string id = "account." + account.name;
  std::error_code failed;
  const std::filesystem::path folder(parts.globals.settings.data_folder + "/keys");
  const std::string purpose(name_of(SecretPurpose::lightning_wallet));
  if (std::filesystem::exists(folder / (account.name + "." + purpose), failed)) {
    return {id, Status::skip,
            described(account) + "; a password opens its file, so the wallet was not asked"};
  }
  auto chosen = account.source == "env" ? accounts.choose({}, "lightning")
                                        : Result<ChosenAccount>(ChosenAccount{account});
  auto text = chosen ? accounts.connection(std::move(*chosen)) : Result<Secret>(chosen.error());
  if (text && !account.address.empty()) {
    text = checked_connection(std::move(*text), account.address);
  }
  if (!text) return failure(id, text.error());
  auto connection = lightning::read_connection(text->text());
  if (!connection) {
    return {id, Status::fail, connection.error().message, connection.error().hint, Kind::account};
  }
  connection->longest_wait = kDoctorPatience;
  if (parts.options.offline) {
    return {id, Status::ok, described(account) + "; its connection is there, and was not used"};
  }
  const auto node =
      lightning::make_node(std::move(*connection), client_for(parts.globals), &system_now);
  const auto info = node ? (*node)->info() : Result<lightning::NodeInfo>(node.error());
  if (!info) return failure(id, info.error());
  if (!info->can_pay) {
    return {id, Status::warn, described(account) + "; its secret does not permit payments",
            "connect it again with one that does: paycurl account connect"};
  }
  return {id, Status::ok, described(account) + "; the wallet answers and may pay"};
}

}  // namespace

std::vector<Check> check_accounts(const DoctorParts& parts) {
  const auto accounts = parts.wallet.accounts(false);
  if (!accounts) return {};  // the journal's failure
  std::string note;
  const auto all = (*accounts)->list(note);
  if (!all) return {failure("accounts", all.error())};
  std::vector<Check> checks;
  const std::string& only = parts.options.account;
  for (const Account& account : *all) {
    if (!only.empty() && account.name != only) continue;
    checks.push_back(account.is_wallet() ? wallet_check(parts, **accounts, account)
                                         : key_check(parts, **accounts, account));
    if (!account.is_wallet() && !account.address.empty()) {
      checks.push_back(balance_check(parts, account));
    }
  }
  for (const char* method : {"tempo", "lightning"}) {
    const auto is_of = [&](const Account& account) { return account.method == method; };
    const auto pays = [&](const Account& account) {
      return is_of(account) && (account.is_default || account.source == "env");
    };
    if (!only.empty() || std::none_of(all->begin(), all->end(), is_of) ||
        std::any_of(all->begin(), all->end(), pays)) {
      continue;
    }
    checks.push_back({"accounts", Status::warn,
                      "none of " + std::string(method) + " is the default",
                      "choose one with: paycurl account default NAME"});
  }
  if (!checks.empty()) return checks;
  if (!only.empty()) {
    return {{"account." + only, Status::fail, "there is no account of that name",
             "see paycurl account list", Kind::account}};
  }
  return {{"accounts", Status::warn, "there is none, so nothing can be paid",
           "make one with paycurl account create, or connect a Lightning wallet with paycurl "
           "account connect"}};
}

}  // namespace paycurl
