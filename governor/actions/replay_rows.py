"""The rows of a shadow run: which arms each position has, what is reserved, what was measured, what was spent.

Owns: every write about a run before its end. Does not own: sending (replay.py), the end (replay_evidence.py).
Invariants: money is reserved in the transaction before a call and settled in one after it; spent + reserved never exceeds the budget when a call is made;
a reservation that outlived its worker counts as spent in full, because the call may have been billed; a result is written once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, Final

from sqlalchemy import Update, bindparam, insert, select, update
from sqlmodel import Session, col
from sqlmodel import select as rows_like

from governor.actions.context import Context
from governor.actions.replay_table import STORED, Result, Stored, Table, Task, Written, attempted, parse
from governor.errors import NotFound
from governor.shadow.plan import ReplayPlan
from governor.store.rows.base import uuid7
from governor.store.rows.changes import ReplayResult, ShadowRun

__all__ = [
    "CANARIES",
    "JUDGES",
    "OPEN",
    "OPINIONS",
    "Result",
    "Table",
    "Task",
    "Written",
    "arms_of",
    "find_run",
    "load",
    "mark",
    "reserve",
    "rows_of",
    "settle",
    "settle_all",
    "start",
    "write_recorded",
    "write_rows",
]

OPEN: Final = frozenset({"planned", "reserved"})
JUDGES: Final = ("judge_ab", "judge_ba")  # ab: the candidate is answer A
CANARIES: Final = ("judge_canary_ab", "judge_canary_ba")  # ab: the known-bad answer is A
OPINIONS: Final = frozenset({*JUDGES, *CANARIES})


# Statements that a run executes again and again are built once.
PURSE: Final = (
    select(col(ShadowRun.budget_pico), col(ShadowRun.spent_pico), col(ShadowRun.reserved_pico))
    .where(col(ShadowRun.org_id) == bindparam("org"), col(ShadowRun.id) == bindparam("run"))
    .with_for_update()
)
PAID: Final = (
    update(ShadowRun)
    .where(col(ShadowRun.id) == bindparam("run"))
    .values(spent_pico=bindparam("spent"), reserved_pico=bindparam("reserved"))
)
ROWS: Final = select(*STORED).where(
    col(ReplayResult.run_id) == bindparam("run"), col(ReplayResult.position).in_(bindparam("positions", expanding=True))
)
ROWS_OF_ARMS: Final = ROWS.where(col(ReplayResult.arm).in_(bindparam("arms", expanding=True)))


def arms_of(plan: ReplayPlan, position: int) -> tuple[str, ...]:
    """The arms that are called, and `recorded`, which is only measured. repeat: the baseline a second time (A/A)."""
    baseline = ("baseline",) if plan.baseline_arm == "replayed" or position < plan.aa_size else ()
    repeat = ("repeat",) if baseline and position < plan.aa_replays else ()
    return ("recorded", *baseline, "candidate", *repeat)


def find_run(session: Session, org: str, run_id: str, *, lock: bool = False) -> ShadowRun:
    """Raises NotFound."""
    query = rows_like(ShadowRun).where(ShadowRun.org_id == org, ShadowRun.id == run_id)
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
        known = {(row.position, row.arm): row for row in session.exec(rows_like(ReplayResult).where(ReplayResult.run_id == run_id))}
        for row in known.values():
            if row.state == "reserved":
                stored = parse(row)
                stored.abandoned_pico += row.reserved_pico
                run.spent_pico += row.reserved_pico
                run.reserved_pico -= row.reserved_pico
                row.state, row.reserved_pico = "planned", 0
                row.reply = stored.reply()
                session.add(row)
        blank = {"org_id": ctx.org, "run_id": run_id, "state": "planned", "reserved_pico": 0, "reply": "", "output_sha256": ""}
        new = [
            {**blank, "id": uuid7(), "position": position, "record_id": pick.record_id, "arm": arm}
            for position, pick in enumerate(plan.sample)
            for arm in arms_of(plan, position)
            if (position, arm) not in known
        ]
        if new:
            session.connection().execute(insert(ReplayResult), new)
        session.add(run)


def load(ctx: Context, run_id: str) -> Table:
    table: Table = defaultdict(dict)
    query = select(*STORED).where(col(ReplayResult.org_id) == ctx.org, col(ReplayResult.run_id) == run_id)
    with ctx.rows.session() as session:
        for row in map(Stored._make, session.connection().execute(query).all()):
            table[row.position][row.arm] = parse(row)
    return table


def reserve(
    ctx: Context, run_id: str, tasks: Sequence[Sequence[Task]], *, create: bool = False, judge_cap: int | None = None
) -> list[Task]:
    """Reserve whole positions, in order, as long as the budget holds; the tasks that may be sent. `create`: make rows that are not there (judges).
    judge_cap: most that all opinions of the run may cost together.
    """
    granted: list[Task] = []
    changes: list[dict[str, Any]] = []
    with ctx.rows.session(write=True) as session:
        budget, spent, reserved = purse_of(session, ctx.org, run_id)
        left = budget - spent - reserved
        if judge_cap is not None:
            asked = session.exec(rows_like(ReplayResult).where(ReplayResult.run_id == run_id, col(ReplayResult.arm).in_(sorted(OPINIONS))))
            left = min(left, judge_cap - sum(row.reserved_pico + parse(row).spend_pico for row in asked))
        arms = None if create else {task.arm for group in tasks for task in group}
        rows = rows_of(session, run_id, {task.position for group in tasks for task in group}, arms=arms)
        for group in tasks:
            need = sum(task.worst_pico for task in group)
            if need > left:
                break
            left -= need
            for task in group:
                row = rows.get((task.position, task.arm))
                if row is None and create:
                    record = next(one.record_id for (position, _), one in rows.items() if position == task.position)
                    stored = Result("reserved", attempts=1)
                    session.add(
                        ReplayResult(
                            org_id=ctx.org, run_id=run_id, position=task.position, record_id=record, arm=task.arm, state="reserved",
                            reserved_pico=task.worst_pico, reply=stored.reply(),
                        )
                    )  # fmt: skip
                elif row is None or row.state != "planned":
                    continue  # another worker is at it
                else:
                    changes.append({"row": row.id, "state": "reserved", "reserved_pico": task.worst_pico, "reply": attempted(row.reply)})
                reserved += task.worst_pico
                granted.append(task)
        session.connection().execute(PAID, {"run": run_id, "spent": spent, "reserved": reserved})
        write_rows(session, changes)
    return granted


def settle(ctx: Context, run_id: str, task: Task, written: Written) -> Result:
    return settle_all(ctx, run_id, [(task, written)])[0]


def settle_all(ctx: Context, run_id: str, done: Sequence[tuple[Task, Written]]) -> list[Result]:
    """Write results and turn their reservations into what they cost, in one transaction. A result that is there already stays; the second bill is counted."""
    settled: list[Result] = []
    changes: list[dict[str, Any]] = []
    with ctx.rows.session(write=True) as session:
        _, spent, reserved = purse_of(session, ctx.org, run_id)
        rows = rows_of(session, run_id, {task.position for task, _ in done}, arms={task.arm for task, _ in done})
        now = ctx.now()
        for task, written in done:
            row = rows[task.position, task.arm]
            cost = task.worst_pico if written.unknown_cost else (written.cost_pico or 0)
            stored = parse(row)
            spent += cost
            if row.state == "reserved":
                reserved -= row.reserved_pico
                stored.state, stored.facts, stored.cost_pico, stored.pick = written.state, written.facts, written.cost_pico, written.pick
                stored.lost_pico += cost - (written.cost_pico or 0)
                stored.output_sha256, stored.criteria = written.output_sha256, written.criteria
            else:
                stored.abandoned_pico += cost
            changes.append(
                {
                    "row": row.id,
                    "state": stored.state,
                    "cost_pico": stored.cost_pico,
                    "output_sha256": stored.output_sha256,
                    "reserved_pico": 0,
                    "reply": stored.reply(),
                    "finished_at": row.finished_at or now,
                }
            )
            settled.append(stored)
        session.connection().execute(PAID, {"run": run_id, "spent": spent, "reserved": reserved})
        write_rows(session, changes)
    return settled


def purse_of(session: Session, org: str, run_id: str) -> tuple[int, int, int]:
    """(budget, spent, reserved) in pico-USD; nobody else moves them before this transaction ends. Raises NotFound."""
    found = session.connection().execute(PURSE, {"org": org, "run": run_id}).first()
    if found is None:
        raise NotFound(f"no shadow run {run_id}")
    return found[0], found[1], found[2]


def write_rows(session: Session, changes: Sequence[Mapping[str, Any]]) -> None:
    """One statement for many rows; `row` is the id, the other names are columns."""
    if changes:
        session.connection().execute(
            _rewrite(tuple(changes[0])), [{f"new_{name}": value for name, value in one.items()} for one in changes]
        )


@cache
def _rewrite(names: tuple[str, ...]) -> Update:
    values: dict[str, Any] = {name: bindparam(f"new_{name}") for name in names if name != "row"}
    return update(ReplayResult).where(col(ReplayResult.id) == bindparam("new_row")).values(values)


def write_recorded(ctx: Context, run_id: str, found: Mapping[int, Written]) -> None:
    """Production's own replies, measured; they cost nothing now. cost_pico: what production paid."""
    with ctx.rows.session(write=True) as session:
        now = ctx.now()
        changes = []
        for (position, arm), row in rows_of(session, run_id, set(found)).items():
            if arm == "recorded" and row.state == "planned":
                written = found[position]
                stored = Result(written.state, written.facts, written.cost_pico, output_sha256=written.output_sha256)
                changes.append(
                    {
                        "row": row.id,
                        "state": written.state,
                        "cost_pico": written.cost_pico,
                        "output_sha256": written.output_sha256,
                        "reply": stored.reply(),
                        "finished_at": now,
                    }
                )
        write_rows(session, changes)


def mark(ctx: Context, run_id: str, states: Mapping[int, str]) -> None:
    """Give every arm of these positions that is not final its counted state, without a call."""
    if not states:
        return
    with ctx.rows.session(write=True) as session:
        now = ctx.now()
        rows = rows_of(session, run_id, set(states))
        write_rows(
            session,
            [
                {"row": row.id, "state": states[position], "finished_at": now}
                for (position, _), row in rows.items()
                if row.state == "planned"
            ],
        )


def rows_of(session: Session, run_id: str, positions: Iterable[int], arms: Iterable[str] | None = None) -> dict[tuple[int, str], Stored]:
    """Rows as they are now, for reading: they are written with write_rows. arms: only these."""
    wanted = sorted(positions)
    found: dict[tuple[int, str], Stored] = {}
    for at in range(0, len(wanted), 500):
        values = {"run": run_id, "positions": wanted[at : at + 500], **({} if arms is None else {"arms": sorted(arms)})}
        read = session.connection().execute(ROWS if arms is None else ROWS_OF_ARMS, values).all()
        found.update({(row.position, row.arm): row for row in map(Stored._make, read)})
    return found
