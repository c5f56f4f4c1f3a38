#!/usr/bin/env python3
"""Every line of curl_lines.txt through curl and through paycurl: the same bytes out, the same bytes on the wire.

    tests/e2e/curl_test.py [-k WORD] [unittest's options]      PAYCURL names the binary, CURL the other one

Compared are the exit status, stdout, every file in the working folder and every request, byte for byte. Differences that
docs/curl.md describes are taken out by name (see `normal`). stderr is for people and not compared.
"""

import datetime
import gzip
import os
import pathlib
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import unittest

HERE = pathlib.Path(__file__).resolve().parent
PAYCURL = os.environ.get("PAYCURL", str(HERE.parent.parent / "build/dev/paycurl"))
CURL = os.environ.get("CURL") or shutil.which("curl")
LINES = HERE / "curl_lines.txt"
LENGTH = "[length] "  # marks a line that curl sends in chunks and paycurl with its length

DATE = "Thu, 01 Jan 2026 00:00:00 GMT"
TEXT = b"0123456789abcdefghijklmnopqrstuvwxyz"
FILES = {
    "text": b"one\ntwo\r\nthree\n",
    "binary": bytes(range(256)),
    "empty": b"",
    "page.html": b"<p>hi</p>\n",
    "image.png": b"\x89PNG\r\n",
    "data.json": b'{"a": 1,\n "b": [2]}\n',
    "big": b"0123456789abcdef" * 131072,
    "part": TEXT[:10],
    "whole": TEXT,
    "fields": b"X-One: 1\nX-Two: 2\n\nX-Three: 3\n",
    "etag": b'"abc"\n',
    "other-etag": b'W/"xyz"\n',
    "no-etag": b"",
    "netrc": b"machine 127.0.0.1 login me password pw\n",
    "format": b"%{http_code} %{method}\\n",
    "name with space": b"spaces\n",
    "cookies": (b"# Netscape HTTP Cookie File\n"
                b"127.0.0.1\tFALSE\t/\tFALSE\t0\tfrom-file\tyes\n"
                b"127.0.0.1\tFALSE\t/deep\tFALSE\t0\tdeeper\tyes\n"
                b"127.0.0.1\tFALSE\t/\tTRUE\t0\tsecure\tno\n"
                b"other.example\tFALSE\t/\tFALSE\t0\tstranger\tno\n"),
    "cookie-fields": b"HTTP/1.1 200 OK\r\nSet-Cookie: field=1\r\nSet-Cookie: second=2; path=/\r\n\r\n",
    "config": (b"# a comment\n"
               b"-H \"X-Quoted: tab\\there \\\"q\\\" \\\\ end\"\n"
               b"header = \"X-Equals: 1\"\n"
               b"header: \"X-Colon: 1\"\n"
               b"--header \"X-Dashes: 1\"\n"
               b"  user-agent  =  spaced   # a remark\n"
               b"\n"
               b"request=PATCH\n"
               b"data = a=b\n"
               b"data-raw = \"@c\"\n"),
    "config-inside": b"header = \"X-Outer: 1\"\nconfig = config-inner\nheader = \"X-Last: 1\"\n",
    "config-inner": b"header = \"X-Inner: 1\"",
    "config-flags": b"fail\nhead\n",
    "config-crlf": b"header = \"X-A: 1\"\r\nget\r\ndata = q\r\n",
    "config-urls": b"url = \"%URL/echo/1\"\noutput = one\nurl = \"%URL/echo/2\"\noutput = two\n",
    "config-bad": b"header = \"X-A: 1\"\nno-such-option = 1\n",
    "config-no-value": b"header\n",
}
STAMPS = {"whole": "2026-02-01T00:00:00+00:00", "part": "2025-12-01T00:00:00+00:00"}


class Server:
    """Answers by path, the same bytes always, and keeps what came."""

    def __init__(self):
        self.requests = []
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.talk, args=(connection,), daemon=True).start()

    def talk(self, connection):
        with connection, connection.makefile("rb") as source:
            try:
                while self.exchange(connection, source):
                    pass
            except (ConnectionError, ValueError):
                pass

    def exchange(self, connection, source):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = source.readline()
            if not line:
                return False
            head += line
        field = lambda name: (re.search(rb"(?im)^" + name + rb": *(.*?)\r$", head) or [b"", b""])[1].decode("latin1")
        method, target = head.split(b" ")[0].decode(), head.split(b" ")[1].decode("latin1")
        if field(b"expect").lower() == "100-continue":
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = source.read(int(field(b"content-length") or 0))
        if field(b"transfer-encoding").lower() == "chunked":
            while True:
                size = source.readline()
                data = source.read(int(size, 16) + 2)
                body += size + data
                if int(size, 16) == 0:
                    break
        self.requests.append(head + body)
        answer = self.answer(method, target, field)
        if answer is None:
            return False
        status, fields, content = answer
        text = f"HTTP/1.1 {status}\r\nDate: {DATE}\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields)
        names = {name.lower() for name, _ in fields}
        no_body = method == "HEAD" or status[:3] in ("204", "304") or status.startswith("1")
        if "content-length" not in names and "transfer-encoding" not in names and status[:3] not in ("204", "304"):
            text += f"Content-Length: {len(content)}\r\n"
        connection.sendall(text.encode("latin1") + b"\r\n" + (b"" if no_body else content))
        return "short" not in target and "until-close" not in target

    def answer(self, method, target, field):
        path, _, query = target.partition("?")
        words = path.strip("/").split("/")
        plain = [("Content-Type", "text/plain")]
        name = words[0]
        if name == "status":
            return f"{words[1]} Odd Reason", plain, b"" if "empty" in words else f"status {words[1]}\n".encode()
        if name == "redirect":  # /redirect/302/echo/..
            if words[-1] == "loop":
                return f"{words[1]} Go", [("Location", path)], b"moved\n"
            return f"{words[1]} Go", [("Location", "/" + "/".join(words[2:]))], b"moved\n"
        if name == "location":  # as it stands in the query
            return "302 Go", [("Location", query)], b"moved\n"
        if name == "cookie":
            fields = [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2; Path=/echo"),
                      ("Set-Cookie", "c=3; Max-Age=0"), ("Set-Cookie", "d=4; HttpOnly; Expires=Fri, 01 Jan 2100 00:00:00 GMT"),
                      ("Set-Cookie", "e=5; Domain=other.example"), ("Set-Cookie", "f=6; Secure")]
            if len(words) > 1:
                return "302 Go", fields + [("Location", "/" + "/".join(words[1:]))], b""
            return "200 OK", fields, b"cookies\n"
        if name == "etag":
            if field(b"if-none-match") == '"abc"':
                return "304 Not Modified", [("ETag", '"abc"')], b""
            return "200 OK", [("ETag", '"abc"')] + plain, b"tagged\n"
        if name == "modified":
            fields = [("Last-Modified", DATE)] + plain
            since = field(b"if-modified-since")
            return ("304 Not Modified", fields, b"") if since == DATE and "deaf" not in words else ("200 OK", fields, b"modified\n")
        if name == "ranges":
            span = re.fullmatch(r"bytes=(\d*)-(\d*)", field(b"range"))
            fields = [("Accept-Ranges", "bytes")] + plain
            if not span:
                return "200 OK", fields, TEXT
            begin = int(span[1]) if span[1] else len(TEXT) - int(span[2])
            end = min(int(span[2]) if span[1] and span[2] else len(TEXT) - 1, len(TEXT) - 1)
            if begin >= len(TEXT):
                return "416 No", [("Content-Range", f"bytes */{len(TEXT)}")], b"no such range\n"
            return "206 Part", fields + [("Content-Range", f"bytes {begin}-{end}/{len(TEXT)}")], TEXT[begin:end + 1]
        if name == "named":  # Content-Disposition as it stands in the query
            value = bytes.fromhex(query).decode("latin1")
            return "200 OK", [("Content-Disposition", value)] + plain, b"named\n"
        if name == "gzip":
            coded = b"gzip" in field(b"accept-encoding").encode()
            return "200 OK", ([("Content-Encoding", "gzip")] if coded else []) + plain, \
                gzip.compress(b"compressed\n", mtime=0) if coded else b"plain\n"
        if name == "chunked":
            return "200 OK", [("Transfer-Encoding", "chunked")] + plain, b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"
        if name == "trailer":
            return "200 OK", [("Transfer-Encoding", "chunked"), ("Trailer", "X-End")], b"5\r\nhello\r\n0\r\nX-End: 1\r\n\r\n"
        if name == "short":
            return "200 OK", [("Content-Length", "100")], b"too short"
        if name == "until-close":
            return "200 OK", [("Transfer-Encoding", "identity"), ("Connection", "close")], b"until the end"
        if name == "nothing":
            return None
        if name == "folded":
            return "200 OK", [("X-Many", "1"), ("x-many", "2")] + plain, b"fields\n"
        if name == "binary":
            return "200 OK", [("Content-Type", "application/octet-stream")], FILES["binary"]
        if name == "big":
            return "200 OK", plain, FILES["big"]
        if name == "empty":
            return "200 OK", plain, b""
        return "200 OK", plain, f"{method} {target}\n".encode("latin1")


def normal(request, is_chunked_difference):
    """A request without the differences that docs/curl.md describes."""
    request = re.sub(rb"(?m)^Accept-Payment: .*?\r\n", b"", request, count=1)
    request = re.sub(rb"(?m)^User-Agent: (?:curl|paycurl)/[\d.]+\r\n", b"User-Agent: {program}\r\n", request, count=1)
    boundary = re.search(rb"boundary=(-{24}[0-9a-f]{16})", request)
    if boundary:
        request = request.replace(boundary[1], b"{boundary}")
    head, _, body = request.partition(b"\r\n\r\n")
    if is_chunked_difference:
        head = head.replace(b"\r\nExpect: 100-continue", b"")
    if is_chunked_difference and b"\r\nTransfer-Encoding: chunked" in head:
        content, rest = b"", body
        while (size := int(rest.split(b"\r\n", 1)[0], 16)) != 0:
            content += rest.split(b"\r\n", 1)[1][:size]
            rest = rest.split(b"\r\n", 1)[1][size + 2:]
        head = head.replace(b"\r\nTransfer-Encoding: chunked", b"\r\nContent-Length: %d" % len(content))
        body = content
    return head + b"\r\n\r\n" + body


def shown(data, limit=1500):
    text = data.decode("latin1") if isinstance(data, bytes) else str(data)
    return text if len(text) <= limit else f"{text[:limit]}... ({len(text)} bytes)"


class CurlTest(unittest.TestCase):
    maxDiff = None

    def run_line(self, line, program, is_marked):
        server = Server.shared
        server.requests.clear()
        with tempfile.TemporaryDirectory(prefix="paycurl-curl-") as folder, tempfile.TemporaryDirectory() as home:
            for name, content in FILES.items():
                path = pathlib.Path(folder, name)
                path.write_bytes(content.replace(b"%URL", b"http://127.0.0.1:%d" % server.port))
                moment = datetime.datetime.fromisoformat(STAMPS.get(name, "2026-01-01T00:00:00+00:00")).timestamp()
                os.utime(path, (moment, moment))
            os.mkdir(folder + "/folder")
            os.symlink("target", folder + "/link")
            before = {name: content.replace(b"%URL", b"http://127.0.0.1:%d" % server.port) for name, content in FILES.items()}
            env = {"HOME": home, "PATH": os.environ["PATH"], "LANG": "C.UTF-8", "PAYCURL_NO_PROMPT": "1"}
            env.update({name: value for name, value in os.environ.items() if name.endswith("SAN_OPTIONS")})
            script = f'curl() {{ {shlex.quote(program)} "$@"; }}\n' + \
                line.replace("%URL", f"http://127.0.0.1:{server.port}").replace("%HOST", f"127.0.0.1:{server.port}")
            done = subprocess.run(["bash", "-c", script], cwd=folder, env=env, input=b"from\nstdin\n", capture_output=True,
                                  timeout=60, check=False)
            files = {}
            for path in sorted(pathlib.Path(folder).rglob("*")):
                name = str(path.relative_to(folder))
                if path.is_symlink():
                    files[name] = "-> " + os.readlink(path)
                elif path.is_dir():
                    files[name] = oct(path.stat().st_mode)
                elif path.read_bytes() != before.get(name):
                    files[name] = path.read_bytes()
            gone = sorted(name for name in before if not pathlib.Path(folder, name).exists())
        requests = [normal(request, is_marked) for request in server.requests]
        return {"status": done.returncode, "stdout": done.stdout, "files": files, "gone": gone, "requests": requests}, done.stderr

    def compare(self, line):
        is_marked = line.startswith(LENGTH)
        line = line.removeprefix(LENGTH)
        theirs, their_words = self.run_line(line, CURL, is_marked)
        ours, our_words = self.run_line(line, PAYCURL, is_marked)
        problems = []
        for part, expected in theirs.items():
            if ours[part] == expected:
                continue
            show = lambda value: "\n".join(map(shown, value)) if isinstance(value, list) else \
                "\n".join(f"{k}: {shown(v)}" for k, v in value.items()) if isinstance(value, dict) else shown(value)
            problems.append(f"-- {part}: curl\n{show(expected)}\n-- {part}: paycurl\n{show(ours[part])}")
        if problems:
            problems.append(f"-- stderr: curl\n{shown(their_words[-400:])}\n-- stderr: paycurl\n{shown(our_words)}")
        return "\n".join(problems)


def read_lines():
    found, section = [], ""
    for number, line in enumerate(LINES.read_text().splitlines(), 1):
        if line.startswith("== "):
            section = line[3:]
        elif line.strip() and not line.startswith("#"):
            found.append((number, section, line))
    return found


def add_tests():
    lines = read_lines()
    for number, section, line in lines:
        def test(self, line=line):
            problems = self.compare(line)
            if problems:
                self.fail(f"{line}\n{problems}")
        test.__doc__ = f"{section}: {line}"
        word = re.sub(r"\W+", "_", section)
        setattr(CurlTest, f"test_{number:03}_{word}", test)

    def test_000_there_are_enough(self):
        self.assertGreaterEqual(len(lines), 150)
        self.assertEqual(len({line for _, _, line in lines}), len(lines), "a line stands twice")
    CurlTest.test_000_there_are_enough = test_000_there_are_enough


add_tests()

if __name__ == "__main__":
    Server.shared = Server()
    sys.exit(unittest.main())
