"""How servers are reached: certificates, proxies, sockets, names, users; beside curl, which must be seen doing the same.

Every server keeps the heads that it was sent. Where curl has an opinion both tools run, and what arrived, what came
out and the exit status are compared.
"""

import base64
import hashlib
import os
import pathlib
import re
import select
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import unittest

from hostile import challenge
from lab import ALL_OUTPUT, PAYER_KEY, Home, check_canary, wait_for

SECRET = "TOPSECRET"
folder = None


def setUpModule():
    global folder
    folder = pathlib.Path(tempfile.mkdtemp(prefix="paycurl-connection-"))
    openssl("req", "-x509", *EC, "-subj", "/CN=ca", "-days", "2", "-keyout", "ca.key", "-out", "ca.pem")
    for name, subject, extension in (("server", "/CN=localhost", "subjectAltName=DNS:localhost,DNS:other.example"),
                                     ("client", "/CN=alice", "extendedKeyUsage=clientAuth")):
        openssl("req", *EC, "-subj", subject, "-keyout", f"{name}.key", "-out", f"{name}.csr")
        (folder / "extensions").write_text(extension)
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
                "-extfile", "extensions", "-out", f"{name}.pem")
    openssl("ec", "-aes128", "-passout", "pass:" + SECRET, "-in", "client.key", "-out", "locked.key")
    openssl("x509", "-in", "client.pem", "-outform", "DER", "-out", "client.der")
    openssl("ec", "-in", "client.key", "-outform", "DER", "-out", "client.key.der")
    openssl("pkcs12", "-export", "-in", "client.pem", "-inkey", "client.key", "-passout", "pass:" + SECRET, "-out",
            "client.p12")
    openssl("x509", "-in", "server.pem", "-pubkey", "-noout", "-out", "server.pub")
    openssl("pkey", "-pubin", "-in", "server.pub", "-outform", "DER", "-out", "server.pub.der")
    both = (folder / "client.pem").read_text() + (folder / "locked.key").read_text()
    (folder / "both.pem").write_text(both)
    (folder / "col:on.pem").write_text(both)


def tearDownModule():
    shutil.rmtree(folder)
    check_canary(PAYER_KEY)
    assert SECRET.encode() not in b"".join(ALL_OUTPUT), "a password was printed"


EC = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def openssl(*arguments):
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


def reply(status=200, body=b"ok", **fields):
    lines = [f"HTTP/1.1 {status} X"] + [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
    return "\r\n".join(lines + [f"Content-Length: {len(body)}", "", ""]).encode() + body


class Seen:
    """A request that arrived."""

    def __init__(self, head, body):
        self.head, self.body = head.decode("latin1"), body
        self.line = self.head.split("\r\n")[0]
        self.method, self.target = self.line.split(" ")[:2]

    def field(self, name):
        found = re.search(rf"(?im)^{name}: (.*?)\r?$", self.head)
        return found and found[1]

    @property
    def alike(self):
        """Without what is ours alone, the fields' order, or chance."""
        head = re.sub(r'cnonce="[^"]*"|response="[^"]*"', "", self.head)
        lines = re.sub(r"(?im)^(user-agent|accept-payment): .*\r?\n?", "", head + "\r\n").strip().split("\r\n")
        return lines[:1] + sorted(lines[1:]), self.body


class Server:
    """Answers with what `answer` makes of a request: bytes; nothing closes the connection."""

    def __init__(self, answer=lambda seen: reply(), family=socket.AF_INET, address=("127.0.0.1", 0), tls=None):
        self.answer, self.tls = answer, tls
        self.seen, self.peers, self.handshakes = [], [], []
        self.socket = socket.create_server(address, family=family)
        if family != socket.AF_UNIX:
            self.port = self.socket.getsockname()[1]
            self.url = f"{'https://localhost' if tls else 'http://127.0.0.1'}:{self.port}"
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while True:
            try:
                connection, peer = self.socket.accept()
            except OSError:
                return
            self.peers.append(peer)
            threading.Thread(target=self.begin, args=(connection,), daemon=True).start()

    def begin(self, connection):
        try:
            if self.tls:
                connection = self.tls.wrap_socket(connection, server_side=True)
                self.handshakes.append((connection.version(), connection.cipher()[0], connection.getpeercert()))
            with connection:
                self.talk(connection)
        except OSError:
            pass

    def talk(self, connection):
        data = b""
        while True:
            while b"\r\n\r\n" not in data:
                more = connection.recv(65536)
                if not more:
                    return
                data += more
            head, data = data.split(b"\r\n\r\n", 1)
            length = re.search(rb"(?i)content-length: (\d+)", head)
            while len(data) < (int(length[1]) if length else 0):
                data += connection.recv(65536)
            size = int(length[1]) if length else 0
            seen = Seen(head, data[:size])
            data = data[size:]
            self.seen.append(seen)
            answer = self.answer(seen)
            if answer is None:
                return
            if callable(answer):
                return answer(connection)
            connection.sendall(answer)
            if b"\r\nConnection: close\r\n" in answer:
                return

    def stop(self):
        self.socket.shutdown(socket.SHUT_RDWR)  # ends accept; close alone would leave its number to another
        self.thread.join()
        self.socket.close()


def carry(source, target):
    """Copies until one side ends."""
    other = {source: target, target: source}
    while True:
        for ready in select.select([source, target], [], [])[0]:
            data = ready.recv(65536)
            if not data:
                return
            other[ready].sendall(data)


class HttpProxy(Server):
    """Forwards everything to one server, whatever it is asked for."""

    def __init__(self, target, tls=None):
        self.target = target
        super().__init__(self.forward, tls=tls)

    def forward(self, seen):
        if seen.method == "CONNECT":
            return self.tunnel
        with socket.create_connection(("127.0.0.1", self.target)) as server:
            server.sendall((seen.head + "\r\nConnection: close\r\n\r\n").encode() + seen.body)
            return server.recv(65536)

    def tunnel(self, connection):
        with socket.create_connection(("127.0.0.1", self.target)) as server:
            connection.sendall(b"HTTP/1.1 200 Tunnel\r\n\r\n")
            carry(connection, server)


class Socks(Server):
    """SOCKS5 without authentication; `asked` is what it was to connect to."""

    def __init__(self, target):
        self.target, self.asked = target, []
        super().__init__()

    def talk(self, connection):
        connection.recv(257)
        connection.sendall(b"\x05\x00")
        kind = connection.recv(4)[3]
        size = connection.recv(1)[0] if kind == 3 else 4
        host = connection.recv(size)
        connection.recv(2)
        self.asked.append(host.decode() if kind == 3 else socket.inet_ntoa(host))
        with socket.create_connection(("127.0.0.1", self.target)) as server:
            connection.sendall(b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x00")
            carry(connection, server)


class Case(unittest.TestCase):
    def setUp(self):
        self.home = Home(rpc="http://127.0.0.1:1")

    def server(self, *args, kind=Server, **options):
        server = kind(*args, **options)
        self.addCleanup(server.stop)
        return server

    def tls_server(self, asks_client=False, answer=lambda seen: reply(), newest=None, kind=Server):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "server.pem", folder / "server.key")
        if newest:
            context.maximum_version = newest
        if asks_client:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(folder / "ca.pem")
        return self.server(answer, tls=context)

    def curl(self, *args):
        env = {name: value for name, value in self.home.env.items() if not name.startswith("PAYCURL")}
        done = subprocess.run(["curl", "-q", "-sS", *map(str, args)], env=env, capture_output=True, timeout=60, cwd=folder)
        return done.returncode, done.stdout

    def paycurl(self, *args, **options):
        return self.home.run(*args, cwd=folder, **options)

    def alike(self, server, *args, code=0):
        """Both tools did the same; what paycurl's requests looked like."""
        server.seen.clear()
        status, out = self.curl(*args)
        theirs = [seen.alike for seen in server.seen]
        server.seen.clear()
        done = self.paycurl(*args)
        self.assertEqual((done.code, done.out), (status, out), done)
        self.assertEqual([seen.alike for seen in server.seen], theirs)
        self.assertEqual(done.code, code, done)
        return list(server.seen)


class Tls(Case):
    def test_client_certificate(self):
        server = self.tls_server(asks_client=True)
        trust = ("--cacert", "ca.pem", server.url)
        for options in (("--cert", "client.pem", "--key", "client.key"),
                        ("-E", f"client.pem:{SECRET}", "--key", "locked.key"),
                        ("--cert", "client.pem", "--key", "locked.key", "--pass", SECRET),
                        ("-E", f"both.pem:{SECRET}"),
                        ("-E", f"col\\:on.pem:{SECRET}"),
                        ("--cert", "client.der", "--cert-type", "DER", "--key", "client.key.der", "--key-type", "DER"),
                        ("--cert", f"client.p12:{SECRET}", "--cert-type", "P12")):
            server.handshakes.clear()
            self.alike(server, *options, *trust)
            self.assertEqual([hands[2]["subject"] for hands in server.handshakes], [((("commonName", "alice"),),)] * 2)

    def test_client_certificate_that_is_none(self):
        server = self.tls_server(asks_client=True)
        trust = ("--cacert", "ca.pem", server.url)
        for options in (("-E", "none.pem"), ("-E", "client.pem:WRONG", "--key", "locked.key"), ("-E", "ca.key"),
                        ("-E", "client.pem", "--key", "ca.key"), ("-E", "client.pem", "--cert-type", "X")):
            self.alike(server, *options, *trust, code=58)
        done = self.paycurl("-E", f"client.pem:{SECRET}x", "--key", "locked.key", "-v", *trust)
        self.assertEqual(done.code, 58)
        self.assertIn("--pass", done.errors)
        # Without a password curl would ask the terminal.
        self.assertEqual(self.paycurl("-E", "both.pem", *trust).code, 58)
        self.assertIn(self.paycurl(*trust).code, (55, 56))  # whether it is still writing when it is told

    def test_key_alone(self):
        done = self.paycurl("--key", "client.key", "https://localhost:1")
        self.assertEqual(done.code, 2)
        self.assertIn("--key-file", done.errors)
        done = self.paycurl("--key", PAYER_KEY, "-E", "client.pem", "https://localhost:1")
        self.assertEqual(done.code, 2)

    def test_pinned_key(self):
        server = self.tls_server()
        pin = base64.b64encode(hashlib.sha256((folder / "server.pub.der").read_bytes()).digest()).decode()
        for good in ("server.pub", "server.pub.der", "sha256//" + pin, f"sha256//{'A' * 43}=;sha256//{pin}"):
            self.alike(server, "--cacert", "ca.pem", "--pinnedpubkey", good, server.url)
        for bad in ("ca.key", "none", f"sha256//{'A' * 43}="):
            seen = self.alike(server, "--cacert", "ca.pem", "--pinnedpubkey", bad, server.url, code=90)
            self.assertEqual(seen, [])

    def test_versions(self):
        old, new = self.tls_server(newest=ssl.TLSVersion.TLSv1_2), self.tls_server()
        for server, options, version in ((new, (), "TLSv1.3"), (new, ("--tls-max", "1.2"), "TLSv1.2"),
                                         (new, ("--tlsv1.3",), "TLSv1.3"), (old, ("--tlsv1.2",), "TLSv1.2"),
                                         (new, ("-1",), "TLSv1.3"), (new, ("--tlsv1.2", "--tls-max", "1.2"), "TLSv1.2"),
                                         (new, ("--tls-max", "default"), "TLSv1.3")):
            server.handshakes.clear()
            self.alike(server, "--cacert", "ca.pem", *options, server.url)
            self.assertEqual([hands[0] for hands in server.handshakes], [version] * 2)
        self.alike(old, "--cacert", "ca.pem", "--tlsv1.3", old.url, code=35)
        self.assertEqual(self.paycurl("--tlsv1.3", "--tls-max", "1.2", new.url).code, 2)
        self.assertEqual(self.paycurl("--tls-max", "1.4", new.url).code, 2)

    def test_ciphers(self):
        server = self.tls_server()
        for options, cipher in ((("--tls-max", "1.2", "--ciphers", "ECDHE-ECDSA-AES128-GCM-SHA256"),
                                 "ECDHE-ECDSA-AES128-GCM-SHA256"),
                                (("--tls13-ciphers", "TLS_CHACHA20_POLY1305_SHA256"), "TLS_CHACHA20_POLY1305_SHA256")):
            server.handshakes.clear()
            self.alike(server, "--cacert", "ca.pem", *options, server.url)
            self.assertEqual([hands[1] for hands in server.handshakes], [cipher] * 2)
        for option in ("--ciphers", "--tls13-ciphers"):
            self.alike(server, "--cacert", "ca.pem", option, "NONSENSE", server.url, code=59)

    def test_websocket(self):
        """The settings hold for its connection too: it is refused before anything is sent."""
        server = self.tls_server()
        url = server.url.replace("https", "wss")
        self.assertEqual(self.paycurl("--cacert", "ca.pem", "--pinnedpubkey", "ca.key", url).code, 90)
        self.assertEqual(self.paycurl("--cacert", "ca.pem", "-E", "none.pem", url).code, 58)
        self.assertEqual(self.paycurl("--digest", "-u", "a:b", url).code, 2)
        self.assertEqual(server.seen, [])


class Proxies(Case):
    def setUp(self):
        super().setUp()
        self.origin = self.server()

    def test_http(self):
        proxy = self.server(self.origin.port, kind=HttpProxy)
        through = ("-x", f"127.0.0.1:{proxy.port}")
        url = "http://far.example/a"
        self.assertEqual(self.alike(proxy, *through, url)[0].target, url)
        seen, = self.alike(proxy, *through, "-U", f"me:{SECRET}", "--proxy-header", "X-Mine: 1", url)
        self.assertEqual(seen.field("proxy-authorization"), "Basic " + base64.b64encode(f"me:{SECRET}".encode()).decode())
        self.assertEqual(seen.field("x-mine"), "1")
        done = self.paycurl("-v", *through, "--proxy-user", f"me:{SECRET}", url)
        self.assertNotIn(base64.b64encode(f"me:{SECRET}".encode()).decode(), done.errors)
        self.assertEqual(self.paycurl(*through, "-U", "me", url).code, 105)  # nobody there to ask

    def test_tunnel(self):
        proxy = self.server(self.origin.port, kind=HttpProxy)
        through = ("--proxy", f"127.0.0.1:{proxy.port}", "-U", "me:pw", "--proxy-header", "X-Mine: 1")
        for option in ("-p", "--proxytunnel"):
            seen, = self.alike(proxy, *through, option, "http://far.example/a")
            self.assertEqual(seen.line, "CONNECT far.example:80 HTTP/1.1")
            self.assertEqual(seen.field("x-mine"), "1")
            self.assertIsNone(self.origin.seen[-1].field("x-mine"))
            self.assertIsNone(self.origin.seen[-1].field("proxy-authorization"))

    def test_https_proxy(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "server.pem", folder / "server.key")
        proxy = self.server(self.origin.port, kind=HttpProxy, tls=context)
        through = ("-x", f"https://localhost:{proxy.port}", "http://far.example/a")
        self.alike(proxy, *through, code=60)
        self.alike(proxy, "--proxy-cacert", "ca.pem", *through)
        self.alike(proxy, "--proxy-insecure", *through)

    def test_socks(self):
        proxy = self.server(self.origin.port, kind=Socks)
        place = f"127.0.0.1:{proxy.port}"
        self.alike(self.origin, "--socks5-hostname", place, "http://far.example/a")
        self.alike(self.origin, "--socks5", place, "--resolve", "far.example:80:192.0.2.77", "http://far.example/a")
        self.assertEqual(proxy.asked, ["far.example"] * 2 + ["192.0.2.77"] * 2)
        self.assertEqual(self.paycurl("--socks5", place, "-x", place, "http://far.example").code, 2)

    def test_no_proxy(self):
        for hosts in ("127.0.0.1", "*", "far.example,127.0.0.1"):
            self.alike(self.origin, "-x", "127.0.0.1:1", "--noproxy", hosts, self.origin.url)
        self.alike(self.origin, "-x", "127.0.0.1:1", "--noproxy", "far.example", self.origin.url, code=7)
        proxied = {"http_proxy": "http://127.0.0.1:1", "NO_PROXY": "127.0.0.1"}
        self.assertEqual(self.paycurl(self.origin.url, env=proxied).code, 0)
        self.assertEqual(self.paycurl("--noproxy", "", self.origin.url, env=proxied).code, 7)


class Ways(Case):
    def test_resolve(self):
        server = self.server()
        for host in ("far.example", "*"):
            self.alike(server, "--resolve", f"{host}:{server.port}:127.0.0.1", f"http://far.example:{server.port}/a")
        secure = self.tls_server()
        self.alike(secure, "--cacert", "ca.pem", "--resolve", f"other.example:{secure.port}:127.0.0.1",
                   f"https://other.example:{secure.port}")
        self.alike(server, "--resolve", "nonsense", server.url, code=49)
        # No option takes these names away from this machine.
        self.assertEqual(self.paycurl("--resolve", f"a.localhost:{server.port}:192.0.2.1",
                                      f"http://a.localhost:{server.port}").code, 0)

    def test_connect_to(self):
        server = self.server()
        for rule in (f"far.example:80:127.0.0.1:{server.port}", f"::127.0.0.1:{server.port}"):
            seen, = self.alike(server, "--connect-to", rule, "http://far.example/a")
            self.assertEqual(seen.field("host"), "far.example")

    def test_interface_and_version(self):
        server = self.server()
        for options in (("--interface", "127.0.0.1"), ("--interface", "lo"), ("-4",), ("--ipv4", "--no-tcp-nodelay"),
                        ("--no-keepalive",), ("--keepalive-time", "5"), ("--limit-rate", "100k")):
            self.alike(server, *options, server.url)
        self.alike(server, "--interface", "none0", server.url, code=45)
        for option in ("-6", "--ipv6"):
            self.assertNotEqual(self.paycurl(option, server.url).code, 0)
            self.assertNotEqual(self.curl(option, server.url)[0], 0)
        self.assertEqual(self.paycurl("--limit-rate", "fast", server.url).code, 2)

    def test_unix_socket(self):
        server = self.server(family=socket.AF_UNIX, address=str(folder / "socket"))
        seen, = self.alike(server, "--unix-socket", "socket", "-x", "127.0.0.1:1", "http://far.example/a")
        self.assertEqual(seen.field("host"), "far.example")
        self.alike(server, "--unix-socket", "none", "http://far.example/a", code=7)
        name = f"paycurl-{os.getpid()}"
        server = self.server(family=socket.AF_UNIX, address="\0" + name)
        self.alike(server, "--abstract-unix-socket", name, "http://far.example/a")


def seller(seen):
    """402 without a credential."""
    if "Payment " in (seen.field("authorization") or ""):
        return reply(200, b"goods")
    return reply(402, b"", WWW_Authenticate=challenge())


def credentials(server):
    return [seen.field("authorization") for seen in server.seen if "Payment " in (seen.field("authorization") or "")]


class Payments(Case):
    """A credential over plain http goes to this machine alone, whatever the options say of the way."""

    def refused(self, server, *args):
        done = self.paycurl(*args)
        self.assertEqual(done.code, 102, done)
        self.assertEqual(credentials(server), [])
        self.assertEqual(self.home.payments(), [])

    def test_unix_socket_is_here(self):
        server = self.server(seller, family=socket.AF_UNIX, address=str(folder / "shop"))
        for url in ("http://localhost/a", "http://far.example/a"):
            self.assertEqual(self.paycurl("--unix-socket", "shop", url).out, b"goods")
        # It is the socket that is asked, and not the proxy.
        done = self.paycurl("--unix-socket", "shop", "-x", "127.0.0.1:1", "http://localhost/b")
        self.assertEqual(done.out, b"goods", done)
        self.assertEqual(len(credentials(server)), 3)

    def test_elsewhere_is_not_here(self):
        address = next((a for a in subprocess.check_output(["hostname", "-I"], text=True).split() if ":" not in a), None)
        if address is None:
            self.skipTest("this machine has no other address")
        server = self.server(seller, address=("0.0.0.0", 0))
        port = server.port
        self.refused(server, "--resolve", f"localhost:{port}:{address}", f"http://localhost:{port}/a")
        self.refused(server, "--connect-to", f"::{address}:{port}", f"http://localhost:{port}/a")
        self.refused(server, "--resolve", f"far.example:{port}:127.0.0.1", f"http://far.example:{port}/a")
        self.assertEqual(self.paycurl(f"http://localhost:{port}/a").out, b"goods")

    def test_another_port_is_not_here(self):
        server = self.server(seller)
        self.refused(server, "--connect-to", f"::127.0.0.1:{server.port}", "http://localhost:1/a")
        proxy = self.server(server.port, kind=Socks)
        self.refused(server, "--socks5", f"127.0.0.1:{proxy.port}", server.url)

    def test_large_answer(self):
        server = self.server(seller)
        done = self.paycurl("--max-filesize", "3", server.url)
        self.assertEqual((done.code, done.out), (108, b""), done)
        payment, = self.home.payments()
        self.assertEqual(payment["paymentStatus"], "settled")
        self.assertEqual(self.paycurl("payments", "show", payment["id"], "--body").out, b"goods")


class Users(Case):
    def test_netrc(self):
        first = self.server(lambda seen: reply(302, b"", Location=f"http://localhost:{second.port}/b"))
        second = self.server()
        (folder / "netrc").write_text(f"machine 127.0.0.1 login one password {SECRET}1\n"
                                      f"machine localhost login two password {SECRET}2\n")
        shutil.copy(folder / "netrc", self.home.path / ".netrc")
        mine = "Basic " + base64.b64encode(f"one:{SECRET}1".encode()).decode()
        user = first.url.replace("//", "//three:pw@")
        for options, expected in ((("-n",), mine), (("--netrc-file", "netrc"), mine), (("--netrc-optional",), mine),
                                  (("-n", "-u", "me:pw"), "Basic bWU6cHc="), (("--netrc-file", "none"), None)):
            seen, = self.alike(first, *options, first.url)
            self.assertEqual(seen.field("authorization"), expected)
        self.paycurl("-n", user)  # curl 7.88 makes one of both
        self.assertEqual(first.seen[-1].field("authorization"), mine)
        self.assertEqual(self.alike(first, "--netrc-optional", user)[0].field("authorization"), "Basic dGhyZWU6cHc=")
        seen, = self.alike(second, "-n", "-L", first.url)
        self.assertEqual(seen.field("authorization"), "Basic " + base64.b64encode(f"two:{SECRET}2".encode()).decode())
        seen, = self.alike(second, "-L", "-u", "me:pw", first.url)
        self.assertIsNone(seen.field("authorization"))
        done = self.paycurl("-v", "-n", first.url)
        self.assertNotIn(mine, done.errors)

    def test_netrc_when_paying(self):
        server = self.server(seller)
        (self.home.path / ".netrc").write_text(f"machine 127.0.0.1 login one password {SECRET}1\n")
        self.assertEqual(self.paycurl("-n", server.url).out, b"goods")
        self.assertEqual([seen.field("authorization")[:6] for seen in server.seen], ["Basic ", "Paymen"])

    def digest_server(self, password=SECRET, **fields):
        def answer(seen):
            given = dict(re.findall(r'(\w+)="?([^",]*)"?', seen.field("authorization") or ""))
            md5 = lambda text: hashlib.md5(text.encode()).hexdigest()
            if given:
                one, two = md5(f"{given['username']}:r:{password}"), md5(f"{seen.method}:{seen.target}")
                right = md5(":".join((one, given["nonce"], given["nc"], given["cnonce"], "auth", two)))
                if given["response"] == right:
                    return reply(200, b"in:" + seen.body, **fields)
            return reply(401, b"who?", WWW_Authenticate='Digest realm="r", nonce="n1", qop="auth", algorithm=MD5')
        return self.server(answer)

    def test_digest(self):
        server = self.digest_server()
        for options in ((), ("-d", "body"), ("-X", "PUT", "-d", "body"), ("-I",)):
            seen = self.alike(server, "--digest", "-u", f"me:{SECRET}", *options, server.url + "/a")
            self.assertEqual([bool(one.field("authorization")) for one in seen], [False, True])
        seen = self.alike(server, "--digest", "-u", "me:wrong", server.url + "/a")
        self.assertEqual(len(seen), 2)
        self.alike(server, "-f", "--digest", "-u", "me:wrong", server.url + "/a", code=22)
        self.alike(server, "--digest", server.url + "/a")
        (folder / "netrc2").write_text(f"machine 127.0.0.1 login me password {SECRET}\n")
        self.alike(server, "--digest", "--netrc-file", "netrc2", server.url + "/a")
        done = self.paycurl("-v", "--digest", "-u", f"me:{SECRET}", server.url + "/a")
        self.assertEqual(done.out, b"in:")
        self.assertNotIn("response=", done.errors)
        done = self.paycurl("-i", "--digest", "-u", f"me:{SECRET}", server.url + "/a")
        self.assertEqual(re.findall(rb"HTTP/1.1 \d+", done.out), [b"HTTP/1.1 401", b"HTTP/1.1 200"])
        self.assertEqual(self.paycurl("--basic", "--digest", server.url).code, 2)

    def test_digest_stays_at_its_origin(self):
        other = self.digest_server()
        first = self.server(lambda seen: reply(307, b"", Location=other.url + "/b"))
        self.alike(other, "-L", "--digest", "-u", f"me:{SECRET}", first.url)
        self.assertEqual([seen.field("authorization") for seen in other.seen], [None])


class Asking(Case):
    def test_schemes(self):
        server = self.server(lambda seen: reply(302, b"", Location="/b") if seen.target == "/a" else reply())
        self.alike(server, "-L", "--proto", "=http,https", "--proto-redir", "=http", server.url + "/a")
        for options in (("--proto", "=https"), ("--proto", "-http"), ("--proto", "all,-all,+https"), ("--proto", "-all")):
            server.seen.clear()
            self.assertEqual(self.paycurl(*options, server.url + "/a").code, 2)
            self.assertEqual(self.curl(*options, server.url + "/a")[0], 1)
            self.assertEqual(server.seen, [])
        for options in (("--proto-redir", "=https"), ("--proto-redir", "-all")):
            server.seen.clear()
            self.assertEqual(self.paycurl("-L", *options, server.url + "/a").code, 2)
            self.assertEqual(self.curl("-L", *options, server.url + "/a")[0], 1)
            self.assertEqual([seen.target for seen in server.seen], ["/a"] * 2)

    def test_post_stays(self):
        status = 301
        server = self.server(lambda seen: reply(status, b"", Location="/b") if seen.target == "/a" else reply())
        for status in (301, 302, 303):
            for option in ("--post301", "--post302", "--post303"):
                seen = self.alike(server, "-L", "-d", "x=1", option, server.url + "/a")
                self.assertEqual(seen[1].method == "POST", option == f"--post{status}")

    def test_targets(self):
        server = self.server()
        self.assertEqual(self.alike(server, server.url + "/a/../b/./c")[0].target, "/b/c")
        self.assertEqual(self.alike(server, "--path-as-is", server.url + "/a/../b/./c?d")[0].target, "/a/../b/./c?d")
        self.paycurl("--path-as-is", "-G", "-d", "d", server.url + "/a/../b")  # curl forgets it with -G
        self.assertEqual(server.seen[-1].target, "/a/../b?d")
        self.assertEqual(self.alike(server, "-X", "OPTIONS", "--request-target", "*", server.url + "/a")[0].line,
                         "OPTIONS * HTTP/1.1")

    def test_size(self):
        server = self.server(lambda seen: reply(200, b"x" * 2000))
        self.alike(server, "--max-filesize", "2000", server.url)
        self.alike(server, "--max-filesize", "2k", server.url)
        self.alike(server, "--max-filesize", "1999", server.url, code=63)
        chunked = b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n5\r\nworld\r\n0\r\n\r\n"
        server.answer = lambda seen: chunked
        self.assertEqual(self.paycurl("--max-filesize", "9", server.url).code, 63)
        self.assertEqual(self.paycurl("--max-filesize", "10", server.url).out, b"helloworld")
        self.assertEqual(self.paycurl("--max-filesize", "x", server.url).code, 2)


class Retries(Case):
    QUICK = ("--retry-delay", "0.01")

    def script(self, *replies):
        """A server that answers in this order, and then ok."""
        left = list(replies)
        return self.server(lambda seen: left.pop(0) if left else reply())

    def test_statuses(self):
        for status in (408, 429, 500, 502, 503, 504):
            server = self.script(reply(status, b"no"))
            done = self.paycurl("--retry", "1", *self.QUICK, server.url)
            self.assertEqual((done.code, done.out, len(server.seen)), (0, b"ok", 2))
        for status in (200, 400, 403, 404, 501, 505):
            server = self.script(reply(status, b"that"))
            self.assertEqual(self.paycurl("--retry", "3", server.url).out, b"that")
            self.assertEqual(len(server.seen), 1)

    def test_as_curl(self):
        left = []
        server = self.server(lambda seen: left.pop() if left else reply())
        for options, out in ((("--retry", "1", "-d", "x"), None), (("--retry", "1", "-o", "file"), b"ok")):
            heads = []
            for tool in (self.curl, self.paycurl):
                left.append(reply(503, b"longer than the other"))
                server.seen.clear()
                tool("-f", *options, server.url)
                heads.append([seen.alike for seen in server.seen])
                if out:
                    self.assertEqual((folder / "file").read_bytes(), out)
            self.assertEqual(heads[0], heads[1])
            self.assertEqual(len(heads[0]), 2)

    def test_counts(self):
        server = self.script(*[reply(503, b"no")] * 9)
        done = self.paycurl("--retry", "3", *self.QUICK, "-w", "%{http_code}", server.url)
        self.assertEqual((done.code, done.out, len(server.seen)), (0, b"no503", 4))
        self.assertEqual(done.errors.count("asking again in 0.010 s"), 3)
        self.assertEqual(self.paycurl("-s", "--retry", "1", *self.QUICK, "-f", server.url).errors, "")

    def test_retry_after(self):
        server = self.script(reply(503, b"no", Retry_After="1"))
        done = self.paycurl("--retry", "1", *self.QUICK, server.url)
        self.assertIn("asking again in 1 s, 0 retries left", done.errors)
        for options, after in ((("--retry-max-time", "5"), "6"), ((), "3601"), ((), "9" * 30),
                               ((), "Fri, 31 Dec 9999 23:59:59 GMT")):
            server = self.script(reply(503, b"no", Retry_After=after))
            self.assertEqual(self.paycurl("--retry", "1", *options, server.url).out, b"no")
            self.assertEqual(len(server.seen), 1)
        server = self.script(reply(503, b"no", Retry_After="nonsense"))
        self.assertEqual(self.paycurl("--retry", "1", *self.QUICK, server.url).out, b"ok")

    def test_failures(self):
        server = self.script(None, None)
        self.assertEqual(self.paycurl("--retry", "3", *self.QUICK, server.url).code, 52)
        self.assertEqual(self.paycurl("--retry", "3", *self.QUICK, "--retry-all-errors", server.url).out, b"ok")
        server = self.script(reply(404, b"no"))
        self.assertEqual(self.paycurl("-f", "--retry", "3", *self.QUICK, "--retry-all-errors", server.url).out, b"ok")
        for options, count in (((), 0), (("--retry-connrefused",), 2), (("--retry-all-errors",), 2)):
            done = self.paycurl("--retry", "2", *self.QUICK, *options, "http://127.0.0.1:1")
            self.assertEqual((done.code, done.errors.count("asking again")), (7, count))
        done = self.paycurl("--retry", "1", *self.QUICK, "http://none.invalid")
        self.assertEqual((done.code, done.errors.count("asking again")), (6, 1))

    def test_what_was_printed_stays(self):
        cut = b"HTTP/1.1 200 X\r\nContent-Length: 9\r\nConnection: close\r\n\r\nhalf"
        all_errors = ("--retry", "3", *self.QUICK, "--retry-all-errors")
        server = self.script(cut)
        done = self.paycurl(*all_errors, server.url)
        self.assertEqual((done.code, done.out, len(server.seen)), (18, b"half", 1))
        server = self.script(cut)
        done = self.paycurl(*all_errors, "-o", "file", "-D", "heads", server.url)
        self.assertEqual((done.code, (folder / "file").read_bytes(), len(server.seen)), (0, b"ok", 2))
        self.assertEqual((folder / "heads").read_text().count("HTTP/1.1"), 1)
        server = self.script(cut)
        self.assertEqual(self.paycurl(*all_errors, "-j", server.url).json["response"]["body"], "ok")

    def test_redirects_begin_anew(self):
        server = self.script(reply(302, b"", Location="/b"), reply(503, b"no"), reply(302, b"", Location="/c"))
        done = self.paycurl("-L", "--retry", "1", *self.QUICK, "-w", "%{num_redirects}", server.url + "/a")
        self.assertEqual((done.out, [seen.target for seen in server.seen]), (b"ok1", ["/a", "/b", "/a", "/c"]))

    def test_signal(self):
        server = self.script(reply(503, b"no"))
        process = self.home.start("--retry", "1", "--retry-delay", "600", server.url)
        self.assertTrue(wait_for(lambda: server.seen))
        self.assertIn(b"asking again", process.stderr.readline())
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
        self.assertEqual(process.returncode, 130)

    def shop(self, *behind, front=()):
        """Asks for payment, answers paid requests with `behind`; `front` comes before all."""
        before, after = list(front), list(behind)

        def answer(seen):
            if "Payment " in (seen.field("authorization") or ""):
                return after.pop(0) if after else reply(200, b"goods")
            return before.pop(0) if before else seller(seen)
        return self.server(answer)

    def test_until_the_credential(self):
        everything = ("--retry", "5", *self.QUICK, "--retry-all-errors", "--retry-connrefused")
        server = self.shop(front=[reply(503, b"no"), reply(500, b"no")])
        self.assertEqual(self.paycurl(*everything, server.url).out, b"goods")
        self.assertEqual((len(server.seen), len(credentials(server))), (4, 1))

        for last in (reply(503, b"no"), reply(500, b"no", Retry_After="1"), reply(402, b"", WWW_Authenticate=challenge())):
            home, self.home = self.home, Home(rpc="http://127.0.0.1:1")
            server = self.shop(*[last] * 9)
            done = self.paycurl(*everything, server.url)
            self.assertIn(done.code, (100, 107), done)
            self.assertEqual(len(credentials(server)), 1)
            self.assertEqual(len(self.home.payments()), 1)
            self.home = home

    def test_no_answer_to_a_payment(self):
        """The same bytes go once more, as without --retry, and never others."""
        server = self.shop(*[None] * 9)
        done = self.paycurl("--retry", "5", *self.QUICK, "--retry-all-errors", server.url)
        self.assertEqual(done.code, 107, done)
        self.assertEqual(len(credentials(server)), 2)
        self.assertEqual(len(set(credentials(server))), 1)
        self.assertEqual(len(self.home.payments()), 1)

    def test_402_is_none(self):
        server = self.server(seller)
        for options in (("--no-pay", "-f"), ("--no-pay",), ("--max-spend", "0"), ("--inspect",)):
            server.seen.clear()
            self.paycurl("--retry", "3", *self.QUICK, "--retry-all-errors", *options, server.url)
            self.assertEqual(len(server.seen), 1)


if __name__ == "__main__":
    unittest.main()
