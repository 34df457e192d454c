"""What the evidence speaks for: shares of requests, tokens and spend, and what was left out and why.

Owns: counting and the document. Does not own: the reasons (actions/eligible.py). Invariants: eligible and left out add up to the whole window;
a share of nothing is null, not one; what the run itself left out is estimated with the sample's weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, Final

from governor.shadow.comparison import EXCLUDED, Pair
from governor.shadow.sampling import Draw

MEASURES: Final = ("calls", "tokens", "cost_pico")
PLACES: Final = Decimal("0.0001")


@dataclass
class Scope:
    """reason -> [calls, tokens, pico-USD]; the empty reason is what may be drawn."""

    counted: dict[str, list[int]] = field(default_factory=dict)

    def count(self, reason: str, tokens: int, cost_pico: int) -> None:
        line = self.counted.setdefault(reason, [0, 0, 0])
        line[0] += 1
        line[1] += tokens
        line[2] += cost_pico

    def document(self) -> dict[str, dict[str, str]]:
        """Reason -> measures, as text; what may be drawn stands under `eligible`."""
        return {reason or "eligible": dict(zip(MEASURES, map(str, line), strict=True)) for reason, line in sorted(self.counted.items())}


def planned_shares(coverage: Mapping[str, Mapping[str, str]]) -> dict[str, Any] | None:
    """{"calls","tokens","spend": share eligible, "left_out": [{reason, calls, and its shares}]}; None for a plan that did not count."""
    if not coverage:
        return None
    totals = {name: sum(int(line[name]) for line in coverage.values()) for name in MEASURES}

    def shares(line: Mapping[str, str]) -> dict[str, str | None]:
        return {"spend" if name == "cost_pico" else name: share(Decimal(line.get(name, "0")), Decimal(totals[name])) for name in MEASURES}

    left = sorted(
        ((reason, line) for reason, line in coverage.items() if reason != "eligible"), key=lambda one: (-int(one[1]["calls"]), one[0])
    )
    return {
        **shares(coverage.get("eligible", {})),
        "left_out": [{"reason": reason, "n": int(line["calls"]), **shares(line)} for reason, line in left],
    }


def spoken_for(coverage: Mapping[str, Mapping[str, str]], sample: Sequence[Draw], prefix: Sequence[Pair]) -> dict[str, Any] | None:
    """The planned shares after what the run left out: weights stand for requests, weights times tokens and cost for those."""
    planned = planned_shares(coverage)
    if planned is None:
        return None
    seen = [
        (pair.state, Decimal(sample[pair.position].weight), sample[pair.position])
        for pair in prefix
        if pair.state == "done" or pair.state in EXCLUDED
    ]

    def weighed(which: frozenset[str]) -> dict[str, Decimal]:
        rows = [(weight, draw) for state, weight, draw in seen if state in which]
        return {
            "calls": sum((weight for weight, _ in rows), Decimal(0)),
            "tokens": sum((weight * draw.tokens for weight, draw in rows), Decimal(0)),
            "spend": sum((weight * draw.cost_pico for weight, draw in rows), Decimal(0)),
        }

    whole = weighed(frozenset({"done", *EXCLUDED}))

    def part(state: str) -> dict[str, str | None]:
        found = weighed(frozenset({state}))
        return {name: times(planned[name], found[name], whole[name]) for name in whole}

    run = [
        {"reason": state, "n": sum(one == state for one, _, _ in seen), **part(state)}
        for state in sorted({one for one, _, _ in seen} - {"done"})
    ]
    return {**part("done"), "left_out": [*planned["left_out"], *run]}


def share(above: Decimal, below: Decimal) -> str | None:
    return format((above / below).quantize(PLACES, ROUND_HALF_EVEN), "f") if below else None


def times(planned: str | None, above: Decimal, below: Decimal) -> str | None:
    return None if planned is None or not below else format((Decimal(planned) * above / below).quantize(PLACES, ROUND_HALF_EVEN), "f")
