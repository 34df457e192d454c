"""The way of a month as people see it: open, soft close, reconciled, closed, reopened; what is done, by whom, and where it stands now.

Owns: the stage and the steps in order. Does not own: any step (soft_close, reconcile_period, close_period, reopen_period), what blocks a close (close_checklist).
Invariants: reads only; exactly one stage holds; a comparison with bills made before a reopening does not count for the version after it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from governor.actions.accruals import SOFT_CLOSE
from governor.actions.context import Context
from governor.actions.load_catalog import catalog_as_of
from governor.actions.newest_comparison import comparison_that_counts, not_compared
from governor.actions.reopen_period import versions
from governor.actions.sign_close import AWAITING, described, signature, steps, version_of
from governor.chargeback.period import month_bounds
from governor.ledger.canonical import timestamp
from governor.store.rows.bills import Reconciliation
from governor.store.rows.periods import Period, PeriodStep

NAMES: Final = {
    "open": "open",
    "soft_closed": "soft close (accrual)",
    "reconciled": "reconciled",
    "closed": "closed",
    "reopened": "reopened",
}


BEGUN: Final = {"ahead": "the month has not begun", "running": "calls come in", "over": "the month is over; late calls may come"}


@dataclass(frozen=True)
class MonthEnd:
    """What is on record about the end of a month: its period, the version that is open or closed last, its steps and signature, the comparison with bills that counts."""

    period: Period | None
    version: int
    steps: Sequence[PeriodStep]
    signed: PeriodStep | None
    bill: Reconciliation | None

    @property
    def closed(self) -> bool:
        return self.period is not None and self.period.state == "closed"


def month_end(ctx: Context, month: str) -> MonthEnd:
    with ctx.rows.session() as session:
        version = version_of(session, ctx.org, month)
        return MonthEnd(
            session.get(Period, (ctx.org, month)),
            version,
            steps(session, ctx.org, month, version),
            signature(session, ctx.org, month, version),
            comparison_that_counts(session, ctx.org, month),
        )


def period_way(ctx: Context, month: str, found: MonthEnd | None = None) -> dict[str, Any]:
    """{"stage","version","ahead","way"}; ahead: the month has not begun; a step of the way is {"name","state","text","at","by"}, state done | now | ahead | skipped.

    `found` where the caller has read it.
    """
    found = found or month_end(ctx, month)
    period, version, signed, bill, closed = found.period, found.version, found.signed, found.bill, found.closed
    before = versions(ctx, month)
    soft = next((described(one) for one in reversed(found.steps) if one.step == SOFT_CLOSE), None)
    reconciled = bill is not None and bill.status == "reconciled"
    stage = (
        "closed"
        if closed
        else AWAITING
        if signed
        else "reconciled"
        if reconciled
        else "soft_closed"
        if soft
        else "reopened"
        if before
        else "open"
    )
    passed, place = "skipped" if closed else "ahead", place_in_time(ctx, month)
    way = [
        step_of("open", "done", f"version {version}, from the reopening on" if before else BEGUN[place]),
        step_of("soft_closed", "done", _booked(soft), soft["at"], soft["by"])
        if soft
        else step_of("soft_closed", passed, "not used" if closed else "optional: books what is captured and expected"),
        step_of("reconciled", "done" if reconciled else passed, _compared(bill), timestamp(bill.created_at))
        if bill is not None
        else step_of("reconciled", passed, "not compared with the providers' bills"),
        _closed(period, described(signed) if signed else None, version),
        step_of("reopened", "done", before[-1]["reason"], before[-1]["reopened_at"], f"{before[-1]['asked_by']} and {before[-1]['agreed_by']}")
        if before
        else step_of("reopened", "ahead", "never; takes two people and a reason"),
    ]  # fmt: skip
    for one in way:
        if one["name"] == stage:
            one["state"] = "now"
    return {"stage": stage, "version": version, "ahead": place == "ahead", "way": way}


def _compared(bill: Reconciliation) -> str:
    part = not_compared(json.loads(bill.body))
    return f"the newest comparison with the bills says {bill.status}" + (f", {part}" if part else "")


def _closed(period: Period | None, signed: dict[str, Any] | None, version: int) -> dict[str, Any]:
    if period is not None and period.state == "closed" and period.closed_at is not None:
        return step_of("closed", "done", f"version {version}", timestamp(period.closed_at), period.closed_by)
    if signed is not None:
        return step_of("closed", "now", f"signed by {signed['by']}; another person closes", signed["at"], signed["by"])
    return step_of("closed", "ahead", "statements, FOCUS and journal, sealed in the ledger")


def place_in_time(ctx: Context, month: str) -> str:
    """Ahead | running | over: where the month lies now, in the billing zone."""
    start, end = month_bounds(month, catalog_as_of(ctx).organization.billing_zone)
    return "ahead" if ctx.now() < start else "running" if ctx.now() < end else "over"


def _booked(soft: dict[str, Any]) -> str:
    return f"{soft['accrued']} {soft['currency']} accrued, {soft['expected']} of it expected; taken back on {soft['reversal_date']}"


def step_of(name: str, state: str, text: str, at: str | None = None, by: str = "") -> dict[str, Any]:
    return {"name": name, "words": NAMES[name], "state": state, "text": text, "at": at, "by": by}
