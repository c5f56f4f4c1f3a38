"""What the sweeps share: arguments, sampling, counting, the line for each scenario."""

import argparse
import collections
import sys
import time

from scenarios import TABLE, World

KINDS = {"double": "double payments", "unrecorded": "unrecorded", "status": "wrong statuses", "stuck": "stuck",
         "leak": "leaks", "silent": "silent", "crash": "crashes", "hang": "hangs"}
SHOWN = 5  # violations printed in full for each scenario
ENOUGH = 0.9  # of the points must meet their fault, or the sweep has missed its target


def parse(description, **more):
    """The options of a sweep; `more`: name=(default, help)."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--scenario", action="append", metavar="NAME", help="only this one; may be repeated")
    parser.add_argument("--points", type=int, metavar="K", help="a sample of K points for each scenario; leaves out the rare ones")
    parser.add_argument("-v", "--verbose", action="store_true", help="print every violation")
    for name, (value, text) in more.items():
        parser.add_argument("--" + name, default=value, type=type(value), help=text)
    options = parser.parse_args()
    names = [scenario.name for scenario in TABLE]
    for name in options.scenario or ():
        if name not in names:
            parser.error(f"no scenario {name}; there are: {', '.join(names)}")
    return options


def sample(points, count):
    """`count` of the points, evenly spread; the first and the last are among them."""
    if count is None or count >= len(points):
        return points
    if count == 1:
        return [points[len(points) // 2]]
    return [points[i * (len(points) - 1) // (count - 1)] for i in range(count)]


def try_points(scenario, count, points_of, try_point):
    """Number of points, how many met their fault, and the violations as (kind, text)."""
    world, met, found = World(scenario), 0, []
    points = sample(points_of(world), count)
    for point in points:
        world.reset()
        met += bool(try_point(world, point))
        runs = ", ".join(str(run.code) for run in world.runs)
        for kind, text in world.judge():
            found.append((kind, f"{' '.join(map(str, point))}: {kind}: {text.strip()} (runs: {runs})"))
    world.close()
    return len(points), met, found


def is_wanted(scenario, options):
    if options.scenario:
        return scenario.name in options.scenario
    return not (scenario.rare and options.points)


def sweep(options, points_of, try_point, label=""):
    """Every point of every scenario: `points_of(world)` lists them, `try_point(world, point)` runs one in a world that
    was set back and says whether the fault was met. True when nothing was violated."""
    good = True
    for scenario in TABLE:
        if not is_wanted(scenario, options):
            continue
        start = time.monotonic()
        points, met, found = try_points(scenario, options.points, points_of, try_point)
        counts = collections.Counter(kind for kind, _ in found)
        told = ", ".join(f"{counts[kind]} {name}" for kind, name in KINDS.items())
        seconds = time.monotonic() - start
        print(f"{scenario.name}{label}: {points} points, {met} met, {told}; {seconds:.0f} s", flush=True)
        for _, text in found if options.verbose else found[:SHOWN]:
            print("  " + text, flush=True)
        enough = met >= int(ENOUGH * points)
        if not enough:
            print("  too few points met their fault: nothing is shown by this")
        good = good and not found and enough
    return good


def must_fail(what, kinds, points_of, try_point, name="charge"):
    """A lab that cannot fail is worth nothing: a fault that must be found as these kinds of violation."""
    scenario = next(scenario for scenario in TABLE if scenario.name == name)
    _, _, found = try_points(scenario, 25 if name == "charge" else 8, points_of, try_point)
    for kind in kinds.split():
        times = sum(1 for each, _ in found if each == kind)
        print(f"self-check, {name}, {what}: found {times} times as {KINDS[kind]}", flush=True)
        if times == 0:
            sys.exit("the self-check was not found: this lab shows nothing")


def finish(good):
    sys.exit(0 if good else 1)
