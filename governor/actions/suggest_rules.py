"""Rules for the calls of a month that belong to no workflow, from what these calls carry.

Owns: which of their fields are looked at. Does not own: what tells most (governor/attribution.py), SQL (store/lake_facts.py), money (govern.py).
Invariants: fields that rules look at come first; the others are asked for only where those say nothing, in a look of its own, so that sums pay nothing for it.
"""

from __future__ import annotations

from governor.actions.context import Context
from governor.actions.govern import GovernedMonth, Group, govern
from governor.attribution import TELLING, Suggestion, suggestions, telling_of


def suggested_rules(ctx: Context, month: GovernedMonth, *, as_of: str = "event") -> list[Suggestion]:
    """Dearest first. month: governed as of the same."""
    apart = told_apart(ctx, month, as_of=as_of)
    orphans = [(asked_of(apart, group), group.calls, group.contracted_pico) for group in apart.groups if group.workflow_id is None]
    return suggestions(orphans, month.timeline.at(month.end))


def told_apart(ctx: Context, month: GovernedMonth, *, as_of: str = "event") -> GovernedMonth:
    """The same month, in which also calls are told apart that carry no field of a rule."""
    if all(telling_of(asked_of(month, group)) for group in month.groups if group.workflow_id is None):
        return month
    return govern(ctx, month.start, month.end, as_of=as_of, snapshot=month.snapshot, cut=(TELLING,))


def asked_of(month: GovernedMonth, group: Group) -> dict[str, str | None]:
    """What rules look at, and TELLING."""
    return {name: value for name, value in group.keys.items() if name in month.asked.names or name == TELLING}
