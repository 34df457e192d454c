"""The catalog, bitemporal: a document version is in force for [valid_from, valid_to) and known since recorded_at until superseded_at."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index
from sqlmodel import Field

from governor.store.rows.base import OrgRow, instant, uuid7


class CatalogVersion(OrgRow, table=True):
    __table_args__ = (Index("ix_catalog_lookup", "org_id", "kind", "key", "recorded_at"),)
    id: str = Field(default_factory=uuid7, primary_key=True)
    kind: str  # organization | workflow | endpoint | source | waiver | contract_price | attribution
    key: str
    body: str  # canonical JSON of the validated document; empty means removed
    digest: str  # hex sha256 of body
    valid_from: datetime | None = instant(nullable=True)  # null: since ever
    valid_to: datetime | None = instant(nullable=True)  # null: open
    recorded_at: datetime = instant()
    superseded_at: datetime | None = instant(nullable=True)
    applied_by: str = ""
