"""Which comparison of a month with the providers' bills counts: the newest one, and none that was made before the month was reopened.

Owns: that choice, of how much spend it speaks, whether it lets the month close where the organization asks for it. Does not own: comparing (reconcile_period), what
a statement prints of it (statement_files). Invariants: page, checklist, close and statement ask here, so that they never speak of different comparisons.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import ROUND_DOWN, Decimal
from typing import Any

from sqlmodel import Session, col, func, select

from governor.actions.context import Context
from governor.actions.load_catalog import catalog_as_of
from governor.store.rows.bills import Reconciliation
from governor.store.rows.periods import PeriodVersion


def newest_comparison(session: Session, org: str, month: str, *, by: datetime | None = None) -> Reconciliation | None:
    """by: only what was recorded until then."""
    query = select(Reconciliation).where(Reconciliation.org_id == org, Reconciliation.month == month)
    if by is not None:
        query = query.where(col(Reconciliation.created_at) <= by)
    return session.exec(query.order_by(col(Reconciliation.created_at).desc(), col(Reconciliation.id).desc())).first()


def comparison_that_counts(session: Session, org: str, month: str, *, by: datetime | None = None) -> Reconciliation | None:
    """The newest one, unless the month was reopened after it: its numbers are those of the close that no longer stands."""
    found = newest_comparison(session, org, month, by=by)
    query = select(func.max(PeriodVersion.reopened_at)).where(PeriodVersion.org_id == org, PeriodVersion.month == month)
    if by is not None:
        query = query.where(col(PeriodVersion.reopened_at) <= by)
    reopened = session.exec(query).one()
    return None if found is None or (reopened is not None and found.created_at < reopened) else found


def not_compared(result: Mapping[str, Any]) -> str:
    """How much of our spend the numbers of a result speak of, where an issuer has no bill; empty where all have one."""
    without = {one["issuer"]: Decimal(one["ours"]) for one in result["without_bill"] if Decimal(one["ours"])}
    if not without:
        return ""
    ours = Decimal(result["ours"])
    share = (ours * 100 / (ours + sum(without.values()))).quantize(Decimal("0.01"), ROUND_DOWN)
    return f"of {share}% of our spend: no bill of " + ", ".join(f"{issuer} ({amount:,.2f} USD)" for issuer, amount in without.items())


def unreconciled(ctx: Context, month: str) -> list[str]:
    """Why the month may not close before it is reconciled; empty where the organization does not ask for it."""
    if not catalog_as_of(ctx).organization.month_end.reconciled:
        return []
    with ctx.rows.session() as session:
        found = comparison_that_counts(session, ctx.org, month)
    if found is None:
        return ["the month has not been compared with the providers' bills"]
    return [] if found.status == "reconciled" else [f"the newest comparison with the bills says {found.status}"]
