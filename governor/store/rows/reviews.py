"""People's labels on pairs of shadow runs."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import UniqueConstraint
from sqlmodel import Field

from governor.store.rows.base import OrgRow, instant, uuid7


class ReviewLabel(OrgRow, table=True):
    """One opinion on one pair. A draft may be changed or taken back; what was submitted is evidence and stays."""

    __tablename__ = "review_label"
    __table_args__ = (UniqueConstraint("run_id", "position", "reviewer"),)
    id: str = Field(default_factory=uuid7, primary_key=True)
    change_id: str = Field(index=True)
    run_id: str = Field(index=True)
    position: int
    reviewer: str  # e-mail, or the name given for somebody without an account
    person_id: str  # who entered it: may not approve the change
    pick: str  # a | b | tie | unsure, as shown
    note: str = ""
    state: str = "draft"  # draft | submitted
    via: str = "page"  # page | sheet
    labelled_at: datetime = instant()
    submitted_at: datetime | None = instant(nullable=True)
