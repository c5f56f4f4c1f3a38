// A request body that can be read again from the start: bytes, open files, or both in turn.
//
// The paid request must carry the same bytes as the one that was answered with the challenge, so a
// body is never a stream: standard input and pipes are copied first.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "src/base/result.h"
#include "src/crypto/hash.h"

namespace paycurl::http {

class Body {
 public:
  Body() = default;
  explicit Body(std::string bytes) { append(std::move(bytes)); }

  void append(std::string bytes);
  /// Appends an open file: a regular one is kept open and read when it is sent, anything else (a
  /// pipe, a terminal) is read to its end now. Takes the descriptor. `name` is for messages.
  Result<> append_descriptor(int fd, const std::string& name);
  /// Appends a file by name; "-" is standard input. Transport error 26 (curl's "read error") when
  /// it cannot be read.
  Result<> append_file(const std::string& path);

  /// In what is not of files: every `from`, which is not empty.
  void replace(const std::string& from, const std::string& to);

  std::uint64_t size() const { return size_; }
  /// Fills `out` from `offset` on; fewer bytes only at the end. Transport error 26 when a file
  /// became shorter than it was.
  Result<std::size_t> read(std::uint64_t offset, std::span<char> out) const;
  /// SHA-256 of all of it, read once and remembered.
  Result<Digest> sha256() const;
  /// The whole body when it has at most `limit` bytes, else nothing.
  Result<std::optional<std::string>> text(std::uint64_t limit) const;

 private:
  class File;
  struct Piece {
    std::string bytes;
    std::shared_ptr<const File> file;  // when set, `bytes` is empty
    std::uint64_t size = 0;
  };
  Result<> append_pipe(int fd, const std::string& name);
  static std::shared_ptr<const File> open_unnamed(const std::string& name);

  std::vector<Piece> pieces_;
  std::uint64_t size_ = 0;
  mutable std::optional<Digest> digest_;
};

}  // namespace paycurl::http
