"""The same question, asked before: earlier changes of a workflow to the same model, and what became of them.

Owns: finding them, newest first. Does not own: runs of one change (show_change.py). Why: a route that was refused can be proposed again until a shadow run
passes by chance; whoever decides has to see the tries before.
"""

from __future__ import annotations

import json
from typing import Any, Final, TypedDict

from sqlmodel import Session, col, select

from governor.store.rows.changes import Change, ShadowRun

SHOWN: Final = 5


class AskedBefore(TypedDict):
    """verdicts: of its finished shadow runs, oldest first; said: all of it in words."""

    id: str
    state: str
    asked_at: str
    verdicts: list[str]
    said: str


def asked_before(session: Session, change: Change) -> list[AskedBefore]:
    """At most SHOWN earlier changes of the same workflow to the same provider and model, whatever the region and parameters."""
    wanted = _model(change)
    mine = (Change.org_id == change.org_id, Change.workflow_id == change.workflow_id, Change.number < change.number)
    earlier = session.exec(select(Change).where(*mine).order_by(col(Change.number).desc())).all()
    found = [one for one in earlier if _model(one) == wanted][:SHOWN]
    ended = (ShadowRun.org_id == change.org_id, ShadowRun.status == "done", col(ShadowRun.change_id).in_([one.id for one in found]))
    runs = session.exec(select(ShadowRun).where(*ended).order_by(col(ShadowRun.id))).all()
    said: dict[str, list[str]] = {one.id: [] for one in found}
    for run in runs:
        said[run.change_id] += [str(json.loads(run.verdict)["verdict"])] if run.verdict else []
    return [_document(one, said[one.id]) for one in found]


def _document(change: Change, verdicts: list[str]) -> AskedBefore:
    shown = f"shadow run{'' if len(verdicts) == 1 else 's'}: {', '.join(verdicts)}" if verdicts else "no verdict of a shadow run"
    return {
        "id": change.id,
        "state": change.state,
        "asked_at": change.created_at.isoformat(),
        "verdicts": verdicts,
        "said": f"{change.id} of {change.created_at:%Y-%m-%d} ({change.state.replace('_', ' ')}; {shown})",
    }


def _model(change: Change) -> tuple[Any, Any]:
    candidate = json.loads(change.request)["candidate"]
    return candidate["provider"], candidate["model"]
