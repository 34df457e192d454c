"""What a closed month would be charged today, as differences in the open one.

Owns: the comparison of a recomputed month with everything already charged for it. Does not own: recomputing (actions/close_period). Invariants: in either style charged
before + corrections = recomputed, per line and in total, exactly; the charge month stays the original; prices are part of a line's identity, so a re-priced line
is taken back whole and charged again at the new price; computing corrections twice charges nothing twice.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from governor.chargeback.lines import MEASURES, Line, add_up, order


def correction_lines(charged: Iterable[Line], recomputed: Iterable[Line], style: str = "delta") -> list[Line]:
    """`charged`: every line of any statement for that charge month, corrections included. Lines that did not change yield nothing.

    style: `delta` charges the difference; `ledger` takes the charge back whole (reversal) and charges what is right (restated).
    """
    before = {line.line_id: line for line in add_up(replace(line, corrects="", style="") for line in charged)}
    after = {line.line_id: line for line in add_up(recomputed)}
    found = []
    for line_id in before.keys() | after.keys():
        old, new = before.get(line_id), after.get(line_id)
        like = new or old
        if like is None:
            continue
        change: dict[str, Any] = {name: (getattr(new, name) if new else 0) - (getattr(old, name) if old else 0) for name in MEASURES}
        if any(change.values()) and style == "ledger":
            found += [replace(old, corrects=line_id, style="reversal", **_times(old, -1))] if old and any(_times(old, 1).values()) else []
            found += [replace(new, corrects=line_id, style="restated")] if new else []
        elif any(change.values()):
            found.append(replace(like, corrects=line_id, **change))
    return sorted(found, key=order)


def _times(line: Line, sign: int) -> dict[str, Any]:
    return {name: sign * getattr(line, name) for name in MEASURES}
