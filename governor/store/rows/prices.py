"""The dated price book, append only: a version is a set of rows; a later version supersedes, never overwrites.

A proposal is a set of rows that waits for a person. The database refuses two prices that hold for the same thing at once, and every edit of a row but its supersession.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index
from sqlmodel import Field

from governor.store.rows.base import OrgRow, instant, uuid7


class PriceBookVersion(OrgRow, table=True):
    id: str = Field(default_factory=uuid7, primary_key=True)
    source: str  # genai-prices | litellm | csv | contract
    source_version: str
    digest: str  # hex sha256 of the canonical rows
    rows: int
    imported_at: datetime = instant()
    imported_by: str = ""
    proposal_id: str = ""
    approved_by: str = ""
    evidence_sha256: str = ""  # of the bytes that were read; of the rows where a package is the source


class PriceProposal(OrgRow, table=True):
    org_id: str = Field(primary_key=True)
    id: str = Field(primary_key=True)  # PP-<number>
    source: str
    source_version: str
    digest: str  # hex sha256 of the canonical rows
    evidence_sha256: str
    rows: int
    body: bytes  # zlib of the rows as JSON
    notes: str = "[]"  # JSON: what the source says and the book cannot express
    state: str = Field(default="proposed", index=True)  # proposed | approved | rejected
    proposed_at: datetime = instant()
    proposed_by: str
    decided_at: datetime | None = instant(nullable=True)
    decided_by: str = ""
    reason: str = ""
    difference: str = "{}"  # JSON: the difference that was decided on
    version_id: str = ""


class PriceRow(OrgRow, table=True):
    __table_args__ = (Index("ix_price_lookup", "org_id", "provider", "model", "meter"),)
    id: str = Field(default_factory=uuid7, primary_key=True)
    version_id: str = Field(foreign_key="pricebookversion.id", index=True)
    kind: str  # list | contract
    provider: str
    model: str  # exact name, or a match rule in `match`
    match: str = ""  # JSON match clause of the source, empty for exact
    region: str = ""
    service_tier: str = ""
    meter: str  # input | cache_read | cache_write | cache_write_1h | output | request | ...
    context_min: int = 0  # inclusive input tokens
    context_max: int | None = None  # exclusive
    amount: str  # decimal text in currency
    per: int  # block size in units
    currency: str = "USD"
    valid_from: datetime | None = instant(nullable=True)
    valid_to: datetime | None = instant(nullable=True)
    band_rule: str = ""  # empty: the whole request at the price of its band; marginal
    recorded_at: datetime = instant()
    superseded_at: datetime | None = instant(nullable=True)
