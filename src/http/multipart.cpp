#include "src/http/multipart.h"

#include <array>
#include <optional>

#include "src/base/text.h"
#include "src/crypto/random.h"

namespace paycurl::http {
namespace {

constexpr std::array<std::pair<std::string_view, std::string_view>, 10> kTypes{{
    {".gif", "image/gif"},
    {".jpg", "image/jpeg"},
    {".jpeg", "image/jpeg"},
    {".png", "image/png"},
    {".svg", "image/svg+xml"},
    {".txt", "text/plain"},
    {".htm", "text/html"},
    {".html", "text/html"},
    {".pdf", "application/pdf"},
    {".xml", "application/xml"},
}};

std::string type_of(const std::string& file) {
  for (const auto& [ending, type] : kTypes) {
    if (lower(file).ends_with(ending)) return std::string(type);
  }
  return "application/octet-stream";
}

/// Quotes and line ends as HTML 5 and curl write them.
std::string quoted(const std::string& text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '"':
        out += "%22";
        break;
      case '\r':
        out += "%0D";
        break;
      case '\n':
        out += "%0A";
        break;
      default:
        out += c;
    }
  }
  return '"' + out + '"';
}

struct Options {
  std::optional<std::string> type, file_name;
};

/// Without the backslashes in front of quotes and backslashes.
std::string unescaped(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool escapes =
        text[i] == '\\' && i + 1 < text.size() && (text[i + 1] == '"' || text[i + 1] == '\\');
    plain += text[escapes ? ++i : i];
  }
  return plain;
}

/// Takes ";type=...;filename=..." off the end of `value`. A value in quotes may hold semicolons.
Result<Options> take_options(std::string& value) {
  Options options;
  std::string content;
  std::size_t at = 0;
  if (value.starts_with('"')) {
    for (at = 1; at < value.size() && value[at] != '"'; ++at) {
      if (value[at] == '\\' && at + 1 < value.size()) ++at;
      content += value[at];
    }
    at = std::min(at + 1, value.size());
  } else {
    at = std::min(value.find(';'), value.size());
    content = value.substr(0, at);
  }
  std::string_view rest = std::string_view(value).substr(at);
  while (!rest.empty()) {
    rest.remove_prefix(1);  // ';'
    std::string_view option = trimmed(rest.substr(0, rest.find(';')));
    rest.remove_prefix(std::min(rest.find(';'), rest.size()));
    if (option.starts_with("type=")) {
      options.type = std::string(option.substr(5));
    } else if (option.starts_with("filename=")) {
      option.remove_prefix(9);
      const bool in_quotes = option.size() > 1 && option.starts_with('"') && option.ends_with('"');
      options.file_name =
          in_quotes ? unescaped(option.substr(1, option.size() - 2)) : std::string(option);
    } else {
      return Error{Kind::usage, "not an option of a form field: " + printable(option, 40),
                   "type= and filename= are"};
    }
  }
  value = std::move(content);
  return options;
}

Error no_form(const std::string& field) {
  return {Kind::usage, "not a form field: " + printable(field, 60), "write -F name=content"};
}

}  // namespace

Multipart::Multipart() : boundary_("------------------------" + to_hex(random_array<8>())) {}

void Multipart::start_part(const std::string& name, const std::string& file_name,
                           const std::string& type) {
  std::string head = "--" + boundary_ + "\r\nContent-Disposition: form-data; name=" + quoted(name);
  if (!file_name.empty()) head += "; filename=" + quoted(file_name);
  if (!type.empty()) head += "\r\nContent-Type: " + type;
  body_.append(head + "\r\n\r\n");
}

Result<> Multipart::add_string(const std::string& field) {
  const std::size_t equals = field.find('=');
  if (equals == std::string::npos) return no_form(field);
  start_part(field.substr(0, equals), "", "");
  body_.append(field.substr(equals + 1) + "\r\n");
  return {};
}

Result<> Multipart::add(const std::string& field) {
  const std::size_t equals = field.find('=');
  if (equals == std::string::npos) return no_form(field);
  const std::string name = field.substr(0, equals);
  std::string value = field.substr(equals + 1);
  const char mark = value.empty() ? '\0' : value.front();
  const bool is_file = mark == '@' || mark == '<';
  if (is_file) value.erase(0, 1);
  auto options = take_options(value);
  if (!options) return options.error();
  if (!is_file) {
    start_part(name, options->file_name.value_or(""), options->type.value_or(""));
    body_.append(value + "\r\n");
    return {};
  }
  const std::string base = value.substr(value.rfind('/') + 1);
  const std::string file_name = mark == '@' ? options->file_name.value_or(base) : "";
  const std::string type =
      options->type.value_or(mark == '@' && value != "-" ? type_of(value) : "");
  start_part(name, file_name, type);
  if (auto read = body_.append_file(value); !read) return read;
  body_.append("\r\n");
  return {};
}

Result<Body> Multipart::finish() {
  body_.append("--" + boundary_ + "--\r\n");
  Body content = body_;
  content.replace(boundary_, "");
  const auto digest = content.sha256();
  if (!digest) return digest.error();
  const std::string own(boundary_.find_last_of('-') + 1, '-');
  const std::string made = own + to_hex(ByteView(*digest).first(8));
  body_.replace(boundary_, made);
  boundary_ = made;
  return std::move(body_);
}

}  // namespace paycurl::http
