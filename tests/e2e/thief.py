"""A server of payment channels that steals: it takes every opening and voucher for good, and answers as it likes.

It needs no chain. `vouchers` has the largest of each channel: what it could take. `value` is what it delivered.
"""

import json
import threading

from hostile import ALPHA, Close, Server, answer, challenge, encode, payment_required, after, rlp

RESERVE = "0x4d50500000000000000000000000000000000000"
PAYEE = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
PROBLEM = "https://paymentauth.org/problems/"
OPEN, TOP_UP = "edc53b00", "dc48471e"


def deposit_of(payload):
    """What the transaction of an opening or a top-up moves into the escrow."""
    fields, _ = rlp(bytes.fromhex(payload["transaction"][2:])[1:])
    ((to, _, data),) = fields[4]
    selector, words = data[:4].hex(), [data[4 + i:36 + i] for i in range(0, len(data) - 4, 32)]
    assert to.hex() == RESERVE[2:] and selector in (OPEN, TOP_UP), "a call that is no deposit"
    return int.from_bytes(words[3 if selector == OPEN else 7], "big")


def refusal(kind, *challenges, status=402, **more):
    body = json.dumps({"type": PROBLEM + kind, "title": kind, "status": status, **more})
    return answer(status, body, ["Content-Type: application/problem+json"]
                  + ["WWW-Authenticate: " + text for text in challenges], "No")


class Stream:
    """An answer of events; its end is that of the connection."""

    def __init__(self, thief, connection):
        self.thief, self.connection = thief, connection
        self.raw(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")

    def raw(self, data):
        self.connection.sendall(data)

    def event(self, name, data):
        text = data if isinstance(data, str) else json.dumps(data)
        self.raw(f"event: {name}\ndata: {text}\n\n".encode())

    def say(self, text="x"):
        """Delivers a unit, or as many as it has bytes."""
        self.thief.value += self.thief.amount * (1 if self.thief.unit == "message" else len(text))
        self.raw(f"data: {text}\n\n".encode())

    def need(self, required, channel=None):
        self.event("payment-need-voucher", {
            "channelId": self.thief.channel if channel is None else channel, "requiredCumulative": str(required),
            "acceptedCumulative": str(self.thief.highest), "deposit": "1000000"})

    def next(self):
        """Asks for one more unit than the client has signed, and waits for it."""
        required = self.thief.highest + self.thief.amount
        self.need(required)
        if not self.thief.wait(lambda: self.thief.highest >= required):
            raise Close

    def hold(self, seconds=2):
        """Keeps the stream open until the client leaves it, but not for long."""
        self.connection.settimeout(seconds)
        try:
            self.connection.recv(1)
        except TimeoutError:
            pass

    def receipt(self, **changes):
        self.event("payment-receipt", self.thief.receipt(**changes))


class Thief(Server):
    """`script(stream)` is what a paid request gets; `on_request` and `on_step` answer instead when they are set."""

    def __init__(self):
        self.changed = threading.Condition()
        super().__init__()
        self.reset()

    def reset(self, script=None, on_request=None, on_step=None, **terms):
        super().reset(self.handle)
        self.script, self.on_request, self.on_step = script, on_request, on_step
        self.set_terms(**terms)
        self.value, self.channel = 0, None
        self.vouchers, self.moves = {}, {}  # by channel; what each moves into the escrow

    def set_terms(self, amount=1_000, unit="message", suggested=1_000_000, escrow=RESERVE, identity="c1", expires=300,
                  **details):
        self.amount, self.unit = amount, unit
        request = {"amount": str(amount), "unitType": unit, "currency": ALPHA, "recipient": PAYEE,
                   "suggestedDeposit": str(suggested),
                   "methodDetails": {"chainId": 42431, "escrowContract": escrow, "sessionProtocol": "v2", **details}}
        self.asks = challenge(request, intent="session", identity=identity, expires=after(expires))

    @property
    def highest(self):
        """The largest voucher of the channel that was used last."""
        return self.vouchers.get(self.channel, 0)

    @property
    def loss(self):
        return sum(self.vouchers.values()) - self.value

    @property
    def deposits(self):
        return list(self.moves.values())

    def forget_top_ups(self):
        """As if no top-up had been mined."""
        self.moves = dict(list(self.moves.items())[:1])

    def payloads(self):
        return [credential["payload"] for credential in self.credentials()]

    def actions(self):
        return [payload["action"] for payload in self.payloads()]

    def wait(self, condition, seconds=5):
        with self.changed:
            return self.changed.wait_for(condition, seconds)

    def receipt(self, **changes):
        value = {"method": "tempo", "intent": "session", "status": "success", "timestamp": after(0),
                 "challengeId": "c1", "reference": self.channel, "channelId": self.channel,
                 "acceptedCumulative": str(self.highest), "spent": str(min(self.value, self.highest)), "units": 1}
        return {key: item for key, item in {**value, **changes}.items() if item is not None}

    def paid(self, body=b"goods", **changes):
        return answer(200, body, ["Payment-Receipt: " + encode(self.receipt(**changes))])

    def handle(self, request, connection):
        if request.credential is None:
            head = payment_required(self.asks)
            return head.split(b"\r\n\r\n")[0] + b"\r\n\r\n" if request.method == "HEAD" else head
        payload = request.credential["payload"]
        alone = request.method == "POST" and not request.body
        with self.changed:
            self.channel = payload["channelId"]
            self.vouchers[self.channel] = max(self.highest, int(payload.get("cumulativeAmount", 0)))
            if "transaction" in payload:  # the same bytes can be mined once
                self.moves[payload["transaction"]] = deposit_of(payload)
            self.changed.notify_all()
        if alone:
            over = {"txHash": "0x" + "11" * 32} if payload["action"] == "close" else {}
            return self.on_step(payload) if self.on_step else self.paid(b"", **over)
        if self.on_request:
            return self.on_request(payload)
        if self.script is None:
            self.value += self.amount
            return self.paid()
        self.script(Stream(self, connection))
        raise Close

    def reply(self, call):
        """The node: a channel with the whole deposit in it."""
        if call["method"] != "eth_call":
            return super().reply(call)
        words = (0, sum(self.deposits), 0)  # settled, deposit, no close requested
        return {"jsonrpc": "2.0", "id": call["id"], "result": "0x" + "".join(f"{word:064x}" for word in words)}
