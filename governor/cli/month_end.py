"""`governor period ...`: the way to a close and back: checklist, soft close, two people, reopening, disputes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from governor.cli.period import Month, app
from governor.cli.session import session_of
from governor.cli.tables import cell, results, table

__all__ = ["app"]  # the group of period.py, with these commands

Reason = Annotated[str, typer.Option("--reason", help="Why; goes on record under your name.")]


@app.command("checklist")
def checklist(ctx: typer.Context, month: Month) -> None:
    """What is done for a month, what blocks its close, and who may act.

    Example: `governor period checklist 2026-10`
    """
    from governor.actions.close_checklist import close_checklist

    session = session_of(ctx)
    session.print(close_checklist(session.context(), month), show_checklist)


@app.command("soft-close")
def soft_close_(
    ctx: typer.Context,
    month: Month,
    out: Annotated[Path | None, typer.Option("--out", help="Directory for the journal with its reversal.")] = None,
    format_: Annotated[str, typer.Option("--format", help="The journal's format, one of `governor period formats`.")] = "generic",
) -> None:
    """Accrue a month, once: what is captured and what the forecast still expects. Its journal comes out in every format, then and later.

    `governor period export MONTH --accrual --format FORMAT` writes the same bytes again.

    Example: `governor period soft-close 2026-10 --out accrual/`
    """
    from governor.actions.export_month import export_month, formats_described
    from governor.actions.soft_close import soft_close
    from governor.errors import Invalid

    journals = [name for name, one in formats_described().items() if one.records == "journal"]
    if format_ not in journals:  # before anything is booked
        raise Invalid(f"--format {format_!r} is not a journal", hint=f"one of {', '.join(journals)}")

    session = session_of(ctx)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
    made = soft_close(session.context(), session.actor(), month)
    if out is not None:
        try:
            made["written"] = export_month(session.context(), session.actor(), month, format_, out=out, accrual=True)
        except Invalid as error:
            again = f"write it with `governor period export {month} --accrual --mapping FILE -o FILE`"
            raise Invalid(
                f"{month} is soft closed and {made['accrued']} USD are accrued, but the journal is not written: {error.message}",
                hint=f"{error.hint}; {again}" if error.hint else again,
            ) from None
    session.print(made, f"{month}: {made['accrued']} USD accrued, of it {made['expected']} expected; reversed on {made['reversal_date']}")


@app.command("withdraw")
def withdraw_(ctx: typer.Context, month: Month, reason: Reason = "") -> None:
    """Take back the first signature of a close that waits for a second person, or a close that broke off.

    Example: `governor period withdraw 2026-10`
    """
    from governor.actions.sign_close import withdraw

    session = session_of(ctx)
    session.print(withdraw(session.context(), session.actor(), month, reason), f"{month} is open; nothing is signed")


@app.command("reopen")
def reopen_(ctx: typer.Context, month: Month, reason: Reason = "") -> None:
    """Reopen the newest closed month. The first person asks with a reason, another person of finance or admin runs it again to agree.

    What the close wrote is kept as a version; closing again makes the next one.

    Example: `governor period reopen 2026-10 --reason "a bill of another company was mapped"`
    """
    from governor.actions.reopen_period import reopen

    session = session_of(ctx)
    done = reopen(session.context(), session.actor(), month, reason)
    words = "is open again" if done["state"] == "open" else "stays closed until another person agrees"
    session.print(done, f"{month} {words}")


@app.command("versions")
def versions_(ctx: typer.Context, month: Month) -> None:
    """Closes of a month that were reopened, with reason, people and files.

    Example: `governor period versions 2026-10`
    """
    from governor.actions.reopen_period import versions

    session = session_of(ctx)
    session.print({"items": versions(session.context(), month)}, show_versions)


@app.command("dispute")
def dispute_(
    ctx: typer.Context, month: Month, line: Annotated[str, typer.Argument(help="line_id from the statement's CSV.")], reason: Reason
) -> None:
    """Disagree with a line of a closed statement.

    Example: `governor period dispute 2026-10 LINE --reason "not ours"`
    """
    from governor.actions.dispute_line import dispute_line

    session = session_of(ctx)
    made = dispute_line(session.context(), session.actor(), month, line, reason)
    session.print(made, f"dispute {made['id']} of line {line}{' (after the date the statement names)' if made['late'] else ''}")


@app.command("answer")
def answer_(
    ctx: typer.Context,
    dispute: Annotated[str, typer.Argument(help="Id of the dispute.")],
    verdict: Annotated[str, typer.Argument(help="upheld or rejected.")],
    reason: Reason,
) -> None:
    """Answer a dispute. What is upheld is put right in the catalog, prices or records and becomes a correction by itself.

    Example: `governor period answer DISPUTE upheld --reason "mapped to CC-4100 from now on"`
    """
    from governor.actions.dispute_line import answer_dispute

    session = session_of(ctx)
    made = answer_dispute(session.context(), session.actor(), dispute, verdict, reason)
    session.print(made, f"dispute {made['id']}: {made['state']}")


@app.command("disputes")
def disputes_(ctx: typer.Context, month: Annotated[str, typer.Argument(help="YYYY-MM; default: all months.")] = "") -> None:
    """Disputes and their answers, newest first."""
    from governor.actions.dispute_line import list_disputes

    session = session_of(ctx)
    session.print({"items": list_disputes(session.context(), month)}, show_disputes)


def show_checklist(found: dict[str, Any]) -> None:
    made = table(
        ("item", "state", "what", "who"), (), title=f"{found['period']}: {found['stage'].replace('_', ' ')}, version {found['version']}"
    )
    for one in found["items"]:
        made.add_row(*(cell(one[name]) for name in ("name", "state", "text", "who")))
    results().print(made)


def show_versions(found: dict[str, Any]) -> None:
    for one in found["items"]:
        typer.echo(f"version {one['version']}: {one['total']} USD, closed {one['closed_at']} by {one['closed_by']}")
        typer.echo(f"  reopened {one['reopened_at']}: {one['reason']} (asked by {one['asked_by']}, agreed by {one['agreed_by']})")
        for file in one["files"]:
            typer.echo(f"  {file['name']}  {file['sha256']}")
    if not found["items"]:
        typer.echo("never reopened")


def show_disputes(found: dict[str, Any]) -> None:
    for one in found["items"]:
        typer.echo(f"{one['id']}  {one['month']}  {one['cost_center']}  line {one['line']}  {one['state']}")
        typer.echo(f"  {one['opened_by']}: {one['reason']}")
        if one["answer"]:
            typer.echo(f"  {one['answered_by']}: {one['answer']}")
    if not found["items"]:
        typer.echo("no dispute")
