// paycurl: curl that pays.
#include <sys/prctl.h>
#include <sys/resource.h>

#include "commands/command.h"

int main(int argc, char** argv) {
  // Keys pass through this process: no other process of the user may look into it, and no core dump
  // may hold it.
  (void)::prctl(PR_SET_DUMPABLE, 0);
  const rlimit none{0, 0};
  (void)::setrlimit(RLIMIT_CORE, &none);
  return paycurl::run_command_line(argc, argv);
}
