#!/usr/bin/env python3
"""A second reader of the vault, written from docs/formats alone: lists recovery points and restores
the sources of one, from any k site folders. It believes nothing that is not signed or hashed.

    pip install blake3 zstandard cryptography
    read.py list    --root PUBLIC-KEY SITE...
    read.py restore --root PUBLIC-KEY --identity FILE --point POINT --to DIR SITE...

SITE is a site's folder, in the configuration's order; one that is gone is named all the same.
"""
import argparse, base64, hashlib, hmac, os, struct, sys
from blake3 import blake3
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
import zstandard

PARITY = 8


class Bad(Exception):
    """Something that is not what was signed."""


class TooFew(Exception):
    """Fewer than k shards of something are left."""


def require(holds, what):
    if not holds:
        raise Bad(what)


# --- canonical encoding (docs/formats/types.md) -------------------------------------------------
class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        require(self.at + count <= len(self.data), "it ends too early")
        self.at += count
        return self.data[self.at - count:self.at]

    def int(self):
        value = shift = 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                require(byte or not shift, "an integer in a longer form")
                return value
            shift += 7

    def bytes(self):
        return self.take(self.int())

    def text(self):
        return self.bytes().decode()

    def list(self, item):
        return [item() for _ in range(self.int())]

    def option(self, item):
        return item() if self.take(1)[0] else None

    def end(self):
        require(self.at == len(self.data), "something stands behind its end")


def hash_of(data):
    return blake3(data).digest()


# --- signed objects -----------------------------------------------------------------------------
def certificate(data, root):
    r = Reader(data)
    require(r.take(5) == b"EVKC\x01", "no certificate")
    domain, lineage = r.text(), r.take(16)
    r.option(lambda: (r.take(16), r.int(), r.take(32)))
    writer = r.take(32)
    r.int()
    signed = data[:r.at]
    Ed25519PublicKey.from_public_bytes(root).verify(
        r.take(64), b"evenkeel vault certificate v1\0" + signed)
    r.end()
    return {"domain": domain, "lineage": lineage, "writer": writer, "hash": hash_of(data)}


def revocation(data, root, expected):
    r = Reader(data)
    require(r.take(5) == b"EVKX\x01", "no revocation")
    of = (r.text(), r.take(16))
    last = r.int()
    r.take(32), r.int()
    signed = data[:r.at]
    Ed25519PublicKey.from_public_bytes(root).verify(
        r.take(64), b"evenkeel vault revocation v1\0" + signed)
    r.end()
    require(of == expected, "of another lineage")
    return last


def rewrapped(data, root, expected):
    """The age file in a key wrapped anew, which the root signed for this very period."""
    r = Reader(data)
    require(r.take(5) == b"EVKY\x01", "no key wrapped anew")
    of = (r.text(), r.take(16), r.int(), r.take(32))
    r.int()
    age = r.bytes()
    signed = data[:r.at]
    Ed25519PublicKey.from_public_bytes(root).verify(
        r.take(64), b"evenkeel vault re-wrap v1\0" + signed)
    r.end()
    require(of == expected, "wrapped for another period")
    return age


def record(data, writer):
    r = Reader(data)
    require(r.take(5) == b"EVKR\x01", "no record")
    begins, h = r.at, {"hash": hash_of(data)}
    h["domain"], h["lineage"], h["counter"] = r.text(), r.take(16), r.int()
    h["previous"], h["time_ns"] = r.take(32), r.int()
    kind = r.take(1)[0]
    require(kind <= 2, "a record of an unknown kind")
    h["kind"] = ["tail", "heartbeat", "point"][kind]
    h["at"] = [lambda: (r.int(), r.int()), lambda: r.option(r.int),
               lambda: (r.int(), r.take(1)[0])][kind]()
    r.option(r.int), r.option(r.int)
    h["k"], h["n"] = r.int(), r.int()
    h["roots"] = r.list(lambda: (r.text(), r.take(32)))
    h["periods"] = r.list(lambda: (r.int(), r.take(32)))
    h["objects"] = r.list(lambda: {"pack": r.take(32), "length": r.int(), "period": r.int(),
                                   "roots": r.list(lambda: r.take(32))})
    h["header"] = data[begins:r.at]
    h["body"] = r.bytes()
    signed = data[:r.at]
    Ed25519PublicKey.from_public_bytes(writer).verify(
        r.take(64), b"evenkeel vault record v1\0" + hash_of(signed))
    r.end()
    return h


# --- keys (age-encryption.org/v1, X25519) -------------------------------------------------------
def hkdf(secret, salt, info):
    return HKDF(SHA256(), 32, salt, info).derive(secret)


def bech32_secret(text):
    alphabet = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
    values = [alphabet.index(c) for c in text.strip().lower().rpartition("1")[2]][:-6]
    number = 0
    for value in values:
        number = number << 5 | value
    return (number >> (len(values) * 5 - 256)).to_bytes(32, "big")


def unbase64(text):
    return base64.b64decode(text + "=" * (-len(text) % 4))


def open_age(data, secret):
    head, _, rest = data.partition(b"\n--- ")
    mac, _, payload = rest.partition(b"\n")
    lines = head.decode().split("\n")
    require(lines[0] == "age-encryption.org/v1", "no age file")
    own = X25519PrivateKey.from_private_bytes(secret)
    public = own.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    for at, line in enumerate(lines):
        if not line.startswith("-> X25519 "):
            continue
        share, wrapped = unbase64(line.split()[2]), unbase64(lines[at + 1])
        shared = own.exchange(X25519PublicKey.from_public_bytes(share))
        wrap = hkdf(shared, share + public, b"age-encryption.org/v1/X25519")
        try:
            file_key = ChaCha20Poly1305(wrap).decrypt(bytes(12), wrapped, None)
        except InvalidTag:
            continue
        expected = hmac.new(hkdf(file_key, None, b"header"), head + b"\n---", hashlib.sha256)
        require(hmac.compare_digest(expected.digest(), unbase64(mac.decode())), "a forged header")
        key = hkdf(file_key, payload[:16], b"payload")
        # Key objects are far below age's 64 KiB, so there is one chunk, the last.
        return ChaCha20Poly1305(key).decrypt(bytes(11) + b"\x01", payload[16:], None)
    raise Bad("this identity opens none of its recipients' stanzas")


# --- erasure code -------------------------------------------------------------------------------
BASIS = [int(x, 16) for x in ("0001 ACCA 3C0E 163E C582 ED2E 914C 4012 6C98 10D8 6A72 B900 FDB8 "
                              "FB34 FF38 991E").split()]


def element(coordinates):
    sum_ = 0
    for bit in range(16):
        if coordinates >> bit & 1:
            sum_ ^= BASIS[bit]
    return sum_


COORDINATES = {element(c): c for c in range(1 << 16)}


def product(a, b):
    """Of two elements given by coordinates."""
    a, b, sum_ = element(a), element(b), 0
    while b:
        if b & 1:
            sum_ ^= a
        a, b = a << 1, b >> 1
        if a >> 16:
            a ^= 0x1002D
    return COORDINATES[sum_]


def inverse(a):
    power, result = a, 1
    for _ in range(15):  # a to the power of 2^16 - 2
        power = product(power, power)
        result = product(result, power)
    return result


def generator_row(k, parity):
    size = 1 << (k - 1).bit_length() if k <= 4 else 8
    place = (lambda c: c) if k <= 4 else (lambda c: 8 + c)
    at, row = (size if k <= 4 else 0) + parity, []
    for column in range(k):
        own, above, below = place(column), 1, 1
        for other in range(own // size * size, own // size * size + size):
            if other != own:
                above, below = product(above, at ^ other), product(below, own ^ other)
        row.append(product(above, inverse(below)))
    return row


def xor(a, b):
    return (int.from_bytes(a, "big") ^ int.from_bytes(b, "big")).to_bytes(len(a), "big")


def scaled(factor, shard):
    """A shard times a factor: multiplication is linear, so low and high bytes go by tables."""
    low = b"".join(shard[at:at + 32] for at in range(0, len(shard), 64))
    high = b"".join(shard[at + 32:at + 64] for at in range(0, len(shard), 64))
    of_low = [product(factor, value) for value in range(256)]
    of_high = [product(factor, value << 8) for value in range(256)]
    table = lambda of, shift: bytes(value >> shift & 255 for value in of)
    low, high = (xor(low.translate(table(of_low, shift)), high.translate(table(of_high, shift)))
                 for shift in (0, 8))
    return b"".join(low[at:at + 32] + high[at:at + 32] for at in range(0, len(low), 32))


def decode(shards, k, length):
    """The object from k shards, by number."""
    numbers = sorted(shards)[:k]
    matrix = [[int(c == n) for c in range(k)] if n < k else generator_row(k, n - k)
              for n in numbers]
    matrix = [row + [int(at == other) for other in range(k)] for at, row in enumerate(matrix)]
    for column in range(k):  # Gauss and Jordan
        pivot = next(row for row in range(column, k) if matrix[row][column])
        matrix[column], matrix[pivot] = matrix[pivot], matrix[column]
        scale = inverse(matrix[column][column])
        matrix[column] = [product(value, scale) for value in matrix[column]]
        for row in range(k):
            factor = matrix[row][column]
            if row != column and factor:
                matrix[row] = [a ^ product(factor, b) for a, b in zip(matrix[row], matrix[column])]
    data = []
    for number in range(k):
        if number in shards:
            data.append(shards[number])
            continue
        sum_ = bytes(len(shards[numbers[0]]))
        for factor, other in zip(matrix[number][k:], numbers):
            if factor:
                sum_ = xor(sum_, scaled(factor, shards[other]))
        data.append(sum_)
    return b"".join(data)[:length]


# --- the vault ----------------------------------------------------------------------------------
class Vault:
    def __init__(self, sites, root):
        self.sites, self.root, self.lineages = sites, root, {}
        for site in sites:
            for folder, _, names in os.walk(site):
                if "certificate" in names:
                    data = open(os.path.join(folder, "certificate"), "rb").read()
                    try:
                        found = certificate(data, root)
                    except (Bad, InvalidSignature) as error:
                        print(f"passed over {folder}/certificate: {error!r}", file=sys.stderr)
                        continue
                    self.lineages.setdefault(found["lineage"], found)
        self.records = {lineage: self.chain(c) for lineage, c in self.lineages.items()}

    def copies(self, key):
        for site in self.sites:
            path = os.path.join(site, key)
            if os.path.isfile(path):
                yield open(path, "rb").read()

    def chain(self, cert):
        """The records of a lineage; each has to name the one before it, where that is left."""
        prefix = f"{cert['domain']}/{cert['lineage'].hex()}/records"
        names = {name for site in self.sites if os.path.isdir(os.path.join(site, prefix))
                 for name in os.listdir(os.path.join(site, prefix))}
        believed = self.believed(cert)
        chain, previous = [], None
        for name in sorted(names):
            for data in self.copies(f"{prefix}/{name}"):
                try:
                    found = record(data, cert["writer"])
                    of = (found["domain"], found["lineage"], found["counter"])
                    require(of == (cert["domain"], cert["lineage"], int(name, 16)), "elsewhere")
                    if found["counter"] == 1:
                        require(found["previous"] == cert["hash"], "not of this certificate")
                    if previous and previous["counter"] + 1 == found["counter"]:
                        require(found["previous"] == previous["hash"], "not of this chain")
                except (Bad, InvalidSignature) as error:
                    print(f"passed over a copy of {prefix}/{name}: {error!r}", file=sys.stderr)
                    continue
                if found["counter"] <= believed:
                    chain.append(found)
                previous = found
                break
        return chain

    def believed(self, cert):
        """The last record that the root lets count: all, unless it revoked the writer."""
        prefix, last = f"{cert['domain']}/{cert['lineage'].hex()}/revoked", 2**64
        names = {name for site in self.sites if os.path.isdir(os.path.join(site, prefix))
                 for name in os.listdir(os.path.join(site, prefix))}
        for data in (data for name in names for data in self.copies(f"{prefix}/{name}")):
            try:
                last = min(last, revocation(data, self.root, (cert["domain"], cert["lineage"])))
            except (Bad, InvalidSignature) as error:
                print(f"passed over a revocation: {error!r}", file=sys.stderr)
        return last

    def points(self):
        return [r for chain in self.records.values() for r in chain if r["kind"] == "point"]

    def key(self, rec, number, secret):
        """From the first key object, or from one that was wrapped anew and that the root signed."""
        expected = dict(rec["periods"])[number]
        found = [data for data in self.copies(f"{self.keys(rec)}/{number:016x}.age")
                 if hash_of(data) == expected][:1]
        for data in found + list(self.wraps(rec, number, expected)):
            try:
                r = Reader(open_age(data, secret))
            except Bad:
                continue
            require(r.take(5) == b"EVKK\x01", "no key object")
            of = (r.text(), r.take(16), r.int())
            require(of == (rec["domain"], rec["lineage"], number), "the key of another period")
            return r.take(32)
        raise Bad(f"this identity opens key period {number} of lineage {rec['lineage'].hex()} "
                  "neither as it was first wrapped nor as it was wrapped anew")

    def keys(self, rec):
        return f"{rec['domain']}/{rec['lineage'].hex()}/keys"

    def wraps(self, rec, number, expected):
        names = {name for site in self.sites if os.path.isdir(os.path.join(site, self.keys(rec)))
                 for name in os.listdir(os.path.join(site, self.keys(rec)))
                 if name.startswith(f"{number:016x}.") and name.endswith(".wrap")}
        for name in sorted(names):
            for data in self.copies(f"{self.keys(rec)}/{name}"):
                try:
                    require(hash_of(data).hex() == name.split(".")[1], "not what it is named by")
                    of = (rec["domain"], rec["lineage"], number, expected)
                    yield rewrapped(data, self.root, of)
                    break
                except (Bad, InvalidSignature) as error:
                    print(f"passed over a copy of {name}: {error!r}", file=sys.stderr)

    def pack(self, rec, obj):
        prefix, good = f"{rec['domain']}/{rec['lineage'].hex()}/shards/{obj['pack'].hex()}", {}
        for number, root in enumerate(obj["roots"]):
            for data in self.copies(f"{prefix}.{number:02}"):
                if hash_of(data) == root:
                    good[number] = data
                    break
            if len(good) == rec["k"]:
                data = decode(good, rec["k"], obj["length"])
                require(hash_of(data) == obj["pack"], "shards that do not make their pack")
                return data
        raise TooFew(f"pack {obj['pack'].hex()}: {len(good)} of {rec['k']} shards needed are left")

    def restore(self, rec, secret, to):
        keys = {number: self.key(rec, number, secret) for number, _ in rec["periods"]}
        packs = {}

        named = {obj["pack"][:8]: number for number, obj in enumerate(rec["objects"])}

        def source(r, listed=False):
            number = (lambda: named[r.take(8)]) if listed else r.int
            chunk = lambda: (number(), r.int(), r.int(), r.int(), r.int(), r.take(32))
            return {"name": r.text(), "length": r.int(), "hash": r.take(32), "chunks": r.list(chunk)}

        def plain(src):
            for number, slot, offset, sealed, length, chunk_id in src["chunks"]:
                obj = rec["objects"][number]
                if number not in packs:
                    if len(packs) > 4:
                        packs.pop(next(iter(packs)))
                    packs[number] = self.pack(rec, obj)
                pack = packs[number]
                head = struct.unpack("<4sB3s16sQ32s", pack[:64])
                require(head[:2] == (b"EVKP", 1), "no pack")
                key = hkdf(keys[obj["period"]], head[5], b"evenkeel vault pack v1")
                aad = b"evkchunk" + head[3] + head[5] + chunk_id
                nonce = bytes(8) + struct.pack(">I", slot)
                frame = AESGCM(key).decrypt(nonce, pack[offset:offset + sealed], aad)
                data = zstandard.decompress(frame, max_output_size=length)
                require(len(data) == length, "a chunk of another length")
                yield data

        salt, sealed = rec["body"][:32], rec["body"][32:]
        key = hkdf(keys[rec["periods"][0][0]], salt, b"evenkeel vault body v1")
        body = AESGCM(key).decrypt(b"\x02" + bytes(11), sealed, rec["header"])
        length = struct.unpack("<I", body[:4])[0]
        r = Reader(zstandard.decompress(body[4:], max_output_size=length))
        tag = r.take(1)[0]
        require(tag in (2, 3, 4), "not the body of a point")
        if tag > 2:
            r = Reader(b"".join(plain(source(r))))
        sources = r.list(lambda: source(r, listed=tag == 4))
        r.end()
        os.makedirs(to)
        for number, src in enumerate(sources):
            # A name is the writer's; a path is ours.
            path, hasher = os.path.join(to, f"{number:06}"), blake3()
            with open(path, "wb") as out:
                for data in plain(src):
                    hasher.update(data)
                    out.write(data)
            require(hasher.digest() == src["hash"], f"source {src['name']} is not what was sealed")
            print(f"{path}  {src['length']}  {src['hash'].hex()}  {src['name']}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=["list", "restore"])
    parser.add_argument("sites", nargs="+", metavar="SITE")
    parser.add_argument("--root", required=True, help="the domain's root public key, in hexadecimal")
    parser.add_argument("--identity", help="file with an AGE-SECRET-KEY-1 line")
    parser.add_argument("--point", help="as `list` shows it")
    parser.add_argument("--to", help="a folder that is not there yet")
    args = parser.parse_args()
    vault = Vault(args.sites, bytes.fromhex(args.root))
    name = lambda r: f"{r['lineage'].hex()[:8]}-{r['counter']}"
    if args.what == "list":
        for r in sorted(vault.points(), key=lambda r: r["time_ns"]):
            print(name(r), f"position {r['at'][0]}", *(f"{n} {h.hex()}" for n, h in r["roots"]))
        return 0
    if not (args.identity and args.point and args.to):
        parser.error("restore needs --identity, --point and --to")
    lines = open(args.identity).read().split("\n")
    secret = next(line for line in lines if line.startswith("AGE-SECRET-KEY-1"))
    point = [r for r in vault.points() if name(r) == args.point]
    if not point:
        print(f"there is no point {args.point}", file=sys.stderr)
        return 10
    vault.restore(point[0], bech32_secret(secret), args.to)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (Bad, TooFew, InvalidSignature, InvalidTag) as error:
        print(f"read.py: {error!r}", file=sys.stderr)
        sys.exit(21 if isinstance(error, TooFew) else 20)
