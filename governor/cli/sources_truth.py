"""`governor sources completeness` and `scorecard`: what did not arrive, and what arrived without saying enough."""

from __future__ import annotations

from typing import Annotated, Any, Final

import typer

from governor.cli.session import session_of
from governor.cli.tables import cell, results, table

SIGNS: Final = {"whole": "#", "short": "-", "hole": "X", "silent": "!", "unchecked": "+", "idle": "."}


def completeness(
    ctx: typer.Context,
    source: Annotated[str, typer.Argument(metavar="[SOURCE]", help="Only this source.")] = "",
    days: Annotated[int, typer.Option("--days", min=1, max=92, help="How far back.")] = 14,
) -> None:
    """Did everything arrive? By source and hour: stored, the source's own count, holes, silent hours, and calls that only another witness has."""
    from governor.actions.completeness import completeness as look

    session = session_of(ctx)
    found = look(session.context(), source=source, days=days)
    nothing = f"{source} brought nothing in this time." if source else "No source brought anything in this time."
    session.print({"sources": found}, show_completeness if found else nothing)


def show_completeness(data: dict[str, Any]) -> None:
    console = results()
    for one in data["sources"]:
        lag = "unknown" if one["lag_s"] is None else f"{one['lag_s']:,.0f} s"
        console.print(cell(f"{one['source'] or '(unnamed)'}: {one['stored']:,} calls stored, usual lag {lag}"))
        for at in range(0, len(one["hours"]), 24):
            day = one["hours"][at : at + 24]
            console.print(f"  {day[0]['hour'][:13]}  {''.join(SIGNS[hour['state']] for hour in day)}", highlight=False, markup=False)
        for short in one["windows"]:
            said = short["hole"] or f"the source counts {short['said']:,}, {short['came']:,} came"
            console.print(cell(f"  {short['start']} to {short['end']}: {said}"))
        for gap in one["gaps"]:
            console.print(cell(f"  silent from {gap['start']} to {gap['end']} ({gap['hours']} h)"))
        for lost in one["lost"]:
            by = lost["seen_by"]
            console.print(cell(f"  {lost['witness']} lost {lost['lost']:,} of the calls that {by['witness']} of {by['source']} has:"))
            for call in lost["calls"][:10]:
                console.print(cell(f"    {call['start_time']}  {call['id']}"))
    console.print(
        "# whole  + nothing to compare with  - fewer than the source counts  X hole  ! silent  . nothing expected",
        highlight=False,
        markup=False,
    )


def scorecard(
    ctx: typer.Context,
    period: Annotated[str, typer.Option("--period", help="Calendar month, YYYY-MM; the newest with calls by default.")] = "",
    workflow: Annotated[str, typer.Option("--workflow", help="Only this workflow, with what to do.")] = "",
) -> None:
    """What calls say about themselves, per workflow: the share with owner tag, data class, user, session, prompt version, region ..."""
    from governor.actions.month_view import newest_month
    from governor.actions.scorecard import scorecard as score

    session = session_of(ctx)
    context = session.context()
    month = period or newest_month(context)
    rows = score(context, month, workflow=workflow)
    nothing = f"No production calls{f' of {workflow}' if workflow else ''} in {month}."
    session.print({"period": month, "workflows": rows}, show_scorecard if rows else nothing)


def show_scorecard(data: dict[str, Any]) -> None:
    console = results()
    names = [fact["fact"] for fact in data["workflows"][0]["facts"]]
    shown = table(("workflow",), ("calls", "score", *names))
    for one in data["workflows"]:
        values = [f"{one['calls']:,}", f"{one['score']}%", *(f"{fact['share']}%" for fact in one["facts"])]
        shown.add_row(cell(one["workflow"] or "(no workflow)"), *map(cell, values))
    console.print(shown)
    if len(data["workflows"]) == 1:
        for fact in data["workflows"][0]["facts"]:
            if fact["fix"]:
                console.print(cell(f"{fact['fact']} ({fact['share']}%): {fact['fix']}"))
