// Lightning wallets as the account commands meet them: given by a person, asked what they are.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "src/base/money.h"
#include "src/base/secret.h"
#include "src/methods/lightning/node.h"
#include "wallet/settings.h"

namespace paycurl {

/// What a wallet said of itself.
struct WalletReport {
  lightning::Connection::Kind kind = lightning::Connection::Kind::lnd;
  std::string address;  ///< Connection::name()
  lightning::NodeInfo info;
  std::string network;    ///< the wallet's word, else the connection's; empty when neither says
  Result<Money> balance;  ///< not every secret permits to see it
};

/// A satoshi on a network of Lightning; on the main one when `network` is empty.
Asset satoshi_of(const std::string& network);

/// The text of a connection from `fd`, else from standard input: asked for, without echo, when that
/// is a terminal.
Result<Secret> read_connection_text(const Settings& settings, std::optional<int> fd);

/// Asks the wallet behind `text`. Kind::backend when it is away, Kind::account when it refuses the
/// secret, Kind::usage when `text` is no connection or speaks of another network than the wallet.
Result<WalletReport> ask_wallet(const Secret& text, const lightning::ClientFor& client_for);

/// Lines for people: label and text.
std::vector<std::vector<std::string>> describe(const WalletReport& report);

/// The secret of the wallet `address` in its maker's word: "macaroon", "rune"...
std::string secret_word(const std::string& address);

}  // namespace paycurl
