// What went wrong, in a form that can be shown, scripted against and tested.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "src/base/money.h"

namespace paycurl {

/// Kinds of failure. The numeric value is the process exit status, so the list
/// is part of the command-line contract (EXIT STATUS in man/paycurl.1): append only.
/// The transport's failures exit with curl's own number instead (6 resolve, 7 connect,
/// 28 timeout, 60 TLS...), which Error::transport carries.
enum class Kind : int {
  internal = 1,  ///< a bug, or the machine failed us (disk, memory)
  usage = 2,     ///< the user can fix the command line or the settings
  transport = 3,
  http_status = 22,   ///< the server answered >= 400 and --fail was given
  rejected = 100,     ///< the server refused the payment it was given
  unsupported = 101,  ///< nothing that the server offers can be paid here
  declined = 102,     ///< the user or the spending policy said no
  insufficient_funds = 103,
  protocol = 104,         ///< the server's answer breaks the protocol
  account = 105,          ///< no such account, or its keychain cannot be opened
  session = 106,          ///< session state is busy, stale or inconsistent
  outcome_unknown = 107,  ///< money may have moved; see `paycurl payments resume`
  not_delivered = 108,    ///< paid, but what was paid for did not arrive whole
  backend = 109,          ///< a chain RPC, node or wallet is away; no money moved
  interrupted = 130,      ///< SIGINT
  terminated = 143,       ///< SIGTERM
};

/// A number that belongs to a failure: what was needed, what was there, what is allowed.
struct Figure {
  enum class Role { need, have, limit };
  Role role;
  Money money;
};

/// One failure. `message` is lower case, has no final period and never contains
/// a secret; `hint` says what to try next and may be empty.
struct Error {
  Kind kind;
  std::string message;
  std::string hint = {};
  std::string reason = {};           ///< a stable word for scripts: "max_spend", "unknown_token"
  int transport = 0;                 ///< libcurl's number, when kind is transport
  std::vector<Figure> figures = {};  ///< at most one of each role

  /// The process exit status. libcurl's numbers above 99 are 56, as 100 and up are ours.
  int exit_status() const {
    if (kind != Kind::transport) return static_cast<int>(kind);
    return transport >= 3 && transport <= 99 ? transport : 56;
  }

  /// Returns this error with `what` in front: "reading challenge: bad base64".
  Error within(std::string_view what) && {
    message.insert(0, std::string(what) + ": ");
    return std::move(*this);
  }
};

}  // namespace paycurl
