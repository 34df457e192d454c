"""`governor sources`: look at what a source would bring before it is ingested; what it did not bring, and what that does not say."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import Annotated, Any

import typer

from governor.cli.session import Session, session_of, write_new
from governor.cli.sources_truth import completeness, scorecard
from governor.cli.tables import cell, results, table
from governor.errors import NotFound

app = typer.Typer(help="Where traffic comes from.", no_args_is_help=True)
app.command("completeness")(completeness)
app.command("scorecard")(scorecard)


@app.callback()
def sources() -> None:
    """Where traffic comes from."""


@app.command("preview")
def preview(
    ctx: typer.Context,
    file: Annotated[str, typer.Argument(metavar="FILE", help="A file, folder, quoted glob, or s3:// or gs:// URL; gz and zst too.")],
    connector: Annotated[
        str, typer.Option("--connector", help="A connector, mapping:FILE.yaml or a shipped mapping:NAME; auto detects.")
    ] = "auto",
    source: Annotated[str, typer.Option("--source", help="Id of the source it would be ingested as, for rules that ask for it.")] = "",
) -> None:
    """Show what an ingest of FILE would do, and store nothing.

    The form that was recognised, the first 20 calls (time, model, status, tokens, cost, workflow and owner with the rule that says so), how many
    records would be refused and why. Without a home no rules are asked. Of a large input the first 200,000 records are read.

    Example: `governor sources preview export.jsonl`
    """
    from governor.actions.preview_source import preview_source

    session = session_of(ctx)
    session.print(preview_source(_context(session), file, connector, source=source), show)


@app.command("draft")
def draft(
    ctx: typer.Context,
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="A log that no connector reads: JSON lines, JSON, CSV or Parquet; gz and zst too.")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write the mapping here; else it is printed. A file that exists is kept.")
    ] = None,
    name: Annotated[str, typer.Option("--name", help="Name of the source; else the file's.")] = "",
) -> None:
    """Write a first mapping file for a log of your own format, from its first 200 records.

    Fields are told by their names and values; each line shows the value it was guessed from, and fields that nothing was made of are listed.
    Read it, correct it, and look at what would become of the log with `governor sources preview`.

    Example: `governor sources draft calls.csv -o calls.yaml`
    """
    from governor.actions.draft_mapping import draft_mapping

    text = draft_mapping(file, name)
    if out is not None:
        write_new(out, text)
    session_of(ctx).print({"mapping": text, "file": str(out) if out else None}, lambda data: told(data, file))


def told(data: dict[str, Any], file: str) -> None:
    if data["file"] is None:
        typer.echo(data["mapping"], nl=False)
        return
    typer.echo(f"{data['file']}: read and correct it (docs/mappings.md), then look at what would become of the log:")
    typer.echo(f"  governor sources preview {quote(file)} --connector mapping:{quote(data['file'])}")


def _context(session: Session) -> Any:
    """The opened home, or None where there is none yet."""
    try:
        return session.context()
    except NotFound:
        return None


def show(data: dict[str, Any]) -> None:
    console = results()
    named = ", ".join(f"{name} ({count} file{'s' if count != 1 else ''})" for name, count in data["connectors"].items())
    forms = ", ".join(f"{form} {count:,}" for form, count in data["forms"].items()) or "no calls"
    console.print(cell(f"{data['file']}: read by {named}: {forms}"))
    shown = table(("time", "model", "status", "workflow", "owner", "because"), ("input", "cached", "output", "cost"))
    for row in data["first"]:
        model = row["response_model"] or row["requested_model"]
        asked = row["requested_model"]
        shown.add_row(
            *map(
                cell,
                (
                    row["start_time"],
                    model if asked in (None, model) else f"{asked} -> {model}",
                    row["status"],
                    row["workflow"] or (f"claims {row['claimed_workflow']}" if row["claimed_workflow"] else None),
                    row["owner"],
                    row["reason"],
                ),
            ),
            *[cell(row[name]) for name in ("input_tokens", "cache_read_tokens", "output_tokens")],
            cell(f"{row['cost_amount']} {row['cost_currency']}" if row["cost_amount"] is not None else None),
        )
    if data["first"]:
        console.print(shown)
    read = f"{data['records']:,} records" if data["complete"] else f"the first {data['records']:,} records"
    console.print(
        f"Of {read}: {data['calls']:,} calls ({data['without_usage']:,} without tokens, {data['without_cost']:,} without a cost), "
        f"{data['other_spans']:,} structure, {data['rejected']:,} would be refused. Nothing was stored.",
        highlight=False,
    )
    for one in data["reasons"]:
        example = one["example"]
        console.print(cell(f"{one['records']:,} x {example['reason']} (first: record {example['row']} of {example['uri']})"))
    if data["repeated_ids"]:
        console.print(f"{data['repeated_ids']:,} calls repeat the id of another: they would be duplicates or conflicts.", highlight=False)
    for name in data["not_recognised"]:
        console.print(cell(f"not recognised, would not be read: {name}"))
