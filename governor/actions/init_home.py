"""`governor init`: the first admin, list prices and the first ledger entry. Safe to run again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlmodel import select

from governor.actions.context import OPERATOR, SYSTEM, Context
from governor.actions.import_prices import import_seed
from governor.actions.people import create_first_admin
from governor.errors import Invalid
from governor.ledger.entry import EntryDraft
from governor.store.rows.people import Organization


def init_home(ctx: Context, *, email: str, name: str, billing_zone: str, note: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
    """Returns {"home", "org", "admin", "token", "message"}; token is null when the home had an admin already."""
    try:
        ZoneInfo(billing_zone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise Invalid(f"unknown time zone {billing_zone!r}", hint="use an IANA name such as Europe/Berlin") from error
    with ctx.transaction(OPERATOR) as tx:
        known = tx.session.exec(select(Organization).where(Organization.id == ctx.org)).first()
        if known is None:
            note("making the organization and its keys")
            tx.session.add(Organization(id=ctx.org, name=ctx.org, billing_zone=billing_zone, created_at=tx.now))
            tx.append(
                EntryDraft(
                    type="home:init",
                    stream=f"org/{ctx.org}",
                    payload={"org": ctx.org, "billing_zone": billing_zone},
                    actor=OPERATOR.ledger_ref(),
                    idem=f"home:init:{ctx.org}",
                    occurred_at=tx.now,
                )
            )
    note("importing list prices")
    import_seed(ctx, SYSTEM)
    token = create_first_admin(ctx, email=email, name=name)
    lines = [f"Governor home: {ctx.settings.home} (organization {ctx.org})"]
    if token is None:
        lines.append("It was initialised before; nothing changed.")
    else:
        lines += [f"Admin {email}. This token is shown once:", f"  export GOVERNOR_TOKEN={token}"]
    lines.append("Next: governor ingest auto FILE with a day of traffic, then governor catalog draft")
    return {"home": str(ctx.settings.home), "org": ctx.org, "admin": email, "token": token, "message": "\n".join(lines)}
