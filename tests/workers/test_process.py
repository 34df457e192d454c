"""Worker processes on a real Redis-compatible server: announced after commit, found again after FLUSHALL, taken over after kill -9."""

import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import redis
from sqlmodel import select

from governor.actions.apply import apply
from governor.actions.context import OPERATOR, SYSTEM, Actor, Context, open_context
from governor.actions.ingest import ingest
from governor.actions.init_home import init_home
from governor.actions.jobs import wait_for
from governor.actions.people import authenticate
from governor.actions.propose import propose
from governor.actions.start_shadow import start_shadow
from governor.adapters.broker import backlog, offer, queue_of
from governor.catalog import parse_documents
from governor.demo.catalog import catalog_yaml
from governor.demo.simulated_endpoint import SimulatedEndpoint
from governor.demo.simulated_model import Behaviour
from governor.demo.traffic import make_month
from governor.errors import Invalid
from governor.settings import load_settings
from governor.store.rows.changes import ReplayResult, ShadowRun
from governor.store.rows.jobs import Job
from workers.broker import worker_broker
from workers.process import Seldom
from workers.schedule import sweep

Start = Callable[[], "subprocess.Popen[bytes]"]


@pytest.fixture(scope="module")
def endpoint() -> Iterator[SimulatedEndpoint]:
    behaviours = {"gpt-4o": Behaviour(latency_ms=20), "sim-mini": Behaviour(latency_ms=20)}
    with SimulatedEndpoint(behaviours, seed=7) as found:
        yield found


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, broker_url: str, endpoint: SimulatedEndpoint) -> Iterator[tuple[Context, Actor]]:
    home = tmp_path_factory.mktemp("workers")
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("GOVERNOR_")]:
            patch.delenv(name)
        patch.setenv("GOVERNOR_DEMO_SHADOW_KEY", "shadow-key")
        patch.setenv("GOVERNOR_ALLOW_PRIVATE_ENDPOINTS", "true")
        patch.setenv("GOVERNOR_BROKER_URL", broker_url)
        ctx = open_context(load_settings(home=home), create=True)
        admin = authenticate(ctx, init_home(ctx, email="admin@acme.example", name="Admin", billing_zone="UTC")["token"])
        until = (datetime.now(UTC) + timedelta(days=90)).date().isoformat()
        apply(ctx, admin, parse_documents(catalog_yaml(endpoint.base_url, until)))
        month = make_month(home / "traffic", "2026-10", calls=1500)
        ingest(ctx, OPERATOR, "litellm", [str(file) for file in month.files])
        yield ctx, admin
        ctx.close()


@pytest.fixture
def start(house: tuple[Context, Actor]) -> Iterator[Start]:
    """Starts worker processes; all are gone after the test."""
    with contextlib.ExitStack() as stack:

        def begin() -> subprocess.Popen[bytes]:
            worker = subprocess.Popen([sys.executable, "-m", "governor.cli", "--home", str(house[0].settings.home), "worker"])
            stack.callback(worker.wait, 30)
            stack.callback(worker.terminate)
            return worker

        yield begin


def shadow(house: tuple[Context, Actor]) -> dict[str, str]:
    ctx, admin = house
    change = propose(
        ctx,
        admin,
        workflow="fnol-triage",
        candidate="openai/gpt-4.1-mini",
        endpoint="gateway-shadow",
        endpoint_model="sim-mini",
        reason="cheaper",
        sample=60,
        margins={"quality": "0.2"},
    )
    return start_shadow(ctx, admin, change["id"])


def run_of(ctx: Context, run_id: str) -> ShadowRun:
    with ctx.rows.session() as session:
        return session.exec(select(ShadowRun).where(ShadowRun.id == run_id)).one()


def until(met: Callable[[], bool], what: str, seconds: float = 60) -> None:
    stop = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < stop, f"{what} did not happen in {seconds} s"
        time.sleep(0.1)


def test_a_job_is_announced_after_its_commit_and_a_worker_does_it(house: tuple[Context, Actor], broker_url: str, start: Start) -> None:
    ctx, _ = house
    before = backlog(broker_url, ctx.org)
    started = shadow(house)
    assert backlog(broker_url, ctx.org) == before + 1
    start()
    assert wait_for(ctx, started["job"], timeout_s=60) == "done"
    assert run_of(ctx, started["run"]).status == "done"


def test_a_broker_that_forgets_everything_loses_nothing(house: tuple[Context, Actor], broker_url: str, start: Start) -> None:
    ctx, _ = house
    started = shadow(house)
    with redis.Redis.from_url(broker_url) as server:
        server.flushall()
    assert backlog(broker_url, ctx.org) == 0
    start()
    assert wait_for(ctx, started["job"], timeout_s=60) == "done"


def test_a_killed_worker_loses_nothing_and_doubles_nothing(house: tuple[Context, Actor], broker_url: str, start: Start) -> None:
    ctx, _ = house
    started = shadow(house)
    first = start()
    until(lambda: run_of(ctx, started["run"]).spent_pico > 0, "the first reply")
    first.send_signal(signal.SIGKILL)
    first.wait()
    with redis.Redis.from_url(broker_url) as server:
        server.flushall()
    start()
    assert wait_for(ctx, started["job"], timeout_s=90) == "done"
    with ctx.rows.session() as session:
        rows = session.exec(select(ReplayResult).where(ReplayResult.run_id == started["run"])).all()
        job = session.exec(select(Job).where(Job.id == started["job"])).one()
    assert len({(row.position, row.arm) for row in rows}) == len(rows) == 200  # three arms of 60, and a third of them asked again
    assert {row.state for row in rows} == {"done"}
    assert (job.state, job.attempts) == ("done", 2)
    run = run_of(ctx, started["run"])
    assert run.spent_pico == sum(row.cost_pico or 0 for row in rows if row.arm != "recorded") + sum(
        int(json.loads(row.reply)[name]) for row in rows for name in ("lost_pico", "abandoned_pico")
    )


def test_the_sweep_offers_what_waits_and_does_not_pile_up(house: tuple[Context, Actor], broker_url: str) -> None:
    ctx, _ = house
    with ctx.transaction(SYSTEM) as tx:
        job = tx.enqueue("replay", {"run_id": "none"}, dedupe="sweep-test")
    with redis.Redis.from_url(broker_url) as server:
        server.flushall()
    assert [sweep(ctx) for _ in range(3)] == [1, 0, 0]
    assert backlog(broker_url, ctx.org) == 1
    with ctx.rows.session(write=True) as session:
        session.delete(session.exec(select(Job).where(Job.id == job)).one())


def test_what_a_killed_worker_had_fetched_is_offered_again(house: tuple[Context, Actor], broker_url: str) -> None:
    """The broker keeps such a message for its fetcher, a minute and longer."""
    ctx, _ = house
    with redis.Redis.from_url(broker_url) as server:
        server.flushall()
    with ctx.transaction(SYSTEM) as tx:
        job = tx.enqueue("replay", {"run_id": "none"}, dedupe="fetched-test")
    fetcher = worker_broker(broker_url)
    fetcher.declare_queue(queue_of(ctx.org))
    fetched = next(fetcher.consume(queue_of(ctx.org), prefetch=1, timeout=1000))
    assert fetched is not None
    assert fetched.args == (job,)
    assert [sweep(ctx) for _ in range(3)] == [1, 0, 0]
    with ctx.rows.session(write=True) as session:
        session.delete(session.exec(select(Job).where(Job.id == job)).one())


def test_a_broker_that_is_away_does_not_stop_the_transaction(house: tuple[Context, Actor], monkeypatch: pytest.MonkeyPatch) -> None:
    ctx, _ = house
    dead = open_context(load_settings(home=ctx.settings.home, broker_url="redis://127.0.0.1:9/0"))
    with dead.transaction(SYSTEM) as tx:
        job = tx.enqueue("replay", {"run_id": "none"}, dedupe="dead-broker")
    with ctx.rows.session(write=True) as session:
        session.delete(session.exec(select(Job).where(Job.id == job)).one())
    dead.close()


def test_only_redis_is_a_broker() -> None:
    with pytest.raises(Invalid, match="redis"):
        offer("amqp://somewhere", "default", [("1", "replay")])


def test_without_a_broker_a_worker_process_polls(
    house: tuple[Context, Actor], monkeypatch: pytest.MonkeyPatch, start: Start, tmp_path: Path
) -> None:
    ctx, _ = house
    monkeypatch.delenv("GOVERNOR_BROKER_URL")
    worker = start()
    with ctx.rows.session(write=True) as session:
        session.add(Job(org_id=ctx.org, actor="nobody", args="{}", dedupe="poll-test", available_at=ctx.now(), created_at=ctx.now()))

    def failed() -> bool:
        with ctx.rows.session() as session:
            return session.exec(select(Job.state).where(Job.dedupe == "poll-test")).one() == "failed"

    until(failed, "the unknown job to fail")
    worker.terminate()
    assert worker.wait(30) == 0


def test_a_broker_that_is_away_is_not_said_every_second() -> None:
    seldom = Seldom()
    said = [
        seldom.filter(logging.LogRecord(name, logging.CRITICAL, "x.py", 1, "no connection: %s", (number,), None))
        for number in range(3)
        for name in ("dramatiq.worker.ConsumerThread(jobs)", "governor.actions.jobs")
    ]
    assert said == [True, True, False, True, False, True]
