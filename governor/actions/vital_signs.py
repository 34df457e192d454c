"""What an operator alarms on, as numbers: work that waits, pushed bodies, sources, the ledger and its anchors, changes.

Owns: which numbers, and what each means. Does not own: their wire format (api/v1_metrics.py), whether all is well (doctor.py).
Invariants: reads the rows database and the spool alone, so that it answers while the lake does not; no number names a person or says what was asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import and_, func, or_
from sqlmodel import Session, col, select

from governor.actions.anchor_states import anchor_states
from governor.actions.browse_sources import sources
from governor.actions.context import Context
from governor.actions.spool import waiting_since
from governor.store import ledger
from governor.store.rows.changes import Change
from governor.store.rows.jobs import Job
from governor.store.sequencer import count_waiting, tree_size

BUCKETS: Final = ("stored", "duplicates", "conflicts", "quarantined")


@dataclass(frozen=True)
class Sign:
    """samples: (labels, value). only_grows: it is a counter, over the whole life of the home."""

    name: str
    meaning: str
    samples: tuple[tuple[dict[str, str], float], ...]
    only_grows: bool = False


def vital_signs(ctx: Context) -> list[Sign]:
    with ctx.rows.session() as session:
        of_rows = [*_jobs(session, ctx), *_ledger(session, ctx), _changes(session, ctx)]
    return [*of_rows, *_spool(ctx), *_sources(ctx), *_anchors(ctx)]


def _jobs(session: Session, ctx: Context) -> Iterator[Sign]:
    mine = Job.org_id == ctx.org
    counts = dict(session.exec(select(Job.state, func.count()).where(mine, Job.state != "done").group_by(Job.state)).all())
    states = ("waiting", "running", "failed")
    yield Sign("jobs", "Jobs that wait, run or were given up.", tuple(({"state": state}, counts.get(state, 0)) for state in states))
    due = or_(
        and_(col(Job.state) == "waiting", col(Job.available_at) <= ctx.now()),
        and_(col(Job.state) == "running", col(Job.lease_until) <= ctx.now()),
    )
    oldest = session.exec(select(func.min(Job.available_at)).where(mine, due)).one()
    yield _one(
        "jobs_oldest_due_age_seconds", "How long the oldest job has been due that nobody does; 0 where there is none.", _age(ctx, oldest)
    )


def _ledger(session: Session, ctx: Context) -> Iterator[Sign]:
    size, sealed = tree_size(session, ctx.org), ledger.latest_checkpoint(session, ctx.org)
    waiting = count_waiting(session, ctx.org) + size - (sealed.size if sealed else 0)
    yield _one("ledger_entries", "Entries of the ledger.", size)
    yield _one("ledger_unsealed_entries", "Entries that no checkpoint covers yet.", waiting)
    if sealed is not None:
        yield _one("ledger_checkpoint_timestamp_seconds", "When the newest checkpoint was signed.", sealed.created_at.timestamp())


def _changes(session: Session, ctx: Context) -> Sign:
    counts = session.exec(select(Change.state, func.count()).where(Change.org_id == ctx.org).group_by(Change.state)).all()
    return Sign("changes", "Route changes by state.", tuple(({"state": state}, count) for state, count in sorted(counts)))


def _spool(ctx: Context) -> Iterator[Sign]:
    bodies, size, since = waiting_since(ctx)
    yield _one("spool_bodies", "Pushed bodies that were acknowledged and wait for the lake.", bodies)
    yield _one("spool_bytes", "Their bytes; at GOVERNOR_SPOOL_MAX_BYTES receivers answer 503.", size)
    yield _one("spool_oldest_age_seconds", "How long the oldest of them waits.", max(0.0, ctx.now().timestamp() - since) if bodies else 0)


def _sources(ctx: Context) -> Iterator[Sign]:
    found = sources(ctx)
    records = tuple(({"source": one["id"], "bucket": bucket}, one[bucket]) for one in found for bucket in BUCKETS)
    last = tuple(({"source": one["id"]}, datetime.fromisoformat(one["last"]).timestamp()) for one in found if one["last"])
    yield Sign("source_records", "Records read, by what became of them.", records, only_grows=True)
    yield Sign("source_last_batch_timestamp_seconds", "When the newest batch of a source was stored.", last)


def _anchors(ctx: Context) -> Iterator[Sign]:
    states = anchor_states(ctx)
    behind = tuple(({"anchor": str(one["name"])}, one["behind"]) for one in states)
    yield Sign("anchor_behind_entries", "Entries that an anchor has not been told of.", behind)
    stale = tuple(({"anchor": str(one["name"])}, float(one["state"] == "stale")) for one in states)
    yield Sign("anchor_stale", "1 where that has lasted longer than GOVERNOR_ANCHOR_ALARM_MINUTES.", stale)


def _one(name: str, meaning: str, value: float) -> Sign:
    return Sign(name, meaning, (({}, value),))


def _age(ctx: Context, since: datetime | None) -> float:
    return 0.0 if since is None else max(0.0, (ctx.now() - since).total_seconds())
