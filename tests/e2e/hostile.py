"""A paid server that misbehaves on purpose, one path per attack, and a node that may lie.

It keeps every credential it was given. `signed` adds up what the payer signed away: the most that
could be lost if the server kept and broadcast everything.
"""

import base64
import json
import socket
import threading
import time

ALPHA = "0x20c0000000000000000000000000000000000001"
PAYEE = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
TRANSFERS = ("a9059cbb", "95777d59")


def encode(value):
    text = value if isinstance(value, (str, bytes)) else json.dumps(value, separators=(",", ":"), sort_keys=True)
    raw = text if isinstance(text, bytes) else text.encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def charge(amount="10000", currency=ALPHA, recipient=PAYEE, chain=42431, **details):
    return {"amount": amount, "currency": currency, "recipient": recipient,
            "methodDetails": {"chainId": chain, **details} if chain else details}


def after(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))


def challenge(request=None, method="tempo", intent="charge", realm="hostile", identity="c1", raw=None, **params):
    """One Payment challenge; `raw` replaces the encoded request."""
    params.setdefault("expires", after(300))
    fields = {"id": identity, "realm": realm, "method": method, "intent": intent,
              "request": raw if raw is not None else encode(request or charge()), **params}
    return "Payment " + ", ".join(f'{name}="{value}"' for name, value in fields.items() if value is not None)


def rlp(data):
    """The item at the front of `data`, and the rest."""
    first = data[0]
    if first < 0x80:
        return data[:1], data[1:]
    if first < 0xc0:
        size, start = (first - 0x80, 1) if first < 0xb8 else (int.from_bytes(data[1:first - 0xb6], "big"), first - 0xb6)
        return data[start:start + size], data[start + size:]
    size, start = (first - 0xc0, 1) if first < 0xf8 else (int.from_bytes(data[1:first - 0xf6], "big"), first - 0xf6)
    inner, items = data[start:start + size], []
    while inner:
        item, inner = rlp(inner)
        items.append(item)
    return items, data[start + size:]


class Transaction:
    """What a signed Tempo transaction would move."""

    def __init__(self, hex_text):
        fields, _ = rlp(bytes.fromhex(hex_text[2:])[1:])
        self.chain = int.from_bytes(fields[0], "big")
        self.gas, self.max_fee = int.from_bytes(fields[3], "big"), int.from_bytes(fields[2], "big")
        self.valid_before = int.from_bytes(fields[8], "big")
        self.amount = 0
        for to, value, data in fields[4]:
            assert data[:4].hex() in TRANSFERS and not value, "a call that is no transfer"
            self.amount += int.from_bytes(data[36:68], "big")


class Request:
    def __init__(self, head, body):
        lines = head.decode("latin1").split("\r\n")
        self.method, self.path, _ = lines[0].split(" ", 2)
        self.headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            self.headers.setdefault(name.strip().lower(), value.strip())
        self.body = body

    @property
    def credential(self):
        value = self.headers.get("authorization", "")
        if not value.startswith("Payment "):
            return None
        text = value[8:]
        return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


def answer(status=200, body=b"goods", headers=(), reason="X"):
    body = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status} {reason}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode("latin1") + b"\r\n\r\n" + body


def payment_required(*challenges, body='{"title":"Payment Required"}', headers=()):
    challenges = challenges or (challenge(),)
    return answer(402, body, [f"WWW-Authenticate: {c}" for c in challenges] + list(headers), "Payment Required")


def receipt(reference="0x" + "ab" * 32):
    return "Payment-Receipt: " + encode({"method": "tempo", "reference": reference, "status": "success", "timestamp": after(0)})


def paid(body=b"goods", headers=()):
    return answer(200, body, [receipt(), *headers])


class Close(Exception):
    """Raised by a handler that has said enough."""


class Server:
    """Serves `handler(request, connection)`, which returns bytes or raises Close. /rpc is the node."""

    def __init__(self, handler=None):
        self.handler = handler or (lambda request, connection: paid())
        self.socket = socket.create_server(("0.0.0.0", 0))
        self.port = self.socket.getsockname()[1]
        self.requests, self.rpc_calls = [], 0
        self.make_node_honest()
        self.stopping = False
        threading.Thread(target=self.serve, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def reset(self, handler):
        self.handler = handler
        self.requests.clear()
        self.rpc_calls = 0
        self.make_node_honest()

    def make_node_honest(self):
        self.balance, self.settled, self.node_chain, self.node_up = 10**12, False, 42431, True
        self.node_time, self.logs_asked = time.time, []

    def credentials(self):
        return [request.credential for request in self.requests if request.credential]

    def transactions(self):
        texts = {c["payload"]["signature"] for c in self.credentials() if c["payload"]["type"] == "transaction"}
        return [Transaction(text) for text in texts]

    @property
    def signed(self):
        return sum(transaction.amount for transaction in self.transactions())

    def serve(self):
        while not self.stopping:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.talk, args=(connection,), daemon=True).start()

    def talk(self, connection):
        data = b""
        try:
            with connection:
                while True:
                    while b"\r\n\r\n" not in data:
                        chunk = connection.recv(65536)
                        if not chunk:
                            return
                        data += chunk
                    head, data = data.split(b"\r\n\r\n", 1)
                    request = Request(head, b"")
                    if request.headers.get("expect"):
                        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
                    size = int(request.headers.get("content-length", 0))
                    while len(data) < size:
                        chunk = connection.recv(65536)
                        if not chunk:
                            return
                        data += chunk
                    request.body, data = data[:size], data[size:]
                    if request.path == "/rpc":
                        connection.sendall(self.node(request))
                        continue
                    self.requests.append(request)
                    connection.sendall(self.handler(request, connection))
        except (Close, OSError):
            pass

    def node(self, request):
        self.rpc_calls += 1
        if not self.node_up:
            raise Close
        body = json.loads(request.body)
        replies = [self.reply(call) for call in (body if isinstance(body, list) else [body])]
        return answer(200, json.dumps(replies if isinstance(body, list) else replies[0]))

    def reply(self, call):
        if call["method"] == "eth_getLogs":
            self.logs_asked.append(call["params"][0])
        results = {
            "eth_chainId": hex(self.node_chain),
            "eth_getBlockByNumber": {"number": "0x10", "timestamp": hex(int(self.node_time())), "baseFeePerGas": hex(10**10)},
            "eth_call": "0x" + hex(self.balance)[2:].rjust(64, "0"),
            "eth_getTransactionReceipt": {"status": "0x1"} if self.settled else None,
            "eth_getLogs": [],
            "eth_sendRawTransactionSync": {"status": "0x1"},
        }
        return {"jsonrpc": "2.0", "id": call["id"], "result": results.get(call["method"])}
