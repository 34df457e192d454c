"""Providers' bills as they were read, and each comparison with our own numbers."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import UniqueConstraint
from sqlmodel import Field

from governor.store.rows.base import OrgRow, instant, uuid7


class BillImport(OrgRow, table=True):
    """The files of one import, told by their bytes: the same files again are the same import."""

    __table_args__ = (UniqueConstraint("org_id", "digest"),)
    id: str = Field(default_factory=uuid7, primary_key=True)
    source: str  # name of the reader
    files: str  # canonical JSON [{name, sha256, bytes}]
    digest: str  # hex sha256 over source and the files' digests
    issuers: str  # canonical JSON list
    first_day: str = ""
    last_day: str = ""
    lines: int = 0
    totals: str = "{}"  # canonical JSON currency -> amount
    rejected: str = "[]"  # canonical JSON [{file, row, field, reason}]: rows that were not understood
    skipped: str = "{}"  # canonical JSON product -> rows of other products
    imported_at: datetime = instant()
    imported_by: str = ""


class BillRow(OrgRow, table=True):
    """Lines alike of one import."""

    id: str = Field(default_factory=uuid7, primary_key=True)
    import_id: str = Field(foreign_key="billimport.id", index=True)
    month: str = Field(index=True)  # the month it is billed in
    body: str  # canonical JSON of the line


class Reconciliation(OrgRow, table=True):
    """One comparison: what it was computed from, and its result. Kept; the newest of a month is the one shown."""

    id: str = Field(default_factory=uuid7, primary_key=True)
    month: str = Field(index=True)
    digest: str  # hex sha256 of the body
    status: str  # reconciled | mismatch | pending
    body: str  # canonical JSON of the result
    created_at: datetime = instant()
    created_by: str = ""
