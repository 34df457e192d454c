"""`change:shadow`: a shadow run is asked for; a worker replays the planned sample.

Owns: making the run and its job. Does not own: replaying (replay.py), the end of a run (review.complete_shadow).
Invariants: the run carries the digest of the plan that was fixed at proposal; whoever starts it is the author of its evidence.
"""

from __future__ import annotations

import json
from typing import Final, TypedDict

from sqlmodel import col, select

from governor.actions.assess import find_change
from governor.actions.context import Actor, Context
from governor.changes import State, move
from governor.errors import BudgetExceeded
from governor.ledger.canonical import digest as canonical_digest
from governor.ledger.entry import EntryDraft
from governor.ledger.types import change_stream
from governor.store.rows.base import uuid7
from governor.store.rows.changes import ShadowRun

STARTERS: Final = ("requester", "owner", "admin")
MOST_RUNS: Final = 5  # repeating a run until it passes is not evidence; all runs stay on record


class StartedRun(TypedDict):
    id: str
    run: str
    state: str
    job: str


def start_shadow(ctx: Context, actor: Actor, change_id: str) -> StartedRun:
    """Asking again while a run is under way answers that run."""
    actor.require(*STARTERS)
    with ctx.transaction(actor) as tx:
        change = find_change(tx.session, ctx.org, change_id, lock=True)
        runs = tx.session.exec(
            select(ShadowRun).where(ShadowRun.org_id == ctx.org, ShadowRun.change_id == change.id).order_by(col(ShadowRun.id))
        ).all()
        if change.state == State.SHADOWING and runs and runs[-1].status in {"planned", "running"}:
            job = tx.enqueue_again("replay", {"run_id": runs[-1].id}, dedupe=f"replay:{runs[-1].id}")
            return {"id": change.id, "run": runs[-1].id, "state": change.state, "job": job}
        if len(runs) >= MOST_RUNS:
            raise BudgetExceeded(f"{change.id} had {len(runs)} shadow runs already", hint="propose a new change with a better plan")
        change.state = move(change.state, State.SHADOWING, verb="be tested in shadow", of=change.id)
        change.updated_at = tx.now
        plan = json.loads(change.plan)
        run = ShadowRun(
            id=uuid7(),
            org_id=ctx.org,
            change_id=change.id,
            status="planned",
            plan_digest=canonical_digest(plan),
            planned=len(plan["sample"]),
            budget_pico=int(plan["budget_pico"]),
            author=actor.id,
        )
        tx.session.add(change)
        tx.session.add(run)
        tx.session.flush()
        job = tx.enqueue("replay", {"run_id": run.id}, dedupe=f"replay:{run.id}")
        tx.append(
            EntryDraft(
                type="change:shadow",
                stream=change_stream(change.id),
                payload={"change": change.id, "run": run.id, "status": "planned", "author": actor.id, "plan_digest": run.plan_digest},
                actor=actor.ledger_ref(),
                idem=f"change:shadow:{run.id}:planned",
                occurred_at=tx.now,
            )
        )
    return {"id": change.id, "run": run.id, "state": change.state, "job": job}
