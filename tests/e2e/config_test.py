"""The config files against the real mppx server: budgets that processes share, denials, ceilings of root's file, prices."""

import base64
import http.server
import json
import os
import re
import shutil
import subprocess
import threading
import unittest
import urllib.error
import urllib.request

from account_test import Terminal
from lab import ALPHA, PAYCURL, PAYEE, PAYER_KEY, SPONSOR, Devnet, Home, check_canary

OTHER_KEY = "0x47c99abed3324a2707c28affff1267e45918ec8c3f20b8aa892e8b065d2942dd"
net = None


def setUpModule():
    global net
    net = Devnet()


def tearDownModule():
    try:
        check_canary(PAYER_KEY, OTHER_KEY)
    finally:
        net.stop()


class Case(unittest.TestCase):
    def setUp(self):
        self.home = Home(rpc=net.rpc_url)
        self.folder = self.home.path / ".config/paycurl"
        self.folder.mkdir(parents=True)
        self.file = self.folder / "config.toml"

    def config(self, text):
        self.file.write_text(text)
        self.file.chmod(0o600)

    def declined(self, done, reason):
        self.assertEqual(done.code, 102, done)
        error = done.json["error"]
        self.assertEqual((error["reason"], error["paymentStatus"]), (reason, "not_sent"), done)
        return error


class Budgets(Case):
    def race(self, processes, keys=(PAYER_KEY,), price=10_000, budget=50_000):
        """So many at once, each pays twice; returns how they ended and what the payee got."""
        def run():
            started = [self.home.start("-j", net.url + "/charge", net.url + "/charge?again",
                                       env={"PAYCURL_PRIVATE_KEY": keys[n % len(keys)]}) for n in range(processes)]
            return [process.communicate(timeout=120)[0] for process in started]
        outputs, (got,) = net.moved([PAYEE], run)
        ends = [json.loads(line)["error"] for output in outputs for line in output.splitlines()]
        self.assertEqual(len(ends), 2 * processes)
        refused = [error for error in ends if error]
        self.assertEqual({error["reason"] for error in refused}, {"per_day"} if refused else set())
        self.assertEqual(got, price * (len(ends) - len(refused)))
        self.assertLessEqual(got, budget)
        return got

    def test_the_day_of_an_account(self):
        self.config('per_day = "0.05"\n')
        self.assertEqual(self.race(2), 40_000)
        self.assertEqual(self.race(8, budget=10_000), 10_000)
        error = self.declined(self.home.run("-j", "--max-spend", "9", net.url + "/charge"), "per_day")
        self.assertEqual((error["need"]["base"], error["limit"]["base"]), ("10000", "50000"))
        other = self.home.run(net.url + "/charge", env={"PAYCURL_PRIVATE_KEY": OTHER_KEY})
        self.assertEqual(other.code, 0, other)  # another account, another day's limit

    def test_the_day_of_a_host_is_one_for_all_accounts(self):
        self.config('[host."127.0.0.1"]\nper_day = "0.05"\n')
        self.assertEqual(self.race(8, keys=(PAYER_KEY, OTHER_KEY)), 50_000)

    def test_the_vouchers_of_a_session_count(self):
        self.config('[host."*"]\nper_day = "0.003"\n')
        url = net.url + "/session"
        self.assertEqual([self.home.run(url).code for _ in range(3)], [0, 0, 0])
        self.declined(self.home.run("-j", url), "per_day")
        self.assertEqual(self.home.run("sessions", "list", "-j").json["sessions"][0]["signed"]["base"], "3000")

    def test_a_stream_stops_at_what_one_request_may_cost(self):
        self.config('final = true\n[host."*"]\nmax_spend = "0.01"\n')
        done, (got,) = net.moved([PAYEE], lambda: self.home.run("-j", "--max-spend", "9", net.url + "/session/sse"))
        self.assertEqual(done.code, 108, done)
        signed = self.home.run("sessions", "show", "-j", "last").json["session"]["signed"]["base"]
        self.assertLessEqual(int(signed), 10_000)
        self.assertGreater(int(signed), 0)


class Denials(Case):
    PATHS = ("/charge", "/charge/zero", "/charge/sponsored", "/charge/push", "/session", "/session/sse")

    def test_nothing_gets_around_one(self):
        self.config('[host."127.0.0.1"]\ndeny = true\n')
        net.clear()
        for path in self.PATHS:
            for options in ((), ("-q",), ("--max-spend", "9", "--yes"), ("--dry-run",), ("--inspect",)):
                self.declined(self.home.run("-j", *options, net.url + path), "denied")
        socket = self.home.run("-j", net.url.replace("http:", "ws:") + "/session/ws")
        self.declined(socket, "denied")
        head = urllib.request.Request(net.url + "/charge")
        with self.assertRaises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(head, timeout=10)
        challenge = refused.exception.headers["WWW-Authenticate"]
        refused.exception.close()
        self.declined(self.home.run("sign", "-j", "--url", net.url + "/charge", challenge), "denied")
        for line in self.home.run("-jZ", net.url + "/charge", net.url + "/charge/zero").out.splitlines():
            self.assertEqual(json.loads(line)["error"]["reason"], "denied")
        self.assertEqual([entry for entry in net.log() if entry.get("payload")], [])
        self.assertEqual(self.home.payments(), [])

    def test_a_known_offer_and_an_open_channel_are_no_way_around(self):
        url = net.url + "/session"
        self.assertEqual(self.home.run(url).code, 0)
        self.config('[host."127.0.0.1"]\ndeny = true\n')
        net.clear()
        self.declined(self.home.run("-j", url), "denied")
        self.assertEqual([entry for entry in net.log() if entry.get("payload")], [])
        # What is the user's own still comes back.
        self.assertEqual(self.home.run("sessions", "close", "last").code, 0)

    def test_the_host_that_is_paid_counts_behind_a_redirect(self):
        class Redirect(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(302)
                self.send_header("Location", net.url.replace("127.0.0.1", "localhost") + self.path)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Redirect)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        url = f"http://127.0.0.1:{server.server_port}/charge"
        self.config('[host."127.0.0.1"]\ndeny = true\n')
        self.assertEqual(self.home.run("-L", url).code, 0)
        self.config('[host."localhost"]\ndeny = true\n')
        self.declined(self.home.run("-jL", url), "denied")

    def test_pins(self):
        for pin, reason in ((f'recipient = "{SPONSOR}"', "pinned_recipient"), ('chain = 4217', "pinned_network"),
                            ('network = "mainnet"', "pinned_network"), ('method = "lightning"', "pinned_method"),
                            ('token = "pathUSD"', "pinned_currency")):
            self.config(f'[host."127.0.0.1"]\n{pin}\n')
            self.declined(self.home.run("-jq", net.url + "/charge"), reason)
        self.config(f'[host."127.0.0.1"]\nrecipient = "{PAYEE}"\ntoken = "{ALPHA}"\nnetwork = "testnet"\nmethod = "tempo"\n')
        self.assertEqual(self.home.run(net.url + "/charge").code, 0)
        # Splits go to others as well.
        self.declined(self.home.run("-j", net.url + "/charge/splits"), "pinned_recipient")
        # Of several offers the one that the pins allow is taken.
        self.config('[host."127.0.0.1"]\ntoken = "pathUSD"\n')
        done = self.home.run("-j", net.url + "/offers")
        if done.json["payment"]:
            self.assertEqual(done.json["payment"]["paid"]["symbol"], "pathUSD")


class Accounts(Case):
    def test_the_account_of_a_host(self):
        home = self.home
        del home.env["PAYCURL_PRIVATE_KEY"]
        password = home.path / "password"
        password.write_text("p")
        addresses = {}
        for name, key in (("main", PAYER_KEY), ("research", OTHER_KEY)):
            made = home.run("account", "import", name, "--store", "file", "--password-file", password, stdin=key.encode())
            self.assertEqual(made.code, 0, made)
        self.config('account = "main"\n[host."localhost"]\naccount = "research"\n')

        def payer(*arguments, **options):
            done = home.run("-j", "--password-file", password, *arguments, **options)
            self.assertEqual(done.code, 0, done)
            return [json.loads(line)["payment"]["account"] for line in done.out.splitlines()]

        here, there = net.url + "/charge", net.url.replace("127.0.0.1", "localhost") + "/charge"
        self.assertEqual(payer(here), ["main"])
        self.assertEqual(payer(there), ["research"])
        self.assertEqual(payer(here, there), ["main", "research"])
        self.assertEqual(payer("-a", "main", there), ["main"])
        self.assertEqual(payer(there, env={"PAYCURL_ACCOUNT": "main"}), ["main"])
        self.config('account = "nobody"\n')
        done = home.run("--password-file", password, here)
        self.assertEqual(done.code, 105, done)
        self.assertIn("the config file's account", done.errors)


class PlainHttp(Case):
    def test_the_permission_of_a_host(self):
        # Through a proxy loopback is no longer this machine alone.
        proxied = ("-x", net.url, "--max-time", "5")
        address = "http://shop.invalid/charge"
        self.config("")
        without = self.home.run("-j", "--inspect", *proxied, address)
        self.config('[host."shop.invalid"]\nallow_http = true\n')
        allowed = self.home.run("-j", "--inspect", *proxied, address)
        quiet = self.home.run("-jq", "--inspect", *proxied, address)
        reasons = [done.json["offers"][0]["reason"] if done.json["offers"] else None for done in (without, allowed, quiet)]
        self.assertEqual(reasons, ["insecure", None, "insecure"], (without, allowed, quiet))


class RootsFile(Case):
    """/etc is another one here: a mount namespace of its own."""

    def setUp(self):
        super().setUp()
        self.etc = self.home.path / "etc"
        shutil.copytree("/etc", self.etc, symlinks=True, ignore_dangling_symlinks=True,
                        ignore=lambda _, names: [n for n in names if n in ("shadow", "gshadow", "shadow-", "gshadow-")])
        (self.etc / "paycurl").mkdir(exist_ok=True)
        (self.etc / "paycurl").chmod(0o755)
        self.system = self.etc / "paycurl/config.toml"
        if self.namespace("true", check=False).returncode != 0:
            self.skipTest("no mount namespaces here")

    def namespace(self, *command, check=True, env=None):
        user = [] if os.geteuid() == 0 else ["--map-root-user"]
        return subprocess.run(["unshare", "--mount", *user, "sh", "-c", 'mount --bind "$1" /etc && shift && exec "$@"', "sh",
                               str(self.etc), *map(str, command)], capture_output=True, timeout=60, check=False,
                              env={**self.home.env, **(env or {})})

    def paycurl(self, *arguments, env=None):
        done = self.namespace(PAYCURL, *arguments, env=env)
        return done.returncode, (json.loads(done.stdout) if done.stdout.startswith(b"{") else None), done.stderr.decode()

    def write(self, text, mode=0o644):
        self.system.write_text(text)
        self.system.chmod(mode)

    def test_no_option_variable_or_file_raises_a_ceiling(self):
        self.write('[limits]\nmax_spend = "0.005"\n')
        self.config('max_spend = "5"\n[host."*"]\nmax_spend = "5"\n')
        named = self.home.path / "named.toml"
        named.write_text('max_spend = "5"\n')
        url = net.url + "/charge"
        for arguments, env in (((), {}), (("--max-spend", "9"), {}), (("-q", "--max-spend", f"9:{ALPHA}"), {}),
                               ((), {"PAYCURL_MAX_SPEND": "9"}), ((), {"PAYCURL_CONFIG": str(named)}),
                               (("--yes", "--allow-http"), {"XDG_CONFIG_HOME": "/nonexistent"})):
            code, said, text = self.paycurl("-j", *arguments, url, env=env)
            self.assertEqual((code, said["error"]["reason"], said["error"]["limit"]["base"]), (102, "max_spend", "5000"), text)
            self.assertIn("/etc/paycurl/config.toml:2", said["error"]["message"])
        code, said, text = self.paycurl("-j", "--max-spend", "9", net.url + "/session")  # 0.001 each
        self.assertEqual(code, 0, text)

    def test_its_denials_hold(self):
        self.write('[host."*"]\ndeny = true\n[host."localhost"]\ndeny = false\n')
        self.config('[host."127.0.0.1"]\ndeny = false\n')
        self.assertEqual(self.paycurl("-j", net.url + "/charge")[1]["error"]["reason"], "denied")
        self.assertEqual(self.paycurl(net.url.replace("127.0.0.1", "localhost") + "/charge")[0], 0)

    def test_its_defaults_come_first(self):
        self.write('silent = true\nuser-agent = "root"\n')
        self.config('user-agent = "mine"\n')
        code, shown, text = self.paycurl("config", "show", "-j")
        self.assertEqual(code, 0, text)
        values = {value["name"]: (value["value"], value["place"].rsplit("/", 3)[-3:]) for value in shown["config"]["values"]
                  if value["from"] == "file"}
        self.assertEqual(values["user-agent"][0], "mine")
        self.assertEqual(values["silent"], ("true", ["etc", "paycurl", "config.toml:1"]))

    def test_it_has_to_be_roots_alone(self):
        self.write("", mode=0o666)
        self.assertEqual(self.paycurl(net.url + "/charge")[0], 2)
        self.write("silent = maybe\n")
        code, _, text = self.paycurl(net.url + "/charge")
        self.assertEqual(code, 2)
        self.assertIn("/etc/paycurl/config.toml:1:", text)
        self.write("")
        (self.etc / "paycurl").chmod(0o777)
        self.assertEqual(self.paycurl(net.url + "/charge")[0], 2)
        (self.etc / "paycurl").chmod(0o755)
        self.assertEqual(self.paycurl(net.url + "/charge")[0], 0)
        if os.geteuid() == 0:
            os.chown(self.system, 12345, 0)
            code, _, text = self.paycurl(net.url + "/charge")
            self.assertEqual(code, 2)
            self.assertIn("belongs to user 12345", text)


def encoded(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


class Shop:
    """Takes any payment; its price is `price`."""

    def __init__(self):
        self.price, self.paid, shop = "1000", [], self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                paid = (self.headers.get("Authorization") or "").startswith("Payment ")
                self.send_response(200 if paid else 402)
                if paid:
                    shop.paid.append(shop.price)
                    self.send_header("Payment-Receipt", encoded({"method": "tempo", "reference": "0x" + "ab" * 32,
                                                                 "status": "success", "timestamp": "2026-01-01T00:00:00Z"}))
                else:
                    request = encoded({"amount": shop.price, "currency": ALPHA, "methodDetails": {"chainId": 42431},
                                       "recipient": PAYEE})
                    self.send_header("WWW-Authenticate", f'Payment id="c", realm="r", method="tempo", intent="charge", '
                                                         f'request="{request}", expires="2099-01-01T00:00:00Z"')
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/x"

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


class Prices(Case):
    def setUp(self):
        super().setUp()
        self.shop = Shop()
        self.addCleanup(self.shop.stop)

    def test_asked_at_the_terminal_declined_elsewhere(self):
        limit = ("--max-increase", "10")
        self.assertEqual(self.home.run(*limit, self.shop.url).code, 0)
        self.shop.price = "1100"
        self.assertEqual(self.home.run(*limit, self.shop.url + "?q").code, 0)
        self.shop.price = "1300"
        error = self.declined(self.home.run("-j", *limit, self.shop.url), "max_increase")
        self.assertEqual((error["need"]["base"], error["limit"]["base"]), ("1300", "1210"))
        question = r"The price is 0\.0013 AlphaUSD, and was 0\.0011 AlphaUSD the last time.*Pay it\? \[y/N\]"
        no = Terminal(self.home, *limit, self.shop.url, answers=[(question, "")])
        self.assertEqual(no.code, 102, no.screen)
        silent = Terminal(self.home, *limit, "--yes", self.shop.url)  # --yes does not speak of other prices
        self.assertEqual(silent.code, 102, silent.screen)
        self.assertEqual(self.shop.paid, ["1000", "1100"])
        yes = Terminal(self.home, *limit, "--confirm", self.shop.url, answers=[(question, "y")])
        self.assertEqual(yes.code, 0, yes.screen)
        self.assertEqual(self.shop.paid, ["1000", "1100", "1300"])
        self.assertEqual(self.home.run(*limit, self.shop.url).code, 0)  # it is the last price now

    def test_a_final_file_lets_nobody_say_yes(self):
        self.config('final = true\nmax_increase = 10\n')
        self.assertEqual(self.home.run(self.shop.url).code, 0)
        self.shop.price = "1101"
        done = Terminal(self.home, "--max-increase", "500", self.shop.url, answers=[(r"\[y/N\]", "y")])
        self.assertEqual(done.code, 102, done.screen)
        self.assertNotIn("[y/N]", done.screen)
        self.assertEqual(self.shop.paid, ["1000"])

    def test_the_price_of_a_session_is_that_of_a_unit(self):
        url = net.url + "/session"
        for _ in range(3):  # pays more each time than the unit before, as vouchers add up
            self.assertEqual(self.home.run("--max-increase", "0", url).code, 0)
        done = self.home.run("--max-increase", "0", "--max-spend", "1", net.url + "/session/sse")
        self.assertEqual(done.code, 0, done)
        self.assertEqual(self.home.run("--max-increase", "0", net.url + "/session/sse").code, 0)


class Shown(Case):
    def test_init_show_and_path(self):
        shutil.rmtree(self.folder.parent)
        done = self.home.run("config", "init", "-j")
        self.assertEqual(done.json["config"]["files"][-1], {"path": str(self.file), "kind": "user", "exists": True})
        self.assertEqual((self.file.stat().st_mode & 0o777, self.folder.stat().st_mode & 0o777), (0o600, 0o700))
        before = self.file.read_text()
        self.assertEqual(self.home.run("config", "init").code, 2)
        self.assertEqual(self.file.read_text(), before)
        # With every line in force it is a config that can be used.
        lively = re.sub(r"(?m)^# ?(?=[a-z_-]+ = |\[)", "", before)
        self.config(lively)
        shown = self.home.run("config", "show", "-j")
        self.assertEqual(shown.code, 0, shown)
        self.assertEqual({value["name"] for value in shown.json["config"]["values"] if value["section"] == "host api.example.com"},
                         {"max-spend", "per-day", "account", "recipient", "network"})
        self.declined(self.home.run("-j", net.url + "/charge"), "denied")


if __name__ == "__main__":
    unittest.main()
