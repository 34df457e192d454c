"""The parts of the change page beside the gates: frontier, segments, A/A."""

import re
from decimal import Decimal
from typing import Any

from governor.web.change_split import frontier_plot, noise_rows, segment_rows


def point(share: str, quality: str, low: str, high: str, status: str = "confirmed") -> dict[str, Any]:
    return {"traffic_share": share, "quality": quality, "quality_ci95": [low, high], "status": status}


def test_more_traffic_is_further_right_and_worse_is_further_down() -> None:
    svg = frontier_plot([point("0.2", "0", "-0.01", "0.01"), point("0.6", "-0.03", "-0.06", "0", "over_budget")], Decimal("0.02"))
    (left, above), (right, below) = re.findall(r'cx="([\d.]+)" cy="([\d.]+)"', svg)
    assert float(left) < float(right)
    assert float(above) < float(below)
    margin = float(re.findall(r'class="plot-margin" d="M\d+ ([\d.]+)', svg)[0])
    assert float(above) < margin < float(below)
    assert "plot-good" in svg
    assert "plot-bad" in svg
    assert frontier_plot([], Decimal("0.02")) == ""


def test_everything_drawn_stays_on_the_picture() -> None:
    svg = frontier_plot([point("1", "-0.9", "-1", "-0.5", "not_tested"), point("0", "0.5", "0.2", "1")], Decimal("0.5"))
    down, across = re.findall(r'(?:cy="|V)(-?[\d.]+)', svg), re.findall(r'cx="(-?[\d.]+)', svg)
    assert len(down) >= 2 == len(across)
    assert all(0 <= float(value) <= 230 for value in down)
    assert all(0 <= float(value) <= 560 for value in across)


def test_segments_and_noise_are_rows_and_nothing_without_a_verdict() -> None:
    line = {"name": "cost_quartile_1", "n": 40, "estimate": "-0.01", "ci95": ["-0.05", "0.02"], "status": "inconclusive"}
    metric = {"name": "quality", "margin": "0.03"}
    noise = {"n": 40, "metrics": [{"name": "error", "estimate": "0.000000", "ci95": ["-0.01", "0.01"]}]}
    change = {"verdict": {"metrics": [metric], "segments": [line, {**line, "n": 0}], "repeat": noise}}
    [shown] = segment_rows(change)
    assert shown["name"] == "cost quartile 1, cheapest calls"
    assert "−5.0 to +2.0" in shown["interval"]
    assert noise_rows(change)[0]["name"] == "Errors"
    assert segment_rows({"verdict": None}) == []
    assert noise_rows({"verdict": None}) == []
