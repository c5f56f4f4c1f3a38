// Copies of bodies that were paid for, so that a broken pipe does not cost the answer.
//
// bodies/<payment ID> beside the journal: mode 0600, at most 16 MiB each and 256 MiB in all, gone
// after 24 hours. What is too large is not kept at all: half an answer is none.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "src/base/clock.h"
#include "src/base/result.h"

namespace paycurl {

class Spool {
 public:
  static constexpr std::int64_t kMaxBody = 16 << 20;
  static constexpr std::int64_t kMaxTotal = 256 << 20;
  static constexpr Millis kLifetime = 24 * 60 * 60 * 1000;

  /// A new body of payment `id` in `state_folder`/bodies.
  static Result<Spool> create(const std::string& state_folder, const std::string& id);
  Spool(Spool&& other) noexcept;
  Spool& operator=(Spool&&) = delete;
  ~Spool();  ///< removes the file unless it was kept

  /// A failure (disk full, too large) only means that the body will not be kept.
  void write(std::string_view bytes);
  /// The number of bytes kept; nullopt when writing failed or it was too large. For one ID in
  /// sixteen, those that end in 0 or 1, also removes old bodies.
  std::optional<std::int64_t> keep(Millis now);

  /// A descriptor of a kept body; the caller closes it. Kind::usage when it is gone.
  static Result<int> open(const std::string& state_folder, const std::string& id);

 private:
  Spool(std::string folder, std::string path, int fd)
      : folder_(std::move(folder)), path_(std::move(path)), fd_(fd) {}

  std::string folder_, path_;
  int fd_;
  std::int64_t size_ = 0;
  bool failed_ = false;
  bool kept_ = false;
};

}  // namespace paycurl
