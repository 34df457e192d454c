"""`change:expire`: an approval ran out before the change was decided or cut over.

Owns: the move to expired, one change a transaction. Does not own: how long approvals last (settings). Invariants: running it twice is running it once.
"""

from __future__ import annotations

import logging

from sqlmodel import col, select

from governor.actions.assess import assess, find_change
from governor.actions.context import SYSTEM, Context
from governor.changes import State, move
from governor.ledger.canonical import timestamp
from governor.ledger.entry import EntryDraft
from governor.ledger.types import change_stream
from governor.store.rows.changes import Approval, Change

log = logging.getLogger(__name__)
WAITING = (State.IN_REVIEW, State.APPROVED)


def expire_change(ctx: Context, change_id: str) -> bool:
    """True when the change expired now: an approval on its current digest is past its time and the change is not cut over."""
    with ctx.transaction(SYSTEM) as tx:
        change = find_change(tx.session, ctx.org, change_id, lock=True)
        if change.state not in WAITING:
            return False
        found = assess(ctx, tx.session, change, tx.now)
        over = [vote for vote in found.docket.expired(tx.now) if vote.expires_at is not None]
        if not over:
            return False
        change.state = move(change.state, State.EXPIRED)
        change.updated_at = tx.now
        tx.session.add(change)
        tx.append(
            EntryDraft(
                type="change:expire",
                stream=change_stream(change.id),
                payload={
                    "change": change.id,
                    "digest": change.digest,
                    "roles": sorted(vote.role for vote in over),
                    "expired_at": timestamp(min(vote.expires_at for vote in over if vote.expires_at is not None)),
                },
                actor=SYSTEM.ledger_ref(),
                idem=f"change:expire:{change.id}:{change.digest}",
                occurred_at=tx.now,
            )
        )
    return True


def expire_changes(ctx: Context) -> list[str]:
    """The sweep: ids of the changes that expired now."""
    now = ctx.now()
    with ctx.rows.session() as session:
        due = session.exec(
            select(Change.id)
            .join(Approval, col(Approval.change_id) == col(Change.id))
            .where(
                Change.org_id == ctx.org,
                col(Change.state).in_(WAITING),
                Approval.decision == "approve",
                col(Approval.expires_at) <= now,
            )
            .distinct()
        ).all()
    expired = []
    for change_id in due:
        try:
            if expire_change(ctx, change_id):
                expired.append(change_id)
        except Exception:
            log.warning("%s could not expire", change_id, exc_info=True)
    return expired
