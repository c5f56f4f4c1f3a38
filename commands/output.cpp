#include "commands/output.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <unistd.h>

#include "commands/turns.h"
#include "src/base/text.h"
#include "src/http/client.h"

namespace paycurl {
namespace {

/// Letters, not bytes: what a terminal counts (for the text we print, which has no wide letters).
std::size_t width_of(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  }));
}

std::vector<std::string>& hidden() {
  static std::vector<std::string> all;
  return all;
}

}  // namespace

Result<> write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t put = ::write(fd, bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) {
      return http::transport_error(23, "writing the output: " + std::string(std::strerror(errno)));
    }
    bytes.remove_prefix(static_cast<std::size_t>(put));
  }
  return {};
}

Result<> print(std::string_view text) {
  return write_all(STDOUT_FILENO, text);
}

Result<> print_json(const Json& json) {
  const std::string line = with_hidden_escaped(json.dump()) + "\n";
  const Turn turn(Turn::At::output);
  return print(line);
}

Result<> move_stderr(const std::string& file) {
  if (file.empty()) return {};
  int fd = STDOUT_FILENO;
  if (file != "-") fd = ::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0 || ::dup2(fd, STDERR_FILENO) < 0) {
    return http::transport_error(23, "writing " + printable(file) + ": " + std::strerror(errno));
  }
  if (fd != STDOUT_FILENO) ::close(fd);
  return {};
}

void hide_from_stderr(const std::string& secret) {
  hidden().push_back(secret);
}

std::string without_hidden(std::string text) {
  for (const std::string& secret : hidden()) {
    remove_all(text, secret);
  }
  return text;
}

void say(std::string_view line) {
  const std::string text = without_hidden(std::string(line)) + "\n";
  const Turn turn(Turn::At::output);
  (void)write_all(STDERR_FILENO, text);
}

void say_error(const Error& error) {
  const Turn turn(Turn::At::output);
  say("paycurl: error: " + error.message);
  if (!error.hint.empty()) say("paycurl: hint: " + error.hint);
}

void say_note(std::string_view sentence) {
  say("paycurl: note: " + printable(sentence, 400));
}

bool is_terminal(int fd) {
  return ::isatty(fd) == 1;
}

bool may_unlock(const Globals& globals) {
  const Settings& settings = globals.settings;
  return !settings.no_prompt && settings.has_display && is_terminal(STDIN_FILENO);
}

bool may_color(const Globals& globals) {
  if (globals.color == "always") return true;
  return globals.color == "auto" && !globals.settings.no_color && is_terminal(STDERR_FILENO);
}

std::string bold(const Globals& globals, std::string_view text) {
  return may_color(globals) ? "\033[1m" + std::string(text) + "\033[0m" : std::string(text);
}

int graver(int one, int other) {
  const auto gravity = [](int status) {
    if (status == 107) return 5;
    if (status == 108) return 4;
    if (status == 130 || status == 143) return 3;
    if (status >= 100) return 2;
    return status == 0 ? 0 : 1;
  };
  return gravity(other) > gravity(one) ? other : one;
}

std::string shortened(std::string_view hex) {
  const bool is_hex = hex.find_first_not_of("0123456789abcdef") == std::string_view::npos;
  const bool is_name = hex.starts_with("0x") || (is_hex && hex.size() > 40);
  if (hex.size() < 16 || !is_name) return printable(hex, 40);
  return std::string(hex.substr(0, 6)) + "…" + std::string(hex.substr(hex.size() - 4));
}

std::string table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) {
      widths[i] = std::max(widths[i], width_of(row[i]));
    }
  }
  std::string text;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      line += row[i];
      if (i + 1 < row.size()) line.append(widths[i] - width_of(row[i]) + 2, ' ');
    }
    text += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  }
  return text;
}

}  // namespace paycurl
