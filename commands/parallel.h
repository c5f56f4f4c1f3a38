// -Z: several processes, each with its own client, wallet and connections, that take one request
// after the other. What they share is outside of them: the journal with the run's budget, the locks
// of channels, and turns at the terminal.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "src/base/result.h"

namespace paycurl {

/// One request of an invocation.
struct Job {
  std::size_t number = 0;  ///< from 0
  std::int64_t line = 0;   ///< of --input; 0: a URL of the command line
  std::string text;        ///< that line
};

struct JobResult {
  int status = 0;
  bool stop = false;    ///< nothing more can be written: give out no other
  std::string channel;  ///< that a session paid with
};

struct ParallelParts {
  int most = 1;  ///< workers
  /// The next request, in the parent; nullopt when there is none left.
  std::function<Result<std::optional<Job>>()> next;
  /// A descriptor that is readable when `next` has something to say; -1: always.
  std::function<int()> waits_for;
  /// In a new worker: gets everything ready and gives the way to make one request.
  std::function<std::function<JobResult(const Job&)>()> begin;
  /// In the parent, when a request is over.
  std::function<void(const JobResult&)> done;
  bool stop_at_error = false;  ///< --fail-early
};

struct ParallelResult {
  int status = 0;              ///< the gravest of all
  std::vector<Job> orphans;    ///< requests whose worker died; how they ended is not known
  std::optional<Error> ended;  ///< why `next` gave no more
};

/// Runs all requests; returns when no worker is left. Signals are passed on. Must be called before
/// this process uses a library that threads or connections belong to.
ParallelResult run_in_parallel(const ParallelParts& parts);

/// A secret that a descriptor gives only once, kept for all workers: what `given_to_worker` then
/// makes a descriptor of in each of them, -1 when it cannot.
Result<int> keep_for_workers(int fd);
int given_to_worker(int kept);

}  // namespace paycurl
