"""Route change requests, decisions on them, shadow runs and their per-trace results."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import UniqueConstraint
from sqlmodel import Field

from governor.store.rows.base import BigDecimalInt, OrgRow, instant, uuid7


class Change(OrgRow, table=True):
    __table_args__ = (UniqueConstraint("org_id", "number"),)
    id: str = Field(primary_key=True)  # RC-<number>
    number: int
    workflow_id: str
    state: str  # governor.changes.State value
    requester_id: str
    requester_email: str
    request: str  # canonical JSON: baseline, candidate, endpoint, reason, plan parameters
    plan: str = ""  # canonical JSON of the ReplayPlan, fixed before any replay
    digest: str  # what an approval binds: hex sha256 over (request, plan, sample, evidence, policy bundle, price book)
    needs: str = "[]"  # JSON [{role, reason}] as policy computed it
    created_at: datetime = instant()
    updated_at: datetime = instant()
    submitted_at: datetime | None = instant(nullable=True)
    decided_at: datetime | None = instant(nullable=True)
    cutover_at: datetime | None = instant(nullable=True)
    cutover_note: str = ""
    verification: str = ""  # JSON of the last `change verify`


class Approval(OrgRow, table=True):
    id: str = Field(default_factory=uuid7, primary_key=True)
    change_id: str = Field(foreign_key="change.id", index=True)
    person_id: str
    person_email: str
    role: str  # the needed role this decision answers
    decision: str  # approve | reject
    digest: str
    reason: str
    decided_at: datetime = instant()
    expires_at: datetime | None = instant(nullable=True)
    auth: str = "token"  # token | session | passkey


class ShadowRun(OrgRow, table=True):
    id: str = Field(default_factory=uuid7, primary_key=True)
    change_id: str = Field(foreign_key="change.id", index=True)
    status: str  # planned | running | done | aborted_budget | aborted_policy | invalid_baseline | aborted_withdrawn
    plan_digest: str
    planned: int
    budget_pico: int = Field(sa_type=BigDecimalInt)
    reserved_pico: int = Field(default=0, sa_type=BigDecimalInt)
    spent_pico: int = Field(default=0, sa_type=BigDecimalInt)
    verdict: str = ""  # canonical JSON
    evidence_digest: str = ""
    author: str = ""  # who ran it: may not approve
    started_at: datetime | None = instant(nullable=True)
    finished_at: datetime | None = instant(nullable=True)


class ReplayResult(OrgRow, table=True):
    """One arm of one sampled trace. Every sampled trace ends in a counted state."""

    __table_args__ = (UniqueConstraint("run_id", "position", "arm"),)
    id: str = Field(default_factory=uuid7, primary_key=True)
    run_id: str = Field(foreign_key="shadowrun.id", index=True)
    position: int  # 0-based place in the registered order
    record_id: str  # the production call
    arm: str  # baseline | candidate
    state: str  # planned | reserved | done | excluded_policy | excluded_content | excluded_params | skipped_budget
    reserved_pico: int = Field(default=0, sa_type=BigDecimalInt)
    cost_pico: int | None = Field(default=None, sa_type=BigDecimalInt)
    reply: str = ""  # canonical JSON of measured facts, never text
    output_sha256: str = ""  # the text lives in the content store
    finished_at: datetime | None = instant(nullable=True)


class EvidenceFile(OrgRow, table=True):
    """A measured fact with its digest; the bytes are kept as they were made."""

    __table_args__ = (UniqueConstraint("org_id", "change_id", "name", "sha256"),)
    id: str = Field(default_factory=uuid7, primary_key=True)
    change_id: str = Field(index=True)
    name: str
    media_type: str
    sha256: str
    body: bytes
    created_at: datetime = instant()
