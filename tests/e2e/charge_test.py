"""Tempo charges against the real mppx server on the local chain: every variant, balances before and after."""

import json
import os
import unittest

from lab import (ALPHA, PATH, PAYEE, PAYER, PAYER_KEY, SPLIT_A, SPLIT_B, SPONSOR, Devnet, Home, check_canary)

net = None


def setUpModule():
    global net
    net = Devnet()


def tearDownModule():
    try:
        for entry in net.log():
            signature = (entry.get("payload") or {}).get("signature", "")
            check_canary(signature[-130:] or PAYER_KEY)
        check_canary(PAYER_KEY)
    finally:
        net.stop()


def home(**extra):
    return Home(rpc=net.rpc_url, **extra)


class Charges(unittest.TestCase):
    def pay(self, path, *options, recipients=(PAYEE,), token=ALPHA, who=None):
        who = who or home()
        done, moved = net.moved([PAYER, *recipients], lambda: who.run(net.url + path, *options), token)
        self.assertEqual(done.code, 0, done)
        return done, moved

    def test_pull_moves_exactly_the_amount(self):
        done, (payer, payee) = self.pay("/charge")
        self.assertEqual(done.out, b'{"ok":true}')
        self.assertEqual(done.err, b"")
        self.assertEqual(payee, 10_000)
        self.assertLess(payer, -10_000)  # and a network fee
        self.assertGreater(payer, -10_000 - 20_000)

    def test_pull_asks_no_node(self):
        # The server asks its node; the client's own is a port where nobody listens.
        who = home()
        who.env["PAYCURL_RPC_URL"] = "http://127.0.0.1:1"
        for path in ("/charge", "/charge/zero", "/charge/sponsored", "/charge/splits"):
            self.assertEqual(who.run(net.url + path).code, 0, path)

    def test_zero_amount_is_a_proof(self):
        net.clear()
        _, (payer, payee) = self.pay("/charge/zero")
        self.assertEqual((payer, payee), (0, 0))
        self.assertEqual(net.log()[-1]["payload"]["type"], "proof")

    def test_sponsored_fee(self):
        before = net.balance(SPONSOR, PATH)
        _, (payer, payee) = self.pay("/charge/sponsored")
        self.assertEqual((payer, payee), (-10_000, 10_000))
        self.assertLess(net.balance(SPONSOR, PATH), before)

    def test_node_of_the_command_line(self):
        who = home()
        who.env["PAYCURL_RPC_URL"] = "http://127.0.0.1:1"
        self.pay("/charge/push", "--rpc-url", net.rpc_url, who=who)
        self.assertEqual(who.run("--offline", "--rpc-url", net.rpc_url, net.url + "/charge/push").code, 101)

    def test_push_without_its_node_signs_nothing(self):
        who = home()
        for node in ("http://127.0.0.1:1", net.url):  # nobody there; something that is no node
            self.assertEqual(who.run("--rpc-url", node, net.url + "/charge/push").code, 109)
        self.assertEqual({payment["paymentStatus"] for payment in who.payments()}, set())

    def test_splits(self):
        _, (_, payee, a, b) = self.pay("/charge/splits", recipients=(PAYEE, SPLIT_A, SPLIT_B))
        self.assertEqual((payee, a, b), (7_000, 2_000, 1_000))

    def test_push(self):
        net.clear()
        _, (_, payee) = self.pay("/charge/push")
        self.assertEqual(payee, 10_000)
        self.assertEqual(net.log()[-1]["payload"]["type"], "hash")

    def test_push_when_asked_for(self):
        net.clear()
        self.pay("/charge", "--push")
        self.assertEqual(net.log()[-1]["payload"]["type"], "hash")

    def test_pull_only(self):
        self.pay("/charge/pull")
        self.assertEqual(home().run(net.url + "/charge/pull", "--push").code, 101)

    def test_another_token(self):
        _, (_, payee) = self.pay("/charge/path", token=PATH)
        self.assertEqual(payee, 10_000)

    def test_body_digest(self):
        for path in ("/charge/digest", "/charge/digest-mppx"):
            done, (_, payee) = self.pay(path, "--json", '{"q":"hello"}')
            self.assertEqual(json.loads(done.out)["echo"], '{"q":"hello"}')
            self.assertEqual(payee, 10_000)

    def test_body_digest_of_a_file_and_of_a_pipe(self):
        who = home()
        body = os.urandom(3 << 20).hex()
        (who.path / "body").write_text(body)
        done = who.run(net.url + "/charge/digest", "--data-binary", f"@{who.path}/body")
        self.assertEqual(json.loads(done.out)["echo"], body)
        done = who.run(net.url + "/charge/digest", "--data-binary", "@-", stdin=body.encode())
        self.assertEqual(json.loads(done.out)["echo"], body)

    def test_two_offers_of_which_one_is_payable(self):
        done, (_, payee) = self.pay("/offers", "-H", "Accept-Payment: */*")
        self.assertEqual(payee, 10_000)
        _, (_, payee) = self.pay("/offers", "--currency", "pathUSD", token=PATH)
        self.assertEqual(payee, 20_000)
        self.assertEqual(home().run(net.url + "/offers/unknown").code, 101)

    def test_receipt_names_our_transaction(self):
        done, _ = self.pay("/charge", "-j")
        payment = done.json["payment"]
        self.assertEqual(payment["paymentStatus"], "settled")
        self.assertEqual(payment["receipt"]["reference"], payment["reference"])
        receipt = net.rpc("eth_getTransactionReceipt", payment["reference"])
        self.assertEqual(receipt["status"], "0x1")
        self.assertEqual(receipt["from"].lower(), PAYER.lower())

    def test_sponsored_reference_comes_from_the_receipt(self):
        done, _ = self.pay("/charge/sponsored", "-j")
        self.assertEqual(net.rpc("eth_getTransactionReceipt", done.json["payment"]["reference"])["status"], "0x1")

    def test_fee_token(self):
        before = net.balance(PAYER, PATH)
        _, (payer, payee) = self.pay("/charge", "-M", f"fee-token={PATH}")
        self.assertEqual((payer, payee), (-10_000, 10_000))
        self.assertLess(net.balance(PAYER, PATH), before)

    def test_over_the_limit_nothing_is_signed(self):
        who = home()
        net.clear()
        done = who.run("--max-spend", "0.001", net.url + "/charge")
        self.assertEqual(done.code, 102)
        self.assertEqual(done.out, b"")
        self.assertIn("--max-spend", done.errors)
        self.assertEqual([entry.get("payload") for entry in net.log()], [None])
        self.assertFalse((who.state / "paycurl.db").exists() and who.payments())

    def test_limits_from_the_environment(self):
        self.assertEqual(home(PAYCURL_MAX_SPEND="0.001").run(net.url + "/charge").code, 102)
        self.assertEqual(home(PAYCURL_MAX_SPEND="0.001").run("--max-spend", "0.01", net.url + "/charge").code, 0)
        self.assertEqual(home(PAYCURL_MAX_SPEND="").run(net.url + "/charge").code, 2)

    def test_a_run_is_one_budget(self):
        done = home().run("--max-spend", "0.025", *[net.url + "/charge"] * 4)
        self.assertEqual(done.code, 102)
        self.assertEqual(done.out, b'{"ok":true}' * 2)

    def test_inspect_needs_nothing(self):
        bare = Home(key=None)
        bare.env = {"PATH": os.environ["PATH"]}
        done = bare.run("--inspect", net.url + "/offers")
        self.assertEqual(done.code, 0, done)
        self.assertIn("0.01 AlphaUSD", done.text)
        done = bare.run("--inspect", "-j", net.url + "/offers")
        offers = done.json["offers"]
        self.assertEqual([o["reason"] for o in offers], ["unknown_method", None, None, None])
        self.assertEqual(done.json["chosen"], 2)
        self.assertEqual(bare.run("--inspect", net.url + "/offers/unknown").code, 101)
        self.assertEqual(bare.run("--inspect", "--max-spend", "0.001", net.url + "/charge").code, 102)
        free = bare.run("--inspect", "-j", net.url + "/free")
        self.assertTrue(free.code == 0 and free.json["free"])

    def test_dry_run_signs_nothing(self):
        who = home()
        net.clear()
        done = who.run("--dry-run", "-j", net.url + "/charge")
        quote = done.json["quote"]
        self.assertEqual((done.code, quote["payer"], quote["total"]["amount"]), (0, PAYER, "0.01"))
        self.assertGreater(int(quote["balance"]["base"]), 10**12)
        self.assertEqual(len(net.log()), 1)
        self.assertEqual(who.run("--dry-run", "--offline", net.url + "/charge").code, 0)

    def test_insufficient_funds_says_need_and_have(self):
        key = "0x" + "77" * 32
        done = home(PAYCURL_PRIVATE_KEY=key).run("-j", net.url + "/charge")
        self.assertEqual(done.code, 103, done)
        error = done.json["error"]
        self.assertEqual(error["have"]["amount"], "0")
        self.assertEqual(error["need"]["base"], str(10_000 + 7_480))
        self.assertEqual(error["paymentStatus"], "rejected")
        self.assertEqual(home(PAYCURL_PRIVATE_KEY=key).run("--push", net.url + "/charge").code, 103)
        self.assertEqual(home(PAYCURL_PRIVATE_KEY=key).run("--dry-run", net.url + "/charge").code, 103)

    def test_networks(self):
        self.assertEqual(home().run("--network", "mainnet", net.url + "/charge").code, 101)
        self.assertEqual(home().run("--network", "testnet", net.url + "/charge").code, 0)
        self.assertEqual(home().run("--network", "42431", net.url + "/charge").code, 0)
        self.assertEqual(home().run("--network", "nowhere", net.url + "/charge").code, 2)

    def test_expectations(self):
        url = net.url + "/charge"
        self.assertEqual(home().run("--expect-amount", "0.01", "--expect-recipient", PAYEE.lower(), "--expect-currency", "AlphaUSD", "--expect-status", "200", "--expect-receipt", url).code, 0)
        for option, value in (("--expect-amount", "0.02"), ("--expect-recipient", PAYER), ("--expect-currency", "pathUSD")):
            self.assertEqual(home().run(option, value, url).code, 102, option)
        self.assertEqual(home().run("--expect-status", "201", url).code, 108)
        self.assertEqual(home().run("--expect-status", "201", net.url + "/free").code, 22)
        done = home().run("--expect-amount", "0.01", net.url + "/free")
        self.assertEqual((done.code, done.out), (102, b""))

    def test_confirm_without_a_terminal_pays_nothing(self):
        net.clear()
        done = home().run("--confirm", net.url + "/charge")
        self.assertEqual(done.code, 102)
        self.assertEqual(len(net.log()), 1)
        self.assertEqual(home().run("--confirm", "--yes", net.url + "/charge").code, 0)

    def test_no_pay_is_plain_curl(self):
        done = home().run("--no-pay", net.url + "/charge")
        self.assertEqual(done.code, 0)
        self.assertIn("Payment Required", done.text)
        self.assertEqual(home().run("--no-pay", "-f", net.url + "/charge").code, 22)
        self.assertEqual(home().run("-H", "Authorization: Payment abc", net.url + "/charge").code, 0)

    def test_journal_and_kept_body(self):
        who = home()
        who.run(net.url + "/charge")
        (payment,) = who.payments()
        self.assertEqual((payment["paymentStatus"], payment["status"], payment["paid"]["amount"]), ("settled", 200, "0.01"))
        self.assertEqual(who.run("payments", "show", "last", "--body").out, b'{"ok":true}')
        shown = who.run("payments", "show", payment["id"][:12], "-j").json["payment"]
        self.assertEqual([e["state"] for e in shown["events"]], ["intent", "signed", "sent", "answered", "delivered"])
        lines = who.run("payments", "export").text.splitlines()
        self.assertEqual(lines[0].split(",")[0], "id")
        self.assertEqual(len(lines), 2)
        self.assertEqual(json.loads(who.run("payments", "export", "--format", "jsonl").out)["id"], payment["id"])
        mode = os.stat(who.state).st_mode & 0o777, os.stat(who.state / "paycurl.db").st_mode & 0o777
        self.assertEqual(mode, (0o700, 0o600))

    def test_no_spool(self):
        who = home()
        who.run("--no-spool", net.url + "/charge")
        self.assertEqual(who.run("payments", "show", "last", "--body").code, 2)

    def test_variables(self):
        done = home().run("-o", "/dev/null", "-w", "%{http_code} %{payment_amount} %{payment_currency} %{payment_status} %{payment_total}\n", net.url + "/charge")
        self.assertEqual(done.text, "200 0.01 AlphaUSD settled 0.01 AlphaUSD\n")

    def test_verbose_hides_the_credential(self):
        done = home().run("-vv", net.url + "/charge")
        self.assertEqual(done.out, b'{"ok":true}')
        self.assertRegex(done.errors, r"> Authorization: Payment <\d+ bytes, sha256 [0-9a-f]{8}…>")
        self.assertIn("$ paying 0.01 AlphaUSD", done.errors)
        self.assertIn("$ receipt: 0x", done.errors)

    def test_private_key_sources(self):
        who = home(key=None)
        read, write = os.pipe()
        os.write(write, PAYER_KEY[2:].encode() + b"\n")
        os.close(write)
        self.assertEqual(who.run("--key-fd", read, net.url + "/charge", pass_fds=[read]).code, 0)
        credentials = who.path / "credentials"
        credentials.mkdir()
        (credentials / "ci").write_text(PAYER_KEY)
        self.assertEqual(who.run("-a", "ci", net.url + "/charge", env={"CREDENTIALS_DIRECTORY": str(credentials)}).code, 0)
        self.assertEqual(who.run(net.url + "/charge", env={"MPPX_PRIVATE_KEY": PAYER_KEY}).code, 0)
        self.assertEqual(who.run(net.url + "/charge", env={"PAYCURL_PRIVATE_KEY": ""}).code, 105)
        self.assertEqual(who.run(net.url + "/charge", env={"PAYCURL_PRIVATE_KEY": "0x12"}).code, 105)

    def test_many_at_once_are_separate_purchases(self):
        who = home()
        before = net.balance(PAYEE)
        running = [who.start(net.url + "/charge") for _ in range(8)]
        for process in running:
            out, err = process.communicate(timeout=60)
            self.assertEqual((process.returncode, out), (0, b'{"ok":true}'), err)
        self.assertEqual(net.balance(PAYEE) - before, 80_000)
        self.assertEqual(len(who.payments()), 8)


if __name__ == "__main__":
    unittest.main()
