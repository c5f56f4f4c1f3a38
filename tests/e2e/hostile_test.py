"""Attacks and accidents (threat model rows in brackets): the loss, the exit code and what is said."""

import fcntl
import gzip
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
import unittest

from hostile import (ALPHA, PAYEE, Close, Server, after, answer, challenge, charge, encode, paid, payment_required,
                     receipt)
from lab import PAYCURL, PAYER, PAYER_KEY, Done, Home, check_canary, wait_for

UINT256_MAX = str(2**256 - 1)
server = other = None
cases = 0


def setUpModule():
    global server, other
    server, other = Server(), Server()


def tearDownModule():
    for entry in server.credentials() + other.credentials():
        check_canary(entry["payload"].get("signature", PAYER_KEY)[-130:])
    check_canary(PAYER_KEY)
    print(f"\n{cases} hostile cases")


def offering(*challenges, then=None, **options):
    """A handler that asks for payment and, once paid, answers with `then`."""
    def handler(request, connection):
        if request.credential is None:
            return payment_required(*challenges, **options)
        result = then(request, connection) if callable(then) else then
        return paid() if result is None else result
    return handler


def pause(connection, seconds):
    """Waits, unless the client goes away first."""
    connection.settimeout(seconds)
    try:
        connection.recv(1)
    except TimeoutError:
        pass
    raise Close


class Case(unittest.TestCase):
    def setUp(self):
        self.home = Home(rpc=server.url + "/rpc")

    def run_case(self, handler, *arguments, code, loss=0, says="", url=None, credentials=None, timeout=120, **options):
        """One attack: runs paycurl and checks status, loss, text and that the terminal is safe."""
        global cases
        cases += 1
        server.reset(handler)
        other.requests.clear()
        done = self.home.run(*arguments, url or server.url + "/x", timeout=timeout, **options)
        self.assertEqual(done.code, code, done)
        self.assertEqual(server.signed, loss, done)
        if says:
            self.assertRegex(done.errors, says)
        self.assertNotRegex(done.err, rb"[\x00-\x09\x0b-\x1f\x7f]")
        if credentials is not None:
            self.assertEqual(len(server.credentials()), credentials, done)
        if code in (100, 101, 102, 103, 104, 105):
            self.assertEqual(done.out, b"", done)
        if 1 <= code <= 99 or code in (101, 102, 104, 105):
            self.assertEqual(server.credentials(), [], "money left with an exit code that says it did not")
        return done


class Prices(Case):
    def offer(self, code, loss=0, says="", arguments=(), **request):
        return self.run_case(offering(challenge(charge(**request))), *arguments, code=code, loss=loss, says=says)

    def test_overcharge(self):  # 1
        self.offer(102, says="1000 AlphaUSD is more than --max-spend allows \\(1 AlphaUSD\\)", amount="1000000000")
        self.offer(102, amount=UINT256_MAX)
        self.offer(102, amount="1000001")
        self.offer(0, loss=1_000_000, amount="1000000")
        self.offer(0, loss=10_000, arguments=("--max-spend", "0.01"))
        self.offer(102, arguments=("--max-spend", "0.01"), amount="10001")
        self.offer(102, arguments=("--max-spend", "0"), amount="1")

    def test_number_spellings(self):  # 30
        for amount in ("0x2710", "00010000", "1e3", "-1", " 1", "1 ", "1.0", "", "9" * 80, str(2**256)):
            self.offer(104, says="malformed", amount=amount)
        for amount in (10000, None, ["1"], {"a": 1}, True):
            self.offer(104, says="malformed", amount=amount)

    def test_splits(self):  # 16
        split = lambda amount: {"amount": amount, "recipient": "0x90F79bf6EB2c4f870365E785982E1f101E93b906"}
        self.offer(104, says="splits", splits=[split("10000")])
        self.offer(104, says="splits", splits=[split("9000"), split("9000")])
        self.offer(104, says="splits", splits=[split(UINT256_MAX), split("2")])
        self.offer(104, says="at most 10", splits=[split("1")] * 11)
        self.offer(104, splits=[split("0")])
        self.offer(102, says="--max-fee", splits=[split("1")] * 10)
        self.offer(0, loss=10_000, splits=[split("1")] * 10, arguments=("--max-fee", "0.1"))

    def test_burnt_money(self):  # 14
        for recipient in ("0x" + "0" * 40, ALPHA, PAYER, PAYER.lower()):
            self.offer(102, says="the money would go to", recipient=recipient)
        self.offer(102, says="the money would go to", splits=[{"amount": "1", "recipient": PAYER}])
        self.offer(104, recipient="0x123")
        self.offer(0, loss=10_000, recipient="0x70997970c51812DC3A010C7d01b50e0d17dc79C8")  # a wrong checksum

    def test_chains(self):  # 12
        for chain in (1, 31318, 8453):
            self.offer(101, says="chain " + str(chain), chain=chain)
        self.offer(101, says="unknown", chain=None)  # the main network, where this token is not known
        self.offer(104, chain=None, chainId="42431")
        self.offer(0, loss=10_000, chain=1337, arguments=("--network", "1337"))
        self.assertEqual(server.transactions()[0].chain, 1337)

    def test_tokens(self):  # 13
        token = "0x20c00000000000000000000000000000000000ff"
        self.offer(101, says="unknown", currency=token)
        self.offer(102, says="no limit is set", currency=token, arguments=("--token", token + ":6:USDC"))
        self.offer(0, loss=10_000, currency=token, arguments=(
            "--token", token + ":6:USDC", "--max-spend", "1:" + token, "--max-fee", "1:" + token))
        self.offer(102, currency=token, arguments=("--token", token + ":2:USDC", "--max-spend", "1:" + token))

    def test_sponsor_that_wants_a_broadcast(self):  # 17
        self.offer(101, feePayer=True, supportedModes=["push"])
        self.offer(101, supportedModes=["other"])

    def test_validity_is_short_whatever_the_offer_says(self):  # 10
        self.run_case(offering(challenge(expires=after(10**6))), code=0, loss=10_000)
        self.assertLessEqual(server.transactions()[0].valid_before, time.time() + 30)
        self.run_case(offering(challenge(expires=None)), code=0, loss=10_000)
        self.run_case(offering(challenge(expires=after(12))), code=0, loss=10_000)
        self.assertLessEqual(server.transactions()[0].valid_before, time.time() + 13)

    def test_expired(self):  # 10
        for seconds in (-1, -3600, 2):
            self.run_case(offering(challenge(expires=after(seconds))), code=104, says="expire")

    def test_fee_is_bounded(self):  # 18
        self.offer(0, loss=10_000)
        transaction = server.transactions()[0]
        self.assertLess(transaction.gas * transaction.max_fee // 10**12, 20_000)

    def test_proofs_sign_typed_data_only(self):  # 28
        self.offer(0, amount="0", types={"Permit": []}, message="0x1234")
        self.assertEqual([c["payload"]["type"] for c in server.credentials()], ["proof"])


class Offers(Case):
    def test_duplicate_keys(self):  # 29
        text = json.dumps(charge()).replace('"amount": "10000"', '"amount":"1","amount":"5000000"')
        self.run_case(offering(challenge(raw=encode(text))), code=104, says="twice")

    def test_bad_encodings(self):  # 37
        good = encode(charge())
        for raw in (good + "=", good + "==", good[:-1] + "+", good + "!", good[:5] + " " + good[5:], "", "====",
                    base64_std({"a": "??>>"}), encode(b'{"a":"\xff"}'), encode('{"a":"\\ud800"}'), encode("[1]"),
                    encode("{} x"), encode("nope")):
            self.run_case(offering(challenge(raw=raw)), code=104)
        padded = good + "=" * (-len(good) % 4)
        self.run_case(offering(challenge(raw=padded)), code=0, loss=10_000)

    def test_deep_and_wide(self):  # 38
        self.run_case(offering(challenge(raw=encode('{"a":' * 2000 + "1" + "}" * 2000))), code=104)
        self.run_case(offering(challenge(raw=encode("[" * 4000))), code=104)
        wide = {"k%d" % i: 0 for i in range(3000)}
        self.run_case(offering(challenge(raw=encode(wide))), code=104)

    def test_parameters(self):  # 39
        good = challenge()
        for bad in (good + ', id="c2"', good.replace('id="c1", ', ""), good.replace('id="c1"', 'id=""'),
                    good.replace('method="tempo"', 'method="TEMPO"'), good + ', x="unterminated',
                    good.replace('realm="hostile"', 'realm="a" realm2="b"'), "Payment", "Payment realm=x"):
            self.run_case(offering(bad), code=104)
            self.run_case(offering(good + ", " + bad), code=0, loss=10_000)

    def test_many_challenges(self):  # 34
        self.run_case(offering(*[challenge(method="m%d" % i) for i in range(80)]), code=101, says="more")
        self.run_case(offering(*[challenge(method="m%d" % i) for i in range(20)], challenge()), code=0, loss=10_000)
        joined = ", ".join(challenge(method="m%d" % i) for i in range(20))
        self.run_case(offering(joined + ", " + challenge()), code=0, loss=10_000)

    def test_other_schemes(self):
        self.run_case(lambda r, c: answer(402, "pay!", ["WWW-Authenticate: L402 macaroon=\"x\", invoice=\"y\""]), code=104)
        self.run_case(lambda r, c: answer(402, "pay!", ["WWW-Authenticate: Bearer realm=\"x\""]), code=101, says="no offer")
        self.run_case(lambda r, c: answer(402, "pay!"), code=101, says="no offer")
        self.run_case(lambda r, c: answer(401, "no", ["WWW-Authenticate: " + challenge()]), code=0)

    def test_recurring_is_never_taken(self):  # 31
        subscription = challenge(intent="subscription", identity="s")
        self.run_case(offering(subscription), code=101)
        self.run_case(offering(subscription, challenge()), code=0, loss=10_000)
        self.assertEqual(server.credentials()[0]["challenge"]["id"], "c1")

    def test_server_order_and_the_users(self):  # 32
        cheap, dear = challenge(charge(amount="1"), identity="cheap"), challenge(charge(amount="500000"), identity="dear")
        self.run_case(offering(dear, cheap), code=0, loss=500_000)
        self.run_case(offering(dear, cheap), "--challenge", "2", code=0, loss=1)
        self.run_case(offering(dear, cheap), "--max-spend", "0.1", code=0, loss=1)
        self.run_case(offering(dear, cheap), "--method", "lightning", code=101, says="--method")

    def test_digest(self):  # 11
        wrong = challenge(digest="sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:")
        self.run_case(offering(wrong), "-d", "other", code=104, says="digest")
        self.run_case(offering(wrong), code=0, loss=10_000)  # the digest of nothing, and nothing is sent
        self.run_case(offering(challenge(digest="sha-512=:AAAA:")), code=104, says="digest")
        self.run_case(offering(challenge(digest="sha-256=:AAAA:")), code=104, says="digest")

    def test_credential_field(self):
        self.run_case(offering(challenge(header="Host")), code=104)
        self.run_case(offering(challenge(header="Transfer-Encoding")), code=104)
        server.reset(lambda r, c: paid() if "payment-authorization" in r.headers else payment_required(
            challenge(header="Payment-Authorization")))
        done = self.home.run("-v", "-H", "Authorization: Bearer mine", server.url)
        self.assertEqual(done.code, 0)
        self.assertEqual(server.requests[1].headers["authorization"], "Bearer mine")
        self.assertNotIn("eyJ", done.errors.split("payment-authorization")[-1].lower().split("$")[0][:200])

    def test_clock(self):  # 33
        date = lambda seconds: ["Date: " + time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + seconds))]
        def valid_for(seconds, begin):
            valid_before = server.transactions()[0].valid_before
            self.assertTrue(begin + seconds - 2 <= valid_before <= time.time() + seconds + 2, (valid_before - begin))
        begin = time.time()
        done = self.run_case(offering(headers=date(60)), code=0, loss=10_000, says="clock is")
        valid_for(85, begin)
        begin = time.time()
        done = self.run_case(offering(challenge(expires=after(200)), headers=date(-60)), code=0, loss=10_000, says="behind")
        valid_for(-35, begin)
        self.run_case(offering(challenge(expires=after(10**6)), headers=date(10**5)), code=0, loss=10_000, says="too much")
        self.assertLessEqual(server.transactions()[0].valid_before, time.time() + 30)
        self.assertTrue(done)


def base64_std(value):
    import base64
    return base64.b64encode(json.dumps(value).encode()).decode()


class AfterPaying(Case):
    def test_loop_of_402(self):  # 6
        done = self.run_case(lambda r, c: payment_required(), code=100, loss=10_000, credentials=1, says="refused")
        self.assertEqual(self.home.payments()[0]["paymentStatus"], "rejected")
        self.assertTrue(done)

    def test_higher_price_after_payment(self):  # 5
        self.run_case(lambda r, c: payment_required(challenge(charge(amount="900000"))) if r.credential
                      else payment_required(), code=100, loss=10_000, credentials=1)

    def test_refusal_of_what_was_broadcast(self):
        def handler(request, connection):
            server.settled = bool(request.credential)
            return payment_required()
        self.run_case(handler, code=108, loss=10_000, says="has settled")

    def drop(self, request, connection):
        raise Close

    def test_dropped_answer(self):  # 7
        done = self.run_case(offering(then=self.drop), code=107, loss=10_000, credentials=2, says="payments resume")
        first = self.home.payments()
        self.assertEqual((len(first), first[0]["paymentStatus"]), (1, "unknown"))
        # The same command does not pay again inside the window: it finishes the first payment.
        done = self.run_case(offering(), code=0, loss=10_000, credentials=1)
        self.assertEqual(done.out, b"goods")
        second = self.home.payments()
        self.assertEqual((len(second), second[0]["id"], second[0]["paymentStatus"]), (1, first[0]["id"], "settled"))

    def test_dropped_answer_and_resume(self):
        self.run_case(offering(then=self.drop), code=107, loss=10_000)
        identity = self.home.payments()[0]["id"]
        server.reset(offering())
        done = self.home.run("payments", "resume", identity[:14])
        self.assertEqual((done.code, done.out), (0, b"goods"), done)
        self.assertEqual(server.signed, 10_000)
        self.assertEqual(self.home.run("payments", "resume").code, 0)
        self.assertEqual(self.home.run("payments", "show", "last", "--body").out, b"goods")

    def test_dropped_answer_that_settled(self):
        self.run_case(offering(then=self.drop), code=107, loss=10_000)
        server.settled = True
        server.handler = lambda r, c: payment_required(body='{"type":"https://paymentauth.org/problems/verification-failed"}')
        done = self.home.run("payments", "resume", "-j")
        result = done.json["results"][0]
        self.assertEqual((done.code, result["before"], result["after"]), (108, "unknown", "settled"))
        self.assertEqual(self.home.run(server.url + "/y").code, 108)  # another request is another purchase
        self.assertEqual(len(self.home.payments()), 2)

    def test_lying_node(self):  # 19, 20
        self.run_case(offering(then=self.drop), code=107, loss=10_000)
        server.handler = lambda r, c: payment_required()
        server.node_chain = 1
        done = self.home.run(server.url + "/x")
        self.assertEqual(done.code, 107, done)
        self.assertIn("not on tempo:42431", done.errors)
        server.node_up = False
        self.assertEqual(self.home.run(server.url + "/x").code, 107)
        self.assertEqual(len(self.home.payments()), 1)

    def test_a_node_is_not_believed_into_a_second_payment(self):
        for number, lie in enumerate(({"node_time": lambda: 2**33}, {"balance": 0}, {"logs": 1})):
            self.run_case(offering(then=self.drop), "-H", f"X: {number}", code=107, loss=10_000)
            server.reset(offering(then=answer(500, '{"type":"about:blank"}', ["Content-Type: application/problem+json"])))
            for name, value in lie.items():
                setattr(server, name, value)
            done = self.home.run("-H", f"X: {number}", server.url + "/x")
            self.assertIn(done.code, (103, 107), done)
            self.assertEqual(len(self.home.payments()), number + 1)
            self.assertEqual(self.home.payments()[0]["paymentStatus"], "unknown")

    def test_sponsored_payments_are_looked_for_by_the_chains_clock(self):
        # The server and the chain are ten minutes behind this machine: its clock says nothing about them.
        late = lambda: time.time() - 600
        date = "Date: " + time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(late()))
        offer = challenge(charge(feePayer=True), expires=after(-300))
        self.run_case(offering(offer, headers=[date], then=self.drop), code=107, loss=10_000)
        server.node_time = late
        blocks = []
        plain = server.reply
        def reply(call):
            answer = plain(call)
            if call["method"] == "eth_getBlockByNumber":
                wanted = call["params"][0]
                block = 100_000 if wanted == "latest" else int(wanted, 16)
                blocks.append(block)
                answer["result"] = {"number": hex(block), "timestamp": hex(int(late()) - (100_000 - block)), "baseFeePerGas": "0x1"}
            return answer
        server.reply = reply
        self.addCleanup(delattr, server, "reply")
        self.home.run("payments", "resume", "--offline")
        self.home.run("payments", "resume")
        server.handler = lambda r, c: payment_required()
        self.assertEqual(self.home.run(server.url + "/x").code, 107)
        (searched,) = server.logs_asked[-1:]
        self.assertLess(int(searched["fromBlock"], 16), 100_000 - 30)
        self.assertEqual(server.signed, 10_000)

    def test_push_that_was_broadcast(self):
        offer = challenge(charge(supportedModes=["push"]))
        self.run_case(offering(offer, then=self.drop), "-H", "X: 0", code=107, says="payments resume")
        def refuse(request, connection):
            server.node_up = False
            return payment_required()
        self.run_case(offering(offer, then=refuse), "-H", "X: 1", code=107)

    def test_resume_while_it_is_in_flight(self):
        go = threading.Event()
        self.addCleanup(go.set)
        server.reset(offering(then=lambda r, c: go.wait(60) and paid()))
        process = self.home.start(server.url + "/x")
        self.assertTrue(wait_for(lambda: server.credentials()))
        done = self.home.run("payments", "resume", "last")
        self.assertEqual(done.code, 107, done)
        self.assertIn("another process", done.errors)
        go.set()
        self.assertEqual(process.communicate(timeout=60)[0], b"goods")
        self.assertEqual(self.home.run("payments", "resume", "last").code, 0)

    def test_resume_of_several(self):
        for path in "ab":
            self.run_case(offering(then=self.drop), code=107, loss=10_000, url=f"{server.url}/{path}")
        server.reset(offering())
        done = self.home.run("payments", "resume")
        self.assertEqual((done.code, done.out, len(server.credentials())), (0, b"goodsgoods", 2), done)

    def test_resume_into_files(self):
        self.run_case(offering(then=self.drop), code=107, loss=10_000)
        server.reset(offering())
        with open("/dev/full", "wb") as full:
            process = subprocess.run([PAYCURL, "payments", "resume", "-j"], env=self.home.env, stdout=full,
                                     stderr=subprocess.PIPE)
        self.assertEqual(process.returncode, 108, process.stderr)
        self.run_case(offering(then=self.drop), "-H", "X: 1", code=107, loss=10_000)
        server.reset(offering(then=answer(200, "", [receipt()])))
        file = self.home.path / "f"
        file.write_text("stale")
        self.assertEqual(self.home.run("payments", "resume", "last", "-o", file).code, 0)
        self.assertEqual(file.read_text(), "")

    def test_a_signal_while_writing_ends_the_run(self):
        server.reset(offering(then=paid(b"x" * 200_000)))
        process = self.home.start(server.url + "/1", server.url + "/2")
        pending = lambda: struct.unpack("i", fcntl.ioctl(process.stdout, termios.FIONREAD, bytes(4)))[0]
        self.assertTrue(wait_for(pending))
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        self.assertEqual((process.returncode, server.signed), (130, 10_000), err)

    def test_resume_and_a_proxy(self):
        self.run_case(offering(then=self.drop), code=107, loss=10_000)
        other.requests.clear()
        self.home.run("payments", "resume", env={"http_proxy": other.url})
        self.assertEqual(other.credentials(), [])
        self.assertEqual(self.home.payments()[0]["paymentStatus"], "unknown")

    def test_a_signal_ends_the_run(self):
        server.reset(offering(then=lambda r, c: pause(c, 60)))
        process = self.home.start(server.url + "/a", server.url + "/b", server.url + "/c")
        self.assertTrue(wait_for(lambda: server.credentials()))
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        self.assertEqual((process.returncode, server.signed), (107, 10_000))

    def test_validity_is_told_by_the_later_clock(self):
        date = "Date: " + time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 3000))
        self.run_case(offering(challenge(expires=after(9000)), headers=[date], then=self.drop), code=107, loss=10_000)
        (row,) = self.home.payments()
        (transaction,) = server.transactions()
        self.assertGreaterEqual(row["validUntil"], time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(transaction.valid_before)))

    def test_hang(self):  # 7
        done = self.run_case(offering(then=lambda r, c: pause(c, 60)), "-m", "5", code=107, loss=10_000, credentials=1)
        self.assertIn("28", str(self.home.run("-j", "-m", "1", server.url + "/z").json["error"]["transport"]))
        self.assertTrue(done)

    def test_reset(self):  # 7
        def handler(request, connection):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            raise Close
        self.run_case(offering(then=handler), code=107, loss=10_000)

    def test_errors_behind_the_payment(self):  # 7
        problem = ["Content-Type: application/problem+json"]
        body = '{"type":"https://paymentauth.org/problems/internal-payment-error","title":"Internal"}'
        self.run_case(offering(then=answer(500, body, problem)), code=107, loss=10_000, says="Internal")
        self.run_case(offering(then=answer(503, "busy")), code=107, loss=10_000)

        def poor(request, connection):
            server.balance = 5
            return answer(500, body, problem)
        server.reset(offering(then=poor))
        done = self.home.run("-H", "X: 1", "-j", server.url + "/x")
        self.assertEqual((done.code, done.json["error"]["have"]["base"]), (103, "5"))

        def settled(request, connection):
            server.settled = True
            return answer(503, "busy")
        self.run_case(offering(then=settled), "-H", "X: 2", code=0, loss=10_000, says="paid 0.01 AlphaUSD, but")
        self.run_case(offering(then=settled), "-H", "X: 3", "-f", code=108, loss=10_000)
        self.run_case(offering(then=answer(404, "no", [receipt()])), "-H", "X: 4", code=0, loss=10_000, says="404")

    def test_truncation(self):  # 45
        short = lambda r, c: (c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\ngoo"), self.drop(r, c))
        self.run_case(offering(then=short), code=108, loss=10_000, says="whole")
        chunked = lambda r, c: (c.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\ngoods\r\n"), self.drop(r, c))
        self.run_case(offering(then=chunked), "-H", "X: 1", code=108, loss=10_000)
        garbage = lambda r, c: (c.sendall(b"\x00\x01\x02 what\r\n\r\n"), self.drop(r, c))
        self.run_case(offering(then=garbage), "-H", "X: 2", code=107, loss=10_000)

    def test_empty_answers(self):  # 45
        self.run_case(offering(then=answer(204, "", [receipt()])), code=0, loss=10_000)
        done = self.run_case(offering(then=answer(302, "", ["Location: /y", receipt()])), "-H", "X: 1", code=0, loss=10_000, says="302")
        self.assertEqual(done.out, b"")
        self.run_case(offering(then=answer(302, "", ["Location: /y"])), "-H", "X: 2", code=107, loss=10_000, says="302 and no receipt")

    def test_receipts(self):  # 44
        self.run_case(offering(then=answer(200)), code=0, loss=10_000, says="no receipt")
        self.run_case(offering(then=answer(200)), "--expect-receipt", "-H", "X: 1", code=108, loss=10_000)
        for number, text in enumerate(("garbage", encode([1]), encode({"status": "failed"}), encode(b"\xff"), "A" * 20000)):
            self.run_case(offering(then=answer(200, headers=["Payment-Receipt: " + text])), "-H", f"Y: {number}", code=0,
                          loss=10_000, says="receipt")

    def test_broken_output(self):  # 54
        with open("/dev/full", "wb") as full:
            server.reset(offering())
            process = subprocess.run([PAYCURL, server.url + "/x"], env=self.home.env, stdout=full, stderr=subprocess.PIPE)
        self.assertEqual(process.returncode, 108, process.stderr)
        self.assertEqual(self.home.run("payments", "show", "last", "--body").out, b"goods")
        # Whoever reads stdout goes away while the payment is on its way; the second URL is not paid any more.
        read, write = os.pipe()
        gone = []
        leave = lambda r, c: gone or gone.append(os.close(read)) or paid()
        server.reset(offering(then=lambda r, c: leave(r, c) and paid()))
        process = subprocess.run([PAYCURL, server.url + "/y", server.url + "/z"], env=self.home.env, stdout=write,
                                 stderr=subprocess.PIPE)
        self.assertEqual((process.returncode, server.signed), (108, 10_000), process.stderr)
        self.assertIn(b"--body", process.stderr)
        # Nobody reads from the start: nothing is paid.
        server.reset(offering())
        process = subprocess.run([PAYCURL, server.url + "/v"], env=self.home.env, stdout=write, stderr=subprocess.PIPE)
        os.close(write)
        self.assertEqual((process.returncode, server.credentials()), (23, []), process.stderr)
        process = subprocess.run(f"{PAYCURL} {server.url}/u >&-", shell=True, env=self.home.env, stderr=subprocess.PIPE)
        self.assertEqual((process.returncode, server.credentials()), (23, []), process.stderr)

    def test_kept_body_that_lost_its_end(self):
        self.run_case(offering(), code=0, loss=10_000)
        (kept,) = (self.home.state / "bodies").iterdir()
        kept.write_bytes(b"go")  # as after a power loss
        shown = self.home.run("payments", "show", "last", "--body")
        self.assertEqual((shown.code, shown.out), (2, b""))
        self.assertIn("not kept whole", shown.errors)

    def test_broken_output_of_what_is_said_about_it(self):
        for number, arguments in enumerate((["-j"], ["-o", os.devnull, "-w", "%{http_code}"], ["-D", "-", "-o", os.devnull])):
            with open("/dev/full", "wb") as full:
                server.reset(offering())
                process = subprocess.run([PAYCURL, *arguments, "-H", f"X: {number}", server.url + "/x"], env=self.home.env,
                                         stdout=full, stderr=subprocess.PIPE)
            self.assertEqual(process.returncode, 108, (arguments, process.stderr))
            self.assertIn(b"paycurl payments show", process.stderr)

    def test_outputs_are_opened_first(self):
        folder = self.home.path / "folder"
        folder.mkdir()
        self.run_case(offering(), "-o", folder, code=23)
        self.run_case(offering(), "-o", "/does/not/exist", code=23)
        self.run_case(offering(), "-D", "/does/not/exist", code=23)
        (self.home.path / "x").symlink_to("/etc/passwd")
        self.run_case(offering(), "-O", code=23, cwd=self.home.path)
        keep = self.home.path / "keep"
        keep.write_text("old")
        self.run_case(offering(), "-o", keep, "--confirm", code=102)
        self.run_case(offering(challenge(charge(amount="9000000"))), "-o", keep, code=102)
        self.assertEqual(keep.read_text(), "old")
        self.run_case(offering(), "-D", keep, "--confirm", code=102)
        self.assertIn("HTTP/1.1 402", keep.read_text())  # the last answer

    def test_journal_that_cannot_be_written(self):  # 52, 53
        self.run_case(offering(), code=1, env={"XDG_STATE_HOME": "/dev/null/x"}, says="pays nothing|nothing is paid")
        self.run_case(offering(), code=2, env={"HOME": "", "XDG_STATE_HOME": ""}, says="home")
        state = self.home.path / "loose"
        (state / "paycurl").mkdir(parents=True)
        os.chmod(state / "paycurl", 0o777)
        self.run_case(offering(), code=1, env={"XDG_STATE_HOME": str(state)}, says="writable by other users")
        newer = self.home.path / "newer"
        self.home.run(server.url, env={"XDG_STATE_HOME": str(newer)})
        import sqlite3
        database = sqlite3.connect(newer / "paycurl/paycurl.db")
        database.execute("PRAGMA user_version=99")
        database.close()
        self.run_case(offering(), code=1, env={"XDG_STATE_HOME": str(newer)}, says="newer paycurl")

    def test_full_disk(self):  # 53
        mount = tempfile.mkdtemp()
        if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", mount]).returncode:
            self.skipTest("mounting needs root")
        try:
            self.run_case(offering(), code=0, loss=10_000, env={"XDG_STATE_HOME": mount})
            fill = os.open(mount + "/fill", os.O_WRONLY | os.O_CREAT)
            try:
                while True:
                    os.write(fill, b"x" * 4096)
            except OSError:
                os.close(fill)
            self.run_case(offering(), "-H", "X: 1", code=1, env={"XDG_STATE_HOME": mount}, says="disk|journal|No space")
        finally:
            subprocess.run(["umount", mount])

    def test_signals(self):  # 55
        for number, code in ((signal.SIGINT, 107), (signal.SIGTERM, 107)):
            server.reset(offering(then=lambda r, c: pause(c, 60)))
            process = self.home.start("-H", f"X: {number}", server.url + "/x")
            self.assertTrue(wait_for(lambda: server.credentials()))
            process.send_signal(number)
            out, err = process.communicate(timeout=60)
            self.assertEqual((process.returncode, out), (code, b""), err)
            self.assertIn(b"payments resume", err)
        server.reset(lambda r, c: pause(c, 60))
        process = self.home.start(server.url + "/free")
        self.assertTrue(wait_for(lambda: server.requests))
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        self.assertEqual((process.returncode, server.signed), (130, 0))

        def slow_body(request, connection):
            connection.sendall(f"HTTP/1.1 200 OK\r\n{receipt()}\r\nContent-Length: 100\r\n\r\ngoo".encode())
            pause(connection, 60)
        server.reset(offering(then=slow_body))
        process = self.home.start("-H", "X: body", server.url + "/x")
        self.assertEqual(process.stdout.read(3), b"goo")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        self.assertEqual((process.returncode, out), (130, b""), err)
        self.assertEqual(self.home.payments()[0]["paymentStatus"], "settled")

    def test_killed_at_any_moment(self):  # 52
        def late(request, connection):
            time.sleep(0.2)
        server.reset(offering(then=late))
        for number in range(12):
            process = self.home.start("-H", f"N: {number % 3}", server.url + "/x")
            time.sleep(0.01 + number * 0.015)
            process.kill()
            process.communicate()
        server.handler = offering()
        for number in range(3):
            done = self.home.run("-H", f"N: {number}", server.url + "/x")
            self.assertEqual((done.code, done.out), (0, b"goods"), done)
        # Whatever was sent before was sent again: the journal knows every signature that left.
        known = len(self.home.payments())
        self.assertGreaterEqual(known * 10_000, server.signed)


class Redirects(Case):
    def test_to_another_origin_that_asks(self):  # 8
        other.handler = offering(challenge(charge(amount="77777")))
        redirect = lambda r, c: answer(302, "", [f"Location: {other.url}/y"])
        self.run_case(redirect, "-L", code=0, loss=0, credentials=0)
        self.assertEqual((len(other.credentials()), other.signed), (1, 77_777))

    def test_to_another_origin_after_paying(self):  # 8
        other.handler = lambda r, c: payment_required(challenge(charge(amount="77777")))
        self.run_case(offering(then=lambda r, c: answer(302, "", [f"Location: {other.url}/y"])), "-L", code=108,
                      loss=10_000, credentials=1, says="redirect")
        self.assertEqual(other.requests, [])

    def test_secrets_stay(self):
        other.handler = lambda r, c: answer()
        self.run_case(lambda r, c: answer(307, "", [f"Location: {other.url}/y"]), "-L", "-u", "me:secret", "-H", "Cookie: a=b",
                      "-d", "body", code=0)
        (seen,) = other.requests
        self.assertEqual((seen.headers.get("authorization"), seen.headers.get("cookie"), seen.body), (None, None, b"body"))

    def test_odd_targets(self):
        for target, code in (("file:///etc/passwd", 2), ("gopher://x/", 2), ("ftp://x/", 2), ("http://[", 3), ("/again", 47)):
            self.run_case(lambda r, c: answer(302, "", ["Location: " + target]), "-L", "--max-redirs", "5", code=code)

    def test_paid_redirect_within_the_origin(self):
        self.run_case(lambda r, c: paid() if r.path == "/done" else offering(then=answer(303, "", ["Location: /done"]))(r, c),
                      "-L", code=0, loss=10_000)


class Transport(Case):
    def test_plain_http(self):  # 9
        self.run_case(offering(), code=102, url=f"http://0.0.0.0:{server.port}/x", says="plain http")
        done = self.home.run("--inspect", "-j", f"http://0.0.0.0:{server.port}/x")
        self.assertEqual((done.code, done.json["offers"][0]["reason"]), (102, "insecure"))
        self.run_case(offering(), "--allow-http", code=0, loss=10_000, url=f"http://0.0.0.0:{server.port}/x")
        self.run_case(offering(), code=0, loss=10_000, url=f"http://api.localhost:{server.port}/x")

    def test_proxy_to_loopback(self):  # 58
        self.run_case(offering(), "-x", server.url, code=102, url="http://127.0.0.1:9/x", says="plain http")
        self.run_case(offering(), code=102, url="http://127.0.0.1:9/x", env={"http_proxy": server.url})

    def test_huge_heads(self):  # 34
        self.run_case(lambda r, c: answer(402, "", ["X: " + "a" * 1000] * 2000), code=56, says="256 KiB")
        self.run_case(lambda r, c: answer(402, "", ["WWW-Authenticate: " + "a" * 300_000]), code=27, says="100 KiB")

    def test_slow(self):  # 35
        start = time.monotonic()
        self.run_case(lambda r, c: pause(c, 20), "-m", "1", code=28)
        drip = lambda r, c: (c.sendall(b"HTTP/1.1 402 X\r\nX: "), pause(c, 20))
        self.run_case(drip, "-m", "1", code=28)
        slow = lambda r, c: paid() if r.credential else (c.sendall(
            f"HTTP/1.1 402 X\r\nWWW-Authenticate: {challenge()}\r\nContent-Length: 100\r\n\r\n{{".encode()), pause(c, 20))
        self.run_case(slow, code=0, loss=10_000)
        self.assertLess(time.monotonic() - start, 18)

    def test_endless_402_body(self):  # 35
        def handler(request, connection):
            if request.credential:
                return paid()
            connection.sendall(f"HTTP/1.1 402 X\r\nWWW-Authenticate: {challenge()}\r\n\r\n".encode())
            for _ in range(10_000):
                connection.sendall(b"x" * 65536)
            raise Close
        self.run_case(handler, code=0, loss=10_000)

    def test_bombs(self):  # 36
        bomb = gzip.compress(b"\0" * (200 << 20))
        zipped = ["Content-Encoding: gzip"]
        asking = answer(402, bomb, ["WWW-Authenticate: " + challenge(), *zipped])
        self.run_case(lambda r, c: paid() if r.credential else asking, "--compressed", code=0, loss=10_000)
        self.run_case(offering(then=paid(bomb, zipped)), "--compressed", "-o", "/dev/null", "-H", "X: 1", code=0, loss=10_000)
        server.reset(offering(then=paid(bomb, zipped)))
        # Measured by a small process: a child's peak counts from its fork.
        measure = ("import resource,subprocess,sys; subprocess.run(sys.argv[1:]);"
                   "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)")
        process = subprocess.run([sys.executable, "-c", measure, PAYCURL, "--compressed", "-o", "/dev/null", "-H", "X: 2",
                                  server.url], env=self.home.env, capture_output=True)
        self.assertLess(int(process.stdout), 64 * 1024 * (5 if "asan" in PAYCURL else 1))

    def test_terminal_escapes(self):  # 40
        evil = "\x1b[2K\x1b]0;x\x07 \u202e$1\u200b".encode().decode("latin1")
        problem = json.dumps({"title": "\x1b[31mred", "detail": "line\nbreak\u202e"})
        asks = challenge(description="p\\u001b[2K\\u202e", realm="r\\u001b")
        self.run_case(lambda r, c: payment_required(asks, body=problem), "-vv", code=100, loss=10_000, says=r"\\u\{1b\}")
        self.run_case(lambda r, c: payment_required(challenge(method="x", description=evil)), "-v", code=104)
        bad = "Payment-Receipt: " + encode({"method": "\x1b", "reference": "\x1b[2J\u202e", "status": "success", "timestamp": after(0)})
        self.run_case(offering(then=answer(200, headers=[bad])), "-vv", "-H", "X: 1", code=0, loss=10_000)
        self.home.run("payments", "list")
        shown = self.home.run("payments", "show", "last")
        self.assertNotRegex(shown.out, rb"[\x00-\x09\x0b-\x1f\x7f]")
        self.run_case(lambda r, c: answer(200, "", ["X-Evil: \x1b[2J"]), "-v", code=0)

    def test_header_injection(self):  # 41
        self.run_case(offering(challenge(realm="a\\u000d\\u000aX-Evil: 1")), code=0, loss=10_000)
        self.assertNotIn("x-evil", server.requests[-1].headers)
        self.run_case(offering(), "-H", "X: a\r\nY: b", code=2)

    def test_hostile_working_directory(self):  # 48
        for name in (".env", "paycurl.toml", "config.toml", ".paycurlrc", ".curlrc"):
            (self.home.path / name).write_text("insecure\nPAYCURL_MAX_SPEND=100\nmax-spend = 100\n")
        self.run_case(offering(challenge(charge(amount="5000000"))), code=102, cwd=self.home.path)

    def test_key_files(self):  # 60
        file = self.home.path / "k.json"
        params = {"dklen": 32, "n": 1 << 23, "r": 8, "p": 1, "salt": "00" * 32}
        file.write_text(json.dumps({"version": 3, "crypto": {"cipher": "aes-128-ctr", "cipherparams": {"iv": "00" * 16},
                        "ciphertext": "00" * 32, "kdf": "scrypt", "kdfparams": params, "mac": "00" * 32}}))
        (self.home.path / "p").write_text("x")
        self.run_case(offering(), "--key-file", file, "--password-file", self.home.path / "p", code=105, says="1 GiB")


if __name__ == "__main__":
    unittest.main()
