#!/usr/bin/env python3
"""A Lightning charge beside what it cannot do without, as a ratio.

    tests/bench/lightning.py [runs]        PAYCURL names the binary (default: build/release/paycurl)

One curl process that makes the same exchanges: the request without payment, the node's payment of an invoice (of a charge
that was asked for beforehand), and a request that is answered. What paycurl adds is reading and checking the invoice, the
journal, and the proof.
"""

import base64
import json
import re
import ssl
import sys
import urllib.error
import urllib.parse
import urllib.request

from run import PAYCURL, RUNS, Home, compare, which
from lab import Lightning


def invoice_of(url, context):
    """The invoice in a fresh 402."""
    try:
        urllib.request.urlopen(url, context=context)
    except urllib.error.HTTPError as answer:
        request = re.search(r'request="([^"]+)"', answer.headers["WWW-Authenticate"])[1]
        text = base64.urlsafe_b64decode(request + "=" * (-len(request) % 4))
        return json.loads(text)["methodDetails"]["invoice"]
    raise RuntimeError("the charge is free")


def main():
    net = Lightning()
    context = ssl.create_default_context(cafile=net.certificate)
    curl = which("curl")
    node = urllib.parse.urlsplit(net.wallets["lnd"])
    secret = urllib.parse.parse_qs(node.query)["macaroon"][0]
    macaroon = base64.urlsafe_b64decode(secret + "=" * (-len(secret) % 4)).hex()
    url = f"{net.https}/charge?amount=1"
    homes = {kind: Home(key=None, PAYCURL_WALLET=net.wallets[kind] + "&network=regtest", CURL_CA_BUNDLE=net.certificate)
             for kind in ("lnd", "nwc")}
    free = Home(key=None, CURL_CA_BUNDLE=net.certificate)

    def pieces():
        body = json.dumps({"payment_request": invoice_of(url, context), "fee_limit_sat": "10", "timeout_seconds": 50,
                           "no_inflight_updates": True})
        ca = ["--cacert", net.certificate, "-s"]
        return [curl, *ca, url, "--next", *ca, "-H", "Grpc-Metadata-macaroon: " + macaroon, "-d", body,
                f"https://{node.netloc}/v2/router/send", "--next", *ca, f"{net.https}/free"], free.env

    charge = lambda kind: lambda: ([PAYCURL, "-s", url], homes[kind].env)
    try:
        print(f"{RUNS} pairs; A / B = ratio\n")
        compare("charge over LND REST, beside its exchanges", charge("lnd"), pieces)
        compare("charge over Nostr Wallet Connect, beside LND", charge("nwc"), charge("lnd"))
    finally:
        net.stop()


if __name__ == "__main__":
    sys.exit(main())
