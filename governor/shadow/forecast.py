"""How many more pairs an open question is likely to need: simulated futures of the any-time evidence, from a fixed seed.

Owns: the still-needed forecast. Does not own: the decision. Invariants: seeded by the plan, so a recomputed verdict has the same forecast;
None means that this share of the futures is still open after a hundred times the plan: more of the same evidence will not settle it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from governor.shadow.betting import FRACTIONS, PRIOR_DISCORDANCE, PRIOR_PAIRS
from governor.shadow.statistics import Counts

FUTURES: Final = 400
STEPS: Final = 120
HORIZON: Final = 100  # times the plan
FIRST: Final = 4
# Futures to read as p10, p50 and p90. A flat prior thinks more candidates to be exactly at the margin than there are: on recorded pairs only 4 % needed
# more than its 90th percentile, and about 10 % more than its 85th (tests/bench/test_shadow_study.py).
SHARES: Final = (0.1, 0.5, 0.85)
OUTCOMES: Final = np.array([1.0, -1.0, 0.0])


@dataclass(frozen=True)
class Needed:
    """Pairs still needed at the 10th, 50th and 90th percentile of the futures; None: not within a hundred times the plan."""

    p10: int | None
    p50: int | None
    p90: int | None


def still_needed(counts: Counts, margin: float, harm_level: float, pass_level: float, planned: int, seed: str) -> Needed:
    """From the counts seen so far, futures drawn from their Dirichlet posterior, until either e-process decides.

    Looks grow geometrically, so that the next few pairs and the far end are both seen at about the same relative precision.
    """
    rng = np.random.default_rng(int.from_bytes(hashlib.sha256(f"{seed}|forecast".encode()).digest()[:8], "big"))
    same = max(counts.n - counts.better - counts.worse, 0.0)
    odds = rng.dirichlet([counts.better + 0.5, counts.worse + 0.5, same + 1.0], size=FUTURES)
    looks = np.unique(np.rint(np.geomspace(FIRST, max(planned * HORIZON, FIRST + 1), STEPS)).astype(np.int64))
    draws = np.stack([rng.multinomial(int(step), odds) for step in np.diff(looks, prepend=0)])  # look, future, outcome
    totals = draws.cumsum(axis=0) + np.array([counts.better, counts.worse, same])
    decided = reached(totals, 1.0, margin, margin) >= np.log(pass_level)
    decided |= reached(totals, -1.0, margin, max(margin, 0.05)) >= np.log(harm_level)
    first = np.sort(np.where(decided.any(axis=0), looks[decided.argmax(axis=0)], looks[-1] + 1))
    return Needed(*(bounded(int(first[int(FUTURES * share)]), int(looks[-1])) for share in SHARES))


def reached(totals: Any, sign: float, margin: float, target: float) -> Any:
    """Log of the wealth that counts of outcomes lead to; the moving bet is taken at what the counts say it has settled on."""
    increments = sign * (OUTCOMES + margin)
    limit = 1.0 / (1.0 - sign * margin)
    fixed = totals @ np.log1p(np.outer(increments, np.array(FRACTIONS) * limit))
    top = fixed.max(axis=2)
    mixture = top + np.log(np.exp(fixed - top[:, :, None]).mean(axis=2))
    squares = (totals @ np.square(increments) + PRIOR_PAIRS * (PRIOR_DISCORDANCE + margin * margin)) / (totals.sum(axis=2) + PRIOR_PAIRS)
    bet = np.minimum(target / squares, FRACTIONS[-1] * limit)
    moving = (totals * np.log1p(bet[:, :, None] * increments)).sum(axis=2)
    return np.logaddexp(mixture, moving) - np.log(2)


def bounded(pairs: int, limit: int) -> int | None:
    return pairs if pairs <= limit else None
