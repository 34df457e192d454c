"""Prediction-powered inference: the judge's opinion on all answers that differ, corrected by people's labels on a random part of them.

Owns: estimate, interval and p of the quality difference from both. Does not own: which pairs were labelled (labels.py), the decision (verdict.py).
Invariants: valid however wrong the judge is, because only the labelled part says what it is worth (a useless judge gets weight 0 and people alone decide);
nothing is estimated before the registered part is labelled whole, so labels coming in give no extra looks; a label nobody was sure of counts against the candidate
where it asks to pass and for it where it is to fail.
Source: Angelopoulos et al. 2023, Science 382:669 (PPI) and 2311.01453 (PPI++), with the answers that agree as a stratum that is known.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from governor.shadow.comparison import Pair
from governor.shadow.labels import drawn, reading
from governor.shadow.statistics import Interval, student_cdf, student_quantile, upper_tail

LEAST_LABELS: Final = 30  # below this an interval from labels is a guess
FAR: Final = 6.0  # standard errors beyond which Student's sum has no digits left


@dataclass(frozen=True)
class Corrected:
    """labelled of differing answers; trust: weight of the judge between 0 and 1; error: standard error; p: of H0 difference <= -margin, harm_p: of the other
    side, H0 difference >= -margin.
    """

    estimate: float
    error: float
    interval: Interval
    p: float
    labelled: int
    differing: int
    judged: int
    trust: float
    harm_p: float


def complete_part(seed: str, pairs: Sequence[Pair], registered: int) -> list[int] | None:
    """Positions of the registered random part; None as long as one of them has no label."""
    part = drawn(seed, pairs)[:registered]
    labels = {pair.position: pair.labels for pair in pairs}
    return part if part and all(labels[position] for position in part) else None


def corrected(
    seed: str,
    pairs: Sequence[Pair],
    weights: Sequence[float],
    margin: float,
    registered: int,
    *,
    judge: bool,
    effect: float = 1.0,
    best: bool = False,
) -> Corrected | None:
    """None where labels decide nothing yet, or where every differing answer is in the registered part (then the counts are known and Tango's test serves).
    best: labels that left it open are read for the candidate.
    """
    part = complete_part(seed, pairs, registered)
    rows = [(pair, weight) for pair, weight in zip(pairs, weights, strict=True) if pair.state == "done"]
    unknown = [(pair, weight) for pair, weight in rows if pair.equal == "no"]
    if part is None or len(part) < LEAST_LABELS or len(part) == len(unknown):
        return None
    chosen = set(part)
    total, open_weight = math.fsum(w for _, w in rows), math.fsum(w for _, w in unknown)
    said = {pair.position: float(pair.judge or 0) if judge else 0.0 for pair, _ in unknown}
    truth = {pair.position: float(reading(pair.labels)[best]) for pair, _ in unknown if pair.position in chosen}
    drawn_weight = math.fsum(w for pair, w in unknown if pair.position in chosen)
    trust = power([(w, truth[pair.position], said[pair.position]) for pair, w in unknown if pair.position in chosen])
    residual = {position: value - trust * said[position] for position, value in truth.items()}
    mean = math.fsum(w * residual[pair.position] for pair, w in unknown if pair.position in chosen) / drawn_weight
    known = math.fsum(w * pair.quality[0] for pair, w in rows if pair.equal != "no")
    estimate = (known + math.fsum(w * trust * said[pair.position] for pair, w in unknown) + open_weight * mean) / total
    share = drawn_weight / open_weight
    influence = []
    for pair, w in rows:
        at = pair.position
        value = float(pair.quality[0]) if pair.equal != "no" else trust * said[at] + mean
        extra = (residual[at] - mean) / share if at in chosen else 0.0
        influence.append(w / total * (value - estimate + extra))
    # two labels more, one each way: a judge never caught wrong on m labels may still be wrong
    unseen = (1 - share) * 2 * (open_weight / total / (len(part) + 2)) ** 2
    error = math.sqrt(effect * (math.fsum(one * one for one in influence) + unseen))
    freedom = len(part) - 1
    half = student_quantile(0.975, freedom) * error
    z = (estimate + margin) / error
    return Corrected(
        estimate=estimate,
        error=error,
        interval=Interval(max(estimate - half, -1.0), min(estimate + half, 1.0)),
        p=beyond(z, freedom),
        labelled=len(part),
        differing=len(unknown),
        judged=sum(judge and pair.judge is not None for pair, _ in unknown),
        trust=trust,
        harm_p=beyond(-z, freedom),
    )


def beyond(z: float, freedom: int) -> float:
    """Student's upper tail."""
    return upper_tail(z) if abs(z) > FAR else 1 - student_cdf(z, freedom) if z > 0 else student_cdf(-z, freedom)


def power(rows: Sequence[tuple[float, float, float]]) -> float:
    """The weight of the judge that makes the interval narrowest, from the labelled part alone: regression of truth on opinion, within 0 and 1."""
    total = math.fsum(w for w, _, _ in rows)
    truth, opinion = (math.fsum(row[0] * row[at] for row in rows) / total for at in (1, 2))
    spread = math.fsum(w * (f - opinion) ** 2 for w, _, f in rows)
    shared = math.fsum(w * (f - opinion) * (d - truth) for w, d, f in rows)
    return min(max(shared / spread, 0.0), 1.0) if spread else 0.0
