#include "src/http/body.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>

#include <curl/curl.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/text.h"

namespace paycurl::http {
namespace {

constexpr std::size_t kInMemory = 1 << 20;
constexpr std::size_t kChunk = 64 * 1024;

Error read_error(const std::string& name, const char* why) {
  Error error{Kind::transport, "reading " + printable(name) + ": " + why};
  error.transport = CURLE_READ_ERROR;
  return error;
}

}  // namespace

class Body::File {
 public:
  File(int fd, std::string name) : fd_(fd), name_(std::move(name)) {}
  ~File() { ::close(fd_); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  Result<std::size_t> read(std::uint64_t offset, std::span<char> out) const {
    while (true) {
      const ssize_t got = ::pread(fd_, out.data(), out.size(), static_cast<off_t>(offset));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return read_error(name_, std::strerror(errno));
      if (got == 0) return read_error(name_, "the file became shorter while it was sent");
      return static_cast<std::size_t>(got);
    }
  }

  /// Appends all of `bytes`; false when there is no room.
  bool write(std::string_view bytes) const {
    while (!bytes.empty()) {
      const ssize_t put = ::write(fd_, bytes.data(), bytes.size());
      if (put <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(put));
    }
    return true;
  }

 private:
  int fd_;
  std::string name_;
};

void Body::append(std::string bytes) {
  digest_.reset();
  size_ += bytes.size();
  const std::uint64_t size = bytes.size();
  if (size != 0) pieces_.push_back({std::move(bytes), nullptr, size});
}

void Body::replace(const std::string& from, const std::string& to) {
  digest_.reset();
  for (Piece& piece : pieces_) {
    for (std::size_t at = 0; (at = piece.bytes.find(from, at)) != std::string::npos;) {
      piece.bytes.replace(at, from.size(), to);
      at += to.size();
    }
    if (piece.file) continue;
    size_ = size_ - piece.size + piece.bytes.size();
    piece.size = piece.bytes.size();
  }
}

Result<> Body::append_descriptor(int fd, const std::string& name) {
  auto file = std::make_shared<const File>(fd, name);
  struct stat status {};
  if (::fstat(fd, &status) != 0) return read_error(name, std::strerror(errno));
  if (S_ISDIR(status.st_mode)) return read_error(name, "it is a directory");
  digest_.reset();
  // Files of the kernel say that they are empty: they are read like pipes.
  if (!S_ISREG(status.st_mode) || status.st_size == 0) return append_pipe(fd, name);
  const auto size = static_cast<std::uint64_t>(status.st_size);
  size_ += size;
  pieces_.push_back({{}, std::move(file), size});
  return {};
}

/// Up to kInMemory bytes stay in memory, more go to a file without a name.
Result<> Body::append_pipe(int fd, const std::string& name) {
  std::string waiting;
  std::string chunk(kChunk, '\0');
  std::shared_ptr<const File> spool;
  std::uint64_t spooled = 0;
  while (true) {
    const ssize_t got = ::read(fd, chunk.data(), chunk.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return read_error(name, std::strerror(errno));
    if (got == 0) break;
    waiting.append(chunk, 0, static_cast<std::size_t>(got));
    if (waiting.size() < kInMemory) continue;
    if (!spool) spool = open_unnamed(name);
    if (!spool || !spool->write(waiting)) return read_error(name, "no room for a temporary copy");
    spooled += waiting.size();
    waiting.clear();
  }
  if (spool) {
    pieces_.push_back({{}, std::move(spool), spooled});
    size_ += spooled;
  }
  append(std::move(waiting));
  return {};
}

std::shared_ptr<const Body::File> Body::open_unnamed(const std::string& name) {
  for (const char* folder : {"/tmp", "/var/tmp"}) {
    const int fd = ::open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0) return std::make_shared<const File>(fd, name);
  }
  return nullptr;
}

Result<> Body::append_file(const std::string& path) {
  const int fd = path == "-" ? ::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)
                             : ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return read_error(path, std::strerror(errno));
  return append_descriptor(fd, path);
}

Result<std::size_t> Body::read(std::uint64_t offset, std::span<char> out) const {
  for (const Piece& piece : pieces_) {
    if (offset >= piece.size) {
      offset -= piece.size;
      continue;
    }
    const std::size_t size =
        static_cast<std::size_t>(std::min<std::uint64_t>(out.size(), piece.size - offset));
    if (piece.file) return piece.file->read(offset, out.first(size));
    std::memcpy(out.data(), piece.bytes.data() + offset, size);
    return size;
  }
  return std::size_t{0};
}

Result<Digest> Body::sha256() const {
  if (digest_) return *digest_;
  Sha256 hash;
  std::string chunk(std::min<std::uint64_t>(kChunk, std::max<std::uint64_t>(size_, 1)), '\0');
  for (std::uint64_t offset = 0; offset < size_;) {
    const auto got = read(offset, chunk);
    if (!got) return got.error();
    hash.update(as_bytes(std::string_view(chunk).substr(0, *got)));
    offset += *got;
  }
  digest_ = hash.finish();
  return *digest_;
}

Result<std::optional<std::string>> Body::text(std::uint64_t limit) const {
  if (size_ > limit) return std::optional<std::string>();
  std::string whole(size_, '\0');
  for (std::uint64_t offset = 0; offset < size_;) {
    const auto got = read(offset, std::span<char>(whole).subspan(offset));
    if (!got) return got.error();
    offset += *got;
  }
  return std::optional(std::move(whole));
}

}  // namespace paycurl::http
