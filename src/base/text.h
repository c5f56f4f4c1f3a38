// Text that someone else wrote, and what a terminal may be shown of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace paycurl {

/// `text` with everything that could move a cursor, hide or reorder letters made visible as
/// `\u{1b}` (control, bidi, zero-width and tag characters) and bytes that are not UTF-8 as
/// `\x{ff}`. One line, at most `limit` characters, then an ellipsis.
std::string printable(std::string_view text, std::size_t limit = 200);

/// `text` with bytes that are not UTF-8 replaced by U+FFFD, for places that need valid UTF-8.
std::string valid_utf8(std::string_view text);

/// `value` as hexadecimal digits, at least `width` of them.
std::string hex_digits(std::uint32_t value, std::size_t width = 1);

/// A JSON text with the characters that `printable` would make visible as \uXXXX: the same JSON.
std::string with_hidden_escaped(std::string_view json);

/// Takes every `part` out of `text`, of either case, and leaves "[removed]" in its place.
void remove_all(std::string& text, std::string_view part);

/// ASCII lower case; other bytes stay.
std::string lower(std::string_view text);

bool equals_ignoring_case(std::string_view a, std::string_view b);

/// Without spaces, tabs and line ends at both ends.
std::string_view trimmed(std::string_view text);

}  // namespace paycurl
