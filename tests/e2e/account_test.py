"""Accounts: a real keyring daemon shared with the npm CLI, key files shared with foundry's cast, terminals."""

import json
import os
import pathlib
import pty
import re
import select
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

from lab import ALL_OUTPUT, DEVNET, PAYCURL, PAYER, PAYER_KEY, Devnet, Home, check_canary, wait_for

CAST = DEVNET / "node_modules/@foundry-rs/cast-linux-amd64/bin/cast"
net = None


def setUpModule():
    global net
    net = Devnet()


def tearDownModule():
    check_canary(PAYER_KEY)
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
        self.run_tool("gdbus", "wait", "--session", "--timeout", "10", "org.freedesktop.secrets")

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
        self.assertLess(time.monotonic() - start, 3)
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
        self.assertLess(time.monotonic() - start, 12)
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
