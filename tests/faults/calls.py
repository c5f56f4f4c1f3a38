"""The system calls of a good run, and how to make one of them fail (strace)."""

import collections
import re
import tempfile
from typing import NamedTuple


class Call(NamedTuple):
    name: str
    number: int  # the how-manieth of that name: what strace's when= counts
    text: str


def calls_of(world):
    """The calls of a run in a world that was set back, from the first that touches the home or the network: what comes
    before is the loader, libraries and the command line."""
    world.reset()
    with tempfile.NamedTemporaryFile("r") as log:
        world.run(prefix=["strace", "-f", "-qq", "-s", "200", "-o", log.name])
        lines = log.read().splitlines()
    assert not world.judge(), world.judge()
    counts, calls, begun = collections.Counter(), [], False
    for line in lines:
        match = re.match(r"(\d+) +(\w+)\(", line)
        if not match:
            continue
        thread, name = match.groups()
        counts[thread, name] += 1
        begun = begun or str(world.home.path) in line or name == "socket"
        if begun and name != "execve":
            calls.append(Call(name, counts[thread, name], line))
    return calls


def inject(name, what, log="/dev/null"):
    return ["strace", "-f", "-qq", "-o", log, "-e", f"trace={name}", "-e", f"inject={name}:{what}"]


def was_injected(log):
    return "(INJECTED)" in log
