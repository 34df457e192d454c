"""Rows that nobody asks for any more: answers kept for an Idempotency-Key, finished jobs that told an anchor of a checkpoint.

Owns: how long. Does not own: what else is kept (jobs of shadow runs and notices say what became of them for as long as those are shown).
Invariants: safe to run twice; the ledger and what a person sees lose nothing.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from sqlmodel import col, delete

from governor.actions.context import Context
from governor.store.rows.jobs import Job
from governor.store.rows.people import IdempotencyKey

KEPT: Final = timedelta(days=30)


def forget_finished(ctx: Context) -> None:
    """A busy installation writes thousands of each a day."""
    before = ctx.now() - KEPT
    with ctx.rows.session(write=True) as session:
        session.exec(delete(IdempotencyKey).where(col(IdempotencyKey.org_id) == ctx.org, col(IdempotencyKey.created_at) < before))
        done = (col(Job.actor) == "anchor", col(Job.finished_at).is_not(None), col(Job.finished_at) < before)
        session.exec(delete(Job).where(col(Job.org_id) == ctx.org, *done))
