#include "wallet/spool.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "wallet/sqlite.h"

namespace paycurl {
namespace {

std::string folder_of(const std::string& state_folder) {
  return state_folder + "/bodies";
}

struct Kept {
  std::string path;
  Millis time;
  std::int64_t size;
};

/// Removes what is too old, then the oldest until the rest is small enough.
void purge(const std::string& folder, Millis now) {
  std::vector<Kept> bodies;
  DIR* entries = ::opendir(folder.c_str());
  if (entries == nullptr) return;
  while (const dirent* entry = ::readdir(entries)) {
    struct stat status {};
    std::string path = folder + "/" + entry->d_name;
    if (::lstat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) continue;
    bodies.push_back({std::move(path), Millis{status.st_mtime} * 1000, status.st_size});
  }
  ::closedir(entries);
  std::sort(bodies.begin(), bodies.end(),
            [](const Kept& a, const Kept& b) { return a.time > b.time; });
  std::int64_t total = 0;
  for (const Kept& body : bodies) {
    total += body.size;
    if (total > Spool::kMaxTotal || body.time + Spool::kLifetime < now) ::unlink(body.path.c_str());
  }
}

int create_file(const std::string& path) {
  return ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
}

}  // namespace

Result<Spool> Spool::create(const std::string& state_folder, const std::string& id) {
  const std::string folder = folder_of(state_folder);
  std::string path = folder + "/" + id;
  int fd = create_file(path);
  if (fd < 0 && errno == ENOENT) {
    if (auto made = make_private_folder(folder); !made) return made.error();
    fd = create_file(path);
  }
  if (fd < 0 && errno == EEXIST) {  // what a killed process left
    ::unlink(path.c_str());
    fd = create_file(path);
  }
  if (fd < 0) return Error{Kind::internal, "creating " + path + ": " + std::strerror(errno)};
  return Spool(folder, std::move(path), fd);
}

Spool::Spool(Spool&& other) noexcept
    : folder_(std::move(other.folder_)),
      path_(std::move(other.path_)),
      fd_(std::exchange(other.fd_, -1)),
      size_(other.size_),
      failed_(other.failed_),
      kept_(other.kept_) {}

Spool::~Spool() {
  if (fd_ < 0) return;
  ::close(fd_);
  if (!kept_) ::unlink(path_.c_str());
}

void Spool::write(std::string_view bytes) {
  size_ += static_cast<std::int64_t>(bytes.size());
  failed_ = failed_ || size_ > kMaxBody;
  while (!failed_ && !bytes.empty()) {
    const ssize_t put = ::write(fd_, bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) continue;
    failed_ = put <= 0;
    if (!failed_) bytes.remove_prefix(static_cast<std::size_t>(put));
  }
}

std::optional<std::int64_t> Spool::keep(Millis now) {
  if (failed_) return std::nullopt;
  kept_ = true;
  // Looking through the folder costs more than it saves most of the time; IDs end at random.
  if (path_.back() <= '0' + 1) purge(folder_, now);
  return size_;
}

Result<int> Spool::open(const std::string& state_folder, const std::string& id) {
  const std::string path = folder_of(state_folder) + "/" + id;
  const int fd = ::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
  if (fd >= 0) return fd;
  return Error{Kind::usage, "the body of payment " + id + " is not kept (any more)",
               "bodies are kept for 24 hours, up to 16 MiB each"};
}

}  // namespace paycurl
