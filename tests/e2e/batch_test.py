"""Many requests of one invocation, payments that are made once, and the journal afterwards: the real mppx server on the
local chain, and a server that can wait and that counts what was paid."""

import csv
import io
import json
import os
import pathlib
import signal
import subprocess
import threading
import unittest
import urllib.error
import urllib.request

from account_test import Terminal
from hostile import Close, Server, answer, paid, payment_required
from lab import PAYEE, PAYER, PAYER_KEY, PAYCURL, Devnet, Home, check_canary, wait_for

net = None


def setUpModule():
    global net
    net = Devnet()


def tearDownModule():
    try:
        check_canary(PAYER_KEY)
    finally:
        net.stop()


class Shop:
    """A paid server: every credential pays once, its answer can be held back or lost."""

    def __init__(self, amount="10000"):
        self.lock, self.paid, self.keys, self.bodies = threading.Lock(), [], [], []
        self.let_go, self.lose, self.refuses = threading.Event(), 0, False
        self.let_go.set()
        self.server = Server(self.handle)
        self.url = f"http://127.0.0.1:{self.server.port}"

    def handle(self, request, connection):
        if request.path.startswith("/free"):
            return answer(200, "free")
        credential = request.credential
        if credential is None:
            return payment_required()
        with self.lock:
            self.keys.append(request.headers.get("idempotency-key"))
            first = credential["payload"]["signature"] not in self.paid
            if first:
                self.paid.append(credential["payload"]["signature"])
            lost = self.lose > 0
            self.lose -= lost
        self.let_go.wait(120)
        if lost:
            raise Close
        if self.refuses:
            return payment_required()
        body = f"goods {request.path}"
        self.bodies.append(body)
        return paid(body.encode())

    def close(self):
        self.let_go.set()
        self.server.socket.close()


class Case(unittest.TestCase):
    def setUp(self):
        self.home = Home(rpc=net.rpc_url)
        self.shop = Shop()
        self.addCleanup(self.shop.close)

    def run_ok(self, *arguments, **options):
        done = self.home.run(*arguments, **options)
        self.assertEqual((done.code, done.errors), (0, ""), done)
        return done

    def lines(self, done):
        return [json.loads(line) for line in done.text.splitlines()]

    def payments(self, home=None):
        return (home or self.home).payments()

    def statuses(self):
        return sorted(payment["paymentStatus"] for payment in self.payments())


class Parallel(Case):
    def test_one_budget_to_the_unit(self):
        """20 charges of 0.01 under 0.125: twelve are paid, eight declined."""
        urls = [f"{net.url}/charge?n={n}" for n in range(20)]
        done, (payee,) = net.moved([PAYEE], lambda: self.home.run("-Z", "-s", "--max-spend", "0.125", *urls))
        self.assertEqual(payee, 120_000, done)
        self.assertEqual(done.code, 102, done)
        self.assertEqual(done.out, b'{"ok":true}' * 12)
        self.assertEqual(len(self.payments()), 12)
        self.assertEqual(self.statuses(), ["settled"] * 12)

    def test_a_budget_that_just_suffices(self):
        urls = [f"{net.url}/charge?n={n}" for n in range(8)]
        done, (payee,) = net.moved([PAYEE], lambda: self.home.run("-Z", "--parallel-max", "3", "--max-spend", "0.08", *urls))
        self.assertEqual((done.code, payee, done.errors), (0, 80_000, ""), done)

    def test_one_session_for_all(self):
        """Twenty requests, ten workers, one channel."""
        urls = [f"{net.url}/session?n={n}" for n in range(20)]
        done = self.run_ok("-Z", "--parallel-max", "10", "--deposit", "0.05", *urls)
        self.assertEqual(done.out, b'{"ok":true,"unit":1}' * 20)
        sessions = self.home.run("sessions", "list", "-j").json["sessions"]
        self.assertEqual(len(sessions), 1)
        self.assertEqual((sessions[0]["signed"]["base"], sessions[0]["spent"]["base"], sessions[0]["deposit"]["base"]),
                         ("20000", "20000", "50000"))

    def test_sessions_are_closed_by_the_parent(self):
        urls = [f"{net.url}/session?c={n}" for n in range(4)]
        self.run_ok("-Z", "--close", "-s", *urls)
        sessions = self.home.run("sessions", "list", "--all", "-j").json["sessions"]
        self.assertEqual([s["status"] for s in sessions], ["closed"])

    def test_envelopes_are_whole_lines(self):
        urls = [f"{net.url}/charge?{'x' * 3000}={n}" for n in range(12)] + [net.url + "/free"]
        done = self.run_ok("-Z", "-j", *urls)
        envelopes = self.lines(done)
        self.assertEqual({e["request"]["url"] for e in envelopes}, set(urls))
        self.assertEqual({e["response"]["body"] for e in envelopes}, {'{"ok":true}', '{"ok":true,"free":true}'})
        totals = sorted(int(e["total"][0]["base"]) for e in envelopes if e["payment"])
        self.assertEqual(totals[-1], 120_000)  # of the invocation, not of a worker

    def test_each_has_its_own_output(self):
        names = [self.home.path / f"o{n}" for n in range(6)]
        arguments = [part for n, name in enumerate(names) for part in ("-o", name, f"{self.shop.url}/{n}")]
        self.run_ok("-Z", *arguments)
        self.assertEqual([name.read_text() for name in names], [f"goods /{n}" for n in range(6)])

    def test_the_gravest_status_and_the_others_go_on(self):
        done = self.home.run("-Z", "-s", f"{self.shop.url}/a", "http://127.0.0.1:1/", f"{self.shop.url}/b")
        self.assertEqual(done.code, 7)
        self.assertEqual(len(self.shop.paid), 2)

    def test_fail_early_gives_out_no_more(self):
        urls = ["http://127.0.0.1:1/"] + [f"{self.shop.url}/{n}" for n in range(30)]
        for parallel in (["-Z", "--parallel-max", "1"], ["--parallel-immediate"]):
            done = self.home.run("-s", "--fail-early", *parallel, *urls)
            self.assertEqual(done.code, 7, done)
        self.assertEqual(self.shop.paid, [])

    def test_keys_from_a_descriptor(self):
        read, write = os.pipe()
        os.write(write, PAYER_KEY.encode())
        os.close(write)
        urls = [f"{self.shop.url}/{n}" for n in range(5)]
        done = self.home.run("-Z", "--key-fd", read, *urls, pass_fds=[read], env={"PAYCURL_PRIVATE_KEY": None})
        os.close(read)
        self.assertEqual((done.code, len(self.shop.paid)), (0, 5), done)
        self.assertEqual({p["account"] for p in self.payments()}, {"key-fd"})

    def test_confirm_without_a_terminal_pays_nothing(self):
        done = self.home.run("-Z", "--confirm", f"{self.shop.url}/a", f"{self.shop.url}/b")
        self.assertEqual((done.code, self.shop.paid), (102, []), done)

    def test_questions_come_one_after_the_other(self):
        answers = [(r"(?s)(\[y/N\].*){%d}" % n, "y") for n in (1, 2, 3)]
        done = Terminal(self.home, "-Z", "-s", "--confirm", *[f"{self.shop.url}/{n}" for n in range(3)], answers=answers,
                        stdout=self.home.path / "out")
        self.assertEqual((done.code, len(self.shop.paid)), (0, 3), done.screen)
        self.assertEqual(done.screen.count("[y/N] y\r\n"), 3, done.screen)

    def test_a_password_is_asked_for_once(self):
        password = self.home.path / "password"
        password.write_text("correct horse\n")
        self.home.run("account", "import", "filed", "--store", "file", "--password-file", password, stdin=PAYER_KEY.encode())
        del self.home.env["PAYCURL_PRIVATE_KEY"]
        urls = [f"{self.shop.url}/{n}" for n in range(4)]
        done = Terminal(self.home, "-Z", "-s", "-a", "filed", *urls, answers=[("(?i)password", "correct horse")],
                        stdout=self.home.path / "out")
        self.assertEqual((done.code, len(self.shop.paid)), (0, 4), done.screen)
        self.assertEqual(done.screen.lower().count("password"), 1, done.screen)
        # From a pipe that can be read once, too.
        done = self.home.run("-Z", "-a", "filed", "--password-file", "/dev/stdin", *urls, stdin=b"correct horse")
        self.assertEqual((done.code, len(self.shop.paid)), (0, 8), done)

    def workers_of(self, process):
        children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children")
        return [int(pid) for pid in children.read_text().split()]

    def held(self, count):
        """A run whose answers are all held back."""
        self.shop.let_go.clear()
        process = self.home.start("-Z", *[f"{self.shop.url}/{n}" for n in range(count)])
        self.assertTrue(wait_for(lambda: len(self.shop.paid) == count or process.poll() is not None), "not paid")
        return process

    def ended(self, process):
        out, err = process.communicate(timeout=60)
        return process.returncode, out, err

    def finish_with_resume(self, count):
        """Whatever was left is finished, and nothing is paid again."""
        self.shop.let_go.set()
        self.assertTrue(wait_for(lambda: self.home.run("payments", "resume").code in (0, 108)))
        self.assertEqual(self.home.run("payments", "resume").errors, "no payment is in doubt\n")
        self.assertEqual(self.statuses(), ["settled"] * count)
        self.assertEqual(len(self.shop.paid), count)

    def test_a_killed_worker_is_told_and_the_others_go_on(self):
        process = self.held(4)
        worker = self.workers_of(process)[0]
        os.kill(worker, signal.SIGKILL)
        self.assertTrue(wait_for(lambda: not os.path.exists(f"/proc/{worker}")), "it was not buried")
        self.shop.let_go.set()
        code, out, err = self.ended(process)
        self.assertEqual(code, 107, err)
        self.assertEqual(out.count(b"goods"), 3)
        self.assertIn(b"died", err)
        self.assertIn(b"paycurl payments resume", err)
        self.assertEqual(self.statuses(), ["settled"] * 3 + ["unknown"])
        self.finish_with_resume(4)

    def test_a_killed_parent_leaves_nothing_that_resume_does_not_finish(self):
        process = self.held(4)
        workers = self.workers_of(process)
        process.kill()
        self.ended(process)
        self.assertTrue(wait_for(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in workers)), "workers live on")
        self.finish_with_resume(4)

    def test_signals_reach_all_workers(self):
        for number, code in ((signal.SIGINT, (107, 130)), (signal.SIGTERM, (107, 143))):
            with self.subTest(number):
                self.setUp()
                process = self.held(3)
                workers = self.workers_of(process)
                process.send_signal(number)
                found, out, _ = self.ended(process)
                self.assertIn(found, code)
                self.assertEqual(out, b"")
                self.assertFalse(any(os.path.exists(f"/proc/{pid}") for pid in workers))
                self.finish_with_resume(3)

    def test_a_terminal_signals_the_whole_group(self):
        self.shop.let_go.clear()
        process = self.home.start("-Z", *[f"{self.shop.url}/{n}" for n in range(3)], start_new_session=True)
        self.assertTrue(wait_for(lambda: len(self.shop.paid) == 3))
        os.killpg(process.pid, signal.SIGINT)
        code, _, err = self.ended(process)
        self.assertEqual(code, 107, err)  # they had paid: each said so
        self.assertEqual(err.count(b"paycurl payments resume"), 3, err)
        self.finish_with_resume(3)

    def test_nobody_takes_the_output(self):
        reader, writer = os.pipe()
        os.close(reader)
        process = subprocess.Popen([PAYCURL, "-Z", "--parallel-max", "2", *[f"{self.shop.url}/{n}" for n in range(40)]],
                                   env=self.home.env, stdin=subprocess.DEVNULL, stdout=writer, stderr=subprocess.PIPE)
        os.close(writer)
        _, err = process.communicate(timeout=60)
        self.assertIn(process.returncode, (23, 108), err)
        self.assertLess(len(self.shop.paid), 10)


class Input(Case):
    def write(self, *lines):
        path = self.home.path / "requests"
        path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines))
        return path

    def test_urls_and_objects_in_a_file(self):
        path = self.write("# what to fetch", "", net.url + "/charge",
                          {"url": net.url + "/charge/digest", "json": {"q": 1}},
                          {"url": net.url + "/charge/digest", "method": "POST", "body": "@x", "output": str(self.home.path / "out")},
                          net.url + "/free")
        done, (payee,) = net.moved([PAYEE], lambda: self.run_ok("--input", path))
        self.assertEqual(payee, 30_000)
        self.assertIn(b'"echo":"{\\"q\\": 1}"', done.out)
        self.assertEqual(json.loads((self.home.path / "out").read_text())["echo"], "@x")

    def test_results_name_their_line(self):
        path = self.write("# none", net.url + "/charge", "", {"url": net.url + "/free"}, "http://127.0.0.1:1/")
        for options in ([], ["-Z"]):
            done = self.home.run("--input", path, "-j", *options)
            self.assertEqual(done.code, 7, done)
            found = {e["input"]: (e["response"] or {}).get("status") for e in self.lines(done)}
            self.assertEqual(found, {2: 200, 4: 200, 5: None})

    def test_a_bad_line_is_named_before_anything_is_paid(self):
        for bad in ('{"url":"%s/x","what":1}' % self.shop.url, '{"url":', "ftp://x/", "http://h/[1-9]", "x" * (1 << 20) + "y"):
            path = self.write(self.shop.url + "/a", "#", bad)
            for options in ([], ["-Z"]):
                done = self.home.run("--input", path, *options)
                self.assertIn(done.code, (2, 3), done.errors[:300])
                self.assertIn("line 3", done.errors)
        self.assertEqual(self.shop.paid, [])

    def test_standard_input_streams(self):
        process = subprocess.Popen([PAYCURL, "-Z", "-j", "--input", "-"], env=self.home.env, stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for n in range(3):  # each is answered before the next is written
            process.stdin.write(f"{self.shop.url}/{n}\n".encode())
            process.stdin.flush()
            envelope = json.loads(process.stdout.readline())
            self.assertEqual((envelope["input"], envelope["response"]["body"]), (n + 1, f"goods /{n}"))
        process.stdin.write(b"no url at all\n" + self.shop.url.encode() + b"/last")
        out, err = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 2, err)
        self.assertEqual(sorted(json.loads(line)["input"] for line in out.splitlines()), [4, 5])
        self.assertEqual(len(self.shop.paid), 4)

    def test_one_budget_and_one_session(self):
        path = self.write(*[f"{net.url}/session?i={n}" for n in range(10)])
        done = self.home.run("--input", path, "-Z", "--max-spend", "0.0065", "--max-deposit", "1", "-s")
        self.assertEqual(done.code, 102, done)
        (session,) = self.home.run("sessions", "list", "-j").json["sessions"]
        self.assertEqual(session["signed"]["base"], "6000")

    def test_each_line_has_its_own_key(self):
        line = {"url": self.shop.url + "/a", "once": "k1"}
        path = self.write(line, line, {**line, "once": "k2"})
        self.assertEqual(self.run_ok("-s", "--input", path).out, b"goods /a" * 3)
        self.assertEqual(sorted(self.shop.keys), ["k1", "k2"])
        self.assertEqual(self.run_ok("-s", "--input", path, "-Z").out, b"goods /a" * 3)
        self.assertEqual(len(self.shop.paid), 2)

    def test_workers_with_one_key(self):
        """Who paid is waiting for more work while the others print what came."""
        line = {"url": self.shop.url + "/a", "once": "k"}
        done = self.home.run("-s", "--input", self.write(*[line] * 8), "-Z", timeout=120)
        self.assertEqual((done.code, done.out, len(self.shop.paid)), (0, b"goods /a" * 8, 1), done)


class Once(Case):
    def test_a_repeat_prints_and_never_pays(self):
        url = self.shop.url + "/a"
        self.assertEqual(self.run_ok("--once", "order-1", url).out, b"goods /a")
        self.assertEqual(self.shop.keys, ["order-1"])
        seen = len(self.shop.server.requests)
        done = self.home.run("--once", "order-1", url)
        self.assertEqual((done.code, done.out), (0, b"goods /a"), done)
        self.assertIn("is printed again", done.errors)
        self.assertEqual(len(self.shop.server.requests), seen)  # nothing was asked
        envelope = self.home.run("-s", "-j", "--once", "order-1", url).json
        self.assertEqual((envelope["response"]["status"], envelope["response"]["body"]), (200, "goods /a"))
        self.assertEqual((envelope["payment"]["once"], envelope["total"]), ("order-1", []))
        self.assertEqual(len(self.payments()), 1)
        self.run_ok("--once", "order-2", url)
        self.assertEqual(len(self.shop.paid), 2)

    def test_eight_at_the_same_moment(self):
        for url, pays in ((self.shop.url + "/a", lambda: len(self.shop.paid)),
                          (net.url + "/charge", lambda: len(self.payments()))):
            self.setUp() if url.startswith(net.url) else None
            running = [self.home.start("-s", "--once", "race", "--lock-timeout", "300", url) for _ in range(8)]
            ended = [process.communicate(timeout=300) + (process.returncode,) for process in running]
            self.assertEqual(pays(), 1, ended)
            for out, err, code in ended:
                self.assertEqual((code, out), (0, ended[0][0]), ended)
            self.assertEqual(self.statuses(), ["settled"])

    def test_a_loser_that_may_not_wait(self):
        self.shop.let_go.clear()
        first = self.home.start("--once", "k", self.shop.url + "/a")
        self.assertTrue(wait_for(lambda: self.shop.paid))
        done = self.home.run("--once", "k", "--lock-timeout", "0", self.shop.url + "/a")
        self.assertEqual(done.code, 107, done)
        self.assertIn("another process is at payment", done.errors)
        self.assertIn("paycurl payments show", done.errors)
        self.shop.let_go.set()
        self.assertEqual(first.communicate(timeout=30)[0], b"goods /a")

    def test_killed_then_finished_with_the_same_bytes(self):
        for options in ([], ["-H", "Authorization: Bearer x", "-u", "a:b"][:2]):
            with self.subTest(options):
                self.setUp()
                self.shop.let_go.clear()
                first = self.home.start("--once", "k", *options, self.shop.url + "/a")
                self.assertTrue(wait_for(lambda: self.shop.paid))
                first.kill()
                first.communicate()
                self.shop.let_go.set()
                done = self.home.run("-s", "--once", "k", *options, self.shop.url + "/a")
                self.assertEqual((done.code, done.out), (0, b"goods /a"), done)
                self.assertEqual(len(self.shop.paid), 1)
                self.assertEqual(self.statuses(), ["settled"])

    def test_a_refusal_does_not_free_the_key(self):
        """The server can still broadcast what it refused."""
        self.shop.refuses = True
        done = self.home.run("--once", "k", self.shop.url + "/a")
        self.assertEqual((done.code, self.statuses()), (107, ["unknown"]), done)
        done = self.home.run("--once", "k", "--lock-timeout", "0", self.shop.url + "/a")
        self.assertEqual((done.code, len(self.shop.paid), len(self.payments())), (107, 1, 1), done)

    def test_a_key_takes_what_it_finishes(self):
        self.shop.lose = 2  # the second of the same bytes, too
        self.assertEqual(self.home.run(self.shop.url + "/a").code, 107)
        self.assertEqual(self.home.run("--once", "k", self.shop.url + "/a").out, b"goods /a")
        self.assertEqual(self.run_ok("-s", "--once", "k", self.shop.url + "/a").out, b"goods /a")
        self.assertEqual((len(self.shop.paid), self.statuses()), (1, ["settled"]))

    def test_a_form_is_the_same_when_it_is_sent_again(self):
        self.shop.lose = 2
        file = self.home.path / "file"
        file.write_text("content")
        form = ("-F", "a=b", "-F", f"file=@{file}", self.shop.url + "/a")
        self.assertEqual(self.home.run(*form).code, 107)
        self.assertEqual(self.home.run(*form).out, b"goods /a")
        self.assertEqual((len(self.shop.paid), self.statuses()), (1, ["settled"]))

    def test_body_is_gone(self):
        self.run_ok("--once", "k", self.shop.url + "/a")
        for body in (self.home.state / "bodies").iterdir():
            body.unlink()
        done = self.home.run("--once", "k", self.shop.url + "/a")
        self.assertEqual((done.code, done.out), (108, b""), done)
        self.assertIn("paycurl payments show", done.errors)
        self.assertEqual(len(self.shop.paid), 1)

    def test_a_payment_that_was_not_sent_frees_the_key(self):
        self.assertEqual(self.home.run("--once", "k", "--max-spend", "0.001", self.shop.url + "/a").code, 102)
        self.run_ok("--once", "k", self.shop.url + "/a")

    def test_a_free_answer_uses_no_key(self):
        for _ in range(2):
            self.assertEqual(self.run_ok("--once", "k", self.shop.url + "/free").out, b"free")
        self.run_ok("--once", "k", self.shop.url + "/a")

    def test_a_session_is_paid_once_too(self):
        for _ in range(3):
            done = self.home.run("-s", "--once", "k", net.url + "/session")
            self.assertEqual((done.code, done.out), (0, b'{"ok":true,"unit":1}'), done)
        (session,) = self.home.run("sessions", "list", "-j").json["sessions"]
        self.assertEqual(session["signed"]["base"], "1000")


class Journal(Case):
    def forgetful(self, request, connection):
        """The real server behind a connection that loses the answer to a payment twice."""
        onward = urllib.request.Request(net.url + request.path, headers={
            name: value for name, value in request.headers.items() if name in ("authorization", "accept-payment")})
        try:
            with urllib.request.urlopen(onward, timeout=30) as got:
                status, headers, body = got.status, got.headers, got.read()
        except urllib.error.HTTPError as error:
            status, headers, body = error.code, error.headers, error.read()
        if request.credential and self.shop.lose:
            self.shop.lose -= 1
            raise Close
        kept = [f"{name}: {value}" for name, value in headers.items() if name.lower() in ("www-authenticate", "payment-receipt")]
        return answer(status, body, kept)

    def test_a_crashed_paid_call_is_finished_without_a_second_payment(self):
        self.shop.server.handler, self.shop.lose = self.forgetful, 2
        done, (payee,) = net.moved([PAYEE], lambda: self.home.run(self.shop.url + "/charge"))
        self.assertEqual((done.code, payee), (107, 10_000), done)
        (payment,) = self.payments()
        self.assertEqual(payment["paymentStatus"], "unknown")
        resume = lambda: self.home.run("payments", "resume", payment["id"][:20], "-o", self.home.path / "body")
        done, (payee,) = net.moved([PAYEE], resume)
        # The server knows the transaction: it says so, or serves it again. It is not paid a second time.
        self.assertIn(done.code, (0, 108), done)
        self.assertEqual(payee, 0)
        self.assertEqual(self.statuses(), ["settled"])

    def test_what_a_server_serves_again_is_written(self):
        self.shop.lose = 2
        self.assertEqual(self.home.run(self.shop.url + "/a").code, 107)
        done = self.home.run("payments", "resume", "last", "-o", self.home.path / "body")
        self.assertEqual((done.code, (self.home.path / "body").read_text()), (0, "goods /a"), done)
        self.assertEqual(len(self.shop.paid), 1)

    def test_several_are_resumed_by_name(self):
        self.shop.lose = 6
        for n in range(3):
            self.assertEqual(self.home.run(f"{self.shop.url}/{n}").code, 107)
        ids = [payment["id"] for payment in self.payments()]
        results = self.home.run("payments", "resume", ids[0], ids[2], ids[0], "-j").json["results"]
        self.assertEqual([(r["id"], r["after"]) for r in results], [(ids[0], "settled"), (ids[2], "settled")])
        results = self.home.run("payments", "resume", "all", "-j").json["results"]
        self.assertEqual([r["id"] for r in results], [ids[1]])
        self.assertEqual(self.home.run("payments", "resume", "nonsense").code, 2)

    def test_one_file_takes_one_body(self):
        self.shop.lose = 4
        for n in range(2):
            self.assertEqual(self.home.run(f"{self.shop.url}/{n}").code, 107)
        file = self.home.path / "x"
        refused = self.home.run("payments", "resume", "-o", file)
        self.assertEqual((refused.code, file.exists()), (2, False), refused)
        self.assertEqual(self.home.run("payments", "resume", "last").out, b"goods /1")
        self.assertEqual((self.home.run("payments", "resume", "-o", file).code, file.read_text()), (0, "goods /0"))

    def test_totals(self):
        self.run_ok(net.url + "/charge")
        self.run_ok(net.url + "/charge/path")
        self.run_ok(self.shop.url + "/a", self.shop.url + "/b")
        host = net.url.removeprefix("http://")
        shop = self.shop.url.removeprefix("http://")
        for by, expected in (("host", {(host, "AlphaUSD", "0.01", 1), (host, "pathUSD", "0.01", 1), (shop, "AlphaUSD", "0.02", 2)}),
                             ("token", {("0x20c0000000000000000000000000000000000001", "AlphaUSD", "0.03", 3),
                                        ("0x20c0000000000000000000000000000000000000", "pathUSD", "0.01", 1)})):
            answered = self.home.run("payments", "list", "--totals", by, "-j").json
            groups = {(g["key"], g["symbol"], g["paid"], g["count"]) for g in answered["groups"]}
            self.assertEqual(groups, expected)
            self.assertEqual({g["by"] for g in answered["groups"]}, {by})
            self.assertEqual({(t["symbol"], t["paid"]) for t in answered["totals"]}, {("AlphaUSD", "0.03"), ("pathUSD", "0.01")})
            rows = list(csv.DictReader(io.StringIO(self.home.run("payments", "export", "--totals", by).text)))
            self.assertEqual({(r[by], r["currency"], r["paid"], int(r["count"])) for r in rows}, expected)
        day = self.payments()[0]["time"][:10]
        self.assertEqual({g["key"] for g in self.home.run("payments", "list", "--totals", "day", "-j").json["groups"]}, {day})
        answered = self.home.run("payments", "list", "--totals", "host", "--host", "127.0.0.1", "--limit", "2", "-j").json
        self.assertEqual([t["count"] for t in answered["totals"]], [2])
        self.assertEqual(self.home.run("payments", "list", "--host", "127.0.0._", "-j").json["payments"], [])


if __name__ == "__main__":
    unittest.main()
