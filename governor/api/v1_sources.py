"""`/api/v1/sources`, `/connectors`, `/batches`, `/quarantine`, `/conflicts`: where traffic comes from and what became of it.

Pushed bodies have receivers of their own (push.py): `POST /v1/traces` and `POST /ingest/SOURCE`.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any, Final, TypedDict, cast

from litestar import get, post
from litestar.params import Parameter
from msgspec import Struct, field

from governor.actions.completeness import SourceTruth, completeness
from governor.actions.context import Actor, Context
from governor.actions.discard import discard, discard_all
from governor.actions.load_catalog import catalog_as_of
from governor.actions.payloads import installed
from governor.actions.quarantine import STATES, retry
from governor.actions.scorecard import Scorecard, scorecard
from governor.actions.sync import sync
from governor.api.slices import Cursor, Items, Limit, PeriodItems, Slice, named, slice_of
from governor.errors import Invalid

TAGS: Final = ["sources"]
QUARANTINED: Final = ("id", "source", "connector", "ingest_uri", "ingest_row", "reason", "state", "created_at")
CONFLICTING: Final = ("record_id", "source_instance", "source_record_id", "ingest_uri", "ingest_row", "detected_at")


class SourceRow(TypedDict):
    id: str
    connector: str


class RecordCounts(TypedDict):
    """read is the sum of the next four."""

    read: int
    stored: int
    duplicates: int
    conflicts: int
    quarantined: int
    other_spans: int


class LeftRecords(TypedDict, total=False):
    """already: were before. left: with `all`, because at most 100,000 are taken at a time."""

    already: int
    left: int


class DiscardedRecords(LeftRecords):
    discarded: int


class Synced(TypedDict):
    sources: dict[str, RecordCounts]


class BatchRow(RecordCounts):
    """uris: the first 20 of what was read."""

    batch_id: str
    source: str
    connector: str
    uris: list[str]
    actor: str | None
    cursor: str | None
    started_at: datetime
    committed_at: datetime


class QuarantineRow(TypedDict):
    """reason: a code, a colon and words. state: open, retried or discarded."""

    id: str
    source: str
    connector: str
    ingest_uri: str | None
    ingest_row: int | None
    reason: str
    state: str
    created_at: datetime


class ConflictRow(TypedDict):
    record_id: str
    source_instance: str | None
    source_record_id: str
    ingest_uri: str | None
    ingest_row: int | None
    detected_at: datetime


class SyncRequest(Struct, forbid_unknown_fields=True):
    """source: id of a configured source; empty pulls all of them."""

    source: str = ""


class QuarantineRetry(Struct, forbid_unknown_fields=True):
    """ids: of quarantined records, or their first characters; all: every open one, of a source and with a code of reason where these are given."""

    ids: list[str] = field(default_factory=list)
    all: bool = False
    source: str = ""
    code: str = ""


class QuarantineDiscard(Struct, forbid_unknown_fields=True):
    """reason: why they can never be read; ids: of quarantined records, or their first characters, each of one record; all, source, code: as for a retry."""

    reason: str
    ids: list[str] = field(default_factory=list)
    all: bool = False
    source: str = ""
    code: str = ""


@get("/connectors", sync_to_thread=True, tags=TAGS)
def list_connectors() -> Annotated[Items[str], named("ConnectorItems")]:
    """Installed connectors."""
    return {"items": list(installed())}


@get("/sources", sync_to_thread=True, tags=TAGS)
def list_sources(ctx: Context, limit: Limit, cursor: Cursor) -> Annotated[Slice[SourceRow], named("SourceSlice")]:
    """Configured sources. Their configuration holds references to secrets, never secrets."""
    found: list[SourceRow] = [{"id": one.id, "connector": one.connector} for one in catalog_as_of(ctx).sources.values()]
    return slice_of(found, lambda one: str(one["id"]), limit=limit, cursor=cursor)


@get("/sources/completeness", sync_to_thread=True, tags=TAGS)
def show_completeness(
    ctx: Context,
    source: Annotated[str, Parameter(query="source", description="Only this source.")] = "",
    days: Annotated[int, Parameter(query="days", ge=1, le=92, description="How far back.")] = 14,
) -> Annotated[Items[SourceTruth], named("CompletenessItems")]:
    """By source and hour: stored, the source's own count, holes, silent hours, and calls that only another witness has."""
    return {"items": completeness(ctx, source=source, days=days)}


@get("/sources/scorecard", sync_to_thread=True, tags=TAGS)
def show_scorecard(
    ctx: Context,
    period: Annotated[str, Parameter(query="period", description="Calendar month, YYYY-MM.")],
    workflow: Annotated[str, Parameter(query="workflow", description="Only this workflow.")] = "",
) -> Annotated[PeriodItems[Scorecard], named("ScorecardItems")]:
    """What production calls say about themselves, per workflow, lowest score first, with what to do."""
    return {"period": period, "items": scorecard(ctx, period, workflow=workflow)}


@post("/sources/sync", status_code=200, sync_to_thread=True, tags=TAGS)
def pull(ctx: Context, actor: Actor, data: SyncRequest) -> Synced:
    """Pull from configured gateways since their last cursor. Answers when it is done."""
    return cast("Synced", {"sources": sync(ctx, actor, data.source)})


@get("/batches", sync_to_thread=True, tags=TAGS)
def list_batches(
    ctx: Context, limit: Limit, cursor: Cursor, source: Annotated[str, Parameter(query="source", description="Only this source.")] = ""
) -> Annotated[Slice[BatchRow], named("BatchSlice")]:
    """Committed batches, newest first, with their six counts."""
    found: list[Any] = [
        batch | {"uris": json.loads(batch["uris"] or "[]")} for batch in reversed(ctx.lake.batches()) if source in {"", batch["source"]}
    ]
    return slice_of(found, lambda batch: str(batch["batch_id"]), limit=limit, cursor=cursor)


@get("/quarantine", sync_to_thread=True, tags=TAGS)
def list_quarantine(
    ctx: Context,
    limit: Limit,
    cursor: Cursor,
    source: Annotated[str, Parameter(query="source", description="Only this source.")] = "",
    in_state: Annotated[str, Parameter(query="state", description=f"{', '.join(STATES)}.")] = "open",
    code: Annotated[str, Parameter(query="code", description="Only reasons with this code, the word before the colon.")] = "",
) -> Annotated[Slice[QuarantineRow], named("QuarantineSlice")]:
    """Records that could not be read, newest first, with the reason and where they came from; never their content."""
    if in_state not in STATES:
        raise Invalid(f"state is one of {', '.join(STATES)}")
    found = ctx.lake.quarantine(
        state=None if in_state == "all" else in_state, source=source or None, code=code or None, limit=None, raw=False
    )
    rows: list[Any] = [{name: row[name] for name in QUARANTINED} for row in found]
    return slice_of(rows, lambda row: str(row["id"]), limit=limit, cursor=cursor)


@post("/quarantine/retry", status_code=200, sync_to_thread=True, tags=TAGS)
def try_again(ctx: Context, actor: Actor, data: QuarantineRetry) -> RecordCounts:
    """Read quarantined records again, after a fix of the connector or the source."""
    return cast("RecordCounts", retry(ctx, actor, data.ids, every=data.all, source=data.source, code=data.code))


@post("/quarantine/discard", status_code=200, sync_to_thread=True, tags=TAGS)
def give_up(ctx: Context, actor: Actor, data: QuarantineDiscard) -> DiscardedRecords:
    """Give up quarantined records that can never be read. The reason goes into the ledger; their bytes stay.

    Answers `discarded` and `already` (were before); with `all` `discarded` and `left`, because at most 100,000 are taken at a time.
    """
    if data.all and data.ids:
        raise Invalid("name records or all of them, not both")
    if data.all:
        return cast("DiscardedRecords", discard_all(ctx, actor, source=data.source, code=data.code, reason=data.reason))
    return cast("DiscardedRecords", discard(ctx, actor, data.ids, reason=data.reason))


@get("/conflicts", sync_to_thread=True, tags=TAGS)
def list_conflicts(ctx: Context, limit: Limit, cursor: Cursor) -> Annotated[Slice[ConflictRow], named("ConflictSlice")]:
    """Payloads that arrived for a call that was stored with another payload; nothing was overwritten."""
    found: list[Any] = [{name: row[name] for name in CONFLICTING} for row in ctx.lake.conflicts(limit=None)]
    return slice_of(
        found,
        lambda row: f"{row['record_id']}\x1f{row['ingest_uri']}\x1f{row['ingest_row']}\x1f{row['detected_at']}",
        limit=limit,
        cursor=cursor,
    )


ROUTES = [
    list_connectors,
    list_sources,
    show_completeness,
    show_scorecard,
    pull,
    list_batches,
    list_quarantine,
    try_again,
    give_up,
    list_conflicts,
]
