"""Golden sets: versions of cases whose right answer is known."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import UniqueConstraint
from sqlmodel import Field

from governor.store.rows.base import OrgRow, instant, uuid7


class GoldenVersion(OrgRow, table=True):
    """One version of a set. Its cases are content: they lie encrypted in the content store under the hashes named here."""

    __tablename__ = "golden_version"
    __table_args__ = (UniqueConstraint("org_id", "name", "version"),)
    id: str = Field(default_factory=uuid7, primary_key=True)
    name: str = Field(index=True)
    workflow_id: str = Field(index=True)
    version: int
    digest: str
    cases: str  # JSON [{id, sha256, check}]; never text
    imported_by: str
    imported_at: datetime = instant()
    withdrawn_at: datetime | None = instant(nullable=True)
