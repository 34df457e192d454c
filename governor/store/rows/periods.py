"""Billing periods: state, what a close wrote, exceptions and corrections."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import UniqueConstraint
from sqlmodel import Field

from governor.store.rows.base import BigDecimalInt, OrgRow, instant, uuid7


class Period(OrgRow, table=True):
    org_id: str = Field(primary_key=True)
    month: str = Field(primary_key=True)  # YYYY-MM
    state: str = "open"  # open | closing | closed
    snapshot: int | None = None  # lake snapshot the close was computed from
    catalog_as_of: datetime | None = instant(nullable=True)  # knowledge time the close was computed at
    price_book: str = ""
    totals: str = ""  # canonical JSON
    closed_at: datetime | None = instant(nullable=True)
    closed_by: str = ""


class PeriodFile(OrgRow, table=True):
    __table_args__ = (UniqueConstraint("org_id", "month", "name"),)
    id: str = Field(default_factory=uuid7, primary_key=True)
    month: str
    name: str
    media_type: str
    sha256: str
    body: bytes


class PeriodLine(OrgRow, table=True):
    """A charge line of a closed month: what corrections are measured against."""

    __table_args__ = (UniqueConstraint("org_id", "month", "line_id"),)
    id: str = Field(default_factory=uuid7, primary_key=True)
    month: str  # the month whose statement carries the line
    line_id: str
    charge_month: str  # the month the usage happened; differs from month for corrections
    body: str  # canonical JSON of the line
    contracted_pico: int = Field(sa_type=BigDecimalInt)


class CoverageException(OrgRow, table=True):
    id: str = Field(default_factory=uuid7, primary_key=True)
    month: str
    reason: str
    compensating_control: str
    signed_by: str
    created_at: datetime = instant()
    expires_at: datetime = instant()
