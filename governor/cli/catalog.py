"""`governor catalog`: a first catalog from the traffic that is there. What it says in the end is applied with `governor apply`."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import Annotated, Any

import typer

from governor.cli.session import session_of, write_new

app = typer.Typer(help="A first catalog from the traffic that is there.", no_args_is_help=True)


@app.callback()
def catalog() -> None:
    """A first catalog from the traffic that is there."""


@app.command("draft")
def draft(
    ctx: typer.Context,
    period: Annotated[
        str, typer.Option("--period", help="Calendar month in the organization's billing zone, YYYY-MM.", show_default=False)
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write the documents here; else they are printed. A file that exists is kept.")
    ] = None,
    at_least: Annotated[
        str, typer.Option("--at-least", help="USD that the calls of a document cost in the month; dearer ones only.")
    ] = "0",
    by: Annotated[
        str, typer.Option("--by", help="The field that tells workflows apart, such as metadata.feature; else what tells most.")
    ] = "",
) -> None:
    """Write a first catalog from the calls of a month that belong to no workflow, the dearest first.

    A workflow for each key, team or application that calls, with the models and regions it used, what they cost, and CHANGE_ME where a person has to say
    something: who answers for it, who pays, and until when each route is approved. Nothing is approved by it; `governor apply` refuses what is not filled
    in, by line.

    Example: `governor catalog draft --period 2026-10 -o catalog.yaml`
    """
    from governor.actions.draft_catalog import draft_catalog

    session = session_of(ctx)
    made = draft_catalog(session.context(), period, at_least=at_least, by=by)
    if out is not None:
        write_new(out, made.text)
    session.print(made.as_dict() | {"file": str(out) if out else None}, told)


def told(data: dict[str, Any]) -> None:
    if data["file"] is None:
        typer.echo(data["catalog"], nl=False)
        return
    rules = f" and {data['rules']:,} rule{'s' if data['rules'] != 1 else ''} for known ones" if data["rules"] else ""
    left = f"; {data['left_out']:,} cheaper left out" if data["left_out"] else ""
    typer.echo(
        f"{data['file']}: {data['workflows']:,} workflow{'s' if data['workflows'] != 1 else ''}{rules}{left}. Fill in every CHANGE_ME, then"
    )
    typer.echo(f"  governor apply -f {quote(data['file'])} --dry-run")
