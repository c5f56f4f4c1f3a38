#include "commands/trace.h"

#include <cerrno>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

#include "commands/audience.h"
#include "commands/output.h"
#include "src/base/bytes.h"
#include "src/base/clock.h"
#include "src/base/text.h"

namespace paycurl {
namespace {

std::string four_digits(std::size_t offset) {
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string digits;
  for (; offset != 0 || digits.size() < 4; offset >>= 4) {
    digits.insert(digits.begin(), kHex[offset & 15]);
  }
  return digits;
}

std::string_view heading(char kind) {
  switch (kind) {
    case '>':
      return "=> Send header";
    case '<':
      return "<= Recv header";
    case '}':
      return "=> Send data";
    default:
      return "<= Recv data";
  }
}

}  // namespace

std::string trace_time() {
  const std::string now = format_rfc3339(system_now());  // 2026-01-01T12:34:56.789Z
  return now.substr(11, now.size() - 12) + " ";
}

std::string dump_of(std::string_view bytes, bool hexadecimal) {
  const std::size_t width = hexadecimal ? 16 : 64;
  std::string text;
  for (std::size_t at = 0; at < bytes.size();) {
    std::string_view row = bytes.substr(at, width);
    text += four_digits(at) + ": ";
    at += row.size();
    if (hexadecimal) {
      for (std::size_t i = 0; i < width; ++i) {
        text += i < row.size() ? to_hex(as_bytes(row.substr(i, 1))) + " " : "   ";
      }
    } else if (const std::size_t end = row.find("\r\n"); end != std::string_view::npos) {
      at -= row.size() - end - 2;
      row = row.substr(0, end);
    }
    for (const char c : row) {
      text += c >= ' ' && c <= '~' ? c : '.';
    }
    text += '\n';
  }
  return text;
}

Result<Trace> Trace::open(const std::string& file, bool hexadecimal, bool with_time) {
  int fd = file == "-" ? ::dup(STDOUT_FILENO) : file == "%" ? ::dup(STDERR_FILENO) : -1;
  if (fd < 0) fd = ::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) {
    return http::transport_error(23, "writing " + printable(file) + ": " + std::strerror(errno));
  }
  return Trace(fd, hexadecimal, with_time);
}

Trace::Trace(Trace&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      hexadecimal_(other.hexadecimal_),
      with_time_(other.with_time_) {}

Trace::~Trace() {
  if (fd_ >= 0) ::close(fd_);
}

void Trace::write(char kind, std::string_view bytes) {
  const bool is_body = kind == '{' || kind == '}';
  const std::string shown = without_hidden(is_body ? std::string(bytes) : redacted(kind, bytes));
  std::string text = with_time_ ? trace_time() : "";
  if (kind == '*') {
    text += "== Info: " + shown + "\n";
  } else {
    text += std::string(heading(kind)) + ", " + std::to_string(shown.size()) + " bytes\n" +
            dump_of(shown, hexadecimal_);
  }
  (void)write_all(fd_, text);
}

}  // namespace paycurl
