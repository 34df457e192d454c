"""`governor review`: people compare answers without knowing whose they are."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from governor.cli.change import Id
from governor.cli.session import session_of
from governor.store.whole_file import write_whole

app = typer.Typer(help="Answers that differ, compared by people who do not know whose they are.", no_args_is_help=True)

Reviewer = Annotated[str, typer.Option("--reviewer", help="Who compares, where it is not you: a name or an e-mail address.")]


@app.command("list")
def list_(ctx: typer.Context) -> None:
    """Changes whose answers wait for people, and how far they are."""
    from governor.actions.review_queue import waiting

    session = session_of(ctx)
    session.print({"waiting": waiting(session.context(), session.actor())}, show_waiting)


@app.command("export")
def export(
    ctx: typer.Context,
    change_id: Id,
    out: Annotated[Path, typer.Option("-o", "--out", help="File to write, .xlsx or .csv.")],
    reviewer: Reviewer = "",
    everything: Annotated[bool, typer.Option("--all", help="Also pairs beyond the part that the plan registered.")] = False,
) -> None:
    """Write the open pairs as a spreadsheet: request, answers A and B, an empty column for the pick. It holds captured content.

    Example: `governor review export RC-4 -o rc-4.xlsx --reviewer "J. Doe, Legal"`
    """
    from governor.actions.review_sheets import export_sheet

    session = session_of(ctx)
    body = export_sheet(
        session.context(), session.actor(), change_id, form=out.suffix.lower().lstrip("."), reviewer=reviewer, everything=everything
    )
    write_whole(out, body)
    session.print({"change": change_id, "file": str(out), "bytes": len(body)}, f"{out}: write a, b, tie or unsure into the column pick")


@app.command("import")
def import_(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="The sheet with picks, .xlsx or .csv.", exists=True, dir_okay=False)],
    reviewer: Reviewer = "",
) -> None:
    """Take the picks of a sheet as submitted labels. You become an author of the evidence, as the reviewer does, and cannot approve the change.

    Example: `governor review import rc-4.xlsx --reviewer "J. Doe, Legal"`
    """
    from governor.actions.review_sheets import import_sheet

    session = session_of(ctx)
    done = import_sheet(session.context(), session.actor(), file.read_bytes(), reviewer=reviewer)
    for error in done["errors"]:
        session.note(f"not taken: row {error['row']}: {error['reason']}")
    session.print(
        done,
        f"{done['change']}: {done['imported']} labels taken, {done['unchanged']} known already, {done['empty']} without a pick,"
        f" {len(done['errors'])} not taken; {done['labelled']} of {done['registered']} registered pairs are labelled, verdict {done['verdict']}",
    )
    if done["errors"]:
        raise typer.Exit(1)


@app.command("submit")
def submit(ctx: typer.Context, change_id: Id) -> None:
    """Submit your drafts from the page: they become evidence and the verdict is computed again.

    Example: `governor review submit RC-4`
    """
    from governor.actions.review_labels import submit as submit_labels

    session = session_of(ctx)
    done = submit_labels(session.context(), session.actor(), change_id)
    session.print(done, f"{change_id}: {done['submitted']} labels submitted; {done['sentence']}")


def show_waiting(found: dict[str, Any]) -> None:
    if not found["waiting"]:
        typer.echo("no answers wait for people")
    for one in found["waiting"]:
        yours = f"{one['open_for_you']} open for you" if one["may"] else f"not you: {one['why_not']}"
        typer.echo(
            f"{one['change']}  {one['workflow']}  {one['labelled']} of {one['registered']} labelled ({one['differing']} differ), verdict {one['verdict']}; {yours}"
        )
