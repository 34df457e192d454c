"""Cases that fooled others, through the decision itself. Those on recorded outputs read ../shared and skip without it."""

import gzip
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import numpy as np
import pytest

from governor.shadow.comparison import Limits, Pair, compare
from governor.shadow.guards import Facts
from governor.shadow.plan import Judge, Metric, ReplayPlan
from governor.shadow.verdict import verdict

PlanOf = Callable[..., ReplayPlan]
PairsOf = Callable[..., list[Pair]]
SHARED = Path(__file__).parents[2] / "../shared/data/shadow"
recorded = pytest.mark.skipif(not SHARED.exists(), reason="recorded model outputs are not here (../shared/data/shadow)")
FINE = Facts("ok", {"error": False}, text="t" * 64, answer="a" * 64, http_status=200, duration_us=700_000, ttft_us=200_000)
FAILED = Facts("error", {"error": True}, http_status=429, error="http_429", duration_us=0, ttft_us=0)


@recorded
def test_the_same_405b_on_another_host_fails_on_strict_json_while_quality_passes(plan_of: PlanOf, pairs_of: PairsOf) -> None:
    def labels(column: str) -> Any:
        file = str(SHARED / "zeroeval_gsm_labels.parquet")
        sql = f"SELECT item_id, model, {column}::INT FROM read_parquet($file) WHERE model LIKE '%405B%'"
        rows = {(item, model): value for item, model, value in duckdb.execute(sql, {"file": file}).fetchall()}
        items = sorted({item for item, _ in rows})
        return np.array([rows[item, "Llama-3.1-405B-Instruct-Turbo"] - rows[item, "Llama-3.1-405B-Inst@sambanova"] for item in items])

    quality, strict = labels("correct"), labels("json_strict")
    plan = replace(plan_of(600), metrics=(Metric("contract", "0.02"), Metric("quality", "0.03")))
    rng, words, alone = np.random.default_rng(61), [], []
    for _ in range(20):
        at = rng.integers(0, len(quality), plan.n)
        found = verdict(plan, pairs_of(plan, quality[at].tolist(), contract=strict[at].tolist()))
        words.append((found["verdict"], next(one["status"] for one in found["metrics"] if one["name"] == "contract")))
        only = replace(plan, metrics=(Metric("quality", "0.03"),))
        alone.append(verdict(only, pairs_of(only, quality[at].tolist()))["verdict"])
    assert words == [("fail", "fail")] * 20
    assert alone.count("pass") >= 19


def reruns(model: str) -> Any:
    """Differences of a model's second run to its first, 17 days apart, on recorded tool calls."""
    with gzip.open(SHARED / "bfcl_recorded_traces.jsonl.gz", "rt") as lines:
        rows = [json.loads(line)["recorded"] for line in lines]
    again = next(name for name in rows[0] if name.startswith(f"{model}@"))
    return np.array([int(row[again]["valid"]) - int(row[model]["valid"]) for row in rows if again in row and model in row])


@recorded
@pytest.mark.parametrize("model", ["gpt-4o-2024-05-13-FC", "gpt-4-turbo-2024-04-09-FC"])
def test_a_rerun_that_was_shifted_voids_the_run_and_the_rerun_as_it_was_does_not(plan_of: PlanOf, pairs_of: PairsOf, model: str) -> None:
    d, plan = reruns(model), plan_of(600, aa_replays=200)
    rng, words = np.random.default_rng(62), {0.0: [], 0.15: []}
    for broken, found in words.items():
        for _ in range(20):
            moved = d[rng.integers(0, len(d), 200)]
            moved = np.where((moved >= 0) & (rng.random(200) < broken), -1, moved)
            pairs = [
                replace(pair, repeat={"quality": int(moved[pair.position])}, repeat_equal="answer") if pair.position < 200 else pair
                for pair in pairs_of(plan, [0] * plan.n)
            ]
            found.append(verdict(plan, pairs)["verdict"])
    assert words[0.0].count("invalid_baseline") <= 2
    assert words[0.15].count("invalid_baseline") >= 19


@pytest.mark.parametrize("calibration", ["", "d" * 64], ids=["judge shown", "judge trusted"])
def test_one_constant_string_is_rejected_although_the_judge_prefers_it(plan_of: PlanOf, pairs_of: PairsOf, calibration: str) -> None:
    """The judge says that the one answer is better in every pair, and passed its canaries."""
    plan = plan_of(judge=Judge("endpoint", "gemini", "google", "f" * 64, calibration=calibration, canaries=4))
    trusted = (1, 1) if calibration else (-1, 1)
    pairs = [
        replace(pair, quality=trusted, equal="no", judge=1, candidate_text="constant", canary=True if pair.position < 4 else None)
        for pair in pairs_of(plan, [0] * plan.n)
    ]
    found = verdict(plan, pairs)
    assert (found["verdict"], found["decided_by"]) == ("fail", "variety")
    assert found["judge"]["estimate"] == "1.000000"
    assert "its answers hardly differ from one another" in found["sentence"]


@pytest.mark.parametrize("slow", [0, 1], ids=["baseline within its limit", "baseline over its limit"])
def test_an_arm_with_87_percent_errors_and_no_time_to_the_first_token_never_passes_latency(plan_of: PlanOf, slow: int) -> None:
    """130 of 150 requests failed with a time of 0: as a median it is the fastest arm there is. Replies as an endpoint gave them, not made differences."""
    limit = 1_000_000
    plan = plan_of(metrics=("error", "latency", "quality"), latency_slo_us=limit)
    base = msgspec.structs.replace(FINE, duration_us=limit + 1) if slow else FINE
    pairs = [
        compare(
            at,
            plan.sample[at].record_id,
            msgspec.structs.replace(base, text=f"{at:064d}"),
            FAILED if at % 100 < 87 else msgspec.structs.replace(FINE, text=f"{at:064d}", duration_us=1, ttft_us=0),
            limits=Limits(latency_us=limit),
            costs=(1_000_000, 100_000),
        )
        for at in range(plan.n)
    ]
    found = verdict(plan, pairs)
    latency = next(one for one in found["metrics"] if one["name"] == "latency")
    assert found["verdict"] == "fail"
    assert latency["status"] == ("inconclusive" if slow else "fail")
    assert (found["latency"]["p50_ratio"], found["latency"]["p95_ratio"], found["latency"]["paired"]) == (None, None, None)
    assert found["latency"].get("ttft_paired") is None
