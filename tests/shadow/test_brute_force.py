"""The closed forms of statistics.py against implementations that share nothing with them: likelihoods maximised by search, exact enumeration, textbook sums.

Tables are drawn at random and by hand: no discordant pair, one side only, every pair lost, few pairs and many.
"""

import math
import random
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from scipy.optimize import brentq, minimize_scalar
from scipy.stats import norm
from scipy.stats import t as student

from governor.shadow.money import savings
from governor.shadow.statistics import Counts, noninferiority_p, tango_interval, tango_z

EDGES = [
    (0, 0, 1),
    (0, 0, 50),
    (0, 0, 20_000),
    (0, 7, 40),
    (7, 0, 40),
    (1, 0, 2),
    (0, 1, 2),
    (5, 5, 10),
    (10, 0, 10),
    (0, 10, 10),
    (3, 1, 30_000),
]


def tables() -> list[tuple[int, int, int]]:
    dice = random.Random(41)
    found = list(EDGES)
    for _ in range(60):
        n = dice.choice((5, 20, 50, 150, 600, 5_000, 40_000))
        discordant = dice.randint(0, round(n * dice.choice((0.01, 0.1, 0.6))))
        better = dice.randint(0, discordant)
        found.append((better, discordant - better, n))
    return found


def searched_z(better: int, worse: int, n: int, delta: float) -> float:
    """Score statistic from its definition: the nuisance maximises the trinomial likelihood under P(better) - P(worse) = delta, found by search."""
    low, high = max(0.0, -delta), (1 - delta) / 2  # of P(worse)

    def loss(q: float) -> float:
        parts = ((better, q + delta), (worse, q), (n - better - worse, 1 - 2 * q - delta))
        if any(count and p <= 0 for count, p in parts):
            return math.inf
        return -sum(count * math.log(p) for count, p in parts if count)

    ends = [low, high]
    inner = minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 1e-13}).x
    q = min([inner, *ends], key=loss)
    variance = (2 * q + delta - delta * delta) / n
    return math.inf if variance <= 0 else ((better - worse) / n - delta) / math.sqrt(variance)


@pytest.mark.parametrize("table", tables(), ids=lambda table: "-".join(map(str, table)))
def test_p_values_and_intervals_are_those_of_a_search(table: tuple[int, int, int]) -> None:
    better, worse, n = table
    counts = Counts(better, worse, n)
    for margin in (0.01, 0.03, 0.1):
        assert noninferiority_p(counts, margin) == pytest.approx(norm.sf(searched_z(better, worse, n, -margin)), abs=2e-5)
    interval = tango_interval(counts)
    for end, target in ((interval.low, norm.ppf(0.975)), (interval.high, norm.ppf(0.025))):
        if -1 < end < 1 and abs(abs(end) - 1) > 1e-9:
            nearby = [min(max(end + step, -1 + 1e-12), 1 - 1e-12) for step in (-1e-4, 1e-4)]
            assert searched_z(better, worse, n, nearby[0]) >= target >= searched_z(better, worse, n, nearby[1])
    assert -1 <= interval.low <= counts.difference <= interval.high <= 1


def test_candidate_and_baseline_changed_round_give_the_mirrored_interval() -> None:
    for better, worse, n in tables():
        one, other = tango_interval(Counts(better, worse, n)), tango_interval(Counts(worse, better, n))
        assert (one.low, one.high) == pytest.approx((-other.high, -other.low), abs=1e-9)


def test_agreement_in_every_pair_has_the_closed_form_of_its_definition() -> None:
    """No discordant pair: z = sqrt(n m / (1 - m)), so the upper end of what may be lost is z^2 / (n + z^2)."""
    for n in (1, 10, 100, 10_000):
        z = float(norm.ppf(0.975))
        assert tango_interval(Counts(0, 0, n)).low == pytest.approx(-z * z / (n + z * z), abs=1e-12)
        assert noninferiority_p(Counts(0, 0, n), 0.03) == pytest.approx(float(norm.sf(math.sqrt(n * 0.03 / 0.97))), rel=1e-9)


@pytest.mark.parametrize(("margin", "discordance", "n"), [(0.03, 0.03, 120), (0.03, 0.12, 120), (0.1, 0.6, 80), (0.05, 0.05, 60)])
def test_the_final_test_errs_by_enumeration_as_often_as_it_says(margin: float, discordance: float, n: int) -> None:
    """Every table of n pairs with its exact probability; the candidate is exactly at the margin."""
    p_better, p_worse = (discordance - margin) / 2, (discordance + margin) / 2
    wrong = 0.0
    for better in range(n + 1):
        for worse in range(n + 1 - better):
            if (better and not p_better) or noninferiority_p(Counts(better, worse, n), margin) > 0.04:
                continue
            ways = math.comb(n, better) * math.comb(n - better, worse)
            rest = n - better - worse
            log = (better * math.log(p_better) if better else 0) + worse * math.log(p_worse) + rest * math.log(1 - discordance)
            wrong += math.exp(math.log(ways) + log)
    assert wrong <= 0.05  # 0.04 is asymptotic; with the any-time share the bound of one pair is 0.09


def exact_savings(base: list[int], cand: list[int]) -> tuple[float, float, float]:
    """Ratio and its linearised 95 % interval from the textbook's sums, in fractions; Hall's polynomial, as the paper has it, is inverted by bisection, and
    brings no end nearer than Student's; nor does the end that lognormal ratios of this spread would have.
    """
    n, total = len(base), sum(base)
    ratio = Fraction(sum(cand), total)
    left = [c - ratio * b for b, c in zip(base, cand, strict=True)]
    spread = sum(r**2 for r in left) / (n - 1) / n
    skew = float(sum(r**3 for r in left) / n) / float(sum(r**2 for r in left) / n) ** 1.5 if any(left) else 0.0
    error, found = math.sqrt(spread) / (total / n), []
    for target in (-float(student.ppf(0.975, n - 1)), float(student.ppf(0.975, n - 1))):
        low, high = -1e3, 1e3
        for _ in range(200):
            t = (low + high) / 2
            value = t + skew * t**2 / (3 * n**0.5) + skew**2 * t**3 / (27 * n) + skew / (6 * n**0.5)
            low, high = (t, high) if value < target else (low, t)
        found.append(1 - float(ratio) + (max(low, target) if target > 0 else min(low, target)) * error)
    known = [(math.log(c / b), b) for b, c in zip(base, cand, strict=True) if b and c]
    if len(known) > 1:
        value, weight = (np.array(column, dtype=float) for column in zip(*known, strict=True))
        weight /= weight.sum()
        order = value.argsort()
        median = value[order][np.searchsorted(weight[order].cumsum(), 0.5)]
        size = max(1 / (weight**2).sum(), 2.0)
        spread = min(np.cov(value, aweights=weight, ddof=0) * size / (size - 1), 2 * (weight * np.clip(value - median, 0, None) ** 2).sum())
        far = math.exp(student.ppf(0.975, n - 1) * math.sqrt((spread + 1.5 * spread**2) / size))
        found[0] = min(found[0], 1 - float(ratio) * far)
    return 1 - float(ratio), found[0], found[1]


@pytest.mark.parametrize("zeros", ["none", "baseline", "candidate", "both", "all of the candidate"])
def test_savings_are_those_of_exact_fractions_with_calls_that_cost_nothing(zeros: str) -> None:
    dice = random.Random(zeros)
    for n in (2, 7, 300):
        base = [dice.randint(1, 10**12) for _ in range(n)]
        cand = [dice.randint(0, 10**12) for _ in range(n)]
        for at in range(0, n - 1, 2):
            base[at] = 0 if zeros in {"baseline", "both"} else base[at]
            cand[at] = 0 if zeros in {"candidate", "both"} else cand[at]
        if zeros == "all of the candidate":
            cand = [0] * n
        found = savings(base, cand, [1.0] * n)
        assert found is not None
        assert (found.rate, found.interval.low, found.interval.high) == pytest.approx(exact_savings(base, cand), rel=1e-9, abs=1e-9)
    assert savings([0, 0, 0], [1, 2, 3], [1.0] * 3) is None
    assert savings([5], [1], [1.0]) is None


def test_the_savings_interval_is_near_fiellers() -> None:
    """Fieller's interval needs no linearisation; with 200 pairs the two agree within a tenth of their width."""
    rng = np.random.default_rng(4)
    base = np.rint(rng.lognormal(13, 0.8, 200)).astype(np.int64)
    cand = np.rint(base * 0.3 * rng.lognormal(0, 0.4, 200)).astype(np.int64)
    found = savings(base.tolist(), cand.tolist(), [1.0] * 200)
    assert found is not None

    def t(ratio: float) -> float:
        d = cand - ratio * base
        return float(d.mean() / (d.std(ddof=1) / math.sqrt(len(d))))

    z, centre = float(norm.ppf(0.975)), float(cand.sum() / base.sum())
    high, low = brentq(lambda r: t(r) + z, centre, centre * 2), brentq(lambda r: t(r) - z, centre / 2, centre)
    width = found.interval.high - found.interval.low
    assert (found.interval.low, found.interval.high) == pytest.approx((1 - high, 1 - low), abs=width / 10)


def test_the_statistic_never_turns_back() -> None:
    for better, worse, n in tables():
        steps = [tango_z(Counts(better, worse, n), delta / 50) for delta in range(-49, 50)]
        assert all(later <= earlier + 1e-9 for earlier, later in pairwise(steps))
