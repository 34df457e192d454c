"""`governor erase`: what is held of one human being goes, and prompts, answers and raw records; entries, proofs and packets keep verifying."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from governor.cli.session import session_of

app = typer.Typer(help="Erasure on request: personal data goes, the record keeps verifying.", no_args_is_help=True)


@app.callback()
def erase() -> None:
    """Erasure on request: personal data goes, the record keeps verifying."""


@app.command("person")
def person(
    ctx: typer.Context,
    email: Annotated[str, typer.Argument(help="The person's e-mail address.")],
    reason: Annotated[str, typer.Option("--reason", help="Why, such as the request's number; kept as a personal field itself.")],
    legal_basis: Annotated[str, typer.Option("--legal-basis", help="What the erasure rests on.")] = "GDPR Art. 17",
) -> None:
    """Erase a person: name, address and words they wrote, from account and ledger disclosures. Role admin or security; recorded as redaction:done.

    Example: `governor erase person sol@acme.example --reason "request 17"`
    """
    from governor.actions.erase_person import erase_person

    session = session_of(ctx)
    done = erase_person(session.context(), session.actor(), email=email, reason=reason, legal_basis=legal_basis)
    fields = ", ".join(f"{count} {name}" for name, count in done["fields"].items()) or "none"
    left = done["remaining"]["catalog_versions"]
    kept = f"\n{left} earlier catalog documents still hold the address" if left else ""
    session.print(
        done, f"{done['person']} erased: {done['entries']} entries lost personal fields ({fields}); every proof still holds{kept}"
    )


@app.command("content")
def content(
    ctx: typer.Context,
    reason: Annotated[str, typer.Option("--reason", help="Why; goes on record.")],
    call: Annotated[list[str] | None, typer.Option("--call", help="Record id of a call; may be given several times.")] = None,
    end_user: Annotated[str, typer.Option("--end-user", help="Everything of this end user, as the source names them.")] = "",
    before: Annotated[datetime | None, typer.Option("--before", help="Everything of calls before this instant (UTC).")] = None,
) -> None:
    """Erase prompts, answers and archived records of calls: all given conditions must hold. Role admin or security; recorded as content:erase.

    Calls, hashes, evidence and proofs stay. A body that other calls share is erased for all of them.

    Example: `governor erase content --end-user user-1 --reason "request 4711"`
    """
    from governor.actions.erase import erase as run

    session = session_of(ctx)
    moment = before.replace(tzinfo=UTC) if before is not None and before.tzinfo is None else before
    done = run(session.context(), session.actor(), record_ids=call or (), end_user=end_user, before=moment, reason=reason)
    session.print(done, f"{done['calls']:,} calls named {done['objects']:,} bodies; {done['erased']:,} were held and are erased")
