// The header fields of a request: the user's own lines, and those that options stand for, in the
// order in which curl sends them.
#include <algorithm>
#include <array>
#include <charconv>
#include <ctime>

#include <sys/stat.h>

#include "commands/request_options.h"
#include "src/base/text.h"
#include "src/http/client.h"

namespace paycurl {
namespace {

constexpr std::string_view kAutoReferer = ";auto";
constexpr std::uint64_t kMostFieldBytes = 1 << 20;

Result<std::string> short_text(const std::string& path) {
  http::Body file;
  if (auto read = file.append_file(path); !read) return read.error();
  auto text = file.text(kMostFieldBytes);
  if (!text) return text.error();
  if (!*text) return Error{Kind::usage, printable(path) + " is too long"};
  return std::move(**text);
}

Result<> add_user_fields(const RequestOptions& options, http::Request& request) {
  std::vector<std::string> lines;
  for (const std::string& given : options.headers) {
    if (!given.starts_with('@')) {
      lines.push_back(given);
      continue;
    }
    const auto text = short_text(given.substr(1));
    if (!text) return text.error();
    for (std::size_t at = 0; at < text->size();) {
      const std::size_t end = std::min(text->find('\n', at), text->size());
      std::string line{trimmed(std::string_view(*text).substr(at, end - at))};
      if (!line.empty()) lines.push_back(std::move(line));
      at = end + 1;
    }
  }
  for (const std::string& line : lines) {
    auto field = http::parse_header_line(line);
    if (!field) return field.error();
    if (field->removes) {
      request.removed_headers.push_back(field->field.name);
    } else {
      request.headers.add(field->field.name, field->field.value);
    }
  }
  return {};
}

/// A field that libcurl has a place for.
void add_own(http::Request& request, const std::string& name, const std::string& value) {
  if (request.headers.find(name) != nullptr) return;
  add_default(request, name, value);
  if (request.headers.find(name) != nullptr) request.headers.back().is_default = true;
}

/// "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110 section 5.6.7).
std::string http_date(std::int64_t seconds) {
  std::tm parts{};
  const std::time_t time = seconds;
  if (::gmtime_r(&time, &parts) == nullptr) return "";
  std::array<char, 40> text{};
  const std::size_t size =
      std::strftime(text.data(), text.size(), "%a, %d %b %Y %H:%M:%S GMT", &parts);
  return {text.data(), size};
}

void add_time_condition(const RequestOptions& options, http::Request& request) {
  const auto condition = time_condition_of(options);
  if (!condition) return;
  const char* name = condition->when == TimeCondition::When::newer   ? "If-Modified-Since"
                     : condition->when == TimeCondition::When::older ? "If-Unmodified-Since"
                                                                     : "Last-Modified";
  request.headers.add(name, http_date(condition->seconds), true);
}

/// The first line of --etag-compare's file; an empty one asks for what has no ETag.
Result<> add_etag(const RequestOptions& options, http::Request& request) {
  if (options.etag_compare.empty()) return {};
  const auto text = short_text(options.etag_compare);
  if (!text) return text.error();
  const std::string tag{trimmed(std::string_view(*text).substr(0, text->find('\n')))};
  auto field = http::parse_header_line("If-None-Match: " + (tag.empty() ? "\"\"" : tag));
  if (!field) return std::move(field).error().within("--etag-compare");
  request.headers.add(field->field.name, field->field.value);
  return {};
}

/// The user's own, of -u, a token or the URL.
void add_authorization(const RequestOptions& options, http::Request& request) {
  const std::string in_url = options.connection.netrc ? "" : request.url.userinfo;  // as in curl
  const std::string user = options.user.empty() ? in_url : options.user;
  if (!options.bearer.empty()) {
    add_own(request, "Authorization", "Bearer " + options.bearer);
  } else if (options.connection.digest) {
    request.user = user;
  } else if (!user.empty()) {
    const bool whole = user.find(':') != std::string::npos;
    add_own(request, "Authorization", "Basic " + to_base64(as_bytes(whole ? user : user + ":")));
  }
}

void add_cookies(const RequestOptions& options, http::Request& request) {
  std::string pairs;
  for (const std::string& given : options.cookies) {
    if (given.find('=') == std::string::npos) {
      request.cookies = true;
    } else {
      pairs += (pairs.empty() ? "" : ";") + given;
    }
  }
  request.cookies = request.cookies || !options.cookie_jar.empty();
  if (!pairs.empty()) add_own(request, "Cookie", pairs);
}

}  // namespace

void add_default(http::Request& request, const std::string& name, const std::string& value) {
  const bool removed =
      std::any_of(request.removed_headers.begin(), request.removed_headers.end(),
                  [&](const std::string& gone) { return equals_ignoring_case(gone, name); });
  if (!removed && request.headers.find(name) == nullptr) request.headers.add(name, value);
}

std::optional<TimeCondition> time_condition_of(const RequestOptions& options) {
  std::string text = options.time_condition;
  if (text.empty()) return std::nullopt;
  TimeCondition condition;
  if (text[0] == '-') condition.when = TimeCondition::When::older;
  if (text[0] == '=') condition.when = TimeCondition::When::none;
  if (text.find_first_of("+-=") == 0) text.erase(0, 1);
  struct stat file {};
  if (const auto date = http::parse_http_date(text)) {
    condition.seconds = *date;
  } else if (::stat(text.c_str(), &file) == 0) {
    condition.seconds = file.st_mtim.tv_sec;
  } else {
    return std::nullopt;
  }
  return condition;
}

Result<> add_fields(const RequestOptions& options, const PreparedBody& body,
                    PreparedRequest& prepared) {
  http::Request& request = prepared.request;
  http::Request timed;
  add_time_condition(options, timed);
  if (auto added = add_user_fields(options, request); !added) return added;
  for (const http::Header& field : timed.headers) {  // curl's own comes before all lines
    if (request.headers.find(field.name) == nullptr) request.headers.add_first(field);
  }
  if (auto added = add_etag(options, request); !added) return added;
  add_authorization(options, request);
  std::string referer = options.referer;
  prepared.redirects.sets_referer = referer.ends_with(kAutoReferer);
  if (prepared.redirects.sets_referer) referer.resize(referer.size() - kAutoReferer.size());
  if (!referer.empty()) add_own(request, "Referer", referer);
  add_cookies(options, request);
  if (body.content_type == "application/json") {  // as if they were the user's lines
    add_default(request, "Content-Type", body.content_type);
  } else if (body.form && request.headers.find("content-type") != nullptr) {
    const std::string own = *request.headers.find("content-type");
    const std::size_t boundary = body.content_type.find("; boundary=");
    request.headers.remove("content-type");
    request.headers.add("Content-Type", own + body.content_type.substr(boundary), true);
  } else if (!body.content_type.empty()) {
    add_own(request, "Content-Type", body.content_type);
  } else if (body.upload && request.headers.find("content-type") == nullptr) {
    request.removed_headers.emplace_back("Content-Type");
  }
  if (body.upload && body.body->size() > 0) add_own(request, "Expect", "100-continue");
  prepared.redirects.upload = body.upload;
  if (!body.accept.empty()) add_default(request, "Accept", body.accept);
  return {};
}

Result<std::uint64_t> add_range(const RequestOptions& options, const std::string& output,
                                http::Request& request) {
  std::string range = options.range;
  if (!range.empty() && range.find('-') == std::string::npos) range += '-';  // as in curl
  if (range.find_first_of("\r\n") != std::string::npos) {
    return Error{Kind::usage, "-r: not a range: " + printable(range, 40)};
  }
  std::uint64_t there = 0;
  struct stat file {};
  if (options.continue_at == "-") {
    const bool is_file = !output.empty() && output != "-" && ::stat(output.c_str(), &file) == 0;
    if (is_file) there = static_cast<std::uint64_t>(file.st_size);
  } else if (!options.continue_at.empty()) {
    const std::string& text = options.continue_at;
    std::from_chars(text.data(), text.data() + text.size(), there);
  }
  if (there > 0) range = std::to_string(there) + "-";
  if (!range.empty()) add_own(request, "Range", "bytes=" + range);
  return there;
}

}  // namespace paycurl
