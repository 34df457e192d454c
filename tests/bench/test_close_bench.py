"""Pricing and grouping a month, and closing it, as the month grows: seconds and ratios against the bare DuckDB GROUP BY of the same files.

GOVERNOR_BENCH_SIZES (default 1000000,5000000,10000000; 50000000 as one likes) calls of October; after each close one call in a hundred comes late,
and the next month's statement has to carry the difference. Nothing is asserted about time; sums, files and digests must agree.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from made_lake import OCTOBER, fill, made_home, person
from test_rollup_bench import PLAIN, SUMS

from governor.actions.charge_month import charge_month
from governor.actions.close_period import close, status
from governor.actions.govern import govern_month

SIZES = [int(size) for size in os.environ.get("GOVERNOR_BENCH_SIZES", "1000000,5000000,10000000").split(",")]
MEMORY = "4GB"
NEXT = datetime(2026, 12, 2, 9, tzinfo=UTC)


class Stopwatch:
    """Seconds spent in blocks, by name; `busy`: of all processors, which other work on the machine does not lengthen."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.busy: dict[str, float] = {}

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        start, worked = time.perf_counter(), time.process_time()
        yield
        self.seconds[name], self.busy[name] = time.perf_counter() - start, time.process_time() - worked


def timed(run: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    found = run()
    return time.perf_counter() - start, found


@pytest.mark.bench
@pytest.mark.parametrize("rows", SIZES)
def test_close_of_a_month(rows: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    watch, asked = Stopwatch(), [0.0]
    with made_home(tmp_path / "home", memory=MEMORY, clock=lambda: NEXT) as (ctx, _):
        fill(ctx.lake, rows, *OCTOBER)
        table, query = ctx.lake.month_facts, ctx.lake.query

        def counted(run: Callable[..., Any]) -> Callable[..., Any]:
            def measured(*values: Any, **named: Any) -> Any:
                seconds, found = timed(lambda: run(*values, **named))
                asked[0] += seconds
                return found

            return measured

        ctx.lake.month_facts, ctx.lake.query = counted(table), counted(query)  # type: ignore[method-assign]
        with duckdb.connect() as engine:
            engine.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
            sql = f"""SELECT {PLAIN}, {SUMS} FROM read_parquet('{tmp_path}/home/**/*.parquet', hive_partitioning = false)
                WHERE cost_bearing AND start_time >= $start AND start_time < $end GROUP BY ALL"""
            bare = min(timed(lambda: engine.execute(sql, {"start": OCTOBER[0], "end": OCTOBER[1]}).fetchall())[0] for _ in range(2))
        with watch.of("govern"):
            governed = govern_month(ctx, "2026-10")
        grouping = asked[0]
        with watch.of("charge"):
            charge_month(ctx, "2026-10")
        asked[0] = 0.0
        with watch.of("close"):
            closed = close(ctx, person(ctx, "finn@acme.example"), "2026-10", tmp_path / "out")
        of_close = asked[0]
        assert sum(group.calls for group in governed.groups) == rows - rows // 10
        assert closed["state"] == "closed"
        fill(ctx.lake, rows // 100, *OCTOBER, tag="late")
        with watch.of("next"):
            following = status(ctx, "2026-11")
        assert following["corrections"][0]["charge_month"] == "2026-10"
        assert close(ctx, person(ctx, "finn@acme.example"), "2026-10", tmp_path / "again")["files"] == closed["files"]
    seconds = watch.seconds
    with capsys.disabled():
        print(  # noqa: T201
            f"\n{rows:,} calls, {len(governed.groups):,} ways: bare GROUP BY {bare:.2f} s; grouped for pricing {grouping:.2f} s ({grouping / bare:.2f} of bare),"
            f" governed {seconds['govern']:.2f} s, charged {seconds['charge']:.2f} s; whole close {seconds['close']:.2f} s, of it lake {of_close:.2f} s"
            f" (processor time: governed {watch.busy['govern']:.2f} s, close {watch.busy['close']:.2f} s)"
            f" ({seconds['close'] / bare:.1f} of bare); next month with {rows // 100:,} late calls {seconds['next']:.2f} s"
        )
