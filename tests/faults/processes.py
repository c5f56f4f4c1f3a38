#!/usr/bin/env python3
"""N processes that pay M times each, all at once, from one journal: every payment arrives once and the sum is exact.

    tests/faults/processes.py [-n N] [-m M] [--kill PERCENT]  PAYCURL names the binary (default: build/dev/paycurl)

With --kill that share of the processes is killed at a random moment, and more runs finish what they left in doubt.
"""

import argparse
import random
import subprocess
import sys
import time

from scenarios import PAYCURL, TABLE, World, judge_session


def start(world, count):
    limits = ["--max-spend", "1000", "--max-spend", "1000000sat", "--max-deposit", "1000"]
    return subprocess.Popen([PAYCURL, *limits, *world.command() * count], env=world.home.env, stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def pay(world, processes, payments, percent, chance):
    """Runs everything; returns how many processes were killed and what went wrong."""
    wrong, killed = [], 0
    running = [start(world, payments) for _ in range(processes)]
    for process in running:
        if chance.random() * 100 < percent:
            killed += 1
            time.sleep(chance.random() * 0.05)
            process.kill()
    for number, process in enumerate(running):
        out, err = process.communicate()
        whole = process.returncode == 0 and out == world.scenario.goods * payments
        # What a killed process had paid for, or what it signed and may have sent to the chain.
        finished_another = percent and (process.returncode == 108 or b": no such transaction" in err
                                        and b"the payment can settle until" in err and process.returncode == 107)
        if not whole and process.returncode != -9 and not finished_another:
            wrong.append(f"process {number} ended in {process.returncode}: {err.decode()[:300]}")
    world.market.rest()
    return killed, wrong


def settle(world):
    """Runs of one payment each until nothing is in doubt. Returns how many."""
    for runs in range(1, 1000):
        if all(row["status"] != "unknown" for row in world.journal()):
            return runs - 1
        start(world, 1).communicate()
    raise AssertionError("the doubts do not end")


def compare_payments(world, _):
    ledger = world.market.ledger
    rows = [row for row in world.journal() if row["status"] == "settled"]
    name = lambda row: row["challenge_id"] if row["amount"] == "0" else row["reference"]
    if len({name(row) for row in rows}) != len(rows) or {name(row) for row in rows} != set(ledger):
        yield f"{len(rows)} rows are settled, {len(ledger)} payments moved money"
    if sum(int(row["amount"]) for row in rows) != sum(ledger.values()):
        yield "the sums differ"


def compare_channels(world, killed):
    """One channel, whose numbers are the payee's; a killed process can have signed for what it did not ask for."""
    channels, rows = world.journal("channels"), world.journal()
    if [row["id"] for row in channels] != list(world.market.channels) or len(channels) != 1:
        return [f"{len(channels)} channels, the payee has {len(world.market.channels)}"]
    row, payee = channels[0], world.market.channels[channels[0]["id"]]
    signed, paid = int(row["signed"]), sum(int(each["amount"]) for each in rows)
    if signed != paid or not int(row["spent"]) <= payee.spent <= payee.accepted <= signed:
        return [f"rows {paid}, signed {signed}, accepted {payee.accepted}, spent {payee.spent}, {row['spent']}"]
    if not killed and int(row["spent"]) != signed:
        return [f"{signed} signed, {row['spent']} spent"]
    return []


def attempt(scenario, options):
    begin, chance = time.monotonic(), random.Random(options.seed)
    world = World(scenario)
    world.reset(journal=lambda: [])
    world.market.journal = None  # looked at once, afterwards
    killed, wrong = pay(world, options.n, options.m, options.kill, chance)
    settle(world)
    ledger = world.market.ledger
    wrong += (compare_channels if scenario.judge is judge_session else compare_payments)(world, killed)
    if not options.kill and len(ledger) != options.n * options.m:
        wrong.append(f"{len(ledger)} payments instead of {options.n * options.m}")
    print(f"{scenario.name}: {options.n} x {options.m}, {len(ledger)} paid, {killed} killed, "
          f"sum {sum(ledger.values())}, {len(wrong)} violations; {time.monotonic() - begin:.0f} s", flush=True)
    for text in wrong[:5]:
        print("  " + text)
    world.close()
    return not wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-n", type=int, default=16, help="processes (16)")
    parser.add_argument("-m", type=int, default=25, help="payments of each (25)")
    parser.add_argument("--kill", type=float, default=0, metavar="PERCENT", help="kill so many of the processes (0)")
    parser.add_argument("--seed", type=int, default=1, help="of the random moments (1)")
    parser.add_argument("--scenario", action="append", metavar="NAME",
                        help="charge, push, proof, session-voucher, lightning (all), session-open")
    options = parser.parse_args()
    names = options.scenario or ("charge", "push", "proof", "session-voucher", "lightning")
    results = [attempt(scenario, options) for scenario in TABLE if scenario.name in names]
    return 0 if results and all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
