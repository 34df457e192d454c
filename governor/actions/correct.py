"""Corrections: what closed months would be charged today, as lines of the month that is being closed or looked at.

Owns: which closed months are compared, and with what. Does not own: the comparison (chargeback/corrections). Invariants: reads only; everything already charged
for a month counts, in whichever statement it stood, so nothing is corrected twice; a month is never corrected in a statement of its own.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlmodel import Session, col, select

from governor.actions.charge_month import charge_month
from governor.actions.context import Context
from governor.actions.load_catalog import catalog_as_of
from governor.chargeback.corrections import correction_lines
from governor.chargeback.lines import Line, line_of
from governor.chargeback.period import month_bounds, previous_month
from governor.store.rows.periods import Period, PeriodLine


def pending_corrections(
    ctx: Context, month: str, *, snapshot: int | None = None, known_at: datetime | None = None, accruing: bool = False
) -> list[Line]:
    """Lines that closing `month` would carry for earlier closed months, oldest month first. accruing: but for those of its open predecessors."""
    with ctx.rows.session() as session:
        months = closed_months(session, ctx.org)
        earlier = _closed_up_to(month, months) if accruing else [closed for closed in months if closed < month]
        charged = {closed: charged_lines(session, ctx.org, closed) for closed in earlier}
    zone = catalog_as_of(ctx, known_at=known_at).organization.billing_zone
    last = month_bounds(month, zone)[1] - timedelta(microseconds=1)  # what begins with the next month is not for this one
    style = catalog_as_of(ctx, last, known_at).organization.month_end.corrections
    found: list[Line] = []
    for closed, lines in sorted(charged.items()):
        recomputed = charge_month(ctx, closed, snapshot=snapshot, known_at=known_at)
        found += correction_lines(lines, recomputed.lines, style)
    return found


def _closed_up_to(month: str, months: Sequence[str]) -> list[str]:
    """The closed months that reach up to this one without a gap: corrections of the ones before are accrued with the first month that is open."""
    found: list[str] = []
    while (before := previous_month(found[-1] if found else month)) in months:
        found.append(before)
    return found


def closed_months(session: Session, org: str) -> list[str]:
    return sorted(session.exec(select(Period.month).where(Period.org_id == org, Period.state == "closed")))


def charged_lines(session: Session, org: str, charge_month_: str) -> list[Line]:
    """Everything charged for the usage of one month so far, corrections included."""
    rows = session.exec(
        select(PeriodLine).where(PeriodLine.org_id == org, PeriodLine.charge_month == charge_month_).order_by(col(PeriodLine.id))
    )
    return [line_of(json.loads(row.body)) for row in rows]


def statement_lines(session: Session, org: str, month: str) -> list[Line]:
    """The lines that stood on one month's statement."""
    rows = session.exec(select(PeriodLine).where(PeriodLine.org_id == org, PeriodLine.month == month).order_by(col(PeriodLine.id)))
    return [line_of(json.loads(row.body)) for row in rows]


def by_charge_month(lines: Sequence[Line]) -> dict[str, list[Line]]:
    found: dict[str, list[Line]] = defaultdict(list)
    for line in lines:
        found[line.charge_month].append(line)
    return dict(found)
