#include "commands/prompt.h"

#include <cerrno>

#include <fcntl.h>
#include <poll.h>
#include <termios.h>
#include <unistd.h>

#include "commands/output.h"
#include "commands/signals.h"
#include "src/base/text.h"

namespace paycurl {
namespace {

class Terminal {
 public:
  Terminal() : fd_(::open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY)) {}
  ~Terminal() {
    if (fd_ < 0) return;
    echo(true);
    ::close(fd_);
  }
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  bool is_open() const { return fd_ >= 0; }
  void write(std::string_view text) const { (void)write_all(fd_, text); }

  void echo(bool on) {
    termios modes{};
    if (on == echoes_ || ::tcgetattr(fd_, &modes) != 0) return;
    if (on) {
      modes.c_lflag |= static_cast<tcflag_t>(ECHO);
    } else {
      modes.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    }
    if (::tcsetattr(fd_, TCSAFLUSH, &modes) == 0) echoes_ = on;
  }

  /// A line without its end, straight into locked memory. A signal ends it, so that the terminal
  /// gets its echo back.
  Result<Secret> read_line() const {
    Secret line;
    std::size_t size = 0;
    while (size < Secret::kCapacity) {
      pollfd ready[]{{fd_, POLLIN, 0}, {signals_, POLLIN, 0}};
      (void)::poll(ready, 2, -1);
      if (const auto signal = caught_signal()) return Error{*signal, "stopped while asking"};
      if (ready[0].revents == 0) continue;
      const ssize_t got = ::read(fd_, line.buffer().data() + size, 1);
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0 && is_hung_up()) {  // its signal may still be on the way
        return Error{Kind::terminated, "the terminal was closed while asking"};
      }
      if (got <= 0 || line.buffer()[size] == '\n') break;
      ++size;
    }
    line.resize(size);
    return line;
  }

 private:
  bool is_hung_up() const {
    pollfd now{fd_, POLLIN, 0};
    return ::poll(&now, 1, 0) == 1 && (now.revents & (POLLHUP | POLLERR)) != 0;
  }

  int fd_;
  int signals_ = watch_signals();
  bool echoes_ = true;
};

Error nobody(std::string_view question) {
  return {Kind::usage, "there is no terminal to ask at: " + std::string(question),
          "say it with an option: --yes where it is a yes or no"};
}

}  // namespace

bool can_ask(const Settings& settings) {
  return !settings.no_prompt && Terminal().is_open();
}

Result<std::string> ask_line(const Settings& settings, std::string_view question) {
  const Terminal terminal;
  if (settings.no_prompt || !terminal.is_open()) return nobody(question);
  terminal.write(std::string(question) + " ");
  const auto line = terminal.read_line();
  if (!line) return line.error();
  return std::string(trimmed(line->text()));
}

Result<bool> ask_yes(const Settings& settings, std::string_view question) {
  if (!can_ask(settings)) return nobody(question);
  const auto answer = ask_line(settings, std::string(question) + " [y/N]");
  if (!answer) return answer.error();
  const std::string word = lower(*answer);
  return word == "y" || word == "yes";
}

Result<Secret> ask_password(const Settings& settings, std::string_view question, bool twice) {
  Terminal terminal;
  if (settings.no_prompt || !terminal.is_open()) {
    Error error = nobody(question);
    error.kind = Kind::account;
    error.hint = "give the password with --password-fd N or --password-file FILE";
    return error;
  }
  terminal.echo(false);
  terminal.write(std::string(question) + ": ");
  auto first = terminal.read_line();
  terminal.write("\n");
  if (!first || !twice) return first;
  if (first->empty()) return Error{Kind::account, "the password is empty"};
  terminal.write("Again: ");
  const auto second = terminal.read_line();
  terminal.write("\n");
  if (!second) return second.error();
  if (second->text() != first->text()) return Error{Kind::account, "the two passwords differ"};
  return first;
}

}  // namespace paycurl
