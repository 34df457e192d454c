"""`period:except`: a person signs that a month may close below the coverage limit, why, and what is done instead.

Owns: recording the exception. Does not own: whether it is needed (close_period). Invariants: it names a compensating control and expires; it is on the ledger; it
never changes coverage itself, which the statement still shows.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from sqlmodel import Session, col, select

from governor.actions.context import Actor, Context
from governor.chargeback.period import month_bounds
from governor.errors import Invalid, PeriodClosed
from governor.ledger.canonical import timestamp
from governor.ledger.entry import EntryDraft
from governor.store.rows.base import uuid7
from governor.store.rows.periods import CoverageException, Period

ROLES: Final = ("finance", "admin")
LONGEST: Final = timedelta(days=92)


def except_coverage(
    ctx: Context, actor: Actor, month: str, *, reason: str, compensating_control: str, expires_at: datetime | None = None
) -> dict[str, Any]:
    """Record an exception, by default for 14 days. Raises Invalid without a reason or control, PeriodClosed when it is too late."""
    actor.require(*ROLES)
    month_bounds(month)
    if not reason.strip() or not compensating_control.strip():
        raise Invalid("an exception needs a reason and a compensating control")
    now = ctx.now()
    expires = expires_at or now + timedelta(days=14)
    if not now < expires <= now + LONGEST:
        raise Invalid(f"an exception expires in the future and within {LONGEST.days} days")
    with ctx.transaction(actor) as tx:
        period = tx.session.get(Period, (ctx.org, month))
        if period is not None and period.state == "closed":
            raise PeriodClosed(f"{month} is closed")
        row = CoverageException(
            id=uuid7(int(now.timestamp() * 1000)),
            org_id=ctx.org,
            month=month,
            reason=reason.strip(),
            compensating_control=compensating_control.strip(),
            signed_by=actor.email,
            created_at=now,
            expires_at=expires,
        )
        tx.session.add(row)
        tx.append(
            EntryDraft(
                type="period:except",
                stream=f"period/{month}",
                payload={
                    "month": month,
                    "exception": row.id,
                    "reason": row.reason,
                    "compensating_control": row.compensating_control,
                    "expires_at": timestamp(expires),
                },
                actor=actor.ledger_ref(),
                idem=f"period:except:{row.id}",
                occurred_at=now,
            )
        )
    return document(row)


def exception_in_force(session: Session, org: str, month: str, at: datetime) -> dict[str, Any] | None:
    """The newest exception for a month that holds at an instant."""
    query = (
        select(CoverageException)
        .where(
            CoverageException.org_id == org,
            CoverageException.month == month,
            col(CoverageException.created_at) <= at,
            col(CoverageException.expires_at) > at,
        )
        .order_by(col(CoverageException.id).desc())
    )
    found = session.exec(query).first()
    return None if found is None else document(found)


def document(row: CoverageException) -> dict[str, Any]:
    return {
        "id": row.id,
        "month": row.month,
        "reason": row.reason,
        "compensating_control": row.compensating_control,
        "signed_by": row.signed_by,
        "created_at": timestamp(row.created_at),
        "expires_at": timestamp(row.expires_at),
    }
