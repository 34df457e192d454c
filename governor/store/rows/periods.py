"""Billing periods: state, what a close wrote, exceptions, steps on the way, versions that were reopened, disputes."""

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


class PeriodStep(OrgRow, table=True):
    """What a person did on the way to a close or a reopening; the newest of a version counts."""

    id: str = Field(default_factory=uuid7, primary_key=True)
    month: str = Field(index=True)
    version: int
    step: str  # soft_close | sign | withdraw | ask_reopen
    body: str  # canonical JSON
    person_id: str
    person_email: str
    created_at: datetime = instant()


class PeriodVersion(OrgRow, table=True):
    """A close that was reopened: kept whole, with who asked, who agreed and why."""

    __table_args__ = (UniqueConstraint("org_id", "month", "version"),)
    id: str = Field(default_factory=uuid7, primary_key=True)
    month: str
    version: int
    totals: str  # canonical JSON: what its close answered
    lines: str  # canonical JSON list of its lines
    closed_at: datetime = instant()
    closed_by: str
    reason: str
    asked_by: str
    agreed_by: str
    reopened_at: datetime = instant()


class PeriodVersionFile(OrgRow, table=True):
    __table_args__ = (UniqueConstraint("version_id", "name"),)
    id: str = Field(default_factory=uuid7, primary_key=True)
    version_id: str = Field(foreign_key="periodversion.id", index=True)
    name: str
    media_type: str
    sha256: str
    body: bytes


class Dispute(OrgRow, table=True):
    """Somebody disagrees with a line of a statement, and what finance answered."""

    id: str = Field(default_factory=uuid7, primary_key=True)
    month: str = Field(index=True)
    line_id: str
    cost_center: str
    reason: str
    state: str = "open"  # open | upheld | rejected
    opened_by: str
    opened_at: datetime = instant()
    late: bool = False  # after the date the statement names
    answer: str = ""
    answered_by: str = ""
    answered_at: datetime | None = instant(nullable=True)
