"""The signed claim: an in-toto Statement v1 about every evidence file, in a DSSE envelope (dsse v1.0.2, Ed25519).

Owns: the predicate type, building and opening the envelope. Does not own: what the predicate says of a change (assemble.py).
Invariants: the payload bytes are verified as they came and only then read; exactly one signature; key ids are recomputed, never believed.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from typing import Any, Final

from governor.errors import IntegrityError, Invalid
from governor.ledger.canonical import canonical_json, parse_canonical, sha256_hex
from governor.ledger.note import NoteSigner, strict_base64
from governor.ledger.trust import Issuer

PREDICATE_TYPE: Final = "https://governor.example/attestation/route-change/v1"
STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"


class UnknownKey(IntegrityError):
    """Signed by a key the trust file does not name: nothing can be said about it."""

    code = "unknown_key"


def pae(payload_type: str, payload: bytes) -> bytes:
    """DSSE pre-authentication encoding: what is signed."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def statement(subjects: Mapping[str, str], predicate: Mapping[str, Any], kind: str = PREDICATE_TYPE) -> bytes:
    """subjects: file name -> hex SHA-256."""
    return canonical_json(
        {
            "_type": STATEMENT_TYPE,
            "subject": [{"name": name, "digest": {"sha256": value}} for name, value in sorted(subjects.items())],
            "predicateType": kind,
            "predicate": dict(predicate),
        }
    )


def envelope(payload: bytes, signer: NoteSigner) -> bytes:
    """The DSSE envelope as canonical JSON. Ed25519 is deterministic, so the same payload gives the same bytes."""
    signature = signer.sign(pae(PAYLOAD_TYPE, payload))
    return canonical_json(
        {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": PAYLOAD_TYPE,
            "signatures": [{"keyid": sha256_hex(signer.public_key), "sig": base64.b64encode(signature).decode()}],
        }
    )


def open_envelope(data: bytes, issuers: Iterable[Issuer], kind: str = PREDICATE_TYPE) -> tuple[dict[str, Any], Issuer]:
    """The statement and who signed it. Raises UnknownKey for a key not in `issuers`, IntegrityError for everything else that is wrong."""
    payload, keyid, signature = _split(data)
    issuer = next((found for found in issuers if found.key_id == keyid), None)
    if issuer is None:
        raise UnknownKey(f"signed by key {keyid[:8]}.., which the trust file does not name")
    if not issuer.key.verifies(pae(PAYLOAD_TYPE, payload), signature):
        raise IntegrityError(f"signature by {issuer.key.name} does not verify")
    try:
        found = parse_canonical(payload)
    except Invalid as error:
        raise IntegrityError(f"statement: {error.message}") from None
    if not isinstance(found, dict) or set(found) != {"_type", "subject", "predicateType", "predicate"}:
        raise IntegrityError("statement is not an in-toto Statement v1")
    if found["_type"] != STATEMENT_TYPE or found["predicateType"] != kind:
        raise UnknownKey(f"statement of another kind: {found['predicateType']}")
    return found, issuer


def unverified_predicate(data: bytes) -> dict[str, Any]:
    """What the statement claims, for a title line only. Raises IntegrityError when it cannot be read."""
    try:
        found = parse_canonical(_split(data)[0])["predicate"]
    except (Invalid, KeyError, TypeError) as error:
        raise IntegrityError(f"statement cannot be read: {error}") from None
    return found if isinstance(found, dict) else {}


def _split(data: bytes) -> tuple[bytes, str, bytes]:
    try:
        document = parse_canonical(data)
        signatures = document["signatures"]
        if set(document) != {"payload", "payloadType", "signatures"} or document["payloadType"] != PAYLOAD_TYPE or len(signatures) != 1:
            raise IntegrityError("envelope is not DSSE with one signature")
        if set(signatures[0]) != {"keyid", "sig"}:
            raise IntegrityError("envelope signature needs keyid and sig, nothing else")
        return strict_base64(document["payload"]), str(signatures[0]["keyid"]), strict_base64(signatures[0]["sig"])
    except (Invalid, KeyError, TypeError, AttributeError, IndexError) as error:
        raise IntegrityError(f"envelope is malformed: {error}") from None
