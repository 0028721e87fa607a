"""Checks the known answers of a recipient that nobody holds, with arithmetic of its own.

The curve's formulae are those of RFC 7748 and RFC 8032; of packages it needs `cryptography` alone.
The vectors hold all three shares, so the group's secret can be formed here: it is a test's.
"""

import hmac
import json
import sys
from base64 import b64decode, b64encode
from itertools import combinations

from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
CHARSET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"


def add(one, other):
    (x1, y1), (x2, y2) = one, other
    product = D * x1 * x2 * y1 * y2
    x = (x1 * y2 + x2 * y1) * pow(1 + product, -1, P) % P
    return x, (y1 * y2 + x1 * x2) * pow(1 - product, -1, P) % P


def times(scalar, point):
    total = (0, 1)
    while scalar:
        if scalar & 1:
            total = add(total, point)
        point = add(point, point)
        scalar >>= 1
    return total


def decompress(encoded):
    y = int.from_bytes(encoded, "little")
    sign, y = y >> 255, y & (2**255 - 1)
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * pow(2, (P - 1) // 4, P) % P
    assert x * x % P == square, "no point"
    return (x if x & 1 == sign else P - x), y


def u_of(point):
    return ((1 + point[1]) * pow(1 - point[1], -1, P) % P).to_bytes(32, "little")


def ladder(scalar, u):
    """RFC 7748, section 5, without clamping."""
    x1 = int.from_bytes(u, "little")
    x2, z2, x3, z3 = 1, 0, x1, 1
    for bit in reversed(range(256)):
        if scalar >> bit & 1:
            x2, z2, x3, z3 = x3, z3, x2, z2
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        da, cb = d * a, c * b
        n3, m3 = (da + cb) ** 2 % P, x1 * (da - cb) ** 2 % P
        e = (a * a - b * b) % P
        n2, m2 = a * a * b * b % P, e * (a * a + 121665 * e) % P
        x2, z2, x3, z3 = (n3, m3, n2, m2) if scalar >> bit & 1 else (n2, m2, n3, m3)
    return (x2 * pow(z2, -1, P) % P).to_bytes(32, "little")


def lagrange(number, numbers):
    factor = 1
    for other in numbers:
        if other != number:
            factor = factor * other * pow(other - number, -1, L) % L
    return factor


def bech32_bytes(text):
    values = [CHARSET.index(character) for character in text[4:-6]]
    bits = "".join(f"{value:05b}" for value in values)[:256]
    return int(bits, 2).to_bytes(32, "big")


def hkdf(secret, salt, info):
    return HKDF(algorithm=SHA256(), length=32, salt=salt, info=info).derive(secret)


def main():
    vectors = json.load(open(sys.argv[1], encoding="utf-8"))
    of = lambda name: bytes.fromhex(vectors[name])
    base = decompress((4 * pow(5, -1, P) % P).to_bytes(32, "little"))
    shares = {one["number"]: int.from_bytes(bytes.fromhex(one["share"]), "little")
              for one in vectors["holders"]}
    parts = {one["number"]: decompress(bytes.fromhex(one["part"])) for one in vectors["holders"]}
    group = decompress(of("group_key"))
    public = u_of(group)
    assert bech32_bytes(vectors["recipient"]) == public
    ephemeral = of("ephemeral_share")
    for one in vectors["holders"]:
        number = one["number"]
        assert times(shares[number], base) == decompress(bytes.fromhex(one["public_share"]))
        # The ladder knows nothing of the Edwards form: the part's u is share * ephemeral.
        assert ladder(shares[number], ephemeral) == u_of(parts[number])
    agreed, quorums = set(), 0
    for quorum in combinations(sorted(shares), vectors["threshold"]):
        secret = sum(lagrange(one, quorum) * shares[one] for one in quorum) % L
        assert times(secret, base) == group
        total = (0, 1)
        for one in quorum:
            total = add(total, times(lagrange(one, quorum), parts[one]))
        assert u_of(total) == ladder(secret, ephemeral)
        wrap = hkdf(u_of(total), ephemeral + public, b"age-encryption.org/v1/X25519")
        quorums += 1
        agreed.add(ChaCha20Poly1305(wrap).decrypt(bytes(12), of("wrapped_file_key"), b""))
    assert agreed == {of("file_key")}
    (file_key,) = agreed

    header, rest = of("age_file").split(b"\n--- ", 1)
    mac, payload = rest.split(b"\n", 1)
    lines = header.split(b"\n")
    assert b"-> X25519 " + unpadded(ephemeral) in lines
    expected = hmac.digest(hkdf(file_key, b"", b"header"), header + b"\n---", "sha256")
    assert b64decode(mac + b"=") == expected
    stream = ChaCha20Poly1305(hkdf(file_key, payload[:16], b"payload"))
    assert stream.decrypt(bytes(11) + b"\x01", payload[16:], b"") == of("plain")
    print(f"{quorums} quorums agree; {len(parts)} parts; the file opens")


def unpadded(data):
    return b64encode(data).rstrip(b"=")


main()
