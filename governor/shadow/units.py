"""What is drawn: single calls, or whole traces whose recorded steps are replayed together and count as one.

Owns: grouping calls into units, where a unit lies in the registered order, its mean difference. Does not own: the draw (sampling.py), tests (measured.py).
Invariants: a trace counts once, its steps share its weight; the any-time evidence reads one value a unit and only finished units; where every unit is one
call nothing here changes a number.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Final

from governor.shadow.comparison import Pair
from governor.shadow.plan import ReplayPlan
from governor.shadow.sampling import Candidate, Draw, Sample, digest_of, draw
from governor.shadow.statistics import design_effect, weighted_counts

LONGEST: Final = 64  # calls of a trace; a longer one is a session, and its calls are drawn one by one


def group(population: Sequence[Candidate], whole: frozenset[str]) -> list[list[Candidate]]:
    """Units in the order given: the calls of each trace named in `whole` together, every other call alone."""
    sizes: dict[str, int] = {}
    for call in population:
        sizes[call.cluster] = sizes.get(call.cluster, 0) + 1
    together: dict[str, list[Candidate]] = {}
    units: list[list[Candidate]] = []
    for call in population:
        if call.cluster in whole and 1 < sizes[call.cluster] <= LONGEST:
            if call.cluster not in together:
                units.append(together.setdefault(call.cluster, []))
            together[call.cluster].append(call)
        else:
            units.append([call])
    return units


def draw_units(units: Sequence[Sequence[Candidate]], size: int, seed: str) -> Sample:
    """`size` units, each drawn by its whole cost; the steps of a trace follow one another as recorded."""
    by_name = {unit[0].record_id: unit for unit in units}
    heads = [replace(unit[0], cost_pico=sum(call.cost_pico for call in unit)) for unit in units]
    found = draw(heads, size, seed)
    draws = [
        replace(
            pick,
            record_id=call.record_id,
            cost_pico=call.cost_pico,
            cluster=call.cluster,
            tokens=call.tokens,
            steps=len(by_name[pick.record_id]),
        )
        for pick in found.draws
        for call in by_name[pick.record_id]
    ]
    return Sample(tuple(draws), found.weight_cap, digest_of([call for unit in units for call in unit]))


def whole_traces(sample: Sequence[Draw]) -> bool:
    return any(pick.steps > 1 for pick in sample)


def shared(plan: ReplayPlan, prefix: Sequence[Pair], weights: Sequence[float]) -> list[float]:
    """Weights of calls as tests read them: a trace has the weight of its draw, each step its part of it."""
    return [weight / plan.sample[pair.position].steps for weight, pair in zip(weights, prefix, strict=True)]


def effective_size(sample: Sequence[Draw], alpha: float = 0.04) -> float:
    """As how many equal draws the final test counts these where the routes agree on all of them: (sum w)^2 / sum w^2, traces for calls."""
    weights = [float(pick.weight) / pick.steps for pick in sample]
    names = [pick.cluster or pick.record_id for pick in sample]
    agreed = [0] * len(sample)
    several = len(set(names)) < len({(name, pick.record_id) for name, pick in zip(names, sample, strict=True)})
    return weighted_counts(agreed, weights).n / (design_effect(agreed, weights, names, alpha) if several else 1.0)


def ends(plan: ReplayPlan, length: int) -> list[int]:
    """Positions after which a unit ends, within the first `length`."""
    found, at = [], 0
    while at < length:
        at += plan.sample[at].steps
        if at <= length:
            found.append(at)
    return found


def draw_of(plan: ReplayPlan, length: int) -> list[int]:
    """For each of the first `length` positions the number of its draw: steps of a trace that was drawn as a whole have one."""
    found: list[int] = []
    while len(found) < length:
        number = found[-1] + 1 if found else 0
        found += [number] * plan.sample[len(found)].steps
    return found[:length]


def by_unit(values: Sequence[float], weights: Sequence[float], stops: Sequence[int]) -> tuple[list[float], list[float]]:
    """(mean value, weight) of each finished unit; a step that was left out takes its part of the weight with it."""
    means: list[float] = []
    totals: list[float] = []
    for start, stop in zip([0, *stops], stops, strict=False):
        total = math.fsum(weights[start:stop])
        mean = math.fsum(w * d for w, d in zip(weights[start:stop], values[start:stop], strict=True)) / total if total else 0.0
        means.append(mean)
        totals.append(total)
    return means, totals


def units_done(prefix: Sequence[Pair], stops: Sequence[int]) -> list[int]:
    """After each unit: how many so far have a step that was compared."""
    return list(
        accumulate(int(any(pair.state == "done" for pair in prefix[start:stop])) for start, stop in zip([0, *stops], stops, strict=False))
    )
