"""The budget of a shadow run: what calls may cost is reserved before they are made, what they cost is settled after.

Owns: both transactions. Does not own: other writes to a run's rows (replay_rows.py), prices, sending.
Invariants: spent + reserved never exceeds the budget when a call is made; a result is written once, a second bill is counted; a row is written as it was
seen or not at all.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeVar

from sqlalchemy import bindparam, update
from sqlmodel import Session, col

from governor.actions.context import Context
from governor.actions.replay_rows import OPINIONS, Change, Changed, all_rows, purse_of, rewritten, rows_of, write_rows
from governor.actions.replay_table import Result, Stored, Task, Written, parse
from governor.store.rows.changes import ReplayResult, ShadowRun

log = logging.getLogger(__name__)
Found = TypeVar("Found")
Rows = Callable[[Session], Mapping[tuple[int, str], Stored]]  # by position and arm

PAID: Final = (
    update(ShadowRun)
    .where(col(ShadowRun.id) == bindparam("run"))
    .values(spent_pico=bindparam("spent"), reserved_pico=bindparam("reserved"))
)


def reserve(
    ctx: Context, run_id: str, tasks: Sequence[Sequence[Task]], *, create: bool = False, judge_cap: int | None = None
) -> list[Task]:
    """Reserve whole positions, in order, as long as the budget holds; the tasks that may be sent. `create`: make rows that are not there (judges).
    judge_cap: most that all opinions of the run may cost together.
    """
    every = [task for group in tasks for task in group]

    def reserved_in(session: Session, seen: Rows) -> list[Task]:
        granted: list[Task] = []
        changes: list[Change] = []
        budget, spent, reserved = purse_of(session, ctx.org, run_id)
        left = budget - spent - reserved
        if judge_cap is not None:
            left = min(
                left,
                judge_cap - sum(row.reserved_pico + parse(row).spend_pico for row in all_rows(session, ctx.org, run_id, arms=OPINIONS)),
            )
        rows = seen(session)
        for group in tasks:
            need = sum(task.worst_pico for task in group)
            if need > left:
                break
            left -= need
            for task in group:
                row = rows.get((task.position, task.arm))
                if row is None and create:
                    record = next(one.record_id for (position, _), one in rows.items() if position == task.position)
                    session.add(
                        ReplayResult(
                            org_id=ctx.org, run_id=run_id, position=task.position, record_id=record, arm=task.arm, state="reserved",
                            reserved_pico=task.worst_pico, reply="",
                        )
                    )  # fmt: skip
                    task.row = None
                elif row is None or row.state != "planned":
                    continue  # another worker is at it
                else:
                    changes.append(rewritten(row, state="reserved", reserved_pico=task.worst_pico))
                    task.row = Stored(*row[:4], "reserved", task.worst_pico, *row[6:])
                reserved += task.worst_pico
                granted.append(task)
        session.connection().execute(PAID, {"run": run_id, "spent": spent, "reserved": reserved})
        write_rows(session, changes)
        return granted

    return with_rows(ctx, run_id, every, reserved_in, all_arms=create)


def settle(ctx: Context, run_id: str, task: Task, written: Written) -> Result:
    return settle_all(ctx, run_id, [(task, written)])[0]


def settle_all(ctx: Context, run_id: str, done: Sequence[tuple[Task, Written]]) -> list[Result]:
    """Write results and turn their reservations into what they cost, in one transaction. A result that is there already stays; the second bill is counted."""

    def settled_in(session: Session, seen: Rows) -> list[Result]:
        settled: list[Result] = []
        changes: list[Change] = []
        _, spent, reserved = purse_of(session, ctx.org, run_id)
        rows = seen(session)
        now = ctx.now()
        for task, written in done:
            row = rows[task.position, task.arm]
            cost = task.worst_pico if written.unknown_cost else (written.cost_pico or 0)
            stored = parse(row)
            spent += cost
            if row.state == "reserved":
                reserved -= row.reserved_pico
                stored.attempts += 1
                stored.state, stored.facts, stored.cost_pico, stored.pick = written.state, written.facts, written.cost_pico, written.pick
                stored.lost_pico += cost - (written.cost_pico or 0)
                stored.output_sha256, stored.criteria = written.output_sha256, written.criteria
            else:
                stored.abandoned_pico += cost
            changes.append(rewritten(row, **stored.columns(), reserved_pico=0, finished_at=row.finished_at or now))
            stored.row = None  # not what it says any more
            settled.append(stored)
        session.connection().execute(PAID, {"run": run_id, "spent": spent, "reserved": reserved})
        write_rows(session, changes)
        return settled

    return with_rows(ctx, run_id, [task for task, _ in done], settled_in)


def with_rows(ctx: Context, run_id: str, tasks: Sequence[Task], do: Callable[[Session, Rows], Found], *, all_arms: bool = False) -> Found:
    """Do it in one transaction with the rows as they were last seen; where one has changed since, or was never seen, with all of them as they are."""
    seen = {(task.position, task.arm): task.row for task in tasks if task.row is not None}
    if len(seen) == len(tasks):
        try:
            with ctx.rows.session(write=True) as session:
                return do(session, lambda _: seen)
        except Changed:
            log.debug("run %s: another worker was at these rows", run_id)
    places = {task.position for task in tasks}
    arms = None if all_arms else {task.arm for task in tasks}
    with ctx.rows.session(write=True) as session:
        return do(session, lambda session: rows_of(session, run_id, places, arms=arms))
