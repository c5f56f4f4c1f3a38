"""The other side: a paid server with its chain's node, and the ledger that paycurl's journal is compared with.

Credentials are verified by structure, not by signature. At the moment one arrives, or a transaction is broadcast, the
journal must have a durable row for it: `Market.journal` is how a sweep says what is durable.
"""

import json
import os
import pathlib
import shutil
import socket
import sqlite3
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))
from hostile import (  # noqa: E402
    Server, Transaction, after, answer, challenge, charge, payment_required, receipt, rlp)

ROTATIONS = ((0, 36, 3, 41, 18), (1, 44, 10, 45, 2), (62, 6, 43, 15, 61), (28, 55, 25, 21, 56), (27, 20, 39, 8, 14))


def round_constants():
    state = 1
    for _ in range(24):
        constant = 0
        for bit in range(7):
            if state & 1:
                constant |= 1 << ((1 << bit) - 1)
            state = (state << 1) ^ (0x171 if state & 0x80 else 0)
        yield constant


CONSTANTS = tuple(round_constants())


def rotated(word, by):
    return ((word << by) | (word >> (64 - by))) & (2**64 - 1)


def keccak(data):
    """Keccak-256, that of Ethereum; hashlib only has the later standard."""
    data += b"\x01" + bytes(-(len(data) + 1) % 136)
    data = data[:-1] + bytes([data[-1] | 0x80])
    a = [[0] * 5 for _ in range(5)]
    for start in range(0, len(data), 136):
        for i in range(17):
            a[i % 5][i // 5] ^= int.from_bytes(data[start + 8 * i:start + 8 * i + 8], "little")
        for constant in CONSTANTS:
            c = [a[x][0] ^ a[x][1] ^ a[x][2] ^ a[x][3] ^ a[x][4] for x in range(5)]
            d = [c[x - 1] ^ rotated(c[(x + 1) % 5], 1) for x in range(5)]
            b = [[0] * 5 for _ in range(5)]
            for x in range(5):
                for y in range(5):
                    b[y][(2 * x + 3 * y) % 5] = rotated(a[x][y] ^ d[x], ROTATIONS[x][y])
            a = [[b[x][y] ^ (~b[(x + 1) % 5][y] & b[(x + 2) % 5][y]) for y in range(5)] for x in range(5)]
            a[0][0] ^= constant
    return b"".join(a[i % 5][i // 5].to_bytes(8, "little") for i in range(4))


def hex_hash(data):
    return "0x" + keccak(data).hex()


def proof_digest(chain, payer, identity, realm):
    """What a proof of amount 0 signs (EIP-712)."""
    domain = keccak(keccak(b"EIP712Domain(string name,string version,uint256 chainId)") + keccak(b"MPP") + keccak(b"3")
                    + chain.to_bytes(32, "big"))
    proof = keccak(keccak(b"Proof(address account,string challengeId,string realm)")
                   + bytes.fromhex(payer[2:]).rjust(32, b"\0") + keccak(identity.encode()) + keccak(realm.encode()))
    return hex_hash(b"\x19\x01" + domain + proof)


def read_journal(folder, table="payments"):
    """The rows of a table of the journal in this folder, from a copy: reading must not disturb a running paycurl."""
    with tempfile.TemporaryDirectory(prefix="paycurl-journal-") as copy:
        for name in ("paycurl.db", "paycurl.db-wal", "paycurl.db-journal"):
            if (folder / name).exists():
                shutil.copy(folder / name, copy)
        path = os.path.join(copy, "paycurl.db")
        if not os.path.exists(path):
            return []
        database = sqlite3.connect(path)
        try:
            database.row_factory = sqlite3.Row
            if not database.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)).fetchone():
                return []
            return [dict(row) for row in database.execute(f"SELECT * FROM {table} ORDER BY seq")]
        finally:
            database.close()


class Market(Server):
    """Sells `body` for what `terms` say. A ledger maps what moved money (a transaction's hash, a proof's challenge) to
    the amount; `arrivals` are the credentials and broadcasts in order, `unrecorded` those the journal did not know."""

    def __init__(self, terms=None, body=b"goods", replay="same"):
        self.stopped = threading.Event()
        super().__init__(self.sell)
        self.terms, self.body, self.replay = terms or charge(), body, replay
        self.journal = None  # a function that returns a table's durable rows; None: not looked at
        self.lock, self.talking = threading.Lock(), 0
        self.forget()

    @property
    def environment(self):
        """What paycurl has to be told to pay here, beyond its key."""
        return {}

    def keep(self):
        """What is there now is what `forget` goes back to."""

    def forget(self):
        self.requests.clear()
        self.offered, self.ledger, self.served, self.chain = {}, {}, {}, {}
        self.arrivals, self.unrecorded, self.ahead = [], [], 0
        self.make_node_honest()
        self.node_time = self.now

    def stop(self):
        """Only when nobody accepts any more may the next market get the descriptor."""
        self.stopping = True
        self.socket.shutdown(socket.SHUT_RDWR)
        self.stopped.wait(5)
        self.socket.close()

    def serve(self):
        super().serve()
        self.stopped.set()

    def now(self):
        return time.time() + self.ahead

    def talk(self, connection):
        with self.lock:
            self.talking += 1
        try:
            super().talk(connection)
        finally:
            with self.lock:
                self.talking -= 1

    def rest(self):
        """Waits until all that dead clients sent has been dealt with."""
        end = time.monotonic() + 5
        while self.talking and time.monotonic() < end:
            time.sleep(0.001)

    # ---- selling

    def sell(self, request, connection):
        credential = request.credential
        if credential is None:
            with self.lock:
                identity = f"c{len(self.offered) + 1:04}"
                self.offered[identity] = None
            return payment_required(challenge(self.terms, identity=identity, expires=after(self.ahead + 300)))
        return self.take(credential)

    def take(self, credential):
        """The answer to a credential. Each kind has a key: what it is in the ledger."""
        identity, payload = credential["challenge"]["id"], credential["payload"]
        kind = payload["type"]
        if kind == "transaction":
            key = hex_hash(bytes.fromhex(payload["signature"][2:]))
        else:
            key = payload["hash"] if kind == "hash" else identity
        self.arrived(kind, key, identity, payload.get("signature"))
        if identity not in self.offered:
            return self.refuse("unknown challenge")
        if key in self.served:
            return self.served[key] if self.replay == "same" else self.refuse("used before")
        if kind == "transaction" and not self.mine(payload["signature"], key):
            return self.refuse("expired")
        if kind == "hash" and key not in self.chain:
            return self.refuse("no such transaction")
        if kind == "proof":
            self.ledger[key] = 0
        return self.deliver(key)

    def deliver(self, key):
        self.served[key] = answer(200, self.body, [receipt(key if key.startswith("0x") else "0x" + "00" * 32)])
        return self.served[key]

    def refuse(self, why):
        return payment_required(challenge(self.terms, identity="again"), body=json.dumps({"title": why}),
                                headers=["Content-Type: application/problem+json"])

    # ---- the chain

    def mine(self, raw, key):
        transaction = Transaction(raw)
        if key not in self.chain and transaction.valid_before <= self.now():
            return False
        self.chain[key] = self.ledger[key] = transaction.amount
        return True

    def reply(self, call):
        result = {"jsonrpc": "2.0", "id": call["id"]}
        if call["method"].startswith("eth_sendRawTransaction"):
            raw = call["params"][0]
            key = hex_hash(bytes.fromhex(raw[2:]))
            self.arrived("broadcast", key, None, raw)
            mined = self.mine(raw, key)
            return {**result, "result": {"status": "0x1"}} if mined else {
                **result, "error": {"code": -32000, "message": "transaction expired"}}
        if call["method"] == "eth_getTransactionReceipt":
            return {**result, "result": {"status": "0x1"} if call["params"][0] in self.chain else None}
        return super().reply(call)

    # ---- what the journal must know by now

    def arrived(self, kind, key, identity, signed):
        self.arrivals.append((kind, key))
        if self.journal is None:
            return
        try:
            if not self.is_recorded(kind, key, identity, signed):
                self.unrecorded.append(f"{kind} {key} left before its row was durable")
        except sqlite3.Error as error:
            self.unrecorded.append(f"{kind} {key}: the journal cannot be read: {error}")

    def is_recorded(self, kind, key, identity, signed):
        return any(self.is_row_of(row, kind, key, identity, signed) for row in self.journal())

    @staticmethod
    def is_row_of(row, kind, key, identity, signed):
        if row["status"] not in ("unknown", "settled") or not row["signed_digest"]:
            return False
        if identity is not None and row["challenge_id"] != identity:
            return False
        if kind == "proof":
            chain = int(row["network"].split(":")[1])
            realm = json.loads(row["challenge"])["realm"]
            return same_hex(row["signed_digest"], proof_digest(chain, row["payer"], row["challenge_id"], realm))
        if row["reference"] != key:
            return False
        if kind == "hash":
            return True
        preimage = bytes.fromhex(json.loads(row["rebuild"])["preimage"][2:])
        fields = rlp(bytes.fromhex(signed[2:])[1:])[0]
        return same_hex(row["signed_digest"], hex_hash(preimage)) and fields[:-1] == rlp(preimage[1:])[0]


def same_hex(one, other):
    return one.lower().removeprefix("0x") == other.lower().removeprefix("0x")
