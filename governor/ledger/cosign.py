"""Cosignatures (c2sp.org/tlog-cosignature): the line a witness, or the log itself with a second key, puts under a checkpoint."""

from __future__ import annotations

import base64
from typing import Final

from governor.errors import Invalid
from governor.ledger.note import COSIGNATURE, MLDSA_COSIGNATURE, TIME_SIZE, NoteSigner, cosigned_message, key_id

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


def _line(name: str, algorithm: int, public_key: bytes, when: int, signature: bytes) -> str:
    raw = key_id(name, public_key, algorithm) + when.to_bytes(TIME_SIZE, "big") + signature
    return f"{_DASH}{name} {base64.b64encode(raw).decode()}\n"
