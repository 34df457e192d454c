"""Ingest batches and pull cursors. A batch row is written after its lake commit; a lake batch without a row is completed at start-up."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Field

from governor.store.rows.base import OrgRow, instant


class IngestBatch(OrgRow, table=True):
    id: str = Field(primary_key=True)  # also in the lake's rows and its `batches` table
    source: str
    connector: str
    uris: str = ""  # JSON list, first 20
    read: int
    stored: int
    duplicates: int
    conflicts: int
    quarantined: int
    other_spans: int
    lake_snapshot: int
    started_at: datetime = instant()
    committed_at: datetime = instant()
    actor: str = ""


class SourceCursor(OrgRow, table=True):
    org_id: str = Field(primary_key=True)
    source: str = Field(primary_key=True)
    cursor: str
    updated_at: datetime = instant()


class SourceWindow(OrgRow, table=True):
    """What a pull saw of [start_at, end_at) of a source; the newest look at an hour is the one that counts."""

    org_id: str = Field(primary_key=True)
    source: str = Field(primary_key=True)
    start_at: datetime = instant(primary_key=True)
    end_at: datetime = instant(primary_key=True)
    read: int
    said: int | None = None  # the source's own count
    hole: str = ""  # why it was not read whole
    seen_at: datetime = instant()
