"""Charts as Vega-Lite, rendered on the server to SVG images. The numbers stand in a table beside every chart.

Owns: the specs and their look. Does not own: the numbers (actions/month_view.py). Invariants: no JavaScript in the page, no address fetched while
rendering; drawing may use floats, no number shown as text comes from here.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

import vl_convert

from governor.chargeback.reconciliation.drawn import drawable

PALETTE: Final = ["#14566b", "#cf9a2b", "#5b8c5a", "#a3544a", "#6f6aa8", "#3f9aae", "#8a6d3b", "#b6beb8"]
REST: Final = "others"
REST_COLOUR: Final = "#b6beb8"
NARROW: Final = 400  # pixels; a phone
CONFIG: Final[dict[str, Any]] = {
    "font": "DejaVu Sans, Liberation Sans, Arial, sans-serif",
    "view": {"stroke": None},
    "axis": {
        "gridColor": "#e4e8e3",
        "domain": False,
        "ticks": False,
        "labelColor": "#4a545e",
        "titleColor": "#4a545e",
        "labelFontSize": 11,
    },
    "axisX": {"grid": False},
}


def frame(width: int, height: int) -> dict[str, Any]:
    """What every chart is drawn in. Outer size in pixels."""
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "width": width,
        "height": height,
        "autosize": {"type": "fit", "contains": "padding"},
        "padding": {"left": 0, "top": 6, "right": 4, "bottom": 0},
        "background": None,
        "config": CONFIG,
    }


def daily_spec(rows: Sequence[Mapping[str, Any]], by: str, days: Sequence[str], *, width: int, height: int) -> dict[str, Any]:
    """Stacked bars, a bar for each of `days`, with calls or without. rows: {"day","name","cost"}, series in drawing order. Outer size in pixels."""
    order = list(dict.fromkeys(row["name"] for row in rows))
    narrow = width <= NARROW
    return frame(width, height) | {
        "data": {
            "values": [
                {"day": row["day"], "name": row["name"], "cost": float(row["cost"]), "place": order.index(row["name"])} for row in rows
            ]
        },
        "mark": {"type": "bar", "width": {"band": 0.8}},
        "encoding": {
            "x": {
                "field": "day",
                "type": "ordinal",
                "scale": {"domain": list(days)},
                "axis": {
                    "title": None,
                    "labelExpr": "substring(datum.value, 8)",
                    "labelAngle": 0,
                    "values": [day for place, day in enumerate(days) if not narrow or place % 5 == 0],
                },
            },
            "y": {
                "field": "cost",
                "type": "quantitative",
                "stack": True,
                "axis": {"title": None if narrow else "USD a day", "tickCount": 4, **dollars(largest_day(rows))},
            },
            "order": {"field": "place", "type": "quantitative"},
            "color": {
                "field": "name",
                "type": "nominal",
                "sort": order,
                "scale": {"domain": order, "range": [PALETTE[place] if name != REST else REST_COLOUR for place, name in enumerate(order)]},
                "legend": {
                    "title": by.replace("_", " "),
                    "orient": "bottom",
                    "columns": 2 if narrow else 8,
                    "labelLimit": 130,
                    "symbolSize": 90,
                },
            },
        },
        "config": {
            **CONFIG,
            "axis": {**CONFIG["axis"], "grid": True},
            "legend": {"labelColor": "#1c2126", "titleColor": "#4a545e", "symbolType": "square", "labelFontSize": 11},
        },
    }


def dollars(largest: float) -> dict[str, str]:
    """How an axis up to `largest` writes its amounts. Below a dollar as many digits as tell them apart; an SI prefix never makes it smaller
    ($500m reads as millions), and what it calls giga is a billion.
    """
    if largest < 1000:  # noqa: PLR2004 - from a thousand on, thousands
        return {"format": "$,.2~f" if largest >= 1 else "$,.3~r"}
    return {"labelExpr": "replace(format(datum.value, '$,.3~s'), 'G', 'B')"}


def largest_day(rows: Sequence[Mapping[str, Any]]) -> float:
    totals: dict[str, float] = defaultdict(float)
    for row in rows:
        totals[row["day"]] += float(row["cost"])
    return max(totals.values(), default=0.0)


@lru_cache(maxsize=64)
def _svg(spec: str) -> str:
    made: str = vl_convert.vegalite_to_svg(spec, allowed_base_urls=[])
    return made


def svg(spec: dict[str, Any]) -> str:
    """The same spec gives the same image."""
    return _svg(json.dumps(drawable(spec), sort_keys=True))
