"""paycurl doctor: each thing broken in turn, what it says and how it exits; a real keyring daemon; no secret told."""

import http.server
import json
import socket
import tempfile
import threading
import time
import unittest
import urllib.request

import account_test
from account_test import WALLET_PASSWORD, FakeWallet
from hostile import Close, Server, payment_required
from lab import PAYER, PAYER_KEY, Devnet, Home, check_canary

PASSWORD = "correct-horse-battery-0417"
net = None


def setUpModule():
    global net
    net = account_test.net = Devnet()


def tearDownModule():
    check_canary(PAYER_KEY, WALLET_PASSWORD, PASSWORD)
    net.stop()


class LateNode:
    """The devnet's node, whose newest block is `late` seconds older than it is."""

    def __init__(self, late):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                request = urllib.request.Request(net.rpc_url, body, {"content-type": "application/json"})
                with urllib.request.urlopen(request, timeout=30) as answer:
                    replies = json.load(answer)
                for reply in replies:
                    if isinstance(reply.get("result"), dict) and "timestamp" in reply["result"]:
                        reply["result"]["timestamp"] = hex(int(time.time()) - late)
                text = json.dumps(replies).encode()
                self.send_response(200)
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


class DoctorCase(unittest.TestCase):
    home = None

    def doctor(self, *arguments, who=None, code=0, **options):
        """The checks by their ids, and the error."""
        done = (who or self.home).run("doctor", "-j", "--network", "testnet", *arguments, **options)
        self.assertEqual(done.code, code, done)
        self.assertEqual(done.json["error"] and done.json["error"]["code"], code or None)
        checks = {check["id"]: check for check in done.json["checks"]}
        self.assertEqual(len(checks), len(done.json["checks"]))
        self.assertEqual(code != 0, any(check["status"] == "fail" for check in checks.values()))
        for check in checks.values():
            if check["status"] in ("warn", "fail"):
                self.assertTrue(check["hint"], check)
        return checks

    def expect(self, check, status, *words):
        self.assertEqual(check["status"], status, check)
        for word in words:
            self.assertIn(word, check["message"] + " " + (check["hint"] or ""))


class Doctor(DoctorCase):
    def setUp(self):
        self.home = Home(rpc=net.rpc_url)

    def test_all_is_well(self):
        checks = self.doctor()
        for name in ("config", "journal", "tls", "proxy", "rpc.42431", "clock", "account.PAYCURL_PRIVATE_KEY",
                     "balance.PAYCURL_PRIVATE_KEY"):
            self.expect(checks[name], "ok")
        self.expect(checks["account.PAYCURL_PRIVATE_KEY"], "ok", PAYER)
        self.expect(checks["balance.PAYCURL_PRIVATE_KEY"], "ok", "AlphaUSD", "tempo:42431")
        self.expect(checks["journal"], "ok", "not there yet")
        self.assertFalse(self.home.state.exists())  # looking makes nothing
        done = self.home.run("doctor", "--network", "testnet")
        self.assertEqual(done.code, 0, done)
        self.assertRegex(done.text, r"(?m)^ok +rpc\.42431 +http://127\.0\.0\.1:\d+ answers in \d+ ms$")

    def test_a_node_that_is_away_on_another_chain_or_silent(self):
        self.expect(self.doctor("--rpc-url", "http://127.0.0.1:1", code=109)["rpc.42431"], "fail", "--rpc-url")
        other = self.home.run("doctor", "-j", "--network", "31318")
        self.assertEqual(other.code, 109, other)
        self.assertIn("it is on chain 42431, not on 31318", other.text)
        # One node for both networks, when none is named.
        both = {c["id"]: c["status"] for c in self.home.run("doctor", "-j").json["checks"]}
        self.assertEqual((both["rpc.4217"], both["rpc.42431"]), ("warn", "ok"))
        with socket.create_server(("127.0.0.1", 0)) as silent:
            checks = self.doctor("--rpc-url", f"http://user:{PASSWORD}@127.0.0.1:{silent.getsockname()[1]}/{PASSWORD}",
                                 code=109)
        self.expect(checks["rpc.42431"], "fail", "http://127.0.0.1:")
        self.expect(checks["clock"], "skip")
        self.expect(checks["balance.PAYCURL_PRIVATE_KEY"], "skip")

    def test_offline_asks_nobody(self):
        with socket.create_server(("127.0.0.1", 0)) as node:
            checks = self.doctor("--offline", "--rpc-url", f"http://127.0.0.1:{node.getsockname()[1]}")
            node.setblocking(False)
            self.assertRaises(BlockingIOError, node.accept)
        for name in ("rpc.42431", "clock", "balance.PAYCURL_PRIVATE_KEY"):
            self.expect(checks[name], "skip")

    def test_the_clock(self):
        for late, word in ((100, "ahead"), (-100, "behind")):
            node = LateNode(late)
            self.addCleanup(node.stop)
            self.expect(self.doctor("--rpc-url", node.url)["clock"], "warn", word)
        node = LateNode(20)
        self.addCleanup(node.stop)
        self.expect(self.doctor("--rpc-url", node.url)["clock"], "ok")

    def test_a_payment_in_doubt(self):
        def handle(request, connection):
            if request.credential:
                raise Close
            return payment_required()
        server = Server(handle)
        self.addCleanup(server.socket.close)
        self.assertEqual(self.home.run(f"http://127.0.0.1:{server.port}/").code, 107)
        checks = self.doctor()
        self.expect(checks["payments"], "warn", "1 payment", "paycurl payments resume")
        self.expect(checks["journal"], "ok", "sound")

    def test_open_channels(self):
        self.assertEqual(self.home.run("--session", "new", net.url + "/session").code, 0)
        self.expect(self.doctor()["sessions"], "ok", "1 channel", "0.009 AlphaUSD", "sessions close")

    def test_a_journal_that_is_damaged_open_to_others_or_newer(self):
        self.assertEqual(self.home.run(net.url + "/charge").code, 0)
        file = self.home.state / "paycurl.db"
        file.chmod(0o666)
        self.expect(self.doctor("--offline", code=1)["journal"], "fail", "paycurl.db")
        file.chmod(0o600)
        self.doctor("--offline")
        for log in self.home.state.glob("paycurl.db-*"):
            log.unlink()
        good = file.read_bytes()
        file.write_bytes(good[:60] + (99).to_bytes(4, "big") + good[64:])  # user_version
        self.expect(self.doctor("--offline", code=1)["journal"], "fail", "newer")
        for log in self.home.state.glob("paycurl.db-*"):
            log.unlink()
        file.write_bytes(good[:100] + b"\xaa" * (len(good) - 100))
        self.expect(self.doctor("--offline", code=1)["journal"], "fail")

    def test_no_certificates(self):
        with tempfile.NamedTemporaryFile(suffix=".pem") as empty:
            checks = self.doctor("--offline", env={"CURL_CA_BUNDLE": empty.name}, code=2)
            self.expect(checks["tls"], "fail", empty.name, "ca-certificates")

    def test_a_proxy_is_named_without_its_password(self):
        checks = self.doctor("--offline", env={"HTTPS_PROXY": f"http://user:{PASSWORD}@proxy.example:8080"})
        self.expect(checks["proxy"], "ok", "HTTPS_PROXY=http://proxy.example:8080")

    def test_no_home_no_account(self):
        checks = self.doctor("--offline", env={"HOME": None}, code=2)
        self.expect(checks["journal"], "fail", "HOME")
        nobody = Home(key=None, rpc=net.rpc_url)
        self.expect(self.doctor(who=nobody)["accounts"], "warn", "account create")
        checks = self.doctor("-a", "nobody", who=nobody, code=105)
        self.expect(checks["account.nobody"], "fail")

    def test_limits_that_are_none(self):
        checks = self.doctor("--offline", env={"PAYCURL_MAX_SPEND": "lots"}, code=2)
        self.expect(checks["config"], "fail", "not a limit: lots")

    def test_config_files(self):
        folder = self.home.path / ".config/paycurl"
        folder.mkdir(parents=True, mode=0o700)
        file = folder / "config.toml"
        file.write_text("max-time = 5\n")
        file.chmod(0o600)
        self.expect(self.doctor("--offline")["config"], "ok", str(file))
        file.chmod(0o666)
        self.expect(self.doctor("--offline", code=2)["config"], "fail", str(file))
        file.chmod(0o600)
        file.write_text("max-time = \n")
        self.expect(self.doctor("--offline", code=2)["config"], "fail", "config.toml")

    def test_key_files(self):
        who = Home(key=None, rpc=net.rpc_url)
        password = who.path / "password"
        password.write_text(PASSWORD)
        for name in ("one", "two"):
            made = who.run("account", "create", name, "--store", "file", "--no-fund", "--password-file", password)
            self.assertEqual(made.code, 0, made)
        checks = self.doctor(who=who)
        self.expect(checks["account.one"], "ok", "file", "default")
        self.expect(checks["balance.one"], "warn", "account fund one")
        file = who.path / ".local/share/paycurl/keys/two.json"
        file.write_text(file.read_text()[:40])
        checks = self.doctor(who=who, code=105)
        self.expect(checks["account.one"], "ok")
        self.expect(checks["account.two"], "fail")
        self.doctor("-a", "one", who=who)


class Keychain(DoctorCase, account_test.KeyringCase):
    def test_open_locked_replaced(self):
        self.start_keyring()
        self.assertEqual(self.home.run("account", "import", "main", stdin=PAYER_KEY.encode()).code, 0)
        checks = self.doctor()
        self.expect(checks["keychain"], "ok", "gnome-keyring", "1 key")
        self.expect(checks["account.main"], "ok", "default", "its key opens")
        self.lock()
        checks = self.doctor()
        self.expect(checks["keychain"], "warn", "gnome-keyring", "locked")
        self.expect(checks["account.main"], "warn", "locked")

    def test_a_key_that_is_not_the_accounts(self):
        self.start_keyring()
        self.assertEqual(self.home.run("account", "import", "main", stdin=PAYER_KEY.encode()).code, 0)
        self.run_tool("secret-tool", "store", "--label=mppx main", "service", "mppx", "account", "main",
                      input=b"0x" + b"11" * 32)
        checks = self.doctor(code=105)
        self.expect(checks["account.main"], "fail", PAYER)

    def test_without_a_bus_or_a_service(self):
        self.expect(self.doctor()["keychain"], "warn", "D-Bus")
        self.start_bus(services=False)
        self.expect(self.doctor()["keychain"], "warn", "no keychain service")


class Wallets(DoctorCase, account_test.KeyringCase):
    def setUp(self):
        super().setUp()
        self.start_keyring()
        self.wallet = FakeWallet()
        done = self.home.run("account", "connect", "node", stdin=self.wallet.connection.encode())
        self.assertEqual(done.code, 0, done)

    def test_answers_is_away_refuses(self):
        self.expect(self.doctor()["account.node"], "ok", "answers and may pay")
        self.wallet.seen.clear()
        self.expect(self.doctor("--offline")["account.node"], "ok", "not used")
        self.assertEqual(self.wallet.seen, [])
        self.wallet.stop()
        self.expect(self.doctor(code=109)["account.node"], "fail", "cannot be asked")

    def test_a_secret_that_is_refused(self):
        wrong = self.wallet.connection.replace(WALLET_PASSWORD, "wrong")
        self.home.env["PAYCURL_WALLET"] = wrong
        checks = self.doctor(code=105)
        self.expect(checks["account.PAYCURL_WALLET"], "fail", "refuses")
        self.expect(checks["account.node"], "ok")
        self.wallet.stop()


if __name__ == "__main__":
    unittest.main()
