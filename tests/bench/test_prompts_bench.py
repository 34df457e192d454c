"""How long a month takes by prompt version and by the parts of prompts, beside the month as everybody asks for it.

GOVERNOR_BENCH_ROWS (default 10 million) made-up calls of October, 24 workflows of two prompts each in three versions; half of the calls say five parts.
Each is asked for the first time, again with the kept days (the process forgot), and after a thousand new calls.
Nothing is asserted about time; the parts must sum to the calls' cost, and every cut to the month.
"""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pytest
from made_lake import OCTOBER, TWO_DOZEN, fill, made_columns, made_home

from governor.actions import governed_rows, remembered
from governor.actions.month_view import month_view, prompt_view
from governor.actions.show_segments import show_segments, spoken_month

ROWS: Final = int(os.environ.get("GOVERNOR_BENCH_ROWS", "10000000"))
MONTH: Final = "2026-10"
# five parts of the input, which is 200 + hash(i, 1) % 4000 tokens; some say more than it, most leave some unsaid
PARTS: Final = (
    "'{{\"system\": ' || 100 + i % 7 || ', \"retrieved\": ' || hash(i, 1) % 2000 || ', \"history\": ' || hash(i, 1) % 1000"
    " || ', \"tools\": ' || i % 300 || ', \"examples\": 50}}'"
)


def columns() -> dict[str, str]:
    workflow = made_columns(TWO_DOZEN)["metadata"].split("'workflow': ")[1].split(", 'step'")[0]
    return {
        "prompt_id": "CASE WHEN i % 5 > 0 THEN 'prompt-' || w || '-' || i % 2 END",
        "prompt_version": "CASE WHEN i % 5 > 0 THEN (i * 3 // 10000000)::VARCHAR END",
        "metadata": f"MAP {{{{'workflow': {workflow}, 'step': 'draft', 'prompt_segments': CASE WHEN i % 2 = 0 THEN {PARTS} END}}}}",
    }


@pytest.mark.bench
@pytest.mark.filterwarnings("ignore")
def test_prompts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def say(line: str) -> None:
        with capsys.disabled():
            print(line, flush=True)  # noqa: T201

    kept = os.environ.get("GOVERNOR_BENCH_PROMPTS_HOME", "")
    place = Path(kept) if kept else tmp_path / "home"
    with made_home(place, clock=lambda: OCTOBER[1] + timedelta(hours=1), samples=TWO_DOZEN) as (ctx, _):
        if not ctx.lake.totals()["calls"]:
            fill(ctx.lake, ROWS, *OCTOBER, samples=TWO_DOZEN, other=columns())
        asked: dict[str, Callable[[], Any]] = {
            "the month": lambda: month_view(ctx, MONTH),
            "by prompt": lambda: prompt_view(ctx, MONTH),
            "by part of the prompt": lambda: spoken_month(ctx, MONTH),
        }
        say(f"\n{ctx.lake.totals()['calls']:,} calls; load {os.getloadavg()[0]:.1f}")
        for when in ("first", "again from kept days", "after 1,000 new calls"):
            if when.startswith("after"):
                tag = f"{time.time()}-"
                fill(ctx.lake, 1_000, OCTOBER[1] - timedelta(minutes=10), OCTOBER[1], tag=tag, samples=TWO_DOZEN, other=columns())
            elif when.startswith("again"):
                governed_rows._kept.clear()
            for name, ask in asked.items():
                remembered._memory.clear()
                wall, worked = time.perf_counter(), time.process_time()
                found = ask()
                rows = len(found.lines) if name.endswith("of the prompt") else len(found.groups)
                say(
                    f"{when:24} {name:24} {time.perf_counter() - wall:7.2f} s, processor {time.process_time() - worked:7.2f} s, {rows:,} rows; "
                    f"peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.1f} GiB"
                )
        report = show_segments(ctx, MONTH)
        assert sum(Decimal(row["cost"]) for row in report["parts"]) == Decimal(report["cost"]) > 0
        whole = sum(group.contracted_pico for group in month_view(ctx, MONTH).groups)
        assert whole == sum(group.contracted_pico for group in prompt_view(ctx, MONTH).groups)
        assert whole == sum(group.contracted_pico for group in spoken_month(ctx, MONTH).month.groups)
