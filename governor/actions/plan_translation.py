"""How the recorded parameters and messages of the sample become those of each arm: said in the plan, before anything is sent.

Owns: the listing. Does not own: the table (governor.shadow.parameters). Invariants: only names and counts, never a value; the same table that makes the bodies is asked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from governor.actions.context import Context
from governor.actions.replay_inputs import read_input
from governor.shadow.conversation import unsendable
from governor.shadow.parameters import refused, translate
from governor.shadow.plan import ReplayPlan, unplain


def translations(ctx: Context, plan: ReplayPlan, rows: Mapping[str, Mapping[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Arm -> [{"name","action": changed | dropped | blocked,"into","calls"}] over the calls of the sample; arms with nothing to say are absent."""
    found: dict[str, Counter[tuple[str, str, str]]] = {"baseline": Counter(), "candidate": Counter()}
    for record_id in sorted({pick.record_id for pick in plan.sample}):
        given = read_input(ctx, str(rows[record_id]["input_sha256"] or ""))
        if given is None:
            continue
        params = {**given.params, **unplain(plan.params)}
        blocked = [*refused(params), *unsendable(plan.protocol, given.messages)]
        limit = min(given.limit or plan.max_output_tokens, plan.max_output_tokens)
        for name, arm in (("baseline", plan.baseline), ("candidate", plan.candidate)):
            into = translate(plan.protocol, arm.model, params, limit)
            found[name].update((one, "blocked", "") for one in blocked)
            found[name].update((one, "dropped", "") for one in into.dropped)
            found[name].update((one, "changed", other) for one, other in into.changed.items())
    return {
        arm: [{"name": name, "action": action, "into": into, "calls": calls} for (name, action, into), calls in sorted(lines.items())]
        for arm, lines in found.items()
        if lines
    }
