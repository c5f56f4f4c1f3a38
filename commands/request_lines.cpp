#include "commands/request_lines.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/json.h"
#include "src/base/text.h"
#include "src/http/client.h"

namespace paycurl {
namespace {

Error bad(std::string message, std::string hint = "") {
  return {Kind::usage, std::move(message), std::move(hint)};
}

/// A field as -H takes it: "Name: value", or "Name;" where there is no value.
Result<std::string> header_line(const std::string& name, const Json& value) {
  const std::string* text = value.string();
  if (!http::is_token(name)) return bad("not a header field's name: " + printable(name, 60));
  if (text == nullptr) return bad("the value of header " + name + " is no string");
  if (text->find_first_of(std::string_view("\r\n\0", 3)) != std::string::npos) {
    return bad("the value of header " + name + " has a line end in it");
  }
  return trimmed(*text).empty() ? name + ";" : name + ": " + *text;
}

Result<> read_headers(const Json& json, std::vector<std::string>& into) {
  const Json::Object* fields = json.members();
  if (fields == nullptr) return bad("\"headers\" is no object");
  for (const auto& [name, value] : *fields) {
    const Json::Array one{value};
    const Json::Array* values = value.items();
    for (const Json& each : values != nullptr ? *values : one) {
      auto line = header_line(name, each);
      if (!line) return line.error();
      into.push_back(std::move(*line));
    }
  }
  return {};
}

/// The end of the string that starts at `at` in valid JSON.
std::size_t end_of_string(std::string_view text, std::size_t at) {
  for (++at; text[at] != '"'; ++at) {
    if (text[at] == '\\') ++at;
  }
  return at + 1;
}

/// The member "json" of a valid object as it is written: numbers keep all their digits.
std::optional<std::string> json_as_written(std::string_view text) {
  std::size_t depth = 0, value = 0;
  std::string_view name;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (c == '"') {
      const std::size_t end = end_of_string(text, at);
      if (depth == 1 && value == 0) name = text.substr(at, end - at);
      at = end - 1;
    } else if (c == '{' || c == '[') {
      ++depth;
    } else if (c == ':' && depth == 1) {
      value = at + 1;
    } else if (depth == 1 && (c == ',' || c == '}')) {
      if (name == "\"json\"" && value != 0) {
        return std::string(trimmed(text.substr(value, at - value)));
      }
      value = 0;
    }
    if (c == '}' || c == ']') --depth;
  }
  return std::nullopt;
}

Result<> read_key(const std::string& name, const Json& value, RequestLine& into) {
  if (name == "headers") return read_headers(value, into.headers);
  if (name == "json" || name == "body") {
    if (into.body) return bad("\"body\" and \"json\" exclude each other");
    into.is_json = name == "json";
    if (!into.is_json && value.string() == nullptr) {
      return bad("\"body\" is no string", "an object is sent with \"json\"");
    }
    into.body = into.is_json ? value.dump() : *value.string();
    return {};
  }
  std::string* target = name == "url"      ? &into.url
                        : name == "method" ? &into.method
                        : name == "output" ? &into.output
                        : name == "once"   ? &into.once
                                           : nullptr;
  if (target == nullptr) {
    return bad("unknown key \"" + printable(name, 40) + "\"",
               "url, method, headers, body, json, output and once are known");
  }
  if (value.string() == nullptr || value.string()->empty()) {
    return bad("\"" + name + "\" is no text");
  }
  if (value.string()->find('\0') != std::string::npos) return bad("\"" + name + "\" has a NUL");
  *target = *value.string();
  if (name == "method" && !http::is_token(*target)) {
    return bad("not a request method: " + printable(*target, 40));
  }
  return name == "once" ? check_once_key(*target) : Result<>();
}

}  // namespace

Result<> check_once_key(std::string_view key) {
  const bool is_visible =
      std::all_of(key.begin(), key.end(), [](char c) { return c > ' ' && c < '\x7f'; });
  if (is_visible && !key.empty() && key.size() <= 255) return {};
  return bad("not a key for --once: " + printable(key, 60),
             "1 to 255 visible ASCII characters, without spaces");
}

Result<RequestLine> parse_request_line(std::string_view line) {
  line = trimmed(line);
  RequestLine request;
  if (!line.starts_with('{')) {
    request.url = line;
    if (line.find_first_of(" \t") != std::string_view::npos) {
      return bad("a URL with spaces in it: " + printable(line, 80),
                 "a line is one URL, or an object of JSON");
    }
    return request;
  }
  const auto json = Json::parse(line, LineReader::kMaxLine);
  if (!json) return bad(json.error().message);
  if (json->members() == nullptr) return bad("not an object");
  for (const auto& [name, value] : *json->members()) {
    if (auto read = read_key(name, value, request); !read) return read.error();
  }
  if (request.is_json) request.body = json_as_written(line).value_or(*request.body);
  if (request.url.empty()) return bad("an object without \"url\"");
  return request;
}

Result<LineReader> LineReader::open(const std::string& path) {
  const bool is_stdin = path == "-";
  const int fd = is_stdin ? ::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)
                          : ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  struct stat status {};
  if (fd < 0 || ::fstat(fd, &status) != 0 || S_ISDIR(status.st_mode)) {
    const int code = fd < 0 ? errno : EISDIR;
    if (fd >= 0) ::close(fd);
    return http::transport_error(26, "reading " + printable(path) + ": " + std::strerror(code));
  }
  return LineReader(fd, is_stdin ? "standard input" : path, S_ISREG(status.st_mode) && !is_stdin);
}

LineReader::LineReader(LineReader&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      name_(std::move(other.name_)),
      regular_(other.regular_),
      ended_(other.ended_),
      waiting_(std::move(other.waiting_)),
      at_(other.at_),
      number_(other.number_) {}

LineReader::~LineReader() {
  if (fd_ >= 0) ::close(fd_);
}

Result<> LineReader::rewind() {
  if (::lseek(fd_, 0, SEEK_SET) != 0) {
    return http::transport_error(26, "reading " + printable(name_) + ": " + std::strerror(errno));
  }
  ended_ = false;
  waiting_.clear();
  at_ = 0;
  number_ = 0;
  return {};
}

int LineReader::waits_for() const {
  const bool has_line = ended_ || waiting_.find('\n', at_) != std::string::npos;
  return regular_ || has_line ? -1 : fd_;
}

Result<std::optional<std::string>> LineReader::next_line() {
  for (std::size_t looked = at_;;) {
    const std::size_t end = waiting_.find('\n', looked);
    if (std::min(end, waiting_.size()) - at_ > kMaxLine) {
      return bad("line " + std::to_string(number_ + 1) + " of " + printable(name_) +
                 " is longer than 1 MiB");
    }
    if (end != std::string::npos || (ended_ && at_ < waiting_.size())) {
      std::string line = waiting_.substr(at_, end - at_);
      at_ = std::min(end, waiting_.size() - 1) + 1;
      ++number_;
      if (line.ends_with('\r')) line.pop_back();
      return std::optional(std::move(line));
    }
    if (ended_) return std::optional<std::string>();
    waiting_.erase(0, std::exchange(at_, 0));
    looked = waiting_.size();
    waiting_.resize(looked + 64UL * 1024);
    const ssize_t got = ::read(fd_, waiting_.data() + looked, waiting_.size() - looked);
    waiting_.resize(looked + static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    if (got < 0) {
      return errno == EINTR ? Error{Kind::interrupted, "stopped by a signal"}
                            : http::transport_error(
                                  26, "reading " + printable(name_) + ": " + std::strerror(errno));
    }
    ended_ = got == 0;
  }
}

Result<std::optional<LineReader::Line>> LineReader::next() {
  while (true) {
    auto line = next_line();
    if (!line) return line.error();
    if (!*line) return std::optional<Line>();
    const std::string_view text = trimmed(**line);
    if (text.empty() || text.starts_with('#')) continue;
    return std::optional(Line{number_, std::move(**line)});
  }
}

}  // namespace paycurl
