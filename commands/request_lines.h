// The lines of --input: one request each, a URL or an object of JSON.
//
//   https://api.example.com/a
//   {"url": "https://api.example.com/b", "json": {"q": 1}, "output": "b.json"}
//
// Blank lines and those that start with "#" are nothing. Keys of an object: url (the only one that
// it must have), method, headers (an object of strings, or of arrays of them), body or json,
// output, once. Whatever else is there is an error, as it would be ignored.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/result.h"

namespace paycurl {

struct RequestLine {
  std::string url;
  std::string method;                ///< empty: as the command line has it
  std::vector<std::string> headers;  ///< as behind -H
  std::optional<std::string> body;
  bool is_json = false;  ///< the body was written as JSON, with the fields that go with it
  std::string output;    ///< empty: as the command line has it
  std::string once;
};

/// Usage error when it is none of both.
Result<RequestLine> parse_request_line(std::string_view line);

/// Whether `key` may stand behind --once: 1 to 255 visible ASCII characters. Usage error otherwise.
Result<> check_once_key(std::string_view key);

/// Reads lines of up to 1 MiB from a file or a pipe.
class LineReader {
 public:
  static constexpr std::size_t kMaxLine = 1 << 20;

  struct Line {
    std::int64_t number = 0;  ///< counts all lines, from 1
    std::string text;         ///< without its end
  };

  /// "-" is standard input. Transport error 26 (curl's "read error") when it cannot be opened.
  static Result<LineReader> open(const std::string& path);
  LineReader(LineReader&& other) noexcept;
  LineReader& operator=(LineReader&&) = delete;
  ~LineReader();

  /// Whether it can be read a second time.
  bool is_regular() const { return regular_; }
  Result<> rewind();
  /// The next line that has something to say; nullopt at the end. Usage error when it is too long.
  Result<std::optional<Line>> next();
  /// The descriptor that `next` would wait for; -1 when it would not.
  int waits_for() const;

 private:
  LineReader(int fd, std::string name, bool regular)
      : fd_(fd), name_(std::move(name)), regular_(regular) {}
  Result<std::optional<std::string>> next_line();

  int fd_;
  std::string name_;
  bool regular_;
  bool ended_ = false;
  std::string waiting_;
  std::size_t at_ = 0;  // of `waiting_`, what was given out
  std::int64_t number_ = 0;
};

}  // namespace paycurl
