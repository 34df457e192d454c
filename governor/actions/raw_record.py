"""The record of a call as its source sent it, where it was archived.

Owns: who may read it. Does not own: which records are archived (capture_content.py), how they are kept (store/content.py).
Invariants: a record holds the prompt and whatever else its source wrote, headers included, so that only a person with role security reads it; the bytes
have the digest that the call names, or are not given.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from governor.actions.context import Actor, Context
from governor.errors import IntegrityError, NotFound


@dataclass(frozen=True)
class RawRecord:
    """body: as received, without white space around it. matches: its digest is the call's raw_sha256 (else the call is one of several in it)."""

    record_id: str
    sha256: str
    uri: str
    row: int | None
    body: bytes
    matches: bool


def raw_record(ctx: Context, actor: Actor, record_id: str) -> RawRecord:
    """Raises NotFound for an unknown call, one whose record was not archived, and one that was erased; IntegrityError for other bytes."""
    found = ctx.lake.calls([record_id], columns=["raw_ref", "raw_sha256", "ingest_uri", "ingest_row"]).to_pylist()
    if not found:
        raise NotFound(f"no call {record_id[:80]}", hint="a record id is 64 hex digits; findings and exports name them")
    actor.require("security")  # what is not there is not there for anybody
    call = found[0]
    if not call["raw_ref"]:
        raise NotFound(
            f"the record of call {record_id[:12]} was not archived",
            hint="set archive: full on the source or the organization before it is ingested, and content_capture: full on the workflow",
        )
    body = ctx.content.get(call["raw_ref"])
    if hashlib.sha256(body).hexdigest() != call["raw_ref"]:
        raise IntegrityError(f"the archived record of call {record_id[:12]} is not what its call names")
    return RawRecord(
        record_id, call["raw_ref"], call["ingest_uri"] or "", call["ingest_row"], body, matches=call["raw_ref"] == call["raw_sha256"]
    )
