"""The bridge from our number to the invoice, as a waterfall: a bar for each cause between the two totals.

Owns: the spec, the same for the page and the statement; what no chart may be told. Does not own: the terms (bridge.py), rendering (web, reports). Invariants: the axis
shows the part in which the steps lie, and the totals say what they are in full; colour is never the only sign: each step carries its signed amount.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final

NARROW: Final = 400  # pixels; a phone
FONT: Final = "DejaVu Sans, Liberation Sans, Arial, sans-serif"

MORE, LESS, WHOLE = "#a3544a", "#5b8c5a", "#14566b"
NO_XML: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")  # the renderer ends the whole process at one of these


def drawable(spec: Any) -> Any:
    """A chart's spec with the replacement sign for what no SVG can hold: names of models come from whoever made the call."""
    if isinstance(spec, dict):
        return {key: drawable(value) for key, value in spec.items()}
    if isinstance(spec, list):
        return [drawable(value) for value in spec]
    return NO_XML.sub("\ufffd", spec) if isinstance(spec, str) else spec


def bridge_spec(ours: str, steps: Sequence[tuple[str, str]], invoice: str, *, width: int, height: int, font: str = FONT) -> dict[str, Any]:
    """steps: (words, signed amount as decimal text) in order. Outer size in pixels."""
    values, at = [], Decimal(ours)
    reached = [at]
    for name, amount in steps:
        after = at + Decimal(amount)
        values.append(
            {
                "name": name,
                "from": float(min(at, after)),
                "to": float(max(at, after)),
                "kind": "more" if after > at else "less",
                "told": signed(amount),
            }
        )
        at = after
        reached.append(at)
    low, high = min(reached), max(reached)
    margin = (high - low) / 4 or max(abs(high) / 10, Decimal(1))
    floor = Decimal(0) if low <= margin * 4 and low >= 0 else low - margin
    ends = [
        {"name": name, "from": float(floor), "to": float(Decimal(total)), "kind": "whole", "told": f"{Decimal(total):,.2f}"}
        for name, total in (("Ours", ours), ("Invoice", invoice))
    ]
    drawn = [ends[0], *values, ends[1]]
    y = {
        "field": "name",
        "type": "nominal",
        "sort": [one["name"] for one in drawn],
        "axis": {"title": None, "labelLimit": 130 if width <= NARROW else 300},
    }
    scale = {"domain": [float(floor), float(high + margin)], "zero": False, "nice": False}
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "width": width,
        "height": height,
        "autosize": {"type": "fit", "contains": "padding"},
        "background": None,
        "data": {"values": drawn},
        "layer": [
            {
                "mark": {"type": "bar", "height": {"band": 0.62}, "clip": True},
                "encoding": {
                    "y": y,
                    "x": {"field": "from", "type": "quantitative", "scale": scale, "axis": {"title": "USD", "tickCount": 3 if width <= NARROW else 6, "format": ",.4~f"}},
                    "x2": {"field": "to"},
                    "color": {"field": "kind", "type": "nominal", "scale": {"domain": ["more", "less", "whole"], "range": [MORE, LESS, WHOLE]}, "legend": None},
                },
            },
            {
                "mark": {"type": "text", "align": "left", "dx": 5, "fontSize": 11, "color": "#1c2126"},
                "encoding": {"y": y, "x": {"field": "to", "type": "quantitative", "scale": scale}, "text": {"field": "told"}},
            },
        ],
        "config": {
            "font": font,
            "view": {"stroke": None},
            "axis": {"gridColor": "#e4e8e3", "domain": False, "ticks": False, "labelColor": "#4a545e", "titleColor": "#4a545e", "labelFontSize": 11},
        },
    }  # fmt: skip


def signed(amount: str) -> str:
    """+1,234.50; what is less than a cent keeps its digits."""
    value = Decimal(amount)
    return f"{value:+,.2f}" if abs(value) >= Decimal("0.01") else f"{value:+.6f}"
