"""`governor spend`: who spent what in a month, by prompt version too, and which part of an assembled prompt it was spent on."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from governor.cli.budgets import NewestMonth
from governor.cli.session import session_of
from governor.cli.tables import cell, results, table
from governor.cli.usage import count, money

app = typer.Typer(invoke_without_command=True, no_args_is_help=False)


@app.callback()
def spend(
    ctx: typer.Context,
    period: NewestMonth = "",
    by: Annotated[str, typer.Option("--by", help="workflow, owner, cost_center, provider, model, route, status or prompt.")] = "workflow",
    workflow: Annotated[str, typer.Option("--workflow", help="Only this workflow; - for calls without.", show_default=False)] = "",
) -> None:
    """The table of the spend page: calls, tokens, contracted cost, cost of one call, share.

    `governor spend --by prompt` cuts the month by prompt and prompt version; `governor spend segments` by the parts of prompts.
    """
    if ctx.invoked_subcommand:
        return
    from governor.actions.month_view import newest_month
    from governor.actions.show_spend import spend_table

    session = session_of(ctx)
    context = session.context()
    found = spend_table(context, period or newest_month(context), by=by, only={"workflow": workflow} if workflow else {})
    nothing = f"No calls{f' of {workflow}' if workflow else ''} in {found['period']}."
    session.print(found, show if found["rows"] else nothing)


def show(report: dict[str, Any]) -> None:
    console = results()
    keys = report["dimensions"]
    made = table(tuple(keys), ("calls", "input", "output", "contracted USD", "USD per call", "share"), title=f"Spend {report['period']}")
    for row in report["rows"]:
        made.add_row(
            *[cell(row[name]) for name in keys],
            f"{row['calls']:,}",
            count(row["input_tokens"]),
            count(row["output_tokens"]),
            money(row["contracted_cost"]),
            "-" if row["cost_per_call"] is None else money(row["cost_per_call"]),
            share(row["share"]),
        )
    console.print(made)
    totals = report["totals"]
    console.print(f"{totals['calls']:,} calls, {money(totals['contracted_cost'])} USD at contracted prices.", highlight=False)


@app.command("segments")
def segments(
    ctx: typer.Context,
    period: NewestMonth = "",
    by: Annotated[
        str, typer.Option("--by", help="Comma separated: workflow, owner, cost_center, prompt, prompt_version, provider, model.")
    ] = "workflow",
    workflow: Annotated[str, typer.Option("--workflow", help="Only this workflow; - for calls without.", show_default=False)] = "",
) -> None:
    """Who pays for which part of an assembled prompt, over the calls that say how many tokens each part has.

    A call says it in its request metadata, `prompt_segments`: a JSON object of names and whole tokens (docs/prompts.md).
    """
    from governor.actions.month_view import newest_month
    from governor.actions.show_segments import show_segments

    session = session_of(ctx)
    context = session.context()
    chosen = [part.strip() for part in by.split(",") if part.strip()]
    only = {"workflow": workflow} if workflow else {}
    session.print(show_segments(context, period or newest_month(context), by=chosen, only=only), show_parts)


def show_parts(report: dict[str, Any]) -> None:
    console = results()
    if not report["calls"]:
        console.print(
            f"No call of {report['period']} says what its prompt is made of. Send it in the request's metadata, as "
            'prompt_segments: {"system": 800, "retrieved": 3200} (docs/prompts.md).',
            highlight=False,
        )
        return
    made = table((*report["by"], "part"), ("calls", "tokens", "contracted USD", "share"), title=f"Parts of prompts {report['period']}")
    for row in report["rows"]:
        named = row["segment"] if row["part"] == "segment" else f"({row['part']})"
        values = [*map(cell, [row[name] for name in report["by"]]), cell(named)]
        made.add_row(*values, f"{row['calls']:,}", count(row["tokens"]), money(row["cost"]), share(row["share"]))
    console.print(made)
    quiet = f"{report['quiet_calls']:,} calls do not say it" if report["quiet_calls"] else "every call says it"
    console.print(
        f"{report['calls']:,} calls say what their prompt is made of and cost {money(report['cost'])} USD; {quiet}.", highlight=False
    )
    if report["scaled_calls"]:
        console.print(
            f"{report['scaled_calls']:,} calls say more tokens than their input has: their parts were scaled to it.", highlight=False
        )
    if report["unpriced_calls"]:
        console.print(f"{report['unpriced_calls']:,} of the calls have no price; their parts cost nothing here.", highlight=False)


def share(value: Any) -> str:
    from decimal import Decimal

    return f"{Decimal(value) * 100:.1f}%"
