#include "src/http/message.h"

#include <algorithm>

#include "src/base/secret.h"
#include "src/base/text.h"
#include "src/http/reach.h"

namespace paycurl::http {
namespace {

/// "HTTP/1.1 402 Payment Required" starts a head and throws away what an informational one left.
bool read_status_line(Head& head, std::string_view line) {
  if (!line.starts_with("HTTP/")) return false;
  const std::size_t space = line.find(' ');
  if (space == std::string_view::npos || line.size() < space + 4) return false;
  head.version = line.substr(5, space - 5);
  head.status = 0;
  for (const char digit : line.substr(space + 1, 3)) {
    if (digit < '0' || digit > '9') return false;
    head.status = head.status * 10 + (digit - '0');
  }
  head.headers = {};
  return true;
}

}  // namespace

void Headers::replace(std::string_view name, std::string value) {
  remove(name);
  add(std::string(name), std::move(value));
}

void Headers::remove(std::string_view name) {
  std::erase_if(all_, [&](const Header& field) { return equals_ignoring_case(field.name, name); });
}

void Headers::remove_default(std::string_view name) {
  std::erase_if(all_, [&](const Header& field) {
    return field.is_default && equals_ignoring_case(field.name, name);
  });
}

const std::string* Headers::find(std::string_view name) const {
  const auto found = std::find_if(all_.begin(), all_.end(), [&](const Header& field) {
    return equals_ignoring_case(field.name, name);
  });
  return found == all_.end() ? nullptr : &found->value;
}

std::vector<std::string> Headers::values(std::string_view name) const {
  std::vector<std::string> found;
  for (const Header& field : all_) {
    if (equals_ignoring_case(field.name, name)) found.push_back(field.value);
  }
  return found;
}

void Headers::wipe() {
  for (Header& field : all_) {
    paycurl::wipe(field.value.data(), field.value.size());
  }
}

Result<HeaderLine> parse_header_line(std::string_view line) {
  using namespace std::string_view_literals;
  const Error bad{Kind::usage, "not a header field: " + printable(line, 60),
                  "write -H 'Name: value'"};
  if (line.find_first_of("\r\n\0"sv) != std::string_view::npos) return bad;
  const std::size_t end = line.find_first_of(":;");
  if (end == std::string_view::npos || end == 0) return bad;
  const std::string_view name = line.substr(0, end);
  const std::string_view value = trimmed(line.substr(end + 1));
  const bool semicolon = line[end] == ';';
  if (!is_token(name) || (semicolon && !value.empty())) return bad;
  HeaderLine read{{std::string(name), std::string(value)}};
  read.removes = !semicolon && value.empty();
  return read;
}

bool Request::to_local_socket() const {
  return reach && !reach->unix_socket.empty();
}

bool Head::is_event_stream() const {
  const std::string* type = headers.find("content-type");
  return type != nullptr && lower(*type).starts_with("text/event-stream");
}

bool is_token(std::string_view text) {
  constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::all_of(text.begin(), text.end(), [&](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           kMarks.find(c) != std::string_view::npos;
  });
}

bool Head::is_redirect() const {
  const bool moves =
      status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
  const std::string* location = headers.find("location");
  return moves && location != nullptr && !location->empty();
}

bool add_head_line(Head& head, std::string_view line) {
  head.raw += line;
  if (read_status_line(head, line)) return false;
  const std::string_view content = trimmed(line);
  if (content.empty()) return head.status >= 200 || head.status == 101;
  const std::size_t colon = line.find(':');
  const bool folded = line.front() == ' ' || line.front() == '\t';
  if (folded && !head.headers.empty()) {
    head.headers.back().value += " " + std::string(content);
  } else if (colon != std::string_view::npos) {
    head.headers.add(std::string(trimmed(line.substr(0, colon))),
                     std::string(trimmed(line.substr(colon + 1))));
  }
  return false;
}

}  // namespace paycurl::http
