"""Sources as people read them: configured sources, batches, quarantined records with their reason, conflicts.

Owns: these documents. Does not own: ingest, retry (quarantine.py), the lake. Invariants: reads only; a raw record is shown cut, and only its text;
what a source's configuration refers to as a secret stays a reference.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import func
from sqlmodel import col, select

from governor.actions.context import Context
from governor.actions.ingest import COUNTS
from governor.actions.load_catalog import catalog_as_of
from governor.errors import IntegrityError
from governor.store.content import ContentStore
from governor.store.rows.ingest import IngestBatch, SourceCursor

PAGE: Final = 50
RAW_SHOWN: Final = 1500


def sources(ctx: Context) -> list[dict[str, Any]]:
    """Every source that is configured or ever sent something: {"id","connector","configured","cursor","batches", the six counts, "last", "synced_at"}."""
    found: dict[str, dict[str, Any]] = {}
    for document in catalog_as_of(ctx).sources.values():
        found[document.id] = row(document.id, document.connector, configured=True)
    # by the database: the batches of a busy gateway are millions
    sums_of = [func.sum(getattr(IngestBatch, name)) for name in COUNTS]
    batch = (col(IngestBatch.source), func.min(IngestBatch.connector), func.count(), func.max(IngestBatch.committed_at), *sums_of)
    summed = sa.select(*batch).where(col(IngestBatch.org_id) == ctx.org).group_by(col(IngestBatch.source))
    with ctx.rows.session() as session:
        for name, connector, batches_of, newest, *sums in session.connection().execute(summed):
            one = found.setdefault(name, row(name, connector, configured=False))
            one |= {"batches": batches_of, "last": newest.isoformat(), **dict(zip(COUNTS, sums, strict=True))}
        for cursor in session.exec(select(SourceCursor).where(SourceCursor.org_id == ctx.org)):
            if cursor.source in found:
                found[cursor.source]["synced_at"] = cursor.updated_at.isoformat()
    return sorted(found.values(), key=lambda one: str(one["id"]))


def row(name: str, connector: str, *, configured: bool) -> dict[str, Any]:
    counts = dict.fromkeys(("batches", *COUNTS), 0)
    return {"id": name, "connector": connector, "configured": configured, "last": None, "synced_at": None, **counts}


def count_batches(ctx: Context, *, source: str = "") -> int:
    query = sa.select(func.count()).select_from(IngestBatch).where(col(IngestBatch.org_id) == ctx.org)
    if source:
        query = query.where(col(IngestBatch.source) == source)
    with ctx.rows.session() as session:
        return int(session.connection().execute(query).scalar_one())


def batches(ctx: Context, *, source: str = "", offset: int = 0, limit: int = PAGE) -> list[dict[str, Any]]:
    """Newest first."""
    with ctx.rows.session() as session:
        query = select(IngestBatch).where(IngestBatch.org_id == ctx.org).order_by(col(IngestBatch.id).desc()).offset(offset).limit(limit)
        if source:
            query = query.where(IngestBatch.source == source)
        return [
            {
                "id": batch.id,
                "source": batch.source,
                "connector": batch.connector,
                "uris": json.loads(batch.uris or "[]"),
                "read": batch.read,
                "stored": batch.stored,
                "duplicates": batch.duplicates,
                "conflicts": batch.conflicts,
                "quarantined": batch.quarantined,
                "other_spans": batch.other_spans,
                "snapshot": batch.lake_snapshot,
                "committed_at": batch.committed_at.isoformat(),
            }
            for batch in session.exec(query)
        ]


def tally_quarantined(ctx: Context, *, state: str = "open", source: str = "", code: str = "") -> dict[str, Any]:
    """{"records", "mark"} of the rejected records in a state, of a source, with a code before the colon of their reason. mark: which ones, as a hash."""
    sql = """SELECT count(*) AS records, coalesce(bit_xor(hash(id)), 0)::VARCHAR AS mark FROM lake.quarantine
        WHERE state = coalesce($state, state) AND source = coalesce($source, source)
        AND ($code IS NULL OR split_part(reason, ':', 1) = $code)"""
    found: dict[str, Any] = ctx.lake.query(sql, {"state": state or None, "source": source or None, "code": code or None}).to_pylist()[0]
    return found


def quarantine_kinds(ctx: Context) -> tuple[list[str], list[str]]:
    """The sources that records were ever refused of, and the codes of the reasons."""
    sql = "SELECT DISTINCT source, split_part(reason, ':', 1) AS code FROM lake.quarantine"
    found = ctx.lake.query(sql).to_pylist()
    return sorted({one["source"] for one in found}), sorted({one["code"] for one in found})


def quarantined(
    ctx: Context, *, state: str = "open", source: str = "", code: str = "", offset: int = 0, limit: int = PAGE
) -> list[dict[str, Any]]:
    """Rejected records, newest first; without a state, source or code those of every one."""
    return [
        {
            "id": str(one["id"]),
            "source": one["source"],
            "connector": one["connector"],
            "reason": one["reason"],
            "uri": one["ingest_uri"],
            "row": one["ingest_row"],
            "state": one["state"],
            "created_at": one["created_at"].isoformat(),
            "raw": shown(ctx.content, one["raw"]),
        }
        for one in ctx.lake.quarantine(state=state or None, source=source or None, code=code or None, offset=offset, limit=limit)
    ]


def waiting(ctx: Context) -> dict[str, int]:
    """How many records are in open quarantine and in conflict; counted, not listed."""
    sql = "SELECT (SELECT count(*) FROM lake.quarantine WHERE state = 'open') AS quarantine, (SELECT count(*) FROM lake.conflicts) AS conflicts"
    found: dict[str, int] = ctx.lake.query(sql).to_pylist()[0]
    return found


def in_no_sum(ctx: Context, start: datetime, end: datetime) -> tuple[int, int]:
    """Of a month: open records of the quarantine that may belong to it, because they came after it began, and calls that came again with other content."""
    sql = """SELECT (SELECT count(*) FROM lake.quarantine WHERE state = 'open' AND created_at >= $start) AS quarantine,
        (SELECT count(*) FROM lake.conflicts WHERE start_time >= $start AND start_time < $end) AS conflicts"""
    found = ctx.lake.query(sql, {"start": start, "end": end}).to_pylist()[0]
    return found["quarantine"], found["conflicts"]


def conflicts(ctx: Context, *, offset: int = 0, limit: int = PAGE) -> list[dict[str, Any]]:
    """Records that arrived again under a known key with other content; the first stays, both are on record."""
    return [
        {name: value.isoformat() if hasattr(value, "isoformat") else value for name, value in one.items()}
        for one in ctx.lake.conflicts(offset=offset, limit=limit)
    ]


def shown(content: ContentStore, raw: Any) -> str:
    try:
        text = content.unseal(bytes(raw or b"")).decode("utf-8", errors="replace")
    except IntegrityError as error:
        return f"[{error.message}]"
    return text if len(text) <= RAW_SHOWN else f"{text[:RAW_SHOWN]}\n[{len(text) - RAW_SHOWN:,} more characters]"
