#!/usr/bin/env python3
"""Golden cases of the command line: canned replies in, exact bytes out.

    tests/cli/run.py [file...]       PAYCURL names the binary (default: build/dev/paycurl)

A file holds cases. Each starts with a line "=== title" and has sections that start with "--- name":

    reply     what the server answers, once; may stand several times. The head's lines end with CRLF on the
              wire; the body starts behind the first empty line and has no newline at its end.
    files     "name: content" lines, made in the working folder before
    env       NAME=value lines
    stdin     what paycurl reads
    command   a shell command; %URL is the server
    status    the exit status (0 when it is not there)
    stdout, stderr    the exact output (nothing when not there)
    request   what the server received, exactly; may stand several times; not looked at when not there
    file NAME the content of a file afterwards

In expected text, ports, credentials, payment IDs and times are replaced by %URL, %HOST, {credential}, {id}
and {time}. {challenge} in a reply, a file or stdin is an offer of 0.01 AlphaUSD, {challenge:BASE64} one with that request,
{json:OBJECT} the same in JSON; {receipt} is a receipt.
"""

import base64
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import schemas  # noqa: E402

PAYCURL = os.environ.get("PAYCURL", str(HERE.parent.parent / "build/dev/paycurl"))
KEY = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"


def encoded(value):
    text = json.dumps(value, separators=(",", ":"), sort_keys=True)
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


CHARGE = encoded({"amount": "10000", "currency": "0x20c0000000000000000000000000000000000001",
                  "methodDetails": {"chainId": 42431}, "recipient": "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"})
CHALLENGE = ('Payment id="c1", realm="test", method="tempo", intent="charge", request="%s", '
             'expires="2099-01-01T00:00:00Z"')
RECEIPT = encoded({"method": "tempo", "reference": "0x" + "ab" * 32, "status": "success", "timestamp": "2026-01-01T00:00:00Z"})


def parse(path):
    cases, section = [], None
    for number, line in enumerate(path.read_text().split("\n"), 1):
        if line.startswith("=== "):
            cases.append({"title": f"{path.name}:{number}: {line[4:]}", "sections": []})
            section = None
        elif line.startswith("--- "):
            section = [line[4:], []]
            cases[-1]["sections"].append(section)
        elif section is not None:
            section[1].append(line)
    for case in cases:
        case["sections"] = [(name, "\n".join(lines).rstrip("\n")) for name, lines in case["sections"]]
    return cases


def expand(text):
    text = text.replace("{challenge}", CHALLENGE % CHARGE).replace("{receipt}", RECEIPT)
    text = re.sub(r"\{challenge:(.*?)\}", lambda m: CHALLENGE % m[1], text)
    return re.sub(r"\{json:(.*?)\}\}", lambda m: CHALLENGE % encoded(json.loads(m[1] + "}")), text)


def reply_bytes(text):
    text = expand(text)
    head, _, body = text.partition("\n\n")
    return head.replace("\n", "\r\n").encode("latin1") + b"\r\n\r\n" + body.encode()


class Server:
    """Answers each request with the next reply; none left: closes the connection."""

    def __init__(self, replies):
        self.replies, self.requests = list(replies), []
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
        data = b""
        with connection:
            while True:
                while b"\r\n\r\n" not in data:
                    chunk = connection.recv(65536)
                    if not chunk:
                        return
                    data += chunk
                head, data = data.split(b"\r\n\r\n", 1)
                length = re.search(rb"(?i)content-length: (\d+)", head)
                size = int(length[1]) if length else 0
                if re.search(rb"(?i)expect: 100-continue", head):
                    connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
                while len(data) < size:
                    data += connection.recv(65536)
                self.requests.append(head + b"\r\n\r\n" + data[:size])
                data = data[size:]
                if not self.replies:
                    return
                connection.sendall(reply_bytes(self.replies.pop(0)))


def normal(text, port, folder):
    text = text.replace(f"http://127.0.0.1:{port}", "%URL").replace(f"127.0.0.1:{port}", "%HOST").replace(folder, "%DIR")
    text = re.sub(r"Payment eyJ[\w-]+", "Payment {credential}", text)
    text = re.sub(r"\b01[0-9a-hjkmnp-tv-z]{24}\b", "{id}", text)
    text = re.sub(r"\b20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", lambda m: m[0] if m[0][:4] in ("2099", "2000") else "{time}", text)
    text = re.sub(r'("(?:connect|challenge|sign|firstByte|total)Ms":)\d+', r"\g<1>0", text)
    text = re.sub(r"0x[0-9a-f]{64}", "{hash}", text)
    text = re.sub(r"-{24}[0-9a-f]{16}", "{boundary}", text)
    return re.sub(r"paycurl/\d+\.\d+\.\d+", "paycurl/{version}", text)


def run(case):
    sections = case["sections"]
    one = lambda name, default="": next((text for n, text in sections if n == name), default)
    folder = tempfile.mkdtemp(prefix="paycurl-cli-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
    server = Server([text for name, text in sections if name == "reply"])
    try:
        env = {"HOME": folder + "/home", "PATH": os.path.dirname(PAYCURL) + ":" + os.environ["PATH"], "LANG": "C.UTF-8",
               "PAYCURL_NO_PROMPT": "1", "PAYCURL_PRIVATE_KEY": KEY, "PAYCURL_RPC_URL": "http://127.0.0.1:1"}
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS"):
            if name in os.environ:
                env[name] = os.environ[name]
        os.mkdir(folder + "/home")
        for line in one("env").splitlines():
            name, _, value = line.partition("=")
            env[name] = value
            if value == "(unset)":
                del env[name]
        for line in one("files").splitlines():
            name, _, content = line.partition(": ")
            pathlib.Path(folder, name).write_text(expand(content).encode().decode("unicode_escape"))
        done = subprocess.run(one("command").replace("%URL", f"http://127.0.0.1:{server.port}").replace("%HOST", f"127.0.0.1:{server.port}"),
                              shell=True, cwd=folder, env=env, input=expand(one("stdin")).encode(), capture_output=True, timeout=300)
        text = lambda b: normal(b.decode(errors="backslashreplace").replace("\r\n", "\n"), server.port, folder).rstrip("\n")
        found = [("status", str(done.returncode), one("status", "0")),
                 ("stdout", text(done.stdout), one("stdout")), ("stderr", text(done.stderr), one("stderr"))]
        expected = [t for n, t in sections if n == "request"]
        if expected:
            requests = [text(r) for r in server.requests]
            found.append(("requests", "\n--- request\n".join(requests), "\n--- request\n".join(expected)))
        for name, content in sections:
            if name.startswith("file "):
                path = pathlib.Path(folder, name[5:])
                found.append((name, text(path.read_bytes()) if path.exists() else "(missing)", content))
        problems = [f"--- {name}: expected\n{want}\n--- {name}: found\n{have}" for name, have, want in found if have != want]
        if KEY[2:].encode() in (done.stdout + done.stderr).lower():
            problems.append("--- the private key is in the output")
        try:
            schemas.check(done.stdout)
        except AssertionError as error:
            problems.append(str(error))
        return "\n".join(problems)
    finally:
        server.socket.close()
        shutil.rmtree(folder, ignore_errors=True)


def main():
    files = [pathlib.Path(name) for name in sys.argv[1:]] or sorted(HERE.glob("*.txt"))
    failed = total = 0
    for path in files:
        for case in parse(path):
            total += 1
            problems = run(case)
            if problems:
                failed += 1
                print(f"FAILED {case['title']}\n{problems}\n")
    print(f"{total} golden cases, {failed} failed")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
