"""Accounts: a real keyring daemon shared with the npm CLI, key files shared with foundry's cast, terminals."""

import base64
import http.server
import json
import os
import pathlib
import pty
import re
import select
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import threading
import time
import unittest

from lab import ALL_OUTPUT, DEVNET, PAYCURL, PAYER, PAYER_KEY, Devnet, Home, check_canary, wait_for

CAST = DEVNET / "node_modules/@foundry-rs/cast-linux-amd64/bin/cast"
WALLET_PASSWORD = "2b7f0d3c9be1a7f4c2d1hunter2"
net = None


def setUpModule():
    global net
    net = Devnet()


def tearDownModule():
    check_canary(PAYER_KEY, WALLET_PASSWORD)
    net.stop()


class Bus:
    """A session bus of its own, with the system's services or without any."""

    def __init__(self, folder, services=True):
        config = folder / "bus.conf"
        config.write_text(
            '<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"'
            ' "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd"><busconfig><type>session</type>'
            f'<listen>unix:dir={folder}</listen>{"<standard_session_servicedirs/>" if services else ""}'
            '<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/>'
            '<allow own="*"/></policy></busconfig>')
        self.process = subprocess.Popen(
            ["dbus-daemon", f"--config-file={config}", "--nofork", "--print-address"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            env={"HOME": str(folder), "XDG_RUNTIME_DIR": str(folder), "PATH": os.environ["PATH"]})
        self.address = self.process.stdout.readline().strip()

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


class KeyringCase(unittest.TestCase):
    def setUp(self):
        self.home = Home(key=None, rpc=net.rpc_url)
        self.runtime = pathlib.Path(tempfile.mkdtemp(prefix="paycurl-run-"))
        self.addCleanup(shutil.rmtree, self.runtime, True)
        self.home.env["XDG_RUNTIME_DIR"] = str(self.runtime)
        self.daemon = None

    def start_bus(self, services=True):
        bus = Bus(self.runtime, services)
        self.addCleanup(bus.stop)
        self.home.env["DBUS_SESSION_BUS_ADDRESS"] = bus.address

    def start_keyring(self, password=b"test"):
        self.start_bus()
        arguments = ["gnome-keyring-daemon", "--foreground", "--components=secrets"]
        if password:
            arguments.append("--unlock")
        self.daemon = subprocess.Popen(arguments, env=self.home.env, stdin=subprocess.PIPE,
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.daemon.stdin.write(password)
        self.daemon.stdin.close()
        self.addCleanup(self.stop_daemon)
        self.run_tool("gdbus", "wait", "--session", "--timeout", "60", "org.freedesktop.secrets")

    def stop_daemon(self):
        self.daemon.send_signal(signal.SIGCONT)
        self.daemon.kill()
        self.daemon.wait()

    def run_tool(self, *arguments, **options):
        return subprocess.run(arguments, env=self.home.env, capture_output=True, timeout=60, **options)

    def mppx(self, *arguments):
        return subprocess.run([str(DEVNET / "bin/mppx"), *arguments], capture_output=True, text=True, timeout=60,
                              env={**self.home.env, "MPPX_RPC_URL": net.rpc_url, "NO_COLOR": "1"})

    def lock(self):
        self.run_tool("gdbus", "call", "--session", "--dest", "org.freedesktop.secrets", "--object-path",
                      "/org/freedesktop/secrets", "--method", "org.freedesktop.Secret.Service.Lock",
                      '["/org/freedesktop/secrets/collection/login"]')


class FakeWallet:
    """What phoenixd says about itself. `seen` has the paths that were asked with the right password."""

    def __init__(self, chain="testnet", balance=1234):
        self.seen, wallet = [], self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                right = "Basic " + base64.b64encode(f":{WALLET_PASSWORD}".encode()).decode()
                fine = self.headers.get("authorization") == right
                answers = {"/getinfo": {"nodeId": "02" + "ab" * 32, "channels": [], "chain": chain, "blockHeight": 1,
                                        "version": "0.6"},
                           "/getbalance": {"balanceSat": balance, "feeCreditSat": 0}}
                if fine:
                    wallet.seen.append(self.path)
                body = json.dumps(answers.get(self.path, {})).encode()
                self.send_response(200 if fine else 401)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.connection = f"phoenixd://:{WALLET_PASSWORD}@127.0.0.1:{self.port}"
        self.address = f"phoenixd:http://127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


class WalletCase(KeyringCase):
    def setUp(self):
        super().setUp()
        self.wallet = FakeWallet()
        self.addCleanup(self.wallet.stop)

    def connect(self, *arguments, connection=None):
        text = (connection or self.wallet.connection) + "\n"
        return self.home.run("account", "connect", *arguments, stdin=text.encode())

    def lookup(self, name):
        return self.run_tool("secret-tool", "lookup", "service", "paycurl", "purpose", "lightning-wallet", "name",
                             name).stdout.decode()

    def names(self):
        return [account["name"] for account in self.home.run("account", "list", "-j").json["accounts"]]

    def no_secret_on_disk(self):
        for path in self.home.path.rglob("*"):
            if path.is_file():
                self.assertNotIn(WALLET_PASSWORD.encode(), path.read_bytes(), path)


class Wallets(WalletCase):
    def setUp(self):
        super().setUp()
        self.start_keyring()

    def test_connect_list_show_delete(self):
        done = self.connect("node")
        self.assertEqual(done.code, 0, done)
        self.assertEqual(done.errors, "")
        self.assertTrue(done.text.startswith(f"connected node  {self.wallet.address}\n"), done)
        for words in ("phoenixd", "testnet", "1234 sat", "paying"):
            self.assertIn(words, done.text)
        self.assertEqual(self.lookup("node"), self.wallet.connection)
        listed = self.home.run("account", "list", "-j").json["accounts"]
        self.assertEqual(listed, [{"name": "node", "method": "lightning", "address": self.wallet.address, "source": "node",
                                   "default": True, "locked": False}])
        shown = self.home.run("account", "show", "node", "-j").json["account"]
        self.assertEqual(shown["balances"][0] | {"decimals": 3}, {
            "amount": "1234", "base": "1234000", "symbol": "sat", "decimals": 3, "token": None,
            "network": "lightning:testnet"})
        self.assertEqual(shown["limits"]["perRun"][0]["amount"], "1000")
        self.assertEqual(self.home.run("account", "balance", "node").text, "1234 sat  lightning:testnet\n")
        self.assertEqual(self.home.run("account", "export", "node").code, 2)
        self.assertEqual(self.home.run("account", "fund", "node").code, 2)
        self.assertEqual(self.home.run("account", "delete", "node").code, 2)  # nobody to ask
        self.no_secret_on_disk()
        gone = self.home.run("account", "delete", "node", "--yes")
        self.assertEqual(gone.code, 0, gone)
        self.assertIn("password is still valid", gone.errors)
        self.assertEqual((self.lookup("node"), self.names()), ("", []))

    def test_json_of_connect(self):
        done = self.connect("-j")
        self.assertEqual(done.code, 0, done)
        account = done.json["account"]
        self.assertEqual((account["name"], account["method"], account["source"], account["default"]),
                         ("lightning", "lightning", "node", True))
        self.assertEqual(account["balances"][0]["base"], "1234000")

    def test_nothing_is_overwritten(self):
        self.assertEqual(self.home.run("account", "create", "main", "--no-fund").code, 0)
        self.assertEqual(self.connect("main").code, 105)
        self.assertEqual(self.connect("node").code, 0)
        self.wallet.seen.clear()
        other = FakeWallet()
        self.addCleanup(other.stop)
        self.assertEqual(self.connect("node", connection=other.connection).code, 105)
        self.assertEqual(other.seen, [])
        self.assertEqual(self.lookup("node"), self.wallet.connection)
        for verb in ("create", "import"):
            self.assertEqual(self.home.run("account", verb, "node", stdin=PAYER_KEY.encode()).code, 105)
        # The npm CLI sees our key and never a wallet.
        self.assertNotIn(b"lightning", self.run_tool("secret-tool", "search", "--all", "service", "mppx").stdout)

    def test_each_kind_has_its_default(self):
        self.home.run("account", "create", "key", "--no-fund")
        self.connect("node")
        other = FakeWallet(balance=5)
        self.addCleanup(other.stop)
        self.connect("other", connection=other.connection)
        self.assertEqual(self.home.run("account", "default").text, "key\nnode  lightning\n")
        self.assertEqual(self.home.run("account", "default", "other").code, 0)
        self.assertEqual(self.home.run("account", "default").text, "key\nother  lightning\n")
        defaults = [a["name"] for a in self.home.run("account", "list", "-j").json["accounts"] if a["default"]]
        self.assertEqual(defaults, ["key", "other"])
        self.assertEqual(self.home.run("account", "show", "-j").json["account"]["name"], "key")
        self.assertEqual(self.home.run("account", "delete", "key", "--yes").code, 0)
        self.assertEqual(self.home.run("account", "balance").text, "5 sat  lightning:testnet\n")

    def test_a_wallet_does_not_pay_what_needs_a_key(self):
        self.connect("node")
        done = self.home.run("-a", "node", "--method", "tempo", net.url + "/charge")
        self.assertEqual(done.code, 105, done)
        self.assertIn('account "node" is a Lightning wallet', done.errors)
        self.assertEqual(self.home.payments(), [])

    def test_nothing_is_stored_when_it_does_not_work(self):
        wrong = self.wallet.connection.replace(WALLET_PASSWORD, "wrong")
        self.assertEqual(self.connect("a", connection=wrong).code, 105)
        self.assertEqual(self.connect("b", connection=self.wallet.connection + "?network=mainnet").code, 2)
        self.assertEqual(self.connect("c", connection="nonsense " + WALLET_PASSWORD).code, 2)
        self.wallet.stop()
        away = self.connect("d")
        self.assertEqual(away.code, 109, away)
        self.assertEqual(self.names(), [])
        self.assertEqual(self.run_tool("secret-tool", "search", "--all", "service", "paycurl").stdout, b"")

    def test_a_row_that_was_changed_gets_no_secret(self):
        """Whoever can write to the database names another host, and the password does not go there."""
        self.connect("node")
        thief = FakeWallet()
        self.addCleanup(thief.stop)
        database = sqlite3.connect(self.home.state / "paycurl.db")
        database.execute("UPDATE accounts SET address = ?", (thief.address,))
        database.commit()
        database.close()
        self.wallet.seen.clear()
        done = self.home.run("account", "balance", "node")
        self.assertEqual(done.code, 105, done)
        self.assertEqual((thief.seen, self.wallet.seen), ([], []))

    def test_a_lost_database_does_not_lose_the_wallet(self):
        self.connect("node")
        shutil.rmtree(self.home.state)
        self.assertEqual(self.names(), ["node"])
        self.assertEqual(self.connect("node").code, 105)
        self.assertEqual(self.home.run("account", "default", "node").code, 0)
        (account,) = self.home.run("account", "list", "-j").json["accounts"]
        self.assertEqual((account["address"], account["default"]), (self.wallet.address, True))
        # And a row without its secret can be deleted.
        self.run_tool("secret-tool", "clear", "service", "paycurl", "name", "node")
        self.assertEqual(self.home.run("account", "balance", "node").code, 105)
        self.assertEqual(self.home.run("account", "delete", "node", "--yes").code, 0)
        self.assertEqual(self.names(), [])

    def test_locked(self):
        self.connect("node")
        self.lock()
        self.wallet.seen.clear()
        done = self.home.run("account", "balance", "node")
        self.assertEqual(done.code, 105, done)
        self.assertIn('lightning-wallet "node" is inside it', done.errors)
        self.assertIn("PAYCURL_WALLET", done.errors)
        self.assertEqual(self.home.run("account", "show", "node").code, 0)  # what is known without it
        self.assertEqual(self.names(), ["node"])
        self.assertEqual(self.wallet.seen, [])
        self.assertEqual(self.connect("second").code, 105)
        self.assertEqual(self.names(), ["node"])

    def test_two_secrets_of_one_name(self):
        self.connect("node")
        self.run_tool("secret-tool", "store", "--label=x", "service", "paycurl", "purpose", "lightning-wallet", "name",
                      "node", "more", "1", input=b"phoenixd://:x@127.0.0.1:1")
        done = self.home.run("account", "balance", "node")
        self.assertEqual(done.code, 105, done)
        self.assertIn("two secrets", done.errors)

    def test_neither_argv_nor_a_child_has_it(self):
        """The process while it asks the wallet: its arguments, its environment."""
        seen = {}
        gate = threading.Event()
        handler = self.wallet.server.RequestHandlerClass
        answer = handler.do_GET

        def slow(request):
            gate.wait(10)
            answer(request)
        handler.do_GET = slow
        self.home.env["PAYCURL_WALLET"] = "phoenixd://:other@127.0.0.1:1"
        read, write = os.pipe()
        os.write(write, self.wallet.connection.encode())
        os.close(write)
        process = self.home.start("account", "show", "--wallet-fd", read, pass_fds=[read])
        os.close(read)
        try:
            seen["argv"] = pathlib.Path(f"/proc/{process.pid}/cmdline").read_bytes()
            seen["children"] = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
        finally:
            gate.set()
        out, err = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 0, err)
        self.assertIn(b"1234 sat", out)
        self.assertNotIn(WALLET_PASSWORD.encode(), seen["argv"] + out + err)
        self.assertEqual(seen["children"].strip(), "")


class WalletFiles(WalletCase):
    """Without a keychain."""

    def setUp(self):
        super().setUp()
        self.password = self.home.path / "password"
        self.password.write_text("correct horse\n")

    def test_encrypted_file(self):
        refused = self.connect("node")
        self.assertEqual(refused.code, 105, refused)
        self.assertIn("--store file", refused.errors)
        self.assertEqual(self.wallet.seen, [])
        done = self.connect("node", "--store", "file", "--password-file", self.password)
        self.assertEqual(done.code, 0, done)
        path = self.home.path / ".local/share/paycurl/keys/node.lightning-wallet"
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
        self.no_secret_on_disk()
        shown = self.home.run("account", "balance", "node", "--password-file", self.password)
        self.assertEqual((shown.code, shown.text), (0, "1234 sat  lightning:testnet\n"), shown)
        wrong = self.home.path / "wrong"
        wrong.write_text("wrong")
        self.assertEqual(self.home.run("account", "balance", "node", "--password-file", wrong).code, 105)
        self.assertEqual(self.home.run("account", "balance", "node").code, 105)  # nobody to ask
        # It is no key, wherever somebody puts it.
        self.assertEqual(self.home.run("--key-file", path, "--password-file", self.password, net.url + "/charge").code, 105)
        shutil.copy(path, path.with_name("copy.json"))
        self.assertEqual(self.home.run("-a", "copy", "--password-file", self.password, net.url + "/charge").code, 105)
        self.assertEqual(self.connect("node", "--store", "file", "--password-file", self.password).code, 105)
        self.assertEqual(self.home.run("account", "delete", "node", "--yes").code, 0)
        self.assertFalse(path.exists())

    def test_handed_over(self):
        read, write = os.pipe()
        os.write(write, self.wallet.connection.encode() + b"\n")
        os.close(write)
        done = self.home.run("account", "show", "-j", "--wallet-fd", read, pass_fds=[read])
        os.close(read)
        self.assertEqual(done.code, 0, done)
        account = done.json["account"]
        self.assertEqual((account["source"], account["address"]), ("env", self.wallet.address))
        self.assertEqual(account["balances"][0]["amount"], "1234")
        self.assertFalse((self.home.path / ".local/share/paycurl").exists())

    def test_the_environments_proxy_does_not_see_it(self):
        thief = FakeWallet(balance=9)
        self.addCleanup(thief.stop)
        proxy = f"http://127.0.0.1:{thief.port}"
        self.home.env.update(http_proxy=proxy, all_proxy=proxy)
        done = self.connect("node", "--store", "file", "--password-file", self.password)
        self.assertIn("1234 sat", done.text, done)
        self.assertEqual(thief.seen, [])


class SharedKeychain(KeyringCase):
    def setUp(self):
        super().setUp()
        self.start_keyring()

    def test_created_here_used_by_mppx(self):
        created = self.home.run("account", "create", "alpha", "-j")
        self.assertEqual(created.code, 0, created)
        address = created.json["account"]["address"]
        seen = json.loads(self.mppx("account", "list", "--format", "json").stdout)["accounts"]
        self.assertIn(address.lower(), [entry["address"].lower() for entry in seen])
        self.assertTrue(wait_for(lambda: net.balance(address) == 1_000_000_000))
        paid = self.mppx(net.url + "/charge", "--account", "alpha")
        self.assertEqual((paid.returncode, paid.stdout), (0, '{"ok":true}'), paid.stderr)
        stored = self.run_tool("secret-tool", "lookup", "service", "mppx", "account", "alpha").stdout
        self.assertRegex(stored.decode(), r"^0x[0-9a-f]{64}$")
        check_canary(stored.decode())

    def test_created_by_mppx_used_here(self):
        self.mppx("account", "create", "--account", "beta")
        listed = self.home.run("account", "list", "-j").json["accounts"]
        (beta,) = [account for account in listed if account["name"] == "beta"]
        self.assertEqual(beta["source"], "mppx")
        self.assertEqual(self.home.run("account", "fund", "-a", "beta").code, 0)
        done = self.home.run("-a", "beta", net.url + "/charge")
        self.assertEqual((done.code, done.out), (0, b'{"ok":true}'), done)
        self.assertEqual(self.home.payments()[0]["payer"], beta["address"])
        # The account that mppx uses by default is the one that is used here.
        self.assertEqual(self.home.run("account", "default").text.strip(), "beta")
        self.assertEqual(self.home.run(net.url + "/charge").code, 0)

    def test_replaced_key_is_noticed(self):
        self.home.run("account", "create", "main")
        self.run_tool("secret-tool", "store", "--label=mppx main", "service", "mppx", "account", "main",
                      input=PAYER_KEY.encode())
        done = self.home.run(net.url + "/charge")
        self.assertEqual(done.code, 105)
        self.assertIn(PAYER, done.errors)

    def test_two_keys_of_one_name(self):
        self.home.run("account", "create", "main")
        self.run_tool("secret-tool", "store", "--label=x", "service", "mppx", "account", "main", "more", "1",
                      input=PAYER_KEY.encode())
        done = self.home.run(net.url + "/charge")
        self.assertEqual(done.code, 105)
        self.assertIn("two keys", done.errors)
        self.assertIn(PAYER, done.errors)

    def test_key_as_a_person_stored_it(self):
        self.run_tool("secret-tool", "store", "--label=x", "service", "mppx", "account", "typed",
                      input=b" " + PAYER_KEY[2:].upper().encode() + b"\n")
        self.assertEqual(self.home.run("-a", "typed", net.url + "/charge").code, 0)

    def test_nothing_is_overwritten(self):
        self.assertEqual(self.home.run("account", "create", "main").code, 0)
        before = self.run_tool("secret-tool", "lookup", "service", "mppx", "account", "main").stdout
        for arguments in (("create", "main"), ("import", "main")):
            self.assertEqual(self.home.run("account", *arguments, stdin=PAYER_KEY.encode()).code, 105)
        self.assertEqual(self.run_tool("secret-tool", "lookup", "service", "mppx", "account", "main").stdout, before)

    def test_import_default_show_delete(self):
        self.assertEqual(self.home.run("account", "import", "rich", stdin=PAYER_KEY.encode() + b"\n").code, 0)
        shown = self.home.run("account", "show", "rich", "-j").json["account"]
        self.assertEqual(shown["address"], PAYER)
        self.assertGreater(max(int(m["base"]) for m in shown["balances"]), 10**12)
        self.assertEqual(self.home.run("account", "create", "poor", "--no-fund").code, 0)
        self.assertEqual(self.home.run("account", "default", "poor").code, 0)
        self.assertEqual(self.home.run("account", "default").text, "poor\n")
        self.assertEqual(self.home.run(net.url + "/charge").code, 103)
        self.assertEqual(self.home.run("account", "delete", "rich").code, 2)  # nobody to ask
        self.assertEqual(self.home.run("account", "delete", "rich", "--yes").code, 0)
        self.assertEqual(self.home.run("-a", "rich", net.url + "/charge").code, 105)
        names = [a["name"] for a in self.home.run("account", "list", "-j").json["accounts"]]
        self.assertEqual(names, ["poor"])

    def test_missing_account_names_the_others(self):
        self.home.run("account", "create", "one", "--no-fund")
        done = self.home.run("-a", "two", net.url + "/charge")
        self.assertEqual(done.code, 105)
        self.assertIn("one", done.errors)

    def test_locked(self):
        self.home.run("account", "create", "main", "--no-fund")
        self.lock()
        start = time.monotonic()
        done = self.home.run(net.url + "/charge")
        self.assertLess(time.monotonic() - start, 20)
        self.assertEqual(done.code, 105)
        self.assertIn('the keychain is locked, and account "main" is inside it', done.errors)
        self.assertEqual(self.home.run("account", "create", "second").code, 105)
        # The address is known without the key.
        listed = self.home.run("account", "list", "-j").json["accounts"]
        self.assertEqual(listed[0]["name"], "main")
        self.assertEqual(self.home.run("--dry-run", net.url + "/charge").code, 103)

    def test_hung_daemon(self):
        self.home.run("account", "create", "main", "--no-fund")
        self.daemon.send_signal(signal.SIGSTOP)
        start = time.monotonic()
        done = self.home.run(net.url + "/charge")
        self.assertLess(time.monotonic() - start, 20)
        self.assertEqual(done.code, 105)
        self.assertIn("does not answer", done.errors)


class WithoutKeychain(KeyringCase):
    def expect(self, sentence):
        done = self.home.run(net.url + "/charge")
        self.assertEqual(done.code, 105, done)
        self.assertIn(sentence, done.errors)
        self.assertIn("PAYCURL_PRIVATE_KEY", done.errors)
        self.assertEqual(self.home.payments(), [])

    def test_no_bus(self):
        self.expect("there is no D-Bus session bus")

    def test_stale_bus(self):
        self.home.env["DBUS_SESSION_BUS_ADDRESS"] = "unix:path=/nonexistent/bus"
        self.expect("there is no D-Bus session bus")

    def test_no_service(self):
        self.start_bus(services=False)
        self.expect("no keychain service is installed")

    def test_no_collection(self):
        self.start_keyring(password=b"")
        done = self.home.run("account", "create", "main")
        self.assertEqual(done.code, 105, done)
        self.assertIn("there is no keychain yet", done.errors)

    def test_no_keychain_is_needed_where_none_is_used(self):
        self.home.env["PAYCURL_PRIVATE_KEY"] = PAYER_KEY
        self.assertEqual(self.home.run(net.url + "/charge").code, 0)

    def test_file_backend_of_libsecret(self):
        self.home.env.update(SECRET_BACKEND="file", SECRET_FILE_TEST_PATH=str(self.home.path / "ring"),
                             SECRET_FILE_TEST_PASSWORD="x")
        self.assertEqual(self.home.run("account", "import", stdin=PAYER_KEY.encode()).code, 0)
        self.assertEqual(self.home.run(net.url + "/charge").code, 0)


class KeyFiles(unittest.TestCase):
    def setUp(self):
        self.home = Home(key=None, rpc=net.rpc_url)
        self.password = self.home.path / "password"
        self.password.write_text("correct horse\n")

    def test_file_account(self):
        done = self.home.run("account", "create", "filed", "--store", "file", "--password-file", self.password)
        self.assertEqual(done.code, 0, done)
        path = self.home.path / ".local/share/paycurl/keys/filed.json"
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
        paid = self.home.run("-a", "filed", "--password-file", self.password, net.url + "/charge")
        self.assertEqual((paid.code, paid.out), (0, b'{"ok":true}'), paid)
        read, write = os.pipe()
        os.write(write, b"correct horse\n")
        os.close(write)
        self.assertEqual(self.home.run("-a", "filed", "--password-fd", read, net.url + "/charge", pass_fds=[read]).code, 0)
        wrong = self.home.path / "wrong"
        wrong.write_text("wrong")
        done = self.home.run("-a", "filed", "--password-file", wrong, net.url + "/charge")
        self.assertEqual(done.code, 105)
        self.assertIn("password", done.errors)
        self.assertEqual(self.home.run("-a", "filed", net.url + "/charge").code, 105)  # nobody to ask
        self.assertEqual(self.home.run("account", "delete", "filed", "--yes").code, 0)
        self.assertFalse(path.exists())

    def cast(self, *arguments):
        return subprocess.run([str(CAST), "wallet", *arguments], capture_output=True, text=True, timeout=60,
                              env={"HOME": str(self.home.path), "PATH": os.environ["PATH"]})

    def test_made_by_cast(self):
        made = self.cast("import", "k", "--keystore-dir", str(self.home.path), "--private-key", PAYER_KEY,
                         "--unsafe-password", "correct horse")
        self.assertEqual(made.returncode, 0, made.stderr)
        done = self.home.run("--key-file", self.home.path / "k", "--password-file", self.password, net.url + "/charge")
        self.assertEqual(done.code, 0, done)
        done = self.home.run("account", "import", "rich", "--store", "file", "--key-file", self.home.path / "k",
                             "--password-file", self.password)
        self.assertIn(PAYER, done.text)

    def test_read_by_cast(self):
        self.home.run("account", "import", "x", "--store", "file", "--password-file", self.password, stdin=PAYER_KEY.encode())
        done = self.home.run("account", "export", "x", "-o", self.home.path / "out.json", "--password-file", self.password)
        self.assertEqual(done.code, 0, done)
        for file in (self.home.path / "out.json", self.home.path / ".local/share/paycurl/keys/x.json"):
            opened = self.cast("decrypt-keystore", file.name, "--keystore-dir", str(file.parent), "--unsafe-password", "correct horse")
            self.assertIn(PAYER_KEY, opened.stdout, opened.stderr)
        self.assertEqual(self.home.run("account", "export", "x", "-o", self.home.path / "out.json", "--password-file",
                                       self.password).code, 105)  # never over another file

    def test_bare_keys_do_not_go_into_pipes(self):
        self.home.run("account", "import", "x", "--store", "file", "--password-file", self.password, stdin=PAYER_KEY.encode())
        self.assertEqual(self.home.run("account", "export", "x", "--raw", "--password-file", self.password).code, 2)

    def test_keys_in_wrong_places_are_not_repeated(self):
        for arguments in (("-a", PAYER_KEY), ("--private-key", PAYER_KEY), (f"--private-key={PAYER_KEY}",)):
            done = self.home.run(*arguments, net.url + "/charge")
            self.assertEqual(done.code, 2, done)


class Terminal:
    """paycurl in a pseudo-terminal; what the screen shows is in `screen`."""

    def __init__(self, home, *arguments, answers=(), stdout=None):
        env = {**home.env, "TERM": "xterm"}
        env.pop("PAYCURL_NO_PROMPT", None)
        self.screen = ""
        pid, fd = pty.fork()
        if pid == 0:
            if stdout:
                os.dup2(os.open(stdout, os.O_WRONLY | os.O_CREAT, 0o600), 1)
            os.execve(PAYCURL, [PAYCURL, *map(str, arguments)], env)
        answers = list(answers)
        end = time.monotonic() + 60
        while time.monotonic() < end:
            ready, _, _ = select.select([fd], [], [], 0.1)
            if ready:
                try:
                    data = os.read(fd, 65536)
                except OSError:
                    break
                if not data:
                    break
                self.screen += data.decode(errors="replace")
            if answers and re.search(answers[0][0], self.screen):
                os.write(fd, answers.pop(0)[1].encode() + b"\n")
        _, status = os.waitpid(pid, 0)
        os.close(fd)
        self.code = os.waitstatus_to_exitcode(status)


class AtTheTerminal(unittest.TestCase):
    def setUp(self):
        self.home = Home(rpc=net.rpc_url)

    def test_paid_line(self):
        done = Terminal(self.home, net.url + "/charge")
        self.assertEqual(done.code, 0)
        self.assertRegex(done.screen, r"paid 0.01 AlphaUSD\S* to 0x7099…79C8 · tempo/charge · 0x")
        self.assertNotIn("paid", Terminal(self.home, "-s", net.url + "/charge").screen)

    def test_confirm(self):
        no = Terminal(self.home, "--confirm", net.url + "/charge", answers=[(r"\[y/N\]", "")])
        self.assertEqual(no.code, 102)
        self.assertIn(f"Pay 0.01 AlphaUSD to {net_payee()}", no.screen)
        out = self.home.path / "out"
        yes = Terminal(self.home, "--confirm", net.url + "/charge", answers=[(r"\[y/N\]", "y")], stdout=out)
        self.assertEqual((yes.code, out.read_bytes()), (0, b'{"ok":true}'))

    def test_export_asks_for_the_name(self):
        password = self.home.path / "password"
        password.write_text("p")
        self.home.run("account", "import", "x", "--store", "file", "--password-file", password, stdin=PAYER_KEY.encode())
        wrong = Terminal(self.home, "account", "export", "x", "--raw", "--password-file", password, answers=[(r"Type", "y")])
        self.assertEqual(wrong.code, 102)
        self.assertNotIn(PAYER_KEY, wrong.screen)
        right = Terminal(self.home, "account", "export", "x", "--raw", "--password-file", password, answers=[(r"Type", "x")])
        self.assertEqual(right.code, 0)
        self.assertIn(PAYER_KEY, right.screen)
        file = self.home.path / "raw"
        named = Terminal(self.home, "account", "export", "x", "--raw", "--fd", 1, "--password-file", password,
                         answers=[(r"Type", "x")], stdout=file)
        self.assertEqual((named.code, file.read_text()), (0, PAYER_KEY + "\n"), named.screen)

    def test_delete_says_what_is_lost(self):
        password = self.home.path / "password"
        password.write_text("p")
        self.home.run("account", "import", "x", "--store", "file", "--password-file", password, stdin=PAYER_KEY.encode())
        done = Terminal(self.home, "account", "delete", "x", answers=[(r"\[y/N\]", "n")])
        self.assertEqual(done.code, 102)
        self.assertIn("AlphaUSD", done.screen)
        self.assertEqual(len(self.home.run("account", "list", "-j").json["accounts"]), 2)

    def test_connection_is_not_echoed(self):
        wallet = FakeWallet()
        self.addCleanup(wallet.stop)
        password = self.home.path / "password"
        password.write_text("p")
        done = Terminal(self.home, "account", "connect", "--store", "file", "--password-file", password,
                        answers=[(r"connection", wallet.connection)])
        self.assertEqual(done.code, 0, done.screen)
        self.assertIn("1234 sat", done.screen)
        self.assertNotIn(WALLET_PASSWORD, done.screen)

    def test_password_is_not_echoed(self):
        made = Terminal(self.home, "account", "create", "x", "--store", "file", "--no-fund",
                        answers=[(r"New password", "hunter22"), (r"Again", "hunter22")])
        self.assertEqual(made.code, 0, made.screen)
        self.assertNotIn("hunter22", made.screen)
        differ = Terminal(self.home, "account", "create", "y", "--store", "file", "--no-fund",
                          answers=[(r"New password", "one"), (r"Again", "two")])
        self.assertEqual(differ.code, 105)


def net_payee():
    from lab import PAYEE
    return PAYEE


class Faucet(unittest.TestCase):
    def test_fund_and_balance(self):
        key = "0x" + os.urandom(31).hex() + "01"
        who = Home(key=key, rpc=net.rpc_url)
        done = who.run("account", "fund")
        self.assertEqual(done.code, 0, done)
        self.assertIn("1000 AlphaUSD", done.text)
        self.assertIn("1000 pathUSD", who.run("account", "balance").text)
        mainnet = who.run("account", "fund", "--network", "mainnet")
        self.assertEqual(mainnet.code, 2)
        self.assertRegex(mainnet.text, "^0x[0-9a-fA-F]{40}\n$")

    def test_create_does_not_fail_without_a_faucet(self):
        who = Home(key=None, rpc="http://127.0.0.1:1")
        password = who.path / "password"
        password.write_text("p")
        done = who.run("account", "create", "x", "--store", "file", "--password-file", password)
        self.assertEqual(done.code, 0, done)
        self.assertIn("faucet", done.errors)


if __name__ == "__main__":
    unittest.main()
