"""Which part of the traffic may move: chosen on some shadow pairs, confirmed on others that had no say in the choice.

Owns: segment means (empirical Bayes over nested features), the chosen sets, their confirmation, the frontier. Does not own: which features a call has
(actions/split_route.py), the words of the predicate (predicate.py), the statistics.
Invariants: a pair either chooses or confirms; a segment is made of what is known before the call; a part of the traffic that stays has difference 0 and
saves 0; sets are nested and tested in that order until one does not hold, each at the whole alpha, so that the family approves falsely with probability
alpha at most; nothing here moves a route.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from governor.shadow.comparison import Pair
from governor.shadow.money import Savings, savings
from governor.shadow.plan import QUALITY, ReplayPlan
from governor.shadow.statistics import (
    NORMAL,
    Counts,
    Interval,
    deflated,
    design_effect,
    least_pairs,
    noninferiority_p,
    tango_interval,
    weighted_counts,
)

Segment = tuple[str, ...]
ABSENT: Final = ""  # a feature the call does not state; such traffic never moves
ALPHA: Final = (
    0.025  # of each set on the fresh pairs, one-sided: a set is confirmed where the 95 % interval that is shown lies within the margin
)
CAUTION: Final = NORMAL.inv_cdf(1 - ALPHA)  # standard errors added to the predicted loss
BORROWED: Final = 10.0  # pairs' worth of the common variance in that of a segment: three equal answers are no certainty
MOST_SETS: Final = 10
USUAL: Final = 0.1
SPREADS: Final = np.linspace(
    0.0, 0.5, 51
)  # standard deviations between segments: two segments of differences within [-1, 1] seldom lie further apart


@dataclass(frozen=True)
class Trial:
    """One pair as the split reads it. worst: metric -> its worst reading; costs None where a reply had no price."""

    segment: Segment
    worst: Mapping[str, int]
    weight: float = 1.0
    trace: str = ""
    baseline_pico: int | None = None
    candidate_pico: int | None = None


@dataclass(frozen=True)
class Score:
    """A segment on the choosing pairs. mean: shrunk difference, + when the candidate is better; errors: independent parts of its error, by node."""

    segment: Segment
    n: int
    share: float
    mean: float
    raw: float
    errors: Mapping[Segment, float] = field(default_factory=dict)
    saves: bool = True


@dataclass(frozen=True)
class Chosen:
    """A set of segments to move. bound: predicted loss and CAUTION standard errors; fits: the bound is within the margin."""

    segments: tuple[Segment, ...]
    predicted: float
    bound: float
    fits: bool


@dataclass(frozen=True)
class Confirmed:
    """A chosen set on the fresh pairs. status: confirmed | not_confirmed | not_tested | over_budget. p: the largest over the promises."""

    chosen: Chosen
    n: int
    share: float
    quality: float
    interval: Interval
    counts: Counts
    p: float
    slowest: str
    savings: Savings | None
    status: str


def chooses(seed: str, trace: str) -> bool:
    """Does this trace choose (or confirm)? Fixed by the seed of the plan, before any reply was seen."""
    return hashlib.sha256(f"{seed}|split|{trace}".encode()).digest()[0] < 128  # noqa: PLR2004 - half of the traces


def trials(plan: ReplayPlan, pairs: Iterable[Pair], segments: Mapping[str, Segment]) -> list[Trial]:
    """Finished pairs whose call is known; every critical promise by its worst reading."""
    names = [metric.name for metric in plan.metrics if metric.critical]
    return [
        Trial(
            segment=segments[pair.record_id],
            worst={name: pair.quality[0] if name == QUALITY else int(pair.d.get(name, 0)) for name in names},
            weight=float(plan.sample[pair.position].weight),
            trace=plan.sample[pair.position].cluster or pair.record_id,
            baseline_pico=pair.baseline_cost_pico,
            candidate_pico=pair.candidate_cost_pico,
        )
        for pair in sorted(pairs, key=lambda one: one.position)
        if pair.state == "done" and pair.record_id in segments and pair.position < plan.n
    ]


def scores(choosing: Sequence[Trial], metric: str = QUALITY) -> list[Score]:
    """Every segment's difference, drawn towards that of its parent (the segment without its last feature) as far as the data do not speak for themselves."""
    total = math.fsum(one.weight for one in choosing)
    if not total:
        return []
    depth = len(choosing[0].segment)
    mean, variance, _ = _moments(choosing, metric)
    effective = total * total / math.fsum(one.weight**2 for one in choosing)
    known: dict[Segment, tuple[float, dict[Segment, float]]] = {(): (mean, {(): math.sqrt(variance / effective)})}
    groups: dict[Segment, list[Trial]] = {(): list(choosing)}
    for level in range(1, depth + 1):
        below: dict[Segment, list[Trial]] = {}
        for one in choosing:
            below.setdefault(one.segment[:level], []).append(one)
        seen = {name: _moments(mine, metric, variance) for name, mine in below.items()}
        spread = _between([(seen[name][0] - known[name[:-1]][0], seen[name][2]) for name in below])
        for name in below:
            raw, _, error = seen[name]
            own = spread / (spread + error) if spread + error else 0.0
            above, errors = known[name[:-1]]
            # what the parent is wrong by is shared with its other children; what the segment is wrong by is its own
            known[name] = (
                own * raw + (1 - own) * above,
                {**{node: (1 - own) * e for node, e in errors.items()}, name: math.sqrt(own * error)},
            )
        groups = below
    found = [
        Score(
            segment=name,
            n=len(mine),
            share=math.fsum(one.weight for one in mine) / total,
            mean=known[name][0],
            raw=_moments(mine, metric)[0],
            errors=known[name][1],
            saves=_saves(mine),
        )
        for name, mine in groups.items()
    ]
    return sorted(found, key=lambda one: (-one.mean, one.segment))


def _moments(mine: Sequence[Trial], metric: str, variance: float = 0.0) -> tuple[float, float, float]:
    """(mean, variance, squared standard error) by weight; `variance` is that of all pairs, lent to a segment of few."""
    total = math.fsum(one.weight for one in mine)
    own = math.fsum(one.weight * one.worst[metric] for one in mine) / total
    spread = math.fsum(one.weight * (one.worst[metric] - own) ** 2 for one in mine) / total
    effective = total * total / math.fsum(one.weight**2 for one in mine)
    if variance:
        spread = (effective * spread + BORROWED * variance) / (effective + BORROWED)
    return own, spread, spread / effective


def _between(seen: Sequence[tuple[float, float]]) -> float:
    """Variance between segments beyond their own errors: its mean over what the data leave possible, a half-Cauchy of scale USUAL beforehand (Gelman 2006).

    The usual estimate (DerSimonian and Laird) is cut off at 0, and where it falls there by chance all segments look alike; this one is never quite 0.
    """
    usable = [(gap, error) for gap, error in seen if error > 0]
    if len(usable) < 2:  # noqa: PLR2004
        return 0.0
    gaps, errors = (np.array([one[at] for one in usable]) for at in (0, 1))
    variance = np.square(SPREADS)[:, None] + errors
    weights = 1 / variance
    whole = weights.sum(axis=1)
    centre = (weights * gaps).sum(axis=1) / whole
    likely = -0.5 * (np.log(variance).sum(axis=1) + (weights * np.square(gaps - centre[:, None])).sum(axis=1) + np.log(whole))
    odds = np.exp(likely - likely.max()) / (1 + np.square(SPREADS / USUAL))
    return float((odds * np.square(SPREADS)).sum() / odds.sum())


def _saves(mine: Sequence[Trial]) -> bool:
    """Is the candidate cheaper here? Where nothing is priced nothing speaks against it."""
    priced = [(one.baseline_pico, one.candidate_pico, one.weight) for one in mine]
    known = [(base, cand, weight) for base, cand, weight in priced if base is not None and cand is not None]
    return not known or math.fsum(w * (b - c) for b, c, w in known) > 0


def chosen_sets(scored: Sequence[Score], margin: float) -> list[Chosen]:
    """Nested sets, best segment first. All that fit the margin with caution (thinned to MOST_SETS), then one that does not, as a sight of the frontier."""
    movable = [one for one in scored if ABSENT not in one.segment and one.saves]
    found = [_chosen(movable[: size + 1], margin) for size in range(len(movable))]
    last = max((at for at, one in enumerate(found) if one.fits), default=-1)
    inside = [one for one in found[: last + 1] if one.fits]
    stride = max(math.ceil(len(inside) / MOST_SETS), 1)
    kept = inside[::-1][::stride][::-1]  # always with the largest
    beyond = found[last + 1 :]
    return kept + [beyond[at] for at in sorted({0, len(beyond) // 2, len(beyond) - 1}) if beyond]


def _chosen(moved: Sequence[Score], margin: float) -> Chosen:
    predicted = math.fsum(one.share * one.mean for one in moved)
    by_node: dict[Segment, float] = {}
    for one in moved:
        for node, error in one.errors.items():
            by_node[node] = by_node.get(node, 0.0) + one.share * error
    bound = -predicted + CAUTION * math.sqrt(math.fsum(error * error for error in by_node.values()))
    return Chosen(tuple(one.segment for one in moved), predicted, bound, bound <= margin)


def confirm(fresh: Sequence[Trial], sets: Sequence[Chosen], margins: Mapping[str, float], alpha: float) -> list[Confirmed]:
    """Each set as a whole route on the fresh pairs, in the order given; after the first that does not hold none is tested."""
    found: list[Confirmed] = []
    going = True
    for chosen in sets:
        one = _composite(fresh, chosen, margins, alpha)
        holds = chosen.fits and going and one.p <= alpha
        status = "over_budget" if not chosen.fits else "not_tested" if not going else "confirmed" if holds else "not_confirmed"
        going = going and (holds or not chosen.fits)
        found.append(Confirmed(**{**one.__dict__, "status": status}))
    return found


def _composite(fresh: Sequence[Trial], chosen: Chosen, margins: Mapping[str, float], alpha: float) -> Confirmed:
    moved = [one.segment in set(chosen.segments) for one in fresh]
    weights = [one.weight for one in fresh]
    names = [one.trace for one in fresh]
    tests: list[tuple[float, str, Counts]] = []
    for metric, margin in margins.items():
        d = [one.worst[metric] if go else 0 for one, go in zip(fresh, moved, strict=True)]
        effect = design_effect(d, weights, names, alpha) if fresh and len(set(names)) < len(names) else 1.0
        counts = deflated(weighted_counts(d, weights), effect)
        tests.append((noninferiority_p(counts, margin), metric, counts))
    quality = next(counts for _, metric, counts in tests if metric == QUALITY)
    p, slowest, _ = max(tests)
    total = math.fsum(weights)
    priced = [
        (one.baseline_pico, one.candidate_pico if go else one.baseline_pico, one.weight, one.trace)
        for one, go in zip(fresh, moved, strict=True)
        if one.baseline_pico is not None and one.candidate_pico is not None
    ]
    return Confirmed(
        chosen=chosen,
        n=len(fresh),
        share=math.fsum(w for w, go in zip(weights, moved, strict=True) if go) / total if total else 0.0,
        quality=quality.difference,
        interval=tango_interval(quality),
        counts=quality,
        p=p,
        slowest=slowest,
        savings=savings(
            [base for base, _, _, _ in priced],
            [int(cost or 0) for _, cost, _, _ in priced],
            [w for _, _, w, _ in priced],
            [name for *_, name in priced] if len(set(names)) < len(names) else (),
        ),
        status="",
    )


def recommended(frontier: Sequence[Confirmed]) -> Confirmed | None:
    """The largest confirmed set."""
    return next((one for one in reversed(frontier) if one.status == "confirmed"), None)


def least_fresh(margins: Mapping[str, float], alpha: float) -> int:
    """Fresh pairs below which no set can be confirmed."""
    return max(least_pairs(margin, alpha=alpha) for margin in margins.values())


def split(
    choosing: Sequence[Trial], fresh: Sequence[Trial], margins: Mapping[str, float], alpha: float
) -> tuple[list[Score], list[Confirmed]]:
    """(segments as chosen, frontier as confirmed). Raises ValueError when a trace stands on both sides."""
    shared: Any = {one.trace for one in choosing if one.trace} & {one.trace for one in fresh}
    if shared:
        raise ValueError(f"trace {min(shared)} would choose and confirm")
    scored = scores(choosing)
    return scored, confirm(fresh, chosen_sets(scored, margins[QUALITY]), margins, alpha)
