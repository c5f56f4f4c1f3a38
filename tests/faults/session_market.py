"""The other side of payment channels: a payee that bills by vouchers, as mppx does, and its escrow on the chain."""

import contextlib
import copy
import dataclasses
import json
import select
import socket
import threading

from hostile import ALPHA, PAYEE, Close, after, answer, challenge, encode, payment_required, rlp
from market import Market, hex_hash

ESCROW = "0x4d50500000000000000000000000000000000000"
OPEN, TOP_UP, STATE = "edc53b00", "dc48471e", "d18da8b1"
PRICE = 1000  # of a unit
LONG = 6 * 3600  # an offer that was remembered is good for a whole sweep


def session(deposit, unit="request"):
    details = {"chainId": 42431, "escrowContract": ESCROW, "sessionProtocol": "v2"}
    return {"amount": str(PRICE), "currency": ALPHA, "recipient": PAYEE, "unitType": unit,
            "suggestedDeposit": str(deposit), "methodDetails": details}


def events(count):
    return [b"data: tick %d\n\n" % number for number in range(count)]


@dataclasses.dataclass
class Channel:
    identity: str
    deposit: int
    accepted: int = 0
    spent: int = 0
    units: int = 0
    closed: bool = False
    filled: set = dataclasses.field(default_factory=set)  # the transactions that put money in


class Refused(Exception):
    """(status, problem type)"""


class SessionMarket(Market):
    """Sells bodies, or streams of `ticks` events, for a unit's price each. The ledger has an entry for each unit that
    was billed. `losses`: so many answers get lost when they have been billed."""

    def __init__(self, deposit=100 * PRICE, ticks=0, losses=0):
        self.books, self.kept, self.losses_of_run = threading.RLock(), ({}, {}), losses
        super().__init__(session(deposit, "event" if ticks else "request"))
        self.ticks = events(ticks)

    def keep(self):
        self.kept = copy.deepcopy((self.channels, self.openings))

    def forget(self):
        super().forget()
        self.channels, self.openings = copy.deepcopy(self.kept)
        self.losses = self.losses_of_run

    def worth(self, body):
        """How many units have been delivered with what a run put out."""
        return body.count(b"\n\n") if self.ticks else int(body == self.body)

    # ---- selling

    def offer(self):
        with self.lock:
            identity = f"s{len(self.offered) + 1:04}"
            self.offered[identity] = None
        return challenge(self.terms, intent="session", identity=identity, expires=after(self.ahead + LONG))

    def problem(self, status, kind):
        body = json.dumps({"type": "https://paymentauth.org/problems/" + kind, "title": kind, "status": status})
        fields = ["Content-Type: application/problem+json"]
        if status == 402:
            return payment_required(self.offer(), body=body, headers=fields)
        return answer(status, body, fields)

    def sell(self, request, connection):
        if request.credential is None:
            refusal = payment_required(self.offer())
            return refusal[:refusal.index(b"\r\n\r\n") + 4] if request.method == "HEAD" else refusal
        payload = request.credential["payload"]
        action = payload["action"]
        self.arrived(action, payload["channelId"], None, payload)
        alone = request.method == "HEAD" or request.method == "POST" and not request.body
        try:
            with self.books:
                channel = getattr(self, "take_" + action)(payload)
                if not alone and action in ("open", "voucher"):
                    self.bill(channel)
                field = "Payment-Receipt: " + encode(self.receipt(channel, request.credential))
        except Refused as refused:
            return self.problem(*refused.args)
        if alone or action in ("topUp", "close"):
            return answer(204, b"", [field])
        if self.losses > 0:
            self.losses -= 1
            raise Close
        if self.ticks:
            self.stream(channel, request.credential, connection)
        return answer(200, self.body, [field])

    def receipt(self, channel, credential):
        return {"method": "tempo", "intent": "session", "status": "success", "timestamp": after(0),
                "reference": channel.identity, "challengeId": credential["challenge"]["id"],
                "channelId": channel.identity, "acceptedCumulative": str(channel.accepted),
                "spent": str(channel.spent), "units": channel.units,
                **({"txHash": "0x" + "cd" * 32} if channel.closed else {})}

    def bill(self, channel):
        if channel.accepted - channel.spent < PRICE:
            raise Refused(402, "session/insufficient-balance")
        channel.spent += PRICE
        channel.units += 1
        self.ledger[f"{channel.identity}#{channel.units}"] = PRICE

    def stream(self, channel, credential, connection):
        """The first event has been billed with the request."""
        send = lambda name, data: connection.sendall(f"event: {name}\ndata: {json.dumps(data)}\n\n".encode())
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
        for number, event in enumerate(self.ticks):
            asked = number == 0
            while number and not self.has_billed(channel):
                if not asked:
                    send("payment-need-voucher", {
                        "channelId": channel.identity, "requiredCumulative": str(channel.spent + PRICE),
                        "acceptedCumulative": str(channel.accepted), "deposit": str(channel.deposit)})
                asked = True
                if has_hung_up(connection, 0.002):
                    raise Close
            connection.sendall(event)
        send("payment-receipt", self.receipt(channel, credential))
        raise Close

    def has_billed(self, channel):
        with self.books, contextlib.suppress(Refused):
            self.bill(channel)
            return True
        return False

    # ---- what credentials do

    def known(self, payload):
        channel = self.channels.get(payload["channelId"])
        if channel is None:
            raise Refused(410, "session/channel-not-found")
        if channel.closed:
            raise Refused(410, "session/channel-finalized")
        return channel

    def take_open(self, payload):
        identity, text = payload["channelId"], payload["transaction"]
        if identity in self.channels:
            raise Refused(500, "internal-payment-error")
        call = self.mined_call(text, OPEN)
        channel = Channel(identity, word(call, 3))
        if identity != channel_id(payload["descriptor"]) or int(payload["descriptor"]["salt"], 16) != word(call, 4):
            raise Refused(402, "verification-failed")
        if int(payload["cumulativeAmount"]) < PRICE:
            raise Refused(402, "verification-failed")
        self.channels[identity] = channel
        self.raise_accepted(channel, payload)
        channel.filled.add(text)
        return channel

    def take_voucher(self, payload):
        channel = self.known(payload)
        self.raise_accepted(channel, payload)
        return channel

    def take_topUp(self, payload):  # noqa: N802
        channel, text = self.known(payload), payload["transaction"]
        if text in channel.filled:
            raise Refused(500, "internal-payment-error")  # the chain takes a transaction once
        added = word(self.mined_call(text, TOP_UP), 7)
        if added != int(payload["additionalDeposit"]):
            raise Refused(402, "verification-failed")
        channel.deposit += added
        channel.filled.add(text)
        return channel

    def take_close(self, payload):
        channel = self.known(payload)
        if int(payload["cumulativeAmount"]) < channel.spent:
            raise Refused(402, "verification-failed")
        channel.closed = True
        return channel

    def raise_accepted(self, channel, payload):
        cumulative = int(payload["cumulativeAmount"])
        if cumulative > channel.deposit:
            raise Refused(402, "session/amount-exceeds-deposit")
        if cumulative < channel.accepted:
            raise Refused(402, "verification-failed")
        channel.accepted = cumulative

    def mined_call(self, text, selector):
        """The arguments of the transaction's only call."""
        fields = rlp(bytes.fromhex(text[2:])[1:])[0]
        ((to, _, data),) = fields[4]
        if "0x" + to.hex() != ESCROW or data[:4].hex() != selector:
            raise Refused(402, "verification-failed")
        if int.from_bytes(fields[8], "big") <= self.now():
            raise Refused(402, "verification-failed")
        return data[4:]

    # ---- the chain

    def reply(self, call):
        result = {"jsonrpc": "2.0", "id": call["id"]}
        if call["method"] == "eth_blockNumber":
            return {**result, "result": "0x10"}
        if call["method"] == "eth_call" and call["params"][0]["to"].lower() == ESCROW:
            data = call["params"][0].get("data") or call["params"][0]["input"]
            assert data[2:10] == STATE, data
            channel = self.channels.get("0x" + data[10:])
            there = channel is not None and not channel.closed
            return {**result, "result": f"0x{0:064x}{channel.deposit if there else 0:064x}{0:064x}"}
        return super().reply(call)

    # ---- what the journal must know by now

    def arrived(self, kind, key, identity, signed):
        if kind == "open":
            self.openings.setdefault(key, set()).add(signed["transaction"] + signed["signature"])
        super().arrived(kind, key, identity, signed)

    def is_recorded(self, kind, key, identity, payload):
        """The channel's row covers the voucher, it or a payment's has what a transaction is made from."""
        channel = next((row for row in self.journal("channels") if row["id"] == key), None)
        if channel is None or int(channel["signed"]) < int(payload.get("cumulativeAmount", 0)):
            return False
        rows = [row for row in self.journal() if row["session"] == key and row["status"] in ("unknown", "settled")]
        if "transaction" not in payload:
            return bool(rows)
        preimages = {json.loads(row["rebuild"]).get("preimage") for row in rows if row["rebuild"]}
        preimages.add(channel["opening"].split(":")[0])
        return any(is_made_from(payload["transaction"], preimage) for preimage in preimages if preimage)


def word(data, index):
    return int.from_bytes(data[32 * index:32 * index + 32], "big")


def channel_id(descriptor):
    names = ("payer", "payee", "operator", "token", "salt", "authorizedSigner", "expiringNonceHash")
    words = [descriptor[name] for name in names] + [ESCROW, hex(42431)]
    return hex_hash(b"".join(int(each, 16).to_bytes(32, "big") for each in words))


def is_made_from(transaction, preimage):
    fields, whole = (rlp(bytes.fromhex(text[2:])[1:])[0] for text in (preimage, transaction))
    return whole[:-1] == fields


def has_hung_up(connection, seconds):
    ready, _, _ = select.select([connection], [], [], seconds)
    return bool(ready) and not connection.recv(1, socket.MSG_PEEK)
