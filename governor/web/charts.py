"""Charts as Vega-Lite, rendered on the server to SVG images. The numbers stand in a table beside every chart.

Owns: the specs and their look. Does not own: the numbers (actions/month_view.py). Invariants: no JavaScript in the page, no address fetched while
rendering; drawing may use floats, no number shown as text comes from here.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any, Final

import vl_convert

PALETTE: Final = ["#14566b", "#cf9a2b", "#5b8c5a", "#a3544a", "#6f6aa8", "#3f9aae", "#8a6d3b", "#9aa49e"]
NARROW: Final = 400  # pixels; a phone
FONT: Final = "DejaVu Sans, Liberation Sans, Arial, sans-serif"


def daily_spec(rows: list[dict[str, Any]], by: str, *, width: int = 480, height: int = 220) -> dict[str, Any]:
    """Stacked bars, a day each. rows: {"day","name","cost"}."""
    order = list(dict.fromkeys(row["name"] for row in sorted(rows, key=lambda row: row["name"] == "others")))
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "width": width,
        "height": height,
        "background": None,
        "data": {"values": [{"day": row["day"], "name": row["name"], "cost": float(row["cost"])} for row in rows]},
        "mark": {"type": "bar", "width": {"band": 0.78}},
        "encoding": {
            "x": {
                "field": "day",
                "type": "ordinal",
                "axis": {"title": None, "labelExpr": "substring(datum.value, 8)", "labelAngle": 0, "labelOverlap": True},
            },
            "y": {"field": "cost", "type": "quantitative", "stack": True, "axis": {"title": "USD a day", "tickCount": 4, "format": "$,.2~f"}},
            "color": {
                "field": "name",
                "type": "nominal",
                "sort": order,
                "scale": {"domain": order, "range": PALETTE},
                "legend": {"title": by, "orient": "bottom", "columns": 3 if width > NARROW else 2, "labelLimit": 200},
            },
        },
        "config": {
            "font": FONT,
            "view": {"stroke": None},
            "axis": {"grid": True, "gridColor": "#e4e8e3", "domain": False, "ticks": False, "labelColor": "#4a545e", "titleColor": "#4a545e"},
            "axisX": {"grid": False},
            "legend": {"labelColor": "#1c2126", "titleColor": "#4a545e", "symbolType": "square"},
        },
    }


@lru_cache(maxsize=64)
def _svg(spec: str) -> str:
    made: str = vl_convert.vegalite_to_svg(spec, allowed_base_urls=[])
    return made


def svg(spec: dict[str, Any]) -> str:
    """The same spec gives the same image."""
    return _svg(json.dumps(spec, sort_keys=True))
