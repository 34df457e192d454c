"""`governor budgets`, `forecast`, `movement`: limits, what the month will come to, and why it differs from the one before."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

import typer

from governor.cli.session import session_of
from governor.cli.tables import cell, results, table
from governor.cli.usage import money
from governor.errors import Invalid

NewestMonth = Annotated[
    str, typer.Option("--period", help="Calendar month of the billing zone, YYYY-MM; default: the newest with calls.", show_default=False)
]
AsOf = Annotated[str, typer.Option("--as-of", help="What would have been said on the morning of this day, YYYY-MM-DD.", show_default=False)]


def day_of(text: str) -> date | None:
    """Raises Invalid."""
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise Invalid(f"not a day: {text!r}", hint="write it as YYYY-MM-DD") from None


def budgets(ctx: typer.Context, period: NewestMonth = "", as_of: AsOf = "") -> None:
    """Every budget of a month: spent, left, forecast, the day it is used up. Most urgent first.

    Budgets are `kind: budget` documents and the `monthly_budget` of workflows; `docs/budgets.md` has both.
    """
    from governor.actions.month_view import newest_month
    from governor.actions.show_budgets import show_budgets

    session = session_of(ctx)
    context = session.context()
    session.print(show_budgets(context, period or newest_month(context), as_of=day_of(as_of)), show_table)


def show_table(report: dict[str, Any]) -> None:
    console = results()
    if not report["rows"]:
        console.print("No budget is in force. Apply a `kind: budget` document, or give a workflow a monthly_budget.")
        return
    made = table(
        ("budget", "state", "used up"), ("limit", "spent", "%", "forecast", "80% low", "80% high"), title=f"Budgets {report['period']}"
    )
    for row in report["rows"]:
        words = (row["budget"], row["state"].replace("_", " "), row["used_up_on"])
        numbers = [money(row[name]) if row[name] is not None else "-" for name in ("forecast", "low", "high")]
        made.add_row(*map(cell, words), money(row["limit"]), money(row["spent"]), row["percent"], *numbers)
    console.print(made)
    for row in report["rows"]:
        if row["unpriced_calls"]:
            calls = row["unpriced_calls"]
            unpriced = (
                f"{calls:,} {'call has' if calls == 1 else 'calls have'} no price and may add up to {money(row['unpriced_at_most'])} USD"
            )
            console.print(cell(f"{row['budget']}: {unpriced}"))


def forecast(
    ctx: typer.Context,
    period: NewestMonth = "",
    workflow: Annotated[str, typer.Option("--workflow", help="Only this workflow.")] = "",
    owner: Annotated[str, typer.Option("--owner", help="Only this owner's workflows.")] = "",
    cost_center: Annotated[str, typer.Option("--cost-center", help="Only this cost center.")] = "",
    as_of: AsOf = "",
) -> None:
    """What a month will come to, with an 80% interval; of everything, or of one workflow, owner or cost center.

    `governor forecast --period 2026-10 --as-of 2026-10-16` shows what was to be expected then. Under seven known days nothing is said.
    """
    from governor.actions.forecast_month import forecast_document, refuse_unknown
    from governor.actions.month_view import newest_month

    session = session_of(ctx)
    context = session.context()
    chosen = [(name, value) for name, value in (("workflow", workflow), ("owner", owner), ("cost_center", cost_center)) if value]
    if len(chosen) > 1:
        raise Invalid("a forecast has one scope", hint="give one of --workflow, --owner, --cost-center")
    dimension, value = chosen[0] if chosen else ("", "")
    month = period or newest_month(context)
    refuse_unknown(context, month, dimension, value)
    session.print(forecast_document(context, month, dimension, value, as_of=day_of(as_of)), show_forecast)


def show_forecast(found: dict[str, Any]) -> None:
    console = results()
    console.print(
        f"{found['period']}: {money(found['spent'])} USD spent, known until {found['unknown_from']} (exclusive).", highlight=False
    )
    if found["status"] == "not_enough_history":
        console.print(f"Not enough history: {found['known_days']} days are known, a forecast needs 7.", highlight=False)
    elif found["status"] == "forecast":
        words = f"Forecast {money(found['forecast'])} USD ({found['method']})"
        if found["low"] is None:
            console.print(f"{words}; too few past forecasts to give an interval.", highlight=False)
        else:
            tail = f"80% interval {money(found['low'])} to {money(found['high'])} USD"
            console.print(f"{words}; {tail} ({found['interval_method']}, {found['calibrated_on']} past errors).", highlight=False)
    else:
        console.print("The month is over: that is what it came to.")


def movement(
    ctx: typer.Context,
    period: NewestMonth = "",
    against: Annotated[str, typer.Option("--against", help="The other month; default: the one before.", show_default=False)] = "",
) -> None:
    """Why spend differs from the month before: volume, mix, cache, price, retries, new and gone workflows, summing exactly.

    A month that still runs is compared with as many days of the other.
    """
    from governor.actions.explain_spend import explain_spend
    from governor.actions.month_view import newest_month

    session = session_of(ctx)
    context = session.context()
    session.print(explain_spend(context, period or newest_month(context), against=against), show_movement)


def show_movement(found: dict[str, Any]) -> None:
    span = f", first {found['days']} days of both" if found["days"] is not None else ""
    names = tuple(found["terms"])
    made = table(("workflow",), ("before", *names, "after"), title=f"{found['against']} to {found['period']}{span}")
    for row in [*found["rows"], {"workflow": "all", **{name: found[name] for name in ("before", "after", "terms")}}]:
        made.add_row(cell(row["workflow"]), money(row["before"]), *[money(row["terms"][name]) for name in names], money(row["after"]))
    results().print(made)
