"""What a verdict says about its judge and the people who labelled: canaries, length, agreement, what the labels gave, what labels would settle.

Owns: these parts of the document. Does not own: the correction (corrected.py), the decision (verdict.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from governor.shadow.comparison import Pair
from governor.shadow.judging import discarded
from governor.shadow.labels import Kappa, differing, drawn, kappa, reading, wilson
from governor.shadow.measured import Measured, text
from governor.shadow.plan import QUALITY, ReplayPlan
from governor.shadow.rubrics import Criterion
from governor.shadow.statistics import NORMAL, tango_interval, weighted_counts


def judge_summary(plan: ReplayPlan, prefix: Sequence[Pair], weights: Sequence[float]) -> dict[str, Any] | None:
    if plan.judge is None:
        return None
    seen = [(pair.judge, weight) for pair, weight in zip(prefix, weights, strict=True) if pair.judge is not None]
    counts = weighted_counts([int(value) for value, _ in seen], [weight for _, weight in seen])
    interval = tango_interval(counts)
    canaries = [pair.canary for pair in prefix if pair.canary is not None]
    both = [(pair.judge, reading(pair.labels)) for pair in prefix if pair.judge is not None and pair.labels]
    told = [(opinion, low) for opinion, (low, high) in both if opinion is not None and low == high]
    return {
        "model": plan.judge.model,
        "n": len(seen),
        "estimate": text(counts.difference),
        "ci95": [text(interval.low), text(interval.high)],
        "calibrated": plan.judge.calibrated,
        "same_family": plan.judge.provider in {plan.baseline.provider, plan.candidate.provider},
        "canaries": {"n": len(canaries), "caught": canaries.count(True)},
        "discarded": discarded(canaries),
        "length": length_lines(prefix),
        "agreement": kappa_text(kappa([opinion for opinion, _ in told], [label for _, label in told])),
    } | ({"criteria": criteria_lines(plan.judge.rubric, prefix, weights)} if plan.judge.rubric else {})


def criteria_lines(rubric: Sequence[Criterion], prefix: Sequence[Pair], weights: Sequence[float]) -> list[dict[str, Any]]:
    """What the judge said by criterion. It decides nothing: one word over all criteria is what people's labels correct."""
    found = []
    for one in rubric:
        seen = [(pair.criteria[one.name], weight) for pair, weight in zip(prefix, weights, strict=True) if one.name in pair.criteria]
        counts = weighted_counts([value for value, _ in seen], [weight for _, weight in seen])
        interval = tango_interval(counts)
        words = {"name": one.name, "weight": one.weight, "n": len(seen)}
        found.append(words | {"estimate": text(counts.difference), "ci95": [text(interval.low), text(interval.high)]})
    return found


def length_lines(prefix: Sequence[Pair]) -> dict[str, Any]:
    """How often the judge took the longer answer where it took one, and what it says apart for either length: far apart, it reads length."""
    chose = [pair for pair in prefix if pair.judge and pair.longer]
    longer = sum(pair.judge == pair.longer for pair in chose)
    low, high = wilson(longer, len(chose), NORMAL.inv_cdf(0.975)) if chose else (0.0, 1.0)

    def mean(sign: int) -> str | None:
        group = [pair.judge for pair in prefix if pair.judge is not None and pair.longer == sign]
        return text(sum(group) / len(group)) if group else None

    return {
        "n": len(chose),
        "longer_preferred": text(longer / len(chose)) if chose else None,
        "ci95": [text(low), text(high)] if chose else None,
        "estimate_candidate_longer": mean(1),
        "estimate_candidate_shorter": mean(-1),
    }


def people_summary(plan: ReplayPlan, prefix: Sequence[Pair], measured: Sequence[Measured]) -> dict[str, Any] | None:
    """None where no person labelled anything."""
    labelled = [pair for pair in differing(prefix) if pair.labels]
    if not labelled:
        return None
    order = drawn(plan.seed, prefix)
    part = order[: plan.labels]
    have = {pair.position for pair in labelled}
    found = next((one.labelled for one in measured if one.metric.name == QUALITY), None)
    twice = [(pair.labels[0], pair.labels[1]) for pair in labelled if len(pair.labels) > 1]
    told = [(left, right) for left, right in twice if left is not None and right is not None]
    return {
        "pairs": len(labelled),
        "labels": sum(len(pair.labels) for pair in labelled),
        "unsure": sum(label is None for pair in labelled for label in pair.labels),
        "registered": len(part),
        "registered_labelled": sum(position in have for position in part),
        "differing": len(order),
        "reviewers_agree": kappa_text(kappa([left for left, _ in told], [right for _, right in told])),
        "correction": None
        if found is None
        else {
            "method": "prediction_powered" if found.trust else "labels_only",
            "estimate": text(found.estimate),
            "ci95": [text(found.interval.low), text(found.interval.high)],
            "labelled": found.labelled,
            "judged": found.judged,
            "trust_in_judge": text(found.trust),
        },
    }


def kappa_text(found: Kappa | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "n": found.n,
        "agreement": text(found.agreement),
        "kappa": None if found.value is None else text(found.value),
        "ci95": [text(found.interval.low), text(found.interval.high)],
    }


def labels_needed(plan: ReplayPlan, prefix: Sequence[Pair]) -> dict[str, int] | None:
    """What people would have to do for the final test to read quality: None where nothing differs or the registered part is labelled."""
    part = drawn(plan.seed, prefix)[: plan.labels]
    have = {pair.position for pair in prefix if pair.labels}
    missing = sum(position not in have for position in part)
    return {"missing": missing, "registered": len(part), "differing": len(differing(prefix))} if missing else None
