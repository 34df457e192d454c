"""C2SP signed notes: a text, and lines under it that say who signed it. Ed25519 signatures, Ed25519 and ML-DSA-44 cosignatures.

Owns: the note and vkey formats (c2sp.org/signed-note, tlog-cosignature). Does not own: keys (adapters/keys.py) or what a text means.
Invariants: a note has one byte form; base64 that another program would write differently is refused; a key id is always recomputed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from governor.errors import Invalid

ED25519: Final = 0x01
COSIGNATURE: Final = 0x04
MLDSA_COSIGNATURE: Final = 0x06
KEY_SIZE: Final = 32
MLDSA_KEY_SIZE: Final = 1312
MLDSA_SIGNATURE_SIZE: Final = 2420
KEY_SIZES: Final = {ED25519: KEY_SIZE, COSIGNATURE: KEY_SIZE, MLDSA_COSIGNATURE: MLDSA_KEY_SIZE}
SIGNATURE_SIZE: Final = 64
ID_SIZE: Final = 4
TIME_SIZE: Final = 8
MAX_NOTE: Final = 1_000_000
MAX_SIGNATURES: Final = 100
MAX_TIME: Final = 2**63 - 1
_DASH: Final = "\u2014 "
_SUBTREE: Final = b"subtree/v1\n\x00"
_BYTE: Final = 255


class NoteSigner(Protocol):
    """The part of governor.ports.Signer a note needs."""

    public_key: bytes

    def sign(self, message: bytes) -> bytes: ...


@dataclass(frozen=True)
class Ended:
    """A name under which the log went on no longer: its history is this one up to `agreed`; what it signed beyond, up to `lost`, a person gave up."""

    origin: str
    agreed: int
    lost: int


@dataclass(frozen=True)
class VerifierKey:
    """Who may sign: a name, an algorithm and a public key; `earlier` are the log keys it replaced, each with the largest tree it signed.

    `ended`: the incarnations of the log before this one (after a database was restored), under names of their own.
    """

    name: str
    algorithm: int
    public_key: bytes
    earlier: tuple[tuple[VerifierKey, int], ...] = field(default=(), compare=False)
    ended: tuple[Ended, ...] = field(default=(), compare=False)

    @property
    def key_id(self) -> bytes:
        return key_id(self.name, self.public_key, self.algorithm)

    def incarnation(self, origin: str) -> Ended | None:
        """The ended incarnation of this log that had that name."""
        return next((one for one in self.ended if one.origin == origin), None)

    @property
    def text(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(bytes([self.algorithm]) + self.public_key).decode()}"

    def verifies(self, message: bytes, signature: bytes) -> bool:
        """Whether `signature` over `message` is by this key, in the key's own algorithm (for ML-DSA-44: empty context)."""
        try:
            if self.algorithm == MLDSA_COSIGNATURE:
                from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey  # few verifications need it

                MLDSA44PublicKey.from_public_bytes(self.public_key).verify(signature, message)
            else:
                Ed25519PublicKey.from_public_bytes(self.public_key).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True


@dataclass(frozen=True)
class NoteSignature:
    name: str
    key_id: bytes
    signature: bytes


@dataclass(frozen=True)
class Note:
    """`text` ends in a newline; `signatures` in the order of the note."""

    text: str
    signatures: tuple[NoteSignature, ...]

    def signed_by(self, key: VerifierKey) -> bool | None:
        """True if `key` signed this text, False if a signature claims so and is wrong, None if no signature names this key.

        A checkpoint counts as signed by a log key also where a key that it replaced signed it, no larger than that key's last tree.
        """
        found = self._signed_by(key)
        if found is None and key.earlier:
            origin, size = self.text.split("\n", 2)[:2]
            for older, last in key.earlier:
                if origin == older.name and size.isdecimal() and int(size) <= last and (said := self._signed_by(older)) is not None:
                    return said
        return found

    def _signed_by(self, key: VerifierKey) -> bool | None:
        claimed = [found for found in self.signatures if found.name == key.name and found.key_id == key.key_id]
        if not claimed:
            return None
        return all(_verifies(self.text, key, found.signature) for found in claimed)

    def cosigned_at(self, key: VerifierKey) -> int | None:
        """Unix seconds a witness states in its (valid) cosignature."""
        if key.algorithm not in {COSIGNATURE, MLDSA_COSIGNATURE} or not self.signed_by(key):
            return None
        first = next(found for found in self.signatures if found.name == key.name and found.key_id == key.key_id)
        return int.from_bytes(first.signature[:TIME_SIZE], "big")


def _verifies(text: str, key: VerifierKey, signature: bytes) -> bool:
    if key.algorithm == ED25519:
        return len(signature) == SIGNATURE_SIZE and key.verifies(text.encode(), signature)
    if key.algorithm == COSIGNATURE and len(signature) == TIME_SIZE + SIGNATURE_SIZE:
        when = int.from_bytes(signature[:TIME_SIZE], "big")
        return key.verifies(f"cosignature/v1\ntime {when}\n{text}".encode(), signature[TIME_SIZE:])
    if key.algorithm == MLDSA_COSIGNATURE and len(signature) == TIME_SIZE + MLDSA_SIGNATURE_SIZE:
        message = cosigned_message(key.name, int.from_bytes(signature[:TIME_SIZE], "big"), text)
        return message is not None and key.verifies(message, signature[TIME_SIZE:])
    return False


def cosigned_message(name: str, when: int, text: str) -> bytes | None:
    """What an ML-DSA-44 cosigner signs of a checkpoint (c2sp.org/tlog-cosignature): name, time, origin, [0, size), root.

    None where the text is no checkpoint: such a signature says nothing about other notes, nor about extension lines.
    """
    from governor.ledger.checkpoint import parse_checkpoint  # it reads base64 with this module

    try:
        tree = parse_checkpoint(text)
    except Invalid:
        return None
    cosigner, origin = name.encode(), tree.origin.encode()
    if not 1 <= len(cosigner) <= _BYTE or not 1 <= len(origin) <= _BYTE or when > MAX_TIME:
        return None
    numbers = bytes(TIME_SIZE) + tree.size.to_bytes(TIME_SIZE, "big")
    return b"".join(
        [
            _SUBTREE, bytes([len(cosigner)]), cosigner, when.to_bytes(TIME_SIZE, "big"),
            bytes([len(origin)]), origin, numbers, tree.root,
        ]
    )  # fmt: skip


def key_id(name: str, public_key: bytes, algorithm: int = ED25519) -> bytes:
    """First four bytes of SHA-256(name, newline, algorithm, key)."""
    return hashlib.sha256(name.encode() + b"\n" + bytes([algorithm]) + public_key).digest()[:ID_SIZE]


def vkey(name: str, public_key: bytes) -> str:
    """The verifier key text of an Ed25519 key. Raises Invalid for a name a note cannot carry."""
    return VerifierKey(_name(name), ED25519, public_key).text


def parse_vkey(text: str) -> VerifierKey:
    """Raises Invalid for anything but `name+id+base64` with a known algorithm and the right id."""
    name, _, rest = text.partition("+")
    claimed, _, encoded = rest.partition("+")
    raw = strict_base64(encoded)
    if not raw or len(raw) != 1 + KEY_SIZES.get(raw[0], -1):
        raise Invalid(f"verifier key of {name!r} has an unknown algorithm or length")
    key = VerifierKey(_name(name), raw[0], raw[1:])
    if key.key_id.hex() != claimed:
        raise Invalid(f"verifier key of {name!r} does not match its id {claimed!r}")
    return key


def sign_note(text: str, signers: Sequence[tuple[str, NoteSigner]]) -> str:
    """The note over `text` (which must end in a newline), one signature per (name, signer)."""
    _text(text)
    lines = []
    for name, signer in signers:
        raw = key_id(_name(name), signer.public_key) + signer.sign(text.encode())
        lines.append(f"{_DASH}{name} {base64.b64encode(raw).decode()}\n")
    return text + "\n" + "".join(lines)


def parse_note(note: str) -> Note:
    """Split text and signatures; does not verify. Raises Invalid for anything a strict reader would refuse."""
    if len(note) > MAX_NOTE:
        raise Invalid("note is too large")
    body, found, tail = note.rpartition("\n\n")
    if not found or not tail.endswith("\n"):
        raise Invalid("not a signed note")
    text = body + "\n"
    _text(text)
    signatures = []
    for line in tail[:-1].split("\n"):
        name, space, encoded = line.removeprefix(_DASH).partition(" ")
        if not line.startswith(_DASH) or not space:
            raise Invalid("malformed signature line in a note")
        raw = strict_base64(encoded)
        if len(raw) <= ID_SIZE:
            raise Invalid("signature in a note is too short")
        signatures.append(NoteSignature(_name(name), raw[:ID_SIZE], raw[ID_SIZE:]))
    if len(signatures) > MAX_SIGNATURES:
        raise Invalid("note has too many signatures")
    return Note(text, tuple(signatures))


def strict_base64(text: str) -> bytes:
    """Standard base64 in its only canonical spelling. Raises Invalid otherwise."""
    try:
        raw = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, ValueError):
        raise Invalid("not base64") from None
    if base64.b64encode(raw).decode() != text:
        raise Invalid("base64 is not canonical")
    return raw


def _name(name: str) -> str:
    if not name or "+" in name or any(char.isspace() for char in name):
        raise Invalid(f"{name!r} cannot be the name of a note key")
    return name


def _text(text: str) -> None:
    if not text.endswith("\n") or any(char < " " and char != "\n" for char in text):
        raise Invalid("text of a note must end in a newline and hold no control characters")
