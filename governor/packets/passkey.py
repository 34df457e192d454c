"""An approval signed by the approver's own device: a WebAuthn assertion over the digest of the decision, checked from its bytes alone.

Owns: the record that is signed, its challenge, the check of an assertion inside a `change:approve` entry. Does not own: the ceremony in the browser
(actions/passkeys.py). Invariants: the record names change, digest, decision, role and person, so that an assertion fits one decision only; an entry that
claims a passkey and holds no valid assertion is wrong, never merely weaker.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from governor.errors import GovernorError
from governor.ledger.canonical import canonical_json
from governor.ledger.entry import Entry, base64url

PASSKEY: Final = "passkey"
FIELDS: Final = frozenset({"record", "algorithm", "public_key", "authenticator_data", "client_data", "signature"})
PRESENT_AND_VERIFIED: Final = 0x05
SHORTEST: Final = 37


def decision_record(*, change: str, digest: str, decision: str, role: str, person: str, origin: str, rp: str, nonce: str) -> dict[str, Any]:
    """What the device signs the digest of. `origin` and `rp`: where the page was; `nonce`: hex, so that no two are alike."""
    return {
        "v": 1,
        "change": change,
        "digest": digest,
        "decision": decision,
        "role": role,
        "person": person,
        "origin": origin,
        "rp": rp,
        "nonce": nonce,
    }


def challenge(record: Mapping[str, Any]) -> bytes:
    return hashlib.sha256(canonical_json(dict(record))).digest()


def check_assertion(event: Entry) -> str | None:
    """Why the assertion of a decision does not hold, or None; also None where the decision claims none."""
    claimed = event.body["actor"].get("auth", {}).get("amr") == PASSKEY
    held = event.payload.get(PASSKEY)
    if held is None:
        return "claims a passkey, but holds no assertion" if claimed else None
    if not claimed:
        return "holds an assertion, but claims another way of signing in"
    try:
        return _check(event, held)
    except (GovernorError, KeyError, TypeError, ValueError, AttributeError):
        return "the passkey assertion is malformed"


def _check(event: Entry, held: Mapping[str, Any]) -> str | None:
    if set(held) != FIELDS:
        raise ValueError
    record, client, data = held["record"], _bytes(held["client_data"]), _bytes(held["authenticator_data"])
    said = json.loads(client.decode("utf-8"))
    if (record["v"], record["decision"], record["person"]) != (1, event.type.removeprefix("change:"), event.actor_ref):
        return "the passkey signed another decision"
    if any(record[name] != event.payload[name] for name in ("change", "digest", "role")):
        return "the passkey signed another decision"
    if said["type"] != "webauthn.get" or said["challenge"] != base64url(challenge(record)) or said["origin"] != record["origin"]:
        return "the passkey signed another decision"
    return _signed(held, str(record["rp"]), data, client)


def _signed(held: Mapping[str, Any], rp: str, data: bytes, client: bytes) -> str | None:
    if len(data) < SHORTEST or data[:32] != hashlib.sha256(rp.encode()).digest():
        return "the passkey belongs to another site"
    if data[32] & PRESENT_AND_VERIFIED != PRESENT_AND_VERIFIED:
        return "the device did not verify its user"
    signed = data + hashlib.sha256(client).digest()
    if not verifies(held["algorithm"], bytes.fromhex(held["public_key"]), signed, _bytes(held["signature"])):
        return "the passkey signature does not verify"
    return None


def verifies(algorithm: str, public_key: bytes, message: bytes, signature: bytes) -> bool:
    """ES256: an uncompressed point and a DER signature; EdDSA: Ed25519. Raises ValueError for anything else."""
    try:
        if algorithm == "ES256":
            ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), public_key).verify(signature, message, ec.ECDSA(hashes.SHA256()))
        elif algorithm == "EdDSA":
            Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
        else:
            raise ValueError(algorithm)
    except InvalidSignature:
        return False
    return True


def _bytes(text: str) -> bytes:
    raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if base64url(raw) != text:
        raise ValueError(text)
    return raw
