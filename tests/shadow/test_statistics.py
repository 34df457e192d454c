"""Fixed-sample statistics against full-population truths computed elsewhere, and against what must hold by definition."""

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from governor.shadow.money import savings
from governor.shadow.statistics import (
    Counts,
    latency_ratio,
    least_pairs,
    noninferiority_p,
    pairs_needed,
    quantile,
    student_quantile,
    tango_interval,
    tango_z,
    weighted_counts,
)

SHARED = Path(__file__).parents[2] / "../shared/data/shadow"
# USD per million tokens of the recorded models: input, output.
PRICES = {
    "gpt-4-turbo-2024-04-09-FC": (10.0, 30.0),
    "gpt-4o-2024-05-13-FC": (5.0, 15.0),
    "gpt-4o-2024-08-06-FC": (2.5, 10.0),
    "gpt-4o-mini-2024-07-18-FC": (0.15, 0.6),
    "gpt-3.5-turbo-0125-FC": (0.5, 1.5),
    "claude-3-5-sonnet-20240620-FC": (3.0, 15.0),
    "claude-3-haiku-20240307-FC": (0.25, 1.25),
}
recorded = pytest.mark.skipif(not SHARED.exists(), reason="recorded model outputs are not here (../shared/data/shadow)")


def golden() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((SHARED / "golden_pairs.json").read_text()) if SHARED.exists() else []
    return found


@recorded
@pytest.mark.parametrize("row", golden(), ids=lambda row: f"{row['incumbent']}->{row['candidate']}"[:80])
def test_intervals_and_p_values_equal_the_golden_pairs(row: dict[str, Any]) -> None:
    counts = Counts(row["cand_only"], row["inc_only"], row["n"])
    interval = tango_interval(counts)
    assert interval.low == pytest.approx(row["tango95"][0], abs=1e-4)
    assert interval.high == pytest.approx(row["tango95"][1], abs=1e-4)
    assert counts.difference == pytest.approx(row["diff"], abs=1e-6)
    for margin, p in row.get("ni_p", {}).items():
        assert noninferiority_p(counts, float(margin)) == pytest.approx(p, abs=1e-3)


@recorded
def test_counts_and_savings_from_recorded_calls_equal_the_golden_pairs() -> None:
    import pyarrow.parquet as pq

    calls: dict[str, dict[tuple[str, int], dict[str, Any]]] = {}
    for row in pq.read_table(SHARED / "bfcl_fixture_labels.parquet").to_pylist():
        calls.setdefault(row["model"], {})[row["segment"], row["idx"]] = row

    def cost(row: dict[str, Any]) -> int:
        into, out = PRICES[row["model"]]
        return int((row["input_tokens"] * into + row["output_tokens"] * out) * 1e6 + 0.5)

    checked = 0
    for row in golden():
        if "savings" not in row:
            continue
        base, cand = calls[row["incumbent"]], calls[row["candidate"]]
        keys = sorted(base)
        d = [int(cand[key]["valid"]) - int(base[key]["valid"]) for key in keys]
        assert (d.count(1), d.count(-1)) == (row["cand_only"], row["inc_only"])
        found = savings([cost(base[key]) for key in keys], [cost(cand[key]) for key in keys], [1.0] * len(keys))
        assert found is not None
        assert found.rate == pytest.approx(row["savings"], abs=1e-4)
        assert (found.interval.low, found.interval.high) == pytest.approx(
            tuple(row["savings95"]), abs=2e-3
        )  # theirs takes no account of skew
        checked += 1
    assert checked >= 6


@recorded
def test_counts_from_the_other_recorded_labels_equal_the_golden_pairs() -> None:
    """ZeroEval answers and strict JSON, and RouteLLM's GSM8K: every pair whose labels are here."""
    import duckdb

    def pair(file: str, left: str, right: str) -> Any:
        sql = f"SELECT count(*), count(*) FILTER (y AND NOT x), count(*) FILTER (x AND NOT y) FROM ({left}) AS a JOIN ({right}) AS b USING (item_id)"
        return duckdb.execute(sql.replace("FILE", f"read_parquet('{SHARED / file}')")).fetchone()

    checked = 0
    for row in golden():
        label = {"zeroeval-gsm-correct": "correct", "zeroeval-gsm-json_strict": "json_strict"}.get(row["source"])
        if label:
            arms = [
                f"SELECT item_id, {label}::BOOL AS {name} FROM FILE WHERE model = '{row[arm]}'"
                for arm, name in (("incumbent", "x"), ("candidate", "y"))
            ]
            found = pair("zeroeval_gsm_labels.parquet", *arms)
        elif row["source"] == "routellm-gsm8k":
            kept = "FROM FILE WHERE dataset = 'gsm8k' AND NOT contaminated"
            found = pair(
                "routellm_gsm8k_mmlu_half.parquet",
                f"SELECT item_id, strong_correct AS x {kept}",
                f"SELECT item_id, weak_correct AS y {kept}",
            )
        else:
            continue
        assert found == (row["n"], row["cand_only"], row["inc_only"]), row["source"]
        checked += 1
    assert checked >= 9


def test_score_statistic_is_zero_at_the_estimate_and_falls() -> None:
    counts = Counts(12, 30, 400)
    assert tango_z(counts, counts.difference) == pytest.approx(0, abs=1e-9)
    steps = [tango_z(counts, delta / 100) for delta in range(-90, 91, 5)]
    assert steps == sorted(steps, reverse=True)


def test_no_pairs_prove_nothing() -> None:
    nothing = Counts(0, 0, 0)
    assert noninferiority_p(nothing, 0.03) == 1
    assert tango_interval(nothing).low == -1


def test_perfect_agreement_needs_as_many_pairs_as_published() -> None:
    assert [least_pairs(margin) for margin in (0.03, 0.02, 0.01)] == [100, 151, 304]
    assert noninferiority_p(Counts(0, 0, 100), 0.03) <= 0.04 < noninferiority_p(Counts(0, 0, 99), 0.03)
    assert [pairs_needed(margin, 0.05) for margin in (0.03, 0.02, 0.01)] == [374, 841, 3361]


def test_equal_weights_are_plain_counts_and_unequal_ones_shrink_the_sample() -> None:
    d = [1, -1, 0, 0, -1]
    plain = weighted_counts(d, [0.7] * 5)
    assert (plain.better, plain.worse, plain.n) == pytest.approx((1, 2, 5))
    assert weighted_counts(d, [2, 0.5, 1, 1, 0.5]).n < 5


def test_a_loss_among_the_cheap_calls_is_not_passed_more_often_than_one_anywhere() -> None:
    """A tenth of the calls costs nothing, is drawn half as often and weighs twice; the candidate loses 30 % of just these: exactly the margin of 3 points."""
    passed = covered = 0
    for run in range(400):
        rng = random.Random(run)
        cheap = [rng.random() < 0.05 for _ in range(900)]
        d = [-1 if low and rng.random() < 0.3 else 0 for low in cheap]
        counts = weighted_counts(d, [2.0 if low else 1.8 / 1.9 for low in cheap])
        interval = tango_interval(counts)
        passed += noninferiority_p(counts, 0.03) <= 0.04
        covered += interval.low <= -0.03 <= interval.high
    assert passed <= 30  # 4 % are 16; 10 % passed when only the weights were counted
    assert covered >= 360


def samples(rng: np.random.Generator, n: int, reps: int, better: float, worse: float) -> Iterator[Counts]:
    for b, c, _ in rng.multinomial(n, [better, worse, 1 - better - worse], size=reps):
        yield Counts(b, c, n)


@pytest.mark.parametrize(("better", "worse", "n"), [(0.02, 0.03, 200), (0.0, 0.004, 300), (0.08, 0.08, 100)])
def test_the_interval_covers_the_truth_about_as_often_as_it_says(better: float, worse: float, n: int) -> None:
    rng = np.random.default_rng(11)
    hits = [(i := tango_interval(counts)).low <= better - worse <= i.high for counts in samples(rng, n, 800, better, worse)]
    assert 0.92 <= np.mean(hits) <= (0.998 if better else 1.0)  # beyond the rarest events the score interval is conservative


def test_latency_without_successes_is_unknown() -> None:
    assert latency_ratio([], [], 0.95) is None
    assert latency_ratio([100, 200], [50, 100], 0.5) == 0.5


def test_student_quantile_is_the_one_of_the_textbooks_and_of_scipy() -> None:
    from scipy.stats import t

    assert round(student_quantile(0.975, 10), 6) == 2.228139  # any printed table
    for freedom in (1, 2, 3, 4, 7, 30, 101, 600, 2_000):
        for probability in (0.9, 0.96, 0.975, 0.999):
            assert student_quantile(probability, freedom) == pytest.approx(float(t.ppf(probability, freedom)), rel=1e-11)


@pytest.mark.parametrize(("share", "expected"), [(0.5, 25.0), (0.95, 38.5), (0.0, 10.0), (1.0, 40.0), (0.25, 17.5)])
def test_a_quantile_between_two_values_is_interpolated(share: float, expected: float) -> None:
    assert quantile([40, 10, 30, 20], share) == pytest.approx(expected)
    assert latency_ratio([10, 20, 30, 40], [20, 40, 60, 80], share) == pytest.approx(2.0)
