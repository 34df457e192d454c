"""The outbox: a job is a row written in the transaction that wants it; the broker may lose everything and nothing is lost."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Field

from governor.store.rows.base import OrgRow, instant, uuid7


class Job(OrgRow, table=True):
    id: str = Field(default_factory=uuid7, primary_key=True)
    actor: str  # name of the worker function, such as `replay`
    args: str  # JSON object of ids
    dedupe: str = Field(unique=True)  # the same wish twice is one job
    state: str = Field(default="waiting", index=True)  # waiting | running | done | failed
    attempts: int = 0  # times it was claimed; a worker that was killed leaves one behind
    failures: int = 0  # times it ended with an error that may pass
    available_at: datetime = instant()
    lease_until: datetime | None = instant(nullable=True)  # a running job whose lease ran out is waiting again
    created_at: datetime = instant()
    finished_at: datetime | None = instant(nullable=True)
    error: str = ""
