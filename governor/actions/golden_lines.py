"""Rows of a run's golden cases -> lines of golden.jsonl.

Owns: a case's line, its record id. Does not own: asking (replay_golden.py), the file (replay_evidence.py). Invariants: no text is in a line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from governor.actions.replay_rows import JUDGES
from governor.actions.replay_table import Result, Table
from governor.shadow import judging
from governor.shadow.golden import GoldenCase, GoldenLine
from governor.shadow.plan import ReplayPlan
from governor.shadow.rubrics import combined

ARMS: Final = ("baseline", "candidate")
ARM_PREFIX: Final = "golden:"  # record ids of golden results: no production call has one


def golden_lines(plan: ReplayPlan, table: Table) -> list[GoldenLine]:
    """One line a case; a case whose rows do not stand yet is planned."""
    cases = plan.golden.cases if plan.golden is not None else ()
    return [line_of(case, table.get(at, {})) for at, case in enumerate(cases, start=plan.n)]


def line_of(case: GoldenCase, arms: Mapping[str, Result]) -> GoldenLine:
    both: Sequence[Result] = [arms[arm] for arm in ARMS if arm in arms]
    state = next((one.state for one in both if one.state != "done"), "done") if len(both) == len(ARMS) else "planned"
    spend = sum(one.evidence_pico for one in arms.values())
    if state != "done":
        return GoldenLine(case.id, case.sha256, state, spend_pico=spend)
    right = [bool(one.pick) if case.check else None for one in both]
    opinions = [arms[name] for name in JUDGES if name in arms and arms[name].pick is not None]
    judged = len(opinions) == len(JUDGES)
    return GoldenLine(
        case.id,
        case.sha256,
        state,
        right[0],
        right[1],
        judging.combine(opinions[0].pick or 0, opinions[1].pick or 0) if judged else None,
        combined(opinions[0].criteria, opinions[1].criteria) if judged else {},
        spend,
    )
