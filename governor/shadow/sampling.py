"""Which calls are replayed and in which order, from a seed: half uniform, half proportional to what the call cost.

Owns: the draw, its probability and weight. Does not own: which calls are eligible (actions/plan_shadow.py).
Invariants: the same population and seed give the same list in any language (SHA-256 decides, integers only). Each draw takes a call with exactly the
probability stated, with replacement; each block of four draws one call per quartile of sampling mass along the cost axis, in shuffled order.
A weight is 1 / (N x probability): at most 2, so one sample serves request-weighted quality and spend-weighted money.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Context, Decimal
from itertools import accumulate
from typing import Final

BLOCK: Final = 4
DIGITS: Final = Context(prec=18)


@dataclass(frozen=True, order=True)
class Candidate:
    """An eligible call. cost_pico: what production paid; 0 where unknown. cluster: its trace."""

    cost_pico: int
    record_id: str
    cluster: str = ""
    tokens: int = 0


@dataclass(frozen=True)
class Draw:
    """One position of the registered order. probability and weight are exact decimals of 18 digits; stratum: cost quartile, 0 is the cheapest."""

    record_id: str
    probability: str
    weight: str
    stratum: int
    cost_pico: int
    cluster: str = ""
    tokens: int = 0  # what production used, in and out
    steps: int = 1  # calls of this draw, one after the other: the recorded steps of a trace that was drawn as a whole


@dataclass(frozen=True)
class Sample:
    draws: tuple[Draw, ...]
    weight_cap: str  # the largest weight any call of the population could have had
    population_digest: str  # hex sha256 over the sorted (cost, record id) lines


def draw(population: Sequence[Candidate], size: int, seed: str) -> Sample:
    """`size` draws. Raises ValueError for an empty population."""
    if not population:
        raise ValueError("nothing to sample from")
    ordered = sorted(population)
    count, total = len(ordered), sum(call.cost_pico for call in ordered)
    # probability of call i is (1/N + c_i/C) / 2 = mass_i / (2 N C); uniform when nothing has a cost
    masses = [total + count * call.cost_pico for call in ordered] if total else [1] * count
    edges = list(accumulate(masses))
    whole = edges[-1]
    picks: list[Draw] = []
    for block in range(-(-size // BLOCK)):
        strata = sorted(range(BLOCK), key=lambda stratum: _number(seed, "order", block, stratum))
        for place, stratum in enumerate(strata):
            low, high = whole * stratum // BLOCK, whole * (stratum + 1) // BLOCK
            at = low + _number(seed, "draw", block, place) % max(high - low, 1)
            index = min(bisect_right(edges, at), count - 1)
            call = ordered[index]
            picks.append(
                Draw(
                    record_id=call.record_id,
                    probability=_ratio(masses[index], whole),
                    weight=_ratio(whole, count * masses[index]),
                    stratum=stratum,
                    cost_pico=call.cost_pico,
                    cluster=call.cluster,
                    tokens=call.tokens,
                )
            )
    return Sample(tuple(picks[:size]), _ratio(whole, count * min(masses)), digest_of(ordered))


def digest_of(calls: Sequence[Candidate]) -> str:
    lines = hashlib.sha256()
    for call in sorted(calls):
        lines.update(f"{call.cost_pico}\t{call.record_id}\n".encode())
    return lines.hexdigest()


def _number(seed: str, purpose: str, block: int, item: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed}|{purpose}|{block}|{item}".encode()).digest(), "big")


def _ratio(above: int, below: int) -> str:
    return format(DIGITS.divide(Decimal(above), Decimal(below)).normalize(), "f")
