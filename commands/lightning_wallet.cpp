#include "commands/lightning_wallet.h"

#include <unistd.h>

#include "commands/output.h"
#include "commands/prompt.h"
#include "src/base/clock.h"
#include "src/base/text.h"
#include "src/methods/lightning/terms.h"

namespace paycurl {
namespace {

using lightning::Connection;

/// What the secret is good for.
std::string permits(const lightning::NodeInfo& info) {
  std::string text = info.can_pay ? "paying" : "no paying";
  if (info.can_look_up) text += ", looking up";
  if (info.can_invoice) text += ", invoices";
  if (!info.can_pay) return text;
  text += info.can_invoice ? ": charges and sessions" : ": charges only";
  if (!info.can_look_up) text += "; a payment in doubt cannot be looked up";
  return text;
}

}  // namespace

Asset satoshi_of(const std::string& network) {
  return lightning::satoshi(network.empty() ? "mainnet" : network);
}

Result<Secret> read_connection_text(const Settings& settings, std::optional<int> fd) {
  if (fd || !is_terminal(STDIN_FILENO)) return read_secret(fd.value_or(STDIN_FILENO));
  auto text = ask_password(settings, "The wallet's connection, lndconnect://... or another", false);
  if (!text && text.error().kind == Kind::account) {
    Error error = text.error();
    error.hint = "give it on standard input or with --wallet-fd N";
    return error;
  }
  return text;
}

Result<WalletReport> ask_wallet(const Secret& text, const lightning::ClientFor& client_for) {
  auto connection = lightning::read_connection(text.text());
  if (!connection) return connection.error();
  WalletReport report{connection->kind,
                      connection->name(),
                      {},
                      connection->network,
                      Error{Kind::backend, "the wallet was not asked"}};
  const auto node = lightning::make_node(std::move(*connection), client_for, &system_now);
  if (!node) return node.error();
  auto info = (*node)->info();
  if (!info) return info.error();
  report.info = std::move(*info);
  const std::string& told = report.info.network;
  if (!told.empty() && !report.network.empty() && told != report.network) {
    return Error{Kind::usage,
                 "the wallet is on " + printable(told, 40) +
                     ", and the connection says network=" + printable(report.network, 40)};
  }
  if (!told.empty()) report.network = told;
  const auto balance = (*node)->balance();
  if (balance) {
    report.balance = Money{*balance, satoshi_of(report.network)};
  } else {
    report.balance = balance.error();
  }
  return report;
}

std::vector<std::vector<std::string>> describe(const WalletReport& report) {
  const std::string alias = printable(report.info.name, 64);
  std::vector<std::vector<std::string>> rows{
      {"wallet",
       std::string(lightning::name_of(report.kind)) + (alias.empty() ? "" : ", " + alias)},
      {"network", report.network.empty() ? "not told, taken for mainnet; add network=... to the "
                                           "connection when it is another"
                                         : printable(report.network, 40)}};
  if (report.balance) {
    rows.push_back({"balance", paycurl::describe(*report.balance)});
  } else {
    rows.push_back({"balance", "not told: " + report.balance.error().message});
  }
  rows.push_back({"permits", permits(report.info)});
  const std::string command = lightning::least_privilege(report.kind);
  if (!command.empty()) rows.push_back({"no more", command});
  return rows;
}

std::string secret_word(const std::string& address) {
  const std::string kind = address.substr(0, address.find(':'));
  if (kind == lightning::name_of(Connection::Kind::lnd)) return "macaroon";
  if (kind == lightning::name_of(Connection::Kind::cln)) return "rune";
  if (kind == lightning::name_of(Connection::Kind::phoenixd)) return "password";
  if (kind == lightning::name_of(Connection::Kind::lnbits)) return "key";
  return "connection";
}

}  // namespace paycurl
