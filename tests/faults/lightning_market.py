"""Lightning's other side: a server that takes preimages, and the user's wallet, which is Core Lightning's clnrest here.

The wallet pays a hash once. What else it does with the payments that it is asked for is scripted, one word for each, in
their order; behind the script all goes well:

    lost question   the connection breaks, and nothing is paid
    lost answer     it is paid, and the connection breaks
    pending         the connection breaks; look-ups find it on its way twice, then paid
    no route        it says that it could not pay
    hangs, hangs unpaid   no answer until the client hangs up
"""

import base64
import copy
import dataclasses
import hashlib
import json
import re
import threading

from bolt11 import mint
from hostile import Close, after, answer, challenge, encode, payment_required
from market import Market
from session_market import has_hung_up

SATS, FEE = 100, 1500  # the price; what routing costs, in millisatoshi
LIFETIME = 50  # seconds that an offer can be paid and taken
RUNE = "cnVuZS1vZi10aGUtZmF1bHQtbGFi"


@dataclasses.dataclass
class Invoice:
    identity: str  # of its challenge
    request: str
    preimage: bytes
    text: str
    ends: float
    state: str = "never"  # failed, pending, complete: as the wallet sees it
    glances: int = 0  # look-ups that still find it on its way


class LightningMarket(Market):
    """The ledger maps the payment hash of what was paid to millisatoshi. A preimage is taken once."""

    def __init__(self, *script):
        self.books, self.script_of_run, self.kept = threading.RLock(), script, ({}, {}, {})
        super().__init__({}, replay="refuse")

    @property
    def environment(self):
        return {"PAYCURL_WALLET": f"clnrest+http://127.0.0.1:{self.port}?rune={RUNE}&network=regtest"}

    def keep(self):
        self.kept = copy.deepcopy((self.invoices, self.ledger, self.offered))

    def forget(self):
        super().forget()
        self.invoices, self.ledger, self.offered = copy.deepcopy(self.kept)
        self.script, self.asked_again = list(self.script_of_run), []

    def sell(self, request, connection):
        with self.books:
            if request.path.startswith("/v1/"):
                reply = self.wallet(request)
            elif request.credential is None:
                reply = payment_required(self.offer())
            else:
                reply = self.take(request.credential)
        if reply is None:
            while not has_hung_up(connection, 0.01):
                pass
            raise Close
        return reply

    # ---- the server

    def offer(self):
        identity = f"l{len(self.offered) + 1:04}"
        preimage = hashlib.sha256(f"{self.port} {identity}".encode()).digest()
        payment_hash = hashlib.sha256(preimage).digest()
        text = mint(payment_hash, SATS * 1000, int(self.now()), LIFETIME)
        terms = {"amount": str(SATS), "currency": "sat", "methodDetails": {
            "invoice": text, "paymentHash": payment_hash.hex(), "network": "regtest"}}
        self.offered[identity] = payment_hash.hex()
        self.invoices[payment_hash.hex()] = Invoice(identity, encode(terms), preimage, text, self.now() + LIFETIME)
        return challenge(terms, method="lightning", identity=identity, expires=after(self.ahead + LIFETIME))

    def take(self, credential):
        identity, preimage = credential["challenge"]["id"], credential["payload"]["preimage"]
        key = hashlib.sha256(bytes.fromhex(preimage)).hexdigest()
        self.arrived("proof", key, identity, None)
        invoice = self.invoices.get(key)
        if invoice is None or self.offered.get(identity) != key or credential["challenge"]["request"] != invoice.request:
            return self.refuse("invalid-preimage")
        if key in self.served:
            return self.refuse(f"{preimage} was used before")  # a server that tells what it must not
        if invoice.ends < self.now():
            return self.refuse("expired-invoice")
        told = encode({"method": "lightning", "challengeId": identity, "reference": key, "status": "success",
                       "timestamp": after(0)})
        self.served[key] = answer(200, self.body, ["Payment-Receipt: " + told])
        return self.served[key]

    def refuse(self, why):
        return payment_required(self.offer(), body=json.dumps({"title": why}),
                                headers=["Content-Type: application/problem+json"])

    # ---- the wallet

    def wallet(self, request):
        if request.headers.get("rune") != RUNE:
            return said(401, {"code": 1501, "message": "Not authorized"})
        question = json.loads(request.body)
        if request.path == "/v1/xpay":
            return self.pay(question)
        if request.path == "/v1/listpays":
            return said(201, {"pays": self.look_up(question["payment_hash"])})
        return said(404, {"code": -32601, "message": "Unknown command"})

    def pay(self, question):
        key, invoice = next((key, each) for key, each in self.invoices.items() if each.text == question["invstring"])
        if invoice.state in ("pending", "complete"):
            self.asked_again.append(key)
            return said(500, {"code": 219, "message": "This invoice was already paid"})
        word = self.script.pop(0) if self.script else ""
        self.arrived("payment", key, invoice.identity, invoice.text)
        dear = int(question["maxfee"].removesuffix("msat")) < FEE
        if dear or word == "no route" or invoice.ends < self.now():
            invoice.state = "failed"
            self.arrivals.remove(("payment", key))  # it came to nothing
            return said(500, {"code": 205, "message": "Failed: could not find a route"})
        if word == "lost question":
            raise Close
        if word == "hangs unpaid":
            return None
        self.ledger[key] = SATS * 1000
        invoice.state = "pending" if word == "pending" else "complete"
        invoice.glances = 2
        if word in ("lost answer", "pending"):
            raise Close
        return None if word == "hangs" else said(201, {
            "payment_preimage": invoice.preimage.hex(), "amount_msat": SATS * 1000,
            "amount_sent_msat": SATS * 1000 + FEE, "failed_parts": 0, "successful_parts": 1})

    def look_up(self, key):
        invoice = self.invoices.get(key)
        if invoice is None or invoice.state == "never":
            return []
        entry = {"payment_hash": key, "status": invoice.state}
        if invoice.state == "pending":
            invoice.glances -= 1
            invoice.state = "pending" if invoice.glances > 0 else "complete"
        elif invoice.state == "complete":
            entry.update(preimage=invoice.preimage.hex(), amount_msat=SATS * 1000, amount_sent_msat=SATS * 1000 + FEE)
        return [entry]

    # ---- what the journal must know by now

    @staticmethod
    def is_row_of(row, kind, key, identity, text):
        if row["status"] not in ("unknown", "settled") or (row["challenge_id"], row["reference"]) != (identity, key):
            return False
        return kind == "proof" or json.loads(row["rebuild"])["invoice"] == text

    def secrets(self):
        """Every way to write what must not be seen."""
        shapes = [RUNE.encode()]
        for invoice in self.invoices.values():
            if invoice.state in ("pending", "complete"):
                text = invoice.preimage.hex().encode()
                shapes += [invoice.preimage, text, *(in_base64(text, offset) for offset in range(3))]
        return re.compile(b"|".join(re.escape(shape) for shape in shapes), re.IGNORECASE)


def in_base64(data, offset):
    """The middle of what encodes it when so many bytes stand before it."""
    return base64.b64encode(bytes(offset) + data)[4:-4]


def said(status, value):
    return answer(status, json.dumps(value), ["Content-Type: application/json"])
