#include "commands/kept_body.h"

#include <cerrno>
#include <cstring>

#include <sys/stat.h>
#include <unistd.h>

#include "wallet/spool.h"

namespace paycurl {

Result<> read_kept_body(const std::string& state_folder, const Row& row,
                        const std::function<Result<>(std::string_view)>& take) {
  const auto fd = Spool::open(state_folder, row.id);
  if (!fd) return fd.error();
  struct stat status {};
  Result<> done;
  // After a power loss the file may be shorter than its row says.
  if (!row.body_size || ::fstat(*fd, &status) != 0 || status.st_size != *row.body_size) {
    done = Error{Kind::usage, "the body of payment " + row.id + " was not kept whole"};
  }
  std::string chunk(64UL * 1024, '\0');
  ssize_t got = 1;
  while (done && got > 0) {
    got = ::read(*fd, chunk.data(), chunk.size());
    if (got < 0 && errno == EINTR) {
      got = 1;
    } else if (got < 0) {
      done = Error{Kind::internal, std::string("reading the kept body: ") + std::strerror(errno)};
    } else if (got > 0) {
      done = take(std::string_view(chunk).substr(0, static_cast<std::size_t>(got)));
    }
  }
  ::close(*fd);
  return done;
}

}  // namespace paycurl
