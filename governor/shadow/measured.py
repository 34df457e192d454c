"""One metric over the finished prefix: counts, any-time evidence for and against, final test, and its line in the verdict.

Owns: which reading of a pair serves which side (worst passes, best fails). Does not own: the decision over all metrics (verdict.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from governor.shadow.betting import anytime_interval, harm_wealth, noninferiority_wealth
from governor.shadow.comparison import Pair, uncosted
from governor.shadow.corrected import Corrected, corrected
from governor.shadow.judging import discarded
from governor.shadow.plan import Metric, ReplayPlan
from governor.shadow.statistics import Counts, deflated, design_effect, noninferiority_p, tango_interval, weighted_counts
from governor.shadow.units import by_unit, ends, shared, units_done, whole_traces


@dataclass(frozen=True)
class Measured:
    """e_value: the largest so far; harm_at: pairs of the prefix after which harm was certain; best: counts under the best reading."""

    metric: Metric
    margin: float
    n: int
    counts: Counts
    best: Counts
    applies: int
    unlabelled: int  # pairs whose two readings differ: nobody read the answers, or the reply told no usage
    e_value: float
    harm_e: float
    harm_at: int | None
    p_final: float
    anytime: tuple[float, float]
    pass_level: float
    alpha_final: float
    clusters: int
    effect: float
    told: bool = True  # a promise about time is not kept by the few calls that both answered
    labelled: Corrected | None = None  # quality from people's labels and the judge, once the registered part is labelled
    harmed: bool = False  # by these labels: what nobody read is on neither side of them, so that a harm they show would else never be told

    def holds(self, *, final: bool) -> bool:
        """Has the candidate shown that it keeps this promise? The final test counts once, at the registered size.

        The e-process takes every draw as new. Where several are of one trace it needs the cluster-robust test beside it.
        """
        if not self.told:
            return False
        anytime = self.e_value >= self.pass_level and (self.effect == 1.0 or self.p_final <= self.alpha_final)
        return anytime or (final and self.p_final <= self.alpha_final)

    def document(self, *, final: bool) -> dict[str, Any]:
        interval = tango_interval(self.counts) if self.labelled is None else self.labelled.interval
        difference = self.counts.difference if self.labelled is None else self.labelled.estimate
        status = "fail" if self.harm_at is not None or (final and self.harmed) else "pass" if self.holds(final=final) else "inconclusive"
        if not self.applies:
            status = "not_applicable" if self.n else "inconclusive"  # nothing was measured: neither kept nor broken
        return {
            "name": self.metric.name,
            "kind": self.metric.kind,
            "critical": self.metric.critical,
            "margin": self.metric.margin,
            "n": self.n,
            "applies": self.applies,
            "better": text(self.counts.better),
            "worse": text(self.counts.worse),
            "unlabelled": self.unlabelled,
            "estimate": text(difference),
            "best_estimate": text(self.best.difference),
            "ci95": [text(interval.low), text(interval.high)],
            "anytime_ci95": [text(self.anytime[0]), text(self.anytime[1])],
            "e_value": number(self.e_value),
            "harm_e_value": number(self.harm_e),
            "p_final": number(self.p_final) if final else None,
            "status": status,
            "clusters": self.clusters,
            "design_effect": text(self.effect),
        }


def harmed_after(plan: ReplayPlan, prefix: Sequence[Pair], weights: Sequence[float]) -> int | None:
    """Pairs of the prefix after which some critical metric shows certain harm; a run may stop there."""
    level = plan.harm_level
    found: list[int] = []
    stops = unit_ends(plan, len(prefix))
    weights = shared(plan, prefix, weights)
    for metric in plan.metrics:
        best = readings(metric, prefix)[1] if metric.critical else []
        if min(best, default=0) < 0:  # nothing lost is no harm, whatever the weights
            values, heavy = by_unit(best, weights, stops) if stops else (best, weights)
            over = np.flatnonzero(harm_wealth(values, heavy, float(metric.margin), float(plan.weight_cap), plan.block) >= level)
            found += [position_of(stops, (int(over[0]) + 1) * plan.block)] if len(over) else []
    return min(found, default=None)


def unit_ends(plan: ReplayPlan, length: int) -> list[int]:
    """Where units end; empty where every unit is one call and nothing has to be gathered."""
    return ends(plan, length) if whole_traces(plan.sample) else []


def position_of(stops: Sequence[int], units: int) -> int:
    """Pairs of the prefix that the first `units` units are."""
    return stops[units - 1] if stops else units


def readings(metric: Metric, prefix: Sequence[Pair]) -> tuple[list[int], list[int]]:
    """(worst, best) difference of every pair; they differ only where nobody knows."""
    if metric.kind == "quality":
        return [pair.quality[0] for pair in prefix], [pair.quality[1] for pair in prefix]
    known = [pair.d.get(metric.name, 0) for pair in prefix]
    return known, [d + uncosted(pair) for d, pair in zip(known, prefix, strict=True)] if metric.name == "cost_ceiling" else known


def measure(plan: ReplayPlan, metric: Metric, prefix: Sequence[Pair], weights: Sequence[float]) -> Measured:
    quality = metric.kind == "quality"
    worst, best = readings(metric, prefix)
    margin, cap, level = float(metric.margin), float(plan.weight_cap), plan.harm_level
    stops = unit_ends(plan, len(prefix))
    low, heavy = by_unit(worst, weights, stops) if stops else (worst, weights)
    high = by_unit(best, weights, stops)[0] if stops else best
    gains = noninferiority_wealth(low, heavy, margin, cap, plan.block)
    losses = harm_wealth(high, heavy, margin, cap, plan.block)
    counted = units_done(prefix, stops) if stops else np.cumsum([pair.state == "done" for pair in prefix])
    pairs_at = np.asarray(counted)[plan.block - 1 :: plan.block][: len(gains)]
    gains = np.where(pairs_at >= plan.least_anytime_pairs, gains, 0.0) if len(gains) else gains
    over = np.flatnonzero(losses >= level)
    names = traces(plan, prefix)
    effect = design_effect(worst, weights, names, float(plan.alpha_final)) if clustered(prefix, names) else 1.0
    counts = deflated(weighted_counts(worst, weights), effect)
    labelled, kindly = (
        corrected(plan.seed, prefix, weights, margin, plan.labels, judge=judge_serves(plan, prefix), effect=effect, best=best)
        if quality
        else None
        for best in (False, True)
    )
    return Measured(
        metric=metric,
        margin=margin,
        n=sum(pair.state == "done" for pair in prefix),
        counts=counts,
        best=deflated(weighted_counts(best, weights), effect),
        applies=sum(pair.state == "done" and (quality or metric.name in pair.d) for pair in prefix),
        unlabelled=sum(lost != kept for lost, kept in zip(worst, best, strict=True)),
        e_value=float(gains.max()) if len(gains) else 0.0,
        harm_e=float(losses.max()) if len(losses) else 0.0,
        harm_at=position_of(stops, (int(over[0]) + 1) * plan.block) if len(over) else None,
        p_final=noninferiority_p(counts, margin) if labelled is None else labelled.p,
        told=metric.name != "latency" or enough_times(prefix),
        labelled=labelled,
        harmed=kindly is not None and kindly.harm_p * level <= 1,
        anytime=anytime_interval(low, heavy, cap, plan.block),
        pass_level=1 / float(plan.alpha_anytime),
        alpha_final=float(plan.alpha_final),
        clusters=len({name for name, pair in zip(names, prefix, strict=True) if pair.state == "done"}),
        effect=effect,
    )


def enough_times(prefix: Sequence[Pair]) -> bool:
    """Did both arms answer in at least half of the pairs? A baseline over its limit would else let an arm pass that mostly fails."""
    done = [pair for pair in prefix if pair.state == "done"]
    return 2 * sum(pair.baseline_us is not None and pair.candidate_us is not None for pair in done) >= len(done)


def judge_serves(plan: ReplayPlan, prefix: Sequence[Pair]) -> bool:
    """Was a judge asked, and did it see the known-bad answers? What it says is then worth what people's labels show."""
    return plan.judge is not None and not discarded([pair.canary for pair in prefix if pair.canary is not None])


def traces(plan: ReplayPlan, prefix: Sequence[Pair]) -> list[str]:
    """The trace each pair belongs to; a call without one is its own."""
    return [plan.sample[pair.position].cluster or pair.record_id for pair in prefix]


def counted(values: Sequence[int], weights: Sequence[float], prefix: Sequence[Pair], names: Sequence[str], alpha: float) -> Counts:
    """Weighted counts of some pairs, on as many effective pairs as their traces leave."""
    effect = design_effect(values, weights, names, alpha) if clustered(prefix, names) else 1.0
    return deflated(weighted_counts(values, weights), effect)


def clustered(prefix: Sequence[Pair], names: Sequence[str]) -> bool:
    """Do two different calls of one trace stand in the sample?"""
    calls = {(name, pair.record_id) for name, pair in zip(names, prefix, strict=True) if pair.state == "done"}
    return len({name for name, _ in calls}) < len(calls)


def text(value: float) -> str:
    """Six places; no negative zero."""
    return f"{value:.6f}" if round(value, 6) else "0.000000"


def number(value: float) -> str:
    return f"{value:.4g}" if value else "0"
