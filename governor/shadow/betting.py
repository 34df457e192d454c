"""Any-time evidence: e-processes by betting on bounded paired differences, and the confidence sequence they imply.

Owns: the non-inferiority e-process, the harm e-process, the any-time interval. Does not own: fixed-sample tests (statistics.py), the decision (verdict.py).
Invariants: bets of a block are fixed before its first pair, and wealth is read at block ends only. A block draws one trace per cost stratum, so pairs
inside it have different means; with one bet for the whole block the arithmetic-geometric inequality keeps E[wealth] <= 1 under the null.
E >= 1/alpha may therefore be looked at after every block without inflating the error above alpha (Ville).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

FRACTIONS: Final = (0.02, 0.04, 0.08, 0.15, 0.25, 0.4, 0.6, 0.85)  # of the largest bet that cannot lose everything
PRIOR_PAIRS: Final = 10.0
PRIOR_DISCORDANCE: Final = 0.10
Vector = Any  # numpy array of float64


def wealth(increments: Vector, worst: float, target: float, prior_square: float, block: int) -> Vector:
    """Wealth after each block of a bettor who gains when `increments` are positive on average.

    worst: the most negative value an increment can take (< 0); target: its mean if the bettor is right; the average of a fixed mixture of
    eight bets and one predictable bet target / E[increment^2], estimated from earlier blocks only.
    """
    n = len(increments) // block * block
    if not n:
        return np.empty(0)
    x = np.asarray(increments[:n], dtype=np.float64)
    limit = 1.0 / -worst
    bets = np.array(FRACTIONS) * limit
    fixed = np.log1p(np.outer(x, bets)).cumsum(axis=0)[block - 1 :: block]
    seen = np.arange(0, n, block, dtype=np.float64)  # pairs before each block
    squares = np.concatenate(([0.0], np.square(x).cumsum()[block - 1 :: block][:-1]))
    expected = (squares + PRIOR_PAIRS * prior_square) / (seen + PRIOR_PAIRS)
    bet = np.minimum(target / np.maximum(expected, 1e-12), FRACTIONS[-1] * limit)
    moving = np.log1p(x * np.repeat(bet, block)).cumsum()[block - 1 :: block]
    stacked = np.column_stack([fixed - np.log(2 * len(FRACTIONS)), moving - np.log(2)])
    top = stacked.max(axis=1)
    logs: Vector = top + np.log(np.exp(stacked - top[:, None]).sum(axis=1))
    return np.exp(np.minimum(logs, 300.0))


def noninferiority_wealth(differences: Sequence[float], weights: Sequence[float], margin: float, cap: float, block: int) -> Vector:
    """E-process against H0: mean difference <= -margin. cap: the largest weight the plan can give."""
    d, w = np.asarray(differences, dtype=np.float64), np.asarray(weights, dtype=np.float64)
    prior = (PRIOR_DISCORDANCE + margin * margin) / cap
    return wealth(w * (d + margin) / cap, margin - 1.0, margin / cap, prior, block)


def harm_wealth(differences: Sequence[float], weights: Sequence[float], margin: float, cap: float, block: int) -> Vector:
    """E-process against H0: mean difference >= -margin; it grows when the candidate loses more than allowed."""
    d, w = np.asarray(differences, dtype=np.float64), np.asarray(weights, dtype=np.float64)
    prior = (PRIOR_DISCORDANCE + margin * margin) / cap
    return wealth(-w * (d + margin) / cap, -(1.0 + margin), max(margin, 0.05) / cap, prior, block)


def anytime_interval(
    differences: Sequence[float], weights: Sequence[float], cap: float, block: int, alpha: float = 0.05
) -> tuple[float, float]:
    """Confidence sequence of the mean difference at the last block, two one-sided betting tests at alpha / 2, intersected over time."""
    d, w = np.asarray(differences, dtype=np.float64), np.asarray(weights, dtype=np.float64)
    if len(d) < block:
        return -1.0, 1.0
    level = 2.0 / alpha

    def rejects(mean: float, sign: int) -> bool:
        """Is `mean` refuted as an upper (sign 1) or lower (sign -1) bound of the truth?"""
        worst = -(1.0 + sign * mean)
        if worst >= 0.0:
            return False
        path = wealth(sign * w * (d - mean) / cap, worst, 0.05 / cap, (PRIOR_DISCORDANCE + 0.0025) / cap, block)
        return bool(path.size and path.max() >= level)

    return _edge(rejects, 1), _edge(rejects, -1)


def _edge(rejects: Any, sign: int) -> float:
    """Bisect the last refuted value going from the far side towards the data."""
    refuted, kept = -1.0 * sign, 1.0 * sign
    for _ in range(24):
        middle = (refuted + kept) / 2
        if rejects(middle, sign):
            refuted = middle
        else:
            kept = middle
    return refuted
