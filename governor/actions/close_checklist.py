"""The close checklist of a month: what is done, what blocks, what deserves a look, and who may act.

Owns: the items, their order and words. Does not own: any rule (close_period, sign_close, coverage), where the month stands (period_way). Invariants: reads only; an item
blocks exactly when the close would refuse.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from governor.actions.browse_periods import month_status
from governor.actions.browse_sources import in_no_sum
from governor.actions.context import Context
from governor.actions.correct import statement_lines
from governor.actions.dispute_line import DisputeDocument, list_disputes
from governor.actions.load_catalog import catalog_as_of
from governor.actions.month_view import month_frame
from governor.actions.newest_comparison import not_compared, unreconciled
from governor.actions.period_way import month_end, period_way
from governor.actions.reopen_period import request, versions
from governor.actions.show_allocation import show_allocation
from governor.actions.sign_close import described
from governor.store.rows.bills import Reconciliation

FINANCE: Final = "finance or admin"


def close_checklist(ctx: Context, month: str) -> dict[str, Any]:
    """{"period","stage","version","items","steps","versions","disputes","policy"}; an item is {"name","state","text","who","link"}, state done | blocks | look | open."""
    frame = month_frame(ctx, month)
    found = month_status(ctx, month)
    policy = catalog_as_of(ctx).organization.month_end
    ends = month_end(ctx, month)
    period, version, done, signed, bill, closed = ends.period, ends.version, ends.steps, ends.signed, ends.bill, ends.closed
    with ctx.rows.session() as session:
        asked = request(session, ctx.org, month, version)
        lines = len(statement_lines(session, ctx.org, month)) if closed else 0
    place = period_way(ctx, month, ends)
    disputes = list_disputes(ctx, month)
    items = [
        _over(frame, ctx.now()),
        _unread(*in_no_sum(ctx, datetime.fromisoformat(frame["start"]), datetime.fromisoformat(frame["end"]))),
        _coverage(found),
        _unpriced(found),
        _shared(show_allocation(ctx, month)),
        _accrued(done, closed=closed),
        _reconciled(bill, blocks=bool(unreconciled(ctx, month)) and not closed, month=month),
        _corrections(found),
        _disputed(disputes),
        _signed(policy.two_people, described(signed) if signed else None, closed=closed),
        item(
            "Closed",
            "done" if closed else "open",
            f"{lines:,} lines, closed by {period.closed_by}" if closed and period else "not yet",
            FINANCE,
        ),
    ]
    return {
        "period": month,
        "stage": place["stage"],
        "way": place["way"],
        "version": version,
        "items": items,
        "blocks": [one["name"] for one in items if one["state"] == "blocks"],
        "steps": [
            {name: value for name, value in described(one).items() if name not in {"journal", "reversal", "cost_centers", "document"}}
            for one in done
        ],
        "asked_to_reopen": described(asked) if asked and closed else None,
        "versions": versions(ctx, month),
        "disputes": disputes,
        "policy": json.loads(policy.model_dump_json()),
    }


def item(name: str, state: str, text: str, who: str = "", link: str = "") -> dict[str, str]:
    return {"name": name, "state": state, "text": text, "who": who, "link": link}


def _over(frame: dict[str, Any], now: datetime) -> dict[str, str]:
    if now < datetime.fromisoformat(frame["start"]):
        return item("The month is over", "blocks", "it has not begun")
    return item(
        "The month is over",
        "look" if frame["running"] else "done",
        "it still runs; later calls become corrections" if frame["running"] else "every day has passed",
    )


def _unread(quarantine: int, conflicts: int) -> dict[str, str]:
    """Coverage is a share of what was read: what was not is in neither part of it."""
    held = [f"{quarantine:,} {'record waits' if quarantine == 1 else 'records wait'} in quarantine"] if quarantine else []
    held += [f"{conflicts:,} {'call' if conflicts == 1 else 'calls'} came again with other content"] if conflicts else []
    text = (
        f"{' and '.join(held)}: what they say is in no sum and in no coverage"
        if held
        else "nothing waits in quarantine, no call came again with other content"
    )
    return item("Records are read", "look" if held else "done", text, "admin", "/sources")


def _coverage(found: dict[str, Any]) -> dict[str, str]:
    coverage = found["coverage"]
    if coverage.get("nothing_to_cover"):  # a month closed by an earlier version does not say
        return item("Spend is mapped", "done", "nothing to cover: no spend this month", "admin", f"/spend?period={found['period']}")
    text = f"{coverage['percent']}% of {Decimal(coverage['total_spend']):,.2f} USD has workflow, owner and an approved route; 95% is needed"
    if coverage["sufficient"]:
        return item("Spend is mapped", "done", text, "admin", f"/spend?period={found['period']}")
    if found["exception"]:
        return item("Spend is mapped", "look", f"{text}; an exception is signed", FINANCE)
    return item(
        "Spend is mapped", "blocks", text, "admin maps it, finance or admin may sign an exception", f"/spend?period={found['period']}"
    )


def _unpriced(found: dict[str, Any]) -> dict[str, str]:
    coverage = found["coverage"]
    calls = coverage["unpriced_calls"]
    text = (
        f"{calls:,} {'call has' if calls == 1 else 'calls have'} no price and may add up to {Decimal(coverage['unpriced_exposure']['high']):,.2f} USD"
        if calls
        else "every call has a price"
    )
    return item("Calls have prices", "look" if calls else "done", text, "admin")


def _shared(found: dict[str, Any]) -> dict[str, str]:
    link = f"/allocation?period={found['period']}"
    if not found["rules"]:
        return item("Shared costs are shared out", "done", "no rule is in force", FINANCE, link)
    blocked = [one for one in found["left"] if one["blocks"]]
    if blocked:
        return item("Shared costs are shared out", "blocks", "; ".join(one["reason"] for one in blocked), FINANCE, link)
    if found["left"]:
        kept = sum((Decimal(one["amount"]) for one in found["left"]), Decimal(0))
        return item(
            "Shared costs are shared out", "look", f"{kept:.2f} USD stays where it was: {found['left'][0]['reason']}", FINANCE, link
        )
    return item(
        "Shared costs are shared out",
        "done",
        f"{Decimal(found['total']):.2f} USD by {len(found['rules'])} rule{'' if len(found['rules']) == 1 else 's'}",
        FINANCE,
        link,
    )


def _accrued(done: Sequence[Any], *, closed: bool) -> dict[str, str]:
    made = next((described(one) for one in reversed(done) if one.step == "soft_close"), None)
    if made is None:
        return item(
            "Accrued (soft close)",
            "done" if closed else "open",
            "not used" if closed else "optional: books what is captured and expected",
            FINANCE,
        )
    return item("Accrued (soft close)", "done", f"{made['accrued']} USD, of it {made['expected']} expected; by {made['by']}", FINANCE)


def _reconciled(bill: Reconciliation | None, *, blocks: bool, month: str) -> dict[str, str]:
    part = not_compared(json.loads(bill.body)) if bill else ""
    reconciled = bill is not None and bill.status == "reconciled"
    state = ("look" if part else "done") if reconciled else "blocks" if blocks else "look"
    words = f"the newest comparison says {bill.status}" if bill else "not compared with the providers' bills"
    return item(
        "Reconciled with bills",
        state,
        f"{words}, {part}" if part else words,
        FINANCE,
        f"/periods/{month}/reconciliation",
    )


def _corrections(found: dict[str, Any]) -> dict[str, str]:
    months = ", ".join(one["charge_month"] for one in found["corrections"])
    count = sum(one["lines"] for one in found["corrections"])
    return item("Corrections of earlier months", "look" if count else "done", f"{count:,} lines of {months}" if count else "none", FINANCE)


def _disputed(disputes: list[DisputeDocument]) -> dict[str, str]:
    waiting = sum(one["state"] == "open" for one in disputes)
    return item(
        "Disputes are answered",
        "look" if waiting else "done",
        f"{waiting} wait for an answer" if waiting else f"{len(disputes)} answered" if disputes else "none",
        FINANCE,
    )


def _signed(two: bool, signed: dict[str, Any] | None, *, closed: bool) -> dict[str, str]:
    if not two:
        return item("Two people", "done", "the organization lets one person close")
    if closed:
        return item("Two people", "done", f"signed by {signed['by']}" if signed else "closed before two were asked for", FINANCE)
    text = f"signed by {signed['by']}, another person closes" if signed else "the first close signs, the second takes effect"
    return item("Two people", "open", text, FINANCE)
