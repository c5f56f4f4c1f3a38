// From options to a request: URL, method and body, as curl would send them.
#include <algorithm>
#include <array>

#include "commands/request_options.h"
#include "src/base/text.h"
#include "src/http/multipart.h"

namespace paycurl {
namespace {

std::string url_encoded(std::string_view text, bool space_is_plus) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                       c == '-' || c == '.' || c == '_' || c == '~';
    if (plain) {
      out += c;
    } else if (c == ' ' && space_is_plus) {
      out += '+';
    } else {
      out += {'%', kHex[byte >> 4], kHex[byte & 15]};
    }
  }
  return out;
}

Result<std::string> file_text(const std::string& path) {
  http::Body file;
  if (auto read = file.append_file(path); !read) return read.error();
  auto text = file.text(UINT64_MAX);
  if (!text) return text.error();
  return std::move(**text);
}

/// --data-urlencode: "content", "=content", "name=content", "@file", "name@file".
Result<std::string> encoded_part(const std::string& value) {
  const std::size_t mark = value.find_first_of("=@");
  if (mark == std::string::npos) return url_encoded(value, true);
  const std::string name = value.substr(0, mark);
  std::string content = value.substr(mark + 1);
  if (value[mark] == '@') {
    auto text = file_text(content);
    if (!text) return text.error();
    content = std::move(*text);
  }
  return (name.empty() ? "" : name + "=") + url_encoded(content, true);
}

/// Appends one option's value; files of --data lose their line ends, as in curl.
Result<> append_part(http::Body& body, const BodyPart& part) {
  using Kind = BodyPart::Kind;
  if (part.kind == Kind::url_encoded) {
    auto text = encoded_part(part.value);
    if (!text) return text.error();
    body.append(std::move(*text));
    return {};
  }
  const bool names_file = part.kind != Kind::raw && part.value.starts_with('@');
  if (!names_file) {
    body.append(part.value);
    return {};
  }
  const std::string path = part.value.substr(1);
  if (part.kind != Kind::data) return body.append_file(path);
  auto text = file_text(path);
  if (!text) return text.error();
  std::erase_if(*text, [](char c) { return c == '\r' || c == '\n' || c == '\0'; });
  body.append(std::move(*text));
  return {};
}

Result<PreparedBody> form_body(const RequestOptions& options) {
  http::Multipart form;
  for (const BodyPart& part : options.body) {
    auto added =
        part.kind == BodyPart::Kind::form ? form.add(part.value) : form.add_string(part.value);
    if (!added) return added.error();
  }
  auto whole = form.finish();
  if (!whole) return whole.error();
  PreparedBody prepared;
  prepared.content_type = form.content_type();
  prepared.form = true;
  prepared.body = std::make_shared<const http::Body>(std::move(*whole));
  return prepared;
}

Result<> check_url_text(const std::string& url, bool globoff) {
  if (globoff) return {};
  // Brackets of an IPv6 host are before the path.
  const std::size_t scheme = url.find("://");
  const std::size_t host = scheme == std::string::npos ? 0 : scheme + 3;
  const std::size_t path = url.find_first_of("/?", host);
  if (path == std::string::npos || url.find_first_of("[]{}", path) == std::string::npos) return {};
  return Error{Kind::usage, "[ ] { } in a URL: paycurl does not make many requests out of one",
               "with -g they are sent as they are"};
}

/// --url-query; "+text" is taken as it is.
Result<std::string> url_query_of(const RequestOptions& options) {
  std::string query;
  for (const std::string& given : options.url_query) {
    auto part = given.starts_with('+') ? Result<std::string>(given.substr(1)) : encoded_part(given);
    if (!part) return part.error();
    query += (query.empty() ? "" : "&") + *part;
  }
  return query;
}

}  // namespace

Result<std::optional<PreparedBody>> prepare_upload(const RequestOptions& options,
                                                   std::size_t index) {
  if (index >= options.uploads.size()) return std::optional<PreparedBody>();
  const std::string& file = options.uploads[index];
  const bool is_stdin = file == "-" || file == ".";
  http::Body body;
  if (auto read = body.append_file(is_stdin ? "-" : file); !read) return read.error();
  PreparedBody prepared;
  prepared.body = std::make_shared<const http::Body>(std::move(body));
  prepared.upload = true;
  if (!is_stdin) prepared.upload_name = url_encoded(file.substr(file.rfind('/') + 1), false);
  return std::optional(std::move(prepared));
}

Result<PreparedBody> prepare_body(const RequestOptions& options) {
  if (options.body.empty()) return PreparedBody{};
  const BodyPart::Kind first = options.body.front().kind;
  if (first == BodyPart::Kind::form || first == BodyPart::Kind::form_string) {
    return form_body(options);
  }
  http::Body body;
  bool is_json = false;
  for (const BodyPart& part : options.body) {
    // curl joins --data with "&" and --json with nothing.
    if (part.kind != BodyPart::Kind::json && &part != &options.body.front()) body.append("&");
    if (auto added = append_part(body, part); !added) return added.error();
    is_json = is_json || part.kind == BodyPart::Kind::json;
  }
  PreparedBody prepared;
  if (options.get) {
    auto text = body.text(UINT64_MAX);
    if (!text) return text.error();
    prepared.query = std::move(**text);
    return prepared;
  }
  prepared.body = std::make_shared<const http::Body>(std::move(body));
  prepared.content_type = is_json ? "application/json" : "application/x-www-form-urlencoded";
  if (is_json) prepared.accept = "application/json";
  return prepared;
}

Result<http::Url> read_url(const RequestOptions& options, const std::string& text) {
  if (auto fine = check_url_text(text, options.globoff); !fine) return fine.error();
  const ConnectionOptions& connection = options.connection;
  auto url = http::parse_url(text, options.proto_default, connection.path_as_is);
  if (!url) return url.error();
  if (auto fine = check_scheme(*url, parse_schemes(connection.proto), "--proto"); !fine) {
    return fine.error();
  }
  return url;
}

Result<PreparedRequest> prepare_request(const RequestOptions& options, const std::string& text,
                                        const PreparedBody& body) {
  const ConnectionOptions& connection = options.connection;
  auto url = read_url(options, text);
  if (!url) return url.error();
  if (!body.upload_name.empty() && url->path.ends_with('/')) {
    url = http::with_file_name(*url, body.upload_name);
    if (!url) return url.error();
  }
  const auto query = url_query_of(options);
  if (!query) return query.error();
  if (!query->empty()) {
    url = http::with_query(*url, *query);
    if (!url) return url.error();
  }
  if (!body.query.empty()) {
    url = http::with_query(*url, body.query);
    if (!url) return url.error();
  }
  PreparedRequest prepared;
  http::Request& request = prepared.request;
  request.url = std::move(*url);
  prepared.file_name = http::file_name(request.url);
  if (auto added = add_fields(options, body, prepared); !added) return added.error();
  request.body = body.body;
  request.trace_body = true;
  request.method = body.upload ? "PUT" : request.body ? "POST" : options.head ? "HEAD" : "GET";
  if (!options.method.empty()) {
    prepared.redirects.keeps_method = true;
    request.method = options.method;
  }
  if (request.url.websocket && (request.body || request.method != "GET")) {
    return Error{Kind::usage, "a WebSocket is only received: it takes no body and no method"};
  }
  const bool has_user =
      !options.user.empty() || (!connection.netrc && !request.url.userinfo.empty());
  request.reach = reach_of(connection, has_user || !options.bearer.empty());
  if (request.url.websocket && request.reach && (request.reach->digest || request.reach->netrc)) {
    return Error{Kind::usage, "a WebSocket takes no --digest and no --netrc",
                 "use -u USER:PASSWORD"};
  }
  request.target = connection.request_target;
  request.bytes_per_second = parse_size(connection.limit_rate).value_or(0);
  apply(connection, prepared.redirects);
  request.deadlines = unpaid_deadlines_of(options);
  return prepared;
}

}  // namespace paycurl
