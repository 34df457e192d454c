"""What people's labels make of a judge that is often wrong, on recorded outputs: the judge says which answer is nearer to a third model's, the labels are the
benchmark's own check. Reads ../shared, skips without it.
"""

from __future__ import annotations

import gzip
import json
import os
import random
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import Any

import pytest

from governor.shadow.comparison import Pair
from governor.shadow.corrected import corrected
from governor.shadow.labels import drawn

TRACES = Path(__file__).parents[3] / "shared/data/shadow/bfcl_recorded_traces.jsonl.gz"
WHOLE = bool(os.environ.get("GOVERNOR_BENCH"))
CASES = (  # baseline, candidate, the model whose answers the judge likes
    ("gpt-4-turbo-2024-04-09-FC", "gpt-4o-mini-2024-07-18-FC", "claude-3-5-sonnet-20240620-FC"),
    ("claude-3-5-sonnet-20240620-FC", "claude-3-haiku-20240307-FC", "gpt-4o-2024-08-06-FC"),
    ("gpt-3.5-turbo-0125-FC", "gpt-4o-2024-05-13-FC", "claude-3-haiku-20240307-FC"),
    ("claude-3-haiku-20240307-FC", "gpt-4o-2024-08-06-FC", "gpt-3.5-turbo-0125-FC"),
)
SAMPLE, LABELS = 600, 100


def population(baseline: str, candidate: str, liked: str, rows: list[dict[str, Any]]) -> list[tuple[int, int | None]]:
    """(truth, opinion) per trace; no opinion where the answers are equal."""
    found: list[tuple[int, int | None]] = []
    for row in rows:
        left, right, judge = (row["recorded"].get(name) for name in (baseline, candidate, liked))
        if left and right and judge:
            same = left["result"] == right["result"]
            opinion = (right["result"] == judge["result"]) - (left["result"] == judge["result"])
            found.append((0, None) if same else (int(right["valid"]) - int(left["valid"]), opinion))
    return found


@pytest.mark.skipif(not TRACES.exists(), reason="the recorded outputs are not here")
def test_labels_on_a_random_part_give_intervals_that_cover_and_the_judge_alone_does_not() -> None:
    with gzip.open(TRACES, "rt") as lines:
        rows = [json.loads(line) for line in lines]
    dice = random.Random(5)
    runs = 400 if WHOLE else 15
    both, alone, approved, tried = 0, 0, 0, 0
    for baseline, candidate, liked in CASES:
        traces = population(baseline, candidate, liked, rows)
        truth = mean(value for value, _ in traces)
        for run in range(runs):
            sample = [dice.choice(traces) for _ in range(SAMPLE)]
            pairs = [
                Pair(
                    at, f"r{at}", "done", quality=(0, 0) if said is None else (-1, 1), equal="answer" if said is None else "no", judge=said
                )
                for at, (_, said) in enumerate(sample)
            ]
            seed = f"{baseline}|{candidate}|{run}"
            for at in drawn(seed, pairs)[:LABELS]:
                pairs[at] = replace(pairs[at], labels=(sample[at][0],))
            found = corrected(seed, pairs, [1.0] * SAMPLE, max(-truth, 0.0), LABELS, judge=True)
            if found is None:
                continue
            tried += 1
            both += found.interval.low <= truth <= found.interval.high
            approved += truth < 0 and found.p <= 0.04  # the margin is the truth: every approval is false
            opinions = [float(said or 0) for _, said in sample]
            centre = mean(opinions)
            error = (mean((one - centre) ** 2 for one in opinions) / SAMPLE) ** 0.5
            alone += abs(centre - truth) <= 1.96 * error
    worse = sum(mean(value for value, _ in population(*case, rows)) < 0 for case in CASES) * runs
    print(f"covers {both / tried:.3f}; judge alone {alone / tried:.3f}; approved at the margin {approved}/{worse}; {tried} runs")  # noqa: T201 - a bench says what it measured
    assert tried > 3 * runs
    assert both / tried >= (0.92 if WHOLE else 0.85)
    assert alone / tried < 0.6
    assert approved / worse <= (0.055 if WHOLE else 0.12)
