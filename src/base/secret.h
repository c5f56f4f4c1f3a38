// Bytes that must not be seen: keys and passwords.
//
// They live in one page that is locked into memory, left out of core dumps and of children, and
// wiped when the owner goes. No copy, no stream output, no std::string on the way (reliability: a
// freed string keeps its bytes).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "src/base/result.h"

namespace paycurl {

class Secret {
 public:
  static constexpr std::size_t kCapacity = 4096;

  Secret();
  ~Secret();
  Secret(Secret&& other) noexcept;
  Secret& operator=(Secret&& other) noexcept;
  Secret(const Secret&) = delete;
  Secret& operator=(const Secret&) = delete;

  std::span<const std::uint8_t> bytes() const { return {page_, size_}; }
  std::string_view text() const { return {reinterpret_cast<const char*>(page_), size_}; }
  bool empty() const { return size_ == 0; }

  /// All kCapacity bytes, to be written by a reader; follow with `resize`.
  std::span<std::uint8_t> buffer() { return {page_, kCapacity}; }
  /// Keeps the first `size` bytes and wipes the rest.
  void resize(std::size_t size);
  /// Replaces the content. More than kCapacity bytes abort: callers check lengths of foreign input.
  void assign(std::span<const std::uint8_t> bytes);

 private:
  std::uint8_t* page_;
  std::size_t size_ = 0;
};

/// Reads a file descriptor to its end into a Secret. An empty input or one of more than
/// Secret::kCapacity bytes is an error of kind account.
Result<Secret> read_secret(int fd);

/// Overwrites memory in a way the compiler keeps.
void wipe(void* bytes, std::size_t size);

}  // namespace paycurl
