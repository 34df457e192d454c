"""The price of a SKU over time, as steps. Drawing may use floats; every number drawn stands in the table under it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from governor.web.charts import NARROW, frame

DRAWN: Final = ("input", "cache_read", "cache_write", "cache_write_1h", "output", "image", "second")
MILLION: Final = 1_000_000


def drawn(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Standard-tier rows of the first context band that the book holds now, one series per meter and kind."""
    return [
        row
        for row in rows
        if row["superseded_at"] is None
        and row["meter"] in DRAWN
        and not row["service_tier"]
        and not row["region"]
        and not row["context_min"]
    ]


def price_spec(rows: Sequence[dict[str, Any]], now: datetime, *, width: int, height: int) -> dict[str, Any]:
    """USD for a million tokens (for one unit, where the meter counts none) from a year before the first change until today."""
    known = [moment for row in rows for moment in (row["valid_from"], row["valid_to"]) if moment]
    instants = [datetime.fromisoformat(text) for text in known]
    start = min([*instants, now]) - timedelta(days=60)
    end = max([*instants, now]) + timedelta(days=15)
    points = []
    for row in rows:
        amount = Decimal(row["amount"]) * (MILLION if row["per"] >= 1000 else 1) / row["per"]  # noqa: PLR2004 - a block of tokens
        name = row["meter"].replace("_", " ") + (" (contract)" if row["kind"] == "contract" else "")
        begin, until = row["valid_from"] or start.isoformat(), row["valid_to"] or end.isoformat()
        points += [{"at": moment, "cost": float(amount), "name": name, "row": f"{name} {begin}"} for moment in (begin, until)]
    return frame(width, height) | {
        "data": {"values": points},
        "mark": {"type": "line", "interpolate": "step-after", "strokeWidth": 2.5},
        "encoding": {
            "x": {"field": "at", "type": "temporal", "axis": {"title": None, "tickCount": 4 if width <= NARROW else 8}},
            "y": {"field": "cost", "type": "quantitative", "axis": {"title": None if width <= NARROW else "USD", "tickCount": 5}},
            "detail": {"field": "row"},
            "color": {
                "field": "name",
                "type": "nominal",
                "legend": {"title": None, "orient": "bottom", "columns": 2 if width <= NARROW else 6},
            },
        },
    }
