// What every fuzz target includes: the entry point's bytes as text, and a check that stays on in
// every build.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <string_view>

#define FUZZ_CHECK(condition)       \
  do {                              \
    if (!(condition)) std::abort(); \
  } while (false)

namespace paycurl {

/// One input. Defined by each target.
void fuzz_one(std::string_view input);

}  // namespace paycurl

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  paycurl::fuzz_one({reinterpret_cast<const char*>(data), size});
  return 0;
}
