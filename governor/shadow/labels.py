"""People's labels on pairs of a shadow run: which pairs they see, in which order, which side is which, and what several labels add up to.

Owns: the order of the queue, the blind sides, the reading of labels, agreement beyond chance (kappa). Does not own: storing labels (actions/review_labels.py),
correcting a judge with them (corrected.py).
Invariants: the registered part is a random part of the answers that differ, drawn by the plan's seed, so that nobody chooses what is labelled; similarity
only sorts inside it. Labels that disagree without a majority stay unknown between their extremes.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from governor.shadow.comparison import Pair
from governor.shadow.statistics import NORMAL, Interval

PICKS: Final = ("a", "b", "tie", "unsure")
DOUBLED: Final = 10  # every tenth pair is shown to a second reviewer
WORST, BEST = -1, 1


def lot(seed: str, position: int, purpose: str) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed}|{purpose}|{position}".encode()).digest()[:8], "big")


def differing(pairs: Sequence[Pair]) -> list[Pair]:
    """Pairs whose two usable answers differ: all that a person can add to."""
    return [pair for pair in pairs if pair.state == "done" and pair.equal == "no"]


def drawn(seed: str, pairs: Sequence[Pair]) -> list[int]:
    """Positions of differing pairs in the order of the draw."""
    return sorted((pair.position for pair in differing(pairs)), key=lambda position: lot(seed, position, "label"))


def queue(seed: str, pairs: Sequence[Pair], registered: int, similarity: Mapping[int, float] | None = None) -> list[int]:
    """Positions to label: the registered random part first, then the rest; least similar answers first inside each."""
    order = drawn(seed, pairs)
    alike = similarity or {}
    parts = order[:registered], order[registered:]
    return [position for part in parts for position in sorted(part, key=lambda one: (alike.get(one, 0.0), order.index(one)))]


def doubled(seed: str, position: int) -> bool:
    return lot(seed, position, "double") % DOUBLED == 0


def candidate_first(seed: str, position: int) -> bool:
    """Is the candidate's answer shown as A?"""
    return bool(lot(seed, position, "side") & 1)


def value_of(pick: str, *, first: bool) -> int | None:
    """A pick as the candidate's difference; None: the reviewer could not tell. first: the candidate was shown as A."""
    if pick == "unsure":
        return None
    found = {"a": 1, "b": -1, "tie": 0}[pick]
    return found if first else -found


def reading(labels: Sequence[int | None]) -> tuple[int, int]:
    """(worst, best) of what reviewers said about one pair."""
    told = [label for label in labels if label is not None]
    if not told:
        return WORST, BEST
    value, votes = Counter(told).most_common(1)[0]
    return (value, value) if 2 * votes > len(told) else (min(told), max(told))


@dataclass(frozen=True)
class Kappa:
    """Cohen's kappa: agreement beyond what two who guess alike would reach. None where chance alone would agree always."""

    value: float | None
    interval: Interval
    agreement: float
    n: int


def kappa(first: Sequence[int], second: Sequence[int]) -> Kappa | None:
    """95 % interval by the large-sample error, widened where agreement is whole: a hundred of a hundred is not certainty. None without pairs."""
    n = len(first)
    if not n:
        return None
    same = sum(left == right for left, right in zip(first, second, strict=True)) / n
    shares = Counter(first), Counter(second)
    chance = sum(shares[0][value] * shares[1][value] for value in shares[0]) / n**2
    if chance >= 1:
        return Kappa(None, Interval(-1.0, 1.0), same, n)
    z = NORMAL.inv_cdf(0.975)
    low, high = wilson(same * n, n, z)
    return Kappa(
        (same - chance) / (1 - chance),
        Interval(max((low - chance) / (1 - chance), -1.0), min((high - chance) / (1 - chance), 1.0)),
        same,
        n,
    )


def wilson(hits: float, n: float, z: float) -> tuple[float, float]:
    share = hits / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return max(middle - half, 0.0), min(middle + half, 1.0)
