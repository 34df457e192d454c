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
from governor.shadow.statistics import Counts, tango_interval

AA_ALPHA: Final = 0.01
AA_MARGIN_ALPHA: Final = 0.05
AA_LEAST: Final = 30
ANSWERS: Final = "answers"  # not a promise: do replies equal the recorded ones as often as each other?


def baseline_check(plan: ReplayPlan, prefix: Sequence[Pair]) -> tuple[dict[str, Any], list[str]]:
    """Production's recorded reply against the baseline's replay. Drift that is certain makes the recorded baseline unusable."""
    compared = [pair for pair in prefix if pair.state == "done" and pair.aa][: plan.aa_size]
    found, drifted = against(plan, compared, [(pair.aa, pair.aa_equal) for pair in compared])
    found["metrics"] += other_answers(plan, compared)
    # Replayed arms are compared with each other, so drift since recording is a caveat there and fatal only for a recorded baseline.
    return found, drifted if plan.baseline_arm == "recorded" else []


def other_answers(plan: ReplayPlan, compared: Sequence[Pair]) -> list[dict[str, Any]]:
    """Where the baseline was asked twice: how much less often its answer is production's than its own again. A model that is still the recorded one
    gives the three one distribution; an endpoint that serves another behind its name keeps every guard and answers otherwise.
    """
    both = [pair for pair in compared if pair.aa_equal and pair.repeat_equal]
    counts, moved = moves(plan, both, [int(pair.aa_equal == "answer") - int(pair.repeat_equal == "answer") for pair in both])
    return [line(ANSWERS, counts, drift=moved and counts.difference < 0)] if both else []


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
    result: dict[str, Any] = {"n": len(rows), "metrics": [], "answers_equal": None}
    drifted: list[str] = []
    margins = {metric.name: float(metric.margin) for metric in plan.metrics}
    alike = [equal == "answer" for _, equal in rows if equal]
    result["answers_equal"] = text(sum(alike) / len(alike)) if alike else None
    for name in sorted({name for differences, _ in rows for name in differences}):
        counts, moved = moves(plan, compared, [differences.get(name, 0) for differences, _ in rows], margins.get(name, 1.0))
        result["metrics"].append(line(name, counts, drift=moved))
        if moved:
            drifted.append(name)
    return result, drifted


def moves(plan: ReplayPlan, compared: Sequence[Pair], values: Sequence[int], margin: float = 1.0) -> tuple[Counts, bool]:
    counts = counted(values, [1.0] * len(values), compared, traces(plan, compared), AA_ALPHA)
    strict, usual = tango_interval(counts, AA_ALPHA), tango_interval(counts, AA_MARGIN_ALPHA)
    beyond = abs(counts.difference) > margin and (usual.low > 0 or usual.high < 0)
    return counts, len(values) >= AA_LEAST and (strict.low > 0 or strict.high < 0 or beyond)


def line(name: str, counts: Counts, *, drift: bool) -> dict[str, Any]:
    strict, usual = tango_interval(counts, AA_ALPHA), tango_interval(counts, AA_MARGIN_ALPHA)
    return {
        "name": name,
        "estimate": text(counts.difference),
        "ci95": [text(usual.low), text(usual.high)],
        "ci99": [text(strict.low), text(strict.high)],
        "drift": drift,
    }
