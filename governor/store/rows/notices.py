"""What was told to people: one row per event, whether or not anybody listens; sending is a job of the outbox."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import UniqueConstraint
from sqlmodel import Field

from governor.store.rows.base import OrgRow, instant, uuid7


class NoticeRow(OrgRow, table=True):
    __tablename__ = "notice"
    __table_args__ = (UniqueConstraint("org_id", "dedupe"),)
    id: str = Field(default_factory=uuid7, primary_key=True)
    event: str  # budget.threshold | budget.forecast | approval.waiting | approval.withdrawn | finding.violation
    dedupe: str  # the same event twice is one row, for ever
    workflow: str = ""
    body: str  # canonical JSON: title, text, path, data
    created_at: datetime = instant()
