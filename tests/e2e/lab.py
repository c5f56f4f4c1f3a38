"""What the end-to-end tests share: a sandboxed home, the paycurl under test, the devnet, the Lightning lab.

PAYCURL names the binary (default: build/dev/paycurl). DEVNET_URL and DEVNET_RPC name a running devnet,
LIGHTNING_CONTROL a running Lightning lab; without them one is started on free ports and stopped at the end.
"""

import atexit
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(ROOT / "tests"))
import schemas  # noqa: E402

PAYCURL = os.environ.get("PAYCURL", str(ROOT / "build/dev/paycurl"))
DEVNET = HERE / "devnet"
LIGHTNING = HERE / "lightning"

# The well-known development accounts of anvil ("test test ... junk").
PAYER_KEY = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
PAYER = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
PAYEE = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
SPONSOR = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"
SPLIT_A = "0x90F79bf6EB2c4f870365E785982E1f101E93b906"
SPLIT_B = "0x15d34AAf54267DB7D7c367839AAf71A00a2C6A65"
ALPHA = "0x20c0000000000000000000000000000000000001"
PATH = "0x20c0000000000000000000000000000000000000"


def free_ports(count):
    """Below those that the kernel gives to clients, so that nobody takes them in between."""
    ports = []
    while len(ports) < count:
        try:
            port = random.randrange(10000, 20000)
            socket.create_server(("127.0.0.1", port)).close()
            ports = sorted({*ports, port})
        except OSError:
            pass
    return ports


class Done:
    """How a command ended."""

    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    @property
    def text(self):
        return self.out.decode(errors="replace")

    @property
    def errors(self):
        return self.err.decode(errors="replace")

    @property
    def json(self):
        return json.loads(self.out)

    def __repr__(self):
        return f"exit {self.code}\n--- stdout\n{self.text[:2000]}\n--- stderr\n{self.errors[:4000]}"


# Every byte that a tested paycurl printed; the canary test looks for secrets in it.
ALL_OUTPUT = []


def fast_folder():
    """In memory where there is room: on a disk that stalls an fsync, the waits of a test would run out."""
    try:
        return "/dev/shm" if shutil.disk_usage("/dev/shm").free > 256 << 20 and os.access("/dev/shm", os.W_OK) else None
    except OSError:
        return None


class Home:
    """A home folder of its own, with nothing of the caller's environment."""

    def __init__(self, key=PAYER_KEY, rpc=None, **extra):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="paycurl-home-", dir=fast_folder()))
        atexit.register(shutil.rmtree, self.path, True)
        self.env = {"HOME": str(self.path), "PATH": os.environ["PATH"], "LANG": "C.UTF-8", "PAYCURL_NO_PROMPT": "1"}
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS"):
            if name in os.environ:
                self.env[name] = os.environ[name]
        if key:
            self.env["PAYCURL_PRIVATE_KEY"] = key
        if rpc:
            self.env["PAYCURL_RPC_URL"] = rpc
        self.env.update(extra)

    @property
    def state(self):
        return self.path / ".local/state/paycurl"

    def run(self, *args, stdin=b"", timeout=60, env=None, **options):
        """Runs paycurl with these arguments."""
        everything = {**self.env, **(env or {})}
        everything = {name: value for name, value in everything.items() if value is not None}
        process = subprocess.run(
            [PAYCURL, *map(str, args)], input=stdin, capture_output=True, timeout=timeout, env=everything, **options)
        ALL_OUTPUT.append(process.stdout)
        ALL_OUTPUT.append(process.stderr)
        schemas.check(process.stdout)
        return Done(process.returncode, process.stdout, process.stderr)

    def start(self, *args, env=None, **options):
        """Starts paycurl and returns the process."""
        return subprocess.Popen([PAYCURL, *map(str, args)], env={**self.env, **(env or {})}, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)

    def payments(self):
        return self.run("payments", "list", "-j", "--limit", 1000).json["payments"]


class Devnet:
    """The local chain with the real mppx server in front; `own`: not the one that all tests share."""

    def __init__(self, own=False):
        self.process = None
        shared = {} if own else os.environ
        self.url, self.rpc_url = shared.get("DEVNET_URL"), shared.get("DEVNET_RPC")
        self.logs = pathlib.Path(shared.get("DEVNET_LOGS") or tempfile.mkdtemp(prefix="paycurl-devnet-", dir=fast_folder()))
        if not self.url:
            self._start()

    def _start(self):
        anvil, rpc, http = free_ports(3)
        self.url, self.rpc_url = f"http://127.0.0.1:{http}", f"http://127.0.0.1:{rpc}"
        env = {**os.environ, "DEVNET_ANVIL_PORT": str(anvil), "DEVNET_RPC_PORT": str(rpc), "DEVNET_HTTP_PORT": str(http),
               "DEVNET_LOGS": str(self.logs)}
        self.process = subprocess.Popen([str(DEVNET / "run.sh")], env=env, stdout=subprocess.PIPE, text=True)
        atexit.register(self.stop)
        for line in self.process.stdout:
            if line.startswith("READY"):
                return
        raise RuntimeError("the devnet did not start")

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(10)
            self.process.stdout.close()

    def rpc(self, method, *params):
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
        request = urllib.request.Request(self.rpc_url, body, {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            reply = json.load(answer)
        if "error" in reply:
            raise RuntimeError(reply["error"]["message"])
        return reply["result"]

    def balance(self, address, token=ALPHA):
        data = "0x70a08231" + address[2:].lower().rjust(64, "0")
        return int(self.rpc("eth_call", {"to": token, "data": data}, "latest"), 16)

    def log(self):
        """What reached the server since `clear`."""
        with urllib.request.urlopen(self.url + "/_devnet/log", timeout=10) as answer:
            return json.load(answer)

    def clear(self):
        urllib.request.urlopen(urllib.request.Request(self.url + "/_devnet/log", method="DELETE"), timeout=10).read()

    def moved(self, addresses, action, token=ALPHA):
        """The result of `action` and by how much each balance changed."""
        before = [self.balance(a, token) for a in addresses]
        result = action()
        return result, [self.balance(a, token) - b for a, b in zip(addresses, before)]


class Lightning:
    """Three Lightning nodes, the wallets of one of them, and a shop that another is paid by: tests/e2e/lightning."""

    PORTS = 9

    def __init__(self, own=False):
        self.process = None
        self.control = None if own else os.environ.get("LIGHTNING_CONTROL")
        if not self.control:
            self._start()
        info = self.get("/info")
        self.http, self.https, self.wallets = info["http"], info["https"], info["wallets"]
        self.certificate, self.blind = info["certificate"], info["blind"]

    def _start(self):
        base = next(b for b in iter(lambda: random.randrange(20000, 32000), None) if self._free(b))
        self.control = f"http://127.0.0.1:{base + 2}"
        self.process = subprocess.Popen([str(LIGHTNING / "run.sh"), str(base)], stdout=subprocess.PIPE, text=True)
        atexit.register(self.stop)
        for line in self.process.stdout:
            if line.startswith("READY"):
                return
        raise RuntimeError("the Lightning lab did not start")

    def _free(self, base):
        try:
            for port in range(base, base + self.PORTS):
                socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            return False
        return True

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(10)
            self.process.stdout.close()

    def get(self, path, method="GET"):
        request = urllib.request.Request(self.control + path, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def post(self, path):
        return self.get(path, "POST")

    def moved(self, action):
        """The result of `action`, and by how many millisatoshi the payer's and the merchant's balance changed."""
        before = self.get("/balances")
        result = action()
        after = self.get("/balances")
        return result, after["payer"] - before["payer"], after["merchant"] - before["merchant"]

    def await_held(self, process):
        """Waits until a payment of `process` is held."""
        assert wait_for(lambda: self.get("/held")["held"] == 1 or process.poll() is not None), "no payment arrived"
        assert process.poll() is None, "it ended without a payment that is held"


def routed(sats):
    """What it costs to be paid so many sat over the router, in millisatoshi."""
    return sats * 1000 + 4000 + sats * 4


def check_canary(*secrets):
    """No key and no credential in anything that a tested paycurl printed."""
    everything = b"".join(ALL_OUTPUT).lower()
    for secret in secrets:
        assert secret.lower().removeprefix("0x").encode() not in everything, "a secret was printed"
    assert b"payment eyj" not in everything, "a credential was printed"


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False
