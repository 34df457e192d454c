"""Two charts of money over time: a month's spend with its forecast and budget, and the causes of a difference as a waterfall.

Owns: the specs. Does not own: look and rendering (charts.py), the numbers (actions). Invariants: every number drawn stands in a table on the same page;
drawing may use floats.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from governor.web.charts import NARROW, dollars, frame

SPENT: Final = "#14566b"
AHEAD: Final = "#3f9aae"
LIMIT: Final = "#a3544a"
LESS: Final = "#5b8c5a"


def forecast_spec(found: dict[str, Any], days: Sequence[str], budget: str | None, *, width: int, height: int) -> dict[str, Any]:
    """Spend added up day by day, then what is expected with its interval, and the budget as a line. found: a forecast document."""
    spent, ahead = path(found)
    layers: list[dict[str, Any]] = [
        {
            "data": {"values": ahead},
            "mark": {"type": "area", "color": AHEAD, "opacity": 0.22},
            "encoding": {"x": day_axis(days, width), "y": money_axis("low", width, found, budget), "y2": {"field": "high"}},
        },
        {
            "data": {"values": spent},
            "mark": {
                "type": "line",
                "color": SPENT,
                "strokeWidth": 2.5,
                "point": {"color": SPENT, "size": 60} if len(spent) == 1 else False,
            },
            "encoding": {"x": day_axis(days, width), "y": money_axis("cost", width, found, budget)},
        },
        {
            "data": {"values": ahead},
            "mark": {"type": "line", "color": AHEAD, "strokeWidth": 2, "strokeDash": [5, 4]},
            "encoding": {"x": day_axis(days, width), "y": money_axis("cost", width, found, budget)},
        },
    ]
    if not ahead or "low" not in ahead[-1]:
        layers = layers[1:]
    if budget is not None:
        line: dict[str, Any] = {
            "data": {"values": [{"limit": float(budget)}]},
            "encoding": {"y": {"field": "limit", "type": "quantitative"}},
        }
        layers += [
            {**line, "mark": {"type": "rule", "color": LIMIT, "strokeWidth": 1.5}},
            {
                **line,
                "mark": {"type": "text", "align": "left", "baseline": "bottom", "dx": 4, "dy": -2, "x": 0, "color": LIMIT, "fontSize": 11},
                "encoding": {**line["encoding"], "text": {"value": "budget"}},
            },
        ]
    return frame(width, height) | {"layer": layers}


def path(found: dict[str, Any]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Points of what is spent and of what is expected, each added up; the interval opens with the share of the rest that a day is."""
    spent, running = [], 0.0
    for row in found["days"]:
        running += float(row["spent"])
        spent.append({"day": row["day"], "cost": running})
    ahead, done, rest = [], running, sum(float(row["cost"]) for row in found["expected"])
    if spent and found["expected"]:
        ahead.append({"day": spent[-1]["day"], "cost": running} | ({"low": running, "high": running} if found["low"] else {}))
    for row in found["expected"]:
        running += float(row["cost"])
        point = {"day": row["day"], "cost": running}
        if found["low"] is not None and found["high"] is not None and rest:
            share = (running - done) / rest
            point |= {name: done + (float(found[name]) - done) * share for name in ("low", "high")}
        ahead.append(point)
    return spent, ahead


def waterfall_spec(found: dict[str, Any], *, width: int, height: int) -> dict[str, Any]:
    """Before, each cause that is not zero, after. found: a movement document. Each bar says its amount, so that colour is not the only sign of a step's direction."""
    running = float(found["before"])
    rows: list[dict[str, Any]] = [{"name": found["against"], "low": 0.0, "high": running, "told": running, "kind": "whole"}]
    for name, text in found["terms"].items():
        step = float(text)
        if step:
            rows.append({"name": name, "low": running, "high": running + step, "told": step, "kind": "more" if step > 0 else "less"})
            running += step
    rows.append({"name": found["period"], "low": 0.0, "high": float(found["after"]), "told": float(found["after"]), "kind": "whole"})
    largest = max(abs(row["high"]) for row in rows)
    small = "$,.2f" if largest >= 1 else "$,.3~r"  # an SI prefix never makes an amount smaller
    x = {"field": "name", "type": "ordinal", "sort": None, "axis": {"title": None, "labelAngle": -35 if width <= NARROW else 0}}
    sign, size = "(datum.kind == 'whole' ? '' : '+')", "abs(datum.told) >= 1000"
    kinds = {"domain": ["whole", "more", "less"], "range": [SPENT, LIMIT, LESS]}
    for row in rows:
        row["top"] = max(row["low"], row["high"])
    return frame(width, height) | {
        "data": {"values": rows},
        "layer": [
            {
                "mark": {"type": "bar", "width": {"band": 0.7}},
                "encoding": {
                    "x": x,
                    "y": {"field": "low", "type": "quantitative", "axis": {"title": None, "tickCount": 5, **dollars(largest)}},
                    "y2": {"field": "high"},
                    "color": {"field": "kind", "type": "nominal", "scale": kinds, "legend": None},
                },
            },
            {
                "transform": [
                    {"calculate": f"replace(format(datum.told, {sign} + ({size} ? '$,.3~s' : '{small}')), 'G', 'B')", "as": "text"}
                ],
                "mark": {"type": "text", "baseline": "bottom", "dy": -3, "fontSize": 10 if width <= NARROW else 11, "color": "#1c2126"},
                "encoding": {"x": x, "y": {"field": "top", "type": "quantitative"}, "text": {"field": "text"}},
            },
        ],
    }


def day_axis(days: Sequence[str], width: int) -> dict[str, Any]:
    shown = [day for place, day in enumerate(days) if width > NARROW or place % 5 == 0]
    axis = {"title": None, "labelExpr": "substring(datum.value, 8)", "labelAngle": 0, "values": shown}
    return {"field": "day", "type": "ordinal", "scale": {"domain": list(days)}, "axis": axis}


def money_axis(field: str, width: int, found: dict[str, Any], budget: str | None) -> dict[str, Any]:
    largest = max(float(value or 0) for value in (found["spent"], found["high"], found["forecast"], budget))
    title = None if width <= NARROW else "USD, month to date"
    return {"field": field, "type": "quantitative", "axis": {"title": title, "tickCount": 5, **dollars(largest)}}
