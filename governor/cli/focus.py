"""`governor focus`: hold a FOCUS file against its own rules and against the statement it was printed from. Needs no home."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from governor.cli.session import session_of

app = typer.Typer(help="FOCUS files: check one.", no_args_is_help=True)


@app.command("check")
def check(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="FOCUS file, CSV or Parquet.")],
    statement: Annotated[
        Path | None, typer.Option("--statement", help="The month's statement-MONTH.json; default: the one beside the file, if it is there.")
    ] = None,
    total: Annotated[str | None, typer.Option("--total", help="Control total that BilledCost must sum to.")] = None,
) -> None:
    """Find what the public validator lets pass: dates, signs, price times quantity, units, ids, duplicates, shares, unpriced use.

    With the month's statement each row is compared with its line, which also finds a file that is wrong but consistent. Exit code 1 where a problem is found.

    Example: `governor focus check close/focus-2026-10.csv`
    """
    from governor.actions.check_focus import check_focus

    found = check_focus(file, statement, total)
    session_of(ctx).print(found, show)
    if not found["ok"]:
        raise typer.Exit(1)


def show(found: dict[str, Any]) -> None:
    compared = f", compared with {found['statement']}" if found["statement"] else ""
    count = len(found["problems"])
    typer.echo(f"{found['file']}: {count or 'no'} problem{'s' if count > 1 else ''}{compared}")
    for problem in found["problems"]:
        typer.echo(f"  row {problem['row']}, {problem['column']}: {problem['what']}")
