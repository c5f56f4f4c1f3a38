#!/usr/bin/env python3
"""Power loss at every sync, send and answer: only what was synced survives; then clean runs of the same command.

    tests/faults/power.py [--scenario NAME] [--points K]      PAYCURL names the binary (default: build/dev/paycurl)

Two sweeps: one in which nothing that was not synced survives, and one ("torn") in which a random half of the names and
4 KiB blocks that were not synced does. First it shows that it can fail: a disk that ignores syncs must be found.
"""

import pathlib
import random
import shutil
import signal
import tempfile

from market import read_journal
from scenarios import build_shim  # adds the folder of the lab
from lab import fast_folder
from sweep import finish, must_fail, parse, sweep

BLOCK = 4096


class Disk:
    """What of a home is durable: the shim's shadow of it (see shim.c)."""

    def __init__(self, world):
        self.home = world.home.path
        self.shadow = pathlib.Path(tempfile.mkdtemp(prefix="paycurl-shadow-", dir=fast_folder()))
        (self.shadow / "data").mkdir()
        (self.shadow / "names").mkdir()

    def environment(self, **more):
        return {"LD_PRELOAD": build_shim(), "FAULTS_HOME": str(self.home), "FAULTS_SHADOW": str(self.shadow), **more}

    def names(self, key):
        path = self.shadow / "names" / key
        lines = path.read_text().splitlines() if path.exists() else []
        return {name: (kind, below) for kind, below, name in (line.split(" ", 2) for line in lines)}

    def rebuild(self, to, key=None, at="", torn=None):
        """Writes to `to` what a power loss leaves. With `torn`, a random source, more may survive."""
        key = key or (self.shadow / "root").read_text()
        to.mkdir(mode=0o700, exist_ok=True)
        names, now = self.names(key), self.home / at
        if torn and now.is_dir():
            there = {path.name: path for path in now.iterdir() if not path.name.endswith("-shm")}
            names = {name: entry for name, entry in names.items() if name in there or torn.random() < 0.5}
            for name in sorted(set(there) - set(names)):
                if torn.random() < 0.5:
                    names[name] = ("d" if there[name].is_dir() else "f", "")
        for name, (kind, below) in names.items():
            if kind == "d":
                self.rebuild(to / name, below or "never", f"{at}/{name}".lstrip("/"), torn)
                continue
            kept = self.shadow / "data" / (below or "never")
            data = kept.read_bytes() if kept.exists() else None
            if torn and (now / name).is_file():
                data = mixed(data, (now / name).read_bytes(), torn)
            (to / name).write_bytes(data or b"")
            (to / name).chmod(0o600)

    def lose_power(self, torn=None):
        after = pathlib.Path(tempfile.mkdtemp(prefix="paycurl-after-", dir=fast_folder())) / "home"
        self.rebuild(after, torn=torn)
        shutil.rmtree(self.home)
        shutil.copytree(after, self.home)
        shutil.rmtree(after.parent)

    def journal(self, state, table):
        """A table of the journal as it would be if the power went now."""
        with tempfile.TemporaryDirectory(prefix="paycurl-durable-") as durable:
            self.rebuild(pathlib.Path(durable))
            return read_journal(pathlib.Path(durable) / state, table)

    def close(self):
        shutil.rmtree(self.shadow)


def mixed(old, new, torn):
    """What was never synced has lost its end; otherwise some blocks are old, some new, and the size is one of both."""
    if old is None:
        return new[:torn.choice((0, len(new) // 2, len(new)))]
    size = torn.choice((len(old), len(new)))
    blocks = [torn.choice((old, new))[start:start + BLOCK].ljust(BLOCK, b"\0") for start in range(0, size, BLOCK)]
    return b"".join(blocks)[:size]


def points_of(world):
    with tempfile.NamedTemporaryFile("r") as log:
        world.reset()
        world.run(env={"LD_PRELOAD": build_shim(), "FAULTS_LOG": log.name})
        assert not world.judge(), world.judge()
        lines = log.read().splitlines()
    changing = ("fsync", "fdatasync", "send", "recv", "connect", "write ", "rename", "unlink", "ftruncate", "end")
    return [(number, line.replace(str(world.home.path), "~").strip()) for number, line in enumerate(lines, 1)
            if line.startswith(changing)]


def lose(world, point, torn=None, **more):
    disk = Disk(world)
    try:
        state = world.home.state.relative_to(world.home.path)
        world.market.journal = lambda table="payments": disk.journal(state, table)
        done = world.run(env=disk.environment(FAULTS_KILL=str(point[0]), **more))
        disk.lose_power(torn)
        world.market.journal = world.journal
        world.finish()
    finally:
        disk.close()
    return done.code == -signal.SIGKILL


def lose_torn(world, point):
    return lose(world, point[:-1], torn=random.Random(f"{point}"))


def torn_points_of(world):
    return [(*point, seed) for point in points_of(world) for seed in range(4)]


def lose_all(world, point):
    return lose(world, point, FAULTS_DROP="1")


if __name__ == "__main__":
    options = parse(__doc__.splitlines()[0])
    must_fail("a disk that ignores syncs", "double unrecorded", points_of, lose_all)
    must_fail("a disk that ignores syncs", "unrecorded", points_of, lose_all, "session-voucher")
    must_fail("a disk that ignores syncs", "unrecorded", points_of, lose_all, "lightning")
    good = sweep(options, points_of, lose)
    finish(sweep(options, torn_points_of, lose_torn, " (torn)") and good)
