// SIGINT, SIGTERM and SIGHUP as something a loop can wait for. The second one ends the process at
// once.
#pragma once

#include <optional>

#include "src/base/error.h"

namespace paycurl {

/// Starts to watch. SIGPIPE is ignored: writes fail instead. Returns a descriptor that becomes
/// readable with the first signal.
int watch_signals();

/// Kind::interrupted or terminated once a signal came.
std::optional<Kind> caught_signal();

}  // namespace paycurl
