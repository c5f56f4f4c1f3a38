// --once KEY: at most one payment for the key, ever.
#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "commands/audience.h"
#include "src/payment/flow.h"
#include "wallet/ledger.h"

namespace paycurl {

struct OnceParts {
  std::string key;
  std::string state_folder;  ///< of the spool
  std::chrono::milliseconds patience;
  /// The journal, nullptr when there is none yet.
  std::function<Result<Ledger*>()> journal;
  /// Makes the request and pays under the key.
  std::function<Outcome()> pay;
  /// Finishes the payment that has the key and is in doubt.
  std::function<Outcome(const Row&)> resume;
  Audience& audience;
  bool fail = false;  ///< -f: a kept answer of 400 and above is an error
};

/// What one use of a key came to.
struct OnceOutcome {
  Outcome outcome;
  bool again = false;  ///< printed from the spool: nothing was sent
};

/// Pays when no payment has the key; else hands over what that one brought, finishes it, or waits
/// for the process that is at it. Kind::outcome_unknown, reason "once", when it did not end in time
/// or was refused and can still settle; Kind::not_delivered, reason "not_kept", when its body is
/// gone.
OnceOutcome pay_once(const OnceParts& parts);

}  // namespace paycurl
