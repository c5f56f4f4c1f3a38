#include "commands/given.h"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <unistd.h>

#include "commands/output.h"
#include "src/base/text.h"

namespace paycurl {
namespace {

constexpr std::size_t kMaxText = 256UL * 1024;

Result<std::string> read_all(int fd, const std::string& name) {
  std::string text;
  std::string piece(64UL * 1024, '\0');
  while (true) {
    const ssize_t got = ::read(fd, piece.data(), piece.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      return Error{Kind::usage, "reading " + printable(name) + ": " + std::strerror(errno)};
    }
    if (got == 0) return text;
    text.append(piece, 0, static_cast<std::size_t>(got));
    if (text.size() > kMaxText) return text;
  }
}

Result<std::string> read_source(const std::string& argument) {
  if (argument.empty() && is_terminal(STDIN_FILENO)) {
    return Error{Kind::usage, "nothing to read", "give it as an argument, as @FILE, or on stdin"};
  }
  if (argument.empty() || argument == "-") return read_all(STDIN_FILENO, "stdin");
  if (!argument.starts_with('@')) return argument;
  const std::string file = argument.substr(1);
  const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    return Error{Kind::usage, "reading " + printable(file) + ": " + std::strerror(errno)};
  }
  auto text = read_all(fd, file);
  ::close(fd);
  return text;
}

/// The next line with its end, taken off the front of `rest`.
std::string_view take_line(std::string_view& rest) {
  const std::size_t end = rest.find('\n');
  const std::string_view line = rest.substr(0, end == std::string_view::npos ? end : end + 1);
  rest.remove_prefix(line.size());
  return line;
}

bool is_field(std::string_view line) {
  const std::size_t colon = line.find(':');
  return colon != std::string_view::npos && http::is_token(line.substr(0, colon));
}

/// "GET /path HTTP/1.1".
bool is_request_line(std::string_view line) {
  const std::size_t version = line.rfind(" HTTP/");
  return version != std::string_view::npos && http::is_token(line.substr(0, line.find(' ')));
}

http::Head last_head(std::string_view text) {
  http::Head head;
  while (!text.empty()) {
    const bool ends = http::add_head_line(head, take_line(text));
    if (ends && !text.starts_with("HTTP/")) break;
  }
  return head;
}

}  // namespace

Result<std::string> read_given(const std::string& argument) {
  auto text = read_source(argument);
  if (!text) return text;
  if (text->size() > kMaxText) {
    return Error{Kind::usage, "it is longer than 256 KiB", "give only the head of the answer"};
  }
  std::string whole(trimmed(*text));
  if (whole.empty()) return Error{Kind::usage, "there is nothing in it"};
  return whole;
}

bool has_field_names(std::string_view text) {
  const std::string_view line = text.substr(0, text.find('\n'));
  return text.starts_with("HTTP/") || is_field(line) || is_request_line(line);
}

http::Head given_head(const std::string& text, const std::string& bare_name) {
  if (text.starts_with("HTTP/")) return last_head(text);
  const bool named = has_field_names(text);
  http::Head head;
  head.status = 402;
  for (std::string_view rest = text; !rest.empty();) {
    const std::string_view line = take_line(rest);
    const std::string_view content = trimmed(line);
    if (content.empty() && named) break;
    if (content.empty()) continue;
    const bool folded = line.front() == ' ' || line.front() == '\t';
    if (folded && !head.headers.empty()) {
      head.headers.back().value += " " + std::string(content);
    } else if (!named) {
      head.headers.add(bare_name, std::string(content));
    } else if (is_field(line)) {
      const std::size_t colon = line.find(':');
      head.headers.add(std::string(line.substr(0, colon)),
                       std::string(trimmed(line.substr(colon + 1))));
    }
  }
  return head;
}

}  // namespace paycurl
