"""Rules for the calls of a month that belong to no workflow, from what these calls carry.

Owns: which of their fields are looked at. Does not own: what tells most (governor/attribution.py), SQL (store/lake_facts.py), money (govern.py).
Invariants: fields that rules look at come first; the others are asked for only where those say nothing, in a look of its own, so that sums pay nothing for it.
"""

from __future__ import annotations

from governor.actions.context import Context
from governor.actions.govern import GovernedMonth, govern
from governor.attribution import TELLING, Suggestion, suggestions, telling_of


def suggested_rules(ctx: Context, month: GovernedMonth, *, as_of: str = "event") -> list[Suggestion]:
    """Dearest first. month: governed as of the same."""
    catalog = month.timeline.at(month.end)
    orphans = _orphans(month)
    if any(telling_of(key) is None for key, _, _ in orphans):
        orphans = _orphans(govern(ctx, month.start, month.end, as_of=as_of, snapshot=month.snapshot, cut=(TELLING,)))
    return suggestions(orphans, catalog)


def _orphans(month: GovernedMonth) -> list[tuple[dict[str, str | None], int, int]]:
    names = {*month.asked.names, TELLING}
    return [
        ({name: value for name, value in group.keys.items() if name in names}, group.calls, group.contracted_pico)
        for group in month.groups
        if group.workflow_id is None
    ]
