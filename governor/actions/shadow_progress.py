"""How far a shadow run has come: calls made of calls planned, their rate, when it will be over, what it has cost.

Owns: counting and the forecast. Does not own: showing it (cli/change.py, web/change.py). Invariants: reads only; no forecast before something was answered.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import func, select
from sqlmodel import col

from governor.actions.context import Context
from governor.actions.replay_inputs import OTHER_ROUTE, THIRD_MODEL
from governor.actions.replay_rows import find_run
from governor.prices.price import PICO
from governor.store.rows.changes import ReplayResult, ShadowRun

RECENT: Final = timedelta(seconds=30)
OPEN: Final = ("planned", "reserved")
ANSWERED: Final = '%"status":"ok"%'  # in the facts of a reply as Result.reply writes them; no text of an answer is in there
WITHOUT_VERDICT: Final = frozenset({"aborted_budget", "aborted_policy", "invalid_baseline", "aborted_withdrawn"})
CALLED: Final = ("baseline", "candidate", "repeat")


@dataclass(frozen=True)
class Progress:
    """Calls of all arms. rate: answers a second, lately; eta_s: seconds until the end at that rate; failed: answered with an error or not in time;
    left_out: never sent, by reason.
    """

    status: str
    done: int
    total: int
    sent: int
    rate: float
    eta_s: int | None
    spent_pico: int
    budget_pico: int
    reserved_pico: int = 0
    failed: int = 0
    left_out: Mapping[str, int] = field(default_factory=dict)

    @property
    def share(self) -> float:
        return self.done / self.total if self.total else 0.0

    def document(self) -> dict[str, Any]:
        return {
            "status": self.status,
            "done": self.done,
            "total": self.total,
            "sent": self.sent,
            "per_second": f"{self.rate:.1f}",
            "eta_seconds": self.eta_s,
            "spent_pico": str(self.spent_pico),
            "budget_pico": str(self.budget_pico),
            "reserved_pico": str(self.reserved_pico),
            "failed": self.failed,
            "left_out": dict(self.left_out),
        }

    def line(self, width: int = 24) -> str:
        """One line for a terminal."""
        full = round(self.share * width)
        end = "" if self.eta_s is None else f"  about {clock(self.eta_s)} left"
        money = f"  ${Decimal(self.spent_pico) / PICO:.4f} of ${Decimal(self.budget_pico) / PICO:.2f}"
        return f"[{'#' * full}{'.' * (width - full)}] {self.done:,} of {self.total:,} calls  {self.rate:.1f}/s{end}{money}"


def shadow_progress(ctx: Context, run_id: str, now: datetime | None = None) -> Progress:
    """Raises NotFound."""
    now = now or ctx.now()
    where = (col(ReplayResult.org_id) == ctx.org, col(ReplayResult.run_id) == run_id, col(ReplayResult.arm).in_(CALLED))
    with ctx.rows.session() as session:
        run = find_run(session, ctx.org, run_id)
        counted = session.connection().execute(
            select(col(ReplayResult.state), func.count()).where(*where).group_by(col(ReplayResult.state))
        )
        states: dict[str, int] = {state: count for state, count in counted}  # noqa: C416 - rows are no pairs to the type checker
        failed = session.connection().execute(
            select(func.count()).where(*where, col(ReplayResult.state) == "done", col(ReplayResult.reply).not_like(ANSWERED))
        ).scalar_one()  # fmt: skip
        begin = max(now - RECENT, run.started_at) if run.started_at else now
        lately = session.connection().execute(
            select(func.count()).where(*where, col(ReplayResult.state) == "done", col(ReplayResult.finished_at) >= begin)
        ).scalar_one()  # fmt: skip
    total = sum(states.values())
    left = sum(states.get(state, 0) for state in OPEN)
    seconds = max((now - begin).total_seconds(), 0.0)
    rate = lately / seconds if seconds and run.status == "running" else 0.0
    return Progress(
        status=run.status,
        done=total - left,
        total=total,
        sent=states.get("done", 0),
        rate=rate,
        eta_s=round(left / rate) if rate else None,
        spent_pico=run.spent_pico,
        budget_pico=run.budget_pico,
        reserved_pico=run.reserved_pico,
        failed=failed,
        left_out={state: states[state] for state in sorted(set(states) - {*OPEN, "done"})},
    )


# "HTTP 200" and "error" would not tell a reader what happened.
FELL_BACK: Final = frozenset({OTHER_ROUTE, THIRD_MODEL})
WORDS: Final = {"http_200": "stream_broken_off", "error": "no_answer"}


def failures_of(ctx: Context, run: ShadowRun) -> list[dict[str, Any]]:
    """[{"arm","error","n"}] of a run that ended, the most frequent first: what its endpoint said instead of an answer, with the "model" it named where
    another one than was asked answered.
    """
    if run.status not in {*WITHOUT_VERDICT, "done"}:
        return []
    where = (col(ReplayResult.org_id) == ctx.org, col(ReplayResult.run_id) == run.id, col(ReplayResult.arm).in_(CALLED))
    with ctx.rows.session() as session:
        rows = session.connection().execute(
            select(col(ReplayResult.arm), col(ReplayResult.reply)).where(
                *where, col(ReplayResult.state) == "done", col(ReplayResult.reply).not_like(ANSWERED)
            )
        )
        facts = [(arm, json.loads(reply)["facts"] or {}) for arm, reply in rows]
    told = Counter((arm, str(one.get("error") or "error"), str(one.get("response_model") or "")) for arm, one in facts)
    return [
        {"arm": arm, "error": WORDS.get(error, error), "n": n} | ({"model": model} if error in FELL_BACK and model else {})
        for (arm, error, model), n in told.most_common()
    ]


def clock(seconds: int) -> str:
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
