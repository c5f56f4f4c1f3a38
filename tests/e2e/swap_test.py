"""--swap-from: payments in a token of which the payer has too little, on the chain's own exchange, and a node that lies."""

import http.server
import json
import secrets
import threading
import unittest
import urllib.request

from lab import ALPHA, PATH, PAYEE, SPLIT_A, SPLIT_B, SPONSOR, Devnet, Home, check_canary

BETA = "0x20c0000000000000000000000000000000000002"
THETA = "0x20c0000000000000000000000000000000000003"
QUOTE = "0x1576fa0e"  # quoteSwapExactAmountOut
BALANCE = "0x70a08231"
net = None
keys = []


def setUpModule():
    global net
    net = Devnet()


def tearDownModule():
    try:
        check_canary(*keys)
    finally:
        net.stop()


def word(number):
    return "0x" + hex(number)[2:].rjust(64, "0")


class LyingNode:
    """A node in front of the real one; `lies` changes what calls with that selector return."""

    def __init__(self, lies):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                request = urllib.request.Request(net.rpc_url, body, {"content-type": "application/json"})
                with urllib.request.urlopen(request, timeout=30) as answer:
                    replies = json.load(answer)
                asked = json.loads(body)
                pairs = zip(asked, replies) if isinstance(asked, list) else [(asked, replies)]
                for call, reply in pairs:
                    data = call["params"][0].get("data", "") if call["method"] == "eth_call" else ""
                    if data[:10] in lies:
                        reply.pop("error", None)
                        reply["result"] = lies[data[:10]](call["params"][0])
                text = json.dumps(replies).encode()
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


class Swaps(unittest.TestCase):
    def payer(self, token=PATH, base=1_000_000, rpc=None):
        """A new account that has only that."""
        key = "0x" + secrets.token_hex(32)
        keys.append(key)
        who = Home(key=key, rpc=rpc or net.rpc_url)
        quote = who.run("--dry-run", "-j", "--offline", net.url + "/charge").json["quote"]
        who.address = quote["payer"]
        if base:
            url = f"{net.url}/_devnet/give?to={who.address}&token={token}&base={base}"
            with urllib.request.urlopen(url, timeout=30) as answer:
                self.assertEqual(json.load(answer)["status"], "success")
        return who

    def pay(self, who, path, *options, recipients=(PAYEE,), token=ALPHA):
        return net.moved(list(recipients), lambda: who.run(*options, net.url + path), token)

    def test_the_payee_gets_exactly_the_amount_and_the_payer_loses_what_was_said(self):
        who = self.payer()
        done, (payee,) = self.pay(who, "/charge", "--swap-from", "pathUSD", "-j")
        self.assertEqual(done.code, 0, done)
        self.assertEqual(payee, 10_000)
        payment = done.json["payment"]
        self.assertEqual((payment["paid"]["base"], payment["paid"]["symbol"]), ("10000", "AlphaUSD"))
        self.assertEqual(payment["fee"]["symbol"], "pathUSD")
        self.assertEqual(net.balance(who.address, ALPHA), 0)
        lost = 1_000_000 - net.balance(who.address, PATH)
        self.assertGreater(lost, 10_000)
        self.assertLessEqual(lost, 10_102 + int(payment["fee"]["base"]))
        self.assertLessEqual(int(payment["fee"]["base"]), 20_000)

    def test_without_the_option_nothing_is_swapped(self):
        who = self.payer()
        done, (payee,) = self.pay(who, "/charge")
        self.assertEqual((done.code, payee), (103, 0), done)
        self.assertEqual(net.balance(who.address, PATH), 1_000_000)

    def test_who_has_enough_swaps_nothing(self):
        who = self.payer(token=ALPHA)
        done, (payee,) = self.pay(who, "/charge", "--swap-from", "auto", "-v")
        self.assertEqual((done.code, payee), (0, 10_000), done)
        self.assertNotIn("swap", done.errors)

    def test_push_sponsored_splits_and_two_hops(self):
        who = self.payer()
        for path in ("/charge/push", "/charge/pull"):
            done, (payee,) = self.pay(who, path, "--swap-from", "pathUSD")
            self.assertEqual((done.code, payee), (0, 10_000), done)
        done, (payee, a, b) = self.pay(who, "/charge/splits", "--swap-from", PATH,
                                       recipients=(PAYEE, SPLIT_A, SPLIT_B))
        self.assertEqual((done.code, payee, a, b), (0, 7_000, 2_000, 1_000), done)
        done, (payee,) = self.pay(self.payer(token=BETA), "/charge", "--swap-from", "BetaUSD")
        self.assertEqual((done.code, payee), (0, 10_000), done)

    def test_a_sponsor_pays_the_fee(self):
        who = self.payer(base=10_200)  # no more than the swap takes
        sponsor = net.balance(SPONSOR, PATH)
        done, (payee,) = self.pay(who, "/charge/sponsored", "--swap-from", "pathUSD", "-j")
        self.assertEqual((done.code, payee), (0, 10_000), done)
        self.assertIsNone(done.json["payment"]["fee"])
        self.assertGreaterEqual(net.balance(who.address, PATH), 10_200 - 10_102)
        self.assertLess(net.balance(SPONSOR, PATH), sponsor)

    def test_the_first_token_that_suffices(self):
        who = self.payer(token=BETA)
        done, (payee,) = self.pay(who, "/charge", "--swap-from", "ThetaUSD", "--swap-from", "pathUSD", "--swap-from",
                                  "BetaUSD", "-v")
        self.assertEqual((done.code, payee), (0, 10_000), done)
        self.assertIn("BetaUSD for it", done.errors)

    def test_a_fee_that_is_not_allowed_is_said_before(self):
        who = self.payer()
        done, (payee,) = self.pay(who, "/charge", "--swap-from", "pathUSD", "--max-fee", "0.005", "-j")
        self.assertEqual((done.code, payee, done.json["error"]["reason"]), (102, 0, "max_fee"), done)
        self.assertEqual(who.payments(), [])

    def test_none_suffices(self):
        who = self.payer(base=20_000)  # enough for the swap, not for the fee that may come with it
        for options in (["--swap-from", "ThetaUSD"], ["--swap-from", "auto"]):
            done, (payee,) = self.pay(who, "/charge", "-j", *options)
            self.assertEqual((done.code, payee), (103, 0), done)
            self.assertEqual(done.json["error"]["have"]["symbol"], "AlphaUSD")
            self.assertEqual(done.json["error"]["paymentStatus"], "not_sent")
        self.assertEqual(who.payments(), [])

    def test_the_quote_of_dry_run(self):
        who = self.payer()
        done = who.run("--dry-run", "-j", "--swap-from", "pathUSD", "--slippage", "0.5", net.url + "/charge")
        self.assertEqual(done.code, 0, done)
        quote = done.json["quote"]
        self.assertEqual(quote["total"]["base"], "10000")
        self.assertEqual((quote["swap"]["base"], quote["swap"]["symbol"]), ("10052", "pathUSD"))  # 10001 * 1.005 = 10051.005
        self.assertEqual(quote["balance"]["symbol"], "pathUSD")
        self.assertIn("swap at most 0.010102 pathUSD",
                      who.run("--dry-run", "--swap-from", "pathUSD", net.url + "/charge").text)
        limited = who.run("--dry-run", "--max-spend", "0.0101", "--swap-from", "pathUSD", net.url + "/charge")
        self.assertEqual(limited.code, 102, limited)
        self.assertEqual(who.payments(), [])

    def test_what_the_swap_may_cost_counts_for_the_limit(self):
        who = self.payer()
        for limit, code in (("0.01", 102), ("0.010101", 102), ("0.010102", 0)):
            done, (payee,) = self.pay(who, "/charge", "--swap-from", "pathUSD", "--max-spend", limit, "-j")
            self.assertEqual((done.code, payee), (code, 0 if code else 10_000), done)
        # A limit of the token that is swapped sees all of it.
        done, (payee,) = self.pay(who, "/charge", "--swap-from", "pathUSD", "--max-spend", "0.02:pathUSD",
                                  net.url + "/charge")
        self.assertEqual((done.code, payee), (102, 10_000), done)
        # In one run: 2 * 10102.
        done, (payee,) = self.pay(who, "/charge", "--swap-from", "pathUSD", "--max-spend", "0.020203",
                                  net.url + "/charge")
        self.assertEqual((done.code, payee), (102, 10_000), done)

    def test_a_node_that_lies_about_the_price_costs_no_more_than_the_limit(self):
        for quoted, code in ((0, 103), (400_000, 102), (2**127, 103), (2**256 - 1, 103), (900_000, 102)):
            with LyingNode({QUOTE: lambda _, quoted=quoted: word(quoted)}) as node:
                who = self.payer(rpc=node.url)
                done, (payee,) = self.pay(who, "/charge", "--swap-from", "pathUSD", "--max-spend", "0.30")
                self.assertEqual((done.code, payee), (code, 0), (quoted, done))
                self.assertEqual(net.balance(who.address, PATH), 1_000_000)

    def test_a_price_that_is_too_low_fails_on_the_chain_whole(self):
        with LyingNode({QUOTE: lambda _: word(9_000)}) as node:
            who = self.payer(rpc=node.url)
            done, (payee,) = self.pay(who, "/charge", "--swap-from", "pathUSD", "--slippage", "0")
            self.assertIn(done.code, (100, 107), done)
            self.assertEqual(payee, 0)
            self.assertGreaterEqual(net.balance(who.address, PATH), 1_000_000 - 20_000)  # a fee at most

    def test_a_node_that_lies_about_what_the_payer_has(self):
        # The swap was not needed: it costs what the limit allows, and what was there stays.
        def nothing(call):
            return word(0 if call["to"].lower() == ALPHA else 1_000_000)
        with LyingNode({BALANCE: nothing}) as node:
            who = self.payer(rpc=node.url)
            urllib.request.urlopen(f"{net.url}/_devnet/give?to={who.address}&token={ALPHA}&base=50000", timeout=30).read()
            done, (payee,) = self.pay(who, "/charge", "--swap-from", "pathUSD")
            self.assertEqual((done.code, payee), (0, 10_000), done)
            self.assertEqual(net.balance(who.address, ALPHA), 50_000)

    def test_confirming_says_it(self):
        who = self.payer()
        done, (payee,) = self.pay(who, "/charge", "--swap-from", "pathUSD", "--confirm")
        self.assertEqual((done.code, payee), (102, 0), done)

    def test_no_node_no_swap(self):
        who = self.payer(rpc="http://127.0.0.1:1", base=0)
        done, (payee,) = self.pay(who, "/charge", "--swap-from", "auto")
        self.assertEqual((done.code, payee), (109, 0), done)
        self.assertEqual(who.payments(), [])
        done, (payee,) = self.pay(who, "/charge/zero", "--swap-from", "auto")  # a proof needs none
        self.assertEqual(done.code, 0, done)

    def test_a_payment_in_doubt_is_finished_with_the_same_swap(self):
        who = self.payer()
        before = net.balance(PAYEE, ALPHA)
        done = who.run("--swap-from", "pathUSD", "-m", "4", net.url + "/charge?delay=9000")
        self.assertEqual(done.code, 107, done)
        done = who.run("payments", "resume", "-j")
        self.assertIn(done.code, (0, 108), done)  # the server may have been quicker with what it was sent first
        self.assertEqual(net.balance(PAYEE, ALPHA) - before, 10_000)
        self.assertLess(net.balance(who.address, PATH), 1_000_000 - 10_000)
        self.assertEqual(net.balance(who.address, ALPHA), 0)
        self.assertEqual([p["paymentStatus"] for p in who.payments()], ["settled"])


if __name__ == "__main__":
    unittest.main()
