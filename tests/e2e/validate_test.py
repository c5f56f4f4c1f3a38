"""paycurl validate: the real mppx server passes everything, so does a small correct server, and each of its defects is
named by exactly one check."""

import json
import re
import socket
import unittest
import xml.etree.ElementTree

from lab import PAYEE, PAYER_KEY, ROOT, Devnet, Home, check_canary
from reference import Server

net = server = None

# Defects that show without paying: what is wrong, and the check that says so.
UNPAID = {
    "llms-empty": "discovery.llms",
    "llms-html": "discovery.llms",
    "document-500": "discovery.found",
    "document-as-html": "discovery.content-type",
    "document-without-cache": "discovery.cache",
    "document-not-json": "discovery.json",
    "document-key-twice": "discovery.json",
    "document-without-title": "discovery.structure",
    "document-of-swagger-2": "discovery.structure",
    "document-service-links": "discovery.service-info",
    "document-amount-number": "discovery.payment-info",
    "document-amount-leading-zero": "discovery.payment-info",
    "document-mixed-offers": "discovery.payment-info",
    "document-without-402": "discovery.response-402",
    "document-without-body": "discovery.input-schema",
    "document-without-prices": "discovery.endpoints",
    "document-other-price": "challenge.price",
    "document-other-offer": "challenge.offers",
    "status-500": "challenge.status",
    "free": "endpoints.found",
    "challenge-cacheable": "challenge.cache-control",
    "challenge-with-receipt": "challenge.no-receipt",
    "challenge-without-challenge": "challenge.header",
    "challenge-without-problem": "challenge.problem",
    "problem-status": "challenge.problem",
    "other-scheme-only": "challenge.header",
    "x402-broken": "challenge.x402",
    "challenge-too-long": "challenge.header-size",
    "parameter-twice": "challenge.syntax",
    "quote-open": "challenge.syntax",
    "id-missing": "challenge.id",
    "id-empty": "challenge.id",
    "id-twice": "challenge.id-unique",
    "id-repeated": "challenge.id-fresh",
    "realm-missing": "challenge.realm",
    "realm-other": "challenge.realm-host",
    "method-upper-case": "challenge.method",
    "method-missing": "challenge.method",
    "intent-missing": "challenge.intent",
    "request-missing": "challenge.request",
    "request-not-json": "challenge.request",
    "request-not-object": "challenge.request",
    "request-key-twice": "challenge.request",
    "request-padded": "challenge.request-padding",
    "request-not-canonical": "challenge.request-canonical",
    "expires-missing": "challenge.expires",
    "expires-number": "challenge.expires",
    "expires-past": "challenge.expires-future",
    "expires-soon": "challenge.lifetime",
    "expires-in-a-year": "challenge.lifetime",
    "opaque-not-flat": "challenge.opaque",
    "description-hidden": "challenge.description",
    "recipient-changes": "challenge.stable",
    "head-500": "challenge.head",
    "amount-number": "request.amount",
    "amount-decimal": "request.amount",
    "amount-hex": "request.amount",
    "amount-missing": "request.amount",
    "currency-missing": "request.currency",
    "recipient-missing": "request.recipient",
    "recipient-short": "request.recipient",
    "expiry-in-request": "request.expires",
    "chain-text": "request.chain",
    "fee-payer-text": "request.fee-payer",
    "memo-short": "request.memo",
    "modes-empty": "request.modes",
    "modes-unknown": "request.modes",
    "splits-take-all": "request.splits",
    "splits-zero": "request.splits",
    "splits-empty": "request.splits",
    "large-431": "error.large",
    "invalid-proof-500": "error.invalid-proof",
    "wrong-method-500": "error.wrong-method",
    "bearer-500": "error.other-scheme",
    "refusal-cacheable": "error.cache-control",
    "refusal-with-receipt": "error.no-receipt",
    "refusal-without-challenge": "error.challenge",
    "refusal-without-problem": "error.problem",
    "credential-in-body": "error.echo",
}
# Those of which one defect makes several checks fail: they are about the same rule.
UNPAID_MANY = {
    "malformed-500": {"error.malformed", "error.not-base64", "error.not-object", "error.empty", "error.nested",
                      "error.no-challenge", "error.no-payload"},
    "unknown-challenge-500": {"error.unknown-id", "error.wrong-amount", "error.wrong-realm", "error.wrong-intent",
                              "error.wrong-method", "error.expired"},
}
# Of requests with a body.
UNPAID_POST = {"digest-other": "challenge.digest"}
# Defects that only a payment shows.
PAID = {
    "id-unbound": "payment.tampered-id",
    "request-unbound": "payment.tampered-request",
    "expiry-unbound": "payment.tampered-expiry",
    "realm-unbound": "payment.tampered-realm",
    "valid-payment-refused": "payment.accepted",
    "paid-500": "payment.accepted",
    "receipt-missing": "payment.receipt",
    "receipt-not-base64": "payment.receipt-format",
    "receipt-padded": "payment.receipt-format",
    "receipt-status": "payment.receipt-status",
    "receipt-method": "payment.receipt-method",
    "receipt-reference": "payment.receipt-reference",
    "receipt-time": "payment.receipt-time",
    "receipt-old": "payment.receipt-time",
    "receipt-other-transaction": "payment.settled",
    "never-settles": "payment.settled",
    "paid-cacheable": "payment.cache-control",
    "paid-public": "payment.cache-control",
    "paid-empty": "payment.body",
    "paid-without-type": "payment.content-type",
    "replay-taken": "payment.replay",
    "replay-receipt": "payment.replay-receipt",
    "pays-for-all": "payment.once",
}
PAID_POST = {"digest-ignored": "payment.tampered-body"}


def setUpModule():
    global net, server
    net = Devnet()
    server = Server(net.rpc_url)


def tearDownModule():
    server.stop()
    check_canary(PAYER_KEY)
    net.stop()


def findings(done):
    return {check["id"] for check in done.json["checks"] if check["status"] in ("fail", "warn")}


class Correct(unittest.TestCase):
    def setUp(self):
        self.home = Home(rpc=net.rpc_url)
        server.reset()

    def test_mppx_passes_everything(self):
        done, moved = net.moved([PAYEE], lambda: self.home.run("validate", "--pay", "--format", "junit", "--report",
                                                               f"json={self.home.path}/r.json", net.url, timeout=300))
        self.assertEqual(done.code, 0, done)
        suites = xml.etree.ElementTree.fromstring(done.text)
        self.assertEqual((suites.get("failures"), suites.get("errors")), ("0", "0"))
        self.assertGreater(int(suites.get("tests")), 350)
        report = json.loads((self.home.path / "r.json").read_text())
        self.assertEqual((report["summary"]["fail"], report["summary"]["warn"]), (0, 0))
        paid = sum(int(money["base"]) for money in report["paid"])
        self.assertEqual(paid, 4 * 10_000 + 1_000)
        self.assertEqual(moved[0], paid - 2_000)  # a split goes to somebody else
        ids = {check["id"] for check in report["checks"] if check["status"] == "pass"}
        self.assertLessEqual({"payment.settled", "payment.replay", "payment.close", "payment.tampered-id"}, ids)

    def test_reference_passes_everything(self):
        done = self.home.run("validate", "--pay", "--fail-on", "warning", "-j", server.url)
        self.assertEqual((done.code, findings(done)), (0, set()), done)
        self.assertEqual(done.json["paid"][0]["amount"], "0.02")
        self.assertEqual({c["target"] for c in done.json["checks"]},
                         {"GET /openapi.json", "GET /llms.txt", "GET /paid", "POST /post"})

    def test_nothing_is_paid_without_pay(self):
        done, moved = net.moved([PAYEE], lambda: Home(key=None).run("validate", "-j", server.url))
        self.assertEqual((done.code, moved, done.json["paid"]), (0, [0], []), done)

    def test_endpoints_by_hand(self):
        done = self.home.run("validate", "-j", "-e", "POST:/post", "-e", "paid", "--body", '{"q":"x"}', server.url)
        self.assertEqual((done.code, findings(done)), (0, set()), done)
        self.assertEqual({c["target"] for c in done.json["checks"]}, {"POST /post", "GET /paid"})
        by_path = self.home.run("validate", "-j", "-e", "POST:/post", "--body", '{"/post":{"q":"y"}}', server.url)
        self.assertEqual(by_path.code, 0, by_path)

    def test_limits_hold(self):
        done, moved = net.moved([PAYEE], lambda: self.home.run(
            "validate", "--pay", "-j", "--max-spend", "0.015", server.url))
        self.assertEqual((done.code, moved), (102, [10_000]), done)
        self.assertEqual((done.json["error"]["reason"], done.json["paid"][0]["amount"]), ("max_spend", "0.01"))

    def test_no_account_is_not_a_finding(self):
        done = Home(key=None).run("validate", "--pay", "-j", server.url + "/paid")
        self.assertEqual((done.code, done.json["error"]["kind"], findings(done)), (105, "account", set()), done)

    def test_no_server(self):
        done = self.home.run("validate", "-j", "http://127.0.0.1:1")
        self.assertEqual((done.code, done.json["error"]["transport"], done.json["checks"]), (7, 7, []))

    def test_plain_http_is_named(self):
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                probe.connect(("192.0.2.1", 9))
                address = probe.getsockname()[0]
        except OSError:
            self.skipTest("this machine has no address but loopback")
        if address.startswith("127."):
            self.skipTest("this machine has no address but loopback")
        url = server.url.replace("127.0.0.1", address)
        done, moved = net.moved([PAYEE], lambda: self.home.run("validate", "--pay", "-j", url + "/paid"))
        self.assertEqual((findings(done), moved), ({"challenge.https"}, [0]), done)

    def test_reports(self):
        server.reset("paid-empty")
        folder = self.home.path
        reports = [f"--report={kind}={folder}/{kind}" for kind in ("json", "junit", "tap", "github", "human")]
        done = self.home.run("validate", "--pay", "--fail-on", "warning", *reports, server.url + "/paid")
        self.assertEqual(done.code, 104, done)
        text = {kind: (folder / kind).read_text() for kind in ("json", "junit", "tap", "github", "human")}
        self.assertEqual(text["human"], done.text)
        checks = json.loads(text["json"])["checks"]
        suites = xml.etree.ElementTree.fromstring(text["junit"])
        failures = [case.get("name") for case in suites.iter("testcase") if case.find("failure") is not None]
        self.assertEqual((failures, suites.get("tests")), (["payment.body"], str(len(checks))))
        lines = text["tap"].splitlines()
        self.assertEqual(lines[:2], ["TAP version 14", f"1..{len(checks)}"])
        self.assertEqual(sum(line.startswith("not ok ") for line in lines), 1)
        self.assertIn("::error title=payment.body::GET /paid: the paid answer has a body", text["github"])
        mild = self.home.run("validate", "--pay", "--report", "github", server.url + "/paid")
        self.assertEqual(mild.code, 0, mild)
        self.assertIn("::warning title=payment.body::", mild.text)

    def test_a_report_that_cannot_be_written_costs_nothing(self):
        done, moved = net.moved([PAYEE], lambda: self.home.run(
            "validate", "--pay", "--report", "junit=/nowhere/at/all", server.url + "/paid"))
        self.assertEqual((done.code, moved), (23, [0]), done)

    def test_the_workflow_of_the_readme(self):
        """Its command, as it stands there."""
        text = (ROOT / "README.md").read_text().split("## In CI")[1]
        command = re.search(r"run: >-\n((?: +(?:paycurl|--).*\n)+)", text)[1].split()
        self.assertEqual(command[0], "paycurl")
        done = self.home.run(*[word.replace("http://127.0.0.1:8402", server.url) for word in command[1:]], cwd=self.home.path)
        self.assertEqual(done.code, 0, done)
        suites = xml.etree.ElementTree.parse(self.home.path / "payments.xml").getroot()
        self.assertEqual(suites.get("failures"), "0")
        server.reset("challenge-cacheable")
        done = Home(key=None).run("validate", server.url + "/paid")
        shown = re.search(r"GET /paid\n(?:  .*\n)+", text)[0]
        self.assertIn(shown, done.text)

    def test_discover(self):
        done = self.home.run("discover", "-j", server.url)
        self.assertEqual((done.code, done.json["valid"], done.json["errorCount"]), (0, True, 0), done)
        self.assertEqual([(o["method"], o["path"]) for o in done.json["operations"]], [("GET", "/paid"), ("POST", "/post")])
        server.reset("document-without-body")
        done = self.home.run("discover", "-j", server.url + "/openapi.json")
        self.assertEqual((done.code, done.json["warningCount"]), (0, 1), done)
        server.reset("document-without-402")
        done = self.home.run("discover", "-j", server.url)
        self.assertEqual((done.code, done.json["valid"]), (104, False), done)
        self.assertEqual(done.json["issues"], [{"path": "paths./paid.get.responses", "severity": "error",
                                                "message": "there is no 402 response"}])
        self.assertEqual(self.home.run("discover", net.url).code, 0)


class Defects(unittest.TestCase):
    """One test for each defect: made below."""

    def expect(self, defect, checks, path, *options, extra=frozenset()):
        server.reset(defect)
        key = PAYER_KEY if "--pay" in options else None
        done = Home(rpc=net.rpc_url, key=key).run("validate", "-j", *options, server.url + path)
        self.assertEqual(findings(done), checks, done)
        failed = done.json["summary"]["fail"] > 0
        if done.json["error"] is None or done.json["error"]["reason"] == "findings":
            self.assertEqual(done.code, 104 if failed else 0)
        return done


def add(defects, path, *options):
    for defect, checks in defects.items():
        wanted = {checks} if isinstance(checks, str) else checks
        # A broken document names no endpoint: then it is asked for all of them.
        where = "" if defect == "document-without-prices" else path

        def test(self, defect=defect, wanted=wanted, where=where):
            self.expect(defect, wanted, where, *options)
        setattr(Defects, "test_" + defect.replace("-", "_"), test)


add(UNPAID, "/paid")
add(UNPAID_MANY, "/paid")
add(UNPAID_POST, "/post")
add(PAID, "/paid", "--pay")
add(PAID_POST, "/post", "--pay")


if __name__ == "__main__":
    unittest.main()
