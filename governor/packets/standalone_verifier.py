"""Verify a Governor audit packet with nothing but Python's standard library: no Governor, no network, no database.

    python3 verify.py FILE.govpacket --trust TRUST [--root ROOT] [--json]

Exit 0 VERIFIED, 1 FAILED, 2 UNDECIDED (a key the trust file does not name, a quorum unmet, a newer version), 64 wrong usage.
ROOT is the verifier key, or the SHA-256 of the public key, of the offline root that must have signed the trust file.

This program shares no code with Governor. It was written from the published formats: RFC 8032 (Ed25519), FIPS 204 (ML-DSA-44), RFC 6962
(Merkle tree), RFC 8785 (canonical JSON), C2SP signed-note, tlog-checkpoint, tlog-proof, tlog-policy and tlog-cosignature, DSSE 1.0.2, in-toto Statement v1 and RFC 9901
disclosures. Trust comes from the trust file alone, which must reach you by another way than the packet.
"""

import base64
import binascii
import csv
import datetime
import hashlib
import io
import json
import os
import re
import sys
import zipfile

VERIFIED, FAILED, UNDECIDED, USAGE = 0, 1, 2, 64
MIMETYPE = b"application/vnd.governor.packet.v1+zip"
PAYLOAD = b"application/vnd.in-toto+json"
PREDICATE = "https://governor.example/attestation/route-change/v1"
PERIOD = "https://governor.example/attestation/period/v1"
RANGE = {"range.proof", "range.jsonl"}  # a period packet holds both, a change packet none
FIXED = {"mimetype", "seal.note", "statement.dsse.json", "report.pdf", "VERIFY.txt", "packet.event.json", "packet.tlog-proof"}
PLACES = (
    r"events/(0|[1-9][0-9]{0,15})\.(json|tlog-proof)",
    r"disclosures/(0|[1-9][0-9]{0,15})\.json",
    r"evidence/[a-z0-9][a-z0-9._-]*(/[a-z0-9][a-z0-9._-]*)*",
)
ENVELOPE = {
    "v", "id", "type", "type_schema_sha256", "stream", "stream_seq", "stream_prev", "occurred_at", "recorded_at",
    "actor", "payload", "evidence", "policy", "_sd", "producer",
}  # fmt: skip
SHAPES = (
    ("id", str), ("type", str), ("type_schema_sha256", str), ("stream", str), ("stream_seq", int), ("actor", dict), ("payload", dict),
    ("evidence", list), ("_sd", list), ("producer", dict),
)  # fmt: skip
STATES = {
    "change:approve": {"approved", "in_review"}, "change:reject": {"rejected"}, "change:expire": {"expired"}, "change:cutover": {"cutover"},
    "change:verify": {"verified", "drifted", "cutover"}, "change:drift": {"drifted"}, "change:withdraw": {"withdrawn"},
}  # fmt: skip
AFTER = {
    "change:propose": "draft", "change:submit": "in_review", "change:review": "in_review", "change:reject": "rejected", "change:expire": "expired",
    "change:cutover": "cutover", "change:verify": "verified", "change:drift": "drifted", "change:withdraw": "withdrawn",
}  # fmt: skip
AFTER_SHADOW = {"done": "in_review", "planned": "shadowing", "running": "shadowing"}
LISTED = ("id", "workflow", "state", "requester", "requested_at", "last_at", "entries", "first_idx", "last_idx", "digest")
PAIRS = "evidence/pairs.jsonl"
APPROVED = {"approved", "cutover", "verified", "drifted"}
WRONG = "cosigned wrongly"  # of a witness


class Fail(Exception):
    """The packet is wrong."""


class NotChecked(Fail):
    """An earlier check left no ground to stand on."""


class Unknown(Exception):
    """Not wrong, but not provable with this trust file and this program."""


# ---- Ed25519 (RFC 8032, section 5.1.7), on extended coordinates

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT = pow(2, (P - 1) // 4, P)


def _recover(y, sign):
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT % P
    if (x * x - square) % P or (x == 0 and sign):
        return None
    return P - x if x & 1 != sign else x


def _point(data):
    number = int.from_bytes(data, "little")
    y, sign = number & ((1 << 255) - 1), number >> 255
    x = _recover(y, sign) if y < P else None
    return None if x is None else (x, y, 1, x * y % P)


def _add(a, b):
    e, f = (a[1] - a[0]) * (b[1] - b[0]) % P, (a[1] + a[0]) * (b[1] + b[0]) % P
    g, h = 2 * a[3] * b[3] * D % P, 2 * a[2] * b[2] % P
    left, up, right, down = f - e, h - g, h + g, f + e
    return left * up % P, right * down % P, up * right % P, left * down % P


def _times(scalar, point):
    found = (0, 1, 1, 0)
    while scalar:
        if scalar & 1:
            found = _add(found, point)
        point, scalar = _add(point, point), scalar >> 1
    return found


BASE_Y = 4 * pow(5, P - 2, P) % P
BASE = _point(BASE_Y.to_bytes(32, "little"))


def ed25519(public, message, signature):
    """Whether `signature` over `message` is by `public`."""
    if len(public) != 32 or len(signature) != 64:
        return False
    key, nonce, s = _point(public), _point(signature[:32]), int.from_bytes(signature[32:], "little")
    if key is None or nonce is None or s >= ORDER:
        return False
    h = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % ORDER
    left, right = _times(s, BASE), _add(nonce, _times(h, key))
    return (left[0] * right[2] - right[0] * left[2]) % P == 0 and (left[1] * right[2] - right[1] * left[2]) % P == 0


# ---- ECDSA on P-256 with SHA-256 (FIPS 186-5), for approvals signed by a passkey

FIELD = 2**256 - 2**224 + 2**192 + 2**96 - 1
COUNT = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
CURVE_B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
START = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)


def _sum(a, b):
    if a is None or b is None:
        return a or b
    if a[0] == b[0]:
        if (a[1] + b[1]) % FIELD == 0:
            return None
        slope = (3 * a[0] * a[0] - 3) * pow(2 * a[1], -1, FIELD) % FIELD
    else:
        slope = (b[1] - a[1]) * pow(b[0] - a[0], -1, FIELD) % FIELD
    x = (slope * slope - a[0] - b[0]) % FIELD
    return x, (slope * (a[0] - x) - a[1]) % FIELD


def _multiple(scalar, point):
    found = None
    while scalar:
        if scalar & 1:
            found = _sum(found, point)
        point, scalar = _sum(point, point), scalar >> 1
    return found


def _der_numbers(raw):
    """(r, s) of a DER signature in its only spelling, or None."""
    if len(raw) < 8 or raw[0] != 0x30 or raw[1] != len(raw) - 2 or len(raw) > 72:
        return None
    numbers, rest = [], raw[2:]
    while rest:
        if len(rest) < 3 or rest[0] != 2 or not 0 < rest[1] <= len(rest) - 2:
            return None
        body, rest = rest[2 : 2 + rest[1]], rest[2 + rest[1] :]
        if body[0] & 0x80 or (len(body) > 1 and body[0] == 0 and not body[1] & 0x80):
            return None
        numbers.append(int.from_bytes(body, "big"))
    return tuple(numbers) if len(numbers) == 2 else None


def p256(public, message, signature):
    """Whether `signature` (DER) over `message` is by `public` (an uncompressed point)."""
    if len(public) != 65 or public[0] != 4:
        raise ValueError("not an uncompressed point")
    x, y = int.from_bytes(public[1:33], "big"), int.from_bytes(public[33:], "big")
    if max(x, y) >= FIELD or (y * y - (x * x * x - 3 * x + CURVE_B)) % FIELD:
        raise ValueError("not a point of the curve")
    numbers = _der_numbers(signature)
    if numbers is None or not all(0 < number < COUNT for number in numbers):
        return False
    r, s = numbers
    inverse, hashed = pow(s, -1, COUNT), int.from_bytes(hashlib.sha256(message).digest(), "big")
    point = _sum(_multiple(hashed * inverse % COUNT, START), _multiple(r * inverse % COUNT, (x, y)))
    return point is not None and point[0] % COUNT == r


# ---- ML-DSA-44 (FIPS 204), verification only; functions, and what they hold, have the standard's names

Q, ZETA, DROPPED, TAU, ROWS, COLUMNS, BETA, OMEGA = 8380417, 1753, 13, 39, 4, 4, 78, 80
GAMMA1, GAMMA2 = 2**17, (8380417 - 1) // 88
ZETAS = [pow(ZETA, int(f"{index:08b}"[::-1], 2), Q) for index in range(256)]  # in bit-reversed order


def _ntt(w):
    """NTT (algorithm 41): the polynomial as 256 values, so that polynomials are multiplied value by value."""
    w, m, length = list(w), 0, 128
    while length:
        for start in range(0, 256, 2 * length):
            m += 1
            z = ZETAS[m]
            for j in range(start, start + length):
                t = z * w[j + length] % Q
                w[j + length], w[j] = w[j] - t, w[j] + t
        length //= 2
    return [one % Q for one in w]


def _inverse_ntt(w):
    """NTT^-1 (algorithm 42)."""
    w, m, length = list(w), 256, 1
    while length < 256:
        for start in range(0, 256, 2 * length):
            m -= 1
            z = -ZETAS[m]
            for j in range(start, start + length):
                t = w[j]
                w[j], w[j + length] = t + w[j + length], z * (t - w[j + length]) % Q
        length *= 2
    return [8347681 * one % Q for one in w]  # 1/256


def _squeezed(shake, take, wanted, size):
    """What `take` finds in enough output of `shake` to find `wanted` numbers (None: not yet enough)."""
    while True:
        found = take(shake.digest(size), wanted)
        if found is not None:
            return found
        size *= 2


def _rejected(raw, wanted):
    """RejNTTPoly (algorithm 30): three bytes make a number of 23 bits, taken where it is less than q."""
    numbers = (raw[at] | raw[at + 1] << 8 | (raw[at + 2] & 0x7F) << 16 for at in range(0, len(raw) - 2, 3))
    taken = [number for number in numbers if number < Q]
    return taken[:wanted] if len(taken) >= wanted else None


def _ball(raw, wanted):
    """SampleInBall (algorithm 29): a polynomial of `wanted` coefficients 1 or -1, all others 0."""
    signs, c, at = int.from_bytes(raw[:8], "little"), [0] * 256, 8
    for i in range(256 - wanted, 256):
        while at < len(raw) and raw[at] > i:
            at += 1
        if at == len(raw):
            return None
        j, at = raw[at], at + 1
        c[i], c[j] = c[j], 1 - 2 * (signs & 1)
        signs >>= 1
    return c


def _expand(rho):
    """ExpandA (algorithm 32): the public matrix, row by row."""
    return [
        [_squeezed(hashlib.shake_128(rho + bytes([s, r])), _rejected, 256, 840) for s in range(COLUMNS)]
        for r in range(ROWS)
    ]  # fmt: skip


def _unpacked(raw, bits):
    """SimpleBitUnpack (algorithm 18): numbers of `bits` bits, the least significant first."""
    number, mask = int.from_bytes(raw, "little"), (1 << bits) - 1
    return [number >> at & mask for at in range(0, 8 * len(raw), bits)]


def _hints(y):
    """HintBitUnpack (algorithm 21): of each row the places that carry a hint; None where it is not the one spelling of them."""
    rows, index = [], 0
    for end in y[OMEGA:]:
        row = list(y[index:end])
        if not index <= end <= OMEGA or row != sorted(set(row)):
            return None
        rows.append(set(row))
        index = end
    return None if any(y[index:OMEGA]) else rows


def _use_hint(hinted, r):
    """UseHint (algorithm 40) over Decompose (algorithm 36): the high bits of r, put right by one where the hint says so."""
    low = r % (2 * GAMMA2)
    low -= 2 * GAMMA2 if low > GAMMA2 else 0
    high, low = (0, low - 1) if r - low == Q - 1 else ((r - low) // (2 * GAMMA2), low)
    if hinted:
        high += 1 if low > 0 else -1
    return high % 44


def _packed_high(rows):
    """w1Encode (algorithm 28): six bits each."""
    return b"".join(sum(one << 6 * at for at, one in enumerate(row)).to_bytes(192, "little") for row in rows)


def mldsa44(public, message, signature, context=b""):
    """Whether `signature` over `message` is by `public` (ML-DSA.Verify and Verify_internal, algorithms 3 and 8)."""
    if len(public) != 1312 or len(signature) != 2420 or len(context) > 255:
        return False
    rho, packed = public[:32], public[32:]
    c_tilde, h = signature[:32], _hints(signature[2336:])
    z = [[GAMMA1 - one for one in _unpacked(signature[at : at + 576], 18)] for at in range(32, 2336, 576)]
    if h is None or max(abs(one) for row in z for one in row) >= GAMMA1 - BETA:
        return False
    tr = hashlib.shake_256(public).digest(64)
    mu = hashlib.shake_256(tr + bytes([0, len(context)]) + context + message).digest(64)
    c = _ntt(_squeezed(hashlib.shake_256(c_tilde), _ball, TAU, 272))
    z, w1 = [_ntt(row) for row in z], []
    for r, row in enumerate(_expand(rho)):
        t1 = _ntt([one << DROPPED for one in _unpacked(packed[320 * r : 320 * (r + 1)], 10)])
        product = [sum(a * b for a, b in zip(left, right)) - c[at] * t1[at] for at, (left, right) in enumerate(zip(zip(*row), zip(*z)))]
        w1.append([_use_hint(at in h[r], one) for at, one in enumerate(_inverse_ntt(product))])
    return hashlib.shake_256(mu + _packed_high(w1)).digest(32) == c_tilde


# ---- small formats


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def unbase64(text):
    try:
        raw = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, ValueError, AttributeError):
        raise Fail("not base64") from None
    if base64.b64encode(raw).decode() != text:
        raise Fail("base64 is not canonical")
    return raw


def text_of(data):
    try:
        return data.decode("utf-8")
    except UnicodeError:
        raise Fail("not UTF-8 text") from None


def canonical(value):
    """RFC 8785 without floats."""
    if isinstance(value, float) or (isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 2**53):
        raise Fail("JSON is not in canonical form")
    if isinstance(value, dict):
        items = sorted(value.items(), key=lambda item: item[0].encode("utf-16-be"))
        return "{" + ",".join(json.dumps(key, ensure_ascii=False) + ":" + canonical(child) for key, child in items) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def parse(data):
    """JSON that is exactly its canonical form."""
    try:
        document = json.loads(data.decode("utf-8"))
        same = canonical(document).encode("utf-8") == data
    except UnicodeEncodeError:  # half of a surrogate pair
        same = False
    except (UnicodeError, ValueError, RecursionError):
        raise Fail("not JSON") from None
    if not same:
        raise Fail("JSON is not in canonical form")
    return document


def digest(document):
    return sha256(canonical(document).encode("utf-8"))


def _key_name(name):
    if not name or "+" in name or any(char.isspace() for char in name):
        raise Fail(f"{name!r} cannot be the name of a note key")
    return name


def note_of(note):
    """(signed text, [(name, key id, signature)]) of a C2SP signed note."""
    if len(note) > 1_000_000:
        raise Fail("note is too large")
    body, found, tail = note.rpartition("\n\n")
    if not found or not tail.endswith("\n"):
        raise Fail("not a signed note")
    if any(char < " " and char != "\n" for char in body):
        raise Fail("text of a note must end in a newline and hold no control characters")
    signatures = []
    for line in tail[:-1].split("\n"):
        name, space, encoded = line[2:].partition(" ")
        if not line.startswith("\u2014 ") or not space:
            raise Fail("malformed signature line in a note")
        raw = unbase64(encoded)
        if len(raw) <= 4:
            raise Fail("signature in a note is too short")
        signatures.append((_key_name(name), raw[:4], raw[4:]))
    if len(signatures) > 100:
        raise Fail("note has too many signatures")
    return body + "\n", signatures


def key_of(text):
    """(name, algorithm, public key, key id) of a vkey: 1 Ed25519, 4 Ed25519 cosignature, 6 ML-DSA-44 cosignature."""
    name, _, rest = text.partition("+")
    claimed, _, encoded = rest.partition("+")
    raw = unbase64(encoded)
    if not raw or len(raw) != 1 + {1: 32, 4: 32, 6: 1312}.get(raw[0], -1):
        raise Fail(f"verifier key of {name!r} has an unknown algorithm or length")
    key_id = _key_id(_key_name(name), raw[0], raw[1:])
    if key_id.hex() != claimed:
        raise Fail(f"verifier key of {name!r} does not match its id {claimed!r}")
    return name, raw[0], raw[1:], key_id


def _key_id(name, algorithm, public):
    return hashlib.sha256(name.encode() + b"\n" + bytes([algorithm]) + public).digest()[:4]


def signed_by(text, signatures, key):
    """True, False (a signature claims this key and is wrong) or None (none names this key)."""
    name, algorithm, public, key_id = key
    mine = [raw for who, found, raw in signatures if who == name and found == key_id]
    return all(_one_signed(text, name, algorithm, public, raw) for raw in mine) if mine else None


def _one_signed(text, name, algorithm, public, raw):
    if algorithm == 1:
        return ed25519(public, text.encode(), raw)
    when, raw = int.from_bytes(raw[:8], "big"), raw[8:]
    if algorithm == 4:
        return ed25519(public, b"cosignature/v1\ntime %d\n" % when + text.encode(), raw)
    message = _cosigned(name.encode(), when, text)
    return message is not None and mldsa44(public, message, raw)


def _cosigned(cosigner, when, text):
    """What an ML-DSA-44 cosigner signs of a checkpoint (tlog-cosignature): its name, the time, the log's name, [0, size), the root."""
    try:
        origin, size, root = tree_of(text)
    except Fail:
        return None
    origin = origin.encode()
    if not 1 <= len(cosigner) <= 255 or not 1 <= len(origin) <= 255 or when >= 2**63:
        return None
    numbers = bytes(8) + size.to_bytes(8, "big")
    return b"subtree/v1\n\0%c%s%s%c%s%s%s" % (len(cosigner), cosigner, when.to_bytes(8, "big"), len(origin), origin, numbers, root)


def tree_of(text):
    """(origin, size, root) of a checkpoint."""
    lines = text[:-1].split("\n")
    if len(lines) < 3 or "" in lines:
        raise Fail("checkpoint needs origin, size and root")
    size, root = number_of(lines[1], "checkpoint size"), unbase64(lines[2])
    if len(root) != 32:
        raise Fail("checkpoint root is not a SHA-256 hash")
    return lines[0], size, root


def number_of(text, what):
    if not re.fullmatch(r"0|[1-9][0-9]{0,18}", text, re.ASCII) or int(text) > 2**63 - 1:
        raise Fail(f"{what} is not a number")
    return int(text)


def climb(index, size, leaf, path):
    """Root that an RFC 6962 audit path leads to, from the definition: where the leaf sits decides the side."""
    if size == 1:
        if path:
            raise Fail("inclusion proof is too long")
        return leaf
    if not path:
        raise Fail("inclusion proof is too short")
    left = 1 << (size - 1).bit_length() - 1
    if index < left:
        return hashlib.sha256(b"\x01" + climb(index, left, leaf, path[:-1]) + path[-1]).digest()
    return hashlib.sha256(b"\x01" + path[-1] + climb(index - left, size - left, leaf, path[:-1])).digest()


def bounds(name):
    """First instant of a day, month, quarter or year, and of the one after."""
    found = re.fullmatch(r"([12][0-9]{3})(?:-(?:Q([1-4])|(0[1-9]|1[0-2])(?:-(0[1-9]|[12][0-9]|3[01]))?))?", name, re.ASCII)
    if found is None:
        raise Fail(f"not a period: {name!r}")
    year, quarter, month, day = found.groups()
    if day:
        try:
            after = datetime.date.fromisoformat(name) + datetime.timedelta(days=1)
        except ValueError:
            raise Fail(f"not a period: {name!r}") from None
        return f"{name}T00:00:00.000000Z", f"{after}T00:00:00.000000Z"
    first, months = (int(quarter) * 3 - 2, 3) if quarter else (int(month), 1) if month else (1, 12)
    last = first + months
    after = f"{year}-{last:02d}" if last <= 12 else f"{int(year) + 1}-01"
    return f"{year}-{first:02d}-01T00:00:00.000000Z", f"{after}-01T00:00:00.000000Z"


def plural(number):
    return f"{number} change{'' if number == 1 else 's'}"


def population_csv(lines):
    """The changes as an auditor samples them. A spreadsheet must not take text for a formula."""

    def plain(value):
        return "'" + value if isinstance(value, str) and value[:1] in set("=+-@\t\r") else value

    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(LISTED)
    writer.writerows([[plain(line[name]) for name in LISTED] for line in lines])
    return out.getvalue().encode("utf-8")


def fold(start, stop, begin, leaves, outside):
    """Root over [start, stop) from all leaves of the range at `begin` and, in order, the hashes of the subtrees outside it."""
    end = begin + len(leaves)
    if stop <= begin or start >= end:
        if not outside:
            raise Fail("range proof is too short")
        return outside.pop(0)
    if stop - start == 1:
        return leaves[start - begin]
    middle = start + (1 << (stop - start - 1).bit_length() - 1)
    left = fold(start, middle, begin, leaves, outside)
    return hashlib.sha256(b"\x01" + left + fold(middle, stop, begin, leaves, outside)).digest()


def moment(text):
    form = r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{6}Z"
    if not isinstance(text, str) or not re.fullmatch(form, text, re.ASCII):
        raise Fail(f"not a timestamp of the form YYYY-MM-DDTHH:MM:SS.ffffffZ: {text!r}")
    try:
        return datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ")
    except ValueError:
        raise Fail(f"not a date: {text!r}") from None


# ---- the trust file


def _range(text):
    sizes = re.fullmatch(r"([0-9]{1,19})\.\.([0-9]{0,19})", text, re.ASCII)
    if sizes is None:
        raise Fail(f"{text!r} is not a range of tree sizes such as 0.. or 0..99")
    return int(sizes.group(1)), int(sizes.group(2)) if sizes.group(2) else None


def vkey_of(key):
    return f"{key[0]}+{key[3].hex()}+{base64.b64encode(bytes([key[1]]) + key[2]).decode()}"


class Trust:
    """Logs, witnesses, groups, quorum and issuers of a C2SP tlog-policy with `issuer` lines."""

    def __init__(self, data):
        self.sha256 = sha256(data)
        self.logs, self.witnesses, self.groups, self.members, self.issuers, self.quorum = [], {}, {}, set(), [], None
        self.log_ranges, self.witness_ranges, self.root = {}, {}, None
        if len(data) > 256 * 1024 or any((byte < 32 and byte not in (9, 10)) or byte == 127 for byte in data):
            raise Fail("trust file is too large or holds control characters")
        try:
            text = data.decode("utf-8")
        except UnicodeError:
            raise Fail("trust file is not UTF-8") from None
        note = note_of(text) if "\n\u2014 " in text else None
        lines = (text if note is None else note[0]).split("\n")
        if len(lines) > 1000:
            raise Fail("trust file has too many lines")
        for number, line in enumerate(lines, 1):
            words = [word for word in re.split("[ \t]", line) if word]
            if words and not words[0].startswith("#"):
                try:
                    self._take(words)
                except Fail as error:
                    raise Fail(f"trust file line {number}: {error}") from None
        if self.quorum is None:
            raise Fail("trust file has no quorum line")
        if note is None and self.root is not None:
            raise Fail("trust file names a root, but is not signed")
        if note is not None:
            if self.root is None:
                raise Fail("trust file is signed, but names no root")
            if len(note[1]) != 1 or signed_by(*note, self.root) is not True:
                raise Fail(f"trust file is not signed by the root {self.root[0]} that it names")

    def root_text(self):
        return "" if self.root is None else f"{self.root[0]} {sha256(self.root[2])}"

    def check_root(self, wanted):
        root = self.root
        if root is None or wanted.strip() not in (sha256(root[2]), vkey_of(root)):
            raise Fail("trust file is not signed by the root that was asked for")

    def log_covers(self, key, size):
        first, last = self.log_ranges.get(key[2], (0, None))
        return first <= size and (last is None or size <= last)

    def witness_covers(self, name, size):
        first, last = self.witness_ranges.get(name, (0, None))
        return first <= size and (last is None or size <= last)

    def _take(self, words):
        kind = words[0]
        if kind == "root" and len(words) == 2 and self.root is None:
            self.root = key_of(words[1])
            if self.root[1] != 1:
                raise Fail("key is not Ed25519")
        elif kind == "log" and len(words) in (2, 3):
            key = key_of(words[1])
            if key[1] == 4:
                raise Fail("key is neither Ed25519 nor ML-DSA-44")
            if any(known[2] == key[2] for known in self.logs):
                raise Fail("the same log key twice")
            self.logs.append(key)
            if len(words) == 3 and ".." in words[2] and "/" not in words[2]:
                self.log_ranges[key[2]] = _range(words[2])
        elif kind == "witness" and len(words) in (3, 4):
            name, algorithm, public, key_id = key_of(words[2])
            self._fresh(words[1])
            if any(known[2] == public for known in self.witnesses.values()):
                raise Fail("the same witness key twice")
            if algorithm == 1:
                algorithm, key_id = 4, _key_id(name, 4, public)
            self.witnesses[words[1]] = (name, algorithm, public, key_id)
            if len(words) == 4 and ".." in words[3] and "/" not in words[3]:
                self.witness_ranges[words[1]] = _range(words[3])
        elif kind == "group" and len(words) > 3:
            self._group(words[1], words[2], words[3:])
        elif kind == "quorum" and len(words) == 2:
            if self.quorum is not None:
                raise Fail("a second quorum line")
            if words[1] != "none" and words[1] not in self.witnesses and words[1] not in self.groups:
                raise Fail(f"quorum names the unknown {words[1]!r}")
            self.quorum = words[1]
        elif kind == "issuer" and len(words) in (2, 3):
            first, last = _range(words[2] if len(words) == 3 else "0..")
            key = key_of(words[1])
            if key[1] != 1:
                raise Fail("key is not Ed25519")
            self.issuers.append((key, first, last))
        else:
            raise Fail(f"unknown or malformed {kind!r} line")

    def _group(self, name, threshold, members):
        self._fresh(name)
        for member in members:
            if (member not in self.witnesses and member not in self.groups) or member in self.members:
                raise Fail(f"{member!r} is unknown or already a member")
            self.members.add(member)
        text = {"any": "1", "all": str(len(members))}.get(threshold, threshold)
        if not re.fullmatch("[0-9]{1,19}", text, re.ASCII) or not 1 <= int(text) <= len(members):
            raise Fail(f"{threshold!r} is not a threshold")
        self.groups[name] = (int(text), members)

    def _fresh(self, name):
        if name in ("none", "any", "all") or name in self.witnesses or name in self.groups:
            raise Fail(f"{name!r} cannot name a witness or group")

    def met(self, seen):
        def met(name):
            needed, members = self.groups.get(name, (1, None))
            return name in seen if members is None else sum(map(met, members)) >= needed

        return self.quorum == "none" or met(self.quorum)


# ---- the packet


def packet_order(names):
    return sorted(names, key=lambda name: (name != "mimetype", name == "seal.note", name.encode()))


def pack(files):
    """The one byte form of a packet: mimetype first, names sorted, seal last, stored, 1980."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in packet_order(files):
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.create_system, entry.external_attr = 3, 0o100644 << 16
            archive.writestr(entry, files[name])
    return buffer.getvalue()


def unpack(packet):
    try:
        with zipfile.ZipFile(io.BytesIO(packet)) as archive:
            entries = archive.infolist()
            if len(entries) > 10_000 or sum(entry.file_size for entry in entries) > len(packet):
                raise Fail("not a packet: sizes do not add up")
            if any(entry.compress_type or entry.flag_bits for entry in entries):
                raise Fail("not a packet: compressed or flagged entries")
            files = {entry.filename: archive.read(entry) for entry in entries}
    except Fail:
        raise
    except Exception as error:
        raise Fail(f"not a readable zip: {error}") from None
    if re.fullmatch(rb"application/vnd\.governor\.packet\.v[2-9][0-9]*\+zip", files.get("mimetype", b"")):
        raise Unknown("this packet was made by a newer version")
    if files.get("mimetype") != MIMETYPE:
        raise Fail("not a packet: mimetype is missing or wrong")
    if len(files) != len(entries) or pack(files) != packet:
        raise Fail("bytes are not in canonical packet form")
    for name in sorted(files):
        if (
            name not in FIXED
            and not (name in RANGE and set(files) >= RANGE)
            and not any(re.fullmatch(place, name, re.ASCII) for place in PLACES)
        ):
            raise Fail(f"unlisted file {name}")
    if FIXED - set(files):
        raise Fail(f"{min(FIXED - set(files))} is missing")
    return files


class Packet:
    """The checks in order; each builds on what the ones before established."""

    def __init__(self, files, trust):
        self.files, self.trust, self.events, self.proven = files, trust, [], False
        self.issuer = self.checkpoint = self.note = None
        self.subjects, self.predicate = {}, {}

    def container(self):
        text, signatures = note_of(text_of(self.files["seal.note"]))
        names = packet_order(name for name in self.files if name != "seal.note")
        digests = {name: sha256(self.files[name]) for name in names}
        if text != "governor.example/packet-seal/v1\n" + "".join(f"{digests[name]}  {name}\n" for name in names):
            listed = {name: value for value, _, name in (line.partition("  ") for line in text.split("\n")[1:])}
            other = next((name for name in names if listed.get(name) != digests[name]), None)
            raise Fail(f"{other} is not what the seal says" if other else "the seal lists other files than the packet holds")
        if len(signatures) != 1:
            raise Fail("the seal needs exactly one signature")
        for issuer in self.trust.issuers:
            found = signed_by(text, signatures, issuer[0])
            if found is False:
                raise Fail(f"the seal's signature by {issuer[0][0]} does not verify")
            if found:
                self.issuer = issuer
                return f"canonical, {len(self.files)} files, nothing unlisted, seal by {issuer[0][0]} (key {sha256(issuer[0][2])[:8]}..)"
        raise Unknown(f"sealed by {signatures[0][0]}, whose key the trust file does not name")

    def statement(self):
        payload, keyid, raw = self.envelope()
        issuer = next((found for found in self.trust.issuers if sha256(found[0][2]) == keyid), None)
        if issuer is None:
            raise Unknown(f"signed by key {keyid[:8]}.., which the trust file does not name")
        if not ed25519(issuer[0][2], b"DSSEv1 %d %s %d %s" % (len(PAYLOAD), PAYLOAD, len(payload), payload), raw):
            raise Fail(f"signature by {issuer[0][0]} does not verify")
        try:
            found = parse(payload)
        except Fail as error:
            raise Fail(f"statement: {error}") from None
        if not isinstance(found, dict) or set(found) != {"_type", "subject", "predicateType", "predicate"}:
            raise Fail("statement is not an in-toto Statement v1")
        if found["_type"] != "https://in-toto.io/Statement/v1" or found["predicateType"] != (
            PERIOD if set(self.files) >= RANGE else PREDICATE
        ):
            raise Unknown(f"statement of another kind: {found['predicateType']}")
        if self.issuer is not None and issuer[0][2] != self.issuer[0][2]:
            raise Fail("statement and seal are signed by different issuers")
        subjects = {}
        for subject in found["subject"]:
            if set(subject) != {"name", "digest"} or set(subject["digest"]) != {"sha256"} or subject["name"] in subjects:
                raise Fail("statement subjects are malformed")
            subjects[subject["name"]] = subject["digest"]["sha256"]
        if canonical(found["predicate"].get("version")) != "1":
            raise Unknown("the statement is of a newer version")
        self.issuer, self.subjects, self.predicate = issuer, subjects, found["predicate"]
        return f"DSSE Ed25519 by {issuer[0][0]}, key valid for tree sizes {issuer[1]}..{'' if issuer[2] is None else issuer[2]}"

    def envelope(self):
        try:
            envelope = parse(self.files["statement.dsse.json"])
            signatures = envelope["signatures"]
            shape = set(envelope) == {"payload", "payloadType", "signatures"} and envelope["payloadType"].encode() == PAYLOAD
            if not shape or len(signatures) != 1:
                wrong = "envelope is not DSSE with one signature"
            elif set(signatures[0]) != {"keyid", "sig"}:
                wrong = "envelope signature needs keyid and sig, nothing else"
            else:
                return unbase64(envelope["payload"]), str(signatures[0]["keyid"]), unbase64(signatures[0]["sig"])
        except (Fail, KeyError, TypeError, AttributeError, IndexError):
            wrong = "envelope is malformed"
        raise Fail(wrong)

    def inclusion(self):
        numbers = sorted(int(name[7:-5]) for name in self.files if name.startswith("events/") and name.endswith(".json"))
        proofs = {name for name in self.files if name.startswith("events/") and name.endswith(".tlog-proof")}
        stray = proofs - {f"events/{number}.tlog-proof" for number in numbers}
        if stray or not numbers:
            raise Fail(f"proof without event: {min(stray)}" if stray else "the packet holds no events")
        last, _, checkpoint, _ = self._proof("packet.tlog-proof")
        self._checkpoint(checkpoint)
        for number in numbers:
            self.events.append(self._entry(f"events/{number}.json", f"events/{number}.tlog-proof", checkpoint, number))
        if last <= numbers[-1]:
            raise Fail("the packet was issued before its last event")
        issue = self._entry("packet.event.json", "packet.tlog-proof", checkpoint, last)
        change = self._change()
        self._chain(change, issue)
        listed = [[line[name] for name in ("idx", "id", "type", "stream_seq", "leaf_sha256")] for line in self.predicate["events"]]
        held = [[event["index"], event["id"], event["type"], event["stream_seq"], event["leaf"].hex()] for event in self.events]
        if canonical(listed) != canonical(held):
            raise Fail("the statement lists other events than the packet holds")
        if issue["type"] != "packet:issue" or issue["payload"].get("statement_sha256") != sha256(self.files["statement.dsse.json"]):
            raise Fail("packet.event.json does not record the issue of this statement")
        if change.get("requester") not in self._requesters():
            raise Fail("the statement names another requester than the ledger")
        if self.predicate.get("log") != self.checkpoint[0]:
            raise Fail("the statement names another log than the checkpoint")
        self._told(change)
        self.proven, count = True, len(self.events)
        return f"{count} of {count} in ledger {self.checkpoint[0]}; stream complete 1..{count}, no gap; issue of this packet recorded"

    def _told(self, change):
        """Each fact of the statement that an entry records is the one that it records."""
        for part, name, value in self._facts(change):
            said = self.predicate.get(part) if part else self.predicate
            if isinstance(said, dict) and name in said and canonical(said[name]) != canonical(value):
                raise Fail(f"the statement differs from the ledger in {part + '.' if part else ''}{name}")

    def _facts(self, change):
        def last(*types):
            return next((event for event in reversed(self.events) if event["type"] in types), None)

        decided, decisions = None, []
        for event in self.events:
            if event["type"] == "change:review":
                decided = None
            elif event["type"] in ("change:approve", "change:reject"):
                if event["payload"].get("state") != "in_review":
                    decided = event["occurred_at"]
                decisions.append(self._decision(event, str(change.get("digest"))))
        proposed, moved, observed = last("change:propose"), last("change:cutover"), last("change:verify", "change:drift")
        done = (event for event in reversed(self.events) if event["type"] == "change:shadow" and event["payload"].get("status") == "done")
        measured = next(done, None)
        if proposed:
            yield "change", "workflow", proposed["payload"].get("workflow")
            yield "change", "requested_at", proposed["occurred_at"]
        yield "change", "decided_at", decided
        yield "change", "cutover_at", moved["occurred_at"] if moved else None
        yield "change", "cutover_note", self._words(moved) if moved else ""
        taken = last("change:withdraw")
        yield "change", "withdrawn_at", taken["occurred_at"] if taken else None
        yield "change", "withdrawn_by", taken["actor"]["ref"] if taken else None
        yield "change", "withdrawn_note", self._words(taken) if taken else ""
        yield "", "decisions", decisions
        for part, names, event in (
            ("shadow", ("run", "status", "author", "plan_digest", "spent_pico"), measured),
            ("verification", ("since", "until", "calls", "on_route", "fallback", "elsewhere", "share"), observed),
        ):
            for name in names:
                if event and name in event["payload"]:
                    yield part, name, event["payload"][name]
        if not observed:
            yield "", "verification", None

    def _decision(self, event, digest):
        said = event["payload"]
        return {
            "idx": event["index"],
            "decision": event["type"][len("change:") :],
            "role": said.get("role"),
            "person": event["actor"]["ref"],
            "digest": said.get("digest"),
            "counts": said.get("digest") == digest,
            "reason": self._words(event),
            "auth": event["actor"].get("auth", {}),
            "decided_at": event["occurred_at"],
            "expires_at": said.get("expires_at"),
        }

    def _words(self, event):
        """Why somebody decided or moved, as far as it is disclosed. What cannot be read is a matter of the check of redactions."""
        try:
            texts = parse(self.files[f"disclosures/{event['index']}.json"])
        except (KeyError, Fail):
            return ""
        for text in texts if isinstance(texts, list) else []:
            try:
                _, name, value = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
            except (ValueError, TypeError, KeyError):
                continue
            if name in ("reason", "note"):
                return str(value)
        return ""

    def _checkpoint(self, checkpoint):
        self.note = note_of(checkpoint)
        self.checkpoint = tree_of(self.note[0])

    def _chain(self, change, issue):
        stream, previous = f"change/{change.get('id')}", None
        for position, entry in enumerate([*self.events, issue], 1):
            if entry["stream"] != stream:
                raise Fail(f"entry {entry['id']} belongs to {entry['stream']}, not to {stream}")
            if entry["stream_seq"] != position:
                raise Fail(f"stream has a gap: number {position} is missing")
            if entry["stream_prev"] != previous:
                raise Fail(f"entry number {position} does not follow the one before it")
            previous = entry["leaf"].hex()

    def _proof(self, name):
        """(index, hashes, checkpoint, extra) of a tlog-proof."""
        head, found, checkpoint = text_of(self.files[name]).partition("\n\n")
        lines = head.split("\n")
        if not found or lines.pop(0) != "c2sp.org/tlog-proof@v1":
            raise Fail("not a c2sp.org/tlog-proof@v1 file")
        extra = unbase64(lines.pop(0)[6:]) if lines and lines[0].startswith("extra ") else None
        if not lines or not lines[0].startswith("index "):
            raise Fail("proof has no index line")
        index, hashes = number_of(lines.pop(0)[6:], "proof index"), [unbase64(line) for line in lines]
        if len(hashes) > 63 or any(len(one) != 32 for one in hashes):
            raise Fail("proof hashes are not SHA-256 hashes")
        if not checkpoint.endswith("\n"):
            raise Fail("proof has no checkpoint")
        return index, hashes, checkpoint, extra

    def _entry(self, name, proof, checkpoint, number):
        if name not in self.files or proof not in self.files:
            raise Fail(f"{name} or its proof is missing")
        index, hashes, under, extra = self._proof(proof)
        if under != checkpoint or extra is not None:
            raise Fail(f"{proof} is under another checkpoint")
        if index != number:
            raise Fail(f"{proof} proves another index")
        try:
            leaf = self.files[name]
            body = entry_of(leaf)
            body["leaf"], body["index"] = hashlib.sha256(b"\x00" + leaf).digest(), index
            if index >= self.checkpoint[1]:
                raise Fail("inclusion proof does not fit its index and size")
            if climb(index, self.checkpoint[1], body["leaf"], hashes) != self.checkpoint[2]:
                raise Fail("inclusion proof leads to another root")
        except Fail as error:
            raise Fail(f"{name}: {error}") from None
        return body

    def evidence(self):
        count = self._files_match()
        named = {item["name"]: item["sha256"] for event in self.events for item in event["evidence"]}
        for name, value in named.items():
            if self.subjects.get(f"evidence/{name}") != value:
                raise Fail(f"evidence/{name} is not the file the ledger names")
        if not count:
            raise Fail("the packet holds no evidence")
        return f"{count} of {count} files match their SHA-256; {len(named)} of them bound by ledger entries; report matches"

    def _files_match(self):
        self._need(self.subjects, "the statement did not verify")
        present = {name for name in self.files if name.startswith("evidence/")} | {"report.pdf"}
        for name in sorted(present | set(self.subjects)):
            if name not in self.subjects:
                raise Fail(f"{name} is not named by the statement")
            if name not in self.files:
                raise Fail(f"{name} is missing")
            if sha256(self.files[name]) != self.subjects[name]:
                raise Fail(f"{name} does not match its SHA-256")
        return len(present) - 1

    # ---- a period packet

    def _bounds(self):
        said = self.predicate.get("period")
        if not self.predicate:
            raise NotChecked("not checked: the statement did not verify")
        if not isinstance(said, dict) or not isinstance(said.get("name"), str):
            raise Fail("the statement names no period")
        first, after = bounds(said["name"])
        if said != {"name": said["name"], "from": first, "to": after}:
            raise Fail("the period of the statement has other bounds than its name")
        return said["name"], first, after

    def range(self):
        name, first, after = self._bounds()
        begin, end, outside = self._range_proof()
        number, _, checkpoint, _ = self._proof("packet.tlog-proof")
        self._checkpoint(checkpoint)
        lines = self.files["range.jsonl"].split(b"\n")
        if lines.pop() != b"" or not lines or len(lines) != end - begin:
            raise Fail("range.jsonl does not hold the entries of the range")
        found = []
        for index, leaf in enumerate(lines, begin):
            try:
                found.append({**entry_of(leaf), "leaf": hashlib.sha256(b"\x00" + leaf).digest(), "index": index})
            except Fail as error:
                raise Fail(f"entry {index}: {error}") from None
        if end > self.checkpoint[1]:
            raise Fail("range proof does not fit its range and size")
        root = fold(0, self.checkpoint[1], begin, [one["leaf"] for one in found], outside)
        if outside:
            raise Fail("range proof is too long")
        if root != self.checkpoint[2]:
            raise Fail("range proof leads to another root")
        issue = self._entry("packet.event.json", "packet.tlog-proof", checkpoint, number)
        if number < end:
            raise Fail("the packet was issued before its last entry")
        times = [one["recorded_at"] for one in [*found, issue]]
        if times != sorted(times):
            raise Fail("the times of record step back")
        if any(time < first for time in times[1:-1]) or any(time >= after for time in times[:-2]):
            raise Fail(f"the range holds more than {name} and the entry on either side")
        if begin and times[0] >= first:
            raise Fail(f"the range begins late: nothing shows what was recorded before entry {begin}")
        closed = times[-2] >= after
        if not closed and number != end:
            raise Fail(f"the range ends early: nothing shows what was recorded after entry {end - 1}")
        on_record = issue["type"] == "period:issue" and issue["payload"].get("statement_sha256") == sha256(
            self.files["statement.dsse.json"]
        )
        if not on_record or issue["payload"].get("period") != name:
            raise Fail("packet.event.json does not record the issue of this statement")
        if self.predicate.get("log") != self.checkpoint[0]:
            raise Fail("the statement names another log than the checkpoint")
        leaves = sha256(b"".join(one["leaf"] for one in found))
        if canonical(self.predicate["range"]) != canonical({"begin": begin, "end": end, "leaves_sha256": leaves}):
            raise Fail("the statement names another range than the packet holds")
        self.events, self.proven = [*self._earlier(checkpoint, begin), *found], True
        held = [one for one in found if first <= one["recorded_at"] < after]
        how_far = "the whole period" if closed or times[-1] >= after else f"so far, until {times[-1]}"
        return (
            f"{len(held)} entries of {name} (UTC), {held[0]['index']}..{held[-1]['index']} in ledger {self.checkpoint[0]}, none missing, {how_far};"
            " issue of this packet recorded"
        )

    def _range_proof(self):
        lines = text_of(self.files["range.proof"]).split("\n")
        if len(lines) < 3 or lines.pop(0) != "governor.example/range-proof/v1" or lines.pop() != "":
            raise Fail("not a governor.example/range-proof/v1 file")
        words = lines.pop(0).split(" ")
        if len(words) != 3 or words[0] != "range":
            raise Fail("range proof has no range line")
        begin, end = number_of(words[1], "begin of the range"), number_of(words[2], "end of the range")
        hashes = [unbase64(line) for line in lines]
        if len(hashes) > 126 or any(len(one) != 32 for one in hashes):
            raise Fail("range proof hashes are not SHA-256 hashes")
        return begin, end, hashes

    def _earlier(self, checkpoint, begin):
        names = [name for name in self.files if name.startswith("events/")]
        numbers = sorted(int(name[7:-5]) for name in names if name.endswith(".json"))
        stray = {name for name in names if name.endswith(".tlog-proof")} - {f"events/{number}.tlog-proof" for number in numbers}
        if stray:
            raise Fail(f"proof without event: {min(stray)}")
        if numbers and numbers[-1] >= begin:
            raise Fail(f"events/{numbers[-1]}.json is not from before the range")
        return [self._entry(f"events/{number}.json", f"events/{number}.tlog-proof", checkpoint, number) for number in numbers]

    def _inside(self, entries):
        _, first, after = self._bounds()
        return [one for one in entries if first <= one["recorded_at"] < after]

    def _stories(self):
        """Every change that moved in the period, in the order in which they first did, with all its entries up to the period's end."""
        after = self._bounds()[2]
        moved = {one["stream"][7:]: [] for one in self._inside(self.events) if self._moves(one)}
        for one in self.events:
            if one["stream"].startswith("change/") and one["stream"][7:] in moved and one["recorded_at"] < after:
                moved[one["stream"][7:]].append(one)
        return moved

    @staticmethod
    def _moves(one):
        return one["stream"].startswith("change/") and one["type"].startswith("change:")

    def _line(self, change, story):
        moves = [one for one in self._inside(story) if self._moves(one)]
        state, needed, answered = "", set(), set()
        for one in story:
            kind, payload = one["type"], one["payload"]
            if kind == "change:shadow":
                state = AFTER_SHADOW.get(str(payload.get("status")), "draft")
            elif kind == "change:approve":
                answered.add(str(payload.get("role")))
                state = "approved" if needed <= answered else "in_review"
            else:
                state = AFTER.get(kind, state)
            if kind == "change:review":
                needed, answered = {str(need.get("role")) for need in payload["needs"]}, set()
        return {
            "id": change, "workflow": str(story[0]["payload"].get("workflow", "")), "state": state,
            "digest": next((str(one["payload"]["digest"]) for one in reversed(story) if one["payload"].get("digest")), ""),
            "requester": story[0]["actor"]["ref"], "requested_at": story[0]["recorded_at"], "last_at": moves[-1]["recorded_at"],
            "entries": len(moves), "first_idx": moves[0]["index"], "last_idx": moves[-1]["index"],
        }  # fmt: skip

    def changes(self):
        self._need(self.proven, "the entries are not proven")
        stories = self._stories()
        for change, story in stories.items():
            previous = None
            for position, one in enumerate(story, 1):
                if one["stream_seq"] != position:
                    raise Fail(f"change {change} has a gap: number {position} is missing")
                if one["stream_prev"] != previous:
                    raise Fail(f"entry number {position} of change {change} does not follow the one before it")
                previous = one["leaf"].hex()
        for one in self.events:
            if one["index"] < self.predicate["range"]["begin"] and one["stream"].removeprefix("change/") not in stories:
                raise Fail(f"events/{one['index']}.json belongs to no change of the period")
        counts = {}
        for one in self._inside(self.events):
            counts[one["type"]] = counts.get(one["type"], 0) + 1
        if canonical(self.predicate.get("counts")) != canonical(counts):
            raise Fail("the counts of the statement are not those of the entries")
        found, said = [self._line(change, story) for change, story in stories.items()], self.predicate.get("changes")
        if canonical(said) != canonical(found):
            known = {line.get("id"): line for line in said if isinstance(line, dict)} if isinstance(said, list) else {}
            other = next((f": {line['id']}" for line in found if known.get(line["id"]) != line), "")
            raise Fail(f"the changes of the statement are not those of the entries{other}")
        if self.files.get("evidence/changes.csv") != population_csv(found):
            raise Fail("evidence/changes.csv does not list the changes of the entries")
        states = [line["state"] for line in found]
        each = ", ".join(f"{states.count(state)} {state}" for state in sorted(set(states)))
        return f"{plural(len(found))}{f' ({each})' if each else ''}, each with its whole story; {len(counts)} types counted"

    def period_approvals(self):
        self._need(self.proven, "the entries are not proven")
        stories, approved = self._stories(), 0
        for change, story in stories.items():
            line = self._line(change, story)
            if line["state"] in APPROVED or line["state"] == "withdrawn":
                one = Packet(self.files, self.trust)
                one.events, one.predicate, one.proven = story, {"change": line}, True
                try:
                    one.approvals()
                except Fail as error:
                    raise Fail(f"{change}: {error}") from None
                approved += line["state"] in APPROVED
        if not approved:
            return "none", f"none of {plural(len(stories))} was approved"
        return f"{approved} of {plural(len(stories))} approved, each by the roles policy asked for, not by requester or evidence author"

    def period_evidence(self):
        count = self._files_match()
        if not count:
            raise Fail("the packet holds no evidence")
        return f"{count} of {count} files match their SHA-256; report matches"

    def period_redactions(self):
        self._need(self.proven, "the entries are not proven")
        return self.redactions()

    def verdict(self):
        """Governor computes the measured verdict again from its pairs; this program does not have the method, and says so."""
        return "none", "not computed again by this program; governor packet verify does"

    def binding(self):
        self._need(self.proven, "the events are not proven")
        change = self._change()
        if change["state"] not in APPROVED:
            return "none", "nothing was approved"
        request, shadow, review = self.predicate["request"], self.predicate["shadow"], self._review(change)
        if review is None:
            raise Fail("no review of the statement's digest is on record")
        parts = review["payload"]["parts"]
        if review["policy"] is None:
            raise Fail("no policy decision on the statement's digest is on record")
        files = digest(sorted(review["evidence"], key=lambda item: item["name"]))
        evidence = "" if shadow is None else digest([shadow["run"], canonical(shadow["verdict"]), files])
        if parts["evidence"] != evidence:
            raise Fail("verdict and evidence are not the ones that were approved")
        for name in ("baseline", "candidate", "reason", "endpoint"):
            if change.get(name) != request.get(name):
                raise Fail(f"{name} of the statement is not the one that was requested")
        bound = {
            "v": 1, "request": request, "workflow": parts["workflow"], "plan": parts["plan"], "sample": parts["sample"], "evidence": evidence,
            "policy_bundle": review["policy"]["bundle_sha256"], "price_book": parts["price_book"],
        }  # fmt: skip
        if digest(bound) != change["digest"]:
            raise Fail("the approved digest is not that of this request, plan, evidence and policy")
        return f"approved digest {change['digest'][:8]}.. re-derived from request, plan, sample, evidence, policy bundle and price book"

    def _review(self, change):
        found = (event for event in reversed(self.events) if event["type"] == "change:review")
        return next((event for event in found if event["payload"]["digest"] == change["digest"]), None)

    def _requesters(self):
        return {event["actor"]["ref"] for event in self.events if event["type"] in ("change:propose", "change:submit")}

    def approvals(self):
        self._need(self.proven, "the events are not proven")
        change, events = self._change(), self.events
        last = next((event["type"] for event in reversed(events) if event["type"] in STATES), None)
        if last is None:
            raise Fail("no decision is on record")
        if change.get("state") not in STATES[last]:
            raise Fail(f"statement says {change.get('state')!r}, but the last decision on record is {last}")
        self._withdrawal()
        if change["state"] not in APPROVED:
            people = {event["payload"].get("role") or event["actor"]["ref"] for event in events if event["type"] == "change:reject"}
            return f"not approved: {change['state']}{' by ' + ', '.join(sorted(people)) if people else ''}"
        try:
            return self._approved(change, self._review(change))
        except (KeyError, TypeError, AttributeError):
            raise Fail("an approval entry is malformed") from None

    def _withdrawal(self):
        """It ends a change, is made before the cutover, by whoever asked or by an admin."""
        events = self.events
        at = next((at for at, event in enumerate(events) if event["type"] == "change:withdraw"), None)
        if at is None:
            return
        actor = events[at]["actor"]
        roles = actor.get("roles")
        admin = isinstance(roles, list) and "admin" in roles
        if actor["kind"] != "person":
            raise Fail("the change was not withdrawn by a person")
        if actor["ref"] not in self._requesters() and not admin:
            raise Fail("the change was withdrawn by somebody who neither asked for it nor is an admin")
        if any(event["type"] == "change:cutover" for event in events[:at]):
            raise Fail("the change was withdrawn after its cutover")
        if any(event["type"] in STATES for event in events[at + 1 :]):
            raise Fail("the change was decided on after it was withdrawn")

    def _approved(self, change, review):
        events = self.events
        if review is None:
            raise Fail("no review of the statement's digest is on record")
        needed = {need["role"] for need in review["payload"]["needs"]}
        if not needed:
            raise Fail("policy asked for no approval at all: an empty matrix is not a pass")
        cutover = next((at for at, event in enumerate(events) if event["type"] == "change:cutover"), None)
        later = [event["payload"]["digest"] for event in events[events.index(review) : cutover] if event["type"] == "change:review"]
        if any(one != change["digest"] for one in later):
            raise Fail("the approvals are stale: a later review put another digest before the deciders")
        every = [(at, event) for at, event in enumerate(events) if event["type"] == "change:approve"]
        counted = [(at, event) for at, event in every if event["payload"]["digest"] == change["digest"] and at > events.index(review)]
        for at, event in counted:
            self._approval(at, event, cutover)
        people = [event["actor"]["ref"] for _, event in counted]
        if len(set(people)) != len(people):
            raise Fail("one person approved more than once")
        roles = sorted(event["payload"]["role"] for _, event in counted)
        missing = sorted(needed - set(roles))
        if missing:
            others = [event for _, event in every if event["payload"]["digest"] != change["digest"]]
            stale = any(event["payload"]["role"] in missing for event in others)
            raise Fail(f"role {', '.join(missing)}: {'approved another digest (stale)' if stale else 'nobody approved'}")
        strict = {need["role"] for need in review["payload"]["needs"] if need.get("strength")}
        weak = sorted({event["payload"]["role"] for _, event in counted if "passkey" not in event["payload"]} & strict)
        if weak:
            raise Fail(f"role {', '.join(weak)}: policy asked for a passkey, and the approval is weaker")
        count = "1 person" if len(people) == 1 else f"{len(people)} distinct people"
        when = "not cut over yet" if cutover is None else "all before cutover"
        return f"{count} ({', '.join(roles)}), neither requester nor evidence author, {when}; {strength([event for _, event in counted])}"

    def _approval(self, at, event, cutover):
        actor, role, expires = event["actor"], event["payload"]["role"], event["payload"].get("expires_at")
        try:
            late = cutover is not None and expires is not None and moment(expires) < moment(self.events[cutover]["occurred_at"])
        except Fail:
            raise Fail("an approval entry is malformed") from None
        runs = [(found["payload"].get("author"), found["actor"]["ref"]) for found in self.events if found["type"] == "change:shadow"]
        if not all(author is None or isinstance(author, str) for author, _ in runs):
            raise Fail("an approval entry is malformed")
        ran = {author or who for author, who in runs}
        for wrong, reason in (
            (actor["kind"] != "person", f"the {role} approval was not given by a person"),
            (actor["ref"] in self._requesters(), f"the requester approved (role {role})"),
            (actor["ref"] in ran - {"system", "operator"}, f"the author of the evidence approved (role {role})"),
            (role not in actor.get("roles", []), f"the {role} approval came from someone without that role"),
            (cutover is not None and at > cutover, f"the {role} approval came after cutover"),
            (late, f"the {role} approval had expired at cutover"),
        ):
            if wrong:
                raise Fail(reason)
        problem = assertion_problem(event)
        if problem:
            raise Fail(f"the {role} approval: {problem}")

    def policy(self):
        self._need(self.proven, "the events are not proven")
        change = self._change()
        review, claimed = self._review(change), self.predicate.get("policy")
        decided = None if review is None else review["policy"]
        if not isinstance(decided, dict) or not isinstance(claimed, dict):
            raise Fail("no policy decision on the statement's digest is on record")
        for name in ("bundle_sha256", "result"):
            if decided.get(name) != claimed.get(name):
                raise Fail(f"policy {name} of the statement differs from the ledger")
        if decided["result"] not in ("allow", "allowed") and change["state"] not in ("rejected", "expired", "withdrawn"):
            raise Fail(f"policy decided {decided['result']!r}, yet the change was approved")
        for name, told in (
            ("policy", decided),
            ("needs", review["payload"]["needs"]),
            ("violations", review["payload"].get("violations", [])),
        ):
            if name in self.predicate and canonical(self.predicate[name]) != canonical(told):
                raise Fail(f"the statement differs from the ledger in {name}")
        return f"bundle {decided['bundle_sha256'][:8]}..; decision {decided['result']} at {review['occurred_at']}"

    def log(self):
        if self.note is None or self.checkpoint is None:
            raise Fail("no checkpoint could be read")
        origin, size, _ = self.checkpoint
        keys = [key for key in self.trust.logs if key[0] == origin]
        signed = [signed_by(*self.note, key) for key in keys]
        for key, found in zip(keys, signed):
            if found is False:
                raise Fail(f"the {'ML-DSA-44 cosignature' if key[1] == 6 else 'log signature'} of {origin} does not verify")
        pairs = list(zip(keys, signed))
        first = [pair for pair in pairs if pair[0][1] != 6] or pairs  # the second key stands in for no first one
        if not any(found for _, found in first):
            raise Unknown(f"checkpoint of {origin} is not signed by a log of the trust file")
        if not any(found and self.trust.log_covers(key, size) for key, found in first):
            raise Fail(f"the log key is not valid for tree size {size}")
        if self.issuer is not None and not (self.issuer[1] <= size and (self.issuer[2] is None or size <= self.issuer[2])):
            raise Fail(f"the issuer key is not valid for tree size {size}")
        second = [found for key, found in pairs if key[1] == 6 and self.trust.log_covers(key, size)]
        told = f"size {size}, log key ok" + (f", ML-DSA-44 cosignature {'ok' if True in second else 'missing'}" if second else "")
        found = {name: self._witness(name, key, size) for name, key in self.trust.witnesses.items()}
        seen = {name for name, said in found.items() if not said}
        counted = f"witnesses {len(seen)} of {len(found)}"
        if not self.trust.met(seen):
            lacking = "; ".join(f"{name} {said}" for name, said in found.items() if said)
            raise Unknown(f"{told}, but {counted} do not meet quorum {self.trust.quorum}: {lacking}")
        wrong = [name for name, said in found.items() if said == WRONG]
        doubt = "".join(f"; {name} {WRONG}" for name in wrong)
        status = "warn" if wrong or (second and True not in second) else "ok"
        if self.trust.quorum == "none":
            return status, f"{told}, no witness required by the trust file{doubt}"
        keys = [self.trust.witnesses[name] for name in seen]
        latest = max(
            int.from_bytes(next(raw for who, kid, raw in self.note[1] if (who, kid) == (key[0], key[3]))[:8], "big") for key in keys
        )
        when = datetime.datetime.fromtimestamp(latest, datetime.timezone.utc)
        return status, f"{told}, {counted}: seen no later than {when:%Y-%m-%dT%H:%M:%SZ}{doubt}"

    def _witness(self, name, key, size):
        """What is to be said against the cosignature of a witness; nothing where it counts."""
        if not self.trust.witness_covers(name, size):
            return "has a key for other tree sizes"
        return {True: "", False: WRONG, None: "has not cosigned"}[signed_by(*self.note, key)]

    def redactions(self):
        self._need(self.proven, "the events are not proven")
        shown = hidden = 0
        for event in self.events:
            name, promised = f"disclosures/{event['index']}.json", set(event["_sd"])
            texts = parse(self.files[name]) if name in self.files else []
            given = {_sd(text) for text in texts}
            if not given <= promised or len(given) != len(texts):
                raise Fail(f"{name} discloses what the entry did not commit to")
            shown, hidden = shown + len(given), hidden + len(promised - given)
        places = {f"disclosures/{event['index']}.json" for event in self.events}
        stray = next((name for name in self.files if name.startswith("disclosures/") and name not in places), None)
        if stray:
            raise Fail(f"{stray} belongs to no event")
        if hidden:
            return "warn" if shown else "none", f"{hidden} personal fields withheld, {shown} shown; commitments intact"
        return ("ok", f"{shown} personal fields shown, each as committed") if shown else ("none", "no personal fields")

    def timestamp(self):
        return "none", "no RFC 3161 token (not required by the trust file)"

    def _change(self):
        change = self.predicate.get("change")
        if not self.predicate:
            raise NotChecked("not checked: the statement did not verify")
        if not isinstance(change, dict):
            raise Fail("the statement names no change")
        return change

    def _need(self, ground, why):
        if not ground:
            raise NotChecked(f"not checked: {why}")


def entry_of(leaf):
    """One ledger entry, read strictly."""
    if len(leaf) > 16 * 1024:
        raise Fail("leaf is too large")
    body = parse(leaf)
    if not isinstance(body, dict):
        raise Fail("leaf is not an object")
    if set(body) != ENVELOPE or body["v"] != 1:
        raise Fail("not an entry envelope of version 1")
    for name, kind in SHAPES:
        if not isinstance(body[name], kind) or isinstance(body[name], bool):
            raise Fail(f"{name} is not {kind.__name__}")
    if not re.fullmatch(r"[a-z_]+(/[\x21-\x2e\x30-\x7e]+)+", body["stream"], re.ASCII):
        raise Fail(f"stream {body['stream']!r} is not of the form noun/id")
    seq, prev = body["stream_seq"], body["stream_prev"]
    linked = prev is None or (isinstance(prev, str) and re.fullmatch(r"[0-9a-f]{64}", prev))
    if seq < 1 or (prev is None) != (seq == 1) or not linked:
        raise Fail("stream_seq and stream_prev do not fit each other")
    moment(body["occurred_at"])
    moment(body["recorded_at"])
    if not isinstance(body["actor"].get("ref"), str) or not isinstance(body["actor"].get("kind"), str):
        raise Fail("actor needs kind and ref")
    if body["policy"] is not None and not isinstance(body["policy"], dict):
        raise Fail("policy is neither null nor an object")
    if not all(isinstance(item, dict) and {"name", "sha256", "size", "media_type"} <= set(item) for item in body["evidence"]):
        raise Fail("evidence items need name, sha256, size and media_type")
    for name in ("actor", "payload", "evidence", "policy", "producer"):
        _check_keys(body[name], name, True)
    return body


def _check_keys(value, where, strict):
    if isinstance(value, dict):
        for key, child in value.items():
            if not re.fullmatch(r"[a-z_][a-z0-9_]*" if strict else r"[\x21-\x7e]+", key, re.ASCII):
                raise Fail(f"{where}: key {key!r} is not {'snake_case' if strict else 'printable ASCII'}")
            _check_keys(child, f"{where}.{key}", False)
    elif isinstance(value, list):
        for child in value:
            _check_keys(child, where, strict)


def strength(counted):
    strong = sorted(event["payload"]["role"] for event in counted if "passkey" in event["payload"])
    weak = sorted(event["payload"]["role"] for event in counted if "passkey" not in event["payload"])
    signed = f"signed by passkey: {', '.join(strong)}" if strong else "none signed by passkey"
    return f"{signed}; weaker (password or token): {', '.join(weak)}" if weak else signed


def assertion_problem(event):
    """Why the WebAuthn assertion of a decision does not hold, or None."""
    claimed = event["actor"].get("auth", {}).get("amr") == "passkey"
    held = event["payload"].get("passkey")
    if held is None:
        return "claims a passkey, but holds no assertion" if claimed else None
    if not claimed:
        return "holds an assertion, but claims another way of signing in"
    try:
        return _assertion(event, held)
    except (Fail, KeyError, TypeError, ValueError, AttributeError):
        return "the passkey assertion is malformed"


def _assertion(event, held):
    if set(held) != {"record", "algorithm", "public_key", "authenticator_data", "client_data", "signature"}:
        raise ValueError("fields")
    record, client, data = held["record"], _url64(held["client_data"]), _url64(held["authenticator_data"])
    said, other = json.loads(client.decode("utf-8")), "the passkey signed another decision"
    if (record["v"], record["decision"], record["person"]) != (1, event["type"][len("change:") :], event["actor"]["ref"]):
        return other
    if any(record[name] != event["payload"][name] for name in ("change", "digest", "role")):
        return other
    asked = base64.urlsafe_b64encode(hashlib.sha256(canonical(record).encode("utf-8")).digest()).rstrip(b"=").decode()
    if said["type"] != "webauthn.get" or said["challenge"] != asked or said["origin"] != record["origin"]:
        return other
    if len(data) < 37 or data[:32] != hashlib.sha256(record["rp"].encode()).digest():
        return "the passkey belongs to another site"
    if data[32] & 5 != 5:
        return "the device did not verify its user"
    public, signed, signature = bytes.fromhex(held["public_key"]), data + hashlib.sha256(client).digest(), _url64(held["signature"])
    if held["algorithm"] == "ES256":
        good = p256(public, signed, signature)
    elif held["algorithm"] == "EdDSA" and len(public) == 32:
        good = ed25519(public, signed, signature)
    else:
        raise ValueError("algorithm")
    return None if good else "the passkey signature does not verify"


def _url64(text):
    raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if base64.urlsafe_b64encode(raw).rstrip(b"=").decode() != text:
        raise ValueError("base64")
    return raw


def _sd(text):
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode("ascii")).digest()).rstrip(b"=").decode()


def title_of(held):
    """What the statement claims to be about; not verified."""
    try:
        predicate = parse(held.envelope()[0])["predicate"]
        if set(held.files) >= RANGE:
            return f"{predicate['period']['name']} period packet, {predicate['log']}: {plural(len(predicate['changes']))}"
        change = predicate["change"]
        baseline, candidate = (
            f"{route.get('model', '?')}@{route.get('provider', '?')}" if isinstance(route, dict) else str(route)
            for route in (change["baseline"], change["candidate"])
        )
        return f"{change['id']} route change, {change['workflow']}: {baseline} -> {candidate}"
    except Exception:
        return "unreadable"


CHECKS = (
    ("container", Packet.container), ("statement", Packet.statement), ("events", Packet.inclusion), ("evidence", Packet.evidence),
    ("verdict", Packet.verdict), ("binding", Packet.binding), ("approvals", Packet.approvals), ("policy", Packet.policy), ("checkpoint", Packet.log),
    ("redactions", Packet.redactions), ("timestamp", Packet.timestamp),
)  # fmt: skip


PERIOD_CHECKS = (
    ("container", Packet.container), ("statement", Packet.statement), ("range", Packet.range), ("evidence", Packet.period_evidence),
    ("changes", Packet.changes), ("approvals", Packet.period_approvals), ("checkpoint", Packet.log), ("redactions", Packet.period_redactions),
    ("timestamp", Packet.timestamp),
)  # fmt: skip


def verify(packet, trust):
    """(title, [(check, status, detail)]); status is ok, fail, warn, none or undecided."""
    try:
        held = Packet(unpack(packet), trust)
    except (Fail, Unknown) as error:
        return "unreadable", [("container", "fail" if isinstance(error, Fail) else "undecided", str(error))]
    lines = []
    for name, check in PERIOD_CHECKS if set(held.files) >= RANGE else CHECKS:
        if name == "verdict" and PAIRS not in held.files:
            continue
        try:
            found = check(held)
            lines.append((name, *found) if isinstance(found, tuple) else (name, "ok", found))
        except NotChecked as error:
            earlier = {status for _, status, _ in lines}
            lines.append((name, "undecided" if "undecided" in earlier and "fail" not in earlier else "fail", str(error)))
        except Unknown as error:
            lines.append((name, "undecided", str(error)))
        except Fail as error:
            lines.append((name, "fail", str(error)))
        except Exception as error:  # a maimed packet may break any assumption; it must never look like a crash or a pass
            lines.append((name, "fail", f"malformed ({type(error).__name__}: {error})"))
    return title_of(held), lines


def result_of(lines):
    found = {status for _, status, _ in lines}
    return FAILED if "fail" in found or not found else UNDECIDED if "undecided" in found else VERIFIED


def plain(text):
    """What a packet says, on one line of its own: a forged one must not write another answer over this one."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)


def main(arguments):
    as_json = "--json" in arguments
    words, root = [word for word in arguments if word != "--json"], ""
    if "--root" in words[:-1]:
        at = words.index("--root")
        root, words = words[at + 1], words[:at] + words[at + 2 :]
    if len(words) != 3 or words[1] != "--trust":
        print(__doc__, file=sys.stderr)
        return USAGE
    try:
        with open(words[0], "rb") as file:
            packet = file.read()
        with open(words[2], "rb") as file:
            trust = Trust(file.read())
        if root:
            trust.check_root(root)
    except (OSError, Fail) as error:
        print(error, file=sys.stderr)
        return USAGE
    title, lines = verify(packet, trust)
    code = result_of(lines)
    verdict = {VERIFIED: "VERIFIED", FAILED: "FAILED", UNDECIDED: "UNDECIDED"}[code]
    found = {"result": verdict, "exit_code": code, "title": title, "sha256": sha256(packet), "trust_sha256": trust.sha256}
    found["trust_root"] = trust.root_text()
    if as_json:
        checks = [{"name": name, "status": status, "detail": detail} for name, status, detail in lines]
        said = json.dumps({**found, "checks": checks}, ensure_ascii=False, indent=2)
    else:
        marks = {"ok": " ok ", "fail": "FAIL", "warn": "warn", "none": " -- ", "undecided": " ?? "}
        said = f"PACKET   {plain(title)}      sha256 {found['sha256']}\n"
        said += "".join(f"[{marks[status]}] {name:<13} {plain(detail)}\n" for name, status, detail in lines)
        name = re.split(r"[/\\]", words[2])[-1]
        root_name, _, root_key = trust.root_text().partition(" ")
        under = f" signed by root {root_name} (key {root_key[:16]}..)" if trust.root else ""
        said += f"{verdict} against trust policy {name} (sha256 {trust.sha256[:16]}..){under}   checked offline, no network used"
    return tell(said, code)


def tell(said, code):
    """A verdict that cannot be written is none: Python's own end, 1, would say that the packet is false."""
    if sys.stdout is None:
        print("standard output is closed", file=sys.stderr)
        return UNDECIDED
    try:
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal may lack letters that a packet has
        print(said, flush=True)
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python tries again when it ends
        if not isinstance(error, BrokenPipeError):  # whose reader had enough: what was found stands
            print(f"standard output: {error.strerror}", file=sys.stderr)
            return UNDECIDED
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
