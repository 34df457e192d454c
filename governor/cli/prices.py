"""`governor prices`: propose list prices and decide on them, see what a model costs."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from governor.cli.session import session_of

if TYPE_CHECKING:
    from governor.prices.seed import Seed

app = typer.Typer(help="The price book: dated list prices; contract prices come from the catalog.", no_args_is_help=True)
Source = Annotated[
    str,
    typer.Argument(
        help="`genai-prices` for the installed package, or a file: LiteLLM's model map or OpenRouter's models (JSON), or a price CSV."
    ),
]

Begins = Annotated[
    str,
    typer.Option(
        "--from", help="Instant or day from which prices hold that name none themselves; default: ever, so that the past is rated at them."
    ),
]


Withdraw = Annotated[
    bool,
    typer.Option(
        "--withdraw",
        help="Prices of the models it names that it no longer has end: with --from on that day, else they never held (a zero that was a mistake).",
    ),
]


def read(source: str, begins: str = "", *, withdraw: bool = False) -> Seed:
    """The set of prices a source names. Raises NotFound or Invalid."""
    from dataclasses import replace

    from governor.errors import Invalid
    from governor.prices.price import EVER

    seed, start = _read(source), moment(begins, "--from")
    seed = replace(seed, withdraw=start or EVER) if withdraw else seed
    if start is None or seed.undated or withdraw:
        return seed if start is None else seed.beginning(start)
    raise Invalid(f"--from {begins}: every price of {source} names its own first day", hint="leave it out")


def _read(source: str) -> Seed:
    from governor.errors import Invalid, NotFound
    from governor.prices.formats import read_prices
    from governor.prices.seed import genai_seed

    if source == "genai-prices":
        return genai_seed()
    path = Path(source)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise NotFound(f"{source}: {error.strerror}", hint="give a file, or genai-prices") from None
    except UnicodeDecodeError:
        raise Invalid(f"{source} is not UTF-8 text") from None
    return read_prices(text, path.name)


@app.command("import")
def import_(
    ctx: typer.Context,
    source: Source,
    approve: Annotated[bool, typer.Option("--approve", help="Approve it at once; needs role finance.")] = False,
    begins: Begins = "",
    withdraw: Withdraw = False,
) -> None:
    """Propose a set of list prices. It prices nothing until a person of finance approves the difference it makes.

    Who may propose: finance or admin (GOVERNOR_TOKEN), or without a token the operator of an embedded home, who is whoever can write its folder.
    What the set does not name stays, but for what `--withdraw` ends.

    Example: `governor prices import models.json --from 2026-11-15`
    """
    from governor.actions.import_prices import import_prices
    from governor.actions.propose_prices import propose_prices

    session = session_of(ctx)
    context, actor, seed = session.context(), session.actor(), read(source, begins, withdraw=withdraw)
    evidence = Path(source).read_bytes() if source != "genai-prices" else None
    made = import_prices(context, actor, seed, evidence=evidence) if approve else propose_prices(context, actor, seed, evidence=evidence)
    for note in made["notes"]:
        session.note(f"note: {note}")
    if seed.undated and made["state"] is not None:
        session.note(f"note: {seed.undated} prices name no first day and hold for all of the past; `--from DAY` begins them then")
    if made["state"] == "proposed":
        session.note(
            f"look with `governor prices proposal {made['proposal']}`; a person of finance approves with `governor prices approve {made['proposal']}`"
        )
    session.print(
        made,
        f"{made['source']} {made['source_version']}: {made['added']} entries added, {made['changed']} changed, {made['unchanged']} unchanged, "
        f"{made['missing_kept']} not named and kept, {made['prices_kept']} prices inside named entries that it lacks and kept, {made['prices_withdrawn']} withdrawn; "
        f"{made['jumps_over_20_percent']} jumps over 20%, {made['unmatched_count']} models would lose their price; digest {made['digest'][:16]}\n"
        + (f"{made['proposal']}: {made['state']}" if made["proposal"] else "nothing to change"),
    )


@app.command("proposals")
def proposals(ctx: typer.Context, state: Annotated[str, typer.Option("--state", help="proposed, approved or rejected.")] = "") -> None:
    """Sets of list prices that were proposed, newest first."""
    from governor.actions.propose_prices import list_proposals

    session = session_of(ctx)
    rows = list_proposals(session.context(), state=state)
    session.print(
        rows,
        "\n".join(
            f"{row['proposal']:<7} {row['state']:<9} {row['proposed_at'][:16]} {row['source']} {row['source_version']} ({row['rows']} prices)"
            for row in rows
        )
        or "no proposals",
    )


@app.command("proposal")
def proposal(
    ctx: typer.Context,
    proposal_id: Annotated[str, typer.Argument(metavar="PROPOSAL", help="Such as PP-1.")],
    limit: Annotated[int, typer.Option("--limit", min=1, help="Changes to list, jumps over 20% first.")] = 50,
) -> None:
    """What a proposal changes: added, changed, removed, jumps, amounts with their currency.

    Example: `governor prices proposal PP-1`
    """
    from governor.actions.propose_prices import show_proposal

    session = session_of(ctx)
    found = show_proposal(session.context(), proposal_id, limit=limit)
    session.note(
        f"{found['proposal']} {found['state']}, {found['source']} {found['source_version']}, difference {found['difference_digest'] or 'as decided'}"
    )
    session.print(found, lambda one: show_difference(one["difference"]))


@app.command("approve")
def approve_(
    ctx: typer.Context,
    proposal_id: Annotated[str, typer.Argument(metavar="PROPOSAL", help="Such as PP-1.")],
    difference: Annotated[
        str, typer.Option("--difference", help="Digest of the difference you saw; refused when it is another one now.")
    ] = "",
    reason: Annotated[str, typer.Option("--reason", help="Kept in the ledger.")] = "",
) -> None:
    """Make a proposal a version of the price book. Role finance.

    Example: `governor prices approve PP-1`
    """
    _decide(ctx, proposal_id, True, difference, reason)


@app.command("reject")
def reject(
    ctx: typer.Context,
    proposal_id: Annotated[str, typer.Argument(metavar="PROPOSAL", help="Such as PP-1.")],
    reason: Annotated[str, typer.Option("--reason", help="Kept in the ledger; needed.")] = "",
) -> None:
    """Refuse a proposal. Role finance.

    Example: `governor prices reject PP-1 --reason "the invoice says otherwise"`
    """
    _decide(ctx, proposal_id, False, "", reason)


def _decide(ctx: typer.Context, proposal_id: str, approve: bool, difference: str, reason: str) -> None:
    from governor.actions.propose_prices import decide_proposal

    session = session_of(ctx)
    said = decide_proposal(session.context(), session.actor(), proposal_id, approve=approve, difference_digest=difference, reason=reason)
    session.print(said, f"{said['proposal']}: {said['state']}" + (f", {said['stored']} prices stored" if approve else ""))


@app.command("diff")
def diff(
    ctx: typer.Context,
    source: Source,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Changes to list, jumps over 20% first.")] = 50,
    begins: Begins = "",
    withdraw: Withdraw = False,
) -> None:
    """What importing a set of list prices would change. Writes nothing.

    Example: `governor prices diff prices.csv`
    """
    from governor.actions.import_prices import preview

    session = session_of(ctx)
    found = preview(session.context(), read(source, begins, withdraw=withdraw))
    session.print(found.document(limit), show_difference)


@app.command("show")
def show(
    ctx: typer.Context,
    model: Annotated[str, typer.Argument(help="provider/model, or a model of any provider.")],
    at: Annotated[str, typer.Option("--at", help="Instant or day the price is asked for; default: now.")] = "",
    tier: Annotated[str, typer.Option("--tier", help="Service tier, such as batch or priority.")] = "",
    region: Annotated[str, typer.Option("--region", help="Region, where prices differ by it.")] = "",
) -> None:
    """What a model costs at an instant: list and contract, per meter and context band.

    Example: `governor prices show openai/gpt-4o --at 2026-10-15 --tier batch`
    """
    from governor.actions.import_prices import show_price

    session = session_of(ctx)
    session.print(show_price(session.context(), model, at=moment(at), tier=tier, region=region), show_prices)


def moment(text: str, option: str = "--at") -> datetime | None:
    from governor.catalog.moments import begins, moment_text
    from governor.errors import Invalid

    if not text:
        return None
    try:
        return begins(moment_text(text))
    except ValueError as error:
        raise Invalid(f"{option} {text!r}: {error}") from None


def show_difference(found: dict[str, Any]) -> None:
    typer.echo(
        f"{found['added']} added, {found['changed']} changed, {found['unchanged']} unchanged, {found['missing_kept']} not named (they stay), "
        f"{found['prices_kept']} prices inside named entries that this source lacks (they stay), {found.get('prices_withdrawn', 0)} withdrawn"
    )
    for name in found["unmatched"]:
        typer.echo(
            f"  {name} would LOSE its price: the source narrows which models its entry speaks for, or prices it in another currency than USD"
        )
    for change in found["changes"]:
        mark = " JUMP" if change["jump"] else ""
        place = "".join(f" {change[name]}" for name in ("service_tier", "region") if change[name])
        place += f" from {change['context_min']:,} input tokens" if change["context_min"] else ""
        place += f" from {change['valid_from'][:10]}" if change["valid_from"] else ""
        typer.echo(
            f"  {change['provider']}/{change['model']} {change['meter']}{place}: {change['before'] or '-'} -> {change['after'] or '-'}{mark}"
        )


def show_prices(found: dict[str, Any]) -> None:
    for entry in found["prices"]:
        typer.echo(f"{entry['provider']}/{entry['model']} at {found['at']}")
        if entry["unpriced"]:
            near = ", ".join(entry["unpriced"]["alike"])
            typer.echo(f"  unpriced: {entry['unpriced']['detail']}{f'; did you mean {near}?' if near else ''}")
        for row in entry["rates"]:
            band = f" from {row['context_min']:,} input tokens" if row["context_min"] else ""
            typer.echo(
                f"  {row['meter']:<16} {row['amount']:>12} USD per {row['per']:,}  {row['kind']}{band}{', ' + row['terms'] if row.get('terms') else ''}"
            )
