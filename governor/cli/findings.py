"""`governor findings`: what policy objects to in a month."""

from __future__ import annotations

from typing import Annotated, Any, Final

import typer

from governor.cli.session import Session, session_of
from governor.cli.tables import cell, results, table
from governor.errors import Invalid

STATUSES: Final = ("violation", "undecided", "waived", "warning")


def findings(
    ctx: typer.Context,
    period: Annotated[str, typer.Option("--period", help="Calendar month, YYYY-MM; default: this month.", show_default=False)] = "",
    workflow: Annotated[str, typer.Option("--workflow", help="Only this workflow.")] = "",
    rule: Annotated[str, typer.Option("--rule", help="Only this rule, such as model.approved.")] = "",
    status: Annotated[str, typer.Option("--status", help="Only violation, undecided, waived or warning.")] = "",
) -> None:
    """Policy violations, what is undecided, waived or close to a limit, with calls, cost at risk and example calls.

    `governor findings --period 2026-10 --status violation` is the list to work through before a month is closed.
    """
    from governor.actions.findings import findings as find
    from governor.actions.month_view import this_month

    session = session_of(ctx)
    period = period or this_month(session.context())
    if status not in {"", *STATUSES}:
        raise Invalid(f"no finding has status {status!r}", hint=f"choose from {', '.join(STATUSES)}")
    every = find(session.context(), period)
    found = [one for one in every if workflow in {"", one.workflow} and rule in {"", one.rule} and status in {"", one.status}]
    session.print(
        {"period": period, "findings": [one.document() for one in found]},
        show if found else nothing(period, others=len(every), seen=bool(every) or has_calls(session, period)),
    )


def has_calls(session: Session, period: str) -> bool:
    from governor.actions.govern import govern_month

    return bool(govern_month(session.context(), period).groups)


def nothing(period: str, *, others: int, seen: bool) -> str:
    """Which nothing it is: a month nobody looked at is no month that policy has no objection to."""
    if others:
        return f"None of the {others} findings of {period} matches; leave out --workflow, --rule or --status to see them."
    if seen:
        return f"No findings in {period}: policy has no objection."
    return f"No calls in {period}, so policy was asked nothing. Ingest some with `governor ingest auto FILE`, or look at another month."


def show(report: dict[str, Any]) -> None:
    console = results()
    words = ("status", "severity", "rule", "workflow", "what", "example")
    made = table(words, ("calls", "USD at risk"), title=f"Findings {report['period']}")
    for one in report["findings"]:
        example = one["example_record_ids"][0][:12] if one["example_record_ids"] else "-"
        what = one["message"] + (f" (waiver {one['waiver']})" if one["waiver"] else "")
        cells = (one["status"], one["severity"], one["rule"], one["workflow"], what, example)
        made.add_row(*map(cell, cells), f"{one['calls']:,}", one["cost_at_risk"])
    console.print(made)
    shown = {one["rule"]: one["solution"] for one in report["findings"] if one["status"] == "violation" and one["solution"]}
    for name, solution in sorted(shown.items()):
        console.print(cell(f"{name}: {solution}"))
