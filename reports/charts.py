"""Charts as Vega-Lite specifications and as the SVG printed from them: the page shows the spec live, the PDF prints the same one.

Owns: how a comparison by workflow is drawn. Does not own: the numbers, and the table that always stands beside a chart. Invariants: no clock, no random id;
same rows, same bytes; colour is never the only sign.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from governor.chargeback.reconciliation.drawn import drawable

FONT: Final = "Liberation Sans, DejaVu Sans, sans-serif"
WHOLE_DOLLARS: Final = 5  # below it, an axis in whole dollars would repeat itself
NOW, BEFORE, INK, GRID = "#14566b", "#b87a1e", "#1c2126", "#d9ddd8"


def workflow_spec(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """rows: {"workflow", "amount", "previous" or null} in drawing order, amounts in USD as numbers for drawing only. A bar is this month, a tick the last."""
    largest = max((value for row in rows for value in (row["amount"], row["previous"]) if value is not None), default=0)
    amounts = {
        "format": "$,.0f" if largest >= WHOLE_DOLLARS else "$,.2f",
        "tickCount": 5,
        "gridColor": GRID,
        "domain": False,
        "ticks": False,
    }
    y = {
        "field": "workflow",
        "type": "nominal",
        "sort": [row["workflow"] for row in rows],
        "title": None,
        "axis": {"domain": False, "ticks": False, "labelLimit": 150, "labelPadding": 6},
    }
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "width": 430,
        "height": {"step": 20},
        "data": {"values": [dict(row) for row in rows]},
        "layer": [
            {
                "mark": {"type": "bar", "color": NOW, "height": 11},
                "encoding": {"y": y, "x": {"field": "amount", "type": "quantitative", "title": None, "axis": amounts}},
            },
            {
                "transform": [{"filter": "datum.previous !== null"}],
                "mark": {"type": "tick", "color": BEFORE, "thickness": 2.4, "height": 17, "opacity": 1},
                "encoding": {"y": y, "x": {"field": "previous", "type": "quantitative", "title": None}},
            },
        ],
        "config": {"font": FONT, "axis": {"labelFontSize": 9, "labelColor": INK}},
    }


def svg(spec: Mapping[str, Any]) -> str:
    """The specification, printed. Ids that the printer numbers are left alone: they are the same every time."""
    import vl_convert

    text: str = vl_convert.vegalite_to_svg(drawable(dict(spec)))
    return re.sub(r"^<\?xml[^>]*\?>\s*", "", text)
