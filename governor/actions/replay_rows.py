"""The rows of a shadow run: which arms each position has, how each is read and written.

Owns: rows from the start of a run to its end. Does not own: what is reserved and settled (replay_budget.py), sending (replay.py), the end (replay_evidence.py).
Invariants: rows are written under the lock of their run, and as they were seen or not at all; a reservation that outlived its worker counts as spent in full,
because the call may have been billed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import bindparam, insert, select, update
from sqlmodel import Session, col
from sqlmodel import select as rows_like

from governor.actions.context import Context
from governor.actions.replay_table import STORED, Result, Stored, Table, Written, parse
from governor.errors import NotFound
from governor.shadow.plan import ReplayPlan
from governor.store.many import execute_many
from governor.store.rows.base import uuid7
from governor.store.rows.changes import ReplayResult, ShadowRun

OPEN: Final = frozenset({"planned", "reserved"})
UNDER_WAY: Final = frozenset({"planned", "running"})  # states of a run
WITHDRAWN: Final = "aborted_withdrawn"  # of a run that ended with its change
SKIPPED: Final = "skipped_withdrawn"  # of what such a run did not ask
JUDGES: Final = ("judge_ab", "judge_ba")  # ab: the candidate is answer A
CANARIES: Final = ("judge_canary_ab", "judge_canary_ba")  # ab: the known-bad answer is A
OPINIONS: Final = frozenset({*JUDGES, *CANARIES})

Change = dict[str, Any]  # made by `rewritten`

# Statements that a run executes again and again are built once.
PURSE: Final = (
    select(col(ShadowRun.budget_pico), col(ShadowRun.spent_pico), col(ShadowRun.reserved_pico), col(ShadowRun.status))
    .where(col(ShadowRun.org_id) == bindparam("org"), col(ShadowRun.id) == bindparam("run"))
    .with_for_update()
)
ROWS: Final = select(*STORED).where(
    col(ReplayResult.run_id) == bindparam("run"), col(ReplayResult.position).in_(bindparam("positions", expanding=True))
)
REWRITE: Final = update(ReplayResult).where(
    col(ReplayResult.id) == bindparam("row_seen"),
    col(ReplayResult.state) == bindparam("state_seen"),
    col(ReplayResult.reply) == bindparam("reply_seen"),
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


def start(ctx: Context, run_id: str, plan: ReplayPlan) -> bool:
    """Rows for every arm that has none; reservations of a worker that died are counted as spent and planned again. False where the run has ended:
    then nothing is planned, and what a worker that died had reserved is spent.
    """
    with ctx.rows.session(write=True) as session:
        run = find_run(session, ctx.org, run_id, lock=True)
        ended = run.status not in UNDER_WAY
        known = {(row.position, row.arm): row for row in all_rows(session, ctx.org, run_id)}
        changes: list[Change] = []
        for row in known.values():
            if row.state == "reserved":
                stored = parse(row)
                stored.abandoned_pico += row.reserved_pico
                stored.attempts += 1
                run.spent_pico += row.reserved_pico
                run.reserved_pico -= row.reserved_pico
                changes.append(rewritten(row, state=SKIPPED if ended else "planned", reserved_pico=0, reply=stored.reply()))
        write_rows(session, changes)
        session.add(run)
        if ended:
            return False
        run.status = "running"
        run.started_at = run.started_at or ctx.now()
        blank = {"org_id": ctx.org, "run_id": run_id, "state": "planned", "reserved_pico": 0, "reply": "", "output_sha256": ""}
        new = [
            {**blank, "id": uuid7(), "position": position, "record_id": pick.record_id, "arm": arm}
            for position, pick in enumerate(plan.sample)
            for arm in arms_of(plan, position)
            if (position, arm) not in known
        ]
        if new:
            session.connection().execute(insert(ReplayResult), new)
    return True


def load(ctx: Context, run_id: str) -> Table:
    table: Table = defaultdict(dict)
    with ctx.rows.session() as session:
        for row in all_rows(session, ctx.org, run_id):
            table[row.position][row.arm] = parse(row)
    return table


class Changed(Exception):
    """A row is not what was seen of it: the transaction is not to be committed."""


def write_rows(session: Session, changes: Sequence[Change]) -> None:
    """One statement for many rows; all say the same columns. Raises Changed where one is not as it was seen."""
    if changes and execute_many(session.connection(), REWRITE, changes) != len(changes):
        raise Changed


def rewritten(row: Stored, **columns: Any) -> Change:
    """What `columns` say from now on, where the row is still as it was seen."""
    columns["row_seen"], columns["state_seen"], columns["reply_seen"] = row.id, row.state, row.reply
    return columns


def purse_of(session: Session, org: str, run_id: str) -> tuple[int, int, int]:
    """(budget, spent, reserved) in pico-USD; nobody else moves them, or writes rows of the run, before this transaction ends. Raises NotFound.

    A run that has ended has no budget: nothing more is reserved for it.
    """
    found = session.connection().execute(PURSE, {"org": org, "run": run_id}).first()
    if found is None:
        raise NotFound(f"no shadow run {run_id}")
    return found[0] if found[3] in UNDER_WAY else -1, found[1], found[2]


def write_recorded(ctx: Context, run_id: str, found: Mapping[int, Written]) -> None:
    """Production's own replies, measured; they cost nothing now. cost_pico: what production paid."""
    with ctx.rows.session(write=True) as session:
        purse_of(session, ctx.org, run_id)
        now = ctx.now()
        changes: list[Change] = []
        for (position, arm), row in rows_of(session, run_id, set(found)).items():
            if arm == "recorded" and row.state == "planned":
                written = found[position]
                stored = Result(written.state, written.facts, written.cost_pico, output_sha256=written.output_sha256)
                changes.append(rewritten(row, **stored.columns(), finished_at=now))
        write_rows(session, changes)


def mark(ctx: Context, run_id: str, states: Mapping[int, str]) -> None:
    """Give every arm of these positions that is not final its counted state, without a call."""
    if not states:
        return
    with ctx.rows.session(write=True) as session:
        purse_of(session, ctx.org, run_id)
        now = ctx.now()
        rows = rows_of(session, run_id, set(states))
        open_rows = [(at, row) for (at, _), row in rows.items() if row.state == "planned"]
        write_rows(session, [rewritten(row, state=states[at], finished_at=now) for at, row in open_rows])


def all_rows(session: Session, org: str, run_id: str, arms: Iterable[str] | None = None) -> Iterator[Stored]:
    query = select(*STORED).where(col(ReplayResult.org_id) == org, col(ReplayResult.run_id) == run_id)
    if arms is not None:
        query = query.where(col(ReplayResult.arm).in_(sorted(arms)))
    return map(Stored._make, session.connection().execute(query).all())


def rows_of(session: Session, run_id: str, positions: Iterable[int], arms: Iterable[str] | None = None) -> dict[tuple[int, str], Stored]:
    """Rows as they are now, for reading: they are written with write_rows. arms: only these."""
    wanted = sorted(positions)
    found: dict[tuple[int, str], Stored] = {}
    for at in range(0, len(wanted), 500):
        values = {"run": run_id, "positions": wanted[at : at + 500], **({} if arms is None else {"arms": sorted(arms)})}
        read = session.connection().execute(ROWS if arms is None else ROWS_OF_ARMS, values).all()
        found.update({(row.position, row.arm): row for row in map(Stored._make, read)})
    return found
