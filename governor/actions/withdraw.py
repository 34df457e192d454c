"""`change:withdraw`: whoever asked for a change takes it back before it is cut over; a shadow run that is under way is stopped.

Owns: the end of the change and of its run, telling those who were asked to decide. Does not own: who may (governor.changes), how a worker stops (replay.py).
Invariants: nothing is sent any more once this is committed but what the worker had under way; the entry says what the run had spent and reserved by then.
"""

from __future__ import annotations

import json
from typing import Any, TypedDict

from sqlmodel import col, select

from governor.actions.assess import find_change
from governor.actions.context import Actor, Context
from governor.actions.decide import decider
from governor.actions.load_catalog import catalog_as_of
from governor.actions.notify import tell
from governor.actions.replay_rows import UNDER_WAY, WITHDRAWN, find_run
from governor.actions.withdrawal import TYPE, StoppedRun
from governor.changes import State, may_withdraw
from governor.errors import Invalid
from governor.ledger.entry import EntryDraft
from governor.ledger.types import change_stream
from governor.store.rows.changes import Change, ShadowRun
from governor.store.transaction import Transaction


class WithdrawnChange(TypedDict):
    """before: the state it was withdrawn in. stopped: the shadow run that was under way."""

    id: str
    state: str
    before: str
    reason: str
    stopped: StoppedRun | None


def withdraw(ctx: Context, actor: Actor, change_id: str, *, reason: str) -> WithdrawnChange:
    """Raises Forbidden for anybody but the requester and an admin, WrongState once the route was moved or the change has ended."""
    person = decider(actor)
    if not reason.strip():
        raise Invalid("a withdrawal needs a reason", hint="say why; the reason goes on record")
    catalog = catalog_as_of(ctx)
    with ctx.transaction(actor) as tx:
        change = find_change(tx.session, ctx.org, change_id, lock=True)
        may_withdraw(person, change.id, change.state, change.requester_id)
        before, stopped = change.state, stop_run(tx, change)
        change.state = State.WITHDRAWN
        change.updated_at = tx.now
        tx.session.add(change)
        payload: dict[str, Any] = {"change": change.id, "digest": change.digest, "before": before}
        if stopped is not None:
            payload |= {"run": stopped["id"], "spent_pico": stopped["spent_pico"], "reserved_pico": stopped["reserved_pico"]}
        tx.append(
            EntryDraft(
                type=TYPE,
                stream=change_stream(change.id),
                payload=payload,
                actor=actor.ledger_ref(),
                idem=f"{TYPE}:{change.id}",
                occurred_at=tx.now,
                personal={"reason": reason.strip()},
            )
        )
        if change.submitted_at is not None:  # somebody was asked to decide
            tell(
                tx,
                catalog,
                "approval.withdrawn",
                dedupe=f"withdrawn/{change.id}",
                title=f"{change.id} was withdrawn",
                text=f"A route change of {change.workflow_id} is not asked for any more; nothing is left to decide.",
                path=f"/changes/{change.id}",
                workflow=change.workflow_id,
                data={
                    "change": change.id,
                    "workflow": change.workflow_id,
                    "digest": change.digest,
                    "roles": sorted({need["role"] for need in json.loads(change.needs)}),
                },
            )
    return {"id": change.id, "state": str(State.WITHDRAWN), "before": before, "reason": reason.strip(), "stopped": stopped}


def stop_run(tx: Transaction, change: Change) -> StoppedRun | None:
    """The newest run ends here if it is under way. A worker that is at it lets go by itself; of one that is gone, the job lets go."""
    query = select(ShadowRun.id).where(ShadowRun.org_id == tx.org, ShadowRun.change_id == change.id, col(ShadowRun.status).in_(UNDER_WAY))
    newest = tx.session.exec(query.order_by(col(ShadowRun.id).desc())).first()
    if newest is None:
        return None
    run = find_run(tx.session, tx.org, newest, lock=True)
    run.status, run.finished_at = WITHDRAWN, tx.now
    tx.session.add(run)
    if run.reserved_pico:
        tx.enqueue_again("replay", {"run_id": run.id}, dedupe=f"replay:{run.id}")
    return {"id": run.id, "spent_pico": str(run.spent_pico), "reserved_pico": str(run.reserved_pico)}
