"""Checks of approved routes: an approved route asked again with the prompts of its approved evidence."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Field

from governor.store.rows.base import BigDecimalInt, OrgRow, instant, uuid7


class RouteCheck(OrgRow, table=True):
    __tablename__ = "route_check"
    id: str = Field(default_factory=uuid7, primary_key=True)
    change_id: str = Field(index=True)
    workflow_id: str
    status: str  # planned | running | done
    planned: int
    budget_pico: int = Field(sa_type=BigDecimalInt)
    reserved_pico: int = Field(default=0, sa_type=BigDecimalInt)
    spent_pico: int = Field(default=0, sa_type=BigDecimalInt)
    lines: str = ""  # JSON lines of governor.shadow.recheck.Line; measured facts, never text
    result: str = ""  # canonical JSON
    verdict: str = ""
    author: str = ""  # who asked; empty: the schedule
    created_at: datetime = instant()
    finished_at: datetime | None = instant(nullable=True)
