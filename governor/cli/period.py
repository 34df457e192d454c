"""`governor period`: look at a month, close it, sign an exception, fetch its files."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from governor.cli.bills import BillCommand, pairs_of, rates_of, show_reconciliation
from governor.cli.session import session_of

app = typer.Typer(help="Billing months: status, close, exceptions, files.", no_args_is_help=True)
Month = Annotated[str, typer.Argument(help="Calendar month in the organization's billing zone, YYYY-MM.")]


@app.command("status")
def status(ctx: typer.Context, month: Month) -> None:
    """Where a month stands on its way, and what closing would do now or did: coverage, totals, corrections of earlier months.

    Example: `governor period status 2026-10`
    """
    from governor.actions.browse_periods import period_status

    session = session_of(ctx)
    session.print(period_status(session.context(), month), show)


@app.command("close")
def close(
    ctx: typer.Context,
    month: Month,
    out: Annotated[Path | None, typer.Option("--out", help="Directory for the files; default: in the home.")] = None,
) -> None:
    """Close a month: statement CSV and PDF per cost center, FOCUS 1.2 CSV, journal CSV, sealed in the ledger.

    Refused below 95% coverage unless an exception is in force (`governor period except`). Closing again hands out the same files.

    Example: `governor period close 2026-10 --out close/`
    """
    from governor.actions.close_period import close as close_month

    session = session_of(ctx)
    if out is not None:  # a folder that cannot be written is said before the month is closed
        out.mkdir(parents=True, exist_ok=True)
    closed = close_month(session.context(), session.actor(), month, out)
    for warning in closed["warnings"]:
        session.note(f"warning: {warning}")
    session.print(closed, show)


@app.command("reconcile", cls=BillCommand)
def reconcile(
    ctx: typer.Context,
    month: Month,
    bill: Annotated[
        list[str] | None,
        typer.Option(
            "--bill",
            metavar="SOURCE FILE...",
            help="Reader (or auto) and the provider's files; again for another provider. Default: stored bills.",
        ),
    ] = None,
    fx: Annotated[
        list[str] | None,
        typer.Option("--fx", metavar="CUR=RATE", help="USD for one unit of a currency, such as EUR=1.08: the rate of your books."),
    ] = None,
) -> None:
    """Compare a month with the providers' bills: net and gross error, and a bridge by cause that sums to invoice minus ours.

    Days that the provider may still change are pending. Who may: finance, admin, or the operator of an embedded home.

    Example: `governor period reconcile 2026-10 --bill openai costs.json`
    """
    from governor.actions.read_bill import payloads_of
    from governor.actions.reconcile_period import reconcile_period

    session = session_of(ctx)
    files: dict[str, list[str]] = {}
    for source, file in pairs_of(bill or []):
        files.setdefault(source, []).append(file)
    given = [(source, payloads_of(names)) for source, names in files.items()]
    session.print(reconcile_period(session.context(), session.actor(), month, bills=given, booked=rates_of(fx or [])), show_reconciliation)


@app.command("except")
def except_(
    ctx: typer.Context,
    month: Month,
    reason: Annotated[str, typer.Option("--reason", help="Why the month may close below 95% coverage.")],
    control: Annotated[str, typer.Option("--control", help="What is done instead, such as a manual review.")],
    expires: Annotated[str, typer.Option("--expires", help="Last day it holds, YYYY-MM-DD; default: in 14 days.")] = "",
) -> None:
    """Sign that a month may close below the coverage limit. Goes on record under your name.

    Example: `governor period except 2026-10 --reason "one team is not mapped yet" --control "its invoice is checked by hand"`
    """
    from governor.actions.except_coverage import except_coverage
    from governor.errors import Invalid

    session = session_of(ctx)
    try:
        until = datetime.fromisoformat(expires).replace(hour=23, minute=59, second=59, tzinfo=UTC) if expires else None
    except ValueError:
        raise Invalid(f"--expires {expires!r} is not a day", hint="write YYYY-MM-DD") from None
    made = except_coverage(session.context(), session.actor(), month, reason=reason, compensating_control=control, expires_at=until)
    session.print(made, f"exception {made['id']} for {month}, until {made['expires_at']}")


@app.command("files")
def files(
    ctx: typer.Context,
    month: Month,
    out: Annotated[Path | None, typer.Option("--out", help="Directory for the files; default: in the home.")] = None,
) -> None:
    """Write the files of a closed month again, byte for byte.

    Example: `governor period files 2026-10 --out again/`
    """
    from governor.actions.close_period import hand_out

    session = session_of(ctx)
    session.print(hand_out(session.context(), month, out), show)


@app.command("export")
def export(
    ctx: typer.Context,
    month: Month,
    format_: Annotated[
        str, typer.Option("--format", help="A format of `governor period formats`, such as netsuite, stripe or focus-1.3.")
    ] = "",
    out: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The file to write, or a folder; .parquet for FOCUS as Parquet. Default: MONTH-FORMAT here."),
    ] = None,
    mapping: Annotated[
        Path | None, typer.Option("--mapping", help="Your own mapping file (YAML); `extends: netsuite` starts from a shipped one.")
    ] = None,
    accrual: Annotated[
        bool, typer.Option("--accrual", help="The accrual that the soft close booked, with its reversal on the next first.")
    ] = False,
) -> None:
    """Write a closed month in the format of another system: a journal, usage events or FOCUS. Files only; nothing is sent.

    Beside the file: FILE.sha256 and FILE.control.json (records and sums). The same month and mapping give the same bytes and ids.

    Example: `governor period export 2026-10 --format netsuite -o je.csv`
    """
    from governor.actions.export_month import export_month

    session = session_of(ctx)
    text = read_mapping(mapping) if mapping else None
    session.print(export_month(session.context(), session.actor(), month, format_, out=out, mapping=text, accrual=accrual), show_export)


@app.command("formats")
def formats(ctx: typer.Context, name: Annotated[str, typer.Argument(help="Print the mapping file of this format.")] = "") -> None:
    """The formats that `period export` writes; with a name, the mapping file to start your own from."""
    from governor.actions.export_month import formats_known
    from governor.errors import NotFound

    known = formats_known()
    if name and not known.get(name):
        raise NotFound(f"no mapping file {name!r}", hint="`governor period formats` lists them")
    session_of(ctx).print({name: known[name]} if name else list(known), known[name].rstrip() if name else "\n".join(known))


def read_mapping(file: Path) -> str:
    from governor.errors import Invalid, NotFound

    if not file.is_file():
        raise NotFound(f"no mapping file {file}")
    if file.stat().st_size > 1 << 20:
        raise Invalid(f"{file} is larger than 1 MiB")
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise Invalid(f"{file} is not UTF-8 text") from None


def show_export(made: dict[str, Any]) -> None:
    control = made["control"]
    typer.echo(f"{made['file']}  {made['bytes']:,} bytes  sha256 {made['sha256']}")
    typer.echo("  " + ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in control.items()))


def show(result: dict[str, Any]) -> None:
    """The month in a few lines."""
    coverage, totals = result["coverage"], result["totals"]
    typer.echo(f"{result['period']}: {result['state']}, lake snapshot {result['snapshot']}")
    for one in result.get("way", []):
        when = f" {one['at'][:10]}" if one["at"] else ""
        typer.echo(
            f"  {'>' if one['state'] == 'now' else ' '} {one['words']}: {one['state']}{when}{' by ' + one['by'] if one['by'] else ''}; {one['text']}"
        )
    if coverage.get("nothing_to_cover"):  # a month closed by an earlier version does not say
        typer.echo(f"  nothing to cover: no spend this month ({coverage['calls']:,} calls)")
    else:
        enough = "enough" if coverage["sufficient"] else "below 95%"
        typer.echo(f"  coverage {coverage['percent']}% of {coverage['total_spend']} USD ({enough})")
        for name, share in coverage["parts"].items():
            typer.echo(f"    {name.replace('_', ' ')} {share}%")
    show_gaps(result.get("gaps", []))
    stated = f", stated at {totals['local_total']} {totals['local_currency']}" if "local_total" in totals else ""
    typer.echo(
        f"  {'statement' if 'statement_total' in totals else 'contracted cost so far'} {totals.get('statement_total', totals['contracted_cost'])} USD{stated}"
    )
    for found in result["corrections"]:
        typer.echo(f"  corrections of {found['charge_month']}: {found['lines']} lines")
    for reason in result.get("reasons", []):
        typer.echo(f"  cannot close: {reason}")
    for warning in result["warnings"] if result["state"] != "closed" else []:
        typer.echo(f"  warning: {warning}")
    for file in result["files"]:
        typer.echo(f"  {file['name']}  {file['bytes']:,} bytes  {file['total'] or ''}")
    if "out" in result:
        typer.echo(f"written to {result['out']}")


def show_gaps(gaps: list[dict[str, Any]]) -> None:
    """What keeps an open month below 95%, and what to do about each kind of it."""
    from governor.actions.coverage_gaps import advice

    if gaps:
        typer.echo("  what is missing, the biggest first, and the coverage once it and all above it are mended:")
    for gap in gaps:
        typer.echo(
            f"    {gap['percent']:>6}%  then {gap['percent_then']:>6}%  {gap['text']} ({gap['calls']:,} call{'s' if gap['calls'] != 1 else ''})"
        )
    for words in advice(gaps):
        typer.echo(f"    {words}")
