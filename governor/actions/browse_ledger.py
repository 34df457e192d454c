"""Reading the log: entries newest first, streams, one entry with its proof, checkpoints.

Owns: the documents of the ledger pages and of `/api/v1/ledger`. Does not own: the log (store/ledger.py), full verification (verify_ledger.py).
Invariants: reads only (the newest checkpoint covers what is shown as sealed); people are named only while their disclosure was not erased.
"""

from __future__ import annotations

from typing import Any, Final, TypedDict

from sqlalchemy import func, union_all
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from governor.actions.context import Context
from governor.errors import NotFound
from governor.ledger.canonical import sha256_hex
from governor.ledger.merkle import verify_inclusion
from governor.ledger.types import REGISTRY
from governor.store import ledger
from governor.store.rows.ledger import LedgerCheckpoint, LedgerEntry
from governor.store.rows.people import Person
from governor.store.sequencer import tree_size

MOST: Final = 500
STREAMS: Final = 200


class EntryActor(TypedDict):
    """Who acted. name: the address where the ref is a person's and was not erased, else the ref."""

    kind: str
    ref: str
    name: str
    roles: list[str]


class EntryRow(TypedDict):
    """idx: place in the log; stream_seq: place in its stream; recorded_at: as the database has it, occurred_at: as the leaf has it."""

    idx: int
    id: str
    type: str
    stream: str
    stream_seq: int
    recorded_at: str
    occurred_at: str
    actor: EntryActor
    payload: dict[str, Any]
    leaf_hash: str


class EntryProof(TypedDict):
    """path: hashes from the leaf to the root of the tree of `size`; text: the same as c2sp.org/tlog-proof@v1."""

    size: int
    root: str
    path: list[str]
    text: str


class EntryNeighbours(TypedDict):
    """Index of the entries before and after in the same stream."""

    before: int | None
    after: int | None


class EntryDocument(EntryRow):
    """body: what the leaf says; disclosed: personal fields that were not erased; proof: none while no checkpoint covers the entry."""

    meaning: str
    body: dict[str, Any]
    disclosed: dict[str, Any]
    leaf_sha256: str
    leaf_bytes: int
    proof: EntryProof | None
    neighbours: EntryNeighbours


class CheckpointRow(TypedDict):
    """note: the C2SP signed note itself."""

    size: int
    root: str
    created_at: str
    note: str


class StreamRow(TypedDict):
    """last: when its newest entry was recorded."""

    stream: str
    entries: int
    last: str


def entries_page(ctx: Context, *, stream: str = "", kind: str = "", before: int | None = None, limit: int = 50) -> dict[str, Any]:
    """{"entries", "next", "size", "sealed"}: newest first, those with idx < before. `kind` is an entry type or its subject."""
    with ctx.rows.session() as session:
        found = list(session.exec(newest_entries(ctx.org, stream, kind, before, min(limit, MOST) + 1)))
        newest = ledger.latest_checkpoint(session, ctx.org)
        rows = found[: min(limit, MOST)]
        names = people(session, ctx.org)
        return {
            "entries": [entry_row(row, names) for row in rows],
            "next": rows[-1].idx if len(found) > len(rows) else None,
            "size": tree_size(session, ctx.org),
            "sealed": newest.size if newest else 0,
        }


def newest_entries(org: str, stream: str, kind: str, before: int | None, limit: int) -> SelectOfScalar[LedgerEntry]:
    """Every type is asked for its own newest from an index: a subject's pattern would look at all entries."""
    mine = LedgerEntry.org_id == org
    places = select(LedgerEntry.idx).where(mine).order_by(col(LedgerEntry.idx).desc()).limit(limit)
    if stream:
        places = places.where(LedgerEntry.stream == stream)
    if before is not None:
        places = places.where(col(LedgerEntry.idx) < before)
    types = [one for one in REGISTRY if one.startswith(f"{kind}:")] or [kind]
    chosen = union_all(*(select(places.where(LedgerEntry.type == one).subquery()) for one in types)) if kind else places
    return select(LedgerEntry).where(mine, col(LedgerEntry.idx).in_(chosen)).order_by(col(LedgerEntry.idx).desc()).limit(limit)


def stream_entries(ctx: Context, stream: str) -> list[dict[str, Any]]:
    """Everything that happened in one stream, oldest first, with what was disclosed beside it."""
    with ctx.rows.session() as session:
        names = people(session, ctx.org)
        found = ledger.entries(session, ctx.org, stream=stream, limit=MOST)
        return [{**entry_row(row, names), "disclosed": disclosed(session, ctx.org, row)} for row in found]


def streams(ctx: Context, *, limit: int | None = STREAMS) -> list[StreamRow]:
    """{"stream", "entries", "last"} by newest entry; limit None: all of them."""
    mine = LedgerEntry.org_id == ctx.org
    number = func.max(LedgerEntry.stream_seq).label("entries")  # it has no gap, and an index has it without the leaves
    ends = select(LedgerEntry.stream, number).where(mine).group_by(col(LedgerEntry.stream)).subquery()
    newest = (mine, col(LedgerEntry.stream) == ends.c.stream, col(LedgerEntry.stream_seq) == ends.c.entries)
    place, at = (select(column).where(*newest).scalar_subquery() for column in (col(LedgerEntry.idx), col(LedgerEntry.recorded_at)))
    with ctx.rows.session() as session:
        found = session.execute(select(ends.c.stream, ends.c.entries, at).order_by(place.desc()).limit(limit))
        return [{"stream": stream, "entries": count, "last": last.isoformat()} for stream, count, last in found]


def entry_document(ctx: Context, name: str) -> EntryDocument:
    """One entry by id or index: what its bytes say, its hashes, and its inclusion proof under the newest checkpoint, checked here and now."""
    with ctx.rows.session() as session:
        row = find(session, ctx.org, name)
        newest = ledger.latest_checkpoint(session, ctx.org)
        body = ledger.parsed(row)
        proof: EntryProof | None = None
        if newest is not None and row.idx < newest.size:
            path = ledger.inclusion(session, ctx.org, row.idx, newest.size)
            verify_inclusion(row.idx, newest.size, row.leaf_hash, path, newest.root)
            text = ledger.tlog_proof(session, ctx.org, row.idx, newest).text
            proof = {"size": newest.size, "root": newest.root.hex(), "path": [node.hex() for node in path], "text": text}
        return {
            **entry_row(row, people(session, ctx.org)),
            "meaning": REGISTRY[row.type].meaning if row.type in REGISTRY else "",
            "body": body,
            "disclosed": disclosed(session, ctx.org, row),
            "leaf_sha256": sha256_hex(row.leaf),
            "leaf_bytes": len(row.leaf),
            "proof": proof,
            "neighbours": neighbours(session, ctx.org, row),
        }


def entry_leaf(ctx: Context, name: str) -> bytes:
    """The bytes that are hashed, exactly."""
    with ctx.rows.session() as session:
        return find(session, ctx.org, name).leaf


def checkpoints(ctx: Context, limit: int = 20, *, before: int | None = None) -> list[CheckpointRow]:
    """Newest first, those with size < before."""
    with ctx.rows.session() as session:
        query = select(LedgerCheckpoint).where(LedgerCheckpoint.org_id == ctx.org).order_by(col(LedgerCheckpoint.size).desc()).limit(limit)
        if before is not None:
            query = query.where(col(LedgerCheckpoint.size) < before)
        return [
            {"size": row.size, "root": row.root.hex(), "created_at": row.created_at.isoformat(), "note": row.note}
            for row in session.exec(query)
        ]


def find(session: Session, org: str, name: str) -> LedgerEntry:
    if not name.isdecimal():
        return ledger.entry_by_id(session, org, name)
    found = ledger.entries(session, org, after=int(name) - 1, limit=1) if len(name) < 18 else []  # noqa: PLR2004 - fits 64 bits
    if not found or found[0].idx != int(name):
        raise NotFound(f"no ledger entry {name}")
    return found[0]


def neighbours(session: Session, org: str, row: LedgerEntry) -> EntryNeighbours:

    def at(seq: int) -> int | None:
        query = select(LedgerEntry.idx).where(LedgerEntry.org_id == org, LedgerEntry.stream == row.stream, LedgerEntry.stream_seq == seq)
        return session.exec(query).first()

    return {"before": at(row.stream_seq - 1), "after": at(row.stream_seq + 1)}


def people(session: Session, org: str) -> dict[str, str]:
    return dict(session.exec(select(Person.id, Person.email).where(Person.org_id == org)).all())


def disclosed(session: Session, org: str, row: LedgerEntry) -> dict[str, Any]:
    return {one.name: one.value for one in ledger.disclosures(session, org, row.id)}


def entry_row(row: LedgerEntry, names: dict[str, str]) -> EntryRow:
    body = ledger.parsed(row)
    actor = body["actor"]
    return {
        "idx": row.idx,
        "id": row.id,
        "type": row.type,
        "stream": row.stream,
        "stream_seq": row.stream_seq,
        "recorded_at": row.recorded_at.isoformat(),
        "occurred_at": body["occurred_at"],
        "actor": {
            "kind": actor["kind"],
            "ref": actor["ref"],
            "name": names.get(actor["ref"], actor["ref"]),
            "roles": actor.get("roles", []),
        },
        "payload": body["payload"],
        "leaf_hash": row.leaf_hash.hex(),
    }
