#include "src/base/text.h"

#include <algorithm>
#include <array>

namespace paycurl {
namespace {

struct Range {
  std::uint32_t first;
  std::uint32_t last;
};

// Format characters (Unicode category Cf and friends) that change how a line looks without being
// seen.
constexpr std::array<Range, 14> kHidden{{{0x00, 0x1f},
                                         {0x7f, 0x9f},
                                         {0xad, 0xad},
                                         {0x34f, 0x34f},
                                         {0x61c, 0x61c},
                                         {0x115f, 0x1160},
                                         {0x17b4, 0x17b5},
                                         {0x180b, 0x180f},
                                         {0x200b, 0x200f},
                                         {0x2028, 0x202e},
                                         {0x2060, 0x206f},
                                         {0xfe00, 0xfe0f},
                                         {0xfeff, 0xfeff},
                                         {0xe0000, 0xe0fff}}};

bool is_hidden(std::uint32_t code) {
  return std::any_of(kHidden.begin(), kHidden.end(),
                     [&](Range range) { return code >= range.first && code <= range.last; });
}

struct Letter {
  std::uint32_t code;
  std::size_t size;  ///< bytes taken; 0 when they are not UTF-8
};

Letter first_letter(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const std::uint8_t lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  const std::size_t size = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < size) return {0, 0};
  std::uint32_t code = lead & (0x7fU >> size);
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return {0, 0};
    code = code << 6 | (byte(i) & 0x3fU);
  }
  const bool overlong = (size == 3 && code < 0x800) || (size == 4 && code < 0x10000);
  if (overlong || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return {0, 0};
  return {code, size};
}

}  // namespace

std::string printable(std::string_view text, std::size_t limit) {
  std::string shown;
  for (std::size_t count = 0; !text.empty(); ++count) {
    if (count == limit) return shown + "…";
    const auto [code, size] = first_letter(text);
    if (size == 0) {
      shown += "\\x{" + hex_digits(static_cast<std::uint8_t>(text[0]), 2) + "}";
    } else if (is_hidden(code)) {
      shown += "\\u{" + hex_digits(code) + "}";
    } else {
      shown += text.substr(0, size);
    }
    text.remove_prefix(std::max<std::size_t>(size, 1));
  }
  return shown;
}

std::string with_hidden_escaped(std::string_view json) {
  std::string escaped;
  while (!json.empty()) {
    const auto [code, size] = first_letter(json);
    if (code < 0x7f || size == 0 || !is_hidden(code)) {
      escaped += json.substr(0, std::max<std::size_t>(size, 1));
    } else if (code > 0xffff) {
      escaped += "\\u" + hex_digits(0xd800 + ((code - 0x10000) >> 10), 4);
      escaped += "\\u" + hex_digits(0xdc00 + (code & 0x3ff), 4);
    } else {
      escaped += "\\u" + hex_digits(code, 4);
    }
    json.remove_prefix(std::max<std::size_t>(size, 1));
  }
  return escaped;
}

std::string hex_digits(std::uint32_t value, std::size_t width) {
  std::string digits;
  for (; value != 0 || digits.size() < width; value >>= 4) {
    digits.insert(digits.begin(), "0123456789abcdef"[value & 15]);
  }
  return digits;
}

std::string valid_utf8(std::string_view text) {
  std::string valid;
  valid.reserve(text.size());
  while (!text.empty()) {
    const std::size_t size = first_letter(text).size;
    valid += size == 0 ? "\xef\xbf\xbd" : text.substr(0, size);
    text.remove_prefix(std::max<std::size_t>(size, 1));
  }
  return valid;
}

void remove_all(std::string& text, std::string_view part) {
  constexpr std::string_view kInstead = "[removed]";
  const std::string wanted = lower(part);
  if (wanted.empty()) return;
  std::string low = lower(text);
  for (std::size_t at = low.find(wanted); at != std::string::npos; at = low.find(wanted, at)) {
    text.replace(at, wanted.size(), kInstead);
    low.replace(at, wanted.size(), kInstead);
  }
}

std::string lower(std::string_view text) {
  std::string result{text};
  for (char& c : result) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return result;
}

bool equals_ignoring_case(std::string_view a, std::string_view b) {
  return a.size() == b.size() && lower(a) == lower(b);
}

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

}  // namespace paycurl
