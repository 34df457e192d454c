"""How alike two texts look: sorts the review queue, most different first, and nothing else.

Owns: the number. Does not own: any decision. Invariants: nothing that decides imports this (a test holds it): on real pairs such numbers find losses
hardly better than chance (area under the curve 0.6).
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from rapidfuzz import fuzz

LONGEST: Final = 4_000  # characters read: an order needs no more
ORDERS: Final = range(1, 7)  # chrF: character n-grams of one to six
BETA: Final = 2.0


def likeness(baseline: str, candidate: str) -> float:
    """Between 0 and 1: mean of word overlap (token sort) and character n-gram overlap (chrF)."""
    left, right = baseline[:LONGEST], candidate[:LONGEST]
    return (fuzz.token_sort_ratio(left, right) / 100 + chrf(left, right)) / 2


def chrf(reference: str, other: str) -> float:
    """The chrF score of Popović 2015, spaces left out, averaged over the orders both texts are long enough for."""
    scores = []
    first, second = "".join(reference.split()), "".join(other.split())
    for order in ORDERS:
        grams = [Counter(text[at : at + order] for at in range(len(text) - order + 1)) for text in (first, second)]
        totals = [sum(found.values()) for found in grams]
        if not all(totals):
            break
        shared = sum((grams[0] & grams[1]).values())
        recall, precision = shared / totals[0], shared / totals[1]
        scores.append((1 + BETA**2) * precision * recall / (BETA**2 * precision + recall) if shared else 0.0)
    return sum(scores) / len(scores) if scores else float(first == second)
