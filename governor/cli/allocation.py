"""`governor allocation`: the rules for shared costs, and where each shared dollar of a month goes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from governor.cli.period import Month
from governor.cli.session import session_of
from governor.cli.tables import cell, results, table
from governor.cli.usage import money

app = typer.Typer(help="Shared costs: rules in force, and what they do to a month.", no_args_is_help=True)


@app.command("show")
def show(ctx: typer.Context, month: Month) -> None:
    """Where each shared dollar of the month goes, by rule, and what every cost center comes to.

    Example: `governor allocation show 2026-10`
    """
    from governor.actions.show_allocation import show_allocation

    session = session_of(ctx)
    session.print(show_allocation(session.context(), month), show_tables)


@app.command("preview")
def preview(
    ctx: typer.Context,
    month: Month,
    files: Annotated[
        list[Path], typer.Option("--file", "-f", help="YAML with allocation, driver or rate_plan documents to try; again for more.")
    ],
) -> None:
    """Try rules on a month before applying them. Nothing is stored; rules of the same id replace those in force.

    Example: `governor allocation preview 2026-10 -f rules.yaml`
    """
    from governor.actions.show_allocation import show_allocation
    from governor.catalog import parse_documents

    session = session_of(ctx)
    trial = [document for file in files for document in parse_documents(file.read_bytes(), str(file))]
    session.print(show_allocation(session.context(), month, trial), show_tables)


def show_tables(found: dict[str, Any]) -> None:
    console = results()
    if found["closed"] and not found["trial"]:
        console.print(
            f"{found['period']} is closed: the statement charged {money(found['closed']['total'])} USD. What cost centers come to is what the"
            f" records say today, {money(found['cost'])} USD; a difference becomes a correction in the open month."
        )
    if not found["rules"] and not found["rate_plans"]:
        console.print("No rule is in force in that month. Apply `kind: allocation` documents; docs/allocation.md shows them.")
    if found["flows"]:
        made = table(
            ("rule", "method", "from", "to"), ("%", "USD"), title=f"Shared costs {found['period']}{', tried' if found['trial'] else ''}"
        )
        for flow in found["flows"]:
            made.add_row(*(cell(flow[name]) for name in ("rule", "method", "source", "target")), flow["percent"], money(flow["amount"]))
        console.print(made)
    for one in found["left"]:
        console.print(
            cell(
                f"not shared out: {money(one['amount'])} USD of {one['source']}: {one['reason']}{' (blocks the close)' if one['blocks'] else ''}"
            )
        )
    columns = ("direct", "given", "received", "rate_plans", "shadow", "charge")
    made = table(("cost center",), tuple(name.replace("_", " ") for name in columns), title="By cost center, USD")
    for row in found["cost_centers"]:
        made.add_row(cell(row["cost_center"]), *(money(row[name]) for name in columns))
    console.print(made)
