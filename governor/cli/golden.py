"""`governor golden`: cases whose right answer is known, asked of both routes in a shadow run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from governor.cli.session import session_of

app = typer.Typer(help="Golden sets: prompts with a known right answer, asked of both routes in shadow runs.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Name of the set.")]


@app.command("import")
def import_(
    ctx: typer.Context,
    workflow: Annotated[str, typer.Argument(help="Workflow the cases belong to.")],
    file: Annotated[Path, typer.Argument(help="Cases as JSON, JSON lines or YAML.", exists=True, dir_okay=False)],
    name: Annotated[str, typer.Option("--name", help="Name of the set; default: the file's name.")] = "",
) -> None:
    """Keep the cases of a file as a new version of the set. The same cases again change nothing.

    Example: `governor golden import fnol-triage hail.yaml`
    """
    from governor.actions.golden_sets import import_golden

    session = session_of(ctx)
    done = import_golden(session.context(), session.actor(), workflow=workflow, name=name or file.stem, body=file.read_bytes())
    said = "kept" if done["new"] else "known already"
    session.print(done, f"{done['set']} version {done['version']}: {done['cases']} cases {said} ({done['digest'][:12]}..)")


@app.command("list")
def list_(ctx: typer.Context, workflow: Annotated[str, typer.Option("--workflow", help="Only sets of this workflow.")] = "") -> None:
    """Sets and their versions."""
    from governor.actions.golden_sets import list_golden

    session = session_of(ctx)
    rows = list_golden(session.context(), workflow)
    lines = [
        f"{row['set']:<24} v{row['version']:<4} {row['workflow']:<20} {row['cases']:>5} cases  {row['digest'][:12]}{'  withdrawn' if row['withdrawn'] else ''}"
        for row in rows
    ]
    session.print(
        {"sets": rows},
        "\n".join(lines) or (f"no golden set of {workflow}" if workflow else "no golden sets yet; `governor golden import` makes one"),
    )


@app.command("show")
def show(
    ctx: typer.Context, name: Name, version: Annotated[int | None, typer.Option("--version", help="Default: the newest.")] = None
) -> None:
    """The cases of a set; their texts only for people who may read the workflow's content.

    Example: `governor golden show hail`
    """
    from governor.actions.golden_sets import show_golden

    session = session_of(ctx)
    session.print(show_golden(session.context(), session.actor(), name, version), show_cases)


def show_cases(found: dict[str, Any]) -> None:
    typer.echo(f"{found['set']} version {found['version']} of {found['workflow']}, {found['digest']}")
    for case in found["cases"]:
        typer.echo(f"  {case['id']:<30} {case['check'] or 'rubric':<10} {case['sha256'][:12]}")
    if found["why_not"]:
        typer.echo(f"texts are not shown: {found['why_not']}")


@app.command("withdraw")
def withdraw(ctx: typer.Context, name: Name, reason: Annotated[str, typer.Option("--reason", help="Why; goes on record.")]) -> None:
    """Erase the texts of all versions of a set. Digests and evidence stay; no later plan can name it.

    Example: `governor golden withdraw hail --reason "a customer asked"`
    """
    from governor.actions.golden_sets import withdraw_golden

    session = session_of(ctx)
    done = withdraw_golden(session.context(), session.actor(), name, reason)
    session.print(done, f"{done['set']}: {done['versions']} versions withdrawn, {done['erased']} texts erased")
