#!/usr/bin/env python3
"""Kill -9 at every system call that writes, sends or locks, then clean runs of the same command.

    tests/faults/kill.py [--scenario NAME] [--points K]       PAYCURL names the binary (default: build/dev/paycurl)

First it shows that it can fail: without its journal the next run pays again, and that must be found; so must a proof
that was written down.
"""

import shutil
import signal

from calls import calls_of, inject
from sweep import finish, must_fail, parse, sweep

CALLS = {"write", "pwrite64", "writev", "pwritev", "sendto", "sendmsg", "fsync", "fdatasync", "rename", "renameat",
         "renameat2", "unlink", "unlinkat", "mkdir", "mkdirat", "ftruncate", "fallocate", "connect", "exit_group"}


def is_point(call):
    if call.name in ("open", "openat"):
        return "O_CREAT" in call.text
    if call.name == "fcntl":
        return "LK" in call.text
    return call.name in CALLS


def points_of(world):
    return [(call.name, call.number) for call in calls_of(world) if is_point(call)]


def kill(world, point):
    name, number = point
    done = world.run(prefix=inject(name, f"signal=SIGKILL:when={number}"))
    world.finish()
    return done.code == -signal.SIGKILL


def writes_of(world):
    """Between the answer and its output is where a lost journal costs money."""
    return [point for point in points_of(world) if point[0] == "write"]


def kill_and_forget(world, point):
    name, number = point
    world.run(prefix=inject(name, f"signal=SIGKILL:when={number}"))
    shutil.rmtree(world.home.state, True)
    world.finish()
    return True


def keep_proof(world, point):
    name, number = point
    world.run(prefix=inject(name, f"signal=SIGKILL:when={number}"))
    world.finish()
    (world.home.path / "proof").write_text("".join(each.preimage.hex() for each in world.market.invoices.values()))
    world.scenario.watch(world)
    return True


if __name__ == "__main__":
    options = parse(__doc__.splitlines()[0])
    must_fail("a lost journal", "double", writes_of, kill_and_forget)
    must_fail("a lost journal", "unrecorded", writes_of, kill_and_forget, "session-voucher")
    must_fail("a lost journal", "double", writes_of, kill_and_forget, "lightning")
    must_fail("a proof that was kept", "leak", writes_of, keep_proof, "lightning")
    finish(sweep(options, points_of, kill))
