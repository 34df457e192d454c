"""How long a signed-in person waits for each page over a month of many calls.

GOVERNOR_BENCH_ROWS (default 10 million) made-up calls of October, 24 workflows; a tenth are other witnesses. Each page is asked for once, then five times
more (p50, and p95 which of five is the slowest). Then, three times, a thousand new calls come in, which makes every remembered answer too old, and each page
is asked for once again, in another order each time; what several pages share is then made anew for the first of them, as it is for people, or shown
as it was counted last where that takes longer than a page waits.
With a home that an earlier run kept, the first look is that of a process that has just started.
Bare: DuckDB's count(*) of the month over the same Parquet files in the same run. GOVERNOR_BENCH_HOME keeps the home for the next run.
Nothing is asserted about time; every page must answer, and every page of the site is asked for or named as left out.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import statistics
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import duckdb
import pytest
from litestar.testing import TestClient
from made_lake import OCTOBER, PASSWORD, PEOPLE, TWO_DOZEN, fill, made_home

from governor.actions.context import Context
from governor.asgi import create_app
from governor.web import newer_calls
from governor.web.routes import MODULES

ROWS: Final = int(os.environ.get("GOVERNOR_BENCH_ROWS", "10000000"))
VISITS: Final = 5
SLOW: Final = 0.3  # seconds, below which a look after new calls is not listed
LATE: Final = 1_000
ROUNDS: Final = 3
WAITS: Final = newer_calls.WAITS_SECONDS  # as the product does; the other tests have pages wait for as long as it takes
BEGAN: Final = time.monotonic()
# Pages of a change, a close or a proposal of prices: none of them is made here, and none looks at calls of the month that others do not.
LEFT_OUT: Final = {
    "/changes/{change_id:str}",
    "/review/{change_id:str}",
    "/calls/{record_id:str}/raw",
    "/periods/{month:str}/files/{name:str}",
    "/periods/{month:str}/lines/{line:str}",
    "/periods/{month:str}/versions/{version:int}/{name:str}",
    "/periods/{month:str}/reconciliation/bridge.svg",
    "/prices/proposals/{proposal:str}",
    "/settings/tokens",
    "/sign-in",
    "/sign-in/oidc",
    "/sign-in/oidc/back",
}
EXPORTS: Final = "/periods/{month:str}/exports/"  # files that somebody asked for; nobody does here
FILLED: Final = {
    "/spend/chart.svg": "/spend/chart.svg?period={month:str}&by=workflow",
    "/budgets/forecast.svg": "/budgets/forecast.svg?period={month:str}",
    "/budgets/movement.svg": "/budgets/movement.svg?period={month:str}",
    "/allocation.svg": "/allocation.svg?period={month:str}",
    "/prices/history": "/prices/history?provider=openai&model=gpt-4o",
    "/prices/history.svg": "/prices/history.svg?provider=openai&model=gpt-4o",
    "/audit/sample.csv": "/audit/sample.csv?seed=0123456789&n=25",
}


def clock() -> datetime:
    """Half an hour after the month, and going on: what is remembered gets old here too."""
    return OCTOBER[1] + timedelta(minutes=30) + timedelta(seconds=time.monotonic() - BEGAN)


@contextlib.contextmanager
def home(tmp_path: Path) -> Iterator[Context]:
    kept = os.environ.get("GOVERNOR_BENCH_HOME", "")
    place = Path(kept) if kept else tmp_path / "home"
    with made_home(place, clock=clock, samples=TWO_DOZEN) as (ctx, _):
        if not ctx.lake.totals()["calls"]:
            fill(ctx.lake, ROWS, *OCTOBER, samples=TWO_DOZEN)
        yield ctx


def paths(record_id: str) -> list[str]:
    templates = [path for module in MODULES for route in module.ROUTES if "GET" in route.http_methods for path in sorted(route.paths)]
    assert set(templates) >= LEFT_OUT | set(FILLED)
    facts = {"workflow_id": "fnol-triage", "record_id": record_id, "month": "2026-10", "name": "1"}
    found = [FILLED.get(path, path) for path in templates if path not in LEFT_OUT and not path.startswith(EXPORTS)]
    return [re.sub(r"\{(\w+):\w+\}", lambda match: facts[match[1]], path) for path in found]


class Stopwatch:
    """Seconds by the wall, and of the processor in all threads of this process: on a busy machine only the second says what a page costs."""

    def __init__(self) -> None:
        self.wall: list[float] = []
        self.worked: list[float] = []
        self.refused = ""

    def visit(self, client: TestClient[Any], path: str) -> None:
        wall, worked = time.perf_counter(), time.process_time()
        answer = client.get(path, follow_redirects=False)
        self.wall.append(time.perf_counter() - wall)
        self.worked.append(time.process_time() - worked)
        if answer.status_code != 200:
            self.refused = f"{path}: {answer.status_code} {answer.text[:600]}"


@pytest.mark.bench
@pytest.mark.filterwarnings("ignore")
def test_every_page(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(newer_calls, "WAITS_SECONDS", WAITS)

    def say(line: str) -> None:
        with capsys.disabled():
            print(line, flush=True)  # noqa: T201

    with home(tmp_path) as ctx, TestClient(create_app(ctx.settings, context=ctx, with_worker=False)) as client:
        say(f"\n{ctx.lake.totals()['calls']:,} calls; bare count(*) of the month {bare(ctx):.3f} s; load {os.getloadavg()[0]:.1f}")
        [picked] = ctx.lake.query("SELECT record_id FROM {calls} AS c WHERE cost_bearing LIMIT 1 OFFSET 1000").to_pylist()
        csrf = re.search(r'name="csrf" value="([^"]+)"', client.get("/sign-in").text)
        assert csrf
        client.post("/sign-in", data={"csrf": csrf[1], "email": PEOPLE[0], "password": PASSWORD}, follow_redirects=False)
        watches = {path: Stopwatch() for path in paths(picked["record_id"])}
        say(f"{'page':46} {'first':>8} {'p50':>7} {'p95':>7}   processor: {'first':>7} {'p50':>7}")
        for path, watch in watches.items():
            for _ in range(1 + VISITS):
                watch.visit(client, path)
            again = watch.wall[1:]
            say(
                f"{path.replace(picked['record_id'], 'ID'):46} {watch.wall[0]:8.2f} {statistics.median(again):7.3f} {max(again):7.3f}"
                f"   processor: {watch.worked[0]:7.2f} {statistics.median(watch.worked[1:]):7.3f}{'  over a second' if max(again) >= 1 else ''}"
            )
        say(f"after {LATE:,} new calls, {ROUNDS} times:")
        after: dict[str, Stopwatch] = {path: Stopwatch() for path in watches}
        for number in range(ROUNDS):
            fill(ctx.lake, LATE, OCTOBER[1] - timedelta(minutes=10), OCTOBER[1], tag=f"{time.time()}-", samples=TWO_DOZEN)
            for path in random.Random(number).sample(list(after), len(after)):
                after[path].visit(client, path)
        for path, watch in after.items():
            if max(watch.wall) >= SLOW:
                said = f"{path.replace(picked['record_id'], 'ID'):46} {'':8} {statistics.median(watch.wall):7.3f} {max(watch.wall):7.3f}"
                say(f"{said}   processor: {max(watch.worked):7.2f} {statistics.median(watch.worked):7.3f}")
        looks = sorted(second for watch in after.values() for second in watch.wall)
        say(f"all {len(looks)} looks: p50 {looks[len(looks) // 2]:.3f}, p95 {looks[len(looks) * 95 // 100]:.3f}, slowest {looks[-1]:.3f}")
        watches |= {f"{path} again": watch for path, watch in after.items()}
        assert [watch.refused for watch in watches.values() if watch.refused] == []


def bare(ctx: Context) -> float:
    with duckdb.connect() as engine:
        engine.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
        files = f"read_parquet('{ctx.settings.home}/lake/**/*.parquet', union_by_name = true, hive_partitioning = false)"
        began = time.perf_counter()
        engine.execute(f"SELECT count(*) FROM {files} WHERE start_time >= $1 AND start_time < $2", list(OCTOBER)).fetchall()
        return time.perf_counter() - began
