#include "src/methods/lightning/bech32.h"

#include <algorithm>

#include "src/base/text.h"

namespace paycurl::lightning {
namespace {

constexpr std::string_view kAlphabet = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
constexpr int kChecksumSize = 6;

/// What `group` makes of the checksum `sum`: a step of division by BIP 173's polynomial.
std::uint32_t mixed(std::uint32_t sum, std::uint32_t group) {
  constexpr std::array<std::uint32_t, 5> kGenerator{0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd,
                                                    0x2a1462b3};
  const std::uint32_t top = sum >> 25;
  sum = (sum & 0x1ffffff) << 5 ^ group;
  for (std::size_t i = 0; i < kGenerator.size(); ++i) {
    if ((top >> i & 1) != 0) sum ^= kGenerator[i];
  }
  return sum;
}

std::uint32_t checksum(std::string_view prefix, ByteView groups) {
  std::uint32_t sum = 1;
  for (const char c : prefix) {
    sum = mixed(sum, static_cast<std::uint32_t>(c) >> 5);
  }
  sum = mixed(sum, 0);
  for (const char c : prefix) {
    sum = mixed(sum, static_cast<std::uint32_t>(c) & 31);
  }
  for (const std::uint8_t group : groups) {
    sum = mixed(sum, group);
  }
  return sum;
}

Error bad(std::string message) {
  return {Kind::protocol, std::move(message)};
}

}  // namespace

Result<Bech32> read_bech32(std::string_view text) {
  const auto is = [&](char first, char last) {
    return std::any_of(text.begin(), text.end(), [&](char c) { return c >= first && c <= last; });
  };
  if (is('a', 'z') && is('A', 'Z')) return bad("upper and lower case are mixed");
  const std::string all = lower(text);
  const std::size_t separator = all.rfind('1');
  if (separator == std::string::npos || separator == 0) return bad("it is not Bech32");
  Bech32 read{all.substr(0, separator), {}};
  const auto printable = [](char c) { return c >= 33 && c <= 126; };
  if (!std::all_of(read.prefix.begin(), read.prefix.end(), printable)) {
    return bad("it is not Bech32");
  }
  read.groups.reserve(all.size());
  for (const char c : std::string_view(all).substr(separator + 1)) {
    const std::size_t group = kAlphabet.find(c);
    if (group == std::string_view::npos) return bad("it has a character that Bech32 does not");
    read.groups.push_back(static_cast<std::uint8_t>(group));
  }
  if (read.groups.size() < kChecksumSize || checksum(read.prefix, read.groups) != 1) {
    return bad("its checksum is wrong");
  }
  read.groups.erase(read.groups.end() - kChecksumSize, read.groups.end());
  return read;
}

Bytes packed(ByteView groups) {
  Bytes bytes;
  bytes.reserve(groups.size() * 5 / 8 + 1);
  std::uint32_t pending = 0;
  unsigned bits = 0;
  for (const std::uint8_t group : groups) {
    pending = pending << 5 | group;
    bits += 5;
    if (bits < 8) continue;
    bits -= 8;
    bytes.push_back(static_cast<std::uint8_t>(pending >> bits));
    pending &= (1U << bits) - 1;
  }
  if (bits > 0) bytes.push_back(static_cast<std::uint8_t>(pending << (8 - bits)));
  return bytes;
}

Result<Bytes> unpacked(ByteView groups) {
  Bytes bytes = packed(groups);
  const std::size_t left_over = groups.size() * 5 % 8;
  if (left_over == 0) return bytes;
  if (left_over >= 5 || bytes.back() != 0) return bad("it has bits that belong to nothing");
  bytes.pop_back();
  return bytes;
}

}  // namespace paycurl::lightning
