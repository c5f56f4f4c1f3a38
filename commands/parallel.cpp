#include "commands/parallel.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "commands/output.h"
#include "commands/signals.h"
#include "src/base/secret.h"

namespace paycurl {
namespace {

/// What goes before the text of a job.
struct JobHead {
  std::uint64_t number = 0;
  std::int64_t line = 0;
  std::uint64_t size = 0;
};

struct Reply {
  std::int32_t status = 0;
  std::uint32_t stop = 0;
  std::array<char, 248> channel{};
};

bool send_whole(int fd, const void* bytes, std::size_t size) {
  const char* at = static_cast<const char*>(bytes);
  while (size > 0) {
    const ssize_t put = ::send(fd, at, size, MSG_NOSIGNAL);
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return false;
    at += put;
    size -= static_cast<std::size_t>(put);
  }
  return true;
}

/// False when the other side is gone. A worker that was told to stop takes nothing more.
bool receive_whole(int fd, void* bytes, std::size_t size, bool until_signal) {
  char* at = static_cast<char*>(bytes);
  while (size > 0) {
    if (until_signal && caught_signal()) return false;
    const ssize_t got = ::recv(fd, at, size, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    at += got;
    size -= static_cast<std::size_t>(got);
  }
  return true;
}

bool send_job(int fd, const Job& job) {
  const JobHead head{job.number, job.line, job.text.size()};
  return send_whole(fd, &head, sizeof head) && send_whole(fd, job.text.data(), job.text.size());
}

bool receive_job(int fd, Job& job) {
  JobHead head;
  if (!receive_whole(fd, &head, sizeof head, true)) return false;
  job = {head.number, head.line, std::string(head.size, '\0')};
  return receive_whole(fd, job.text.data(), job.text.size(), true);
}

/// The life of a worker. It ends when the parent hangs up, or dies.
void work(const ParallelParts& parts, int socket) {
  const auto run = parts.begin();
  for (Job job; receive_job(socket, job);) {
    const JobResult result = run(job);
    Reply reply{result.status, result.stop ? 1U : 0U, {}};
    result.channel.copy(reply.channel.data(), reply.channel.size() - 1);
    if (!send_whole(socket, &reply, sizeof reply)) return;
  }
}

/// The processes, seen from the one that gives out the requests.
class Workers {
 public:
  explicit Workers(const ParallelParts& parts) : parts_(parts), signals_(watch_signals()) {}

  ParallelResult run() {
    while (true) {
      pass_on_signal();
      while (may_give()) {
        if (!give_next()) break;
      }
      if (count_busy() == 0 && (exhausted_ || stopped_)) break;
      wait();
    }
    for (Worker& worker : workers_) {
      ::close(worker.socket);
      ::waitpid(worker.pid, nullptr, 0);
    }
    if (const auto signal = caught_signal()) {
      result_.status = graver(result_.status, static_cast<int>(*signal));
    }
    return std::move(result_);
  }

 private:
  struct Worker {
    pid_t pid = -1;
    int socket = -1;
    std::optional<Job> job;
  };

  std::size_t count_busy() const {
    return static_cast<std::size_t>(
        std::count_if(workers_.begin(), workers_.end(), [](const Worker& w) { return w.job; }));
  }

  /// Whether there is a worker, or room for one, and perhaps a request for it.
  bool may_give() const {
    if (exhausted_ || stopped_ || count_busy() >= static_cast<std::size_t>(parts_.most)) {
      return false;
    }
    const int fd = parts_.waits_for();
    pollfd ready{fd, POLLIN, 0};
    return fd < 0 || ::poll(&ready, 1, 0) == 1;
  }

  bool give_next() {
    auto job = parts_.next();
    if (!job) result_.ended = job.error();
    exhausted_ = !job || !*job;
    if (exhausted_) return false;
    const auto idle = std::find_if(workers_.begin(), workers_.end(),
                                   [](const Worker& worker) { return !worker.job; });
    const auto index = static_cast<std::size_t>(idle - workers_.begin());
    if (index == workers_.size() && !start()) {
      exhausted_ = true;
      return false;
    }
    Worker& worker = workers_[index];
    worker.job = std::move(**job);
    // One that cannot be reached is dead, which `wait` finds out.
    (void)send_job(worker.socket, *worker.job);
    return true;
  }

  bool start() {
    std::array<int, 2> sockets{};
    sigset_t all, before;
    sigfillset(&all);
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets.data()) != 0) {
      return cannot_start(errno);
    }
    ::sigprocmask(SIG_BLOCK, &all, &before);  // until the child has handlers of its own
    const pid_t parent = ::getpid();
    const pid_t pid = ::fork();
    const int failed = errno;
    if (pid == 0) {
      ::close(sockets[0]);
      for (const Worker& other : workers_) {
        ::close(other.socket);
      }
      (void)::prctl(PR_SET_PDEATHSIG, kStopWorker);
      become_worker();
      ::sigprocmask(SIG_SETMASK, &before, nullptr);
      if (::getppid() == parent) work(parts_, sockets[1]);
      ::_exit(0);
    }
    ::sigprocmask(SIG_SETMASK, &before, nullptr);
    ::close(sockets[1]);
    if (pid < 0) {
      ::close(sockets[0]);
      return cannot_start(failed);
    }
    workers_.push_back({pid, sockets[0], std::nullopt});
    return true;
  }

  bool cannot_start(int code) {
    result_.ended = Error{Kind::internal, std::string("starting a worker: ") + std::strerror(code)};
    return false;
  }

  /// Once; a second signal ends the parent, and with it the workers.
  void pass_on_signal() {
    const auto signal = caught_signal();
    if (!signal || std::exchange(told_, true)) return;
    stopped_ = true;
    for (const Worker& worker : workers_) {
      ::kill(worker.pid, *signal == Kind::interrupted ? kInterruptWorker : kStopWorker);
    }
  }

  void wait() {
    std::vector<pollfd> ready;
    for (const Worker& worker : workers_) {
      ready.push_back({worker.socket, POLLIN, 0});
    }
    if (!told_) ready.push_back({signals_, POLLIN, 0});
    const bool has_room = count_busy() < static_cast<std::size_t>(parts_.most);
    if (!exhausted_ && !stopped_ && has_room) ready.push_back({parts_.waits_for(), POLLIN, 0});
    if (::poll(ready.data(), ready.size(), -1) < 0) return;
    for (std::size_t i = workers_.size(); i-- > 0;) {
      if (ready[i].revents != 0) hear(i);
    }
  }

  void hear(std::size_t index) {
    Worker& worker = workers_[index];
    Reply reply;
    if (!receive_whole(worker.socket, &reply, sizeof reply, false)) return bury(index);
    worker.job.reset();
    reply.channel.back() = '\0';
    result_.status = graver(result_.status, reply.status);
    stopped_ = stopped_ || reply.stop != 0 || (parts_.stop_at_error && reply.status != 0);
    parts_.done({reply.status, reply.stop != 0, reply.channel.data()});
  }

  /// A worker is gone. One that was told to stop before it began its request has lost nothing.
  void bury(std::size_t index) {
    Worker worker = std::move(workers_[index]);
    workers_.erase(workers_.begin() + static_cast<std::ptrdiff_t>(index));
    ::close(worker.socket);
    int status = 0;
    while (::waitpid(worker.pid, &status, 0) < 0 && errno == EINTR) {
    }
    const bool in_order = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    if (worker.job && !(in_order && told_)) result_.orphans.push_back(std::move(*worker.job));
  }

  const ParallelParts& parts_;
  int signals_;
  std::vector<Worker> workers_;
  ParallelResult result_;
  bool exhausted_ = false;  // no request is left
  bool stopped_ = false;    // no request is given out any more
  bool told_ = false;       // the workers know of the signal
};

}  // namespace

Result<int> keep_for_workers(int fd) {
  const auto secret = read_secret(fd);
  if (!secret) return secret.error();
  const int kept = ::memfd_create("paycurl-secret", MFD_CLOEXEC);
  if (kept < 0) return Error{Kind::internal, std::string("memory: ") + std::strerror(errno)};
  if (auto written = write_all(kept, secret->text()); !written) return written.error();
  return kept;
}

int given_to_worker(int kept) {
  Secret secret;
  const ssize_t size = ::pread(kept, secret.buffer().data(), Secret::kCapacity, 0);
  std::array<int, 2> ends{};
  if (size <= 0 || ::pipe2(ends.data(), O_CLOEXEC) != 0) return -1;
  secret.resize(static_cast<std::size_t>(size));
  (void)write_all(ends[1], secret.text());  // fits: a pipe holds more than a secret may have
  ::close(ends[1]);
  return ends[0];
}

ParallelResult run_in_parallel(const ParallelParts& parts) {
  return Workers(parts).run();
}

}  // namespace paycurl
