"""sign, decode and services: credentials for another client against the real shops, and a registry that changes."""

import http.server
import json
import subprocess
import tempfile
import threading
import unittest

from lab import ALL_OUTPUT, PAYCURL, PAYEE, PAYER, PAYER_KEY, Devnet, Home, Lightning

net = None


def setUpModule():
    global net
    net = Devnet()


def tearDownModule():
    try:  # sign prints credentials, never the key
        everything = b"".join(ALL_OUTPUT).lower()
        assert PAYER_KEY[2:].encode() not in everything, "the key was printed"
    finally:
        net.stop()


def curl(*arguments):
    return subprocess.run(["curl", "-s", *arguments], capture_output=True, text=True, timeout=60).stdout


class Signing(unittest.TestCase):
    def setUp(self):
        self.home = Home(rpc=net.rpc_url)

    def head(self, path):
        """The head of the 402 that curl gets."""
        with tempfile.NamedTemporaryFile("r") as file:
            curl("-D", file.name, "-o", "/dev/null", net.url + path)
            return file.read()

    def sign(self, head, *options):
        return self.home.run("sign", "--url", net.url, *options, stdin=head.encode())

    def buy(self, path, authorization):
        return curl("-w", "%{http_code}", "-H", "Authorization: " + authorization, net.url + path)

    def sign_ok(self, head, *options):
        done = self.sign(head, *options)
        self.assertEqual((done.code, done.err), (0, b""), done)
        self.assertTrue(done.text.startswith("Payment ") and done.text.count("\n") == 1, done)
        return done.text.strip()

    def test_curl_pays_with_it_once(self):
        def whole():
            credential = self.sign_ok(self.head("/charge"))
            self.assertEqual(self.buy("/charge", credential), '{"ok":true}200')
            self.assertIn("402", self.buy("/charge", credential))  # it is used up
        _, (_, payee) = net.moved([PAYER, PAYEE], whole)
        self.assertEqual(payee, 10_000)
        row, = self.home.payments()
        self.assertEqual((row["paymentStatus"], row["request"]["method"]), ("unknown", "sign"))
        done = self.home.run("payments", "resume", "-j")
        self.assertEqual(done.code, 0, done)
        self.assertEqual([(r["before"], r["after"]) for r in done.json["results"]], [("unknown", "settled")])
        row, = self.home.payments()
        self.assertEqual(row["paid"]["base"], "10000")
        self.assertRegex(row["reference"], "^0x[0-9a-f]{64}$")

    def test_resume_asks_no_server(self):
        self.sign_ok(self.head("/charge"))
        net.clear()
        done, (payer, payee) = net.moved([PAYER, PAYEE], lambda: self.home.run("payments", "resume"))
        self.assertEqual(done.code, 107, done)
        self.assertEqual((payer, payee, net.log()), (0, 0, []))

    def test_the_same_challenge_is_one_payment(self):
        head = self.head("/charge")
        def whole():
            first = self.sign_ok(head)
            again = self.sign(head)
            self.assertEqual((again.code, again.text.strip()), (0, first), again)
            self.assertIn("of an earlier run", again.errors)
            self.assertEqual(self.buy("/charge", first), '{"ok":true}200')
        _, (_, payee) = net.moved([PAYER, PAYEE], whole)
        self.assertEqual(payee, 10_000)
        self.assertEqual(len(self.home.payments()), 1)
        self.assertEqual(self.home.run("payments", "resume").code, 0)
        refused = self.sign(head, "-j")
        self.assertEqual((refused.code, refused.json["error"]["reason"]), (102, "already_paid"), refused)
        self.assertIsNone(refused.json["authorization"])
        self.assertEqual(len(self.home.payments()), 1)

    def test_every_kind_of_charge(self):
        for path in ("/charge/zero", "/charge/sponsored", "/charge/splits", "/charge/push", "/charge/path"):
            with self.subTest(path):
                credential = self.sign_ok(self.head(path))
                self.assertEqual(self.buy(path, credential), '{"ok":true}200')
        self.assertEqual(self.home.run("payments", "resume").code, 0)
        self.assertEqual({row["paymentStatus"] for row in self.home.payments()}, {"settled"})

    def test_a_challenge_bound_to_a_body(self):
        with tempfile.NamedTemporaryFile("r") as file:
            curl("-D", file.name, "-o", "/dev/null", "-d", "body", net.url + "/charge/digest")
            credential = self.sign_ok(file.read())
        bought = curl("-w", "%{http_code}", "-d", "body", "-H", "Authorization: " + credential, net.url + "/charge/digest")
        self.assertTrue(bought.endswith("200"), bought)

    def test_limits_and_expectations_refuse(self):
        head = self.head("/charge")
        for options, reason in ((["--max-spend", "0.001"], "max_spend"), (["--expect-amount", "0.02"], "expect_amount"),
                                (["--expect-recipient", PAYER], "expect_recipient"), (["--confirm"], "confirm")):
            with self.subTest(reason):
                done = self.sign(head, "-j", *options)
                self.assertEqual((done.code, done.json["error"]["reason"]), (102, reason), done)
                self.assertIsNone(done.json["authorization"])
        self.assertEqual(self.home.payments(), [])

    def test_json(self):
        done = self.sign(self.head("/charge"), "-j", "--max-spend", "0.01")
        self.assertEqual(done.code, 0, done)
        self.assertEqual(done.json["payment"]["paymentStatus"], "unknown")
        self.assertEqual(done.json["field"], "Authorization")

    def test_offers_are_chosen_as_for_a_request(self):
        head = self.head("/offers")
        done = self.sign(head, "--dry-run", "-j")
        payable = [offer["n"] for offer in done.json["offers"] if offer["payable"]]
        self.assertEqual(done.json["chosen"], payable[0], done)
        other = self.sign(head, "--dry-run", "-j", "--challenge", payable[-1])
        self.assertEqual(other.json["chosen"], payable[-1], other)
        self.assertEqual(other.json["quote"]["payer"], PAYER)
        self.assertEqual(self.home.payments(), [])
        self.assertEqual(self.sign(self.head("/offers/unknown")).code, 101)

    def test_sessions_cannot_be_signed(self):
        done = self.sign(self.head("/session"))
        self.assertEqual((done.code, done.out), (101, b""), done)
        self.assertIn("conversation", done.errors)

    def test_a_credential_that_cannot_be_printed_is_not_lost(self):
        head = self.head("/charge")
        with open("/dev/full", "w") as full:
            done = subprocess.run([PAYCURL, "sign", "--url", net.url], input=head.encode(),
                                  stdout=full, stderr=subprocess.PIPE, env=self.home.env, timeout=60)
        self.assertEqual(done.returncode, 107, done)
        self.assertEqual(self.buy("/charge", self.sign(head).text.strip()), '{"ok":true}200')
        self.assertEqual(len(self.home.payments()), 1)

    def test_decode_reads_what_the_shop_and_we_write(self):
        nobody = Home(key=None)
        nobody.env.pop("HOME")
        head = self.head("/charge")
        challenge = nobody.run("decode", stdin=head.encode())
        self.assertEqual((challenge.code, challenge.json["kind"], challenge.json["price"]["amount"]), (0, "challenge", "0.01"))
        for path, awaits in (("/charge", False), ("/charge/sponsored", True)):
            credential = self.sign_ok(self.head(path))
            read = nobody.run("decode", "-", stdin=f"Authorization: {credential}\r\n".encode()).json
            self.assertEqual((read["kind"], read["challenge"]["price"]["base"]), ("credential", "10000"))
            transaction = read["transaction"]
            self.assertEqual((transaction["sender"], transaction["verified"], transaction["awaitsFeePayer"]), (PAYER, True, awaits))
            self.assertEqual(transaction["calls"][0]["transfer"]["recipient"], PAYEE)
            self.assertEqual(transaction["calls"][0]["transfer"]["amount"]["amount"], "0.01")
        answer = curl("-i", "-H", "Authorization: " + self.sign_ok(self.head("/charge")), net.url + "/charge")
        receipt = nobody.run("decode", stdin=answer.encode()).json
        self.assertEqual((receipt["kind"], receipt["method"]), ("receipt", "tempo"))


class LightningSigning(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = Lightning(own=True)  # the lab that all share is in use meanwhile

    @classmethod
    def tearDownClass(cls):
        cls.lab.stop()

    def test_the_invoice_is_paid_once_and_the_proof_can_be_had_again(self):
        lab = self.lab
        home = Home(key=None, PAYCURL_WALLET=lab.wallets["lnd"], CURL_CA_BUNDLE=lab.certificate)
        url = lab.https + "/charge"
        with tempfile.NamedTemporaryFile("r") as file:
            curl("--cacert", lab.certificate, "-D", file.name, "-o", "/dev/null", url)
            head = file.read()
        sign = lambda: home.run("sign", "--url", url, stdin=head.encode())
        first, payer, merchant = lab.moved(sign)
        self.assertEqual(first.code, 0, first)
        self.assertGreater(merchant, 0)
        again, payer, merchant = lab.moved(sign)
        self.assertEqual((again.code, again.out, payer, merchant), (0, first.out, 0, 0), again)
        bought = curl("--cacert", lab.certificate, "-w", "%{http_code}", "-H", "Authorization: " + first.text.strip(), url)
        self.assertEqual(bought, '{"ok":true}200')
        done = home.run("payments", "resume")
        self.assertEqual(done.code, 0, done)
        self.assertEqual([row["paymentStatus"] for row in home.payments()], ["settled"])


class Directory(http.server.BaseHTTPRequestHandler):
    """A registry with an ETag; `services` is what it says, `status` overrides."""

    services, seen, status, cache = [], [], 200, "max-age=300"

    def do_GET(self):
        type(self).seen.append(self.headers.get("If-None-Match"))
        etag = f'"{len(self.services)}"'
        status = 304 if self.headers.get("If-None-Match") == etag and self.status == 200 else self.status
        body = json.dumps({"version": 1, "services": self.services}).encode() if status == 200 else b""
        self.send_response(status)
        self.send_header("ETag", etag)
        self.send_header("Cache-Control", self.cache)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Services(unittest.TestCase):
    def setUp(self):
        class Own(Directory):
            services, seen = [{"id": "a"}], []
        self.registry = Own
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Own)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)
        self.home = Home(key=None, MPPX_SERVICES_URL=f"http://127.0.0.1:{self.server.server_port}/api/services")
        self.copy = self.home.path / ".cache/paycurl/services.json"

    def ids(self, *options):
        done = self.home.run("services", "list", "-j", *options)
        self.assertEqual(done.code, 0, done)
        return [service["id"] for service in done.json["services"]], done

    def test_a_fresh_copy_is_used_and_a_stale_one_asked_after(self):
        self.assertEqual(self.ids()[0], ["a"])
        self.assertEqual(self.copy.stat().st_mode & 0o777, 0o600)
        self.registry.services = [{"id": "a"}, {"id": "b"}]
        self.assertEqual(self.ids()[0], ["a"])  # fresh
        self.assertEqual(self.registry.seen, [None])
        self.registry.cache = "max-age=0"
        self.assertEqual(self.ids("--refresh")[0], ["a", "b"])
        self.assertEqual(self.ids()[0], ["a", "b"])  # stale at once: asked after, unchanged
        self.assertEqual(self.registry.seen, [None, '"1"', '"2"'])
        self.assertEqual(self.ids("--offline")[0], ["a", "b"])
        self.assertEqual(len(self.registry.seen), 3)

    def test_an_old_copy_when_the_registry_is_away(self):
        self.registry.cache = "max-age=0"
        self.ids()
        self.registry.status = 503
        found, done = self.ids()
        self.assertEqual(found, ["a"])
        self.assertTrue(done.json["registry"]["stale"])
        self.assertIn("this is the copy of", done.errors)
        self.assertEqual(self.home.run("services", "--refresh").code, 22)

    def test_no_store_is_not_stored_and_a_broken_copy_is_no_copy(self):
        self.registry.cache = "no-store"
        self.ids()
        self.assertFalse(self.copy.exists())
        self.registry.cache = "max-age=300"
        self.ids()
        whole = self.copy.read_bytes()
        for broken in (b"", b"{}\n", whole[:40], whole[:-3], b"\xff" * 100):
            self.copy.write_bytes(broken)
            self.assertEqual(self.ids()[0], ["a"])
            self.assertEqual(self.copy.read_bytes()[-20:], whole[-20:])

    def test_another_registry_has_no_part_in_the_copy(self):
        self.ids()
        done = self.home.run("services", "--offline", env={"PAYCURL_SERVICES_URL": "http://127.0.0.1:1/other"})
        self.assertEqual(done.code, 2, done)

    def test_without_a_home_it_is_fetched_each_time(self):
        self.home.env.pop("HOME")
        self.assertEqual(self.ids()[0], ["a"])
        self.assertEqual(self.ids()[0], ["a"])
        self.assertEqual(len(self.registry.seen), 2)


if __name__ == "__main__":
    unittest.main()
