"""Tests and intervals for paired replies: Tango's score method for paired proportions, latency ratios.

Owns: fixed-sample statistics. Does not own: any-time statistics (betting.py), money (money.py), what a metric means (comparison.py), the decision (verdict.py).
Invariants: pure functions of counts or sequences; counts may be fractional (Kish-scaled weights); no I/O, no randomness.
Source: Tango 1998, Statistics in Medicine 17:891; closed form of the constrained MLE as in Newcombe 1998.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

NORMAL: Final = NormalDist()
UNSEEN: Final = 2.0  # pairs or traces that may differ though none was seen
BISECTIONS: Final = 80  # halves [-1, 1] far below double precision


@dataclass(frozen=True)
class Interval:
    low: float
    high: float


@dataclass(frozen=True)
class Counts:
    """Pairs by outcome. better: only the candidate was good; worse: only the baseline was; n: all pairs."""

    better: float
    worse: float
    n: float

    @property
    def difference(self) -> float:
        return (self.better - self.worse) / self.n if self.n else 0.0

    @property
    def discordance(self) -> float:
        return (self.better + self.worse) / self.n if self.n else 0.0


def weighted_counts(differences: Sequence[int], weights: Sequence[float]) -> Counts:
    """Counts scaled to the effective sample size: (sum w)^2 / sum w^2, less where those that differ weigh more than others. Equal weights give the
    plain counts exactly.
    """
    total, squares = math.fsum(weights), math.fsum(weight * weight for weight in weights)
    if not total:
        return Counts(0.0, 0.0, 0.0)
    scale = total / squares / heavier(differences, weights, total, squares)
    better = math.fsum(weight for weight, d in zip(weights, differences, strict=True) if d > 0)
    worse = math.fsum(weight for weight, d in zip(weights, differences, strict=True) if d < 0)
    return Counts(better * scale, worse * scale, total * scale)


def heavier(differences: Sequence[int], weights: Sequence[float], total: float, squares: float) -> float:
    """Variance of the weighted sum over what (sum w)^2 / sum w^2 takes it for, never below 1: that size holds where weight and difference have nothing
    to do with each other, and a candidate may lose just the cheap calls, which weigh most. Two pairs more, one each way, of a weight like all.
    """
    known = [(w, d) for w, d in zip(weights, differences, strict=True) if w]
    mean = math.fsum(w * d for w, d in known) / total
    unseen = UNSEEN * squares / len(known)
    seen = math.fsum((w * (d - mean)) ** 2 for w, d in known)
    taken = math.fsum(w * (d - mean) ** 2 for w, d in known) * squares / total
    return max(round((seen + unseen) / (taken + unseen), 9), 1.0)


def design_effect(differences: Sequence[int], weights: Sequence[float], clusters: Sequence[str], alpha: float = 0.04) -> float:
    """How much less the pairs say because some share a trace: variance of cluster sums over that of single pairs, never below 1, times what
    Student's t with one degree of freedom less than clusters costs over the normal at `alpha`. 1 where every pair is a cluster of its own.

    Two traces more, one each way, that fail as a whole: where hardly a pair differs the data cannot tell whether traces fail as a whole, and forty traces
    of ten equal pairs must not count as four hundred.
    """
    total = math.fsum(weights)
    known = [(w, d, name) for w, d, name in zip(weights, differences, clusters, strict=True) if w]
    sums: dict[str, float] = {}
    whole: dict[str, float] = {}
    if not total or len({name for _, _, name in known}) == len(known):
        return 1.0
    mean = math.fsum(w * d for w, d, _ in known) / total
    single = math.fsum((w * (d - mean)) ** 2 for w, d, _ in known)
    for w, d, name in known:
        sums[name] = sums.get(name, 0.0) + w * (d - mean)
        whole[name] = whole.get(name, 0.0) + w
    count = len(sums)
    if count < 2:  # noqa: PLR2004 - one trace has no variance between traces
        return float(len(known))
    shared = math.fsum(one * one for one in sums.values()) * count / (count - 1)
    more_shared = UNSEEN * math.fsum(w * w for w in whole.values()) / count
    more_single = UNSEEN * math.fsum(w * w for w, _, _ in known) / count
    ratio = (shared + more_shared) / (single + more_single)
    return max(ratio, 1.0) * (student_quantile(1 - alpha, count - 1) / NORMAL.inv_cdf(1 - alpha)) ** 2


def student_quantile(probability: float, freedom: int) -> float:
    """Student's t at a probability above one half, by Newton from the normal quantile: the distribution is concave there, so every step stays left
    of the answer. Our own, so that a verdict computed again years later needs no library's version of it, and no second to load one.
    """
    log_scale = math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2) - math.log(freedom * math.pi) / 2
    found = NORMAL.inv_cdf(probability)
    for _ in range(BISECTIONS):
        density = math.exp(log_scale - (freedom + 1) / 2 * math.log1p(found * found / freedom))
        step = (probability - student_cdf(found, freedom)) / density
        if found + step == found:
            break
        found += step
    return found


def student_cdf(value: float, freedom: int) -> float:
    """Abramowitz and Stegun 26.7.3 and 26.7.4: a finite sum for whole degrees of freedom."""
    angle = math.atan2(value, math.sqrt(freedom))
    cosine = math.cos(angle)
    odd = freedom % 2
    terms, term = [], cosine if odd else 1.0
    for k in range(2 + odd, freedom + 1, 2):
        terms.append(term)
        term *= (k - 1) / k * cosine * cosine
    inside = math.sin(angle) * math.fsum(terms)
    return 0.5 + ((angle + inside) / math.pi if odd else inside / 2)


def deflated(counts: Counts, effect: float) -> Counts:
    """The same shares on fewer effective pairs."""
    return counts if effect == 1.0 else Counts(counts.better / effect, counts.worse / effect, counts.n / effect)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjusted p, in the order given: at level alpha none of the true nulls is rejected with probability 1 - alpha."""
    adjusted, running = [0.0] * len(p_values), 0.0
    for rank, at in enumerate(sorted(range(len(p_values)), key=lambda index: p_values[index])):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[at]))
        adjusted[at] = running
    return adjusted


def tango_z(counts: Counts, delta: float) -> float:
    """Score statistic of H0: P(better) - P(worse) = delta. Decreasing in delta."""
    n, better, worse = counts.n, counts.better, counts.worse
    a = 2 * n
    b = -better - worse + (2 * n - better + worse) * delta
    c = -worse * delta * (1 - delta)
    constrained = (math.sqrt(max(b * b - 4 * a * c, 0.0)) - b) / (2 * a)
    variance = n * (2 * constrained + delta * (1 - delta))
    gap = better - worse - n * delta
    if variance <= 0:
        return 0.0 if gap == 0 else math.copysign(math.inf, gap)
    return gap / math.sqrt(variance)


def tango_interval(counts: Counts, alpha: float = 0.05) -> Interval:
    """Two-sided 1 - alpha score interval of the difference; [-1, 1] when there is no pair."""
    if not counts.n:
        return Interval(-1.0, 1.0)
    z = NORMAL.inv_cdf(1 - alpha / 2)
    return Interval(_solve(counts, z), _solve(counts, -z))


def _solve(counts: Counts, target: float) -> float:
    low, high = -1.0, 1.0
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        if tango_z(counts, middle) > target:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def noninferiority_p(counts: Counts, margin: float) -> float:
    """One-sided p of H0: difference <= -margin (the candidate loses more than allowed). 1 when there is no pair."""
    return upper_tail(tango_z(counts, -margin)) if counts.n else 1.0


def upper_tail(z: float) -> float:
    """P(Z > z), accurate far into the tail."""
    return 0.5 * math.erfc(z / math.sqrt(2))


def quantile(values: Sequence[int], share: float) -> float:
    """Linear-interpolated quantile (numpy's default)."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def latency_ratio(baseline: Sequence[int], candidate: Sequence[int], share: float) -> float | None:
    """Quantile of the candidate over the baseline's. Give only pairs where both succeeded: a failed call has no latency."""
    if not baseline or not candidate:
        return None
    below = quantile(baseline, share)
    return quantile(candidate, share) / below if below > 0 else None


@dataclass(frozen=True)
class Ratio:
    """Median of paired ratios and its 95 % interval from order statistics: no distribution is assumed."""

    median: float
    interval: Interval
    n: int


def paired_ratio(baseline: Sequence[int], other: Sequence[int], clusters: Sequence[str] = ()) -> Ratio | None:
    """Median of other / baseline over pairs that both succeeded; None below ten pairs, where the interval would be the whole range.
    clusters: the trace of each pair, where some share one: their ratios lie on one side of the median together.
    """
    kept = [(right / left, at) for at, (left, right) in enumerate(zip(baseline, other, strict=True)) if left > 0]
    ratios = sorted(ratio for ratio, _ in kept)
    n = len(ratios)
    if n < 10:  # noqa: PLR2004
        return None
    middle = (ratios[(n - 1) // 2] + ratios[n // 2]) / 2
    sides = [int(ratio > middle) - int(ratio < middle) for ratio, _ in kept]
    effect = design_effect(sides, [1.0] * n, [clusters[at] for _, at in kept], 0.025) if clusters else 1.0
    rank = max(math.floor((n - NORMAL.inv_cdf(0.975) * math.sqrt(n * effect)) / 2), 1)
    return Ratio(middle, Interval(ratios[rank - 1], ratios[n - rank]), n)


def pairs_needed(margin: float, discordance: float, difference: float = 0.0, *, alpha: float = 0.04, power: float = 0.8) -> int:
    """Pairs for the fixed-sample test to pass a candidate whose true difference is `difference`."""
    if difference + margin <= 0:
        raise ValueError("a candidate at or beyond the margin never passes")
    spread = max(discordance - difference * difference, 0.0)
    z = NORMAL.inv_cdf(1 - alpha) + NORMAL.inv_cdf(power)
    return max(math.ceil(z * z * spread / (difference + margin) ** 2), least_pairs(margin, alpha=alpha))


def least_pairs(margin: float, *, alpha: float = 0.04) -> int:
    """Pairs that even perfect agreement needs: below this the claim cannot be decided by the fixed-sample test."""
    z = NORMAL.inv_cdf(1 - alpha)
    return math.ceil(z * z * (1 - margin) / margin - 1e-9)
