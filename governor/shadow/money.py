"""What a candidate saves of the baseline's cost: the ratio estimator and an interval that holds where costs spread widely.

Owns: the estimate, its interval, whether few draws carry it. Does not own: what a call costs, which calls count (reported.py, split.py).
Invariants: pure functions of sequences; no I/O, no randomness; no correction brings an end nearer than Student's.
Source: the linearised ratio estimator (Cochran 1977, chapter 6); Hall 1992, JRSS B 54:221, for skew; Cox's interval of a lognormal mean (Zhou and Gao 1997) for
what of the tail a sample has not seen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from governor.shadow.statistics import Interval, student_quantile

UNSEEN_TAIL: Final = 1.5  # times the fourth power of the spread; Cox's half is for a mean read off the logs, this one is the plain one, which a missed tail moves
FARTHEST: Final = 50.0  # no exponent of a double beyond it matters
FEW: Final = 0.5  # of the squared residuals


@dataclass(frozen=True)
class Savings:
    """rate: share of the baseline's cost saved; negative when the candidate costs more. few: one draw has over half of what makes the interval wide."""

    rate: float
    interval: Interval
    n: int
    few: bool = False


def savings(
    baseline: Sequence[int], candidate: Sequence[int], weights: Sequence[float], drawn: Sequence[object] = (), alpha: float = 0.05
) -> Savings | None:
    """Ratio estimator 1 - sum(w c_cand) / sum(w c_base) with its linearised interval; None where the baseline cost nothing.
    drawn: what each call was drawn with, where calls were drawn together: they save alike, and the interval counts draws.
    """
    n = len(baseline)
    sums: dict[object, tuple[float, float]] = {}
    for name, w, b, c in zip(drawn or range(n), weights, baseline, candidate, strict=True):
        before = sums.get(name, (0.0, 0.0))
        sums[name] = (before[0] + w * b, before[1] + w * c)
    draws, base = list(sums.values()), math.fsum(b for b, _ in sums.values())
    if base <= 0 or len(draws) < 2:  # noqa: PLR2004 - a variance needs two draws
        return None
    ratio = math.fsum(c for _, c in draws) / base
    residuals = [c - ratio * b for b, c in draws]
    squares = math.fsum(r * r for r in residuals)
    error = math.sqrt(squares * len(draws) / (len(draws) - 1)) / base
    student = student_quantile(1 - alpha / 2, len(draws) - 1)  # a few draws know their own spread badly
    skew = skewness(residuals)
    less = min(min(-student, unskewed(-student, skew)) * error, -ratio * math.expm1(min(student * log_error(draws), FARTHEST)))
    more = max(student, unskewed(student, skew)) * error  # skew never brings an end nearer
    few = squares > 0 and max(r * r for r in residuals) > FEW * squares
    return Savings(1 - ratio, Interval(1 - ratio + less, 1 - ratio + more), n, few)


def skewness(residuals: Sequence[float]) -> float:
    """Of the mean of residuals that sum to zero; 0 where all are."""
    squares = math.fsum(r * r for r in residuals)
    return math.fsum(r**3 for r in residuals) / squares**1.5 if squares else 0.0


def unskewed(student: float, skew: float) -> float:
    """Quantile of the statistic of skewed values from Student's: the inverse of Hall's cubic transformation (1992, JRSS B 54:221). A candidate that
    thinks for long about one call in twenty looks cheap in most samples and dear in few; an interval of equal arms holds its truth too seldom.
    It knows the residuals' skew and not how they go with what the baseline cost, so that where it brings an end nearer it may be wrong.
    skew: of the mean, which is that of a value over the root of their number.
    """
    a = skew / 3
    return student if abs(a) < 1e-6 else (math.cbrt(1 + 3 * a * (student - a / 2)) - 1) / a  # noqa: PLR2004 - too near to zero to divide by


def log_error(draws: Sequence[tuple[float, float]]) -> float:
    """Standard error of the logarithm of the ratio, were the draws' own ratios lognormal. Where they spread widely most samples hold nothing of the tail that
    makes the mean, and neither their variance nor their skew can know; how far the middle spreads they do know. 0 where fewer than two draws cost something.

    The spread is the smaller of that of all ratios and that above their median: calls that became very cheap make no call dear, nor do two prices.
    """
    known = sorted((math.log(c / b), b) for b, c in draws if b > 0 and c > 0)
    if len(known) < 2:  # noqa: PLR2004 - one ratio has no spread
        return 0.0
    total, half, middle = math.fsum(w for _, w in known), 0.0, known[0][0]
    for middle, w in known:  # noqa: B007 - the weighted median is where it stops
        half += w
        if 2 * half >= total:
            break
    size = max(total * total / math.fsum(w * w for _, w in known), 2.0)
    mean = math.fsum(w * value for value, w in known) / total
    around = math.fsum(w * (value - mean) ** 2 for value, w in known) / total * size / (size - 1)
    above = 2 * math.fsum(w * max(value - middle, 0.0) ** 2 for value, w in known) / total
    spread = min(around, above)
    return math.sqrt((spread + UNSEEN_TAIL * spread * spread) / size)
