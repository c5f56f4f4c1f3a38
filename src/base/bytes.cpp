#include "src/base/bytes.h"

namespace paycurl {
namespace {

constexpr std::string_view kHexDigits = "0123456789abcdef";
constexpr std::string_view kUrlAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr std::string_view kStandardAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string_view without_0x(std::string_view text) {
  return text.starts_with("0x") ? text.substr(2) : text;
}

std::string encode(ByteView bytes, std::string_view alphabet, bool padded) {
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t taken = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t group = 0;
    for (std::size_t j = 0; j < 3; ++j) {
      group = group << 8 | (j < taken ? bytes[i + j] : 0U);
    }
    for (std::size_t j = 0; j <= taken; ++j) {
      text.push_back(alphabet[group >> (18 - 6 * j) & 63]);
    }
    if (padded) text.append(3 - taken, '=');
  }
  return text;
}

Result<Bytes> decode(std::string_view text, std::string_view alphabet) {
  const Error bad{Kind::protocol, "not valid base64"};
  const std::size_t padding = text.ends_with("==") ? 2 : text.ends_with("=") ? 1 : 0;
  if (padding != 0 && text.size() % 4 != 0) return bad;
  text.remove_suffix(padding);
  if (text.size() % 4 == 1) return bad;
  Bytes bytes;
  bytes.reserve(text.size() / 4 * 3 + 2);
  std::uint32_t group = 0;
  unsigned bits = 0;
  for (const char c : text) {
    const std::size_t value = alphabet.find(c);
    if (value == std::string_view::npos) return bad;
    group = group << 6 | static_cast<std::uint32_t>(value);
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    bytes.push_back(static_cast<std::uint8_t>(group >> bits));
    group &= (1U << bits) - 1;
  }
  if (group != 0) return bad;
  return bytes;
}

}  // namespace

std::string to_hex(ByteView bytes) {
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const std::uint8_t byte : bytes) {
    text.push_back(kHexDigits[byte >> 4]);
    text.push_back(kHexDigits[byte & 15]);
  }
  return text;
}

std::string to_0x(ByteView bytes) {
  return "0x" + to_hex(bytes);
}

Result<> from_hex(std::string_view text, std::span<std::uint8_t> out) {
  text = without_0x(text);
  if (text.size() != out.size() * 2) return Error{Kind::protocol, "hex of the wrong length"};
  for (std::size_t i = 0; i < out.size(); ++i) {
    const int high = hex_value(text[2 * i]);
    const int low = hex_value(text[2 * i + 1]);
    if (high < 0 || low < 0) return Error{Kind::protocol, "not valid hex"};
    out[i] = static_cast<std::uint8_t>(high << 4 | low);
  }
  return {};
}

Result<Bytes> from_hex(std::string_view text) {
  text = without_0x(text);
  Bytes bytes(text.size() / 2);
  if (text.size() % 2 != 0) return Error{Kind::protocol, "hex of odd length"};
  if (auto read = from_hex(text, bytes); !read) return read.error();
  return bytes;
}

std::string to_base64url(ByteView bytes) {
  return encode(bytes, kUrlAlphabet, false);
}
std::string to_base64(ByteView bytes) {
  return encode(bytes, kStandardAlphabet, true);
}
Result<Bytes> from_base64url(std::string_view text) {
  return decode(text, kUrlAlphabet);
}
Result<Bytes> from_base64(std::string_view text) {
  return decode(text, kStandardAlphabet);
}

}  // namespace paycurl
