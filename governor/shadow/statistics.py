"""Tests and intervals for paired replies: Tango's score method for paired proportions, the ratio estimator for money, latency ratios.

Owns: fixed-sample statistics. Does not own: any-time statistics (betting.py), what a metric means (comparison.py), the decision (verdict.py).
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
    """Counts scaled to the effective sample size (sum w)^2 / sum w^2; equal weights give the plain counts exactly."""
    total, squares = math.fsum(weights), math.fsum(weight * weight for weight in weights)
    if not total:
        return Counts(0.0, 0.0, 0.0)
    scale = total / squares
    better = math.fsum(weight for weight, d in zip(weights, differences, strict=True) if d > 0)
    worse = math.fsum(weight for weight, d in zip(weights, differences, strict=True) if d < 0)
    return Counts(better * scale, worse * scale, total * scale)


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


@dataclass(frozen=True)
class Savings:
    """rate: share of the baseline's cost saved; negative when the candidate costs more."""

    rate: float
    interval: Interval
    n: int


def savings(baseline: Sequence[int], candidate: Sequence[int], weights: Sequence[float], alpha: float = 0.05) -> Savings | None:
    """Ratio estimator 1 - sum(w c_cand) / sum(w c_base) with its linearised interval; None where the baseline cost nothing."""
    n = len(baseline)
    base = math.fsum(w * c for w, c in zip(weights, baseline, strict=True))
    if n < 2 or base <= 0:  # noqa: PLR2004 - a variance needs two pairs
        return None
    ratio = math.fsum(w * c for w, c in zip(weights, candidate, strict=True)) / base
    residuals = [w * (c - ratio * b) for w, b, c in zip(weights, baseline, candidate, strict=True)]
    error = math.sqrt(math.fsum(r * r for r in residuals) * n / (n - 1)) / base
    half = NORMAL.inv_cdf(1 - alpha / 2) * error
    return Savings(1 - ratio, Interval(1 - ratio - half, 1 - ratio + half), n)


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
