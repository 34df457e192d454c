"""Anchors: places outside the rows database that keep signed checkpoints, and what it means when one disagrees with the database.

Owns: how an anchor is named, the notes of an append-only file, contradictions and their portable form. Does not own: reaching an anchor (adapters/anchor_*.py).
Invariants: a contradiction is proven from signed notes and a proof alone; an anchor counts as outside only when somebody else is named as running it.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from governor.errors import GovernorError, IntegrityError, Invalid
from governor.ledger.checkpoint import Checkpoint, parse_checkpoint
from governor.ledger.merkle import verify_consistency
from governor.ledger.note import COSIGNATURE, ED25519, VerifierKey, parse_note, parse_vkey, strict_base64

FORMAT: Final = "governor-ledger-contradiction/v1"
MAX_EVIDENCE: Final = 4_000_000
NAMED_IN_URL: Final = re.compile(r"://[^/]*:[^/]*@|^(?:https?|s3)://[^/]*@", re.IGNORECASE)
REFERENCE: Final = r"^$|^(env|file):.+$"


class AnchorConfig(BaseModel):
    """One anchor, from the settings: never from the catalog, whose rows belong to the very person an anchor is meant to hold to account."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")
    kind: Literal["directory", "git", "s3", "witness", "timestamp"]
    target: str = Field(min_length=1, max_length=500, description="Directory, git URL, s3://BUCKET/PREFIX, or http(s) URL.")
    outside: bool = Field(default=False, description="Out of reach of everybody who can write to the rows database.")
    run_by: str = Field(default="", max_length=200, description="Who runs it; needed where it is outside.")
    key: str = Field(default="", description="Witness: its vkey. Timestamp: path of the authority's root certificate (PEM).")
    earlier: tuple[str, ...] = Field(
        default=(), max_length=20, description="Witness: vkeys that `key` replaced, each with its range of tree sizes behind a blank."
    )
    branch: str = Field(default="checkpoints", pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,99}$", description="Git branch.")
    endpoint: str = Field(default="", max_length=500, description="S3: URL of a store that is not AWS.")
    region: str = Field(default="us-east-1", pattern=r"^[a-z0-9-]{1,40}$")
    access_key: str = Field(default="", pattern=REFERENCE, description="S3: reference env:NAME or file:PATH.")
    secret_key: str = Field(default="", pattern=REFERENCE, description="S3: reference env:NAME or file:PATH.")
    retain_days: int = Field(default=2557, ge=1, le=36_500, description="S3: Object Lock retention in compliance mode.")

    @model_validator(mode="after")
    def _complete(self) -> AnchorConfig:
        if any(NAMED_IN_URL.search(url) for url in (self.target, self.endpoint)):  # it is shown to everybody who may see the ledger
            raise ValueError(f"anchor {self.name}: a password has no place in a URL; git takes it from ssh keys or a credential helper")
        if self.outside and not self.run_by.strip():
            raise ValueError(f"anchor {self.name} is said to be outside: run_by must name who runs it")
        if self.outside and self.kind == "timestamp":
            raise ValueError(f"anchor {self.name}: a timestamp proves an age and keeps nothing; it cannot be the outside anchor")
        if self.kind == "witness":
            try:
                parse_vkey(self.key)
                for one in self.earlier:
                    key, blank, sizes = one.partition(" ")
                    parse_vkey(key)
                    if not blank or not re.fullmatch(r"[0-9]+\.\.[0-9]+", sizes):
                        raise Invalid(f"an earlier key needs its range of tree sizes, such as {key} 0..212")
            except GovernorError as error:
                raise ValueError(f"anchor {self.name} needs `key`, the witness's vkey: {error.message}") from None
        if self.kind == "timestamp" and not self.key:
            raise ValueError(f"anchor {self.name} needs `key`, the path of the authority's root certificate")
        if self.kind == "s3" and not (self.target.startswith("s3://") and self.access_key and self.secret_key):
            raise ValueError(f"anchor {self.name} needs target s3://BUCKET/PREFIX, access_key and secret_key")
        return self


def witness_key(text: str) -> VerifierKey:
    """A witness cosigns with the cosignature algorithm whichever way its key was written down."""
    found = parse_vkey(text)
    return VerifierKey(found.name, COSIGNATURE, found.public_key) if found.algorithm == ED25519 else found


def witness_keys(config: AnchorConfig) -> list[VerifierKey]:
    """The key of a witness, and those that it replaced."""
    return [witness_key(text.partition(" ")[0]) for text in (config.key, *config.earlier)]


def file_of(origin: str) -> str:
    """Name of the append-only file of a log: readable, and a different one for every origin."""
    return origin.replace("%", "%25").replace("/", "%2F") + ".checkpoints"


def split_notes(text: str) -> list[str]:
    """The notes of an append-only file, oldest first. A checkpoint has no empty line inside, and only signatures begin with a dash.

    What was cut off in the middle of a write is no note and is left out.
    """
    blocks = text.split("\n\n")
    found = []
    for body, signatures in pairwise(blocks):
        note = f"{body}\n\n{signatures.rstrip(chr(10))}\n"
        if signatures.startswith("\u2014 ") and _is_note(note):
            found.append(note)
    return found


def _is_note(text: str) -> bool:
    try:
        parse_note(text)
    except Invalid:
        return False
    return True


def as_block(note: str) -> str:
    """A note as it is appended to such a file."""
    return note + "\n"


def signed_checkpoint(note: str, key: VerifierKey) -> Checkpoint:
    """What a note says. Raises IntegrityError unless it is a checkpoint of this log, or of an ended incarnation of it, signed by its key."""
    parsed = parse_note(note)
    found = parse_checkpoint(parsed.text)
    if found.origin != key.name and key.incarnation(found.origin) is None:
        raise IntegrityError(f"is a checkpoint of {found.origin}, not of {key.name}")
    if not parsed.signed_by(key):
        raise IntegrityError(f"of size {found.size} is not signed by the log key")
    return found


@dataclass(frozen=True)
class Contradiction:
    """Two signed notes of one log that one honest history cannot explain.

    fork: `kept` (outside) and `shown` (the database) cover different beginnings; where `shown` is larger, `claimed` is the root that its tree has at
    the size of `kept`, and `proof` the consistency proof from there. rollback: `kept` is larger than anything the database still has.
    """

    kind: str
    kept: str
    shown: str
    claimed: bytes = b""
    proof: tuple[bytes, ...] = ()

    @property
    def text(self) -> str:
        body = {
            "format": FORMAT,
            "kind": self.kind,
            "kept": self.kept,
            "shown": self.shown,
            "claimed_root": base64.b64encode(self.claimed).decode(),
            "proof": [base64.b64encode(step).decode() for step in self.proof],
        }
        return json.dumps(body, indent=2, ensure_ascii=False) + "\n"


def parse_contradiction(data: bytes) -> Contradiction:
    """Raises Invalid for anything else."""
    try:
        body = json.loads(data[:MAX_EVIDENCE])
        if body["format"] != FORMAT or body["kind"] not in {"fork", "rollback"}:
            raise Invalid("not a contradiction of two checkpoints")
        kept, shown = str(body["kept"]), str(body["shown"])
        return Contradiction(body["kind"], kept, shown, strict_base64(body["claimed_root"]), tuple(map(strict_base64, body["proof"])))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise Invalid("not a contradiction of two checkpoints") from None


def prove(found: Contradiction, keys: Sequence[VerifierKey]) -> str:
    """What the evidence proves, in one sentence. Raises IntegrityError when it proves nothing under these log keys."""
    key = _key_of(found.kept, keys)
    kept, shown = signed_checkpoint(found.kept, key), signed_checkpoint(found.shown, key)
    if found.kind == "rollback":
        if kept.size <= shown.size:
            raise IntegrityError("the note kept outside is not larger: no rollback")
        return f"{key.name} signed {kept.size} entries; where the newest it can show has {shown.size}, {kept.size - shown.size} are gone"
    if kept.size > shown.size or kept.size == 0:
        raise IntegrityError("the note kept outside is larger than the one that is shown: no fork is proven")
    if kept.size == shown.size:
        claimed = shown.root
    else:
        claimed = found.claimed
        verify_consistency(kept.size, shown.size, claimed, shown.root, found.proof)
    if claimed == kept.root:
        raise IntegrityError("both notes tell the same history")
    return f"{key.name} signed two histories: their first {kept.size} entries differ, and its key vouches for both"


def _key_of(note: str, keys: Sequence[VerifierKey]) -> VerifierKey:
    origin = parse_note(note).text.split("\n", 1)[0]
    for key in keys:
        if key.name == origin and parse_note(note).signed_by(key):
            return key
    raise IntegrityError(f"no log key that is believed signed a checkpoint of {origin}")
