"""Traces with tools, replayed step by step from the recorded tape: how far the candidate went the recorded way.

Owns: when a step diverges, the summary by trace. Does not own: asking (actions/replay.py).
Invariants: each step was asked with the recorded history, whatever the candidate
had said before; no tool was executed; a trace counts once, at its first sampled step that diverged.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from governor.shadow.comparison import Pair
from governor.shadow.guards import Facts
from governor.shadow.plan import ReplayPlan
from governor.shadow.units import whole_traces


def diverges(taped: Facts, candidate: Facts) -> bool | None:
    """Another tool call than the tape has, a call where it has words, or words where it has a call. Other words are no divergence. None: the tape has no step."""
    if taped.status != "ok":
        return None
    if candidate.status != "ok" or taped.called != candidate.called:
        return True
    return taped.called and taped.answer != candidate.answer


def step_summary(plan: ReplayPlan, prefix: Sequence[Pair]) -> dict[str, Any] | None:
    """None where no sampled call has tools."""
    done = [pair for pair in prefix if pair.state == "done" and pair.step is not None]
    if not done:
        return None
    first: dict[str, int] = {}
    for pair in done:
        if pair.diverged:
            trace = plan.sample[pair.position].cluster or pair.record_id
            first[trace] = min(first.get(trace, pair.step or 0), pair.step or 0)
    return {
        "traces": len({plan.sample[pair.position].cluster or pair.record_id for pair in done}),
        "steps": len({pair.record_id for pair in done}),
        "diverged_traces": len(first),
        "diverged_at": {str(step): count for step, count in sorted(Counter(first.values()).items())},
        "tools_executed": 0,
        **({"whole_traces": whole(plan, prefix)} if whole_traces(plan.sample) else {}),
    }


def whole(plan: ReplayPlan, prefix: Sequence[Pair]) -> int:
    """Traces of which every recorded step that may be replayed was compared."""
    done: dict[str, set[str]] = {}
    for pair in prefix:
        if pair.state == "done":
            done.setdefault(plan.sample[pair.position].cluster or pair.record_id, set()).add(pair.record_id)
    steps = {pick.cluster or pick.record_id: pick.steps for pick in plan.sample}
    return sum(len(seen) == steps[name] > 1 for name, seen in done.items())
