"""What the change page shows beside the gates: the frontier of a split, segments, the baseline against itself, checks since the approval.

Owns: rows and plots of these parts. Does not own: numbers (actions/split_route.py, the verdict, actions/route_checks.py). Invariants: drawing may round; a part
that cannot be shown says why and never breaks the page.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from markupsafe import Markup, escape

from governor.actions.context import Context
from governor.actions.split_route import split_route
from governor.errors import GovernorError
from governor.web.change_facts import METRICS, points
from governor.web.plots import Interval, interval_plot, reach

WIDTH: Final = 560
HEIGHT: Final = 230
LEFT, RIGHT, TOP, BOTTOM = 52, 14, 12, 34
WORDS: Final = {
    "confirmed": "holds on fresh pairs",
    "not_confirmed": "not confirmed",
    "not_tested": "not tested",
    "over_budget": "looks too risky",
}
TONES: Final = {"confirmed": "good", "not_confirmed": "warn", "not_tested": "plain", "over_budget": "bad"}
CHECKS: Final = {"no_change_seen": "good", "drifted": "warn", "broken": "bad"}


@dataclass(frozen=True)
class SplitPart:
    """found: the document of the split; why_not: why there is none."""

    found: dict[str, Any] | None
    plot: Markup
    rows: list[dict[str, str]]
    why_not: str = ""


def split_part(ctx: Context, change: dict[str, Any]) -> SplitPart | None:
    """None where the change has no finished run."""
    if not change["verdict"] or not change["evidence"]:
        return None
    try:
        found = split_route(ctx, change["id"])
    except GovernorError as error:
        return SplitPart(None, Markup(""), [], error.message)
    return SplitPart(
        found, frontier_plot(found["frontier"], Decimal(found["margin"])), [row(one, found["caution"]) for one in found["frontier"]]
    )


def row(one: dict[str, Any], caution: str) -> dict[str, str]:
    saved = one["savings_ci95"]
    return {
        "share": whole(one["traffic_share"]),
        "savings": whole(one["savings_rate"]) if saved else "not priced",
        "savings_interval": f"{whole(saved[0])} to {whole(saved[1])}" if saved else "",
        "monthly": one["monthly_savings_usd"] or "",
        "quality": points(one["quality"]),
        "quality_interval": f"{points(one['quality_ci95'][0])} to {points(one['quality_ci95'][1])}",
        "tone": "plain" if caution and one["status"] == "confirmed" else TONES[one["status"]],
        "status": WORDS[one["status"]],
    }


def whole(share: str) -> str:
    return f"{Decimal(share) * 100:.0f}%"


def frontier_plot(frontier: list[dict[str, Any]], margin: Decimal) -> Markup:
    """Share of traffic moved against the change of quality of the whole route; each point with its 95 % interval, the margin as a line."""
    if not frontier:
        return Markup("")
    bounds = [Decimal(end) for one in frontier for end in one["quality_ci95"]]
    low, high = min([*bounds, -margin]) * Decimal("1.1"), max([*bounds, Decimal("0.005")]) * Decimal("1.1")

    def across(share: Decimal) -> str:
        return f"{LEFT + share * (WIDTH - LEFT - RIGHT):.1f}"

    def down(value: Decimal) -> str:
        return f"{TOP + (high - value) / (high - low) * (HEIGHT - TOP - BOTTOM):.1f}"

    parts = [
        f'<rect class="plot-forbidden" x="{LEFT}" y="{down(-margin)}" width="{WIDTH - LEFT - RIGHT}" height="{HEIGHT - BOTTOM - Decimal(down(-margin))}"/>',
        f'<path class="plot-axis" d="M{LEFT} {down(Decimal(0))}H{WIDTH - RIGHT}"/><path class="plot-margin" d="M{LEFT} {down(-margin)}H{WIDTH - RIGHT}"/>',
        *(
            f'<text class="plot-label" x="{LEFT - 6}" y="{Decimal(down(value)) + 3}" text-anchor="end">{escape(points(value))}</text>'
            for value in (Decimal(0), -margin)
        ),
        *(
            f'<text class="plot-label" x="{across(Decimal(tenth) / 4)}" y="{HEIGHT - BOTTOM + 14}" text-anchor="middle">{tenth * 25}%</text>'
            for tenth in range(5)
        ),
        f'<text class="plot-label" x="{across(Decimal("0.5"))}" y="{HEIGHT - 4}" text-anchor="middle">share of traffic moved</text>',
    ]
    for one in frontier:
        x, ends = across(Decimal(one["traffic_share"])), [down(Decimal(end)) for end in one["quality_ci95"]]
        parts.append(
            f'<g class="plot-{TONES[one["status"]]}"><title>{escape(WORDS[one["status"]])}: {whole(one["traffic_share"])} of the traffic</title>'
            f'<path class="plot-range" d="M{x} {ends[0]}V{ends[1]}"/><circle class="plot-point" cx="{x}" cy="{down(Decimal(one["quality"]))}" r="4"/></g>'
        )
    label = "Change of quality of the whole route by share of traffic moved; the numbers stand in the table under it."
    return Markup(f'<svg class="frontier" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">{"".join(parts)}</svg>')  # noqa: S704 - numbers of our own and escaped text


def segment_rows(change: dict[str, Any]) -> list[dict[str, Any]]:
    """Quality by cost quartile, on one axis with the margin of the plan."""
    verdict = change["verdict"] or {}
    margin = next((one["margin"] for one in verdict.get("metrics") or [] if one["name"] == "quality"), None)
    lines = [one for one in verdict.get("segments") or [] if one["n"]]
    if margin is None:
        return []
    drawn = [
        Interval(Decimal(one["estimate"]), Decimal(one["ci95"][0]), Decimal(one["ci95"][1]), Decimal(margin), one["status"])
        for one in lines
    ]
    return [
        {
            "name": one["name"]
            .replace("_", " ")
            .replace("quartile 1", "quartile 1, cheapest calls")
            .replace("quartile 4", "quartile 4, dearest calls"),
            "n": one["n"],
            "status": one["status"],
            "estimate": points(one["estimate"]),
            "interval": f"{points(one['ci95'][0])} to {points(one['ci95'][1])}",
            "plot": interval_plot(plot, reach(drawn)),
        }
        for one, plot in zip(lines, drawn, strict=True)
    ]


def noise_rows(change: dict[str, Any]) -> list[dict[str, str]]:
    """The baseline against itself: what each measure does where nothing changed."""
    verdict = change["verdict"] or {}
    found = verdict.get("repeat") or {}
    return [
        {
            "name": METRICS.get(one["name"], (one["name"].replace("_", " "), ""))[0],
            "estimate": points(one["estimate"]),
            "interval": f"{points(one['ci95'][0])} to {points(one['ci95'][1])}",
        }
        for one in found.get("metrics") or []
    ]
