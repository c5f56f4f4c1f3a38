#include "commands/signals.h"

#include <algorithm>
#include <array>

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

namespace paycurl {
namespace {

volatile std::sig_atomic_t g_signal = 0;
std::array<int, 2> g_pipe{-1, -1};

extern "C" void on_signal(int number) {
  if (number == kInterruptWorker) number = SIGINT;
  if (g_signal != 0) ::_exit(number == SIGINT ? 130 : 143);
  g_signal = number;
  const char byte = 0;
  (void)!::write(g_pipe[1], &byte, 1);
}

}  // namespace

int watch_signals() {
  if (g_pipe[0] >= 0 || ::pipe2(g_pipe.data(), O_CLOEXEC | O_NONBLOCK) != 0) return g_pipe[0];
  struct sigaction action {};
  action.sa_handler = &on_signal;
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
  struct sigaction hangup {};
  ::sigaction(SIGHUP, nullptr, &hangup);
  if (hangup.sa_handler != SIG_IGN) ::sigaction(SIGHUP, &action, nullptr);  // not under nohup
  action.sa_handler = SIG_IGN;
  ::sigaction(SIGPIPE, &action, nullptr);
  return g_pipe[0];
}

void become_worker() {
  g_signal = 0;
  for (const int end : g_pipe) {
    if (end >= 0) ::close(end);
  }
  if (::pipe2(g_pipe.data(), O_CLOEXEC | O_NONBLOCK) != 0) g_pipe = {-1, -1};
  struct sigaction action {};
  action.sa_handler = SIG_IGN;
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGPIPE}) {
    ::sigaction(number, &action, nullptr);
  }
  action.sa_handler = &on_signal;
  for (const int number : {kInterruptWorker, kStopWorker}) {
    ::sigaction(number, &action, nullptr);
  }
}

std::optional<Kind> caught_signal() {
  if (g_signal == 0) return std::nullopt;
  return g_signal == SIGINT ? Kind::interrupted : Kind::terminated;
}

Result<> pause_for(std::chrono::milliseconds length) {
  const auto end = std::chrono::steady_clock::now() + length;
  while (!caught_signal()) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
    if (left.count() <= 0) return {};
    pollfd signals{watch_signals(), POLLIN, 0};
    const auto millis = std::min<std::chrono::milliseconds::rep>(left.count(), 3'600'000);
    ::poll(&signals, 1, static_cast<int>(millis));
  }
  return Error{*caught_signal(), "stopped by a signal"};
}

}  // namespace paycurl
