"""A recorded-gateway fixture of 1,460 traces replayed end to end on both arms and A/A, against the same HTTP client doing nothing else.

The endpoint is the demo's, in a process of its own, on loopback; GOVERNOR_BENCH_TRACES and GOVERNOR_BENCH_CONCURRENCY set their number and how many run at once.
The bare run sends the very same requests through the same client at the same concurrency and drops the answers, right after the replay; the median ratio of
five such turns counts, because a shared machine may be twice as slow in one second as in the next. Replay rate: calls of the run by the time from its first
call to its last result written. End to end: gate, production's replies, calls, verdict, evidence, ledger: under three minutes.
The ratio is printed, not asserted: on a machine that does other work too it says little. What a call costs this process in processor time hardly depends on
such work and is printed beside it.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from governor.actions.apply import apply
from governor.actions.context import OPERATOR, Context, open_context
from governor.actions.ingest import ingest
from governor.actions.init_home import init_home
from governor.actions.people import authenticate
from governor.actions.propose import propose
from governor.actions.replay import http_endpoint, replay
from governor.actions.start_shadow import start_shadow
from governor.catalog import parse_documents
from governor.demo.catalog import catalog_yaml
from governor.demo.simulated_endpoint import SimulatedEndpoint
from governor.demo.traffic import make_month
from governor.ports import ModelEndpoint, ModelReply, ModelRequest
from governor.settings import load_settings

TRACES = int(os.environ.get("GOVERNOR_BENCH_TRACES", "1460"))
CONCURRENCY = int(os.environ.get("GOVERNOR_BENCH_CONCURRENCY", "16"))
TURNS = 5
BOUND_SECONDS = 180
WORKFLOW = "fnol-triage"


def serve(told: Any, over: Any) -> None:
    with SimulatedEndpoint(seed=7) as endpoint:
        told.put(endpoint.base_url)
        over.wait()


@pytest.fixture
def base_url() -> Iterator[str]:
    method = multiprocessing.get_context("spawn")
    told, over = method.Queue(), method.Event()
    process = method.Process(target=serve, args=(told, over), daemon=True)
    process.start()
    yield told.get(timeout=60)
    over.set()
    process.join(10)


class Watched:
    """The endpoint of the catalog; keeps the requests it was given and when."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.requests: list[ModelRequest] = []
        self.first = self.last = self.cpu_first = self.cpu_last = 0.0

    def call_batches(self, requests: Any, *, concurrency: int) -> Iterator[list[tuple[ModelRequest, ModelReply]]]:
        def seen() -> Iterator[ModelRequest]:
            for request in requests:
                if not self.requests:
                    self.first, self.cpu_first = time.perf_counter(), time.process_time()
                self.requests.append(request)
                yield request

        for batch in self.inner.call_batches(seen(), concurrency=concurrency):
            yield batch
            self.last, self.cpu_last = time.perf_counter(), time.process_time()  # this batch is written down

    def call_many(self, requests: Any, *, concurrency: int) -> Iterator[tuple[ModelRequest, ModelReply]]:
        yield from self.inner.call_many(requests, concurrency=concurrency)


def house(home: Path, url: str) -> tuple[Context, Any]:
    ctx = open_context(load_settings(home=home), create=True)
    admin = authenticate(ctx, init_home(ctx, email="admin@acme.example", name="Admin", billing_zone="UTC")["token"])
    apply(ctx, admin, parse_documents(catalog_yaml(url, "2027-12-31")))
    month = make_month(home / "traffic", "2026-10", calls=TRACES * 3)
    ingest(ctx, OPERATOR, "litellm", [str(file) for file in month.files])
    return ctx, admin


@pytest.mark.bench
def test_replays_keep_up_with_the_bare_client(tmp_path: Path, base_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOVERNOR_DEMO_SHADOW_KEY", "shadow-key")
    monkeypatch.setenv("GOVERNOR_ALLOW_PRIVATE_ENDPOINTS", "true")
    ctx, admin = house(tmp_path, base_url)
    rates: dict[str, list[float]] = {"bare": [], "replay": []}
    cpu: dict[str, list[float]] = {"bare": [], "replay": []}
    took: list[float] = []
    for turn in range(TURNS):
        options = {"concurrency": CONCURRENCY, "aa_replays": TRACES, "seed": f"bench-{turn}"}
        change = propose(
            ctx, admin, workflow=WORKFLOW, candidate="openai/gpt-4.1-mini", endpoint="gateway-shadow", endpoint_model=f"sim-mini-{turn}", reason="bench",
            sample=TRACES, margins={"quality": "0.03"}, budget_usd="500", options=options,
        )  # fmt: skip
        run_id = str(start_shadow(ctx, admin, str(change["id"]))["run"])
        watched: list[Watched] = []

        def endpoints(context: Context, name: str, watched: list[Watched] = watched) -> ModelEndpoint:
            watched.append(Watched(http_endpoint(context, name)))
            return watched[-1]

        started = time.perf_counter()
        done = replay(ctx, run_id, endpoints=endpoints)
        took.append(time.perf_counter() - started)
        [seen] = watched
        assert done["status"] == "done", json.dumps(done)[:500]
        assert len(seen.requests) == 3 * TRACES
        rates["replay"].append(len(seen.requests) / (seen.last - seen.first))
        cpu["replay"].append((seen.cpu_last - seen.cpu_first) / len(seen.requests))
        begun, cpu_begun = time.perf_counter(), time.process_time()
        assert sum(1 for _ in http_endpoint(ctx, "gateway-shadow").call_many(seen.requests, concurrency=CONCURRENCY)) == 3 * TRACES
        rates["bare"].append(3 * TRACES / (time.perf_counter() - begun))
        cpu["bare"].append((time.process_time() - cpu_begun) / (3 * TRACES))
    ctx.close()
    ratios, burdens = (
        [one / other for one, other in zip(*pair, strict=True)] for pair in ((rates["replay"], rates["bare"]), (cpu["bare"], cpu["replay"]))
    )
    print(  # noqa: T201 - what a bench is for
        f"\n{TRACES:,} traces x two arms + A/A = {3 * TRACES:,} calls, {CONCURRENCY} at a time: end to end {min(took):.1f} s; replay"
        f" {[round(one) for one in rates['replay']]} a second, bare client {[round(one) for one in rates['bare']]}: {median(ratios):.0%}"
        f" ({min(ratios):.0%} to {max(ratios):.0%}); by processor time {median(burdens):.0%}"
        f" ({min(cpu['replay']) * 1e3:.2f} ms a call, bare {min(cpu['bare']) * 1e3:.2f})"
    )
    assert min(took) < BOUND_SECONDS
