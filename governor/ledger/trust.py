"""What a verifier must believe, as text: a C2SP tlog-policy (logs, witnesses, quorum) plus the issuer keys of packets.

Owns: reading and writing trust text; whether witnesses meet the quorum. Does not own: how people get the text to an auditor.
Invariants: exactly one quorum line; unknown words are refused; nothing in a packet can add to a trust. Without its `issuer` lines the text is a
plain c2sp.org/tlog-policy.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from governor.errors import Invalid
from governor.ledger.canonical import sha256_hex
from governor.ledger.note import COSIGNATURE, ED25519, MLDSA_COSIGNATURE, Note, VerifierKey, parse_vkey

MAX_TRUST: Final = 256 * 1024
MAX_LINES: Final = 1000
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

    def cosigned(self, note: Note) -> set[str]:
        """Names of the witnesses whose cosignature on the note is valid."""
        return {name for name, key in self.witnesses.items() if note.signed_by(key)}

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
        lines = data.decode("utf-8").split("\n")
    except UnicodeDecodeError:
        raise Invalid("trust file is not UTF-8") from None
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
    return Trust(tuple(reader.logs), reader.witnesses, reader.groups, reader.quorum, tuple(reader.issuers), sha256_hex(data))


class _Reader:
    def __init__(self) -> None:
        self.logs: list[VerifierKey] = []
        self.witnesses: dict[str, VerifierKey] = {}
        self.groups: dict[str, Group] = {}
        self.issuers: list[Issuer] = []
        self.quorum: str | None = None
        self._members: set[str] = set()

    def take(self, words: list[str]) -> None:
        match words:
            case ["log", key] | ["log", key, _]:
                self._log(key)
            case ["witness", name, key] | ["witness", name, key, _]:
                self._witness(name, key)
            case ["group", name, threshold, *members] if members:
                self._group(name, threshold, members)
            case ["quorum", name]:
                self._quorum(name)
            case ["issuer", key]:
                self.issuers.append(Issuer(_ed25519(key)))
            case ["issuer", key, sizes]:
                first, dots, last = sizes.partition("..")
                if not dots or not first.isdecimal() or not (last == "" or last.isdecimal()):
                    raise Invalid(f"{sizes!r} is not a range of tree sizes such as 0.. or 0..99")
                self.issuers.append(Issuer(_ed25519(key), int(first), int(last) if last else None))
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
        if not (needed.isascii() and needed.isdecimal()) or not 1 <= int(needed) <= len(members):
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


def _ed25519(text: str) -> VerifierKey:
    key = parse_vkey(text)
    if key.algorithm != ED25519:
        raise Invalid("key is not Ed25519")
    return key


def trust_text(
    *, title: str, logs: Iterable[str], issuers: Iterable[str], witnesses: Mapping[str, str] | None = None, quorum: str = "none"
) -> str:
    """Trust text from vkeys. Raises Invalid when it would not parse."""
    lines = [f"# {title}", "# c2sp.org/tlog-policy, plus `issuer` lines: who may sign packets, for which tree sizes", ""]
    lines += [f"log {key}" for key in logs]
    lines += [f"witness {name} {key}" for name, key in (witnesses or {}).items()]
    lines += [f"quorum {quorum}", ""]
    lines += [f"issuer {key} 0.." for key in issuers]
    text = "\n".join(lines) + "\n"
    parse_trust(text.encode())
    return text
