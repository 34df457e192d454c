"""The outbox without a broker: one holder at a time, leases, failures, threads, chores."""

import os
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

from governor.actions import jobs
from governor.actions.chores import CHORES, Chore, Clock
from governor.actions.context import SYSTEM, Context, open_context
from governor.actions.forget import forget_finished
from governor.actions.workforce import Workforce
from governor.errors import Refused, Unavailable
from governor.settings import load_settings
from governor.store.rows.jobs import Job
from governor.store.rows.people import IdempotencyKey
from tests.actions.conftest import work_off

DONE: list[str] = []
RUNNING = threading.Semaphore(0)
RELEASE = threading.Event()


def note(_ctx: Context, word: str) -> None:
    DONE.append(word)


def refuse(_ctx: Context) -> None:
    raise Refused("never")


def stumble(_ctx: Context, word: str) -> None:
    DONE.append(word)
    if DONE.count(word) < 3:
        raise Unavailable("not yet")


def crash(_ctx: Context) -> None:
    raise ZeroDivisionError("a defect")


def linger(_ctx: Context) -> None:
    RUNNING.release()
    RELEASE.wait(120)
    DONE.append("lingered")


@pytest.fixture
def ctx(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Context]:
    for name in [name for name in os.environ if name.startswith("GOVERNOR_")]:
        monkeypatch.delenv(name)
    DONE.clear()
    RELEASE.clear()
    module = "tests_workers_test_jobs"
    import sys

    monkeypatch.setitem(sys.modules, module, sys.modules[__name__])
    for name in ("note", "refuse", "stumble", "crash", "linger"):
        monkeypatch.setitem(jobs.ACTORS, name, f"{module}:{name}")
    opened = open_context(load_settings(home=tmp_path), create=True)
    yield opened
    opened.close()


def wish(ctx: Context, actor: str, args: dict[str, Any] | None = None, *, dedupe: str = "", available_at: datetime | None = None) -> str:
    with ctx.transaction(SYSTEM) as tx:
        return tx.enqueue(actor, args or {}, dedupe=dedupe or f"{actor}:{args}", available_at=available_at)


def row(ctx: Context, job_id: str) -> Job:
    with ctx.rows.session() as session:
        return session.exec(select(Job).where(Job.id == job_id)).one()


def test_the_same_wish_twice_is_one_job_and_it_is_done_once(ctx: Context) -> None:
    first, second = wish(ctx, "note", {"word": "a"}), wish(ctx, "note", {"word": "a"})
    assert first == second
    assert work_off(ctx) == 1
    assert (DONE, row(ctx, first).state) == (["a"], "done")
    assert jobs.run_one(ctx, first) == "not_mine"


def test_a_transaction_that_fails_leaves_no_job(ctx: Context) -> None:
    def fails() -> None:
        with ctx.transaction(SYSTEM) as tx:
            tx.enqueue("note", {"word": "x"}, dedupe="x")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    assert jobs.due(ctx) == []


def test_a_refusal_is_final_and_says_why(ctx: Context) -> None:
    job = wish(ctx, "refuse")
    assert jobs.run_one(ctx, job) == "failed"
    assert (row(ctx, job).state, row(ctx, job).error) == ("failed", "refused: never")


def test_what_may_pass_is_tried_again_later(ctx: Context) -> None:
    job = wish(ctx, "stumble", {"word": "s"})
    assert jobs.run_one(ctx, job) == "waiting"
    assert jobs.run_one(ctx, job) == "not_mine", "not before its time"
    for number in range(2):
        later = ctx.now() + timedelta(minutes=10 * (number + 1))
        assert jobs.run_one(replace(ctx, now=lambda at=later: at), job) in {"waiting", "done"}  # type: ignore[misc]
    assert (row(ctx, job).state, row(ctx, job).failures) == ("done", 2)


def test_a_defect_is_given_up_after_a_number_of_failures(ctx: Context) -> None:
    job = wish(ctx, "crash")
    for number in range(jobs.MOST_FAILURES):
        later = ctx.now() + timedelta(days=number + 1)
        jobs.run_one(replace(ctx, now=lambda at=later: at), job)  # type: ignore[misc]
    assert (row(ctx, job).state, row(ctx, job).failures) == ("failed", jobs.MOST_FAILURES)
    assert "ZeroDivisionError" in row(ctx, job).error


def test_an_unknown_job_fails_and_does_not_stop_the_worker(ctx: Context) -> None:
    job = wish(ctx, "nobody")
    work_off(ctx)
    assert row(ctx, job).state == "failed"


def test_rivals_claim_a_job_once(ctx: Context) -> None:
    job = wish(ctx, "note", {"word": "r"})
    barrier, got = threading.Barrier(8), []

    def rival() -> None:
        barrier.wait()
        got.append(jobs.claim(ctx, job))

    threads = [threading.Thread(target=rival) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(one is not None for one in got) == 1


def test_a_silent_holder_loses_the_job_and_may_no_longer_write_about_it(ctx: Context) -> None:
    job = wish(ctx, "note", {"word": "l"})
    lost = jobs.claim(ctx, job, lease_seconds=5)
    assert lost is not None
    later = ctx.now() + timedelta(seconds=6)
    assert jobs.run_one(replace(ctx, now=lambda: later), job) == "done"
    assert not jobs._finish(ctx, lost, state="failed")
    assert row(ctx, job).state == "done"


def test_a_holder_that_works_keeps_its_lease(ctx: Context) -> None:
    job = wish(ctx, "linger")
    thread = threading.Thread(target=jobs.run_one, args=(ctx, job), kwargs={"lease_seconds": 4})
    thread.start()
    assert RUNNING.acquire(timeout=60)
    first, patience = row(ctx, job).lease_until, time.monotonic() + 60
    assert first is not None
    while row(ctx, job).lease_until == first:
        assert time.monotonic() < patience, "the lease was not renewed"
        time.sleep(0.05)
    behind = first + timedelta(milliseconds=1)  # when the first lease has run out, however slow this machine is
    assert jobs.claim(replace(ctx, now=lambda: behind), job) is None
    RELEASE.set()
    thread.join()
    assert (row(ctx, job).state, row(ctx, job).attempts) == ("done", 1)


def test_worker_threads_do_what_is_due_and_stop(ctx: Context) -> None:
    made = [wish(ctx, "note", {"word": str(number)}) for number in range(5)]
    future = wish(ctx, "note", {"word": "tomorrow"}, available_at=datetime.now(UTC) + timedelta(days=1))
    with Workforce(ctx.settings, threads=2, poll_s=0.05):
        assert [jobs.wait_for(ctx, job, timeout_s=20) for job in made] == ["done"] * 5
    assert sorted(DONE) == ["0", "1", "2", "3", "4"]
    assert row(ctx, future).state == "waiting"


def test_waiting_for_a_job_nobody_does_says_so(ctx: Context) -> None:
    job = wish(ctx, "note", {"word": "t"}, available_at=datetime.now(UTC) + timedelta(days=1))
    with pytest.raises(Unavailable, match="still waiting"):
        jobs.wait_for(ctx, job, timeout_s=0.3, pause_s=0.05)


def test_chores_run_at_their_pace_and_a_broken_one_stops_no_other(ctx: Context) -> None:
    moment = [0.0]
    clock = Clock((Chore("broken", "nowhere:nothing", 1), Chore("note", "tests_workers_test_jobs:chore", 10)), clock=lambda: moment[0])
    assert clock.tick(ctx) == ["note"]
    assert clock.tick(ctx) == []
    moment[0] = 11
    assert clock.tick(ctx) == ["note"]


@pytest.mark.parametrize("apart", [False, True])
def test_a_daily_chore_that_failed_is_not_put_off_to_tomorrow(ctx: Context, apart: bool) -> None:
    """A database that is away for a minute every night, when the chores have their turn, would keep expired content for ever."""
    moment, pace = [0.0], 86_400.0
    clock = Clock((Chore("daily", "tests_workers_test_jobs:missing", pace, apart),), clock=lambda: moment[0])

    seen: list[float] = []

    def missing(_ctx: Context) -> None:
        seen.append(moment[0])
        if len(seen) < 3:
            raise Unavailable("the database is away")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys.modules["tests_workers_test_jobs"], "missing", missing, raising=False)
        for at in (0.0, 10.0, 300.0, 600.0, 900.0, 86_000.0, 600.0 + pace):
            moment[0] = at
            clock.tick(ctx)
            for thread in clock.apart.values():
                thread.join(60)
    assert seen == [0.0, 300.0, 600.0, 600.0 + pace]


def test_nothing_waits_for_a_chore_that_takes_minutes(ctx: Context) -> None:
    """The check of a whole ledger kept every job and chore waiting after each start, half a millisecond for each entry."""
    moment = [0.0]
    long = Chore("long", "tests_workers_test_jobs:linger", 10, apart=True)
    clock = Clock((long, Chore("note", "tests_workers_test_jobs:chore", 10)), clock=lambda: moment[0])
    assert clock.tick(ctx) == ["long", "note"]
    assert DONE == ["chore"]
    moment[0] = 11
    assert clock.tick(ctx) == ["note"], "it is still under way"
    RELEASE.set()
    clock.apart["long"].join(60)
    assert clock.tick(ctx) == ["long"]
    clock.apart["long"].join(60)
    assert DONE == ["chore", "chore", "lingered", "lingered"]
    assert {one.name for one in CHORES if one.apart} == {"look at cutovers", "verify the whole ledger"}


def chore(_ctx: Context) -> None:
    DONE.append("chore")


def test_what_nobody_asks_for_any_more_is_forgotten_after_a_month(ctx: Context) -> None:
    def kept() -> tuple[set[str], list[str]]:
        with ctx.rows.session() as session:
            return set(session.exec(select(Job.dedupe)).all()), list(session.exec(select(IdempotencyKey.key)).all())

    wish(ctx, "anchor", {"anchor": "left the settings"}, dedupe="anchor:done")
    wish(ctx, "note", {"word": "x"}, dedupe="note:done")
    work_off(ctx)
    wish(ctx, "anchor", dedupe="anchor:waits", available_at=ctx.now() + timedelta(days=60))
    with ctx.rows.session(write=True) as session:
        session.add(IdempotencyKey(org_id=ctx.org, person_id="p", key="k", request_sha256="", status=200, body="{}", created_at=ctx.now()))
    forget_finished(ctx)
    assert kept() == ({"default:anchor:done", "default:note:done", "default:anchor:waits"}, ["k"])
    now = ctx.now()
    forget_finished(replace(ctx, now=lambda: now + timedelta(days=31)))
    assert kept() == ({"default:note:done", "default:anchor:waits"}, [])


def test_every_job_and_chore_leads_to_a_function() -> None:
    from importlib import import_module

    from governor.actions.chores import CHORES

    for target in [*jobs.ACTORS.values(), *(one.function for one in CHORES)]:
        module, _, name = target.partition(":")
        assert callable(getattr(import_module(module), name)), target
