// Random bytes from the operating system.
#pragma once

#include "src/base/bytes.h"

namespace paycurl {

/// Fills `out` from getrandom(2); aborts when the kernel has none, which no caller could survive.
void random_bytes(std::span<std::uint8_t> out);

template <std::size_t N>
ByteArray<N> random_array() {
  ByteArray<N> bytes;
  random_bytes(bytes);
  return bytes;
}

}  // namespace paycurl
