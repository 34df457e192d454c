"""`period:dispute` and `period:answer`: somebody disagrees with a line of a closed statement, and finance answers.

Owns: the dispute and its answer. Does not own: correcting (what is upheld is fixed in catalog, prices or records and becomes a correction by itself).
Invariants: a dispute names a line that stands on the statement; whoever opened it cannot answer it; both are ledger entries; the statement never changes.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any, Final, TypedDict

from sqlmodel import Session, col, select

from governor.actions.context import Actor, Context
from governor.actions.sign_close import ROLES, locked
from governor.actions.statement_files import DISPUTE_DAYS
from governor.chargeback.period import month_bounds
from governor.errors import Invalid, NotFound, SeparationOfDuties, WrongState
from governor.ledger.canonical import timestamp
from governor.ledger.entry import EntryDraft
from governor.store.rows.base import uuid7
from governor.store.rows.periods import Dispute, PeriodLine

MAY_OPEN: Final = ("requester", "owner", "security", "finance", "admin")
LONGEST: Final = 2000


def dispute_line(ctx: Context, actor: Actor, month: str, line: str, reason: str) -> DisputeDocument:
    """Open a dispute. Raises NotFound for a line that is not on the month's statement, Invalid without a reason, WrongState for a second open one."""
    actor.require(*MAY_OPEN)
    text = _text(reason, "a dispute needs a reason")
    with ctx.transaction(actor) as tx:
        period = locked(tx.session, ctx.org, month)  # of two who dispute a line at once the second finds the first
        if period is None or period.state != "closed" or period.catalog_as_of is None:
            raise WrongState(f"{month} is not closed", hint="before the close wrong lines are put right in the catalog")
        row = tx.session.exec(
            select(PeriodLine).where(PeriodLine.org_id == ctx.org, PeriodLine.month == month, PeriodLine.line_id == line)
        ).first()
        if row is None:
            raise NotFound(f"the statement of {month} has no line {line[:40]!r}", hint="line_id stands in the statement's CSV")
        if any(one.line_id == line and one.state == "open" for one in _of(tx.session, ctx.org, month)):
            raise WrongState(f"line {line} is in dispute already")
        made = Dispute(
            id=uuid7(int(tx.now.timestamp() * 1000)), org_id=ctx.org, month=month, line_id=line, cost_center=json.loads(row.body)["cost_center"],
            reason=text, opened_by=actor.email, opened_at=tx.now, late=tx.now > period.catalog_as_of + timedelta(days=DISPUTE_DAYS + 1),
        )  # fmt: skip
        tx.session.add(made)
        payload = {"month": month, "dispute": made.id, "line": line, "reason": text, "late": made.late}
        tx.append(_entry(actor, "period:dispute", month, payload, made.id, tx.now))
        return document(made)


def answer_dispute(ctx: Context, actor: Actor, dispute: str, verdict: str, answer: str) -> DisputeDocument:
    """verdict: upheld | rejected. Raises SeparationOfDuties for whoever opened it, WrongState when it is answered."""
    actor.require(*ROLES)
    if verdict not in {"upheld", "rejected"}:
        raise Invalid(f"verdict is upheld or rejected, not {verdict[:40]!r}")
    text = _text(answer, "an answer says why")
    with ctx.transaction(actor) as tx:
        found = tx.session.exec(select(Dispute).where(Dispute.org_id == ctx.org, Dispute.id == dispute).with_for_update()).first()
        if found is None:
            raise NotFound(f"no dispute {dispute[:60]!r}")
        if found.state != "open":
            raise WrongState(f"dispute {dispute} is {found.state} already")
        if found.opened_by == actor.email:
            raise SeparationOfDuties("you opened this dispute; another person of finance or admin answers it")
        found.state, found.answer, found.answered_by, found.answered_at = verdict, text, actor.email, tx.now
        tx.session.add(found)
        payload = {"month": found.month, "dispute": found.id, "line": found.line_id, "verdict": verdict, "answer": text}
        tx.append(_entry(actor, "period:answer", found.month, payload, found.id, tx.now))
        return document(found)


def list_disputes(ctx: Context, month: str = "") -> list[DisputeDocument]:
    """Newest first; of one month, or of all. Raises Invalid for what is no month."""
    if month:
        month_bounds(month)
    with ctx.rows.session() as session:
        return [document(row) for row in _of(session, ctx.org, month)]


def _of(session: Session, org: str, month: str) -> list[Dispute]:
    query = select(Dispute).where(Dispute.org_id == org)
    if month:
        query = query.where(Dispute.month == month)
    return list(session.exec(query.order_by(col(Dispute.id).desc())))


def _text(given: str, missing: str) -> str:
    text = given.strip()
    if not text or len(text) > LONGEST:
        raise Invalid(missing if not text else f"at most {LONGEST} characters")
    return text


def _entry(actor: Actor, kind: str, month: str, payload: dict[str, Any], key: str, now: Any) -> EntryDraft:
    return EntryDraft(type=kind, stream=f"period/{month}", payload=payload, actor=actor.ledger_ref(), idem=f"{kind}:{key}", occurred_at=now)


class DisputeDocument(TypedDict):
    """late: opened after the days that the organization gives."""

    id: str
    month: str
    line: str
    cost_center: str
    reason: str
    state: str
    opened_by: str
    opened_at: str
    late: bool
    answer: str | None
    answered_by: str | None
    answered_at: str | None


def document(row: Dispute) -> DisputeDocument:
    return {
        "id": row.id,
        "month": row.month,
        "line": row.line_id,
        "cost_center": row.cost_center,
        "reason": row.reason,
        "state": row.state,
        "opened_by": row.opened_by,
        "opened_at": timestamp(row.opened_at),
        "late": row.late,
        "answer": row.answer or None,
        "answered_by": row.answered_by or None,
        "answered_at": timestamp(row.answered_at) if row.answered_at else None,
    }
