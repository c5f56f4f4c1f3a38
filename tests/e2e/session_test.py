"""Payment channels against the real mppx server on the local chain: deposits, vouchers, streams, closing, recovery."""

import json
import shutil
import signal
import subprocess
import time
import unittest
import urllib.request

from lab import DEVNET, PAYEE, PAYER, PAYER_KEY, Devnet, Home, check_canary, wait_for

RESERVE = "0x4d50500000000000000000000000000000000000"
V1_ESCROW = "0xe1c4d3dce17bc111181ddf716f75bae49e61a336"
DEAD_NODE = "http://127.0.0.1:1"

# Payees, one for each group of routes, and another payer: accounts of anvil.
PAYEE_SPONSORED = "0x90F79bf6EB2c4f870365E785982E1f101E93b906"
PAYEE_V1 = "0x9965507D1a55bcC2695C58ba16FB37d819B0A4dc"
PAYEE_SSE = "0x976EA74026E726554dB657fA54763abd0C3a0aa9"
PAYEE_TOP_UP = "0x14dC79964da2C08b23698B3D3cc7Ca32193d9955"
LOSER, LOSER_KEY = ("0x1CBd3b2770909D4e10f157cABC84C7264073C9Ec",
                    "0x47c99abed3324a2707c28affff1267e45918ec8c3f20b8aa892e8b065d2942dd")

UNIT = b'{"ok":true,"unit":1}'
WORDS = [f"word{n}" for n in range(1, 51)]
STREAM = "".join(f"event: message\ndata: {word}\n\n" for word in WORDS).encode()
net = None


def setUpModule():
    global net
    net = Devnet()


def tearDownModule():
    try:
        check_canary(PAYER_KEY, LOSER_KEY)
    finally:
        net.stop()


def base(money):
    return int(money["base"])


class Case(unittest.TestCase):
    def setUp(self):
        self.net = net
        self.home = Home(rpc=net.rpc_url)
        net.clear()

    def run_ok(self, *arguments, **options):
        done = self.home.run(*arguments, **options)
        self.assertEqual((done.code, done.errors), (0, ""), done)
        return done

    def pay(self, path, *options, times=1, **more):
        """Pays for `path`, which answers with one unit."""
        for _ in range(times):
            self.assertEqual(self.run_ok(*options, self.net.url + path, **more).out, UNIT)

    def sessions(self, *options, home=None):
        return (home or self.home).run("sessions", "list", "-j", *options).json["sessions"]

    def session(self, which="last"):
        return self.run_ok("sessions", "show", which, "-j").json["session"]

    def numbers(self, which="last"):
        """deposit, signed, accepted, spent and units of a session."""
        s = self.session(which)
        return *(base(s[name]) for name in ("deposit", "signed", "accepted", "spent")), s["units"]

    def on_chain(self, channel, escrow=RESERVE):
        """What the escrow says: deposit, settled, when a close was requested."""
        if escrow == RESERVE:
            words = self.net.rpc("eth_call", {"to": escrow, "data": "0xd18da8b1" + channel[2:]}, "latest")
            settled, deposit, closing = (int(words[2 + 64 * i:66 + 64 * i], 16) for i in range(3))
        else:
            words = self.net.rpc("eth_call", {"to": escrow, "data": "0x831c2b82" + channel[2:]}, "latest")
            closing, deposit, settled = (int(words[2 + 64 * i:66 + 64 * i], 16) for i in (1, 6, 7))
        return deposit, settled, closing

    def actions(self, *paths):
        """The credentials of sessions that reached the server."""
        return [entry["payload"]["action"] for entry in self.net.log() if "action" in (entry.get("payload") or {})
                and (not paths or entry["path"] in paths)]

    def admin(self, path, method="GET"):
        with urllib.request.urlopen(urllib.request.Request(self.net.url + path, method=method), timeout=10) as answer:
            return json.load(answer)


class Requests(Case):
    def test_first_call_opens_and_the_next_is_one_request(self):
        self.pay("/session")
        first = self.session()
        self.assertEqual(self.on_chain(first["id"]), (10_000, 0, 0))
        self.assertEqual(self.numbers(), (10_000, 1_000, 1_000, 1_000, 1))
        self.assertEqual((first["status"], first["payer"], first["payee"], first["source"], first["origin"]),
                         ("open", PAYER, PAYEE, "paycurl", net.url))
        net.clear()
        self.pay("/session", env={"PAYCURL_RPC_URL": DEAD_NODE})
        (entry,) = net.log()
        self.assertEqual((entry["payload"]["action"], entry["payload"]["cumulativeAmount"]), ("voucher", "2000"))
        self.assertEqual(self.numbers(), (10_000, 2_000, 2_000, 2_000, 2))
        self.pay("/session?another=query", "--offline")
        self.assertEqual(len(net.log()), 2)
        self.assertEqual(self.numbers()[3:], (3_000, 3))

    def test_json_says_what_lies_in_the_channel(self):
        done = self.run_ok("-j", net.url + "/session")
        payment = done.json["payment"]
        channel = payment["channel"]
        self.assertEqual((payment["paid"]["amount"], payment["intent"], payment["session"]),
                         ("0.001", "session", channel["id"]))
        self.assertEqual((channel["remaining"]["amount"], channel["deposit"]["amount"]), ("0.009", "0.01"))
        self.assertEqual(payment["receipt"]["channelId"], channel["id"])
        self.assertEqual(self.home.payments()[0]["paid"]["amount"], "0.001")

    def test_a_post_with_a_body_and_several_urls(self):
        done = self.run_ok("--json", '{"q":1}', net.url + "/session", net.url + "/session", net.url + "/session")
        self.assertEqual(done.out, UNIT * 3)
        self.assertEqual(self.actions(), ["open", "voucher", "voucher"])

    def test_full_channel_is_topped_up(self):
        self.pay("/session", "--deposit", "0.002", times=2)
        self.pay("/session")
        self.assertEqual(self.actions(), ["open", "voucher", "topUp", "voucher"])
        self.assertEqual(self.numbers()[1:], (3_000, 3_000, 3_000, 3))
        self.assertEqual(self.on_chain(self.session()["id"])[0], self.numbers()[0])

    def test_inspect_and_dry_run(self):
        done = self.run_ok("--inspect", "-j", net.url + "/session")
        (offer,) = done.json["offers"]
        self.assertEqual((offer["intent"], offer["price"]["amount"], offer["unit"]), ("session", "0.001", "request"))
        self.assertEqual(offer["suggestedDeposit"]["amount"], "0.01")
        quote = lambda: self.run_ok("--dry-run", "-j", net.url + "/session").json["quote"]["session"]
        self.assertEqual(quote(), "open")
        self.pay("/session", "--deposit", "0.002")
        self.assertEqual(quote(), "voucher")
        self.pay("/session")
        self.assertEqual(quote(), "topUp")
        self.assertEqual(self.actions(), ["open", "voucher"])

    def test_session_new_id_and_none(self):
        self.pay("/session")
        first = self.session()["id"]
        self.pay("/session", "--session", "new")
        second = self.session()["id"]
        self.assertNotEqual(first, second)
        self.pay("/session")  # the newest
        self.assertEqual(self.numbers(second)[3], 2_000)
        self.pay("/session", "--session", first[:12], times=2)
        self.assertEqual((self.numbers(first)[3], self.numbers(second)[3]), (3_000, 2_000))
        self.assertEqual(self.actions(), ["open", "open", "voucher", "voucher", "voucher"])
        self.assertEqual(self.home.run("--session", "0xabcdef", net.url + "/session").code, 2)
        done = self.home.run("--session", first, net.url + "/session/plain")  # of another payee
        self.assertEqual(done.code, 106, done)

    def test_no_session(self):
        self.assertEqual(self.home.run("--no-session", net.url + "/session").code, 101)
        self.assertEqual(self.home.run("--no-session", "--close", net.url + "/session").code, 2)
        before = net.balance(PAYEE)
        self.run_ok("--no-session", net.url + "/offers")
        self.assertEqual(net.balance(PAYEE) - before, 10_000)
        self.assertEqual(self.sessions(), [])
        self.run_ok("--intent", "session", net.url + "/offers")
        self.assertEqual(self.actions(), ["open"])

    def test_busy(self):
        self.pay("/session")
        slow = self.home.start(net.url + "/session?delay=8000")
        busy = lambda: self.home.run("--lock-timeout", "0", net.url + "/session")
        self.assertTrue(wait_for(lambda: busy().code == 106))
        done = busy()
        self.assertEqual((done.code, done.out), (106, b""), done)
        self.assertIn("another process", done.errors)
        self.assertEqual(self.home.run("sessions", "close", "last", "--lock-timeout", "0").code, 106)
        self.pay("/session", "--lock-timeout", "60")
        out, err = slow.communicate(timeout=60)
        self.assertEqual((slow.returncode, out, err), (0, UNIT, b""))
        _, signed, accepted, spent, units = self.numbers()
        self.assertEqual((signed, accepted), (spent, spent))

    def test_sixteen_processes_share_one_channel(self):
        url = net.url + "/session"
        running = [self.home.start("--deposit", "0.1", "--lock-timeout", "300", *[url] * 5) for _ in range(16)]
        for process in running:
            out, err = process.communicate(timeout=300)
            self.assertEqual((process.returncode, out, err), (0, UNIT * 5, b""))
        (session,) = self.sessions("--all")
        self.assertEqual(self.numbers(session["id"]), (100_000, 80_000, 80_000, 80_000, 80))
        self.assertEqual((self.actions().count("open"), self.actions().count("voucher")), (1, 79))
        self.assertEqual(len(self.home.payments()), 80)
        _, moved = net.moved([PAYEE], lambda: self.run_ok("sessions", "close", "--all"))
        self.assertEqual(moved, [80_000])


class Deposits(Case):
    def deposit(self, path, *options, code=0, says="", **more):
        """How much a first call puts into its channel; None when it opens none."""
        done = self.home.run("--session", "new", *options, net.url + path, **more)
        self.assertEqual(done.code, code, done)
        self.assertIn(says, done.errors)
        if code:
            self.assertEqual(self.actions(), [])
            return None
        net.clear()
        return self.numbers()[0]

    def test_rule(self):
        self.assertEqual(self.deposit("/session"), 10_000)
        self.assertEqual(self.deposit("/session/plain"), 100_000)  # nothing suggested: a hundred units
        self.assertEqual(self.deposit("/session", "--deposit", "0.25"), 250_000)
        self.assertEqual(self.deposit("/session", "--max-deposit", "0.004"), 4_000)
        self.assertEqual(self.deposit("/session/sse/plain", "--max-deposit", "2"), 1_000_000)
        self.assertEqual(self.deposit("/session/sse/plain", "--max-spend", "0.5"), 500_000)
        self.assertEqual(self.deposit("/session/plain", "--max-spend", "0.05"), 50_000)
        limit = {"PAYCURL_MAX_DEPOSIT": "0.003"}
        self.assertEqual(self.deposit("/session", env=limit), 3_000)
        self.assertEqual(self.deposit("/session", "--max-deposit", "0.002", env=limit), 2_000)

    def test_limits_that_say_no(self):
        self.deposit("/session", "--max-spend", "0.0005", code=102, says="--max-spend")
        self.deposit("/session", "--max-deposit", "0.0005", code=102, says="--max-deposit")
        self.deposit("/session", "--deposit", "0.02", "--max-deposit", "0.01", code=102, says="--max-deposit 0.02")
        self.deposit("/session", "--deposit", "2", code=102, says="--max-spend 2\n")
        self.deposit("/session", "--deposit", "0.0001", code=2, says="--deposit 0.0001")
        self.deposit("/session", "--deposit", "much", code=2)
        self.deposit("/session", env={"PAYCURL_MAX_DEPOSIT": ""}, code=2)
        self.assertEqual(self.sessions("--all"), [])

    def test_top_up_is_within_the_limit(self):
        self.pay("/session", "--max-deposit", "0.002", times=2)
        self.pay("/session", "--max-deposit", "0.002")  # what was spent makes room
        self.assertEqual(self.numbers(), (4_000, 3_000, 3_000, 3_000, 3))

    def test_a_run_is_one_budget(self):
        done = self.home.run("--max-spend", "0.0025", *[net.url + "/session"] * 4)
        self.assertEqual((done.code, done.out), (102, UNIT * 2), done)
        self.assertEqual(self.numbers()[1:4], (2_000, 2_000, 2_000))

    def test_sponsored(self):
        path = "/session/sponsored"
        spender = [PAYER, PAYEE_SPONSORED]
        _, moved = net.moved(spender, lambda: self.pay(path, "--deposit", "0.002"))
        self.assertEqual(moved, [-2_000, 0])
        self.pay(path)
        _, moved = net.moved(spender, lambda: self.pay(path))
        self.assertEqual(self.actions(), ["open", "voucher", "topUp", "voucher"])
        deposit = self.numbers()[0]
        self.assertEqual(moved, [-(deposit - 2_000), 0])
        _, moved = net.moved(spender, lambda: self.run_ok("sessions", "close", "last"))
        self.assertEqual(moved, [deposit - 3_000, 3_000])


class Streams(Case):
    def stream(self, path, *options, code=0):
        done = self.home.run(*options, net.url + path)
        self.assertEqual(done.code, code, done)
        return done

    def test_vouchers_in_the_middle(self):
        done = self.stream("/session/sse")
        self.assertEqual((done.out, done.err), (STREAM, b""))
        # One unit to open, then ten ahead of what is asked for each time.
        cumulative = [int(e["payload"]["cumulativeAmount"]) for e in net.log() if e.get("payload")]
        self.assertEqual(self.actions(), ["open"] + ["voucher"] * 5)
        self.assertEqual(cumulative, [1_000, 11_000, 21_000, 31_000, 41_000, 51_000])
        self.assertEqual(self.numbers(), (1_000_000, 51_000, 51_000, 50_000, 50))
        self.assertEqual(self.home.payments()[0]["paid"]["base"], "51000")
        _, (payee,) = net.moved([PAYEE_SSE], lambda: self.run_ok("sessions", "close", net.url + "/session/sse"))
        self.assertEqual(payee, 50_000)

    def test_what_is_signed_ahead_is_used_first(self):
        self.stream("/session/sse")
        net.clear()
        self.run_ok(net.url + "/session/sse/plain")
        self.assertEqual(self.numbers()[1:4], (51_000, 51_000, 51_000))
        self.stream("/session/sse")
        self.assertEqual(self.numbers()[3], 101_000)

    def test_top_up_in_the_middle(self):
        done = self.stream("/session/sse-topup")
        self.assertEqual((done.out, done.err), (STREAM, b""))
        self.assertEqual(self.actions()[0], "open")
        self.assertIn("topUp", self.actions())
        deposit, signed, accepted, spent, units = self.numbers()
        self.assertEqual((spent, units), (50_000, 50))
        self.assertEqual(self.on_chain(self.session()["id"])[0], deposit)
        _, moved = net.moved([PAYEE_TOP_UP, PAYER], lambda: self.run_ok("sessions", "close", "--all"))
        self.assertEqual(moved, [50_000, deposit - 50_000])

    def test_receipt_of_the_event(self):
        done = self.stream("/session/sse", "-j")
        payment = done.json["payment"]
        self.assertEqual(done.json["response"]["body"].encode(), STREAM)
        receipt, channel = payment["receipt"], payment["channel"]
        self.assertEqual((receipt["spent"], receipt["units"], receipt["channelId"]), ("50000", 50, channel["id"]))
        self.assertEqual((payment["paymentStatus"], channel["spent"]["base"]), ("settled", "50000"))

    def test_shapes(self):
        done = self.stream("/session/sse", "--sse")
        self.assertEqual(done.err, b"")
        self.assertEqual(done.out.count(b"event: payment-need-voucher\n"), 5)
        self.assertEqual(done.out.count(b"event: payment-receipt\n"), 1)
        blocks = done.out.split(b"\n\n")
        self.assertEqual(b"".join(block + b"\n\n" for block in blocks if b"event: message" in block), STREAM)
        lines = self.stream("/session/sse", "--sse-json").text.splitlines()
        self.assertEqual([json.loads(line) for line in lines],
                         [{"event": "message", "id": None, "data": word} for word in WORDS])
        self.assertEqual(self.stream("/session/sse", "--text").text, "".join(WORDS))
        self.assertEqual(self.stream("/session/sse-tokens", "--text").text, "Hello, wörld ✓\x1b[1m!")
        self.assertEqual(len(self.stream("/session/sse-tokens", "-o", self.home.path / "out").out), 0)
        self.assertEqual((self.home.path / "out").read_bytes().count(b"event: message"), 5)
        self.assertEqual({a for a in self.actions("/session/sse")}, {"open", "voucher"})

    def test_step(self):
        self.stream("/session/sse", "-M", "step=0.025")
        self.assertEqual(self.actions(), ["open", "voucher", "voucher"])
        net.clear()
        self.stream("/session/sse", "--session", "new", "-M", "step=0.001")
        self.assertGreaterEqual(self.actions().count("voucher"), 40)

    def test_limit_in_the_middle(self):
        done = self.stream("/session/sse", "--max-spend", "0.02", code=108)
        self.assertEqual(done.out, STREAM[:len(done.out)])
        self.assertEqual(done.out.count(b"data: "), 20)
        self.assertRegex(done.errors, "--max-spend 0.03\n$")
        payment = self.home.payments()[0]
        self.assertEqual((payment["paymentStatus"], payment["paid"]["base"], payment["errorCode"]),
                         ("settled", "20000", 108))
        (session,) = self.sessions()
        self.assertEqual((session["status"], session["signed"]["base"]), ("open", "20000"))
        net.clear()
        self.assertEqual(self.stream("/session/sse").out, STREAM)
        self.assertNotIn("open", self.actions())

    def test_deposit_limit_in_the_middle(self):
        done = self.stream("/session/sse-topup", "--max-deposit", "0.001", "-j", code=108)
        self.assertEqual(done.json["response"]["body"], "event: message\ndata: word1\n\n")
        self.assertEqual(done.json["error"]["reason"], "max_deposit")
        self.assertEqual(done.json["error"]["paymentStatus"], "settled")
        self.assertNotIn("topUp", self.actions())
        self.assertEqual(self.session()["status"], "open")

    def test_interrupted(self):
        process = self.home.start("-N", net.url + "/session/sse-slow")
        seen = b""
        while seen.count(b"\n\n") < 5:
            seen += process.stdout.read1(4096)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 130, err)
        out = seen + out
        self.assertTrue(STREAM.startswith(out) and len(out) < len(STREAM), out)
        (session,) = self.sessions()
        signed = base(session["signed"])
        self.assertEqual((session["status"], signed % 10_000), ("open", 1_000))
        self.assertEqual(self.home.payments()[0]["paymentStatus"], "settled")
        delivered = out.count(b"\n\n") * 1_000
        _, (payee,) = net.moved([PAYEE_SSE], lambda: self.run_ok("sessions", "close", "last"))
        self.assertLessEqual(delivered, payee)
        self.assertLessEqual(payee, signed)
        self.assertEqual(base(self.session()["spent"]), payee)

    def test_reader_goes_away(self):
        process = self.home.start(net.url + "/session/sse-slow")
        process.stdout.read1(20)
        process.stdout.close()
        err = process.stderr.read()
        process.stderr.close()
        self.assertEqual(process.wait(60), 108, err)
        self.assertEqual(self.sessions()[0]["status"], "open")
        self.assertLess(self.numbers()[1], 51_000)

    def test_contract_escrow(self):
        self.pay("/v1/session", "--deposit", "0.003")
        session = self.session()
        self.assertEqual(session["escrow"].lower(), V1_ESCROW)
        self.assertEqual(self.on_chain(session["id"], V1_ESCROW), (3_000, 0, 0))
        net.clear()
        self.pay("/v1/session", env={"PAYCURL_RPC_URL": DEAD_NODE})
        self.assertEqual(len(net.log()), 1)
        done = self.stream("/v1/session/sse")
        self.assertEqual((done.out, done.err), (STREAM, b""))
        self.assertIn("topUp", self.actions())
        deposit, signed, _, spent, _ = self.numbers()
        self.assertEqual((spent, len(self.sessions("--all"))), (52_000, 1))
        _, moved = net.moved([PAYEE_V1, PAYER], lambda: self.run_ok("sessions", "close", "last"))
        self.assertEqual(moved, [52_000, deposit - 52_000])


class Closing(Case):
    def close(self, *options, code=0):
        done = self.home.run("sessions", "close", *options, "-j")
        self.assertEqual(done.code, code, done)
        return done.json["results"]

    def test_settles_exactly_what_was_spent(self):
        before = net.balance(PAYER)
        self.pay("/session", times=3)
        ((result,), moved) = net.moved([PAYEE, PAYER], lambda: self.close("last"))
        self.assertEqual(moved, [3_000, 7_000])
        self.assertEqual((result["status"], result["how"], result["spent"]["base"], result["returned"]["base"]),
                         ("closed", "cooperative", "3000", "7000"))
        self.assertEqual(net.rpc("eth_getTransactionReceipt", result["reference"])["status"], "0x1")
        fee = before - 3_000 - net.balance(PAYER)
        self.assertTrue(0 < fee < 20_000, fee)
        self.assertEqual(self.on_chain(result["id"]), (0, 0, 0))
        self.assertEqual((self.sessions(), self.session()["status"]), ([], "closed"))
        (again,) = self.close(result["id"])
        self.assertEqual((again["status"], again["how"], again["returned"]), ("closed", "already", None))
        self.assertIn("was closed already", self.run_ok("sessions", "close", result["id"][:10]).text)
        net.clear()
        self.pay("/session")  # a new one
        self.assertEqual(self.actions(), ["open"])

    def test_only_what_was_spent_is_asked_for(self):
        self.run_ok(net.url + "/session/sse")
        self.assertEqual(self.numbers()[1:4], (51_000, 51_000, 50_000))
        self.close("last")
        (credential,) = [e["payload"] for e in net.log() if (e.get("payload") or {}).get("action") == "close"]
        self.assertEqual(credential["cumulativeAmount"], "50000")

    def test_which(self):
        self.pay("/session")
        self.pay("/session/plain")
        self.pay("/session/leaving")
        done = self.run_ok("sessions", "close", "--all", "--dry-run")
        self.assertEqual((done.text.count("would close"), len(self.sessions())), (3, 3))
        planned = self.close("--all", "--dry-run")
        self.assertEqual(([r["dryRun"] for r in planned], planned[0]["returned"]), ([True] * 3, None))
        self.assertEqual(len(self.close(net.url + "/session")), 1)
        self.assertNotIn(PAYEE, [s["payee"] for s in self.sessions()])
        self.assertEqual(len(self.close(net.url)), 2)
        self.assertEqual(self.sessions(), [])
        self.assertEqual(len(self.sessions("--all")), 3)
        self.assertEqual(self.close("--all"), [])
        self.assertEqual(self.run_ok("sessions", "close", "--all").text, "no session is open\n")
        self.assertEqual(self.home.run("sessions", "close", net.url + "/session").code, 2)
        self.assertEqual(self.home.run("sessions", "close").code, 2)

    def test_at_the_end_of_the_run(self):
        done, moved = net.moved([PAYEE], lambda: self.run_ok("--close", net.url + "/session", net.url + "/session"))
        self.assertEqual((done.out, moved, self.sessions()), (UNIT * 2, [2_000], []))
        self.assertEqual(self.actions(), ["open", "voucher", "close"])
        done = self.run_ok("-j", "--close", "--session", "new", net.url + "/session")
        self.assertEqual((done.json["response"]["body"].encode(), self.sessions()), (UNIT, []))

    def test_list_says_what_is_deposited(self):
        self.assertEqual(self.run_ok("sessions").text, "no sessions\n")
        self.assertEqual(self.home.run("sessions", "show", "last").code, 2)
        self.pay("/session", times=2)
        listed = self.run_ok("sessions").text
        self.assertIn("spent 0.002  left 0.008", listed)
        self.assertIn("0.008 AlphaUSD on tempo:42431 is deposited and not spent", listed)
        self.assertIn("for 2 units", self.run_ok("sessions", "show", "last").text)
        lines = self.run_ok("sessions", "list", "--format", "jsonl").text.splitlines()
        self.assertEqual([json.loads(line)["id"] for line in lines], [self.session()["id"]])

    def test_sync(self):
        self.assertIn("nothing has changed", self.run_ok("sessions", "sync").text)
        self.pay("/session", "--deposit", "0.001")
        self.home.run("--max-spend", "0.02", net.url + "/session/sse")
        changes = lambda: {c["id"]: c["message"] for c in self.run_ok("sessions", "sync", "-j").json["changes"]}
        changes()
        self.assertEqual(changes(), {})
        streamed, paid = (s["id"] for s in self.sessions())
        # The payee settles, and another computer with the same wallet pays on.
        self.admin(f"/_devnet/settle?sse&channel={streamed}")
        other = Home(rpc=net.rpc_url)
        shutil.copytree(self.home.state, other.state)
        self.assertEqual(other.run(net.url + "/session").code, 0)
        told = changes()
        self.assertIn("has a deposit of", told[paid])
        self.assertEqual(base(self.session(paid)["deposit"]), self.on_chain(paid)[0])
        if streamed in told:  # unless the last word of the stream said so already
            self.assertIn("has settled 0.02", told[streamed])
        self.assertEqual(base(self.session(streamed)["spent"]), 20_000)
        # Then it closes one, and leaves the other.
        self.assertEqual(other.run("sessions", "close", paid).code, 0)
        self.admin("/_devnet/gone?path=/session/sse")
        self.assertEqual(other.run("sessions", "close", streamed, "--force").code, 0)
        self.admin("/_devnet/gone", "DELETE")
        self.assertEqual(changes(), {paid: "is closed", streamed: "is closing"})
        self.assertEqual([(s["id"], s["status"]) for s in self.sessions()], [(streamed, "closing")])
        self.assertEqual(changes(), {})


class Recovery(Case):
    def test_server_that_remembers(self):
        path = "/session/bootstrap"
        self.pay(path, "--session", "new")
        self.pay(path)
        before = self.session()
        self.admin(f"/_devnet/know?source=did:pkh:eip155:42431:{PAYER}&channel={before['id']}")
        shutil.rmtree(self.home.state)
        net.clear()
        self.pay(path)
        self.assertEqual(self.actions(), ["voucher"])
        after = self.session()
        self.assertEqual((after["id"], after["source"], after["status"]), (before["id"], "chain", "open"))
        self.assertEqual(self.numbers(), (10_000, 3_000, 3_000, 3_000, 3))

    def test_orphans(self):
        self.home.env["PAYCURL_PRIVATE_KEY"] = LOSER_KEY
        self.pay("/session", times=2)
        before = self.session()
        search = ("--orphaned", "--network", "testnet")
        self.assertIn(before["id"], [s["id"] for s in self.sessions(*search)])
        shutil.rmtree(self.home.state)
        self.assertEqual(self.sessions(), [])
        (found,) = [s for s in self.sessions(*search) if s["id"] == before["id"]]
        self.assertEqual((found["source"], found["payer"], found["payee"], found["deposit"]),
                         ("chain", LOSER, PAYEE, before["deposit"]))

    def test_server_that_forgot(self):
        self.pay("/session")
        first = self.session()["id"]
        self.admin(f"/_devnet/forget?channel={first}")
        net.clear()
        self.pay("/session", times=2)
        self.assertEqual([(e["status"], e["payload"]["action"]) for e in net.log() if e.get("payload")],
                         [(410, "voucher"), (200, "open"), (200, "voucher")])
        self.assertEqual([(s["id"] == first, s["status"]) for s in self.sessions()], [(False, "open"), (True, "lost")])
        # Its money is not: the server cannot close it, the chain can.
        done = self.home.run("sessions", "close", first)
        self.assertEqual(done.code, 100, done)
        self.assertRegex(done.errors, "(?i)does not close the session: .*channel.*\n.*--force")
        self.run_ok("sessions", "close", first, "--force")
        self.assertEqual(self.session(first)["status"], "closing")
        self.assertGreater(self.on_chain(first)[2], 0)


class SharedWithMppx(Case):
    def mppx(self, *arguments):
        done = subprocess.run([str(DEVNET / "bin/mppx"), *arguments], capture_output=True, text=True, timeout=60,
                              env={**self.home.env, "MPPX_PRIVATE_KEY": PAYER_KEY, "MPPX_RPC_URL": net.rpc_url,
                                   "NO_COLOR": "1"})
        self.assertEqual(done.returncode, 0, done)
        return done

    def test_list_import_pay_and_close(self):
        self.mppx(net.url + "/session")
        (foreign,) = self.sessions()
        self.assertEqual((foreign["source"], foreign["status"], foreign["spent"]["base"]), ("mppx", "open", "1000"))
        self.assertIn("mppx:" + foreign["id"][:12], self.run_ok("sessions").text)
        self.assertEqual(self.home.run("sessions", "import", "0xabcd").code, 2)
        self.assertIn("took over", self.run_ok("sessions", "import", "mppx:" + foreign["id"][:12]).text)
        net.clear()
        self.pay("/session", times=2)
        self.assertEqual(self.actions(), ["voucher", "voucher"])
        (session,) = self.sessions()
        self.assertEqual((session["id"], session["source"], session["spent"]["base"]), (foreign["id"], "mppx", "3000"))
        again = self.home.run("sessions", "import", "--all", "-j")
        self.assertEqual((again.code, again.json["sessions"]), (0, []), again)
        self.assertIn("is here already", again.errors)
        _, moved = net.moved([PAYEE], lambda: self.run_ok("sessions", "close", "last"))
        self.assertEqual(moved, [3_000])


class Later(Case):
    """With a chain of its own, whose clock is turned forward."""

    @classmethod
    def setUpClass(cls):
        cls.own = Devnet(own=True)

    @classmethod
    def tearDownClass(cls):
        cls.own.stop()

    def setUp(self):
        self.net = self.own
        self.home = Home(rpc=self.own.rpc_url)

    def test_forced_close(self):
        self.pay("/session/leaving", times=2)
        identity = self.session()["id"]
        self.admin("/_devnet/gone?path=/session/leaving")
        done = self.home.run("sessions", "close", "last")
        self.assertNotEqual(done.code, 0)
        self.assertIn(f"paycurl sessions close {identity[:10]} --force", done.errors)
        self.assertEqual((self.session()["status"], self.on_chain(identity)[2]), ("open", 0))

        done = self.run_ok("sessions", "close", "last", "--force", "-j")
        (result,) = done.json["results"]
        self.assertEqual((result["status"], result["how"]), ("closing", "forced"))
        self.assertGreater(self.on_chain(identity)[2], 0)
        (session,) = self.sessions()
        self.assertEqual((session["status"], session["withdrawableAt"]), ("closing", result["withdrawableAt"]))
        done = self.run_ok("sessions", "close", "--all", "--finalize")
        self.assertRegex(done.text, "is closing: the rest can be taken back in 1[45] min")
        self.assertRegex(self.run_ok("sessions", "show", "last").text, "can be taken back +in 1[45] min")

        # The server is back: a closing channel pays for nothing, a new one is opened.
        self.admin("/_devnet/gone", "DELETE")
        self.pay("/session/leaving")
        self.assertEqual([s["status"] for s in self.sessions()], ["open", "closing"])

        self.net.rpc("evm_increaseTime", 901)
        self.net.rpc("evm_mine")
        before = self.net.balance(PAYER)
        done = self.run_ok("sessions", "close", "--all", "--finalize")
        self.assertRegex(done.text, "0 AlphaUSD was spent, 0.01 AlphaUSD came back")
        back = self.net.balance(PAYER) - before
        self.assertTrue(10_000 - 20_000 < back <= 10_000, back)
        self.assertEqual((self.session(identity)["status"], self.on_chain(identity)), ("closed", (0, 0, 0)))
        self.assertEqual([s["status"] for s in self.sessions()], ["open"])


if __name__ == "__main__":
    unittest.main()
