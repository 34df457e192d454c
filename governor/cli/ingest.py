"""`governor ingest`, `sync`, `calls` and `quarantine`: traffic in, calls out, and what was refused."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from governor.cli.session import Session, session_of
from governor.cli.tables import cell, results, table
from governor.errors import Invalid
from governor.store.whole_file import write_whole

calls_app = typer.Typer(help="The canonical calls: one row per attempt as one source saw it.", no_args_is_help=True)
quarantine_app = typer.Typer(help="Records that could not be read: why, another try, or none.", no_args_is_help=True)
NAMED = 20  # refused files


def ingest(
    ctx: typer.Context,
    connector: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="A connector (docs/connectors.md) such as litellm or otlp, mapping:FILE.yaml, or auto to detect (it says what it chose).",
        ),
    ],
    paths: Annotated[
        list[str], typer.Argument(metavar="PATH...", help="Files, folders, quoted globs, s3:// or gs:// URLs; gz and zst too.")
    ],
    source: Annotated[str, typer.Option("--source", help="Id of the configured source, where it differs from the connector's name.")] = "",
) -> None:
    """Read traffic into the lake. Reading the same file again stores nothing twice.

    Every record ends in exactly one of stored, duplicates (same key, same payload), conflicts (same key, another payload, kept apart)
    or quarantined (with the reason; see `governor quarantine list`). Spans that carry no model call are counted as other_spans.

    Example: `governor ingest auto export.jsonl`
    """
    from governor.actions.ingest import ingest as run
    from governor.actions.load_catalog import catalog_as_of

    session = session_of(ctx)
    refused: list[Invalid] = []
    catalog = catalog_as_of(session.context(pushing=True))
    if not catalog.workflows and (kept := catalog.capture(None)) in {"off", "hashed"}:
        session.note(
            f"No workflow is registered: of prompts and answers {'only hashes are' if kept == 'hashed' else 'nothing is'} kept, and what is not kept now "
            "cannot be had later. Shadow runs need it: after a first day, `governor catalog draft` and `governor apply` come before the rest (docs/catalog.md)."
        )
    try:
        with watching(session, "reading") as tell:
            counts = run(
                session.context(pushing=True),
                session.actor(),
                connector,
                paths,
                source=source,
                progress=tell,
                chosen=lambda name, files: session.note(f"{name}: {len(files)} file{'s' if len(files) != 1 else ''}"),
                refused=refused.append,
            )
    except KeyboardInterrupt:
        session.note("Stopped. What was committed stays, and the same command stores the rest, each call once.")
        raise
    words = "read {read:,}: stored {stored:,}, duplicates {duplicates:,}, conflicts {conflicts:,}, quarantined {quarantined:,}; other spans {other_spans:,}"
    session.print(counts, words.format(**counts))
    for line in afterwards(counts, connector, paths) if counts["read"] or not refused else []:
        session.note(line)
    if refused:
        more = f"; and {len(refused) - NAMED} more files" if len(refused) > NAMED else ""
        words = "; ".join(error.message for error in refused[:NAMED]) + more
        raise Invalid(words, hint=f"the other files were read{f'; {refused[0].hint}' if refused[0].hint else ''}")


def afterwards(counts: dict[str, Any], connector: str, paths: list[str]) -> list[str]:
    """What the counts alone would leave a person to find out: that nothing came, or why, and where to look."""
    look = f"`governor sources preview {paths[0]}` says what the file is; it stores nothing."
    if not (counts["read"] or counts["other_spans"]):
        return [f"There was nothing to read in {', '.join(paths[:3])}{' ...' if len(paths) > 3 else ''}. Was the export cut off?"]  # noqa: PLR2004 - a line
    lines = []
    if counts["conflicts"]:
        lines = [
            f"{counts['conflicts']:,} have the key of a stored call and say something else; they are kept apart: `governor calls conflicts`."
        ]
    if not counts["quarantined"]:
        return lines
    if counts["quarantined"] == counts["read"]:
        return [f"None of it is a call that {connector} can read: `governor quarantine list` says why. Another format? {look}"]
    return [*lines, f"{counts['quarantined']:,} could not be read: `governor quarantine list` says why."]


class watching:  # noqa: N801 - reads as a verb where it is used
    """A progress line with count, rate and time on stderr; silent when stderr is not a terminal."""

    def __init__(self, session: Session, what: str) -> None:
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:,.0f} records"),
            TimeElapsedColumn(),
        )
        rate, console = TextColumn("{task.fields[rate]}"), session.console
        self._progress = Progress(*columns, rate, console=console, transient=True, disable=not console.is_terminal)
        self._task = self._progress.add_task(what, total=None, rate="")

    def __enter__(self) -> Any:
        self._progress.start()
        return self._tell

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def _tell(self, done: int) -> None:
        task = self._progress.tasks[0]
        rate = f"{done / task.elapsed:,.0f}/s" if task.elapsed else ""
        self._progress.update(self._task, completed=done, rate=rate)


def sync(
    ctx: typer.Context,
    source: Annotated[str, typer.Argument(metavar="[SOURCE]", help="Id of a configured source; empty means all of them.")] = "",
) -> None:
    """Pull from the configured gateways (`kind: source` in the catalog) since the last cursor.

    Example: `governor sync litellm-prod`
    """
    from governor.actions.sync import sync as run

    session = session_of(ctx)
    with watching(session, "pulling") as tell:
        done = run(session.context(pushing=True), session.actor(), source, progress=tell)
    session.print(
        {"sources": done},
        "\n".join(f"{name}: stored {counts['stored']:,} of {counts['read']:,}" for name, counts in done.items())
        or "no source is configured; see docs/ingest.md",
    )


@calls_app.command("export")
def export(
    ctx: typer.Context,
    period: Annotated[str, typer.Option("--period", help="Calendar month, YYYY-MM.", show_default=False)],
    out: Annotated[Path, typer.Option("-o", "--out", help="Parquet file to write.", show_default=False)],
) -> None:
    """Write a month's calls as Parquet, cost bearing or not, with every column of docs/calls.md.

    Example: `governor calls export --period 2026-10 -o calls.parquet`
    """
    from governor.actions.export_calls import export_calls

    session = session_of(ctx)
    rows = export_calls(session.context(), session.actor(), period, out)
    session.print({"period": period, "rows": rows, "file": str(out)}, f"{rows:,} calls of {period} in {out}")


@calls_app.command("conflicts")
def conflicts(ctx: typer.Context, limit: Annotated[int, typer.Option("--limit", min=1, max=10_000)] = 100) -> None:
    """Payloads that arrived for a call that was stored with another payload; nothing was overwritten."""
    session = session_of(ctx)
    found = session.context().lake.conflicts(limit=limit)
    shown = [
        {name: row[name] for name in ("record_id", "source_instance", "source_record_id", "ingest_uri", "ingest_row", "detected_at")}
        for row in found
    ]
    session.print(
        {"conflicts": shown},
        "\n".join(f"{row['source_record_id']}  {row['ingest_uri']}:{row['ingest_row']}" for row in shown) or "no conflicts",
    )


@calls_app.command("raw")
def raw(
    ctx: typer.Context,
    record_id: Annotated[str, typer.Argument(metavar="CALL", help="The call's record id.")],
    out: Annotated[Path | None, typer.Option("-o", "--out", help="File to write, byte for byte; else it is printed.")] = None,
) -> None:
    """Show the record of a call as its source sent it, where it was archived (docs/content.md). Role security.

    The bytes are checked against the digest that the call names. Bytes that are not UTF-8 are printed as U+FFFD; a file has them as they are.

    Example: `governor calls raw CALL -o record.json`
    """
    from governor.actions.raw_record import raw_record

    session = session_of(ctx)
    found = raw_record(session.context(), session.actor(), record_id)
    told = {"record_id": found.record_id, "sha256": found.sha256, "uri": found.uri, "row": found.row, "bytes": len(found.body)}
    text = found.body.decode("utf-8", "replace")
    if out is not None:
        write_whole(out, found.body)
        session.print(told | {"file": str(out)}, f"{len(found.body):,} bytes in {out} (sha256 {found.sha256})")
        return
    session.print(told | {"record": text}, text)


OfSource = Annotated[str, typer.Option("--source", help="Only this source.")]
OfCode = Annotated[str, typer.Option("--code", help="Only reasons with this code, the word before the colon.")]


@quarantine_app.command("list")
def list_quarantine(
    ctx: typer.Context,
    source: OfSource = "",
    code: OfCode = "",
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000)] = 100,
) -> None:
    """Records that were refused, newest first, with the reason and where they came from."""
    session = session_of(ctx)
    found = session.context().lake.quarantine(source=source or None, code=code or None, limit=limit + 1, raw=False)
    rows = [
        {name: row[name] for name in ("id", "source", "connector", "ingest_uri", "ingest_row", "reason", "created_at")}
        for row in found[:limit]
    ]
    session.print(
        {"quarantine": rows, "more": len(found) > limit},
        show_quarantine if rows else f"Nothing{f' of {source}' if source else ''}{f' with {code}' if code else ''} is in quarantine.",
    )


def show_quarantine(data: dict[str, Any]) -> None:
    console = results()
    made = table(("id", "source", "where", "reason"), ())
    for row in data["quarantine"]:
        made.add_row(*map(cell, (row["id"][:12], row["source"], f"{Path(row['ingest_uri']).name}:{row['ingest_row']}", row["reason"])))
    console.print(made)
    if data["more"]:
        console.print("There are more: --limit shows up to 10,000, and the page of sources all of them.")
    console.print(
        "`governor quarantine retry ID...` reads them again, `--all` for every one; `discard` likewise gives up what can never be read."
    )


@quarantine_app.command("retry")
def retry(
    ctx: typer.Context,
    ids: Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="Ids, or their first characters.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Every open record.")] = False,
    source: OfSource = "",
    code: OfCode = "",
) -> None:
    """Read quarantined records again, after a fix of the connector or the source."""
    named_or_all(ids, every, source or code)
    from governor.actions.quarantine import retry as run

    session = session_of(ctx)
    counts = run(session.context(), session.actor(), ids or [], every=every, source=source, code=code)
    session.print(counts, "tried {read}: stored {stored}, still quarantined {quarantined}".format(**counts))


@quarantine_app.command("discard")
def discard(
    ctx: typer.Context,
    reason: Annotated[str, typer.Option("--reason", help="Why they can never be read; it goes into the ledger.")],
    ids: Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="Ids, or their first characters, each of one record.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Every open record, at most 100,000 at a time.")] = False,
    source: OfSource = "",
    code: OfCode = "",
) -> None:
    """Give up records that can never be read. They are open no longer; their bytes stay. Discarding again changes nothing.

    Example: `governor quarantine discard 9f2c11 --reason "half a line: the disk was full"`
    Example: `governor quarantine discard --all --source litellm-eu --code bad_time --reason "the test gateway had no clock"`
    """
    named_or_all(ids, every, source or code)
    from governor.actions.discard import discard as run
    from governor.actions.discard import discard_all

    session = session_of(ctx)
    if every:
        done = discard_all(session.context(), session.actor(), source=source, code=code, reason=reason)
        session.print(done, "discarded {discarded}, left {left}".format(**done) if done["discarded"] else "Nothing in quarantine matches.")
        return
    done = run(session.context(), session.actor(), ids or [], reason=reason)
    session.print(done, "discarded {discarded}, discarded before {already}".format(**done))


def named_or_all(ids: list[str] | None, every: bool, narrowed: str) -> None:
    if every and ids:
        raise typer.BadParameter("name records or take --all, not both")
    if narrowed and not every:
        raise typer.BadParameter("--source and --code narrow --all; records that are named need neither")
