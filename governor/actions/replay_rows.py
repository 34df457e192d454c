"""The rows of a shadow run: which arms each position has, what is reserved, what was measured, what was spent.

Owns: every write about a run before its end. Does not own: sending (replay.py), the end (replay_evidence.py).
Invariants: money is reserved in the transaction before a call and settled in one after it; spent + reserved never exceeds the budget when a call is made;
a reservation that outlived its worker counts as spent in full, because the call may have been billed; a result is written once.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlmodel import Session, col, select

from governor.actions.context import Context
from governor.errors import NotFound
from governor.ledger.canonical import canonical_json
from governor.ports import ModelRequest
from governor.shadow.comparison import FINAL_STATES
from governor.shadow.guards import Facts
from governor.shadow.plan import Arm, ReplayPlan
from governor.store.rows.changes import ReplayResult, ShadowRun

OPEN: Final = frozenset({"planned", "reserved"})
JUDGES: Final = ("judge_ab", "judge_ba")  # ab: the candidate is answer A
CANARIES: Final = ("judge_canary_ab", "judge_canary_ba")  # ab: the known-bad answer is A
OPINIONS: Final = frozenset({*JUDGES, *CANARIES})


@dataclass(frozen=True)
class Task:
    """One call to make. worst_pico: the most it may cost; route: whose prices rate it."""

    position: int
    arm: str
    request: ModelRequest
    route: Arm
    worst_pico: int


@dataclass
class Result:
    """One arm of one position as stored. lost_pico: reservations that ended without a result; attempts: how often it was reserved."""

    state: str
    facts: Facts | None = None
    cost_pico: int | None = None
    lost_pico: int = 0
    attempts: int = 0
    output_sha256: str = ""
    pick: int | None = None

    @property
    def final(self) -> bool:
        return self.state in FINAL_STATES

    @property
    def spend_pico(self) -> int:
        return (self.cost_pico or 0) + self.lost_pico

    def reply(self) -> str:
        document = {
            "facts": self.facts.document() if self.facts else None,
            "lost_pico": str(self.lost_pico),
            "attempts": self.attempts,
            "pick": self.pick,
        }
        return canonical_json(document).decode()


Table = dict[int, dict[str, Result]]


@dataclass
class Written:
    """What settling a call needs to say. unknown_cost: the reservation counts in full."""

    state: str
    facts: Facts | None = None
    cost_pico: int | None = None
    unknown_cost: bool = False
    output_sha256: str = ""
    pick: int | None = None
    extra: dict[str, Any] = field(default_factory=dict)


def arms_of(plan: ReplayPlan, position: int) -> tuple[str, ...]:
    """The arms that are called, and `recorded`, which is only measured. repeat: the baseline a second time (A/A)."""
    baseline = ("baseline",) if plan.baseline_arm == "replayed" or position < plan.aa_size else ()
    repeat = ("repeat",) if baseline and position < plan.aa_replays else ()
    return ("recorded", *baseline, "candidate", *repeat)


def find_run(session: Session, org: str, run_id: str, *, lock: bool = False) -> ShadowRun:
    """Raises NotFound."""
    query = select(ShadowRun).where(ShadowRun.org_id == org, ShadowRun.id == run_id)
    run = session.exec(query.with_for_update() if lock else query).first()
    if run is None:
        raise NotFound(f"no shadow run {run_id}")
    return run


def start(ctx: Context, run_id: str, plan: ReplayPlan) -> None:
    """Rows for every arm that has none; reservations of a worker that died are counted as spent and planned again."""
    with ctx.rows.session(write=True) as session:
        run = find_run(session, ctx.org, run_id, lock=True)
        run.status = "running"
        run.started_at = run.started_at or ctx.now()
        known = {(row.position, row.arm): row for row in session.exec(select(ReplayResult).where(ReplayResult.run_id == run_id))}
        for row in known.values():
            if row.state == "reserved":
                stored = parse(row)
                stored.lost_pico += row.reserved_pico
                run.spent_pico += row.reserved_pico
                run.reserved_pico -= row.reserved_pico
                row.state, row.reserved_pico = "planned", 0
                row.reply = stored.reply()
                session.add(row)
        for position, pick in enumerate(plan.sample):
            for arm in arms_of(plan, position):
                if (position, arm) not in known:
                    session.add(
                        ReplayResult(org_id=ctx.org, run_id=run_id, position=position, record_id=pick.record_id, arm=arm, state="planned")
                    )
        session.add(run)


def load(ctx: Context, run_id: str) -> Table:
    table: Table = defaultdict(dict)
    with ctx.rows.session() as session:
        for row in session.exec(select(ReplayResult).where(ReplayResult.org_id == ctx.org, ReplayResult.run_id == run_id)):
            table[row.position][row.arm] = parse(row)
    return table


def parse(row: ReplayResult) -> Result:
    document: Mapping[str, Any] = json.loads(row.reply) if row.reply else {}
    facts = document.get("facts")
    return Result(
        state=row.state,
        facts=Facts.parse(facts) if facts else None,
        cost_pico=row.cost_pico,
        lost_pico=int(document.get("lost_pico", "0")),
        attempts=int(document.get("attempts", 0)),
        output_sha256=row.output_sha256,
        pick=document.get("pick"),
    )


def reserve(
    ctx: Context, run_id: str, tasks: Sequence[Sequence[Task]], *, create: bool = False, judge_cap: int | None = None
) -> list[Task]:
    """Reserve whole positions, in order, as long as the budget holds; the tasks that may be sent. `create`: make rows that are not there (judges).
    judge_cap: most that all opinions of the run may cost together.
    """
    granted: list[Task] = []
    with ctx.rows.session(write=True) as session:
        run = find_run(session, ctx.org, run_id, lock=True)
        left = run.budget_pico - run.spent_pico - run.reserved_pico
        if judge_cap is not None:
            asked = session.exec(select(ReplayResult).where(ReplayResult.run_id == run_id, col(ReplayResult.arm).in_(sorted(OPINIONS))))
            left = min(left, judge_cap - sum(row.reserved_pico + parse(row).spend_pico for row in asked))
        rows = rows_of(session, run_id, {task.position for group in tasks for task in group})
        for group in tasks:
            need = sum(task.worst_pico for task in group)
            if need > left:
                break
            left -= need
            for task in group:
                row = rows.get((task.position, task.arm))
                if row is None and create:
                    record = next(one.record_id for (position, _), one in rows.items() if position == task.position)
                    row = ReplayResult(
                        org_id=ctx.org, run_id=run_id, position=task.position, record_id=record, arm=task.arm, state="planned"
                    )
                if row is None or row.state != "planned":
                    continue  # another worker is at it
                stored = parse(row)
                stored.attempts += 1
                row.state, row.reserved_pico, row.reply = "reserved", task.worst_pico, stored.reply()
                run.reserved_pico += task.worst_pico
                session.add(row)
                granted.append(task)
        session.add(run)
    return granted


def settle(ctx: Context, run_id: str, task: Task, written: Written) -> Result:
    """Write a result and turn its reservation into what it cost. A result that is there already stays; the second bill is counted."""
    with ctx.rows.session(write=True) as session:
        run = find_run(session, ctx.org, run_id, lock=True)
        row = rows_of(session, run_id, {task.position})[task.position, task.arm]
        cost = task.worst_pico if written.unknown_cost else (written.cost_pico or 0)
        stored = parse(row)
        run.spent_pico += cost
        if row.state == "reserved":
            run.reserved_pico -= row.reserved_pico
            stored.state, stored.facts, stored.cost_pico, stored.pick = written.state, written.facts, written.cost_pico, written.pick
            stored.lost_pico += cost - (written.cost_pico or 0)
            row.state, row.cost_pico, row.output_sha256 = written.state, written.cost_pico, written.output_sha256
            row.reserved_pico, row.finished_at = 0, ctx.now()
            stored.output_sha256 = written.output_sha256
        else:
            stored.lost_pico += cost
        row.reply = stored.reply()
        session.add(row)
        session.add(run)
        return stored


def write_recorded(ctx: Context, run_id: str, found: Mapping[int, Written]) -> None:
    """Production's own replies, measured; they cost nothing now. cost_pico: what production paid."""
    with ctx.rows.session(write=True) as session:
        for (position, arm), row in rows_of(session, run_id, set(found)).items():
            if arm == "recorded" and row.state == "planned":
                written = found[position]
                stored = Result(written.state, written.facts, written.cost_pico, output_sha256=written.output_sha256)
                row.state, row.cost_pico, row.output_sha256, row.reply = (
                    written.state,
                    written.cost_pico,
                    written.output_sha256,
                    stored.reply(),
                )
                row.finished_at = ctx.now()
                session.add(row)


def mark(ctx: Context, run_id: str, states: Mapping[int, str]) -> None:
    """Give every arm of these positions that is not final its counted state, without a call."""
    if not states:
        return
    with ctx.rows.session(write=True) as session:
        for (position, _), row in rows_of(session, run_id, set(states)).items():
            if row.state == "planned":
                row.state, row.finished_at = states[position], ctx.now()
                session.add(row)


def rows_of(session: Session, run_id: str, positions: Iterable[int]) -> dict[tuple[int, str], ReplayResult]:
    wanted = sorted(positions)
    found: dict[tuple[int, str], ReplayResult] = {}
    for at in range(0, len(wanted), 500):
        query = select(ReplayResult).where(ReplayResult.run_id == run_id, col(ReplayResult.position).in_(wanted[at : at + 500]))
        found.update({(row.position, row.arm): row for row in session.exec(query)})
    return found
