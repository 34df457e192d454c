"""The watch: limits that were reached, changes that wait for an approval, new findings; each is told once.

Owns: which events there are and their words. Does not own: delivery (notify.py), budgets and forecasts. Invariants: one crossing, one transaction, one ledger entry;
running it twice, or twice at once, tells nothing twice; where several thresholds are found reached at once all are recorded and
only the highest is sent; amounts in the ledger, no e-mail addresses.
"""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlencode

from sqlmodel import select

from governor.actions.assess import moved_at, newest_done
from governor.actions.context import SYSTEM, Context
from governor.actions.findings import Finding
from governor.actions.forecast_month import expect, horizon_of
from governor.actions.load_catalog import catalog_as_of
from governor.actions.month_view import month_findings
from governor.actions.notify import known, listening, tell
from governor.actions.remembered import one_state
from governor.actions.show_budgets import catalog_of, crossing, told_at
from governor.actions.usage import usd
from governor.catalog import Catalog
from governor.changes import State
from governor.chargeback.budget import Budget, budgets_of
from governor.chargeback.forecast import Forecast
from governor.chargeback.period import month_bounds, month_of, previous_month
from governor.ledger.entry import EntryDraft
from governor.store.rows.changes import Change
from governor.store.rows.periods import Period

MOST: Final = 50  # new findings told in one round; the rest is told in the next
LATE: Final = timedelta(days=10)  # how long after its end a month may still reach a threshold, or get a finding, by late calls
NUMBER: Final = re.compile(r"(?<![\w.-])\d[\d.,]*")  # not in the name of a model or waiver


def watch(ctx: Context) -> int:
    """How many events were told now."""
    catalog = catalog_as_of(ctx)
    zone = catalog.organization.billing_zone
    month = month_of(ctx.now(), zone)
    months = [period for period in (previous_month(month), month) if watched(ctx, period, zone)]
    told = sum(watch_month(ctx, period, catalog) for period in months)
    if listening_at_all(catalog, "approval.waiting"):
        told += watch_approvals(ctx, catalog)
    if listening_at_all(catalog, "finding.violation"):
        told += sum(watch_findings(ctx, catalog, period) for period in months)
    return told


def watched(ctx: Context, period: str, zone: str) -> bool:
    """The running month, and the one before while late calls arrive and it is not closed."""
    with ctx.rows.session() as session:
        row = session.get(Period, (ctx.org, period))
    return (row is None or row.state == "open") and ctx.now() < month_bounds(period, zone)[1] + LATE


def listening_at_all(catalog: Catalog, event: str) -> bool:
    return any(event in one.events for one in catalog.notifications.values())


def watch_month(ctx: Context, period: str, catalog: Catalog) -> int:
    told = 0
    before = told_at(ctx, period)
    with one_state(ctx):
        horizon = horizon_of(ctx, period)
        every = [(one, expect(ctx, horizon, one.dimension, one.value).made) for one in budgets_of(catalog_of(ctx, period))]
    for budget, made in every:  # all forecasts first: an entry in the ledger lets go of what is remembered
        reached = budget.reached(made.spent)
        for percent in reached:
            if crossing(period, budget, percent) not in before:
                told += cross(ctx, period, budget, made, percent, catalog if percent == reached[-1] else Catalog())
        heading = made.status == "forecast" and made.spent and made.total is not None and made.spent < budget.pico <= made.total
        if budget.warn_by_forecast and heading and crossing(period, budget, None) not in before:
            told += cross(ctx, period, budget, made, None, catalog)
    return told


def cross(ctx: Context, period: str, budget: Budget, made: Forecast, percent: int | None, catalog: Catalog) -> bool:
    """Tell one crossing, if it was not told before, to those who listen in the catalog: in an empty one it is on record only."""
    name = crossing(period, budget, percent)
    facts: dict[str, Any] = {"month": period, "budget": budget.key, "limit": usd(budget.pico), "spent": usd(made.spent)}
    facts |= {"threshold": percent} if percent is not None else {"forecast": usd(made.total or 0)}
    so_far = f"{dollars(made.spent)} of {dollars(budget.pico)} USD spent in {period}"
    if percent is None:
        title = f"{budget.key} is heading over its budget"
        text = f"{so_far}; the month is forecast at {dollars(made.total or 0)} USD."
    else:
        title, text = f"{budget.key} reached {percent}% of its budget", f"{so_far}."
    with ctx.transaction(SYSTEM) as tx:
        event = "budget.forecast" if percent is None else "budget.threshold"
        workflow = budget.value if budget.dimension == "workflow" else ""
        if not tell(
            tx, catalog, event, dedupe=name, title=title, text=text, path=f"/budgets?period={period}", workflow=workflow, data=facts
        ):
            return False
        tx.append(
            EntryDraft(
                type="budget:cross",
                stream=f"budget/{budget.key}",
                payload=facts,
                actor=SYSTEM.ledger_ref(),
                idem=f"budget:cross:{name}",
                occurred_at=tx.now,
            )
        )
    return True


def watch_approvals(ctx: Context, catalog: Catalog) -> int:
    with ctx.rows.session() as session:
        changes = session.exec(select(Change).where(Change.org_id == ctx.org, Change.state == State.IN_REVIEW)).all()
        waiting = [(change, newest_done(session, ctx.org, change.id)) for change in changes]
    told = 0
    for change, run in waiting:
        name = f"approval/{change.id}/{change.digest}{moved_at(change, run)}"
        if not listening(catalog, "approval.waiting", change.workflow_id) or known(ctx, name):
            continue
        roles = sorted({need["role"] for need in json.loads(change.needs)})
        verdict = json.loads(run.verdict)["verdict"] if run is not None and run.verdict else None
        who = ", ".join(roles) or "a decision"
        title, text = f"{change.id} waits for approval", f"A route change of {change.workflow_id} needs {who}."
        if verdict == "fail":
            title = f"{change.id} failed its shadow run and waits for its rejection"
            text = f"A route change of {change.workflow_id} cannot be approved; any one of {who} may reject it."
        with ctx.transaction(SYSTEM) as tx:
            told += tell(
                tx,
                catalog,
                "approval.waiting",
                dedupe=name,
                title=title,
                text=text,
                path=f"/changes/{change.id}",
                workflow=change.workflow_id,
                data={"change": change.id, "workflow": change.workflow_id, "digest": change.digest, "roles": roles, "verdict": verdict},
            )
    return told


def watch_findings(ctx: Context, catalog: Catalog, period: str) -> int:
    told = 0
    for one in month_findings(ctx, period):
        name = f"finding/{period}/{one.rule}/{one.workflow or ''}/{lasting(one)}"[:500]
        workflow = one.workflow or ""
        if told >= MOST or one.status != "violation" or not listening(catalog, "finding.violation", workflow) or known(ctx, name):
            continue
        with ctx.transaction(SYSTEM) as tx:
            told += tell(
                tx,
                catalog,
                "finding.violation",
                dedupe=name,
                title=f"{one.rule}: {workflow or 'calls of no workflow'}",
                text=one.message,
                path=f"/findings?{urlencode({'period': period, 'rule': one.rule})}",
                workflow=workflow,
                data={"month": period, "rule": one.rule, "workflow": workflow, "calls": one.calls},
            )
    return told


def lasting(one: Finding) -> str:
    """What makes it this finding: of a month as a whole the words alone, for its numbers (spent so far, p95, calls) move with every batch."""
    return NUMBER.sub("#", one.message) if one.window else one.message


def dollars(pico: int) -> str:
    """Whole cents for reading, cut; the exact amount is in the data."""
    return f"{pico // 10**12:,}.{pico // 10**10 % 100:02d}"
