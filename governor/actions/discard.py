"""`quarantine:discard`: somebody says that records can never be read, and why.

Owns: which records, the refusals, the ledger entry. Does not own: their state (store/lake), another try (quarantine.py).
Invariants: the entry is written first, so that nothing is ever discarded without its reason; doing it again finishes what a crash left and writes no second
entry; the bytes that were kept stay.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from governor.actions.browse_sources import tally_quarantined
from governor.actions.context import Actor, Context
from governor.actions.quarantine import held, may_decide
from governor.errors import Invalid, WrongState
from governor.ledger.canonical import canonical_json, sha256_hex
from governor.ledger.entry import EntryDraft

SHOWN: Final = 100  # ids inside the ledger entry, a leaf is at most 16 KiB; the digest is over all of them
LONGEST_REASON: Final = 2000


def discard(ctx: Context, actor: Actor, ids: Sequence[str], *, reason: str) -> dict[str, int]:
    """Give up the named open records (or their id prefixes, each of one record). Returns {"discarded", "already"}.

    Raises Invalid without ids or a reason or where a prefix names several, NotFound, WrongState for a record that was read meanwhile, Forbidden.
    """
    if not ids:
        raise Invalid("name the records to discard", hint="`governor quarantine list` shows their ids; all can be discarded at once")
    may_discard(actor, reason)
    found = held(ctx, actor, ids, state=None, raw=False)
    for wanted in ids:
        meant = sum(str(row["id"]).startswith(wanted) for row in found)
        if meant > 1:
            raise Invalid(f"{wanted} names {meant} records", hint="write more characters of the id")
    for row in found:
        if row["state"] == "retried":
            raise WrongState(f"{row['id']} was read when it was retried", hint="there is nothing to discard")
    left = [row for row in found if row["state"] == "open"]
    give_up(ctx, actor, left, reason)
    return {"discarded": len(left), "already": len(found) - len(left)}


def discard_all(ctx: Context, actor: Actor, *, source: str = "", code: str = "", reason: str, mark: str = "") -> dict[str, int]:
    """Give up every open record, of a source and with a code of reason where these are given; at most MOST at a time, the newest. Returns {"discarded", "left"}.

    mark: of `tally_quarantined`, where somebody looked first. Raises WrongState where other records match now, Invalid without a reason, Forbidden.
    """
    may_discard(actor, reason)
    tally = tally_quarantined(ctx, source=source, code=code)
    if mark and tally["mark"] != mark:
        raise WrongState(
            f"other records match than when you looked, {tally['records']:,} of them now",
            hint="look at them as they are now; this time nothing was discarded",
        )
    found = held(ctx, actor, (), source=source, code=code, raw=False)
    give_up(ctx, actor, found, reason)
    return {"discarded": len(found), "left": max(0, tally["records"] - len(found))}


def may_discard(actor: Actor, reason: str) -> None:
    if not reason.strip() or len(reason) > LONGEST_REASON:
        raise Invalid(f"say why they can never be read, in at most {LONGEST_REASON} characters", hint="the reason goes on record")
    may_decide(actor)


def give_up(ctx: Context, actor: Actor, records: Sequence[Mapping[str, Any]], reason: str) -> None:
    still = sorted(str(row["id"]) for row in records)
    if not still:
        return
    digest = sha256_hex(canonical_json(still))
    with ctx.transaction(actor) as tx:
        tx.append(
            EntryDraft(
                type="quarantine:discard",
                stream=f"quarantine/{ctx.org}",
                payload={
                    "reason": reason.strip(),
                    "records": len(still),
                    "ids": still[:SHOWN],
                    "ids_sha256": digest,
                    "sources": sorted({str(row["source"]) for row in records})[:SHOWN],
                },
                actor=actor.ledger_ref(),
                idem=f"quarantine:discard:{digest}",
                occurred_at=tx.now,
            )
        )
    ctx.lake.decide_quarantine(still, "discarded", ctx.now())
