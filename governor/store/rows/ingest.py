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
