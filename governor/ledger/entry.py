"""The entry envelope: what one leaf of the ledger says, and in which bytes.

Owns: drafts, the envelope, the producer's signature inside it, salted disclosures of personal fields (RFC 9901).
Does not own: index, tree and storage (store/ledger.py). Invariants: a leaf is canonical JSON of at most 16 KiB with ASCII keys;
personal data never enters it, only `_sd` digests whose salts live elsewhere; the leaf bytes are the truth and are never rewritten.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from governor.errors import IntegrityError, Invalid
from governor.ledger.canonical import canonical_json, normalised, parse_canonical, parse_timestamp, sha256_hex, timestamp
from governor.ledger.merkle import leaf_hash
from governor.ledger.note import NoteSigner, strict_base64
from governor.ledger.types import entry_type

if TYPE_CHECKING:
    from jsonschema.protocols import Validator

VERSION: Final = 1
MAX_LEAF: Final = 16 * 1024
SALT_SIZE: Final = 16
FIELDS: Final = frozenset({
    "v", "id", "type", "type_schema_sha256", "stream", "stream_seq", "stream_prev", "occurred_at", "recorded_at",
    "actor", "payload", "evidence", "policy", "_sd", "producer",
})  # fmt: skip
_PRODUCER_DOMAIN: Final = b"governor-entry-v1\n"
_SNAKE: Final = re.compile(r"[a-z_][a-z0-9_]*", re.ASCII)
_KEY: Final = re.compile(r"[\x21-\x7e]+", re.ASCII)
_STREAM: Final = re.compile(r"[a-z_]+(/[\x21-\x2e\x30-\x7e]+)+", re.ASCII)


@dataclass(frozen=True)
class EntryDraft:
    """What an action wants on record. `idem` makes the same wish one entry for ever; `personal` becomes salted digests in the leaf."""

    type: str
    stream: str
    payload: Mapping[str, Any]
    actor: Mapping[str, Any]
    idem: str
    occurred_at: datetime
    evidence: list[dict[str, Any]] = field(default_factory=list)
    policy: dict[str, Any] | None = None
    personal: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Producer:
    """The program that writes: service name, version, digest of its code."""

    service: str
    version: str
    build_sha256: str


@dataclass(frozen=True)
class Disclosure:
    """`[salt, name, value]` in base64url; `digest` is what the leaf holds. Deleting it erases the value and breaks no proof."""

    name: str
    text: str

    @property
    def digest(self) -> str:
        return base64url(hashlib.sha256(self.text.encode("ascii")).digest())

    @property
    def said(self) -> tuple[str, Any]:
        """Name and value, as the digest covers them."""
        _, name, value = json.loads(base64.urlsafe_b64decode(self.text + "=" * (-len(self.text) % 4)))
        return name, value

    @property
    def value(self) -> Any:
        return self.said[1]


def disclose(name: str, value: Any, salt: bytes | None = None) -> Disclosure:
    """A fresh disclosure of one field."""
    salted = [base64url(salt or os.urandom(SALT_SIZE)), name, normalised(value)]
    return Disclosure(name, base64url(canonical_json(salted)))


@dataclass(frozen=True)
class Entry:
    """One parsed leaf: `leaf` is the bytes as they were written, `body` what they say."""

    leaf: bytes
    body: Mapping[str, Any]

    @property
    def leaf_hash(self) -> bytes:
        return leaf_hash(self.leaf)

    @property
    def id(self) -> str:
        return str(self.body["id"])

    @property
    def type(self) -> str:
        return str(self.body["type"])

    @property
    def payload(self) -> Mapping[str, Any]:
        payload: Mapping[str, Any] = self.body["payload"]
        return payload

    @property
    def actor_ref(self) -> str:
        return str(self.body["actor"]["ref"])

    @property
    def stream_seq(self) -> int:
        return int(self.body["stream_seq"])

    @property
    def recorded_at(self) -> datetime:
        return parse_timestamp(self.body["recorded_at"])

    @classmethod
    def build(
        cls,
        draft: EntryDraft,
        *,
        entry_id: str,
        stream_seq: int,
        stream_prev: bytes | None,
        recorded_at: datetime,
        producer: Producer,
        signer: NoteSigner,
        disclosures: list[Disclosure] | None = None,
    ) -> Entry:
        """Raises Invalid naming the field when the draft does not fit its type or the profile."""
        kind = entry_type(draft.type)
        body: dict[str, Any] = {
            "v": VERSION,
            "id": entry_id,
            "type": draft.type,
            "type_schema_sha256": kind.schema_sha256,
            "stream": draft.stream,
            "stream_seq": stream_seq,
            "stream_prev": None if stream_prev is None else stream_prev.hex(),
            "occurred_at": timestamp(draft.occurred_at),
            "recorded_at": timestamp(recorded_at),
            "actor": normalised(dict(draft.actor)),
            "payload": normalised(dict(draft.payload)),
            "evidence": normalised(draft.evidence),
            "policy": normalised(draft.policy),
            "_sd": sorted(found.digest for found in disclosures or []),
            "producer": {
                "service": producer.service,
                "version": producer.version,
                "build_sha256": producer.build_sha256,
                "key_id": sha256_hex(signer.public_key),
            },
        }
        _check_body(body)
        wrong = next(iter(_validator(draft.type).iter_errors(body["payload"])), None)
        if wrong is not None:
            raise Invalid(f"payload of {draft.type}: {wrong.message}", hint="governor/ledger/types.py names what each entry must say")
        signature = signer.sign(_PRODUCER_DOMAIN + canonical_json(body))
        body["producer"]["sig"] = base64.b64encode(signature).decode()
        leaf = canonical_json(body)
        if len(leaf) > MAX_LEAF:
            raise Invalid(
                f"{draft.type} entry has {len(leaf)} bytes; the limit is {MAX_LEAF}", hint="put the body into evidence and keep its digest"
            )
        return cls(leaf, body)

    @classmethod
    def parse(cls, leaf: bytes) -> Entry:
        """Read a leaf strictly. Raises Invalid unless it is exactly one well-formed envelope."""
        if len(leaf) > MAX_LEAF:
            raise Invalid("leaf is too large")
        body = parse_canonical(leaf)
        if not isinstance(body, dict):
            raise Invalid("leaf is not an object")
        _check_body(body)
        return cls(leaf, body)

    def verify_producer(self, public_key: bytes) -> None:
        """Raises IntegrityError unless the producer key signed everything else in the leaf."""
        producer = self.body["producer"]
        unsigned = {**self.body, "producer": {name: value for name, value in producer.items() if name != "sig"}}
        try:
            Ed25519PublicKey.from_public_bytes(public_key).verify(
                strict_base64(producer["sig"]), _PRODUCER_DOMAIN + canonical_json(unsigned)
            )
        except (InvalidSignature, ValueError, KeyError, TypeError, Invalid):
            raise IntegrityError(f"producer signature of entry {self.id} does not verify") from None


@lru_cache
def _validator(name: str) -> Validator:
    import jsonschema  # only writers need it; a verifier starts without

    return jsonschema.Draft202012Validator(entry_type(name).schema)


def _check_body(body: Mapping[str, Any]) -> None:
    if set(body) != FIELDS or body["v"] != VERSION:
        raise Invalid("not an entry envelope of version 1")
    shapes = {
        "id": str, "type": str, "type_schema_sha256": str, "stream": str, "stream_seq": int,
        "actor": dict, "payload": dict, "evidence": list, "_sd": list, "producer": dict,
    }  # fmt: skip
    for name, kind in shapes.items():
        if not isinstance(body[name], kind) or isinstance(body[name], bool):
            raise Invalid(f"{name} is not {kind.__name__}")
    if not _STREAM.fullmatch(body["stream"]):
        raise Invalid(f"stream {body['stream']!r} is not of the form noun/id")
    seq, prev = body["stream_seq"], body["stream_prev"]
    if seq < 1 or (prev is None) != (seq == 1) or not (prev is None or (isinstance(prev, str) and re.fullmatch(r"[0-9a-f]{64}", prev))):
        raise Invalid("stream_seq and stream_prev do not fit each other")
    parse_timestamp(body["occurred_at"])
    parse_timestamp(body["recorded_at"])
    if not isinstance(body["actor"].get("ref"), str) or not isinstance(body["actor"].get("kind"), str):
        raise Invalid("actor needs kind and ref")
    if body["policy"] is not None and not isinstance(body["policy"], dict):
        raise Invalid("policy is neither null nor an object")
    if not all(isinstance(item, dict) and {"name", "sha256", "size", "media_type"} <= set(item) for item in body["evidence"]):
        raise Invalid("evidence items need name, sha256, size and media_type")
    for name in ("actor", "payload", "evidence", "policy", "producer"):
        _check_keys(body[name], name, strict=True)


def _check_keys(value: Any, where: str, *, strict: bool) -> None:
    """Named fields are snake_case; keys below them may be data (a file name, a workflow id), so they only have to be printable ASCII."""
    if isinstance(value, Mapping):
        for key, child in value.items():
            if not (_SNAKE if strict else _KEY).fullmatch(key):
                raise Invalid(f"{where}: key {key!r} is not {'snake_case' if strict else 'printable ASCII'}")
            _check_keys(child, f"{where}.{key}", strict=False)
    elif isinstance(value, list):
        for child in value:
            _check_keys(child, where, strict=strict)


def base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
