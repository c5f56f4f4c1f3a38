// --trace and --trace-ascii: what went over the wire, in a file, as curl draws it. Fields that are
// secret are taken out as -v does.
#pragma once

#include <string>
#include <string_view>

#include "src/base/result.h"

namespace paycurl {

class Trace {
 public:
  /// `file`: "-" is stdout, "%" stderr; replaced when it is there. Transport error 23 when it
  /// cannot be written.
  static Result<Trace> open(const std::string& file, bool hexadecimal, bool with_time);
  Trace(Trace&& other) noexcept;
  Trace& operator=(Trace&&) = delete;
  ~Trace();

  /// `kind` is one of "*><{}", see http::Settings::trace.
  void write(char kind, std::string_view bytes);

 private:
  Trace(int fd, bool hexadecimal, bool with_time)
      : fd_(fd), hexadecimal_(hexadecimal), with_time_(with_time) {}

  int fd_;
  bool hexadecimal_, with_time_;
};

/// "12:34:56.789 " in UTC, as --trace-time has it.
std::string trace_time();

/// Lines of an offset and 16 bytes as numbers and letters, or 64 letters that end with their lines.
std::string dump_of(std::string_view bytes, bool hexadecimal);

}  // namespace paycurl
