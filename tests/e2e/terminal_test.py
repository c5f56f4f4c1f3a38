"""paycurl at a terminal: what it says, what it asks, and that nothing a server sends moves the cursor."""

import fcntl
import http.server
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import tempfile
import termios
import threading
import time
import unittest

from lab import ALL_OUTPUT, PAYCURL, PAYEE, PAYER_KEY, Devnet, Home, check_canary

net = None


def setUpModule():
    global net
    net = Devnet()


def tearDownModule():
    check_canary(PAYER_KEY)
    net.stop()


class Terminal:
    """paycurl in a session of its own on a pseudo-terminal: stdin, stdout and stderr are on it unless files are given."""

    def __init__(self, home, *arguments, stdout=None, stdin=None, columns=80, env=None):
        everything = {**home.env, "TERM": "xterm", **(env or {})}
        if "PAYCURL_NO_PROMPT" not in (env or {}):
            everything.pop("PAYCURL_NO_PROMPT", None)
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self.slave, self.seen, self.code = slave, b"", None

        def lead():
            os.setsid()
            fcntl.ioctl(slave, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen([PAYCURL, *map(str, arguments)], env=everything, preexec_fn=lead,
                                        stdin=slave if stdin is None else stdin, stdout=slave if stdout is None else stdout,
                                        stderr=slave)

    def read(self, wait=0.05):
        if select.select([self.master], [], [], wait)[0]:
            self.seen += os.read(self.master, 65536)

    def expect(self, pattern, seconds=30):
        end = time.monotonic() + seconds
        while not re.search(pattern.encode(), self.seen):
            assert time.monotonic() < end, self.seen
            assert self.process.poll() is None or select.select([self.master], [], [], 0)[0], self.seen
            self.read()
        return self

    def type(self, text):
        os.write(self.master, text.encode())
        return self

    def echoes(self):
        return bool(termios.tcgetattr(self.slave)[3] & termios.ECHO)

    def end(self, seconds=60):
        """Waits for the end; afterwards `screen` is all that was shown and `code` the exit status."""
        limit = time.monotonic() + seconds
        while self.process.poll() is None:
            if time.monotonic() > limit:
                self.process.kill()
                raise AssertionError(f"still running; it showed {self.seen}")
            self.read()
        while select.select([self.master], [], [], 0.3)[0]:
            self.read(0)
        self.echo_afterwards = self.echoes()
        for fd in (self.master, self.slave):
            os.close(fd)
        ALL_OUTPUT.append(self.seen)
        self.screen = self.seen.decode(errors="replace").replace("\r\n", "\n")
        self.code = self.process.returncode
        return self


class Prompts(unittest.TestCase):
    def setUp(self):
        self.home = Home(rpc=net.rpc_url)
        self.url = net.url + "/charge"

    def ask(self, *arguments, **options):
        return Terminal(self.home, "--confirm", *arguments, self.url, **options)

    def assertNothingPaid(self):
        self.assertEqual([p for p in self.home.payments() if p["paymentStatus"] != "not_sent"], [])

    def test_the_question_says_what_and_to_whom(self):
        asked = self.ask().expect(r"\[y/N\]")
        self.assertIn(f"Pay 0.01 AlphaUSD to {PAYEE} for {net.url}, from 0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266? [y/N]",
                      asked.type("n\n").end().screen.replace("\n", ""))

    def test_only_yes_is_yes(self):
        for answer in ("\n", "n\n", "no\n", "Yeah\n", "yy\n", "\x04"):
            done = self.ask().expect(r"\[y/N\]").type(answer).end()
            self.assertEqual(done.code, 102, (answer, done.screen))
            self.assertIn("you said no", done.screen)
        self.assertNothingPaid()

    def test_yes_pays(self):
        for answer in ("y\n", "YES\n"):
            done = self.ask().expect(r"\[y/N\]").type(answer).end()
            self.assertEqual(done.code, 0, done.screen)
            self.assertIn("paid 0.01 AlphaUSD", done.screen)

    def test_interrupted(self):
        done = self.ask().expect(r"\[y/N\]").type("\x03").end()
        self.assertEqual(done.code, 130, done.screen)
        self.assertNothingPaid()

    def test_terminated(self):
        asked = self.ask().expect(r"\[y/N\]")
        asked.process.send_signal(signal.SIGTERM)
        self.assertEqual(asked.end().code, 143, asked.screen)
        self.assertNothingPaid()

    def test_hung_up(self):
        """The window is closed while the question stands there."""
        asked = self.ask().expect(r"\[y/N\]")
        os.close(asked.slave)
        os.close(asked.master)
        self.assertEqual(asked.process.wait(30), 143)
        self.assertNothingPaid()

    def test_stdin_and_stdout_are_not_asked(self):
        """The question is on the terminal; the body in the pipe, and stdin's "y" no answer."""
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as answers:
            answers.write(b"y\n" * 10)
            answers.seek(0)
            no = self.ask(stdin=answers, stdout=out).expect(r"\[y/N\]").type("n\n").end()
            self.assertEqual((no.code, out.seek(0, 2)), (102, 0))
            yes = self.ask(stdin=answers, stdout=out).expect(r"\[y/N\]").type("y\n").end()
            out.seek(0)
            self.assertEqual((yes.code, out.read()), (0, b'{"ok":true}'))
            self.assertNotIn('{"ok":true}', yes.screen)

    def test_silent_still_asks(self):
        done = self.ask("-s").expect(r"\[y/N\]").type("n\n").end()
        self.assertEqual(done.code, 102)

    def test_no_prompt(self):
        """PAYCURL_NO_PROMPT: as if there were no terminal."""
        done = self.ask(env={"PAYCURL_NO_PROMPT": "1"}).end()
        self.assertEqual(done.code, 102)
        self.assertNotIn("[y/N]", done.screen)
        self.assertIn("there is no terminal to ask at", done.screen)
        self.assertNothingPaid()

    def test_yes_option(self):
        done = self.ask("--yes").end()
        self.assertEqual(done.code, 0)
        self.assertNotIn("[y/N]", done.screen)


class Passwords(unittest.TestCase):
    def setUp(self):
        self.home = Home(key=None, rpc=net.rpc_url)

    def create(self):
        asked = Terminal(self.home, "account", "create", "main", "--store", "file", "--no-fund").expect("New password")
        self.assertFalse(asked.echoes())
        return asked

    def test_typed_twice_without_echo(self):
        done = self.create().type("open sesame\n").expect("Again").type("open sesame\n").end()
        self.assertEqual(done.code, 0, done.screen)
        self.assertNotIn("sesame", done.screen)
        self.assertTrue(done.echo_afterwards)

    def test_differ(self):
        done = self.create().type("one\n").expect("Again").type("other\n").end()
        self.assertEqual(done.code, 105, done.screen)
        self.assertEqual(self.home.run("account", "list", "-j").json["accounts"], [])

    def test_interrupted(self):
        done = self.create().type("half").type("\x03").end()
        self.assertEqual(done.code, 130, done.screen)
        self.assertTrue(done.echo_afterwards)

    def test_basic_authentication(self):
        """Before any connection: an interrupt gives the echo back there too."""
        asked = Terminal(self.home, "-u", "user", net.url + "/free").expect("Password of user user")
        self.assertFalse(asked.echoes())
        done = asked.type("\x03").end()
        self.assertEqual((done.code, done.echo_afterwards), (130, True), done.screen)

    def test_pays(self):
        self.create().type("p\n").expect("Again").type("p\n").end()
        address = self.home.run("account", "list", "-j").json["accounts"][0]["address"]
        net.rpc("tempo_fundAddress", address)
        with tempfile.TemporaryFile() as out:
            done = Terminal(self.home, net.url + "/charge", stdout=out).expect("Password of account main").type("p\n").end()
            out.seek(0)
            self.assertEqual((done.code, out.read()), (0, b'{"ok":true}'), done.screen)


class Slow(http.server.BaseHTTPRequestHandler):
    """A body in pieces, for a good second."""

    pieces, seconds = 12, 1.5

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(self.pieces * 1000))
        self.end_headers()
        for _ in range(self.pieces):
            self.wfile.write(b"x" * 1000)
            self.wfile.flush()
            time.sleep(self.seconds / self.pieces)

    def log_message(self, *_):
        pass


class Hostile(http.server.BaseHTTPRequestHandler):
    """Escape sequences, bidirectional text and bells wherever a server has a say."""

    TRICK = "\x1b[2J\x1b]0;owned\x07\u202ereversed"

    def do_GET(self):
        problem = json.dumps({"type": "about:blank", "title": "no " + self.TRICK, "detail": self.TRICK, "status": 402}).encode()
        self.send_response(402, "Payment Required")
        challenge = (f'Payment id="c1", realm="{self.TRICK}", method="evil{self.TRICK}", intent="charge", '
                     f'description="{self.TRICK}", request="e30"')
        self.send_header("WWW-Authenticate", challenge.encode().decode("latin1"))
        self.send_header("X-Trick", self.TRICK.encode().decode("latin1"))
        self.send_header("Content-Type", "application/problem+json")
        self.send_header("Content-Length", str(len(problem)))
        self.end_headers()
        self.wfile.write(problem)

    def log_message(self, *_):
        pass


class Screen(unittest.TestCase):
    def setUp(self):
        self.home = Home(rpc=net.rpc_url)

    def serve(self, handler):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return f"http://127.0.0.1:{server.server_port}/"

    def test_paid_line(self):
        shown = Terminal(self.home, net.url + "/charge").end().screen
        self.assertRegex(shown, r"\x1b\[1mpaid 0.01 AlphaUSD\x1b\[0m to 0x7099…79C8 · tempo/charge · 0x\w{4}…\w{4}\n")

    def test_paid_line_without_colour(self):
        for options, env in ((("--color", "never"), {}), ((), {"NO_COLOR": "1"})):
            shown = Terminal(self.home, *options, net.url + "/charge", env=env).end().screen
            self.assertRegex(shown, r"(^|\n|\})paid 0.01 AlphaUSD to 0x7099…79C8")
            self.assertNotIn("\x1b", shown)

    def test_no_paid_line(self):
        self.assertNotIn("paid", Terminal(self.home, "-s", net.url + "/charge").end().screen)
        self.assertEqual(self.home.run(net.url + "/charge").err, b"")  # no terminal

    def meter(self, *options, **settings):
        with tempfile.TemporaryFile() as out:
            done = Terminal(self.home, *options, self.serve(Slow), stdout=out, **settings).end()
            self.assertEqual((done.code, out.seek(0, 2)), (0, Slow.pieces * 1000))
        return done.screen

    def test_meter(self):
        self.assertRegex(self.meter(), r"\r\d+% of 12kB  \d+B/s")

    def test_bar(self):
        self.assertRegex(self.meter("-#"), r"\r#+ +\d+% of 12kB")

    def test_meter_leaves_nothing_behind(self):
        """It draws over itself without escape sequences, and ends on an empty line."""
        shown = self.meter("-#")
        self.assertNotIn("\x1b", shown)
        self.assertRegex(shown, r"\r +\r$")

    def test_meter_fits(self):
        for columns in (10, 40, 200):
            lines = self.meter("-#", columns=columns).split("\r")
            self.assertGreater(len(lines), 2)
            self.assertLess(max(map(len, lines)), columns)

    def test_no_meter(self):
        for options in (("--no-progress-meter",), ("-s",)):
            self.assertEqual(self.meter(*options), "")
        slow = self.serve(Slow)
        self.assertEqual(self.home.run(slow).err, b"")  # no terminal
        self.assertEqual(Terminal(self.home, slow).end().screen, "x" * 12000)  # the body is shown itself

    def test_hostile_text_is_visible_not_obeyed(self):
        url = self.serve(Hostile)
        for options in ((), ("--inspect",), ("-v",), ("-vv",), ("--dry-run",), ("-j",), ("--inspect", "-j")):
            done = Terminal(self.home, *options, url).end()
            self.assertEqual(done.code, 104, done.screen)
            for raw in ("\x1b", "\x07", "\u202e"):
                self.assertNotIn(raw, done.screen, options)
            self.assertIn("owned", done.screen, options)

    def test_binary_body_is_kept_from_the_screen(self):
        class Binary(Hostile):
            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Length", "4")
                self.end_headers()
                self.wfile.write(b"\x00\x1b[2")

        done = Terminal(self.home, self.serve(Binary)).end()
        self.assertEqual(done.code, 23)
        self.assertNotIn("\x00", done.screen)


if __name__ == "__main__":
    unittest.main()
