"""Shared costs as a picture: a bar for each cost center, of what it used itself, what it was given and what it gave away.

Owns: the spec. Does not own: look and rendering (charts.py), the numbers (actions).
Invariants: every number drawn stands in a table on the same page; drawing may use floats.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from governor.web.charts import NARROW, dollars, frame

PARTS: Final = (
    ("direct", "own use", "#14566b"),
    ("received", "shared costs received", "#cf9a2b"),
    ("shadow", "shadow spend", "#6f6aa8"),
    ("rate_plans", "rate plans", "#5b8c5a"),
    ("given", "shared out to others", "#b6beb8"),
)
LARGEST: Final = 20


def allocation_spec(rows: Sequence[Mapping[str, Any]], *, width: int) -> dict[str, Any]:
    """rows: cost centers of show_allocation, largest first; what is given away or credited is drawn left of zero."""
    values = [
        {"center": row["cost_center"], "part": words, "amount": float(row[name]), "place": place}
        for row in rows[:LARGEST]
        for place, (name, words, _) in enumerate(PARTS)
        if float(row[name])
    ]
    narrow = width <= NARROW
    largest = max((abs(float(row[name])) for row in rows[:LARGEST] for name, _, _ in PARTS), default=0.0)
    return frame(width, 80 + 34 * min(len(rows), LARGEST)) | {
        "padding": {"left": 0, "top": 6, "right": 8, "bottom": 0},
        "data": {"values": values},
        "mark": {"type": "bar", "height": {"band": 0.62}},
        "encoding": {
            "y": {
                "field": "center",
                "type": "nominal",
                "title": None,
                "sort": [row["cost_center"] for row in rows[:LARGEST]],
                "axis": {"labelLimit": 130},
            },
            "x": {
                "field": "amount",
                "type": "quantitative",
                "title": None,
                "stack": "zero",
                "axis": {"grid": True, "tickCount": 4 if narrow else 8, **dollars(largest)},
            },
            "color": {
                "field": "part",
                "type": "nominal",
                "title": None,
                "scale": {"domain": [words for _, words, _ in PARTS], "range": [colour for _, _, colour in PARTS]},
                "legend": {"orient": "bottom", "columns": 2 if narrow else 5, "labelLimit": 200},
            },
            "order": {"field": "place"},
        },
    }
