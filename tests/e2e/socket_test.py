"""WebSockets that are paid for: the real server on the local chain, and one that steals."""

import base64
import hashlib
import json
import signal
import struct
import time
import unittest

from hostile import Close
from lab import PAYER_KEY, Devnet, Home, check_canary
from thief import Thief

WORDS = [f"word{n}" for n in range(1, 51)]
PAYEE_WS = "0x23618e81E3f5cdF7f54C3d65f7FBc0aBf5B21E8f"
STEP = 10_000
net = None


def setUpModule():
    global net
    net = Devnet()


def tearDownModule():
    check_canary(PAYER_KEY)
    net.stop()


class Sockets(unittest.TestCase):
    def setUp(self):
        self.home = Home(rpc=net.rpc_url)
        self.url = net.url.replace("http://", "ws://") + "/session/ws"

    def session(self, which="last"):
        return self.home.run("sessions", "show", "-j", which).json["session"]

    def test_the_whole_stream_and_the_channel_is_closed_on_the_chain(self):
        done, (payee,) = net.moved([PAYEE_WS], lambda: self.home.run("--network", "42431", self.url))
        self.assertEqual(done.code, 0, done)
        self.assertEqual(done.text.splitlines(), WORDS)
        self.assertEqual(done.err, b"")
        self.assertEqual(payee, 50_000)
        session = self.session()
        self.assertEqual((session["status"], session["spent"]["base"]), ("closed", "50000"))
        (payment,) = self.home.payments()
        self.assertEqual(payment["paymentStatus"], "settled")

    def test_as_text_and_as_json(self):
        self.assertEqual(self.home.run("--text", self.url).text, "".join(WORDS))
        lines = self.home.run("--sse-json", self.url).text.splitlines()
        self.assertEqual([json.loads(line)["data"] for line in lines], WORDS)

    def test_a_deposit_that_is_too_small_is_filled_over_http(self):
        done = self.home.run("--deposit", "0.02", self.url)
        self.assertEqual((done.code, done.text.splitlines()), (0, WORDS), done)

    def test_a_limit_ends_it_and_the_channel_is_closed(self):
        done = self.home.run("--max-spend", "0.012", self.url)
        self.assertEqual(done.code, 108, done)
        self.assertIn("--max-spend", done.errors)
        self.assertEqual(done.text.splitlines(), WORDS[:12])
        self.assertEqual((self.session()["status"], self.session()["spent"]["base"]), ("closed", "12000"))

    def test_ctrl_c_settles(self):
        process = self.home.start(self.url.replace("/session/ws", "/session/ws-slow"))
        for _ in range(5):
            process.stdout.readline()
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=30)
        self.assertEqual(process.returncode, 130, errors)
        session = self.session()
        self.assertEqual(session["status"], "closed", errors)
        self.assertGreaterEqual(int(session["spent"]["base"]), 5_000)
        self.assertLess(int(session["spent"]["base"]), 50_000)

    def test_a_reader_that_leaves_settles(self):
        process = self.home.start(self.url.replace("/session/ws", "/session/ws-slow"))
        process.stdout.readline()
        process.stdout.close()
        self.assertEqual(process.wait(30), 108)
        self.assertEqual(self.session()["status"], "closed")
        process.stderr.close()

    def test_what_a_socket_does_not_take(self):
        self.assertEqual(self.home.run("-d", "x", self.url).code, 2)
        self.assertEqual(self.home.run("--no-session", self.url).code, 101)
        self.assertEqual(self.home.run("--inspect", "-j", self.url).json["offers"][0]["intent"], "session")

    def test_http_where_a_socket_was_expected(self):
        done = self.home.run(net.url.replace("http://", "ws://") + "/session")
        self.assertNotEqual(done.code, 0)
        self.assertEqual(self.home.payments()[0]["paymentStatus"], "not_sent")


class SocketThief(Thief):
    """The same server with a WebSocket for every upgrade; `on_socket(socket)` is what it does there."""

    def reset(self, on_socket=None, **more):
        super().reset(**more)
        self.on_socket, self.closes = on_socket, []

    def handle(self, request, connection):
        if request.headers.get("upgrade", "").lower() != "websocket":
            return super().handle(request, connection)
        key = request.headers["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
        connection.sendall(("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                            f"Sec-WebSocket-Accept: {accept}\r\n\r\n").encode())
        try:
            self.on_socket(Socket(self, connection))
        except (OSError, EOFError):
            pass
        raise Close


class Socket:
    def __init__(self, thief, connection):
        self.thief, self.connection = thief, connection
        connection.settimeout(5)

    def send(self, value):
        data = (value if isinstance(value, str) else json.dumps(value)).encode()
        size = bytes([len(data)]) if len(data) < 126 else b"\x7e" + struct.pack(">H", len(data))
        if len(data) > 0xffff:
            size = b"\x7f" + struct.pack(">Q", len(data))
        self.connection.sendall(b"\x81" + size + data)

    def read(self, count):
        data = b""
        while len(data) < count:
            piece = self.connection.recv(count - len(data))
            if not piece:
                raise EOFError
            data += piece
        return data

    def receive(self):
        """The next message; its voucher, if it is one, is the thief's."""
        head = self.read(2)
        size = head[1] & 0x7f
        if size == 126:
            size = struct.unpack(">H", self.read(2))[0]
        mask, data = self.read(4), b""
        data = bytes(byte ^ mask[i % 4] for i, byte in enumerate(self.read(size)))
        if head[0] & 0x0f == 8:
            raise EOFError
        message = json.loads(data)
        if message["mpp"] == "authorization":
            text = message["authorization"].removeprefix("Payment ")
            payload = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))["payload"]
            with self.thief.changed:
                self.thief.channel = payload["channelId"]
                amount = int(payload.get("cumulativeAmount", 0))
                if payload["action"] == "close":
                    self.thief.closes.append(amount)
                self.thief.vouchers[self.thief.channel] = max(self.thief.highest, amount)
        return message

    def begin(self):
        self.receive()
        self.send({"mpp": "payment-receipt", "data": self.thief.receipt()})

    def say(self, text="x"):
        self.thief.value += self.thief.amount
        self.send({"mpp": "message", "data": text})

    def need(self, required):
        self.send({"mpp": "payment-need-voucher", "data": {
            "channelId": self.thief.channel, "requiredCumulative": str(required),
            "acceptedCumulative": str(self.thief.highest), "deposit": "1000000"}})

    def ready(self, spent=None):
        value = self.thief.receipt(**({} if spent is None else {"spent": str(spent)}))
        self.send({"mpp": "payment-close-ready", "data": value})


class Thieves(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.thief = SocketThief()

    def visit(self, talk, *options, **terms):
        self.thief.reset(on_socket=talk, **terms)
        home = Home(rpc=self.thief.url + "/rpc")
        done = home.run("-m", "8", *options, self.thief.url.replace("http://", "ws://") + "/x")
        self.assertLessEqual(self.thief.loss, STEP + self.thief.amount, done)
        return done

    def test_the_whole_deposit_is_asked_for(self):
        def talk(socket):
            socket.begin()
            socket.say()
            socket.need(1_000_000)
            while socket.receive()["mpp"] != "payment-close-request":
                pass
            socket.ready()
            socket.receive()
        done = self.visit(talk)
        self.assertEqual(done.code, 108, done)
        self.assertIn("more than it has delivered", done.errors)

    def test_vouchers_without_data(self):
        def talk(socket):
            socket.begin()
            for _ in range(50):
                socket.need(self.thief.highest + 1_000)
                socket.receive()
        done = self.visit(talk)
        self.assertEqual(done.code, 108, done)

    def test_a_close_for_more_than_was_signed(self):
        def talk(socket):
            socket.begin()
            socket.say()
            socket.ready(spent=900_000)
            socket.receive()
        self.visit(talk)
        self.assertTrue(all(amount <= 1_000 for amount in self.thief.closes), self.thief.closes)

    def test_refused(self):
        def talk(socket):
            socket.receive()
            socket.send({"mpp": "payment-error", "status": 402, "message": "no \u001b[2J such thing"})
            time.sleep(0.2)
        done = self.visit(talk)
        self.assertIn(done.code, (100, 103), done)
        self.assertNotIn(b"\x1b", done.err)

    def test_broken_off(self):
        def talk(socket):
            socket.begin()
            socket.say("one")
        done = self.visit(talk)
        self.assertEqual((done.code, done.text), (108, "one\n"), done)

    def test_other_messages_are_data(self):
        def talk(socket):
            socket.begin()
            for text in ('{"foo":1}', "not json", '{"mpp":"unknown"}', '{"mpp":"message"}'):
                socket.send(text)
            socket.ready()
            socket.receive()
            socket.send({"mpp": "payment-receipt", "data": self.thief.receipt(txHash="0x" + "11" * 32)})
        done = self.visit(talk)
        self.assertEqual(done.text.splitlines(), ['{"foo":1}', "not json", '{"mpp":"unknown"}', '{"mpp":"message"}'])
        self.assertEqual(done.code, 0, done)

    def test_too_long_and_garbage(self):
        def long(socket):
            socket.begin()
            socket.send("x" * ((1 << 20) + 1))
            time.sleep(0.5)
        def garbage(socket):
            socket.begin()
            socket.connection.sendall(b"\xff\xff\xff\xff" * 10)
            time.sleep(0.5)
        for talk in (long, garbage):
            self.assertEqual(self.visit(talk).code, 108)

    def test_silence(self):
        def talk(socket):
            socket.begin()
            time.sleep(20)
        done = self.visit(talk, "-m", "4")
        self.assertEqual(done.code, 108, done)


if __name__ == "__main__":
    unittest.main()
