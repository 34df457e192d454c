"""The outbox at work: a job is claimed, run by its actor's function, renewed while it runs, and finished, retried or given up.

Owns: the states of a job and its lease. Does not own: what a job does (the functions named below), how workers hear of it (worker threads poll,
a broker is told after commit). Invariants: at least once, so every function must be safe to run twice; one holder at a time, by a lease that
its holder renews; a holder that lost its lease writes nothing about the job any more; what a broker forgets, the sweep finds here.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib import import_module
from typing import Any, Final

from sqlalchemy import ColumnElement, CursorResult, and_, or_, update
from sqlmodel import col, select

from governor.actions.context import Context
from governor.errors import GovernorError, NotFound, Refused, Unavailable
from governor.store.rows.jobs import Job

log = logging.getLogger(__name__)

# Every job there is: the name in the outbox -> the function that does it, called as function(ctx, **args).
ACTORS: Final[dict[str, str]] = {
    "replay": "governor.actions.replay:replay",
    "revalidate": "governor.actions.revalidate:revalidate",
    "notify": "governor.actions.notify:deliver",
    "anchor": "governor.actions.anchors:publish_anchor",
}
LEASE_SECONDS: Final = 20.0
MOST_FAILURES: Final = 8
MOST_CLAIMS: Final = 1000  # a job that kills its worker every time must end; one whose workers are killed must not
FIRST_PAUSE_SECONDS: Final = 2.0
LONGEST_PAUSE_SECONDS: Final = 300.0
# Most failures and longest pause where they are others: an event is told once and nobody tells it again, so a receiver may be away for most of a day.
PATIENCE: Final[dict[str, tuple[int, float]]] = {"notify": (20, 3 * 3600.0)}
ERROR_TEXT: Final = 500


@dataclass(frozen=True)
class Claimed:
    """A job in our hands. `attempt` tells our claim from a later one."""

    id: str
    actor: str
    args: dict[str, Any]
    attempt: int
    failures: int


def due(ctx: Context, *, limit: int = 50) -> list[tuple[str, str]]:
    """(id, actor) of jobs that wait and may start, or whose holder went silent; oldest first."""
    now = ctx.now()
    with ctx.rows.session() as session:
        query = (
            select(Job.id, Job.actor)
            .where(Job.org_id == ctx.org, _claimable(now))
            .order_by(col(Job.available_at), col(Job.id))
            .limit(limit)
        )
        return [(found[0], found[1]) for found in session.exec(query)]


def announce(ctx: Context, job_ids: Sequence[str]) -> None:
    """Tell the broker about jobs that were just committed; fits `Context.after_commit`."""
    from governor.adapters.broker import offer

    with ctx.rows.session() as session:
        found = session.exec(select(Job.id, Job.actor).where(Job.org_id == ctx.org, col(Job.id).in_(job_ids))).all()
    offer(ctx.settings.broker_url, ctx.org, [(row[0], row[1]) for row in found])


def claim(ctx: Context, job_id: str, *, lease_seconds: float = LEASE_SECONDS) -> Claimed | None:
    """Take the job, or None when it is taken, finished or not due yet."""
    now = ctx.now()
    with ctx.rows.session(write=True) as session:
        job = session.exec(select(Job).where(Job.org_id == ctx.org, Job.id == job_id)).first()
        if job is None:
            return None
        attempt, failures = job.attempts + 1, job.failures  # before the update: it refreshes `job`
        taken = session.execute(
            update(Job)
            .where(col(Job.id) == job_id, col(Job.attempts) == attempt - 1, _claimable(now))
            .values(state="running", attempts=attempt, lease_until=now + timedelta(seconds=lease_seconds))
        )
        if _touched(taken) != 1:
            return None
        return Claimed(job.id, job.actor, json.loads(job.args), attempt, failures)


def run_one(ctx: Context, job_id: str, *, lease_seconds: float = LEASE_SECONDS) -> str:
    """Claim and do one job: not_mine | done | waiting (it will be tried again) | failed."""
    job = claim(ctx, job_id, lease_seconds=lease_seconds)
    if job is None:
        return "not_mine"
    try:
        if job.attempt > MOST_CLAIMS:
            raise Refused(f"given up after {MOST_CLAIMS} attempts that never came to an end")
        with _renewing(ctx, job, lease_seconds):
            function_of(job.actor)(ctx, **job.args)
    except Exception as error:  # noqa: BLE001 - a worker outlives its jobs; the row keeps what went wrong
        return _put_back(ctx, job, error)
    _finish(ctx, job, state="done", error="", finished_at=ctx.now())
    return "done"


def function_of(actor: str) -> Callable[..., Any]:
    """Raises NotFound for a name that no part of this program does."""
    if actor not in ACTORS:
        raise NotFound(f"no job is called {actor!r}")
    module, _, name = ACTORS[actor].partition(":")
    found: Callable[..., Any] = getattr(import_module(module), name)
    return found


def wait_for(ctx: Context, job_id: str, *, timeout_s: float = 3600.0, pause_s: float = 0.2, lease_seconds: float = LEASE_SECONDS) -> str:
    """Until the job is done or failed. Without a broker the caller does the work itself when nobody else holds it.

    Raises Unavailable when it is still open after `timeout_s`.
    """
    stop = time.monotonic() + timeout_s
    while True:
        if not ctx.settings.broker_url:
            run_one(ctx, job_id, lease_seconds=lease_seconds)
        with ctx.rows.session() as session:
            job = session.exec(select(Job).where(Job.org_id == ctx.org, Job.id == job_id)).first()
        if job is None:
            raise NotFound(f"no job {job_id}")
        if job.state in {"done", "failed"}:
            return job.state
        if time.monotonic() > stop:
            raise Unavailable(f"job {job.actor} is still {job.state} after {timeout_s:g} s", hint="is a worker running? `governor worker`")
        time.sleep(pause_s)


def error_of(ctx: Context, job_id: str) -> str:
    """What went wrong last; empty where nothing did."""
    with ctx.rows.session() as session:
        return session.exec(select(Job.error).where(Job.org_id == ctx.org, Job.id == job_id)).first() or ""


def _claimable(now: datetime) -> ColumnElement[bool]:
    waiting = and_(col(Job.state) == "waiting", col(Job.available_at) <= now)
    silent = and_(col(Job.state) == "running", or_(col(Job.lease_until).is_(None), col(Job.lease_until) < now))
    return or_(waiting, silent)


@contextmanager
def _renewing(ctx: Context, job: Claimed, lease_seconds: float) -> Iterator[None]:
    """Renew the lease from another thread as long as the block runs."""
    over = threading.Event()

    def renew() -> None:
        while not over.wait(lease_seconds / 4):
            try:
                if not _finish(ctx, job, lease_until=ctx.now() + timedelta(seconds=lease_seconds)):
                    log.warning("job %s (%s) was taken over by another worker", job.id, job.actor)
                    return
            except Exception:  # the database may be away for a moment; the next turn tries again
                log.warning("could not renew job %s", job.id, exc_info=True)

    thread = threading.Thread(target=renew, name=f"lease-{job.id[-6:]}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(timeout=5)


def _put_back(ctx: Context, job: Claimed, error: Exception) -> str:
    """Business refusals are final; anything else may be better later, up to a number of attempts."""
    known = isinstance(error, GovernorError)
    most, longest = PATIENCE.get(job.actor, (MOST_FAILURES, LONGEST_PAUSE_SECONDS))
    final = (known and not isinstance(error, Unavailable)) or job.failures + 1 >= most
    text = told(error) if isinstance(error, GovernorError) else f"{type(error).__name__}: {error}"
    log.log(
        logging.WARNING if known else logging.ERROR, "job %s (%s) attempt %d: %s", job.id, job.actor, job.attempt, text, exc_info=not known
    )
    if final:
        _finish(ctx, job, state="failed", failures=job.failures + 1, error=text[:ERROR_TEXT], finished_at=ctx.now())
        return "failed"
    pause = min(FIRST_PAUSE_SECONDS * 2**job.failures, longest)
    _finish(
        ctx, job, state="waiting", failures=job.failures + 1, error=text[:ERROR_TEXT], available_at=ctx.now() + timedelta(seconds=pause)
    )
    return "waiting"


def told(error: GovernorError) -> str:
    """With the hint: whoever reads the row later has nothing else to go by."""
    return f"{error.code}: {error.message}" + (f" ({error.hint})" if error.hint else "")


def _finish(ctx: Context, job: Claimed, **values: Any) -> bool:
    """Write about the job if it is still ours."""
    with ctx.rows.session(write=True) as session:
        mine = update(Job).where(col(Job.id) == job.id, col(Job.state) == "running", col(Job.attempts) == job.attempt)
        return _touched(session.execute(mine.values(**values))) == 1


def _touched(result: Any) -> int:
    return result.rowcount if isinstance(result, CursorResult) else 0
