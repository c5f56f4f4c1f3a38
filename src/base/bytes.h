// Bytes and the two ways they are written as text: hex and base64.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/result.h"

namespace paycurl {

using Bytes = std::vector<std::uint8_t>;
using ByteView = std::span<const std::uint8_t>;
template <std::size_t N>
using ByteArray = std::array<std::uint8_t, N>;

inline ByteView as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}
inline std::string_view as_text(ByteView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// Lower-case hex, without a prefix.
std::string to_hex(ByteView bytes);
/// Lower-case hex behind "0x".
std::string to_0x(ByteView bytes);
/// Reads hex of either case, with or without "0x". An odd length or another character is an error.
Result<Bytes> from_hex(std::string_view text);
/// The same, for exactly as many bytes as `out` has.
Result<> from_hex(std::string_view text, std::span<std::uint8_t> out);

/// RFC 4648 section 5, without padding.
std::string to_base64url(ByteView bytes);
/// RFC 4648 section 4, with padding.
std::string to_base64(ByteView bytes);
/// Reads base64url. Padding may be there and must then be right; spaces, the characters of the
/// other alphabet and stray bits in the last character are errors, so that one text has one
/// meaning.
Result<Bytes> from_base64url(std::string_view text);
/// The same for the standard alphabet.
Result<Bytes> from_base64(std::string_view text);

}  // namespace paycurl
