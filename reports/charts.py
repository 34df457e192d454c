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


def workflow_spec(rows: Sequence[Mapping[str, Any]], *, width: int = 430) -> dict[str, Any]:
    """rows: {"workflow", "amount", "previous" or null} in drawing order, amounts in USD as numbers for drawing only. A bar is this month, a tick the last."""
    import altair as alt

    order = [row["workflow"] for row in rows]
    base = alt.Chart(alt.InlineData(values=[dict(row) for row in rows])).encode(
        y=alt.Y("workflow:N", sort=order, title=None, axis=alt.Axis(domain=False, ticks=False, labelLimit=150, labelPadding=6))
    )
    largest = max((value for row in rows for value in (row["amount"], row["previous"]) if value is not None), default=0)
    axis = alt.Axis(format="$,.0f" if largest >= WHOLE_DOLLARS else "$,.2f", tickCount=5, gridColor=GRID, domain=False, ticks=False)
    bars = base.mark_bar(color=NOW, height=11).encode(x=alt.X("amount:Q", title=None, axis=axis))
    ticks = (
        base.transform_filter("datum.previous !== null")
        .mark_tick(color=BEFORE, thickness=2.4, height=17, opacity=1)
        .encode(x=alt.X("previous:Q", title=None))
    )
    layered = alt.layer(bars, ticks).properties(width=width, height=alt.Step(20))
    spec: dict[str, Any] = (
        layered.configure_view(stroke=None).configure(font=FONT).configure_axis(labelFontSize=9, labelColor=INK).to_dict()
    )
    return spec


def svg(spec: Mapping[str, Any]) -> str:
    """The specification, printed. Ids that the printer numbers are left alone: they are the same every time."""
    import vl_convert

    text: str = vl_convert.vegalite_to_svg(drawable(dict(spec)))
    return re.sub(r"^<\?xml[^>]*\?>\s*", "", text)
