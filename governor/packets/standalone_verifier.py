"""Verify a Governor audit packet with nothing but Python's standard library: no Governor, no network, no database.

    python3 verify.py FILE.govpacket --trust TRUST [--json]

Exit 0 VERIFIED, 1 FAILED, 2 UNDECIDED (a key the trust file does not name, a quorum unmet, a newer version), 64 wrong usage.

This program shares no code with Governor. It was written from the published formats: RFC 8032 (Ed25519), RFC 6962 (Merkle tree), RFC 8785
(canonical JSON), C2SP signed-note, tlog-checkpoint, tlog-proof, tlog-policy and tlog-cosignature, DSSE 1.0.2, in-toto Statement v1 and RFC 9901
disclosures. Trust comes from the trust file alone, which must reach you by another way than the packet.
"""

import base64
import binascii
import datetime
import hashlib
import io
import json
import re
import sys
import zipfile

VERIFIED, FAILED, UNDECIDED, USAGE = 0, 1, 2, 64
MIMETYPE = b"application/vnd.governor.packet.v1+zip"
PREDICATE = "https://governor.example/attestation/route-change/v1"
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
STATES = {
    "change:approve": {"approved", "in_review"}, "change:reject": {"rejected"}, "change:expire": {"expired"}, "change:cutover": {"cutover"},
    "change:verify": {"verified", "drifted", "cutover"}, "change:drift": {"drifted"},
}  # fmt: skip
APPROVED = {"approved", "cutover", "verified", "drifted"}


class Fail(Exception):
    """The packet is wrong."""


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


def canonical(value):
    """RFC 8785 without floats."""
    if isinstance(value, float) or (isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 2**53):
        raise Fail("a number that has no canonical form")
    if isinstance(value, dict):
        items = sorted(value.items(), key=lambda item: item[0].encode("utf-16-be"))
        return "{" + ",".join(json.dumps(key, ensure_ascii=False) + ":" + canonical(child) for key, child in items) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def parse(data, what):
    """JSON that is exactly its canonical form."""
    try:
        document = json.loads(data.decode("utf-8"))
        same = canonical(document).encode("utf-8") == data
    except (UnicodeError, ValueError, RecursionError):
        raise Fail(f"{what} is not JSON") from None
    if not same:
        raise Fail(f"{what} is not canonical JSON")
    return document


def digest(document):
    return sha256(canonical(document).encode("utf-8"))


def note_of(text):
    """(signed text, [(name, key id, signature)]) of a C2SP signed note."""
    body, found, tail = text.rpartition("\n\n")
    if not found or not tail.endswith("\n") or any(char < " " and char != "\n" for char in body):
        raise Fail("not a signed note")
    signatures = []
    for line in tail[:-1].split("\n"):
        head, name, rest = (line.split(" ", 2) + ["", ""])[:3]
        raw = unbase64(rest)
        if head != "\u2014" or not name or "+" in name or len(raw) <= 4:
            raise Fail("malformed signature line in a note")
        signatures.append((name, raw[:4], raw[4:]))
    return body + "\n", signatures


def key_of(text):
    """(name, algorithm, public key, key id) of a vkey."""
    name, _, rest = text.partition("+")
    claimed, _, encoded = rest.partition("+")
    raw = unbase64(encoded)
    if len(raw) != 33 or raw[0] not in (1, 4) or not name:
        raise Fail(f"verifier key of {name!r} has an unknown algorithm or length")
    if _key_id(name, raw[0], raw[1:]).hex() != claimed:
        raise Fail(f"verifier key of {name!r} does not match its id")
    return name, raw[0], raw[1:], _key_id(name, raw[0], raw[1:])


def _key_id(name, algorithm, public):
    return hashlib.sha256(name.encode() + b"\n" + bytes([algorithm]) + public).digest()[:4]


def signed_by(text, signatures, key):
    """True, False (a signature claims this key and is wrong) or None (no signature of this key)."""
    name, algorithm, public, key_id = key
    mine = [raw for who, found, raw in signatures if who == name and found == key_id]
    if not mine:
        return None
    for raw in mine:
        message = text.encode()
        if algorithm == 4:
            if len(raw) != 72:
                return False
            message = b"cosignature/v1\ntime %d\n" % int.from_bytes(raw[:8], "big") + message
            raw = raw[8:]
        if not ed25519(public, message, raw):
            return False
    return True


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


def moment(text):
    if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", str(text), re.ASCII):
        raise Fail(f"not a timestamp: {text!r}")
    try:
        return datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ")
    except ValueError:
        raise Fail(f"not a date: {text!r}") from None


# ---- the trust file


class Trust:
    """Logs, witnesses, groups, quorum and issuers of a C2SP tlog-policy with `issuer` lines."""

    def __init__(self, data):
        self.sha256 = sha256(data)
        self.logs, self.witnesses, self.groups, self.issuers, self.quorum = [], {}, {}, [], None
        for number, line in enumerate(data.decode("utf-8").split("\n"), 1):
            words = line.split()
            if words and not words[0].startswith("#"):
                try:
                    self._take(words)
                except (Fail, ValueError, IndexError) as error:
                    raise Fail(f"trust file line {number}: {error or 'malformed'}") from None
        if self.quorum is None:
            raise Fail("trust file has no quorum line")

    def _take(self, words):
        kind = words[0]
        if kind == "log" and len(words) in (2, 3):
            self.logs.append(key_of(words[1]))
        elif kind == "witness" and len(words) in (3, 4):
            name, _, public, _ = key_of(words[2])
            self.witnesses[words[1]] = (name, 4, public, _key_id(name, 4, public))
        elif kind == "group" and len(words) > 3:
            needed = {"any": 1, "all": len(words) - 3}.get(words[2]) or int(words[2])
            if not 1 <= needed <= len(words) - 3 or any(name not in self.witnesses and name not in self.groups for name in words[3:]):
                raise Fail("unknown member or threshold")
            self.groups[words[1]] = (needed, words[3:])
        elif kind == "quorum" and len(words) == 2 and self.quorum is None:
            if words[1] != "none" and words[1] not in self.witnesses and words[1] not in self.groups:
                raise Fail("quorum names nobody")
            self.quorum = words[1]
        elif kind == "issuer" and len(words) in (2, 3):
            first, _, last = (words[2] if len(words) == 3 else "0..").partition("..")
            self.issuers.append((key_of(words[1]), int(first), int(last) if last else None))
        else:
            raise Fail(f"unknown or malformed {kind!r} line")

    def met(self, seen):
        def met(name):
            needed, members = self.groups.get(name, (1, None))
            return name in seen if members is None else sum(map(met, members)) >= needed

        return self.quorum == "none" or met(self.quorum)


# ---- the packet


def pack(files):
    """The one byte form of a packet: mimetype first, names sorted, seal last, stored, 1980."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files, key=lambda name: (name != "mimetype", name == "seal.note", name.encode())):
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.create_system, entry.external_attr = 3, 0o100644 << 16
            archive.writestr(entry, files[name])
    return buffer.getvalue()


def unpack(packet):
    try:
        with zipfile.ZipFile(io.BytesIO(packet)) as archive:
            entries = archive.infolist()
            if len(entries) > 10_000 or sum(entry.file_size for entry in entries) > len(packet) or any(e.compress_type for e in entries):
                raise Fail("not a packet: sizes do not add up")
            files = {entry.filename: archive.read(entry) for entry in entries}
    except Fail:
        raise
    except Exception as error:
        raise Fail(f"not a readable zip: {error}") from None
    if re.fullmatch(rb"application/vnd\.governor\.packet\.v[2-9][0-9]*\+zip", files.get("mimetype", b"")):
        raise Unknown("this packet was made by a newer version")
    if files.get("mimetype") != MIMETYPE or len(files) != len(entries) or pack(files) != packet:
        raise Fail("bytes are not in canonical packet form")
    for name in files:
        if name not in FIXED and not any(re.fullmatch(place, name, re.ASCII) for place in PLACES):
            raise Fail(f"unlisted file {name}")
    if FIXED - set(files):
        raise Fail(f"{min(FIXED - set(files))} is missing")
    return files


class Packet:
    """The checks in order; each builds on what the ones before established."""

    def __init__(self, files, trust):
        self.files, self.trust = files, trust
        self.issuer = self.predicate = self.events = self.checkpoint = None

    def container(self):
        text, signatures = note_of(self.files["seal.note"].decode("utf-8"))
        names = sorted((n for n in self.files if n != "seal.note"), key=lambda name: (name != "mimetype", name.encode()))
        wanted = "governor.example/packet-seal/v1\n" + "".join(f"{sha256(self.files[name])}  {name}\n" for name in names)
        if text != wanted:
            raise Fail("the files are not those the seal lists")
        if len(signatures) != 1:
            raise Fail("the seal needs exactly one signature")
        for issuer in self.trust.issuers:
            found = signed_by(text, signatures, issuer[0])
            if found is False:
                raise Fail(f"the seal's signature by {issuer[0][0]} does not verify")
            if found:
                self.issuer = issuer
                return f"canonical, {len(self.files)} files, nothing unlisted, seal by {issuer[0][0]}"
        raise Unknown(f"sealed by {signatures[0][0]}, whose key the trust file does not name")

    def statement(self):
        envelope = parse(self.files["statement.dsse.json"], "the envelope")
        if set(envelope) != {"payload", "payloadType", "signatures"} or len(envelope["signatures"]) != 1:
            raise Fail("envelope is not DSSE with one signature")
        (signature,) = envelope["signatures"]
        if set(signature) != {"keyid", "sig"} or envelope["payloadType"] != "application/vnd.in-toto+json":
            raise Fail("envelope is malformed")
        issuer = next((found for found in self.trust.issuers if sha256(found[0][2]) == signature["keyid"]), None)
        if issuer is None:
            raise Unknown("the statement is signed by a key the trust file does not name")
        payload, kind = unbase64(envelope["payload"]), envelope["payloadType"].encode()
        if not ed25519(issuer[0][2], b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload), unbase64(signature["sig"])):
            raise Fail(f"signature by {issuer[0][0]} does not verify")
        found = parse(payload, "the statement")
        if set(found) != {"_type", "subject", "predicateType", "predicate"} or found["_type"] != "https://in-toto.io/Statement/v1":
            raise Fail("statement is not an in-toto Statement v1")
        if found["predicateType"] != PREDICATE or found["predicate"].get("version") != 1:
            raise Unknown("the statement is of another kind or a newer version")
        if self.issuer is not None and issuer[0][2] != self.issuer[0][2]:
            raise Fail("statement and seal are signed by different issuers")
        self.subjects = {subject["name"]: subject["digest"]["sha256"] for subject in found["subject"]}
        if len(self.subjects) != len(found["subject"]):
            raise Fail("the statement names a file twice")
        self.issuer, self.predicate = issuer, found["predicate"]
        return f"DSSE Ed25519 by {issuer[0][0]}"

    def inclusion(self):
        self._need(self.predicate, "the statement did not verify")
        numbers = sorted(int(name[7:-5]) for name in self.files if name.startswith("events/") and name.endswith(".json"))
        proofs = {name for name in self.files if name.startswith("events/") and name.endswith(".tlog-proof")}
        if not numbers or proofs != {f"events/{number}.tlog-proof" for number in numbers}:
            raise Fail("events and proofs do not belong together")
        last, checkpoint = self._proof("packet.tlog-proof")[0], self._proof("packet.tlog-proof")[2]
        self.note = note_of(checkpoint)
        lines = self.note[0][:-1].split("\n")
        if len(lines) < 3 or not re.fullmatch(r"0|[1-9][0-9]{0,18}", lines[1], re.ASCII):
            raise Fail("checkpoint needs origin, size and root")
        self.checkpoint = (lines[0], int(lines[1]), unbase64(lines[2]))
        events = [self._entry(f"events/{number}.json", f"events/{number}.tlog-proof", checkpoint, number) for number in numbers]
        issue = self._entry("packet.event.json", "packet.tlog-proof", checkpoint, last)
        if last <= numbers[-1]:
            raise Fail("the packet was issued before its last event")
        self._chain(events, issue)
        listed = [(line["idx"], line["id"], line["type"], line["leaf_sha256"]) for line in self.predicate["events"]]
        if listed != [(n, event["id"], event["type"], event["leaf"].hex()) for n, event in zip(numbers, events)]:
            raise Fail("the statement lists other events than the packet holds")
        if issue["type"] != "packet:issue" or issue["payload"].get("statement_sha256") != sha256(self.files["statement.dsse.json"]):
            raise Fail("packet.event.json does not record the issue of this statement")
        asked = {event["actor"]["ref"] for event in events if event["type"] in ("change:propose", "change:submit")}
        if self.predicate["change"].get("requester") not in asked:
            raise Fail("the statement names another requester than the ledger")
        if self.predicate.get("log") != self.checkpoint[0]:
            raise Fail("the statement names another log than the checkpoint")
        self.events, self.numbers = events, numbers
        return f"{len(events)} of {len(events)} in ledger {self.checkpoint[0]}; stream complete 1..{len(events)}, no gap"

    def _chain(self, events, issue):
        stream, previous = f"change/{self.predicate['change']['id']}", None
        for position, entry in enumerate([*events, issue], 1):
            if entry["stream"] != stream:
                raise Fail(f"entry {entry['id']} belongs to {entry['stream']}, not to {stream}")
            if entry["stream_seq"] != position:
                raise Fail(f"stream has a gap: number {position} is missing")
            if entry["stream_prev"] != previous:
                raise Fail(f"entry number {position} does not follow the one before it")
            previous = entry["leaf"].hex()

    def _proof(self, name):
        head, found, checkpoint = self.files[name].decode("utf-8").partition("\n\n")
        lines = head.split("\n")
        if not found or lines[0] != "c2sp.org/tlog-proof@v1" or len(lines) < 2:
            raise Fail(f"{name} is not a c2sp.org/tlog-proof@v1 file")
        index = re.fullmatch(r"index (0|[1-9][0-9]{0,18})", lines[1], re.ASCII)
        hashes = [unbase64(line) for line in lines[2:]]
        if index is None or len(hashes) > 63 or any(len(one) != 32 for one in hashes) or not checkpoint.endswith("\n"):
            raise Fail(f"{name} is malformed")
        return int(index.group(1)), hashes, checkpoint

    def _entry(self, name, proof, checkpoint, number):
        index, hashes, under = self._proof(proof)
        if under != checkpoint or index != number:
            raise Fail(f"{proof} is under another checkpoint or index")
        leaf = self.files[name]
        body = parse(leaf, name)
        if set(body) != ENVELOPE or body["v"] != 1 or len(leaf) > 16 * 1024:
            raise Fail(f"{name} is not an entry envelope of version 1")
        moment(body["occurred_at"])
        moment(body["recorded_at"])
        body["leaf"] = hashlib.sha256(b"\x00" + leaf).digest()
        if index >= self.checkpoint[1] or climb(index, self.checkpoint[1], body["leaf"], hashes) != self.checkpoint[2]:
            raise Fail(f"{name}: inclusion proof leads to another root")
        return body

    def evidence(self):
        self._need(self.predicate, "the statement did not verify")
        present = {name for name in self.files if name.startswith("evidence/")} | {"report.pdf"}
        if present != set(self.subjects) or len(present) == 1:
            raise Fail("the files are not those the statement names")
        for name in sorted(present):
            if sha256(self.files[name]) != self.subjects[name]:
                raise Fail(f"{name} does not match its SHA-256")
        named = {item["name"]: item["sha256"] for event in self.events or [] for item in event["evidence"]}
        for name, value in named.items():
            if self.subjects.get("evidence/" + name) != value:
                raise Fail(f"evidence/{name} is not the file the ledger names")
        return f"{len(present) - 1} of {len(present) - 1} files match their SHA-256; {len(named)} bound by ledger entries"

    def binding(self):
        change = self._proven()
        if change["state"] not in APPROVED:
            return "nothing was approved"
        review = self._review(change)
        request, shadow, parts = self.predicate["request"], self.predicate["shadow"], review["payload"]["parts"]
        files = digest(sorted(review["evidence"], key=lambda item: item["name"]))
        evidence = "" if shadow is None else digest([shadow["run"], canonical(shadow["verdict"]), files])
        if parts["evidence"] != evidence:
            raise Fail("verdict and evidence are not the ones that were approved")
        if any(change.get(name) != request.get(name) for name in ("baseline", "candidate", "reason", "endpoint")):
            raise Fail("the statement is not about the route that was requested")
        bound = {
            "v": 1, "request": request, "workflow": parts["workflow"], "plan": parts["plan"], "sample": parts["sample"], "evidence": evidence,
            "policy_bundle": review["policy"]["bundle_sha256"], "price_book": parts["price_book"],
        }  # fmt: skip
        if digest(bound) != change["digest"]:
            raise Fail("the approved digest is not that of this request, plan, evidence and policy")
        return f"approved digest {change['digest'][:8]}.. derived again from what the packet shows"

    def _review(self, change):
        found = [e for e in self.events if e["type"] == "change:review" and e["payload"]["digest"] == change["digest"]]
        if not found:
            raise Fail("no review of the statement's digest is on record")
        return found[-1]

    def approvals(self):
        change, events = self._proven(), self.events
        last = next((event for event in reversed(events) if event["type"] in STATES), None)
        if last is None or change.get("state") not in STATES[last["type"]]:
            raise Fail(f"statement says {change.get('state')!r}, the ledger does not")
        if change["state"] not in APPROVED:
            return f"not approved: {change['state']}"
        review = self._review(change)
        needed = {need["role"] for need in review["payload"]["needs"]}
        if not needed:
            raise Fail("policy asked for no approval at all: an empty matrix is not a pass")
        asked = {event["actor"]["ref"] for event in events if event["type"] in ("change:propose", "change:submit")}
        ran = {event["payload"].get("author") or event["actor"]["ref"] for event in events if event["type"] == "change:shadow"}
        cutover = next((at for at, event in enumerate(events) if event["type"] == "change:cutover"), None)
        people, roles = [], set()
        for at, event in enumerate(events):
            if event["type"] != "change:approve" or event["payload"]["digest"] != change["digest"] or at < events.index(review):
                continue
            actor, role = event["actor"], event["payload"]["role"]
            if actor["kind"] != "person" or role not in actor.get("roles", []):
                raise Fail(f"the {role} approval came from someone without that role")
            if actor["ref"] in asked or actor["ref"] in ran - {"system", "operator"}:
                raise Fail(f"the requester or the author of the evidence approved (role {role})")
            if cutover is not None and at > cutover:
                raise Fail(f"the {role} approval came after cutover")
            expires = event["payload"].get("expires_at")
            if cutover is not None and expires and moment(expires) < moment(events[cutover]["occurred_at"]):
                raise Fail(f"the {role} approval had expired at cutover")
            people.append(actor["ref"])
            roles.add(role)
        if len(set(people)) != len(people):
            raise Fail("one person approved more than once")
        if needed - roles:
            raise Fail(f"role {', '.join(sorted(needed - roles))}: nobody approved this digest")
        return f"{len(people)} people ({', '.join(sorted(roles))}), neither requester nor evidence author"

    def policy(self):
        change = self._proven()
        review = self._review(change)
        decided, claimed = review["policy"], self.predicate.get("policy")
        if not isinstance(decided, dict) or not isinstance(claimed, dict):
            raise Fail("no policy decision on the statement's digest is on record")
        if any(decided.get(name) != claimed.get(name) for name in ("bundle_sha256", "result")):
            raise Fail("the statement's policy decision differs from the ledger")
        if decided["result"] not in ("allow", "allowed") and change["state"] not in ("rejected", "expired"):
            raise Fail(f"policy decided {decided['result']!r}, yet the change was approved")
        return f"bundle {decided['bundle_sha256'][:8]}..; decision {decided['result']}"

    def log(self):
        self._need(self.checkpoint, "no checkpoint could be read")
        origin, size, _ = self.checkpoint
        signed = [signed_by(*self.note, key) for key in self.trust.logs if key[0] == origin]
        if False in signed:
            raise Fail(f"the log signature of {origin} does not verify")
        if True not in signed:
            raise Unknown(f"checkpoint of {origin} is not signed by a log of the trust file")
        if self.issuer is not None and not (self.issuer[1] <= size and (self.issuer[2] is None or size <= self.issuer[2])):
            raise Fail(f"the issuer key is not valid for tree size {size}")
        seen = {name for name, key in self.trust.witnesses.items() if signed_by(*self.note, key)}
        if not self.trust.met(seen):
            raise Unknown(f"witnesses {len(seen)} of {len(self.trust.witnesses)} do not meet quorum {self.trust.quorum}")
        return f"size {size}, log key ok, witnesses {len(seen)} of {len(self.trust.witnesses)} (quorum {self.trust.quorum})"

    def redactions(self):
        self._proven()
        shown = promised = 0
        for number, event in zip(self.numbers, self.events):
            name = f"disclosures/{number}.json"
            given = [_sd(text) for text in parse(self.files[name], name)] if name in self.files else []
            if not set(given) <= set(event["_sd"]) or len(set(given)) != len(given):
                raise Fail(f"{name} discloses what the entry did not commit to")
            shown, promised = shown + len(given), promised + len(event["_sd"])
        if any(name.startswith("disclosures/") and int(name[12:-5]) not in self.numbers for name in self.files):
            raise Fail("a disclosure belongs to no event")
        return f"{shown} of {promised} personal fields shown; commitments intact"

    def _proven(self):
        self._need(self.events, "the events are not proven")
        return self.predicate["change"]

    def _need(self, ground, why):
        if not ground:
            raise Unknown(f"not checked: {why}")


def _sd(text):
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode("ascii")).digest()).rstrip(b"=").decode()


CHECKS = (
    ("container", Packet.container), ("statement", Packet.statement), ("events", Packet.inclusion), ("evidence", Packet.evidence),
    ("binding", Packet.binding), ("approvals", Packet.approvals), ("policy", Packet.policy), ("checkpoint", Packet.log),
    ("redactions", Packet.redactions),
)  # fmt: skip


def verify(packet, trust):
    """[(check, status, detail)]; status is ok, fail or undecided."""
    lines = []
    try:
        held = Packet(unpack(packet), trust)
    except (Fail, Unknown) as error:
        return [("container", "fail" if isinstance(error, Fail) else "undecided", str(error))]
    for name, check in CHECKS:
        try:
            lines.append((name, "ok", check(held)))
        except Unknown as error:
            lines.append((name, "undecided", str(error)))
        except Fail as error:
            lines.append((name, "fail", str(error)))
        except Exception as error:  # a maimed packet may break any assumption; it must never look like a crash or a pass
            lines.append((name, "fail", f"malformed ({type(error).__name__}: {error})"))
    return lines


def result_of(lines):
    found = {status for _, status, _ in lines}
    return FAILED if "fail" in found or not found else UNDECIDED if "undecided" in found else VERIFIED


def main(arguments):
    as_json = "--json" in arguments
    words = [word for word in arguments if word != "--json"]
    if len(words) != 3 or words[1] != "--trust":
        print(__doc__, file=sys.stderr)
        return USAGE
    try:
        with open(words[0], "rb") as file:
            packet = file.read()
        with open(words[2], "rb") as file:
            trust = Trust(file.read())
    except (OSError, Fail, UnicodeError) as error:
        print(error, file=sys.stderr)
        return USAGE
    lines = verify(packet, trust)
    code = result_of(lines)
    verdict = {VERIFIED: "VERIFIED", FAILED: "FAILED", UNDECIDED: "UNDECIDED"}[code]
    if as_json:
        checks = [{"name": name, "status": status, "detail": detail} for name, status, detail in lines]
        print(json.dumps({"result": verdict, "exit_code": code, "sha256": sha256(packet), "trust_sha256": trust.sha256, "checks": checks}))
    else:
        marks = {"ok": " ok ", "fail": "FAIL", "undecided": " ?? "}
        print(f"PACKET   {words[0]}      sha256 {sha256(packet)}")
        print("\n".join(f"[{marks[status]}] {name:<13} {detail}" for name, status, detail in lines))
        print(f"{verdict} against trust policy {words[2]} (sha256 {trust.sha256[:16]}..)   checked offline, no network used")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
