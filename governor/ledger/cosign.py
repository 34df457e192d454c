"""Cosignatures (c2sp.org/tlog-cosignature): the line a witness, or the log itself with a second key, puts under a checkpoint."""

from __future__ import annotations

import base64
from typing import Final

from governor.errors import GovernorError, Invalid
from governor.ledger.note import (
    COSIGNATURE,
    MLDSA_COSIGNATURE,
    MLDSA_SIGNATURE_SIZE,
    TIME_SIZE,
    NoteSigner,
    cosigned_message,
    key_id,
    parse_note,
)

_DASH: Final = "\u2014 "


def cosign(text: str, name: str, signer: NoteSigner, when: int) -> str:
    """The Ed25519 cosignature line: at `when` (Unix seconds) this was the largest tree of the log that the signer had seen."""
    signature = signer.sign(f"cosignature/v1\ntime {when}\n{text}".encode())
    return _line(name, COSIGNATURE, signer.public_key, when, signature)


def cosign_mldsa(text: str, name: str, signer: NoteSigner, when: int) -> str:
    """The ML-DSA-44 cosignature line, which a quantum computer cannot forge. Raises Invalid for a text that is no checkpoint."""
    message = cosigned_message(name, when, text)
    if message is None:
        raise Invalid("only a checkpoint can carry an ML-DSA-44 cosignature")
    return _line(name, MLDSA_COSIGNATURE, signer.public_key, when, signer.sign(message))


def is_cosigned(note: str) -> bool:
    """Whether a checkpoint carries an ML-DSA-44 cosignature by its own log, right or wrong."""
    try:
        found = parse_note(note)
    except GovernorError:
        return False
    origin = found.text.split("\n", 1)[0]
    return any(one.name == origin and len(one.signature) == TIME_SIZE + MLDSA_SIGNATURE_SIZE for one in found.signatures)


def _line(name: str, algorithm: int, public_key: bytes, when: int, signature: bytes) -> str:
    raw = key_id(name, public_key, algorithm) + when.to_bytes(TIME_SIZE, "big") + signature
    return f"{_DASH}{name} {base64.b64encode(raw).decode()}\n"
