// SIGINT, SIGTERM and SIGHUP as something a loop can wait for. The second one ends the process at
// once.
#pragma once

#include <chrono>
#include <csignal>
#include <optional>

#include "src/base/result.h"

namespace paycurl {

/// Starts to watch. SIGPIPE is ignored: writes fail instead. Returns a descriptor that becomes
/// readable with the first signal.
int watch_signals();

/// Waits that long, or until a signal comes: Kind::interrupted or terminated.
Result<> pause_for(std::chrono::milliseconds length);

/// Kind::interrupted or terminated once a signal came.
std::optional<Kind> caught_signal();

/// What a worker of -Z is told to stop with. The terminal's own signals reach it and its parent at
/// the same time, and two of them would end it at once: it heeds only these.
constexpr int kInterruptWorker = SIGUSR1;
constexpr int kStopWorker = SIGUSR2;

/// In a new worker: watches for those, on a pipe of its own.
void become_worker();

}  // namespace paycurl
