// Ending a session: with the payee's help, else without it.
#pragma once

#include <optional>
#include <string>

#include "commands/network.h"
#include "src/payment/escrow.h"
#include "wallet/spender.h"

namespace paycurl {

struct ClosePlan {
  bool force = false;     ///< when the payee does not help, request the close on the rail
  bool finalize = false;  ///< only take back what a requested close has freed
  std::chrono::milliseconds patience{30'000};  ///< with another process that is at the channel
  bool allow_http = false;
  bool unverified_tls = false;  ///< -k
  http::Deadlines deadlines;
  std::shared_ptr<const http::Reach> reach;  ///< as the requests of the session were made
};

struct Closed {
  Channel channel;                       ///< as it is now
  std::string status = "failed";         ///< closed, closing or failed
  std::string how;                       ///< cooperative, forced or already; empty when failed
  std::optional<Money> returned;         ///< to the payer
  std::optional<std::string> reference;  ///< of the transaction
  std::optional<Error> error;
};

/// Closes `channel`, and saves what came of it. Asks the payee first, who is told what was spent
/// and not what was signed; looks at the rail when that fails.
Closed close_channel(Channel channel, const ClosePlan& plan, const Network& network,
                     Spender& spender);

/// "closed 0x12ab...: 0.003 AlphaUSD were spent, 0.007 came back".
std::string describe(const Closed& closed);

/// The R object of `sessions close`.
Json closed_json(const Closed& closed);

/// "14 min 59 s" until a time; "now" when it has come.
std::string time_until(Millis time, Millis now);

}  // namespace paycurl
