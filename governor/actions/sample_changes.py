"""A random sample of decided changes, as an auditor draws it: from a whole population, under a seed that anybody can repeat.

Owns: the population's filters, the draw. Does not own: what a change is (show_change.py), its packet (export_packet.py).
Invariants: reads only; the order is SHA-256 over seed, newline, change id, so that `sha256sum` gives the same sample; the population is named by its digest;
what was withdrawn after it had been put before its deciders belongs to it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sqlmodel import col, select

from governor.actions.browse_catalog import browse_catalog
from governor.actions.context import Context
from governor.actions.packet_document import DECIDED
from governor.actions.show_change import row_document
from governor.changes import State
from governor.errors import Invalid
from governor.ledger.canonical import sha256_hex
from governor.store import ledger
from governor.store.rows.changes import Approval, Change

MOST: Final = 1000
USUAL: Final = 25
SEED: Final = re.compile(r"[\x21-\x7e]{1,200}")
RISKS: Final = ("low", "medium", "high")
STATES: Final = tuple(sorted({*DECIDED, str(State.WITHDRAWN)}))


@dataclass(frozen=True)
class Wish:
    """`since` and `until` are days (UTC, both included) of the decision; empty means no bound."""

    size: int = USUAL
    seed: str = ""
    since: str = ""
    until: str = ""
    risk: str = ""
    state: str = ""


def sample_changes(ctx: Context, wish: Wish) -> dict[str, Any]:
    """{"seed", "population", "population_sha256", "size", "items"}: items in the order of the draw, each with rank and what it was drawn by.

    Without a seed the root of the newest checkpoint is taken: public, and nobody could choose it.
    """
    if not 1 <= wish.size <= MOST:
        raise Invalid(f"a sample has 1 to {MOST} changes")
    if wish.risk and wish.risk not in RISKS:
        raise Invalid(f"unknown risk {wish.risk!r}", hint=f"risks: {', '.join(RISKS)}")
    if wish.state and wish.state not in STATES:
        raise Invalid(f"{wish.state!r} is no state of a decided change", hint=f"states: {', '.join(STATES)}")
    if wish.seed and not SEED.fullmatch(wish.seed):
        raise Invalid("a seed has 1 to 200 printable characters and no blank")
    since, until = day(wish.since, "from"), day(wish.until, "to")
    risks = {item["document"]["id"]: item["document"].get("risk_tier", "") for item in browse_catalog(ctx, kind="workflow")["items"]}
    with ctx.rows.session() as session:
        newest = ledger.latest_checkpoint(session, ctx.org)
        rows = session.exec(select(Change).where(Change.org_id == ctx.org, col(Change.state).in_(STATES)).order_by(col(Change.number)))
        population = [row for row in rows if _fits(row, wish, since, until, risks)]
        seed = wish.seed or (newest.root.hex() if newest is not None else "empty-ledger")
        drawn = sorted(((sha256_hex(f"{seed}\n{row.id}".encode()), row) for row in population), key=lambda one: one[0])
        chosen = drawn[: wish.size]
        votes = session.exec(
            select(Approval).where(Approval.org_id == ctx.org, col(Approval.change_id).in_([row.id for _, row in chosen]))
        ).all()
        return {
            "seed": seed,
            "population": len(population),
            "population_sha256": sha256_hex("".join(f"{row.id}\n" for row in population).encode()),
            "size": len(chosen),
            "items": [
                {
                    **row_document(row),
                    "rank": rank,
                    "drawn_by": key,
                    "risk": risks.get(row.workflow_id, ""),
                    "auth": sorted({vote.auth for vote in votes if vote.change_id == row.id and vote.decision == "approve"}),
                    "page": f"{ctx.settings.public_url.rstrip('/')}/changes/{row.id}",
                }
                for rank, (key, row) in enumerate(chosen, 1)
            ],
        }


def _fits(row: Change, wish: Wish, since: datetime | None, until: datetime | None, risks: dict[str, str]) -> bool:
    decided = row.decided_at or row.updated_at
    return (
        (row.state != State.WITHDRAWN or row.submitted_at is not None)
        and (since is None or decided.date() >= since.date())
        and (until is None or decided.date() <= until.date())
        and (not wish.risk or risks.get(row.workflow_id) == wish.risk)
        and (not wish.state or row.state == wish.state)
    )


def day(text: str, name: str) -> datetime | None:
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC) if text else None
    except ValueError:
        raise Invalid(f"{name}: {text!r} is not a day", hint="write YYYY-MM-DD") from None
