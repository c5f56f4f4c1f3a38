// Server-Sent Events: a stream cut into events, however its bytes arrive (WHATWG HTML,
// section 9.2).
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "src/base/result.h"

namespace paycurl::http {

/// A block of the stream, up to and with its blank line.
struct ServerEvent {
  std::string name;       ///< "message" when the block names none
  std::string data;       ///< its data lines, joined with "\n"
  std::string id;         ///< the last that the stream has set; may be empty
  bool has_data = false;  ///< false for a comment, which readers of events ignore
  std::string raw;        ///< the bytes of the block: all blocks together are the stream
};

class EventParser {
 public:
  static constexpr std::size_t kMaxEvent = 1 << 20;

  /// `sink` gets each block as soon as its blank line is there; its error ends `feed`.
  using Sink = std::function<Result<>(const ServerEvent&)>;
  explicit EventParser(Sink sink) : sink_(std::move(sink)) {}

  /// Takes the next bytes of the stream. Kind::protocol when a block is longer than kMaxEvent.
  Result<> feed(std::string_view bytes);

  /// The bytes behind the last whole block. At the end of a stream they are no event.
  const std::string& rest() const { return event_.raw; }

 private:
  Result<> end_line();
  void read_field();

  Sink sink_;
  ServerEvent event_;
  std::string line_;
  bool is_first_line_ = true;
  bool after_cr_ = false;  // an LF now belongs to the line that has ended
};

}  // namespace paycurl::http
