#include "src/http/auth_header.h"

#include <algorithm>
#include <optional>

#include "src/base/text.h"

namespace paycurl::http {
namespace {

bool is_token_char(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

bool is_control(char c) {
  return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f;
}

bool is_token68_char(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         std::string_view("-._~+/").find(c) != std::string_view::npos;
}

void append_utf8(std::string& out, std::uint32_t code) {
  const auto put = [&](std::uint32_t byte) { out += static_cast<char>(byte); };
  if (code < 0x80) return put(code);
  if (code < 0x800) {
    put(0xc0 | code >> 6);
  } else {
    if (code < 0x10000) {
      put(0xe0 | code >> 12);
    } else {
      put(0xf0 | code >> 18);
      put(0x80 | (code >> 12 & 0x3f));
    }
    put(0x80 | (code >> 6 & 0x3f));
  }
  put(0x80 | (code & 0x3f));
}

std::string to_utf8(std::string_view bytes) {
  if (valid_utf8(bytes) == bytes) return std::string(bytes);
  std::string text;
  for (const char c : bytes) {
    append_utf8(text, static_cast<unsigned char>(c));
  }
  return text;
}

class Parser {
 public:
  explicit Parser(std::string_view text) : rest_(text) {}

  std::vector<AuthChallenge> run() {
    while (true) {
      skip(" \t,");
      if (rest_.empty()) return std::move(challenges_);
      const std::string name = take_while(is_token_char);
      if (name.empty()) {
        recover("a character that no token has");
      } else if (!starts_value()) {
        start_challenge(name);
      } else {
        read_param(name);
      }
    }
  }

 private:
  void skip(std::string_view any_of) {
    rest_.remove_prefix(std::min(rest_.find_first_not_of(any_of), rest_.size()));
  }

  template <class Predicate>
  std::string take_while(Predicate wanted) {
    const auto end = std::find_if_not(rest_.begin(), rest_.end(), wanted);
    std::string taken(rest_.begin(), end);
    rest_.remove_prefix(taken.size());
    return taken;
  }

  /// Whether what follows a token makes it the name of a parameter.
  bool starts_value() const {
    const std::size_t next = rest_.find_first_not_of(" \t");
    return !challenges_.empty() && next != std::string_view::npos && rest_[next] == '=';
  }

  void spoil(const char* why) {
    if (challenges_.empty()) challenges_.emplace_back();
    if (challenges_.back().defect.empty()) challenges_.back().defect = why;
  }

  /// Gives the current challenge up and goes on behind the next comma.
  void recover(const char* why) {
    spoil(why);
    rest_.remove_prefix(std::min(rest_.find(','), rest_.size()));
  }

  void start_challenge(const std::string& scheme) {
    challenges_.push_back({lower(scheme), {}, {}, {}});
    if (!rest_.empty() && rest_.front() != ' ' && rest_.front() != '\t' && rest_.front() != ',') {
      return recover("a scheme that no space follows");
    }
    skip(" \t");
    const std::string_view before = rest_;
    std::string token68 = take_while(is_token68_char);
    token68 += take_while([](char c) { return c == '='; });
    const std::size_t end = rest_.find_first_not_of(" \t");
    // "Payment, Basic": a scheme without anything. "Bearer abc=": a token68. "Basic realm=x": a
    // list.
    if (!token68.empty() && (end == std::string_view::npos || rest_[end] == ',')) {
      challenges_.back().token68 = std::move(token68);
    } else {
      rest_ = before;
    }
  }

  void read_param(const std::string& name) {
    skip(" \t");
    rest_.remove_prefix(1);  // '='
    skip(" \t");
    std::optional<std::string> value;
    if (rest_.starts_with('"')) {
      value = take_quoted();
      if (!value) return;
    } else {
      value = take_while(is_token_char);
      if (value->empty()) return recover("a parameter without a value");
    }
    const std::size_t next = rest_.find_first_not_of(" \t");
    if (next != std::string_view::npos && rest_[next] != ',') {
      return recover("a parameter that no comma follows");
    }
    AuthChallenge& current = challenges_.back();
    if (current.find(lower(name)) != nullptr) return spoil("a parameter that stands twice");
    if (!current.token68.empty()) return spoil("a parameter behind a token");
    current.params.emplace_back(lower(name), *value);
  }

  /// Nothing behind a broken quote can be told apart.
  std::nullopt_t give_up(const char* why) {
    rest_.remove_prefix(rest_.size());
    spoil(why);
    return std::nullopt;
  }

  std::optional<std::string> take_quoted() {
    std::string value;
    std::string bytes;  // the run since the last escape, in whatever encoding it came
    std::size_t i = 1;
    for (; i < rest_.size() && rest_[i] != '"'; ++i) {
      const bool escaped = rest_[i] == '\\';
      if (escaped && ++i == rest_.size()) break;
      if (is_control(rest_[i])) return give_up("a control character");
      if (const auto code = escaped ? unicode_escape(i) : std::nullopt) {
        value += to_utf8(bytes);
        bytes.clear();
        append_utf8(value, *code);
      } else {
        bytes += rest_[i];
      }
    }
    if (i >= rest_.size()) return give_up("a quote that does not end");
    rest_.remove_prefix(i + 1);
    return value + to_utf8(bytes);
  }

  std::optional<std::uint32_t> hex4(std::size_t at) const {
    if (rest_.size() < at + 4) return std::nullopt;
    std::uint32_t value = 0;
    for (const char c : rest_.substr(at, 4)) {
      const std::size_t digit = std::string_view("0123456789abcdef").find(lower({&c, 1}));
      if (digit == std::string_view::npos) return std::nullopt;
      value = value << 4 | static_cast<std::uint32_t>(digit);
    }
    return value;
  }

  /// `i` stands behind a backslash; on success it is moved to the last character of the escape.
  /// Only letters that Latin-1 lacks are written so.
  std::optional<std::uint32_t> unicode_escape(std::size_t& i) const {
    if (rest_[i] != 'u') return std::nullopt;
    const auto first = hex4(i + 1);
    if (!first || *first < 0x100 || (*first >= 0xdc00 && *first <= 0xdfff)) return std::nullopt;
    if (*first < 0xd800 || *first > 0xdbff) {
      i += 4;
      return first;
    }
    const bool paired = rest_.substr(std::min(i + 5, rest_.size())).starts_with("\\u");
    const auto second = paired ? hex4(i + 7) : std::nullopt;
    if (!second || *second < 0xdc00 || *second > 0xdfff) return std::nullopt;
    i += 10;
    return 0x10000 + ((*first - 0xd800) << 10) + (*second - 0xdc00);
  }

  std::string_view rest_;
  std::vector<AuthChallenge> challenges_;
};

}  // namespace

const std::string* AuthChallenge::find(std::string_view name) const {
  const auto found = std::find_if(params.begin(), params.end(),
                                  [&](const auto& param) { return param.first == name; });
  return found == params.end() ? nullptr : &found->second;
}

std::vector<AuthChallenge> parse_auth_header(std::string_view field) {
  return Parser(field).run();
}

}  // namespace paycurl::http
