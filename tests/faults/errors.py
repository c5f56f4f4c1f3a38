#!/usr/bin/env python3
"""Every system call failing in turn, reads and writes cut short, the disk full; then clean runs of the same command.

    tests/faults/errors.py [--scenario NAME] [--points K]     PAYCURL names the binary (default: build/dev/paycurl)
"""

import tempfile

from calls import calls_of, inject, was_injected
from scenarios import build_shim
from sweep import finish, must_fail, parse, sweep

DISK = {"open", "openat", "write", "pwrite64", "writev", "fsync", "fdatasync", "ftruncate", "fallocate", "mkdir",
        "rename", "renameat", "renameat2", "unlink", "unlinkat"}
# They cannot fail, or have nothing to do with files and sockets. Without random bytes paycurl stops where it is.
SAFE = {"getrandom", "exit_group", "exit", "brk", "munmap", "madvise", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn",
        "getpid", "geteuid", "getuid", "gettid", "futex", "mprotect", "set_robust_list", "rseq", "prctl", "execve",
        "restart_syscall"}


def can_fail(call):
    """Memory is not what this is about, and a kernel lets go of a lock. What cannot be said on stderr is not said."""
    spared = ("MAP_ANONYMOUS", "F_UNLCK", "write(2, ")
    return call.name not in SAFE and not any(text in call.text for text in spared)


def errors_of(world):
    """Each call of a good run that can fail, with EIO, and with ENOSPC where it uses the disk."""
    points = []
    for call in calls_of(world):
        if not can_fail(call):
            continue
        points.append((call.name, call.number, "EIO"))
        if call.name in DISK:
            points.append((call.name, call.number, "ENOSPC"))
    return points


def fail(world, point):
    """In a stream the calls do not always come in the same order: what met the release of a lock is tried again."""
    name, number, error = point
    met = False
    for _ in range(5):
        with tempfile.NamedTemporaryFile("r") as log:
            world.run(prefix=inject(name, f"error={error}:when={number}", log.name))
            hit = [line for line in log if was_injected(line)]
        met = bool(hit) and "F_UNLCK" not in hit[0]
        if met or not hit:
            break
        world.reset(world.market.journal)
    world.finish()
    return met


def shim_points(calls):
    def points_of(world):
        world.reset()
        with tempfile.NamedTemporaryFile("r") as log:
            world.run(env={"LD_PRELOAD": build_shim(), "FAULTS_HOME": str(world.home.path), "FAULTS_LOG": log.name})
            assert not world.judge(), world.judge()
            lines = log.read().splitlines()
        return [(number, line.replace(str(world.home.path), "~")) for number, line in enumerate(lines, 1)
                if line.split(" ")[0] in calls]
    return points_of


def with_shim(variable):
    def attempt(world, point):
        with tempfile.NamedTemporaryFile("r") as log:
            world.run(env={"LD_PRELOAD": build_shim(), "FAULTS_HOME": str(world.home.path), "FAULTS_LOG": log.name,
                           variable: str(point[0])})
            met = len(log.read().splitlines()) >= point[0]
        world.finish()
        return met
    return attempt


def go_on_without_journal(world, point):
    """What paying without a record would look like."""
    world.market.journal = lambda *_: []
    return fail(world, point)


if __name__ == "__main__":
    options = parse(__doc__.splitlines()[0])
    must_fail("a journal without the row", "unrecorded", errors_of, go_on_without_journal)
    must_fail("a journal without the row", "unrecorded", errors_of, go_on_without_journal, "session-voucher")
    must_fail("a journal without the row", "unrecorded", errors_of, go_on_without_journal, "lightning")
    good = sweep(options, errors_of, fail)
    short = {"read", "write", "writev", "pread64", "pwrite64", "send", "sendto", "recv"}
    good = sweep(options, shim_points(short), with_shim("FAULTS_SHORT"), " (short)") and good
    full = {"open", "write", "pwrite64", "ftruncate", "mkdir", "fsync", "fdatasync"}
    finish(sweep(options, shim_points(full), with_shim("FAULTS_FULL"), " (disk full from there on)") and good)
