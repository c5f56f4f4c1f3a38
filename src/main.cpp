// paycurl: curl that pays.
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "commands/command.h"

namespace {

/// A closed descriptor 0, 1 or 2 would be given to the next file that is opened, the journal
/// perhaps. What stands there instead cannot be used, so that using it is an error.
void occupy_standard_descriptors() {
  for (int fd = 0; fd <= 2; ++fd) {
    if (::fcntl(fd, F_GETFD) < 0) (void)::open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY);
  }
}

}  // namespace

int main(int argc, char** argv) {
  occupy_standard_descriptors();
  // Keys pass through this process: no other process of the user may look into it, and no core dump
  // may hold it.
  (void)::prctl(PR_SET_DUMPABLE, 0);
  const rlimit none{0, 0};
  (void)::setrlimit(RLIMIT_CORE, &none);
  return paycurl::run_command_line(argc, argv);
}
