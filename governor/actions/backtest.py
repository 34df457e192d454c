"""What another policy bundle would have decided on a past month.

Owns: the comparison, group by group. Invariants: reads only; the trial bundle runs in the embedded engine, never in a shared OPA server;
the catalog is the one in force when the calls happened.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from governor.actions.context import Context
from governor.actions.govern import GovernedMonth, Group, govern_month, question
from governor.actions.judge import judge, prepare
from governor.actions.usage import usd
from governor.errors import Invalid
from governor.policy.bundle import Bundle, load_bundle
from governor.policy.confined import ConfinedEngine
from governor.policy.decision import Decision
from governor.policy.sandbox import check_confined


@dataclass
class Flip:
    """Calls whose outcome changes. gained and lost: rules that newly object or no longer do."""

    workflow: str | None
    provider: str | None
    model: str | None
    before: str
    after: str
    gained: tuple[str, ...]
    lost: tuple[str, ...]
    calls: int = 0
    contracted_pico: int = 0
    examples: list[str] = field(default_factory=list)


def backtest(ctx: Context, period: str, directory: Path) -> dict[str, Any]:
    """{"period","before","after","calls","flipped_calls","flips":[...]}. Raises Invalid when the bundle does not pass the static check."""
    trial = load_bundle(directory)
    errors = [one for one in check_confined(trial.modules) if one.severity == "error"]
    if errors:
        raise Invalid(f"{errors[0].file}:{errors[0].line}: {errors[0].message}", hint="`governor policy check DIR` lists everything")
    month = govern_month(ctx, period)
    flips = flipped(month, judged_by(month, trial))
    return {
        "period": period,
        "snapshot": month.snapshot,
        "before": ctx.bundle.revision,
        "after": trial.revision,
        "calls": sum(group.calls for group in month.groups),
        "flipped_calls": sum(flip.calls for flip in flips),
        "flips": [flip_document(flip) for flip in flips],
    }


def judged_by(month: GovernedMonth, bundle: Bundle) -> list[Decision]:
    """One decision per group, in order, as this bundle would have decided."""
    engine, by_catalog = ConfinedEngine(), defaultdict(list)
    for index, group in enumerate(month.groups):
        by_catalog[month.timeline.at(group.epoch_start).digest].append(index)
    decisions: dict[int, Decision] = {}
    for indexes in by_catalog.values():
        prepare(engine, bundle, month.timeline.at(month.groups[indexes[0]].epoch_start))
        decisions |= dict(zip(indexes, judge(engine, [question(month.groups[index]) for index in indexes]), strict=True))
    return [decisions[index] for index in range(len(month.groups))]


def flipped(month: GovernedMonth, decisions: list[Decision]) -> list[Flip]:
    """Dearest first."""
    flips: dict[tuple[Any, ...], Flip] = {}
    for group, after in zip(month.groups, decisions, strict=True):
        was, now = rules_of(group.decision), rules_of(after)
        if group.decision.status == after.status and was == now:
            continue
        parts = (
            group.workflow_id,
            group.provider,
            group.model,
            group.decision.status,
            after.status,
            tuple(sorted(now - was)),
            tuple(sorted(was - now)),
        )
        add(flips.setdefault(parts, Flip(*parts)), group)
    return sorted(flips.values(), key=lambda flip: (-flip.contracted_pico, -flip.calls, flip.workflow or "", flip.model or ""))


def add(flip: Flip, group: Group) -> None:
    flip.calls += group.calls
    flip.contracted_pico += group.contracted_pico
    flip.examples += group.examples[: 3 - len(flip.examples)]


def rules_of(decision: Decision) -> frozenset[str]:
    return frozenset({one.rule for one in decision.violations} | {one.rule for one in decision.undecided})


def flip_document(flip: Flip) -> dict[str, Any]:
    return {
        "workflow": flip.workflow,
        "provider": flip.provider,
        "model": flip.model,
        "before": flip.before,
        "after": flip.after,
        "gained": list(flip.gained),
        "lost": list(flip.lost),
        "calls": flip.calls,
        "contracted_cost": usd(flip.contracted_pico),
        "example_record_ids": flip.examples,
    }
