"""`governor bills`: read providers' bills, list them, look inside; and how `--bill SOURCE FILE...` is written on a command line."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from typer.core import TyperCommand

from governor.cli.session import session_of

app = typer.Typer(help="Providers' bills: import, list, show. `governor period reconcile` compares them.", no_args_is_help=True)
JOINED: Final = "\x1f"  # no path holds it
SHOWN: Final = 10


class BillCommand(TyperCommand):
    """A command whose `--bill` takes a source and every word up to the next option."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, spread(args))


def spread(words: list[str]) -> list[str]:
    """`--bill aws a.csv b.csv` as one `--bill` per file."""
    found: list[str] = []
    queue = list(words)
    while queue:
        word = queue.pop(0)
        if word == "--bill" and queue and not queue[0].startswith("--"):
            source, files = queue.pop(0), []
            while queue and not queue[0].startswith("--"):
                files.append(queue.pop(0))
            for file in files or [""]:
                found += ["--bill", f"{source}{JOINED}{file}"]
        else:
            found.append(word)
    return found


def pairs_of(values: Iterable[str]) -> list[tuple[str, str]]:
    """(source, file) of each `--bill`. Raises a usage error for a source without a file, or a file without a source."""
    found = []
    for value in values:
        source, _, file = value.partition(JOINED)
        if not file and Path(source).exists():
            source, file = "auto", source
        if not file:
            raise typer.BadParameter(f"--bill {source}: name the provider and its files, such as --bill openai costs.json")
        found.append((source, file))
    return found


def rates_of(values: Iterable[str]) -> dict[str, Decimal]:
    """`EUR=1.08` as a rate in USD."""
    rates: dict[str, Decimal] = {}
    for value in values:
        currency, _, text = value.partition("=")
        try:
            rate = Decimal(text)
        except InvalidOperation:
            rate = Decimal(0)
        name = currency.strip().upper()
        if len(name) != 3 or not (name.isascii() and name.isalpha()) or name == "USD" or not rate.is_finite() or rate <= 0:  # noqa: PLR2004 - ISO 4217
            raise typer.BadParameter(f"--fx {value}: write a currency and what one unit of it is in USD, such as EUR=1.08")
        rates[name] = rate
    return rates


@app.command("import")
def import_(
    ctx: typer.Context,
    source: Annotated[str, typer.Argument(help="Reader: openai, anthropic, aws, azure, focus, gcp, openrouter, csv, or auto.")],
    files: Annotated[list[str], typer.Argument(help="Files, folders or globs of one bill; pages of an answer belong together.")],
) -> None:
    """Store a bill. The same files again change nothing; a newer bill of the same days replaces the older one in comparisons.

    Who may: finance or admin (GOVERNOR_TOKEN), or without a token the operator of an embedded home.

    Example: `governor bills import openai costs.json`
    """
    from governor.actions.import_bill import import_bills
    from governor.actions.read_bill import payloads_of

    session = session_of(ctx)
    made = import_bills(session.context(), session.actor(), source, payloads_of(files))
    for bill in made:
        for one in bill["rejected"][:SHOWN]:
            session.note(f"not understood: {one['file']} row {one['row']}: {one['field']} {one['reason']}")
    session.print({"bills": made}, show_all)


@app.command("list")
def list_(
    ctx: typer.Context, month: Annotated[str, typer.Option("--month", help="Only bills with a line of this month, YYYY-MM.")] = ""
) -> None:
    """Bills that were imported, newest first."""
    from governor.actions.import_bill import list_bills

    session = session_of(ctx)
    session.print({"bills": list_bills(session.context(), month)}, show_all)


@app.command("show")
def show(ctx: typer.Context, bill: Annotated[str, typer.Argument(help="Id of the import.")]) -> None:
    """One bill: its files, what was not understood, every line.

    Example: `governor bills show BILL`
    """
    from governor.actions.import_bill import show_bill

    session = session_of(ctx)
    session.print(show_bill(session.context(), bill), show_one)


def show_all(found: dict[str, Any]) -> None:
    if not found["bills"]:
        typer.echo("no bill was imported yet: governor bills import SOURCE FILE...")
    for bill in found["bills"]:
        amounts = ", ".join(f"{amount} {currency}" for currency, amount in bill["totals"].items()) or "tokens only"
        known = " (known already)" if bill.get("known") else ""
        typer.echo(
            f"{bill['id']}  {bill['source']:<10} {bill['first_day']} to {bill['last_day']}  {bill['lines']:,} lines  {amounts}{known}"
        )
        if bill["rejected"]:
            typer.echo(f"  {len(bill['rejected'])} rows were not understood: governor bills show {bill['id']}")
        if bill["skipped"]:
            typer.echo("  rows of other products: " + ", ".join(f"{name} {count:,}" for name, count in sorted(bill["skipped"].items())))


def show_one(bill: dict[str, Any]) -> None:
    show_all({"bills": [bill]})
    for file in bill["files"]:
        typer.echo(f"  {file['name']}  {file['bytes']:,} bytes  sha256 {file['sha256'][:16]}")
    for one in bill["rejected"]:
        typer.echo(f"  not understood: {one['file']} row {one['row']}: {one['field']} {one['reason']}")
    for line in bill["items"]:
        what = " ".join(str(line[name]) for name in ("model", "meter", "tier") if line[name])
        typer.echo(
            f"  {line['day']}  {line['kind']:<10} {what:<44} {line['quantity'] or '-':>14}  {line['amount'] or '-':>16} {line['currency']}"
        )


def show_reconciliation(found: dict[str, Any]) -> None:
    """The result in a few lines, the bridge as a list, the worst keys."""
    typer.echo(f"{found['period']}: {found['status']}")
    typer.echo(f"  ours {found['ours']} USD, invoice {found['invoice']} USD, difference {found['difference']} USD")
    for name in ("net", "gross"):
        typer.echo(f"  {name} error {found[name]['amount']} USD ({found[name]['percent'] or '-'}% of billed usage)")
    for cause, amount in found["bridge"].items():
        if Decimal(amount):
            typer.echo(f"    {cause.replace('_', ' '):<20} {amount:>22} USD")
    open_ = [line for line in found["lines"] if Decimal(line["difference"])]
    for line in open_[:SHOWN]:
        key = " ".join(line[name] for name in ("day", "issuer", "account", "model", "meter", "tier") if line[name])
        typer.echo(f"  {key}: ours {line['ours']}, billed {line['billed']} ({', '.join(line['causes']) or 'no cause'})")
    if len(open_) > SHOWN:
        typer.echo(f"  and {len(open_) - SHOWN:,} more lines that differ: --json has them all")
    _show_what_is_missing(found)


def _show_what_is_missing(found: dict[str, Any]) -> None:
    """Days, bills and rows that are in no number, and what to know about the others."""
    if found["pending_days"]:
        typer.echo(f"  pending: {', '.join(sorted({one['issuer'] + ' ' + one['day'] for one in found['pending_days']}))}")
    for one in found["without_bill"]:
        typer.echo(f"  no bill of {one['issuer']}: ours is {one['ours']} USD")
    for one in found["quarantined"]:
        typer.echo(f"  not understood: {one['file']} row {one['row']}: {one['field']} {one['reason']}")
    for bill in found["bills"]:
        if bill["superseded"]:
            names, known = ", ".join(file["name"] for file in bill["files"]), bill["used"] + bill["superseded"]
            typer.echo(f"  {names}: {bill['superseded']:,} of {known:,} lines are replaced by a newer bill")
    for note in found["notes"]:
        typer.echo(f"  note: {note}")
