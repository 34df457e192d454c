"""The shadow decision away from the pairs its constants were looked at with: other pairs, made discordances, traces that fail as a whole, exact sums.

Small in the normal suite, whole under `bench`. Reads ../shared, skips without it.
"""

from itertools import permutations
from typing import Any

import numpy as np
import pytest
from scipy.special import gammaln, xlogy

from governor.shadow.betting import harm_wealth, noninferiority_wealth
from governor.shadow.forecast import still_needed
from governor.shadow.statistics import (
    NORMAL,
    Counts,
    deflated,
    design_effect,
    least_pairs,
    noninferiority_p,
    tango_interval,
    weighted_counts,
)
from tests.bench.test_shadow_study import BLOCK, HARM_LEVEL, PASS_LEVEL, SHARED, SIZES, hybrid, labels, pairs_between, runs, say, share

pytestmark = pytest.mark.skipif(not SHARED.exists(), reason="recorded model outputs are not in this checkout")


def tables(n: int) -> tuple[Any, Any]:
    better, worse = np.meshgrid(np.arange(n + 1.0), np.arange(n + 1.0), indexing="ij")
    kept = better + worse <= n
    return better[kept], worse[kept]


def covered(n: int, p_better: float, p_worse: float) -> float:
    """The exact probability that the interval of n pairs holds the truth: the interval holds what its test does not refuse."""
    better, worse = tables(n)
    delta = p_better - p_worse
    b = -better - worse + (2 * n - better + worse) * delta
    q = (np.sqrt(np.maximum(b * b + 8 * n * worse * delta * (1 - delta), 0)) - b) / (4 * n)
    gap, variance = better - worse - n * delta, n * (2 * q + delta * (1 - delta))
    inside = gap * gap <= NORMAL.inv_cdf(0.975) ** 2 * variance + 1e-9
    rest = n - better - worse
    ways = gammaln(n + 1) - gammaln(better + 1) - gammaln(worse + 1) - gammaln(rest + 1)
    odds = xlogy(better, p_better) + xlogy(worse, p_worse) + xlogy(rest, 1 - p_better - p_worse)
    return float(np.exp(ways + odds)[inside].sum())


def test_the_sum_is_that_of_the_intervals_themselves() -> None:
    better, worse = tables(40)
    by_hand = 0.0
    for b, c in zip(better, worse, strict=True):
        interval = tango_interval(Counts(b, c, 40))
        if interval.low <= -0.05 <= interval.high:
            log = gammaln(41) - gammaln(b + 1) - gammaln(c + 1) - gammaln(41 - b - c) + xlogy(b, 0.05) + xlogy(c, 0.1)
            by_hand += float(np.exp(log + xlogy(40 - b - c, 0.85)))
    assert covered(40, 0.05, 0.1) == pytest.approx(by_hand, abs=1e-9)


@pytest.mark.parametrize("size", SIZES)
def test_intervals_cover_any_pair_of_models_by_exact_sums(size: float) -> None:
    models = labels()
    differences = [models[cand] - models[base] for base, cand in permutations(sorted(models), 2)]
    order = np.random.default_rng(51).permutation(len(differences))
    for n, most in ((50, 600), (100, 400), (200, 120), (400, 40)):
        chosen = [differences[at] for at in order[: max(int(most * size), 4)]]
        found = [covered(n, float((d > 0).mean()), float((d < 0).mean())) for d in chosen]
        say(f"\nexact coverage, n={n}, {len(found)} pairs: mean {np.mean(found):.2%}, worst {min(found):.2%}")
        assert 0.93 <= np.mean(found) <= 0.97
        assert min(found) >= 0.91


@pytest.mark.parametrize("size", SIZES)
def test_false_decisions_at_made_discordances(size: float) -> None:
    """A candidate exactly at the margin, from routes that hardly differ to routes that differ on 60 % of the calls."""
    rng, reps = np.random.default_rng(52), 1000 if size == 1 else 60
    approved, failed = [], []
    for n in (100, 300, 600, 1500) if size == 1 else (300,):
        for margin in (0.01, 0.02, 0.03, 0.05, 0.10):
            for discordance in (0.01, 0.02, 0.03, 0.05, 0.08, 0.12, 0.18, 0.25, 0.40, 0.60):
                if discordance < margin or n < least_pairs(margin):
                    continue
                odds = [(discordance - margin) / 2, (discordance + margin) / 2, 1 - discordance]
                words = [hybrid(rng.choice([1, -1, 0], size=n, p=odds), margin)[0] for _ in range(reps)]
                approved.append(words.count("pass") / reps)
                failed.append(words.count("fail") / reps)
    say(
        f"\nmade discordances, {len(approved)} cells x {reps}: approved mean {np.mean(approved):.2%} max {max(approved):.2%};"
        f" failed mean {np.mean(failed):.2%} max {max(failed):.2%}"
    )
    assert np.mean(approved) <= 0.055
    assert np.mean(failed) <= 0.05
    if size == 1:
        assert max(approved) <= 0.09


@pytest.mark.parametrize("size", SIZES)
def test_false_decisions_on_other_pairs(size: float) -> None:
    """Three draws of a hundred pairs whose true loss is anything up to 30 points, at their own loss as margin."""
    for seed in (100, 101, 102) if size == 1 else (100,):
        rng, reps = np.random.default_rng(seed), 400 if size == 1 else 40
        found = [runs(d, 600, reps, rng, -float(d.mean())) for d in pairs_between(-0.30, -0.003, 100 if size == 1 else 8, seed)]
        approved, failed = [share(one, "pass") for one in found], [share(one, "fail") for one in found]
        say(
            f"\nother pairs, draw {seed}, {len(found)} x {reps}: approved mean {np.mean(approved):.2%} max {max(approved):.2%};"
            f" failed mean {np.mean(failed):.2%} max {max(failed):.2%}"
        )
        assert np.mean(approved) <= (0.055 if size == 1 else 0.08)
        assert np.mean(failed) <= (0.05 if size == 1 else 0.08)
        if size == 1:
            assert max(approved) <= 0.09


@pytest.mark.parametrize("size", SIZES)
def test_traces_that_fail_as_a_whole(size: float) -> None:
    """Calls of a trace that answer alike (all, or in 30 % of the traces) are at the margin; every count of traces, also forty with hardly a loss."""
    rng, reps = np.random.default_rng(53), 400 if size == 1 else 40
    covers, naive, approved = [], [], []
    for calls, traces in ((5, 60), (5, 200), (3, 100), (10, 40)):
        for alike in (0.3, 1.0):
            for lost, won in ((0.04, 0.01), (0.10, 0.05)):
                truth, odds, names = won - lost, [won, lost, 1 - won - lost], [str(at // calls) for at in range(calls * traces)]
                inside, plain, passed = 0, 0, 0
                for _ in range(reps):
                    one, own = (rng.choice([1, -1, 0], size=many, p=odds) for many in (traces, traces * calls))
                    d = np.where(np.repeat(rng.random(traces) < alike, calls), np.repeat(one, calls), own).tolist()
                    counts = weighted_counts(d, [1.0] * len(d))
                    slim = deflated(counts, design_effect(d, [1.0] * len(d), names))
                    told, blind = tango_interval(slim), tango_interval(counts)
                    inside += told.low <= truth <= told.high
                    plain += blind.low <= truth <= blind.high
                    passed += noninferiority_p(slim, -truth) <= 0.04
                covers.append(inside / reps)
                naive.append(plain / reps)
                approved.append(passed / reps)
    say(
        f"\ntraces, {len(covers)} cells x {reps}: covers mean {np.mean(covers):.2%} worst {min(covers):.2%} (taking calls for traces: worst {min(naive):.2%});"
        f" approved at the margin mean {np.mean(approved):.2%} max {max(approved):.2%}"
    )
    assert np.mean(approved) <= 0.055
    assert min(covers) >= (0.91 if size == 1 else 0.8)
    if size == 1:
        assert max(approved) <= 0.09


@pytest.mark.parametrize("size", SIZES)
def test_the_forecast_band_on_other_pairs(size: float) -> None:
    """Pairs of models that the band's shares were not looked at with; draws of 60 pairs differ from one another by a few points."""
    inside: list[bool] = []
    for seed in (201, 202, 203) if size == 1 else (201,):
        rng, mine = np.random.default_rng(seed), []
        for planned in (300, 600, 1500) if size == 1 else (300,):
            ones = np.ones(planned * 40)
            for number, d in enumerate(pairs_between(-0.12, 0.05, 60 if size == 1 else 10, seed)):
                for rep in range(6):
                    stream = d[rng.integers(0, len(d), len(ones))]
                    seen = stream[:planned]
                    if hybrid(seen, 0.03)[0] != "inconclusive":
                        continue
                    counts = Counts(float((seen > 0).sum()), float((seen < 0).sum()), float(planned))
                    needed = still_needed(counts, 0.03, HARM_LEVEL, PASS_LEVEL, planned, f"{number}|{rep}")
                    looks = (noninferiority_wealth, PASS_LEVEL), (harm_wealth, HARM_LEVEL)
                    paths = [np.flatnonzero(wealth(stream, ones, 0.03, 1.0, BLOCK) >= level) for wealth, level in looks]
                    first = min((int(one[0] + 1) * BLOCK for one in paths if len(one)), default=10**9) - planned
                    mine.append((needed.p10 or 10**8) <= first <= (needed.p90 or 10**10))
        say(f"\nforecast, draw {seed}: {len(mine)} open runs, band holds the truth {np.mean(mine):.1%}")
        inside += mine
    say(f"\nforecast, all: {np.mean(inside):.1%} of {len(inside)}")
    assert np.mean(inside) > 0.5 if size < 1 else 0.75 <= np.mean(inside) <= 0.85
