"""Small plots drawn on the server as SVG: intervals, shares, sparks. Shapes carry classes, colours come from the stylesheet.

Invariants: drawing may round (a pixel is coarse), the numbers beside the plot never come from here; every plot has a text alternative.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from markupsafe import Markup, escape

TONES: Final = {"pass": "good", "fail": "bad", "inconclusive": "warn"}
WIDTH: Final = 176
HEIGHT: Final = 28


@dataclass(frozen=True)
class Interval:
    """An estimate with its interval; harm lies left of -margin."""

    estimate: Decimal
    low: Decimal
    high: Decimal
    margin: Decimal
    status: str


def reach(intervals: Sequence[Interval]) -> Decimal:
    """Half the width of an axis on which all of them fit."""
    ends = [abs(value) for one in intervals for value in (one.low, one.high, one.margin)]
    return max([*ends, Decimal("0.01")]) * Decimal("1.12")


def interval_plot(one: Interval, span: Decimal) -> Markup:
    """The interval on an axis from -span to +span: zero line, margin line, the shaded side is worse than agreed."""

    def place(value: Decimal) -> str:
        share = (max(-span, min(span, value)) + span) / (2 * span)
        return f"{Decimal(4) + share * (WIDTH - 8):.1f}"

    middle = HEIGHT // 2
    label = f"{one.estimate:+.3f}, interval {one.low:+.3f} to {one.high:+.3f}, worse than agreed below {-one.margin:+.3f}"
    return Markup(  # noqa: S704 - numbers of our own and escaped text
        f'<svg class="interval plot-{TONES.get(one.status, "plain")}" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}">'
        f'<rect class="plot-forbidden" x="0" y="0" width="{place(-one.margin)}" height="{HEIGHT}"/>'
        f'<path class="plot-axis" d="M{place(Decimal(0))} 2V{HEIGHT - 2}"/>'
        f'<path class="plot-margin" d="M{place(-one.margin)} 2V{HEIGHT - 2}"/>'
        f'<path class="plot-range" d="M{place(one.low)} {middle}H{place(one.high)}M{place(one.low)} {middle - 4}V{middle + 4}'
        f'M{place(one.high)} {middle - 4}V{middle + 4}"/>'
        f'<circle class="plot-point" cx="{place(one.estimate)}" cy="{middle}" r="3.5"/></svg>'
    )


def share_bar(share: Decimal, tone: str, label: str, mark: Decimal | None = None) -> Markup:
    """A filled bar; `mark` draws the limit to reach."""
    width = max(Decimal(0), min(Decimal(1), share)) * 100
    line = "" if mark is None else f'<path class="bar-mark" d="M{mark * 100:.2f} 0V12" vector-effect="non-scaling-stroke"/>'
    return Markup(  # noqa: S704 - numbers of our own and escaped text
        f'<svg class="bar" viewBox="0 0 100 12" preserveAspectRatio="none" role="img" aria-label="{escape(label)}">'
        f'<rect class="bar-ground" width="100" height="12"/><rect class="bar-{tone}" width="{width:.2f}" height="12"/>{line}</svg>'
    )


def spark(values: Sequence[Decimal], label: str) -> Markup:
    """A line of values over time; empty for fewer than two."""
    if len(values) < 2:  # noqa: PLR2004 - one point is no line
        return Markup("")
    top = max(values) or Decimal(1)
    points = [f"{Decimal(place) * 110 / (len(values) - 1):.1f} {Decimal(26) - value / top * 24:.1f}" for place, value in enumerate(values)]
    line = "L".join(points)
    return Markup(  # noqa: S704 - numbers of our own and escaped text
        f'<svg class="spark" viewBox="0 0 110 28" preserveAspectRatio="none" role="img" aria-label="{escape(label)}">'
        f'<path class="area" d="M{line}L110 28L0 28Z"/><path d="M{line}"/></svg>'
    )


def heat_strip(days: Sequence[tuple[str, Sequence[tuple[str, str]]]], label: str) -> Markup:
    """A row a day, a cell an hour, drawn by state: `days` holds (day, [(state, words)]). The words are the tooltip of each cell."""
    cells = "".join(
        f'<rect class="heat-{state}" x="{44 + place * 12}" y="{row * 12}" width="11" height="11"><title>{escape(words)}</title></rect>'
        for row, (_, hours) in enumerate(days)
        for place, (state, words) in enumerate(hours)
    )
    names = "".join(f'<text x="0" y="{row * 12 + 9}">{escape(day)}</text>' for row, (day, _) in enumerate(days))
    return Markup(  # noqa: S704 - numbers of our own and escaped text
        f'<svg class="heat" viewBox="0 0 {44 + 24 * 12} {len(days) * 12}" role="img" aria-label="{escape(label)}">{names}{cells}</svg>'
    )
