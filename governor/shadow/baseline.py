"""Is the baseline fit to be compared with? Production's recorded reply against its replay, and the baseline asked twice in the same run (A/A).

Owns: both comparisons and when they void a run. Does not own: the decision ladder (verdict.py).
Invariants: a void run says nothing about the candidate; a route that seems to beat or lose to itself shows that the harness measures something else than routes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from governor.shadow.comparison import Pair
from governor.shadow.measured import counted, text, traces
from governor.shadow.plan import ReplayPlan
from governor.shadow.statistics import tango_interval

AA_ALPHA: Final = 0.01
AA_MARGIN_ALPHA: Final = 0.05
AA_LEAST: Final = 30


def baseline_check(plan: ReplayPlan, prefix: Sequence[Pair]) -> tuple[dict[str, Any], list[str]]:
    """Production's recorded reply against the baseline's replay. Drift that is certain makes the recorded baseline unusable."""
    compared = [pair for pair in prefix if pair.state == "done" and pair.aa][: plan.aa_size]
    found, drifted = against(plan, compared, [(pair.aa, pair.aa_equal) for pair in compared])
    # Replayed arms are compared with each other, so drift since recording is a caveat there and fatal only for a recorded baseline.
    return found, drifted if plan.baseline_arm == "recorded" else []


def repeat_check(plan: ReplayPlan, prefix: Sequence[Pair]) -> tuple[dict[str, Any], list[str]]:
    """The baseline against itself within the run; `answers_equal` is the noise floor of every agreement figure."""
    compared = [pair for pair in prefix if pair.state == "done" and pair.repeat]
    found, drifted = against(plan, compared, [(pair.repeat, pair.repeat_equal) for pair in compared])
    alike = [pair.equal == "answer" for pair in compared if pair.equal]
    own = found["answers_equal"]
    excess = None if own is None or not alike else text(float(own) - sum(alike) / len(alike))
    return {**found, "excess_disagreement": excess}, drifted


def against(plan: ReplayPlan, compared: Sequence[Pair], rows: Sequence[tuple[Mapping[str, int], str]]) -> tuple[dict[str, Any], list[str]]:
    """Per measure: difference with its 99 % interval. It moved when that interval leaves zero out, or when the difference is beyond the measure's
    margin and its 95 % interval leaves zero out. A trace that fails as a whole is one failure, not one of each step.
    """
    names = traces(plan, compared)
    result: dict[str, Any] = {"n": len(rows), "metrics": [], "answers_equal": None}
    drifted: list[str] = []
    margins = {metric.name: float(metric.margin) for metric in plan.metrics}
    alike = [equal == "answer" for _, equal in rows if equal]
    result["answers_equal"] = text(sum(alike) / len(alike)) if alike else None
    for name in sorted({name for differences, _ in rows for name in differences}):
        counts = counted([differences.get(name, 0) for differences, _ in rows], [1.0] * len(rows), compared, names, AA_ALPHA)
        strict, usual = tango_interval(counts, AA_ALPHA), tango_interval(counts, AA_MARGIN_ALPHA)
        beyond = abs(counts.difference) > margins.get(name, 1.0) and (usual.low > 0 or usual.high < 0)
        moved = len(rows) >= AA_LEAST and (strict.low > 0 or strict.high < 0 or beyond)
        result["metrics"].append(
            {
                "name": name,
                "estimate": text(counts.difference),
                "ci95": [text(usual.low), text(usual.high)],
                "ci99": [text(strict.low), text(strict.high)],
                "drift": moved,
            }
        )
        if moved:
            drifted.append(name)
    return result, drifted
