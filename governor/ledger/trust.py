"""What a verifier must believe, as text: a C2SP tlog-policy (logs, witnesses, quorum) plus the issuer keys of packets.

Owns: reading and writing trust text; whether witnesses meet the quorum. Does not own: how people get the text to an auditor.
Invariants: exactly one quorum line; unknown words are refused; nothing in a packet can add to a trust. Without its `issuer` lines the text is a
plain c2sp.org/tlog-policy. A text that names a `root` is a signed note of that root, and of nobody else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from governor.errors import Invalid
from governor.ledger.canonical import sha256_hex
from governor.ledger.note import COSIGNATURE, ED25519, MLDSA_COSIGNATURE, Note, VerifierKey, parse_note, parse_vkey

MAX_TRUST: Final = 256 * 1024
MAX_LINES: Final = 1000
SIGNED: Final = "\u2014 "
WRONG: Final = "cosigned wrongly"  # of a witness
NUMBER: Final = re.compile(r"[0-9]{1,19}", re.ASCII)
RANGE: Final = re.compile(r"([0-9]{1,19})\.\.([0-9]{0,19})", re.ASCII)
CONTROLS: Final = frozenset({*range(0x20), 0x7F}) - {0x09, 0x0A}


@dataclass(frozen=True)
class Issuer:
    """Who may issue packets, for checkpoints of size first..last (validity is a range of tree sizes, not of clock time)."""

    key: VerifierKey
    first: int = 0
    last: int | None = None

    @property
    def key_id(self) -> str:
        """DSSE key id: hex SHA-256 of the public key."""
        return sha256_hex(self.key.public_key)

    def covers(self, size: int) -> bool:
        return self.first <= size and (self.last is None or size <= self.last)


@dataclass(frozen=True)
class Group:
    threshold: int
    members: tuple[str, ...]


@dataclass(frozen=True)
class Trust:
    logs: tuple[VerifierKey, ...]
    witnesses: Mapping[str, VerifierKey]
    groups: Mapping[str, Group]
    quorum: str
    issuers: tuple[Issuer, ...]
    sha256: str
    log_ranges: Mapping[bytes, tuple[int, int | None]] = field(default_factory=dict)
    root: VerifierKey | None = None
    witness_ranges: Mapping[str, tuple[int, int | None]] = field(default_factory=dict)

    def log_covers(self, key: VerifierKey, size: int) -> bool:
        """Whether the log signed trees of this size with that key."""
        first, last = self.log_ranges.get(key.public_key, (0, None))
        return first <= size and (last is None or size <= last)

    @property
    def root_text(self) -> str:
        """Name and SHA-256 of the root that signed this text; empty where nobody did."""
        return "" if self.root is None else f"{self.root.name} {sha256_hex(self.root.public_key)}"

    def cosigned(self, note: Note) -> set[str]:
        """Names of the witnesses whose cosignature on the note is valid, for a tree within the range of the key."""
        return {name for name in self.witnesses if not self.against(name, note)}

    def against(self, name: str, note: Note) -> str:
        """What is to be said against the cosignature of a witness; nothing where it counts."""
        if not self._in_range(name, note):
            return "has a key for other tree sizes"
        return {True: "", False: WRONG, None: "has not cosigned"}[note.signed_by(self.witnesses[name])]

    def _in_range(self, name: str, note: Note) -> bool:
        if name not in self.witness_ranges:
            return True
        size = note.text.split("\n", 2)[1]
        first, last = self.witness_ranges[name]
        return size.isdecimal() and first <= int(size) and (last is None or int(size) <= last)

    def quorum_met(self, seen: Iterable[str]) -> bool:
        names = set(seen)

        def met(name: str) -> bool:
            group = self.groups.get(name)
            return name in names if group is None else sum(met(member) for member in group.members) >= group.threshold

        return self.quorum == "none" or met(self.quorum)


def parse_trust(data: bytes) -> Trust:
    """Raises Invalid naming the line."""
    if len(data) > MAX_TRUST or any(byte in CONTROLS for byte in data):
        raise Invalid("trust file is too large or holds control characters")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise Invalid("trust file is not UTF-8") from None
    note = parse_note(text) if f"\n{SIGNED}" in text else None
    lines = (text if note is None else note.text).split("\n")
    if len(lines) > MAX_LINES:
        raise Invalid("trust file has too many lines")
    reader = _Reader()
    for number, line in enumerate(lines, 1):
        words = line.replace("\t", " ").split(" ")
        words = [word for word in words if word]
        if words and not words[0].startswith("#"):
            try:
                reader.take(words)
            except Invalid as error:
                raise Invalid(f"trust file line {number}: {error.message}") from None
    if reader.quorum is None:
        raise Invalid("trust file has no quorum line")
    if (note is None) != (reader.root is None):
        raise Invalid("trust file is signed, but names no root" if reader.root is None else "trust file names a root, but is not signed")
    if note is not None and reader.root is not None and (len(note.signatures) != 1 or not note.signed_by(reader.root)):
        raise Invalid(f"trust file is not signed by the root {reader.root.name} that it names")
    digest = sha256_hex(data)
    issuers = tuple(reader.issuers)
    return Trust(
        tuple(reader.logs),
        reader.witnesses,
        reader.groups,
        reader.quorum,
        issuers,
        digest,
        reader.log_ranges,
        reader.root,
        reader.witness_ranges,
    )


def check_root(trust: Trust, wanted: str) -> None:
    """`wanted`: the root's verifier key or the SHA-256 of its public key, as it stands in the engagement letter. Raises Invalid."""
    if not wanted:
        return
    root = trust.root
    if root is None or wanted.strip() not in {root.text, sha256_hex(root.public_key)}:
        raise Invalid("trust file is not signed by the root that was asked for")


class _Reader:
    def __init__(self) -> None:
        self.logs: list[VerifierKey] = []
        self.witnesses: dict[str, VerifierKey] = {}
        self.groups: dict[str, Group] = {}
        self.issuers: list[Issuer] = []
        self.log_ranges: dict[bytes, tuple[int, int | None]] = {}
        self.witness_ranges: dict[str, tuple[int, int | None]] = {}
        self.root: VerifierKey | None = None
        self.quorum: str | None = None
        self._members: set[str] = set()

    def take(self, words: list[str]) -> None:
        match words:
            case ["root", key] if self.root is None:
                self.root = _ed25519(key)
            case ["log", key, *sizes] if len(sizes) < 2:  # noqa: PLR2004
                self._log(key)
                self.log_ranges.update((self.logs[-1].public_key, _range(one)) for one in sizes if _is_range(one))
            case ["witness", name, key, *sizes] if len(sizes) < 2:  # noqa: PLR2004
                self._witness(name, key)
                self.witness_ranges.update((name, _range(one)) for one in sizes if _is_range(one))
            case ["group", name, threshold, *members] if members:
                self._group(name, threshold, members)
            case ["quorum", name]:
                self._quorum(name)
            case ["issuer", key]:
                self.issuers.append(Issuer(_ed25519(key)))
            case ["issuer", key, sizes]:
                first, last = _range(sizes)
                self.issuers.append(Issuer(_ed25519(key), first, last))
            case _:
                raise Invalid(f"unknown or malformed {words[0]!r} line")

    def _log(self, text: str) -> None:
        key = parse_vkey(text)
        if key.algorithm == COSIGNATURE:
            raise Invalid("key is neither Ed25519 nor ML-DSA-44")
        if any(known.public_key == key.public_key for known in self.logs):
            raise Invalid("the same log key twice")
        self.logs.append(key)

    def _witness(self, name: str, text: str) -> None:
        key = parse_vkey(text)
        self._fresh(name)
        if any(known.public_key == key.public_key for known in self.witnesses.values()):
            raise Invalid("the same witness key twice")
        # A witness cosigns, so an Ed25519 key means algorithm 0x04 whichever way it was written down.
        algorithm = MLDSA_COSIGNATURE if key.algorithm == MLDSA_COSIGNATURE else COSIGNATURE
        self.witnesses[name] = VerifierKey(key.name, algorithm, key.public_key)

    def _group(self, name: str, threshold: str, members: list[str]) -> None:
        self._fresh(name)
        for member in members:
            if (member not in self.witnesses and member not in self.groups) or member in self._members:
                raise Invalid(f"{member!r} is unknown or already a member")
            self._members.add(member)
        needed = {"any": "1", "all": str(len(members))}.get(threshold, threshold)
        if not NUMBER.fullmatch(needed) or not 1 <= int(needed) <= len(members):
            raise Invalid(f"{threshold!r} is not a threshold")
        self.groups[name] = Group(int(needed), tuple(members))

    def _quorum(self, name: str) -> None:
        if self.quorum is not None:
            raise Invalid("a second quorum line")
        if name != "none" and name not in self.witnesses and name not in self.groups:
            raise Invalid(f"quorum names the unknown {name!r}")
        self.quorum = name

    def _fresh(self, name: str) -> None:
        if name in {"none", "any", "all"} or name in self.witnesses or name in self.groups:
            raise Invalid(f"{name!r} cannot name a witness or group")


def _is_range(word: str) -> bool:
    """In a plain tlog-policy the last word of a line may be an address."""
    return ".." in word and "/" not in word


def _range(sizes: str) -> tuple[int, int | None]:
    found = RANGE.fullmatch(sizes)
    if found is None:
        raise Invalid(f"{sizes!r} is not a range of tree sizes such as 0.. or 0..99")
    first, last = found.groups()
    return int(first), int(last) if last else None


def _ed25519(text: str) -> VerifierKey:
    key = parse_vkey(text)
    if key.algorithm != ED25519:
        raise Invalid("key is not Ed25519")
    return key


def trust_text(
    *,
    title: str,
    logs: Iterable[str],
    issuers: Iterable[str],
    witnesses: Mapping[str, str] | None = None,
    groups: Mapping[str, Sequence[str]] | None = None,
    quorum: str = "none",
    root: str = "",
) -> str:
    """Trust text from vkeys; a log, witness or issuer may carry its range of tree sizes behind a blank. With `root` it still has to be signed.

    `groups`: any one of the named witnesses speaks for the group (keys of one witness that replaced each other).

    Raises Invalid when it would not parse.
    """
    lines = [f"# {title}", "# c2sp.org/tlog-policy, plus `issuer` lines: who may sign packets, for which tree sizes", ""]
    begin = len(lines)
    lines += [f"log {key}" for key in logs]
    lines += [f"witness {name} {key}" for name, key in (witnesses or {}).items()]
    lines += [f"group {name} any {' '.join(members)}" for name, members in (groups or {}).items()]
    lines += [f"quorum {quorum}", ""]
    lines += [f"issuer {key}" if " " in key else f"issuer {key} 0.." for key in issuers]
    parse_trust(("\n".join(lines) + "\n").encode())
    if root:
        lines[begin:begin] = [f"root {root}"]
    return "\n".join(lines) + "\n"
