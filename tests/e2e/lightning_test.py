"""Lightning: charges, prepaid sessions and L402 with real HTLCs, over each kind of wallet; money by both nodes' balances."""

import base64
import pathlib
import shutil
import signal
import subprocess
import tempfile
import unittest

from account_test import KeyringCase
from lab import ALL_OUTPUT, Home, Lightning, check_canary, routed, wait_for

OK = b'{"ok":true}'
UNIT = b'{"ok":true,"unit":1}'
# phoenixd and LNbits say fees in their own units, or round them.
EXACT = ("lnd", "cln", "cln-pay", "nwc")
net = None


def setUpModule():
    global net
    net = Lightning()


def tearDownModule():
    net.stop()


def shared_secret():
    """The macaroon in hex, which is rune, password and key as well."""
    return net.wallets["lnbits"].split("//")[1].split("@")[0]


def words(count):
    return [f"word{n}" for n in range(1, count + 1)]


class Case(unittest.TestCase):
    wallet = "lnd"

    def setUp(self):
        net.post("/clear")
        self.count = 0
        self.home = self.make_home()
        self.addCleanup(self.no_secret_left)

    def make_home(self, wallet=None, **extra):
        uri = net.wallets[wallet or self.wallet]
        return Home(key=None, PAYCURL_WALLET=uri, CURL_CA_BUNDLE=net.certificate, **extra)

    def no_secret_left(self):
        """No preimage, macaroon, rune, password or key in what was printed, nor in a file at home."""
        net.post("/release")
        secrets = [*net.get("/preimages"), shared_secret(), net.wallets["nwc"].split("secret=")[1]]
        check_canary(*secrets)
        stored = b"".join(f.read_bytes() for f in self.home.path.rglob("*") if f.is_file())
        for secret in map(bytes.fromhex, secrets):
            for form in (secret, secret.hex().encode(), base64.b64encode(secret).rstrip(b"=")):
                self.assertNotIn(form, stored)

    def url(self, path="/charge", scheme="https", **query):
        """A URL of the shop whose payments are counted apart; its path begins with `path`."""
        self.path = f"{path.rstrip('/')}"
        text = "&".join(f"{name}={value}" for name, value in query.items())
        return f"{net.https if scheme == 'https' else net.http}{self.path}" + (f"?{text}" if text else "")

    def run_ok(self, *arguments, **options):
        done = self.home.run(*arguments, **options)
        self.assertEqual((done.code, done.errors), (0, ""), done)
        return done

    def refused(self, *arguments, code=(102, 104), wallet="lnd", **options):
        """Runs what must not pay, nor ask the wallet to; the reason is on stderr."""
        before = net.get("/wallet")[wallet]
        done, payer, merchant = net.moved(lambda: self.home.run(*arguments, **options))
        after = net.get("/wallet")[wallet]
        self.assertIn(done.code, code, done)
        self.assertEqual((payer, merchant), (0, 0), done)
        self.assertEqual([after[name] - before[name] for name in ("pays", "lookups", "invoices")], [0, 0, 0], done)
        self.assertEqual(done.out, b"")
        self.assertIn("paycurl: error: ", done.errors)
        return done

    def paid(self, path=None):
        """How many invoices of a path were paid, and for how many sat."""
        entry = net.get("/stats").get(path or self.path, {"paid": 0, "receivedMsat": 0})
        return entry["paid"], entry["receivedMsat"] // 1000

    def asked(self, wallet=None):
        return net.get("/wallet")[(wallet or self.wallet).replace("-pay", "")]

    def log(self):
        return net.get("/log")

    def actions(self):
        return [entry["action"] for entry in self.log() if "action" in entry]

    def finish(self, url):
        """Runs it again: the earlier payment is finished first, and that is said."""
        done = self.home.run(url)
        self.assertEqual(done.code, 0, done)
        self.assertIn("note: finishing payment", done.errors)
        return done.out

    def start(self, *arguments, home=None):
        process = (home or self.home).start(*arguments)
        self.addCleanup(self.reap, process)
        return process

    def kill_while_held(self, url):
        """Runs it, and kills it while its HTLC is held."""
        net.post("/hold")
        process = self.start(url)
        net.await_held(process)
        process.kill()
        self.ended(process)

    def reap(self, process):
        if process.poll() is None:
            process.kill()
        if not process.stdout.closed:
            self.ended(process)

    def ended(self, process, timeout=30):
        out, err = process.communicate(timeout=timeout)
        ALL_OUTPUT.extend((out, err))
        return process.returncode, out, err.decode()


class Charges(Case):
    def test_every_wallet_pays(self):
        for kind in net.wallets:
            with self.subTest(kind):
                self.home = self.make_home(kind)
                url = self.url(f"/charge/{kind}", amount=100)
                done, payer, merchant = net.moved(lambda: self.run_ok(url))
                self.assertEqual((done.out, payer, merchant), (OK, -routed(100), 100_000))
                self.assertEqual((self.paid(), self.asked(kind)["pays"] > 0), ((1, 100), True))
                self.no_secret_left()

    def test_json_says_what_was_paid(self):
        for kind in EXACT:
            with self.subTest(kind):
                self.home = self.make_home(kind)
                payment = self.run_ok("-j", self.url(amount=100)).json["payment"]
                paid = payment["paid"]
                self.assertEqual((paid["amount"], paid["base"], paid["symbol"], paid["network"], paid["token"]),
                                 ("100", "100000", "sat", "lightning:regtest", None))
                self.assertEqual((payment["method"], payment["intent"], payment["paymentStatus"], payment["protocol"]),
                                 ("lightning", "charge", "settled", "mpp"))
                self.assertEqual(payment["fee"]["base"], "4400")
                self.assertEqual((payment["reference"], payment["receipt"]["reference"]),
                                 (net.get("/payments")[-1]["hash"],) * 2)

    def test_a_line_on_request_and_no_secret_even_with_vv(self):
        done = self.home.run("-vv", self.url(amount=7))
        self.assertEqual((done.code, done.out), (0, OK), done)
        self.assertIn("$ ", done.errors)

    def test_each_run_is_a_purchase(self):
        url = self.url(amount=2)
        for _ in range(3):
            self.assertEqual(self.run_ok(url).out, OK)
        self.assertEqual(self.paid(), (3, 6))
        self.assertEqual(self.run_ok(url, url).out, OK * 2)
        self.assertEqual((self.paid(), len(self.home.payments())), ((5, 10), 5))

    def test_post_with_a_body(self):
        self.assertEqual(self.run_ok("--json", '{"q":1}', self.url()).out, OK)
        self.assertEqual(self.log()[-1]["method"], "POST")

    def test_loopback_without_tls(self):
        self.assertEqual(self.run_ok(self.url(scheme="http")).out, OK)

    def test_what_is_odd_and_right_is_paid(self):
        for query in ({"variant": "bare"}, {"variant": "described", "description": "words"}, {"currency": "BTC"}):
            with self.subTest(query):
                self.assertEqual(self.run_ok(self.url(amount=3, **query)).out, OK)

    def test_free(self):
        self.assertEqual(self.run_ok(net.https + "/free").out, b'{"ok":true,"free":true}')
        self.assertEqual(self.asked()["requests"], 0)

    def test_probe(self):
        done = self.run_ok("--inspect", "-j", self.url(amount=12))
        (offer,) = done.json["offers"]
        self.assertEqual((offer["method"], offer["intent"], offer["price"]["amount"], offer["payable"]),
                         ("lightning", "charge", "12", True))
        self.assertEqual(self.asked()["pays"], 0)
        self.assertEqual(self.run_ok("--dry-run", "-j", self.url(amount=12)).json["quote"]["total"]["base"], "12000")
        self.assertEqual((self.asked()["pays"], self.paid()), (0, (0, 0)))


class Refusals(Case):
    """Nothing is paid, and the wallet is not asked to."""

    def test_challenges_that_lie(self):
        for variant in ("lies-amount", "lies-msat", "lies-hash", "lies-network", "lies-description", "mainnet", "signet",
                        "expired", "amountless", "feature", "two-hashes", "garbage"):
            with self.subTest(variant):
                self.refused(self.url(variant=variant))
                self.assertEqual(self.home.payments(), [])

    def test_one_sat_with_an_invoice_of_a_thousand(self):
        done = self.refused("--max-spend", "5sat", self.url(variant="lies-amount"))
        self.assertRegex(done.errors, "(?i)invoice|amount")

    def test_expired_challenge(self):
        self.refused(self.url(expires=-5))

    def test_btc_that_is_not_the_invoice(self):
        self.refused(self.url(variant="lies-amount", currency="BTC"))

    def test_plain_http_elsewhere(self):
        done = self.refused(f"http://0.0.0.0:{net.http.rsplit(':', 1)[1]}/charge")
        self.assertIn("plain http", done.errors)

    def test_limits(self):
        self.refused("--max-spend", "10sat", self.url(amount=11), code=(102,))
        self.refused(self.url(amount=1001), code=(102,))  # the default is 1000 sat
        self.refused("--max-spend", "5.00", self.url(amount=1001), code=(102,))  # dollars are no sat
        self.refused("--expect-amount", "5", self.url(amount=6), code=(102,))
        self.assertEqual(self.run_ok("--max-spend", "11sat", self.url(amount=11)).out, OK)

    def test_limit_over_several_urls(self):
        done = self.home.run("--max-spend", "10sat", self.url(amount=6), self.url(amount=6))
        self.assertEqual((done.code, done.out, self.paid()), (102, OK, (1, 6)), done)

    def test_fee_above_the_cap(self):
        for kind in net.wallets:
            if kind in ("lnbits", "nwc"):
                continue  # take no limit, and keep their own
            with self.subTest(kind):
                self.home = self.make_home(kind)
                done, payer, merchant = net.moved(lambda: self.home.run("--max-fee", "4sat", self.url(amount=100)))
                self.assertIn(done.code, (102, 109), done)
                self.assertEqual((payer, merchant), (0, 0))
        self.home = self.make_home("phoenixd")  # its fee is known beforehand
        self.refused("--max-fee", "4sat", self.url(amount=100), code=(102,), wallet="phoenixd")
        self.assertEqual(self.run_ok("--max-fee", "5sat", self.url(amount=100)).out, OK)

    def test_wallet_of_another_network(self):
        done = self.home.run("--network", "mainnet", self.url())
        self.assertIn(done.code, (101, 102, 104), done)
        self.assertEqual(self.asked()["pays"], 0)

    def test_no_wallet(self):
        self.home.env["PAYCURL_WALLET"] = ""
        self.refused(self.url(), code=(105,))

    def test_secret_that_is_not_the_wallets(self):
        right = shared_secret()
        macaroon = base64.urlsafe_b64encode(bytes.fromhex(right)).rstrip(b"=").decode()
        wrong = base64.urlsafe_b64encode(bytes(32)).rstrip(b"=").decode()
        for kind in net.wallets:
            if kind == "nwc":
                continue
            with self.subTest(kind):
                uri = net.wallets[kind].replace(right, "0" * 64).replace(macaroon, wrong)
                self.home = Home(key=None, PAYCURL_WALLET=uri, CURL_CA_BUNDLE=net.certificate)
                done, payer, _ = net.moved(lambda: self.home.run(self.url()))
                self.assertEqual((done.code, payer), (105, 0), done)

    def test_wallet_behind_another_certificate(self):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="paycurl-cert-"))
        self.addCleanup(shutil.rmtree, folder, True)
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                        "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-outform", "DER",
                        "-keyout", folder / "key", "-out", folder / "cert"], check=True, capture_output=True)
        other = base64.urlsafe_b64encode((folder / "cert").read_bytes()).rstrip(b"=").decode()
        head, rest = net.wallets["lnd"].split("cert=")
        self.home.env["PAYCURL_WALLET"] = f"{head}cert={other}&{rest.split('&')[1]}"
        done = self.home.run("-k", "--allow-http", self.url())
        self.assertEqual((done.code, self.asked()["requests"], self.paid()), (109, 0, (0, 0)), done)

    def test_wallet_is_away(self):
        net.post("/wallet?away=1")
        done, payer, _ = net.moved(lambda: self.home.run(self.url()))
        self.assertEqual((done.code, payer), (109, 0), done)
        net.post("/wallet?away=0")
        self.assertEqual(self.run_ok(self.url()).out, OK)

    def test_more_than_there_is(self):
        done, payer, _ = net.moved(lambda: self.home.run("--max-spend", "9000000sat", self.url(amount=8_900_000)))
        self.assertIn(done.code, (103, 109), done)
        self.assertEqual(payer, 0)


class Doubt(Case):
    """A payment whose end this run did not see is finished by the next one, and made once."""

    def killed_while_held(self, kind):
        """A home whose run was killed while its HTLC was held, and the URL."""
        self.home = self.make_home(kind)
        url = self.url(f"/charge/{kind}", amount=50)
        self.kill_while_held(url)
        return url

    def test_killed_then_paid_once(self):
        for kind in net.wallets:
            with self.subTest(kind):
                self.setUp()
                before = net.get("/balances")
                url = self.killed_while_held(kind)
                seen = self.asked(kind)["lookups"]
                again = self.start(url)
                self.assertTrue(wait_for(lambda: self.asked(kind)["lookups"] > seen or again.poll() is not None))
                net.post("/release")
                code, out, err = self.ended(again)
                if code == 107:  # the wallet had not told yet
                    code, out = (done := self.home.run(url)).code, done.out
                self.assertEqual((code, out), (0, OK), err)
                after = net.get("/balances")
                self.assertEqual((before["payer"] - after["payer"], after["merchant"] - before["merchant"]),
                                 (routed(50), 50_000))
                self.assertEqual(self.paid(), (1, 50))
                self.no_secret_left()

    def test_killed_paid_then_run_again(self):
        for kind in net.wallets:
            with self.subTest(kind):
                self.setUp()
                url = self.killed_while_held(kind)
                net.post("/release")
                self.assertEqual((self.finish(url), self.paid()), (OK, (1, 50)))
                self.assertEqual((self.run_ok(url).out, self.paid()), (OK, (2, 100)))  # the next purchase

    def test_killed_and_failed(self):
        for kind in net.wallets:
            with self.subTest(kind):
                self.setUp()
                url = self.killed_while_held(kind)
                net.post("/fail")
                self.assertEqual((self.run_ok(url).out, self.paid()), (OK, (1, 50)))

    def test_resume(self):
        url = self.killed_while_held("lnd")
        net.post("/release")
        (row,) = self.home.payments()
        self.assertEqual(row["paymentStatus"], "unknown")
        done = self.home.run("payments", "resume", "-j")
        (result,) = done.json["results"]
        self.assertEqual((done.code, result["before"], result["after"], self.paid()), (0, "unknown", "settled", (1, 50)), done)
        self.assertEqual((self.run_ok(url).out, self.paid()), (OK, (2, 100)))

    def test_resume_of_what_failed(self):
        self.killed_while_held("lnd")
        net.post("/fail")
        done, payer, _ = net.moved(lambda: self.home.run("payments", "resume"))
        self.assertEqual((done.code, payer, self.paid()), (100, 0, (0, 0)), done)

    def test_failed(self):
        net.post("/hold")
        process = self.start(self.url(amount=50))
        net.await_held(process)
        net.post("/fail")
        code, out, err = self.ended(process)
        self.assertEqual((code, out, self.paid()), (109, b"", (0, 0)), err)
        self.assertEqual((self.run_ok(self.url(amount=50)).out, self.paid()), (OK, (1, 50)))

    def test_interrupted_while_held(self):
        net.post("/hold")
        process = self.start(self.url(amount=50))
        net.await_held(process)
        process.send_signal(signal.SIGINT)
        code, out, err = self.ended(process)
        self.assertEqual((code, out), (107, b""), err)
        self.assertIn("payments resume", err)
        net.post("/release")
        self.assertEqual((self.finish(self.url(amount=50)), self.paid()), (OK, (1, 50)))

    def test_out_of_time_while_held(self):
        net.post("/hold")
        done = self.home.run("-m", "8", self.url(amount=50))
        self.assertEqual((done.code, done.out), (107, b""), done)
        net.post("/release")
        self.assertEqual((self.finish(self.url(amount=50)), self.paid()), (OK, (1, 50)))

    def test_answer_of_the_wallet_is_lost(self):
        for kind in net.wallets:
            with self.subTest(kind):
                self.home = self.make_home(kind)
                net.post("/wallet?lose=1")
                url = self.url(f"/charge/{kind}", amount=50)
                done = self.home.run(url, timeout=180)
                if done.code == 107:
                    done = self.home.run(url, timeout=180)
                self.assertEqual((done.code, done.out, self.paid()), (0, OK, (1, 50)), done)

    def test_server_drops_the_connection(self):
        done = self.run_ok(self.url(amount=50, drop="before"))
        self.assertEqual((done.out, self.paid()), (OK, (1, 50)))
        first, second = [entry["challenge"] for entry in self.log()]
        self.assertEqual(first, second)

    def test_server_drops_the_connection_and_has_taken_the_payment(self):
        done = self.home.run(self.url(amount=50, drop="after"))
        self.assertEqual((done.code, done.out, self.paid()), (108, b"", (1, 50)), done)
        self.assertEqual(len({entry["challenge"] for entry in self.log()}), 1)

    def test_server_breaks_after_the_payment(self):
        done = self.home.run("-f", self.url(amount=50, then=500))
        self.assertEqual((done.code, self.paid()), (108, (1, 50)), done)
        done = self.home.run(self.url(amount=50, then=500))
        self.assertEqual((done.code, self.paid()), (0, (2, 100)), done)

    def test_paid_and_asked_again(self):
        done = self.home.run(self.url(amount=50, then=402))
        self.assertEqual((done.code, self.paid()), (108, (1, 50)), done)
        self.assertIn("is not what it should be", done.errors)  # the preimage in it is gone: see no_secret_left


class Offers(Case):
    def test_one_of_four_is_paid(self):
        self.assertEqual(self.run_ok(self.url("/all", amount=5)).out, OK)
        self.assertEqual((self.paid(), self.log()[-1]["intent"]), ((1, 5), "charge"))

    def test_the_one_that_was_asked_for(self):
        self.run_ok("--protocol", "mpp", self.url("/all/mpp", amount=5))
        self.assertEqual((self.paid(), self.log()[-1]["intent"]), ((1, 5), "charge"))
        self.run_ok("--intent", "session", self.url("/all/session", amount=5))
        self.assertEqual((self.paid(), self.log()[-1]["intent"]), ((1, 100), "session"))
        offers = self.run_ok("--inspect", "-j", self.url("/all", amount=5)).json["offers"]
        self.assertEqual(sorted(o["protocol"] for o in offers if o["payable"]), ["l402", "mpp", "mpp"])  # LSAT is L402's old name


class WithKeyring(Case):
    """With a keyring daemon of its own."""

    start_bus, start_keyring = KeyringCase.start_bus, KeyringCase.start_keyring
    stop_daemon, run_tool = KeyringCase.stop_daemon, KeyringCase.run_tool

    def make_home(self, *arguments, **extra):
        self.home = super().make_home(*arguments, **extra)
        self.runtime = pathlib.Path(tempfile.mkdtemp(prefix="paycurl-run-"))
        self.addCleanup(shutil.rmtree, self.runtime, True)
        self.home.env["XDG_RUNTIME_DIR"] = str(self.runtime)
        self.start_keyring()
        return self.home


class Tokens(WithKeyring):
    """L402."""

    def test_a_token_is_paid_once(self):
        for form in ("token", "macaroon", "lsat", "both"):
            with self.subTest(form):
                url = self.url(f"/l402/{form}", form=form, amount=10)
                done, payer, merchant = net.moved(lambda: self.run_ok(url))
                self.assertEqual((done.out, payer, merchant), (OK, -routed(10), 10_000))
                for _ in range(2):
                    self.assertEqual(self.run_ok(url).out, OK)
                self.assertEqual(self.paid(), (1, 10))
                schemes = {"lsat": {"LSAT"}, "both": {"LSAT", "L402"}}.get(form, {"L402"})
                self.assertLessEqual({entry["scheme"] for entry in self.log()}, schemes)
                net.post("/forget")
                net.post("/clear")
                self.home = self.make_home()

    def test_a_forgotten_token_is_not_replaced_in_the_same_run(self):
        url = self.url("/l402", amount=10)
        self.run_ok(url)
        for again in ("", "?again=1"):
            with self.subTest(again):
                net.post("/forget")
                paid, _ = self.paid()
                self.home.run(url + again.replace("?", "&"))
                self.assertLessEqual(self.paid()[0], paid + 1)
                self.assertEqual(self.run_ok(url).out, OK)
                self.assertEqual(self.paid()[0], paid + 1)

    def test_macaroon_of_another_payment(self):
        self.refused(self.url("/l402", variant="lies-hash"))

    def test_protocol(self):
        self.refused("--protocol", "mpp", self.url("/l402"), code=(101,))
        self.run_ok("--protocol", "l402", self.url("/all", amount=5))
        self.assertEqual((self.paid(), self.log()[-1]["intent"]), ((1, 5), "l402"))

    def test_limit(self):
        self.refused("--max-spend", "9sat", self.url("/l402", amount=10), code=(102,))

    def test_killed_while_held(self):
        url = self.url("/l402", amount=10)
        self.kill_while_held(url)
        net.post("/release")
        self.assertEqual((self.finish(url), self.paid()), (OK, (1, 10)))


class Proofs(WithKeyring):
    def test_a_wallet_that_finds_no_payments(self):
        """The keychain has the preimage for it, and nothing has it without a keychain."""
        self.home.env["PAYCURL_WALLET"] = net.blind
        url = self.url("/session", amount=2, deposit=20)
        self.run_ok(url)
        done, payer, _ = net.moved(lambda: self.run_ok("--close", url))
        self.assertEqual((done.out, payer, self.actions()), (UNIT, 16_000, ["open", "bearer", "close"]))
        self.home.env.pop("DBUS_SESSION_BUS_ADDRESS")
        done, payer, _ = net.moved(lambda: self.home.run("--session", "new", url))
        self.assertEqual((done.code, payer), (101, 0), done)


class Accounts(WithKeyring):
    def test_connect(self):
        for kind, uri in net.wallets.items():
            with self.subTest(kind):
                self.home.env.pop("PAYCURL_WALLET", None)
                done = self.home.run("account", "connect", kind, stdin=uri.encode() + b"\n")
                self.assertEqual(done.code, 0, done)
                url = self.url(f"/charge/{kind}", amount=5)
                self.assertEqual((self.run_ok("-a", kind, url).out, self.paid()), (OK, (1, 5)))
        listed = {account["name"]: account for account in self.home.run("account", "list", "-j").json["accounts"]}
        self.assertEqual({listed[kind]["method"] for kind in net.wallets}, {"lightning"})
        self.assertEqual([name for name, account in listed.items() if account["default"]], ["lnd"])


class Sessions(Case):
    def session(self, which="last"):
        return self.run_ok("sessions", "show", which, "-j").json["session"]

    def close(self, *options):
        return self.home.run("sessions", "close", "last", "-j", *options)

    def texts(self, out):
        """The data of a stream's events, without the sentinel."""
        return [line[6:] for line in out.decode().splitlines() if line.startswith("data: ") and line != "data: [DONE]"]

    def test_open_bearer_close(self):
        url = self.url("/session", amount=2, deposit=20)

        def whole():
            for _ in range(3):
                self.assertEqual(self.run_ok(url).out, UNIT)
            return self.close()

        done, payer, merchant = net.moved(whole)
        (result,) = done.json["results"]
        self.assertEqual((done.code, result["status"], result["spent"]["amount"], result["returned"]["amount"]),
                         (0, "closed", "6", "14"), done)
        # 20 sat over the router, 14 sat back, whose routing the merchant pays.
        self.assertEqual((payer, merchant), (-routed(20) + 14_000, 20_000 - routed(14)))
        self.assertEqual((self.actions(), self.paid()), (["open", "bearer", "bearer", "close"], (1, 20)))
        challenges = [entry["challenge"] for entry in self.log()]
        self.assertEqual(len(set(challenges)), 4)
        (row,) = net.get("/sessions")[-1:]
        self.assertEqual(row["status"], "closed")
        self.assertGreater(row["returnDays"], 29)

    def test_show(self):
        self.run_ok(self.url("/session", amount=2, deposit=20))
        session = self.session()
        self.assertEqual((session["status"], session["method"], session["network"], session["deposit"]["amount"]),
                         ("open", "lightning", "lightning:regtest", "20"))
        self.assertEqual(session["id"], net.get("/sessions")[-1]["id"])

    def test_every_wallet_that_can(self):
        for kind in net.wallets:
            if kind == "lnbits":
                continue
            with self.subTest(kind):
                self.setUp()
                self.home = self.make_home(kind)
                url = self.url(f"/session/{kind}", amount=2, deposit=20)
                _, payer, merchant = net.moved(lambda: self.run_ok("--close", url, url))
                self.assertEqual((payer, merchant), (-routed(20) + 16_000, 20_000 - routed(16)))
                self.assertEqual(self.actions(), ["open", "bearer", "close"])

    def test_wallet_that_cannot_be_refunded(self):
        self.home = self.make_home("lnbits")
        done, payer, _ = net.moved(lambda: self.home.run(self.url("/session")))
        self.assertEqual((done.code, payer, self.asked("lnbits")["pays"]), (101, 0, 0), done)

    def test_return_invoice_that_no_server_takes(self):
        for fault in ("priced", "short", "garbled"):
            with self.subTest(fault):
                net.post(f"/wallet?invoices={fault}")
                done, payer, _ = net.moved(lambda: self.home.run(self.url("/session")))
                self.assertIn(done.code, (101, 104, 109), done)
                self.assertEqual((payer, self.asked()["pays"]), (0, 0))

    def test_stream(self):
        url = self.url("/session/sse", amount=2, deposit=40, n=8)
        done, payer, merchant = net.moved(lambda: self.run_ok("--close", url))
        self.assertEqual(self.texts(done.out), words(8))
        self.assertNotIn(b"payment-", done.out)
        self.assertEqual((payer, merchant), (-routed(40) + 24_000, 40_000 - routed(24)))
        self.assertEqual(self.actions(), ["open", "close"])

    def test_top_up_while_it_streams(self):
        for kind in ("lnd", "cln", "nwc"):
            with self.subTest(kind):
                self.setUp()
                self.home = self.make_home(kind)
                url = self.url(f"/session/{kind}/sse", amount=2, deposit=6, n=8)
                done, payer, merchant = net.moved(lambda: self.run_ok("--close", url))
                self.assertEqual(self.texts(done.out), words(8))
                self.assertEqual(self.actions(), ["open", "topUp", "topUp", "close"])
                self.assertEqual((payer, merchant), (-3 * routed(6) + 2000, 18_000 - routed(2)))

    def test_bearer_of_an_empty_session(self):
        url = self.url("/session", amount=2, deposit=4)
        for _ in range(3):
            self.assertEqual(self.run_ok(url).out, UNIT)
        self.assertEqual([a for a in self.actions() if a != "bearer"][:2], ["open", "topUp"])
        self.assertEqual(self.paid(), (2, 8))
        stream = self.url("/session/sse", amount=2, deposit=4, n=3)
        self.assertEqual(self.texts(self.run_ok(stream).out), words(3))

    def test_limit_in_the_middle_of_a_stream(self):
        url = self.url("/session/sse", amount=3, deposit=10, n=8, hold=20_000)
        done, payer, merchant = net.moved(lambda: self.home.run("--max-spend", "15sat", url))
        self.assertEqual((done.code, self.texts(done.out)), (108, words(3)), done)
        if "close" not in self.actions():
            _, more, back = net.moved(self.close)
            payer, merchant = payer + more, merchant + back
        self.assertEqual((payer, merchant), (-routed(10) + 1000, 10_000 - routed(1)))
        self.assertNotIn("topUp", self.actions())

    def test_interrupted_stream(self):
        process = self.start(self.url("/session/sse", amount=2, deposit=100, n=50, slow=400))
        self.assertTrue(wait_for(lambda: [s for s in net.get("/sessions") if s["units"] > 2]))
        process.send_signal(signal.SIGINT)
        code, out, err = self.ended(process)
        self.assertIn(code, (107, 108, 130), err)
        if "close" not in self.actions():
            self.assertEqual(self.close().code, 0)
        self.assertGreaterEqual(len(self.texts(out)), 1)
        (session,) = net.get("/sessions")[-1:]
        self.assertEqual((session["status"], session["refund"]),
                         ("closed", {"refundSats": 100 - session["spent"], "refundStatus": "succeeded"}))

    def test_deposit_above_the_limit(self):
        done, payer, _ = net.moved(lambda: self.home.run("--max-spend", "10sat", self.url("/session", amount=1, deposit=11)))
        self.assertEqual((done.code, payer, self.asked()["pays"], self.paid()), (102, 0, 0, (0, 0)), done)

    def test_server_stops_waiting(self):
        url = self.url("/session/sse", amount=2, deposit=4, n=8, hold=700, slow=4000)
        net.post("/hold")
        process = self.start(url)
        net.await_held(process)
        net.post("/release")
        self.assertTrue(wait_for(lambda: self.actions() == ["open"]))
        net.post("/hold")
        net.await_held(process)
        self.assertTrue(wait_for(lambda: [entry for entry in self.log() if "timeout" in entry]))
        net.post("/release")
        code, out, err = self.ended(process, 90)
        self.assertEqual((code, self.texts(out)), (108, words(2)), err)
        self.assertEqual(self.paid(), (2, 8))
        _, payer, _ = net.moved(self.close)
        self.assertEqual(payer, 4000)  # the top-up that came too late

    def test_killed_while_the_deposit_is_held(self):
        url = self.url("/session", amount=2, deposit=20)
        self.kill_while_held(url)
        net.post("/release")
        self.assertEqual((self.finish(url), self.paid()), (UNIT, (1, 20)))
        _, payer, _ = net.moved(self.close)
        self.assertEqual(payer, 18_000)

    def test_answers_that_get_lost(self):
        url = self.url("/session", amount=2, deposit=20, drop="open")
        self.assertEqual((self.run_ok(url).out, self.paid()), (UNIT, (1, 20)))
        url = self.url("/session", amount=2, deposit=20, drop="close")
        done, payer, _ = net.moved(lambda: self.run_ok("--session", "new", "--close", url))
        self.assertEqual((done.out, payer), (UNIT, -routed(20) + 18_000))

    def test_refunds_that_are_not_as_told(self):
        for mode, back in (("failed", 0), ("claimed", 0), ("denied", 18_000)):
            with self.subTest(mode):
                self.run_ok("--session", "new", self.url("/session", amount=2, deposit=20))
                net.post(f"/refund?mode={mode}")
                done, payer, _ = net.moved(self.close)
                (result,) = done.json["results"]
                self.assertEqual((result["status"], payer), ("closed", back), done)
                returned = result["returned"]
                self.assertEqual(returned and int(returned["base"]) or 0, back, done)

    def test_server_has_closed(self):
        for problems in ("draft", "mppx"):
            with self.subTest(problems):
                self.setUp()
                url = self.url("/session", amount=2, deposit=20, problems=problems)
                self.run_ok("--session", "new", url)
                paid, _ = self.paid()
                _, payer, _ = net.moved(lambda: net.post("/close"))
                self.assertEqual(payer, 18_000)
                done = self.home.run(url)
                if done.code == 106:
                    done = self.home.run(url)
                self.assertEqual((done.code, done.out, self.paid()[0]), (0, UNIT, paid + 1), done)

    def test_sixteen_runs_share_one_session(self):
        url = self.url("/session", amount=2, deposit=200)
        self.run_ok("--max-spend", "200sat", url)
        running = [self.start("--lock-timeout", "300", url) for _ in range(16)]
        for process in running:
            self.assertEqual(self.ended(process), (0, UNIT, ""))
        self.assertEqual((self.paid(), net.get("/sessions")[-1]["spent"]), ((1, 200), 34))


if __name__ == "__main__":
    unittest.main()
