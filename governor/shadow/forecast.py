"""How many more pairs an open question is likely to need: simulated futures of the any-time evidence, from a fixed seed.

Owns: the still-needed forecast. Does not own: the decision. Invariants: seeded by the plan, so a recomputed verdict has the same forecast;
None means that most futures are still open after ten times the plan.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

import numpy as np

from governor.shadow.betting import FRACTIONS
from governor.shadow.statistics import Counts

FUTURES: Final = 200
STEPS: Final = 100


@dataclass(frozen=True)
class Needed:
    """Pairs still needed at the 10th, 50th and 90th percentile of the futures; None: not within ten times the plan."""

    p10: int | None
    p50: int | None
    p90: int | None


def still_needed(counts: Counts, margin: float, harm_level: float, pass_level: float, planned: int, seed: str) -> Needed:
    """From the counts seen so far, futures drawn from their Dirichlet posterior, until either e-process decides."""
    rng = np.random.default_rng(int.from_bytes(hashlib.sha256(f"{seed}|forecast".encode()).digest()[:8], "big"))
    same = max(counts.n - counts.better - counts.worse, 0.0)
    odds = rng.dirichlet([counts.better + 0.5, counts.worse + 0.5, same + 1.0], size=FUTURES)
    step = max(planned * 10 // STEPS, 4)
    draws = np.stack([rng.multinomial(step, odds) for _ in range(STEPS)])  # step, future, outcome
    totals = draws.cumsum(axis=0) + np.array([counts.better, counts.worse, same])
    decided = np.zeros((STEPS, FUTURES), dtype=bool)
    for sign, worst, level in ((1.0, margin - 1.0, pass_level), (-1.0, -(1.0 + margin), harm_level)):
        bets = np.array(FRACTIONS) / -worst
        gains = np.log1p(np.outer(sign * (np.array([1.0, -1.0, 0.0]) + margin), bets))  # outcome, bet
        logs = totals @ gains
        top = logs.max(axis=2)
        decided |= top + np.log(np.exp(logs - top[:, :, None]).mean(axis=2)) >= np.log(level)
    first = np.where(decided.any(axis=0), decided.argmax(axis=0) + 1, STEPS * 10) * step
    found = np.sort(first)
    return Needed(*(bounded(int(found[int(FUTURES * share)]), step * STEPS) for share in (0.1, 0.5, 0.9)))


def bounded(pairs: int, limit: int) -> int | None:
    return pairs if pairs <= limit else None
