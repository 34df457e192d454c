"""What the database knows of each anchor: its newest publication, its age, how far behind it is, and whether one outside is up to date.

Owns: these facts, without reaching an anchor. Does not own: publishing and comparing (anchors.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TypedDict

from sqlmodel import col, select

from governor.actions.context import Context
from governor.store import ledger
from governor.store.rows.anchors import LedgerAnchor
from governor.store.rows.ledger import LedgerCheckpoint


class AnchorState(TypedDict):
    """state: fresh | waiting | stale | empty. size: tree of its newest publication; behind: entries of the newest checkpoint that it lacks."""

    name: str
    kind: str
    target: str
    outside: bool
    run_by: str
    size: int
    behind: int
    published_at: str | None
    age_seconds: int | None
    detail: str
    state: str


def anchor_states(ctx: Context) -> list[AnchorState]:
    """What the database knows of each anchor: its newest publication, its age, how far behind it is. Reaches nothing."""
    now, alarm = ctx.now(), timedelta(minutes=ctx.settings.anchor_alarm_minutes)
    with ctx.rows.session() as session:
        sealed = ledger.latest_checkpoint(session, ctx.org)
        rows: list[AnchorState] = []
        for config in ctx.settings.anchors:
            query = select(LedgerAnchor).where(LedgerAnchor.org_id == ctx.org, LedgerAnchor.anchor == config.name)
            last = session.exec(query.order_by(col(LedgerAnchor.size).desc()).limit(1)).first()
            waiting = session.exec(
                select(LedgerCheckpoint)
                .where(LedgerCheckpoint.org_id == ctx.org, col(LedgerCheckpoint.size) > (last.size if last else 0))
                .order_by(col(LedgerCheckpoint.size))
                .limit(1)
            ).first()
            late = waiting is not None and now - waiting.created_at > alarm
            rows.append(
                {
                    "name": config.name,
                    "kind": config.kind,
                    "target": config.target,
                    "outside": config.outside,
                    "run_by": config.run_by,
                    "size": last.size if last else 0,
                    "behind": (sealed.size if sealed else 0) - (last.size if last else 0),
                    "published_at": last.published_at.isoformat() if last else None,
                    "age_seconds": int((now - last.published_at).total_seconds()) if last else None,
                    "detail": last.detail if last else "",
                    "state": "stale" if late else "waiting" if waiting is not None else "fresh" if last else "empty",
                }
            )
    return rows


def audit_grade(states: Sequence[AnchorState]) -> bool:
    """At least one anchor outside the database owner's reach that is not behind for too long."""
    return any(one["outside"] and one["state"] in {"fresh", "waiting"} and one["size"] for one in states)
