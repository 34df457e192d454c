"""`governor usage`: what was used, by whom, at what cost, and how much of it is governed."""

from __future__ import annotations

from typing import Annotated, Any, Final

import typer

from governor.cli.session import session_of
from governor.cli.tables import cell, results, table

SUGGESTED: Final = 5  # rules for calls without a workflow; JSON and the page have twenty


def usage(
    ctx: typer.Context,
    period: Annotated[
        str,
        typer.Option("--period", help="Calendar month in the organization's billing zone, YYYY-MM.", show_default=False),
    ],
    by: Annotated[
        str, typer.Option("--by", help="Comma separated: workflow, owner, provider, model, status, day ...; a wrong name lists all.")
    ] = "workflow",
    as_of: Annotated[
        str, typer.Option("--as-of", help="event: the catalog as it was when each call happened; now: as it is today.")
    ] = "event",
) -> None:
    """Calls, tokens and exact cost of a month, with coverage.

    `governor usage --period 2026-10 --by workflow,owner` shows who spent what;
    `--by status` and `--by provider,model` cut the same month differently. Money is exact, in USD.
    """
    from governor.actions.usage import usage_report

    session = session_of(ctx)
    report = usage_report(session.context(), period, [part.strip() for part in by.split(",") if part.strip()], as_of=as_of)
    session.print(report, show)


def show(report: dict[str, Any]) -> None:
    from governor.actions.usage import DIMENSIONS

    console = results()
    keys = [name for name in DIMENSIONS if report["rows"] and name in report["rows"][0]]
    numbers = ("calls", "input", "output", "list USD", "contracted USD", "unpriced")
    shown = table(tuple(keys), numbers, title=f"Usage {report['period']}", caption=f"lake snapshot {report['snapshot']}")
    for row in report["rows"]:
        shown.add_row(
            *[cell(row[name]) for name in keys],
            f"{row['calls']:,}",
            count(row["input_tokens"]),
            count(row["output_tokens"]),
            *("-" if row["unpriced_calls"] == row["calls"] else money(row[name]) for name in ("list_cost", "contracted_cost")),
            str(row["unpriced_calls"] or "-"),
        )
    if not report["rows"]:
        console.print(f"No calls in {report['period']}. Ingest some with `governor ingest auto FILE`, or look at another month.")
        return
    console.print(shown)
    coverage = report["coverage"]
    parts = coverage["parts"]
    if coverage.get("nothing_to_cover"):
        console.print("Nothing to cover: no spend this month.", highlight=False)
        return
    console.print(
        f"Mapped spend {money(coverage['mapped_spend'])} of {money(coverage['total_spend'])} USD ({coverage['percent']}%; closing needs 95%): "
        f"workflow {parts['workflow']}%, owner {parts['owner']}%, approved policy {parts['approved_policy']}%.",
        highlight=False,
    )
    if coverage["unpriced_calls"]:
        exposure = coverage["unpriced_exposure"]
        console.print(
            f"{coverage['unpriced_calls']:,} calls are unpriced; they may have cost {money(exposure['low'])} to {money(exposure['high'])} USD. "
            "`--by pricing,provider,model` names them.",
            highlight=False,
        )
    for suggestion in report["suggestions"][:SUGGESTED]:
        console.print(
            cell(f"unattributed: {suggestion['calls']:,} calls, {money(suggestion['spend'])} USD; a rule could match {suggestion['match']}")
        )
    if report["suggestions"]:
        some = f"The dearest {len(report['suggestions'])} as" if len(report["suggestions"]) > SUGGESTED else "As"
        console.print(f"{some} YAML for `governor apply`: `governor --json usage`, or the spend page.", highlight=False)


def count(tokens: int | None) -> str:
    """Unknown is not zero."""
    return "-" if tokens is None else f"{tokens:,}"


def money(text: str) -> str:
    """Shorten an exact decimal for reading; JSON keeps every digit."""
    from decimal import ROUND_HALF_EVEN, Decimal

    return f"{Decimal(text).quantize(Decimal('0.0001'), ROUND_HALF_EVEN):,}"
