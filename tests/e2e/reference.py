"""A correct MPP server in little Python, and the same with one thing wrong: `server.defect` names it.

GET /paid and POST /post cost 0.01 AlphaUSD on the local chain; the second one's challenges are bound to the body. The
discovery document is at /openapi.json. A defect stands where the correct server would do the right thing.
"""

import base64
import hashlib
import hmac
import http.server
import json
import secrets
import threading
import time
import urllib.request

ALPHA = "0x20c0000000000000000000000000000000000001"
PAYEE = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
SECRET = b"a secret of the tests"
SLOTS = ("realm", "method", "intent", "request", "expires", "digest", "opaque")


def canonical(value):
    return json.dumps(value, separators=(",", ":"), sort_keys=True)


def encode(value):
    text = value if isinstance(value, str) else canonical(value)
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def decode(text):
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


def moment(seconds=0):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))


def bound_id(params):
    """HMAC-SHA256 over the seven slots (draft-httpauth-payment-00, Challenge Binding)."""
    text = "|".join(params.get(slot, "") for slot in SLOTS)
    return encode_bytes(hmac.digest(SECRET, text.encode(), "sha256"))


def encode_bytes(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def digest_of(body):
    return "sha-256=:" + base64.b64encode(hashlib.sha256(body).digest()).decode() + ":"


class Refused(Exception):
    def __init__(self, kind, detail, status=402):
        super().__init__(detail)
        self.kind, self.status = kind, status


class Server:
    def __init__(self, rpc):
        self.rpc_url, self.defect, self.used, self.calls = rpc, None, set(), 0
        self.made = {}  # challenges by their ids
        self.sent = {}  # transactions, and their hashes
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self):
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                with owner.lock:
                    status, headers, content = owner.answer(self.command, self.path, self.headers, body)
                self.send_response(status)
                for name, value in headers:
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)

            do_GET = do_HEAD = do_POST = handle_any

            def log_message(self, *_):
                pass

        self.lock = threading.Lock()
        self.http = http.server.ThreadingHTTPServer(("0.0.0.0", 0), Handler)
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def stop(self):
        self.http.shutdown()
        self.http.server_close()

    def has(self, *defects):
        return self.defect in defects

    def reset(self, defect=None):
        self.defect = defect
        self.calls = 0
        self.used.clear()

    # ---- what it publishes

    def document(self):
        offer = {"intent": "charge", "method": "tempo", "amount": "10000", "currency": ALPHA}
        responses = {"200": {"description": "goods"}, "402": {"description": "Payment Required"}}
        schema = {"type": "object", "properties": {"q": {"type": "string"}}, "required": ["q"]}
        get = {"x-payment-info": {"offers": [offer]}, "responses": dict(responses)}
        post = {"x-payment-info": dict(offer), "responses": dict(responses),
                "requestBody": {"content": {"application/json": {"schema": schema}}}}
        document = {"openapi": "3.1.0", "info": {"title": "Reference", "version": "1"},
                    "x-service-info": {"categories": ["data"], "docs": {"homepage": "https://example.com/"}},
                    "paths": {"/paid": {"get": get}, "/post": {"post": post}}}
        if self.has("document-without-title"):
            del document["info"]["title"]
        if self.has("document-of-swagger-2"):
            document["openapi"] = "2.0"
        if self.has("document-service-links"):
            document["x-service-info"]["docs"]["homepage"] = "not a link"
        if self.has("document-amount-number"):
            post["x-payment-info"]["amount"] = 10000
        if self.has("document-amount-leading-zero"):
            post["x-payment-info"]["amount"] = "010000"
        if self.has("document-mixed-offers"):
            post["x-payment-info"]["offers"] = [offer]
        if self.has("document-without-402"):
            del get["responses"]["402"]
        if self.has("document-without-body"):
            del post["requestBody"]
        if self.has("document-other-price"):
            offer["amount"] = "20000"
        if self.has("document-other-offer"):
            get["x-payment-info"]["offers"].append({**offer, "intent": "session"})
        if self.has("document-without-prices"):
            for operation in (get, post):
                del operation["x-payment-info"], operation["responses"]["402"]
        return document

    def publish(self, path):
        if path == "/llms.txt":
            text = {"llms-empty": "", "llms-html": "<!doctype html><p>hello"}.get(self.defect, "# Reference\n")
            return 200, [("Content-Type", "text/plain")], text.encode()
        if self.has("document-500"):
            return 500, [], b"oops"
        headers = [] if self.has("document-without-cache") else [("Cache-Control", "max-age=300")]
        kind = "text/html" if self.has("document-as-html") else "application/json"
        text = json.dumps(self.document())
        if self.has("document-not-json"):
            text = text[:-1]
        if self.has("document-key-twice"):
            text = '{"openapi":"3.1.0",' + text[1:]
        return 200, [("Content-Type", kind), *headers], text.encode()

    # ---- challenges

    def terms(self):
        terms = {"amount": "10000", "currency": ALPHA, "recipient": PAYEE, "methodDetails": {"chainId": 42431}}
        details = terms["methodDetails"]
        changes = {
            "amount-number": lambda: terms.update(amount=10000),
            "amount-decimal": lambda: terms.update(amount="0.01"),
            "amount-hex": lambda: terms.update(amount="0x2710"),
            "amount-missing": lambda: terms.pop("amount"),
            "currency-missing": lambda: terms.pop("currency"),
            "recipient-missing": lambda: terms.pop("recipient"),
            "recipient-short": lambda: terms.update(recipient=PAYEE[:-2]),
            "expiry-in-request": lambda: terms.update(expires=moment(300)),
            "chain-text": lambda: details.update(chainId="42431"),
            "fee-payer-text": lambda: details.update(feePayer="true"),
            "memo-short": lambda: details.update(memo="0x1234"),
            "modes-empty": lambda: details.update(supportedModes=[]),
            "modes-unknown": lambda: details.update(supportedModes=["pull", "wire"]),
            "splits-take-all": lambda: details.update(splits=[{"amount": "10000", "recipient": PAYEE}]),
            "splits-zero": lambda: details.update(splits=[{"amount": "0", "recipient": PAYEE}]),
            "splits-empty": lambda: details.update(splits=[]),
            "recipient-changes": lambda: terms.update(recipient="0x" + f"{self.calls:040x}"),
        }
        changes.get(self.defect, lambda: None)()
        return terms

    def challenge(self, host, body):
        terms = self.terms()
        request = encode(terms)
        params = {"realm": host, "method": "tempo", "intent": "charge", "request": request, "expires": moment(300),
                  "opaque": encode({"nonce": secrets.token_hex(8)}), "description": "goods"}
        if body:
            params["digest"] = digest_of(body)
        changes = {
            "realm-missing": lambda: params.pop("realm"),
            "realm-other": lambda: params.update(realm="shop.example"),
            "method-upper-case": lambda: params.update(method="Tempo"),
            "method-missing": lambda: params.pop("method"),
            "intent-missing": lambda: params.pop("intent"),
            "request-missing": lambda: params.pop("request"),
            "request-not-json": lambda: params.update(request=encode("not json")),
            "request-not-object": lambda: params.update(request=encode([terms])),
            "request-key-twice": lambda: params.update(request=encode('{"amount":"1",' + canonical(terms)[1:])),
            "request-padded": lambda: params.update(request=base64.urlsafe_b64encode(
                canonical({**terms, "externalId": "x" * (4 - len(canonical(terms)) % 3)}).encode()).decode()),
            "request-not-canonical": lambda: params.update(request=encode(json.dumps(terms))),
            "expires-missing": lambda: params.pop("expires"),
            "expires-number": lambda: params.update(expires=str(int(time.time()) + 300)),
            "expires-past": lambda: params.update(expires=moment(-10)),
            "expires-soon": lambda: params.update(expires=moment(5)),
            "expires-in-a-year": lambda: params.update(expires=moment(365 * 86400)),
            "digest-other": lambda: params.update(digest=digest_of(b"something else")),
            "opaque-not-flat": lambda: params.update(opaque=encode({"nonce": {"deep": secrets.token_hex(8)}})),
            "description-hidden": lambda: params.update(description="goods\u202ecod"),
            "challenge-too-long": lambda: params.update(description="x" * 9000),
        }
        changes.get(self.defect, lambda: None)()
        identity = bound_id(params)
        if self.has("id-empty"):
            identity = ""
        if self.has("id-repeated"):
            identity = "always-the-same"
        fields = {"id": identity, **params}
        self.made[identity] = params
        if self.has("id-missing"):
            del fields["id"]
        text = "Payment " + ", ".join(f'{name}="{value}"' for name, value in fields.items())
        if self.has("parameter-twice"):
            text += ', realm="again"'
        if self.has("quote-open"):
            text += ', note="open'
        return text.encode().decode("latin1")

    def payment_required(self, host, body, refused=None):
        """The 402 of a request without a credential, or with one that is refused."""
        status = 402 if refused is None else refused.status
        kind = "payment-required" if refused is None else refused.kind
        headers = []
        where = "refusal" if refused else "challenge"
        if not self.has(where + "-cacheable"):
            headers.append(("Cache-Control", "no-store"))
        if self.has(where + "-with-receipt"):
            headers.append(("Payment-Receipt", encode(self.receipt("0x" + "ab" * 32))))
        if not self.has(where + "-without-challenge"):
            headers.append(("WWW-Authenticate", self.challenge(host, body)))
        if self.has("id-twice") and refused is None:
            headers.append(headers[-1])
        if self.has("other-scheme-only") and refused is None:
            headers[-1] = ("WWW-Authenticate", 'Basic realm="x"')
        if self.has("x402-broken") and refused is None:
            headers.append(("Payment-Required", "bm90IGpzb24="))
        problem = {"type": "https://paymentauth.org/problems/" + kind, "title": "Payment Required", "status": status,
                   "detail": str(refused or "pay first")}
        if self.has(where + "-without-problem"):
            return status, [*headers, ("Content-Type", "text/plain")], b"no"
        if self.has("problem-status") and refused is None:
            problem["status"] = 400
        return status, [*headers, ("Content-Type", "application/problem+json")], json.dumps(problem).encode()

    # ---- payments

    def rpc(self, method, *params):
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
        request = urllib.request.Request(self.rpc_url, body, {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as reply:
            result = json.load(reply)
        if "error" in result:
            raise Refused("verification-failed", result["error"]["message"])
        return result["result"]

    def receipt(self, reference):
        receipt = {"method": "tempo", "reference": reference, "status": "success", "timestamp": moment()}
        changes = {
            "receipt-status": lambda: receipt.update(status="paid"),
            "receipt-method": lambda: receipt.update(method="stripe"),
            "receipt-reference": lambda: receipt.update(reference="order 7"),
            "receipt-other-transaction": lambda: receipt.update(reference="0x" + "cd" * 32),
            "receipt-time": lambda: receipt.update(timestamp="yesterday"),
            "receipt-old": lambda: receipt.update(timestamp=moment(-3600)),
        }
        changes.get(self.defect, lambda: None)()
        return receipt

    def read_credential(self, value):
        try:
            credential = json.loads(decode(value[len("Payment "):]))
            challenge, payload = credential["challenge"], credential["payload"]
            if not all(isinstance(text, str) for text in challenge.values()) or not isinstance(payload, dict):
                raise ValueError
            return credential, challenge, payload
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            kind = 500 if self.has("malformed-500") else 402
            raise Refused("malformed-credential", "this is no credential", kind) from error

    def check_challenge(self, challenge, body):
        """What has to be refused, one rule after the other."""
        expected = bound_id(challenge)
        unbound = {"expiry-unbound": "expires", "request-unbound": "request", "realm-unbound": "realm"}.get(self.defect)
        if unbound:
            expected = bound_id({**challenge, unbound: self.made.get(challenge.get("id"), {}).get(unbound, "")})
        if self.has("id-unbound"):
            expected = challenge.get("id", "")
        if not hmac.compare_digest(challenge.get("id", ""), expected) and not self.has("id-repeated"):
            raise Refused("invalid-challenge", "this challenge was never made",
                          500 if self.has("unknown-challenge-500") else 402)
        if challenge.get("expires", moment(1)) < moment():
            raise Refused("payment-expired", "too late")
        if challenge["id"] in self.used and not self.has("replay-taken"):
            raise Refused("invalid-challenge", "this challenge was used")
        if "digest" in challenge and challenge["digest"] != digest_of(body) and not self.has("digest-ignored"):
            raise Refused("verification-failed", "another body")

    def take(self, value, body):
        """The reference of the transaction that a credential pays with."""
        _, challenge, payload = self.read_credential(value)
        if self.has("wrong-method-500") and challenge.get("method") != "tempo":
            raise Refused("method-unsupported", "what?", 500)
        if self.has("large-431") and len(value) > 3000:
            raise Refused("malformed-credential", "too large", 431)
        if self.has("invalid-proof-500") and len(value) < 3000 and self.is_genuine(challenge) and "type" in payload:
            raise Refused("verification-failed", "what?", 500)
        self.check_challenge(challenge, body)
        if payload.get("type") != "transaction":
            raise Refused("verification-failed", "no transaction")
        if self.has("valid-payment-refused"):
            raise Refused("verification-failed", "not today")
        if self.has("never-settles"):
            self.used.add(challenge["id"])
            return "0x" + "ab" * 32
        signature = payload["signature"]
        if signature in self.sent:  # the rail takes it once
            return self.sent[signature]
        reference = self.rpc("eth_sendRawTransactionSync", signature)["transactionHash"]
        self.sent[signature] = reference
        self.used.add(challenge["id"])
        return reference

    def is_genuine(self, challenge):
        return challenge.get("id") == bound_id(challenge)

    def answer(self, method, path, headers, body):
        self.calls += 1
        path = path.split("?")[0]
        if path in ("/openapi.json", "/llms.txt"):
            return self.publish(path)
        if path == "/api/openapi.json" or (path, method) not in (("/paid", "GET"), ("/paid", "HEAD"), ("/post", "POST")):
            return 404, [], b""
        if self.has("head-500") and method == "HEAD":
            return 500, [], b""
        if self.has("free"):
            return 200, [], b"goods"
        if self.has("status-500"):
            return 500, [], b""
        if method == "POST" and not body:
            return 400, [], b"a body is needed"
        host = headers.get("host").split(":")[0]
        value = headers.get("authorization") or ""
        if not value.startswith("Payment"):
            if value and self.has("bearer-500"):
                return 500, [], b""
            if self.has("pays-for-all") and self.used:
                return 200, [("Content-Type", "text/plain")], b"goods"
            return self.payment_required(host, body)
        return self.answer_payment(host, value, body)

    def answer_payment(self, host, value, body):
        try:
            reference = self.take(value, body)
        except Refused as refused:
            if self.has("credential-in-body"):
                refused = Refused(refused.kind, "not taken: " + value, refused.status)
            status, headers, content = self.payment_required(host, body, refused)
            if self.has("replay-receipt") and self.used:
                headers.append(("Payment-Receipt", encode({"status": "success"})))
            return status, headers, content
        headers = [("Content-Type", "text/plain"), ("Cache-Control", "private"),
                   ("Payment-Receipt", encode(self.receipt(reference)))]
        drops = {"paid-without-type": "Content-Type", "paid-cacheable": "Cache-Control", "receipt-missing": "Payment-Receipt"}
        headers = [(name, text) for name, text in headers if name != drops.get(self.defect)]
        if self.has("paid-public"):
            headers[1] = ("Cache-Control", "public, max-age=60")
        if self.has("receipt-not-base64"):
            headers[2] = ("Payment-Receipt", json.dumps(self.receipt(reference)))
        if self.has("receipt-padded"):
            headers[2] = ("Payment-Receipt", base64.urlsafe_b64encode(
                canonical({**self.receipt(reference), "x": "y" * (4 - len(canonical(self.receipt(reference))) % 3)}).encode()).decode())
        return (500 if self.has("paid-500") else 200), headers, b"" if self.has("paid-empty") else b"goods"
