"""Servers of payment channels that steal (threat model rows in brackets): the loss, the exit code, what is said."""

import json
import re
import socket
import struct
import time
import unittest

from hostile import ALPHA, Close, answer
from lab import PAYER_KEY, Home, check_canary
from thief import RESERVE, Thief, refusal

STEP = 10_000  # 0.01
thief = other = None
cases = 0


def setUpModule():
    global thief, other
    thief, other = Thief(), Thief()


def tearDownModule():
    check_canary(PAYER_KEY)
    print(f"\n{cases} cases of theft")


class Case(unittest.TestCase):
    def setUp(self):
        self.home = Home(rpc=thief.url + "/rpc")

    def run_case(self, *options, code, says="", out=None, loss=STEP, deposit=1_000_000, keep=False, timeout=120):
        """Runs paycurl against the thief, and checks what it lost, what it said and what it knows."""
        global cases
        cases += 1
        done = self.home.run(*options, thief.url + "/x", timeout=timeout)
        self.assertEqual(done.code, code, done)
        if says:
            self.assertRegex(done.errors, says)
        self.assertNotRegex(done.err, rb"[\x00-\x09\x0b-\x1f\x7f]")
        self.assertLessEqual(thief.loss, loss, done)
        self.assertLessEqual(sum(thief.deposits), deposit, done)
        if out is not None:
            self.assertEqual(done.out, out, done)
        for session in self.sessions() if thief.vouchers else ():
            numbers = [int(session[name]["base"]) for name in ("spent", "accepted", "signed", "deposit")]
            self.assertEqual(numbers, sorted(numbers))
            self.assertLessEqual(thief.vouchers.get(session["id"], 0), numbers[2], "a voucher that nobody knows of")
        for payload in thief.payloads():
            check_canary(payload.get("signature", PAYER_KEY)[-130:])
        if not keep:
            self.home = Home(rpc=thief.url + "/rpc")
        return done

    def sessions(self):
        return self.home.run("sessions", "list", "--all", "-j").json["sessions"]

    def steal(self, script, *options, terms=None, **expected):
        thief.reset(script, **(terms or {}))
        return self.run_case(*options, **expected)


class Vouchers(Case):
    def test_forged_need(self):  # 3
        for required in (1_000_000, 500_000, 10_001):
            self.steal(lambda s: (s.need(required), s.hold()), code=108, out=b"",
                       says="asks for more than it has delivered")
            self.assertEqual(thief.highest, 1_000)

    def test_creep_without_data(self):  # 4
        def script(stream):
            for _ in range(50):
                stream.next()
        self.steal(script, code=108, out=b"", says="before it has sent anything")
        self.assertEqual(thief.actions(), ["open", "voucher"])

    def test_creep_with_comments(self):  # 4, 43
        def script(stream):
            for _ in range(50):
                stream.raw(b": nothing\n\nevent: ping\n\n")
                stream.next()
        self.steal(script, code=108, says="before it has sent anything")
        self.assertEqual(thief.actions(), ["open", "voucher"])

    def test_one_byte_each(self):  # 4
        def greedy(stream):
            for _ in range(50):
                stream.say()
                required = stream.thief.highest + 5_000
                stream.need(required)
                if not stream.thief.wait(lambda: stream.thief.highest >= required, 10):
                    return
        for unit in ("message", "token"):
            self.steal(greedy, terms={"unit": unit}, code=108, says="more than it has delivered")
            self.assertLess(len(thief.actions()), 6)

    def test_honest_stream_is_paid(self):
        def script(stream):
            for _ in range(40):
                while stream.thief.highest < stream.thief.value + stream.thief.amount:
                    stream.next()
                stream.say()
            stream.receipt()
        for unit in ("message", "token"):
            self.steal(script, terms={"unit": unit}, code=0, out=b"data: x\n\n" * 40)
            self.assertLessEqual(thief.actions().count("voucher"), 5)

    def test_step_is_the_users(self):
        self.steal(lambda s: (s.need(3_001), s.hold()), "-M", "step=0.003", code=108, loss=3_000)
        self.steal(lambda s: s.next(), "-M", "step=0.003", code=0, loss=3_000)
        # A dear unit is a step of its own, not ten within the least.
        self.steal(lambda s: s.next(), terms={"amount": 25}, code=0)

    def test_storm_of_needs(self):
        def script(stream):
            for n in range(2_000):
                stream.need(2_000 + n)
            stream.hold(0.5)
        self.steal(script, code=0, out=b"")  # what one voucher covers
        self.assertLess(len(thief.actions()), 20)

    def test_same_need_for_ever(self):
        def script(stream):
            for _ in range(200):
                stream.need(1_000)
            stream.hold(0.5)
        self.steal(script, code=0, out=b"", loss=1_000)

    def test_another_channel(self):
        for channel in ("0x" + "ab" * 32, "", "0x12", "\u202e"):
            self.steal(lambda s: (s.need(2_000, channel), s.hold()), code=108, says="another channel", loss=1_000)

    def test_garbage_needs(self):  # 30
        good = lambda required: json.dumps({"channelId": thief.channel, "requiredCumulative": required})
        for make in (lambda: "{", lambda: "", lambda: "[]", lambda: "null", lambda: good(2_000), lambda: good("0x10"),
                     lambda: good("-1"), lambda: good("02000"), lambda: good("9" * 80), lambda: good("1e3"),
                     lambda: "[" * 5_000, lambda: good("2000").replace("}", ',"requiredCumulative":"1000000"}')):
            self.steal(lambda s: (s.event("payment-need-voucher", make()), s.hold()), code=108,
                       loss=1_000)

    def test_every_voucher_is_refused(self):  # 6
        for kind in ("session/insufficient-balance", "verification-failed", "session/delta-too-small", "unheard-of",
                     "payment-expired", "invalid-challenge", "payment-required"):
            refuse = lambda payload: refusal(kind, thief.asks)
            thief.reset(on_request=refuse, on_step=refuse)
            self.run_case(code=100, says="refused the payment", out=b"")
            self.assertLessEqual(len(thief.payloads()), 8, kind)
            # The same in a stream: the first request is served, then nothing is good enough.
            thief.reset(lambda s: (s.say(), s.next(), s.hold()), on_step=refuse)
            self.run_case(code=108, says="refused the payment")
            self.assertLessEqual(len(thief.payloads()), 8, kind)

    def test_unknown_channel_for_ever(self):
        for kind, status in (("session/channel-not-found", 410), ("session/channel-finalized", 410), ("x", 410)):
            thief.reset()
            self.run_case(code=0, keep=True)
            gone = lambda payload: refusal(kind, thief.asks, status=status)
            thief.on_request = thief.on_step = gone
            self.run_case(code=100, says="refused the payment", deposit=2_000_000)
            self.assertEqual(thief.actions().count("open"), 2)

    def test_errors_of_the_server(self):  # 7
        thief.reset()
        self.run_case(code=0, keep=True)
        thief.on_request = lambda payload: refusal("internal-payment-error", status=500)
        self.run_case(code=107, says="payments resume", keep=True)
        thief.on_request = None
        self.run_case(code=0, out=b"goods", keep=True)
        self.assertEqual(thief.highest, 2_000)  # the same voucher


class Deposits(Case):
    def test_suggested_deposit(self):  # 2
        for suggested in (10**12, 2**96 - 1):
            thief.reset(suggested=suggested)
            self.run_case(code=0, out=b"goods")
            self.assertEqual(thief.deposits, [1_000_000])
        thief.reset(suggested=10**12)
        self.run_case("--max-deposit", "0.02", code=0, deposit=20_000)
        thief.reset(suggested=2**96)
        self.run_case(code=104, says="larger than a channel can hold", deposit=0)

    def test_top_up_loop(self):  # 24
        def script(stream):
            for _ in range(60):
                stream.say()
                stream.next()
        small = {"suggested": 2_000}
        # A server that never says that anything was spent: all of it lies there.
        thief.reset(script, on_step=lambda payload: thief.paid(b"", spent="0"), **small)
        self.run_case("--max-deposit", "0.012", code=108, says="--max-deposit", deposit=12_000)
        self.steal(script, "--max-deposit", "0.012", terms=small, code=0, deposit=61_000 + 12_000)
        self.steal(lambda s: (s.say(), s.need(10**9), s.hold()), terms=small, code=108,
                   says="more than it has delivered", deposit=2_000)

    def test_refused_top_ups(self):  # 24
        for kind in ("verification-failed", "session/insufficient-balance", "payment-expired", "unheard-of"):
            thief.reset(lambda s: (s.say(), s.next(), s.hold()), suggested=1_000,
                        on_step=lambda payload: refusal(kind, thief.asks))
            self.run_case(code=108, deposit=1_000_000)
            self.assertLessEqual(thief.actions().count("topUp"), 7, kind)

    def test_lost_top_ups(self):  # 7
        """What became of a top-up is asked of the node, in the middle of a stream."""
        def script(stream):
            while stream.thief.highest < stream.thief.value + stream.thief.amount:
                stream.next()
            stream.say()
            stream.next()
            stream.receipt()
        def ask(stream):
            stream.say()
            stream.need(4_000)
            stream.thief.wait(lambda: stream.thief.highest == 4_000)
            stream.receipt()
        def drop():
            raise Close
        for mined in (True, False):
            thief.reset(script, suggested=3_000,
                        on_step=lambda payload: drop() if payload["action"] == "topUp" else thief.paid(b""))
            self.run_case("-M", "step=0.001", code=0, keep=True)  # the deposit is not used up yet
            thief.script = ask
            self.run_case("-M", "step=0.001", code=108, keep=True)
            self.assertIn("topUp", thief.actions())
            if not mined:
                thief.forget_top_ups()
            thief.on_step = None
            start = time.monotonic()
            self.run_case("-M", "step=0.001", code=0, keep=True)
            self.assertLess(time.monotonic() - start, 20)
            self.assertEqual((thief.highest, len(thief.moves)), (4_000, 2))  # the opening, and one top-up
            self.home = Home(rpc=thief.url + "/rpc")

    def test_rogue_escrow(self):  # 15
        for escrow in ("0x" + "66" * 20, "0x" + "00" * 20, ALPHA):
            thief.reset(escrow=escrow)
            self.run_case(code=101, says="escrow .* is unknown", deposit=0)
            self.assertEqual(thief.payloads(), [])

    def test_false_snapshots(self):  # 21
        thief.reset()
        self.run_case(code=0, keep=True)
        descriptor = thief.payloads()[0]["descriptor"]
        claim = {"chainId": 42431, "escrow": RESERVE, "channelId": thief.channel, "descriptor": descriptor,
                 "deposit": "1000000", "acceptedCumulative": "900000", "spent": "900000", "settled": "0", "units": 9,
                 "requiredCumulative": "901000"}
        voucher = {"channelId": thief.channel, "cumulativeAmount": "900000",
                   "signature": thief.payloads()[0]["signature"]}
        for snapshot in (claim, {**claim, "highestVoucher": voucher}, {**claim, "channelId": "0x" + "11" * 32}, {}, 7,
                         {**claim, "descriptor": {**descriptor, "payer": "0x" + "22" * 20}}):
            thief.reset(sessionSnapshot=snapshot)
            self.run_case(code=0, out=b"goods", keep=True)  # our own record stands
            self.assertEqual(thief.actions(), ["voucher"])
        self.home = Home(rpc=thief.url + "/rpc")
        for snapshot in (claim, {**claim, "highestVoucher": voucher}):
            thief.reset(sessionSnapshot=snapshot)
            self.run_case(code=0, out=b"goods")
            self.assertEqual((thief.actions(), thief.highest), (["open"], 1_000))

    def test_price_rise(self):  # 5
        for kind in ("payment-expired", "invalid-challenge", "session/insufficient-balance", "payment-required"):
            thief.reset()
            self.run_case(code=0, keep=True)
            def dearer(payload):
                thief.set_terms(amount=900_000, identity="c2")
                return refusal(kind, thief.asks)
            thief.on_request = thief.on_step = dearer
            self.run_case(code=100, says="price rose" if "insufficient" not in kind else "refused", out=b"", keep=True)
            self.assertLessEqual(thief.highest, 2_000)

    def test_close_is_for_what_was_spent(self):  # 23
        def script(stream):
            stream.say()
            stream.next()
            stream.receipt(spent="1000")
        thief.reset(script)
        self.run_case(code=0, keep=True)
        self.assertEqual(thief.highest, 11_000)
        seen = len(thief.payloads())
        thief.on_step = lambda payload: (refusal("verification-failed") if payload["action"] == "close"
                                         else thief.paid(b"", spent="11000"))
        done = self.home.run("sessions", "close", "last")
        self.assertEqual(done.code, 100, done)
        self.assertIn("--force", done.errors)
        closes = [p["cumulativeAmount"] for p in thief.payloads()[seen:] if p["action"] == "close"]
        self.assertEqual(closes, ["1000", "11000"])  # never more than was signed
        for numbers in ({"acceptedCumulative": "10" * 9, "spent": "10" * 9}, {"txHash": None}):
            thief.on_step = lambda payload: thief.paid(b"", **{"txHash": "0x" + "11" * 32, **numbers})
            self.assertEqual(self.home.run("sessions", "close", "last").code, 100)  # the chain has it still
        thief.on_step = None
        self.assertEqual(self.home.run("sessions", "close", "last").code, 0)
        self.assertEqual(self.sessions()[0]["spent"]["base"], "11000")


class Receipts(Case):
    BAD = ({"spent": "1001"}, {"acceptedCumulative": "5000"}, {"acceptedCumulative": "5000", "spent": "5000"},
           {"channelId": "0x" + "cd" * 32}, {"channelId": None}, {"spent": "-1"}, {"spent": 1000}, {"units": "x"},
           {"acceptedCumulative": None}, {"spent": "9" * 80})

    def test_bad_numbers(self):  # 22
        for bad in self.BAD:
            thief.reset(on_request=lambda payload: thief.paid(**bad))
            self.run_case(code=0, out=b"goods", says="receipt's numbers are not those", keep=True)
            session = self.sessions()[0]
            self.assertEqual((session["signed"]["base"], session["accepted"]["base"]), ("1000", "0"), bad)
            self.home = Home(rpc=thief.url + "/rpc")
            # At the end of a stream.
            self.steal(lambda s: (s.say(), s.receipt(**bad)), code=0, out=b"data: x\n\n",
                       says="receipt's numbers are not those", loss=0)

    def test_no_receipts(self):  # 44
        for field in ("Payment-Receipt: !!!", "Payment-Receipt: e30", "Payment-Receipt: " + "A" * 20_000, "X: 1"):
            thief.reset(on_request=lambda payload: answer(200, b"goods", [field]))
            self.run_case(code=0, out=b"goods", loss=1_000)
        for data in ("{", "[]", "{}", "x" * 5_000):
            self.steal(lambda s: (s.say(), s.event("payment-receipt", data)), code=0, says="note: ")
        self.steal(lambda s: s.say(), code=0, says="ended without a receipt", out=b"data: x\n\n")

    def test_spent_is_believed_up_to_what_was_signed(self):
        thief.reset()
        self.run_case(code=0, keep=True)
        for _ in range(5):
            self.run_case(code=0, keep=True)
        self.assertEqual((thief.highest, thief.loss), (6_000, 0))


class Bytes(Case):
    def test_endless(self):  # 43
        def free(stream):
            while True:
                stream.raw(b"data: x\n\n" * 100)
        start = time.monotonic()
        self.steal(free, "-m", "4", "-o", "/dev/null", code=108, loss=1_000)
        def honest(stream):
            while True:
                stream.say()
                stream.next()
        self.steal(honest, "--max-spend", "0.03", code=108)
        self.assertLessEqual(thief.highest, 30_000)
        def silent(stream):
            stream.say()
            stream.hold(60)
        self.steal(silent, "-m", "4", code=108, out=b"data: x\n\n")
        self.steal(silent, "-y", "1", "-Y", "1000", code=108, out=b"data: x\n\n")
        self.assertLess(time.monotonic() - start, 50)

    def test_huge_events(self):  # 42
        def script(stream):
            stream.say()
            for _ in range(40):
                stream.raw(b"data: " + b"a" * 65_536 + b"\n")
            stream.raw(b"\n")
        done = self.steal(script, code=108, says="more than 1 MiB", loss=0)
        self.assertTrue(done.out.startswith(b"data: x\n\n"))
        self.steal(lambda s: (s.say(), s.raw(b"a" * 3_000_000)), code=108, says="more than 1 MiB", loss=0)
        self.steal(lambda s: (s.say(), s.raw(b": c\n" * 400_000 + b"\n")), code=108, says="more than 1 MiB", loss=0)
        whole = b"data: " + b"a" * 1_000_000 + b"\n\n"
        self.steal(lambda s: s.raw(whole), code=0, out=whole)

    def test_redirects(self):  # 8
        other.reset()
        for target in (other.url + "/y", "/y", "http://[", "file:///etc/passwd"):
            thief.reset(on_request=lambda payload: answer(302, "", ["Location: " + target]))
            self.run_case("-L", code=108, says="redirect", loss=1_000)
            self.assertEqual(other.requests, [])

    def test_cut_short(self):  # 45
        cut = b"data: x\n\ndata: half"
        self.steal(lambda s: s.raw(cut), code=0, out=cut, says="without a receipt")
        def reset(stream):
            stream.raw(cut)
            time.sleep(2)
            stream.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        done = self.steal(reset, code=108, says="did not arrive whole")
        self.assertTrue(cut.startswith(done.out))

    def test_every_split_gives_the_same_bytes(self):  # 42
        for end in ("\n", "\r\n", "\r"):
            text = ("\ufeff: hello\n\nevent: message\nid: 1\ndata: wörld ✓ 🙂\ndata: two\n\n\n\n"
                    "data:no space\n\nretry: 5\n\ndata: last\n\n")
            body = text.replace("\n", end).encode()
            def script(stream):
                stream.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                for n in range(len(body)):
                    stream.raw(body[n:n + 1])
                    time.sleep(0.0005)
                stream.raw("event: payment-receipt\ndata: {}\n\n".replace("\n", end).replace(
                    "{}", json.dumps(stream.thief.receipt())).encode())
            self.steal(script, "-N", code=0, out=body)
            lines = self.steal(script, "--sse-json", code=0).text.splitlines()
            self.assertEqual([json.loads(line)["data"] for line in lines], ["wörld ✓ 🙂\ntwo", "no space", "last"])
            self.assertEqual(self.steal(script, "--text", code=0).text, "wörld ✓ 🙂\ntwono spacelast")

    def test_terminal_escapes(self):  # 40
        evil = "\x1b[2J\u202e\x07"
        def script(stream):
            stream.say()
            stream.event("payment-need-voucher", json.dumps({"channelId": evil, "requiredCumulative": evil}))
            stream.hold()
        self.steal(script, "-vv", code=108)
        thief.reset(on_request=lambda payload: refusal("x", title=evil, detail=evil))
        self.run_case("-v", code=100, says=re.escape("\\u{1b}"))

    def test_canary(self):
        thief.reset(lambda s: (s.say(), s.next(), s.say(), s.receipt()))
        self.run_case("-vv", code=0, says="Payment <[0-9]+ bytes")


if __name__ == "__main__":
    unittest.main()
