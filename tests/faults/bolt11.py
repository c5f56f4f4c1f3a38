"""Lightning invoices as BOLT 11 writes them, with the fields that a payer must find."""

import hashlib

ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141
BASE_X = 0x79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798  # of the generator; its y is even
KEY = int.from_bytes(b"\x42" * 32, "big")  # the payee's, and no secret
FEATURES = [16, 8, 0]  # 8, onions of variable length, and 14, payment secrets


def groups_of(data):
    """Bytes as numbers of 5 bits, zeros behind them."""
    number, count = int.from_bytes(data, "big"), (len(data) * 8 + 4) // 5
    return number_groups(number << (count * 5 - len(data) * 8), count)


def number_groups(number, count):
    return [number >> (5 * place) & 31 for place in reversed(range(count))]


def bytes_of(groups):
    """The reverse, with zeros behind them up to a whole byte."""
    number = 0
    for group in groups:
        number = number << 5 | group
    size = (len(groups) * 5 + 7) // 8
    return (number << (size * 8 - len(groups) * 5)).to_bytes(size, "big")


def field(letter, groups):
    return [ALPHABET.index(letter), len(groups) // 32, len(groups) % 32, *groups]


def signature(message):
    """r, s and the recovery id. The nonce is always 1, so that no point of the curve has to be computed: whoever has
    one invoice can work out the key."""
    s = (int.from_bytes(hashlib.sha256(message).digest(), "big") + BASE_X * KEY) % ORDER
    parity = int(s > ORDER // 2)
    return BASE_X.to_bytes(32, "big") + min(s, ORDER - s).to_bytes(32, "big") + bytes([parity])


def checksum(prefix, groups):
    """That of bech32 (BIP 173)."""
    remainder = 1
    for value in [*(ord(c) >> 5 for c in prefix), 0, *(ord(c) & 31 for c in prefix), *groups, 0, 0, 0, 0, 0, 0]:
        top = remainder >> 25
        remainder = (remainder & 0x1ffffff) << 5 ^ value
        for bit, generator in enumerate((0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3)):
            remainder ^= generator if top >> bit & 1 else 0
    return number_groups(remainder ^ 1, 6)


def mint(payment_hash, millisats, created, lifetime, description="goods", network="bcrt"):
    """An invoice: the hash is 32 bytes, the times are whole seconds."""
    prefix = f"ln{network}{millisats * 10}p"
    groups = [*number_groups(created, 7), *field("p", groups_of(payment_hash)), *field("s", groups_of(b"\x11" * 32)),
              *field("d", groups_of(description.encode())), *field("9", FEATURES),
              *field("x", number_groups(lifetime, max(1, (lifetime.bit_length() + 4) // 5)))]
    groups += groups_of(signature(prefix.encode() + bytes_of(groups)))
    return prefix + "1" + "".join(ALPHABET[group] for group in groups + checksum(prefix, groups))
