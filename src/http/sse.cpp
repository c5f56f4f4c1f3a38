#include "src/http/sse.h"

#include <algorithm>
#include <utility>

namespace paycurl::http {

Result<> EventParser::feed(std::string_view bytes) {
  while (!bytes.empty()) {
    if (std::exchange(after_cr_, false) && bytes.front() == '\n') {
      event_.raw += '\n';
      bytes.remove_prefix(1);
      continue;
    }
    const auto is_end = [](char c) { return c == '\n' || c == '\r'; };
    const auto end =
        static_cast<std::size_t>(std::find_if(bytes.begin(), bytes.end(), is_end) - bytes.begin());
    if (event_.raw.size() + end >= kMaxEvent) {
      return Error{Kind::protocol, "the stream has an event of more than 1 MiB"};
    }
    line_ += bytes.substr(0, end);
    event_.raw += bytes.substr(0, end);
    bytes.remove_prefix(end);
    if (bytes.empty()) break;
    after_cr_ = bytes.front() == '\r';
    event_.raw += bytes.front();
    bytes.remove_prefix(1);
    if (auto done = end_line(); !done) return done;
  }
  return {};
}

Result<> EventParser::end_line() {
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
  if (std::exchange(is_first_line_, false) && line_.starts_with(kByteOrderMark)) {
    line_.erase(0, kByteOrderMark.size());
  }
  if (!line_.empty()) {
    read_field();
    line_.clear();
    return {};
  }
  ServerEvent whole = std::move(event_);
  event_ = {};
  event_.id = whole.id;
  if (whole.name.empty()) whole.name = "message";
  if (whole.has_data) whole.data.pop_back();  // the line end behind the last line
  return sink_(whole);
}

void EventParser::read_field() {
  const std::size_t colon = std::min(line_.find(':'), line_.size());
  const std::string_view name = std::string_view(line_).substr(0, colon);
  std::string_view value = std::string_view(line_).substr(std::min(colon + 1, line_.size()));
  if (value.starts_with(' ')) value.remove_prefix(1);
  if (name == "data") {
    event_.data.append(value).append("\n");
    event_.has_data = true;
  } else if (name == "event") {
    event_.name = value;
  } else if (name == "id" && value.find('\0') == std::string_view::npos) {
    event_.id = value;
  }
}

}  // namespace paycurl::http
