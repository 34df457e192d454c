"""Coverage: how much of the month's spend is explained, and whether that is enough to close.

Owns: the 95% rule, compared exactly as integers, and its three parts. Does not own: what an unpriced call could have cost (prices/exposure), what is approved (policy).
Invariants: an unpriced call counts in the denominator at the middle of its exposure and is never mapped; a month of which nothing is priced is never covered.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

NEEDED_PERCENT: Final = 95


@dataclass(frozen=True)
class CoverageLine:
    """Calls alike. contracted_pico None: unpriced, then the exposure_* amounts say what they could have cost."""

    calls: int
    contracted_pico: int | None
    has_workflow: bool
    has_owner: bool
    approved: bool
    exposure_low_pico: int = 0
    exposure_mid_pico: int = 0
    exposure_high_pico: int = 0


@dataclass(frozen=True)
class Coverage:
    """Pico-USD over cost-bearing production calls; the three parts are each over the same denominator."""

    mapped_pico: int
    denominator_pico: int
    workflow_pico: int
    owner_pico: int
    approved_pico: int
    mapped_calls: int
    calls: int
    unpriced_calls: int
    exposure_low_pico: int
    exposure_mid_pico: int
    exposure_high_pico: int

    @property
    def sufficient(self) -> bool:
        """mapped / denominator >= 95%, without division."""
        if self.denominator_pico == 0 and self.unpriced_calls:
            return False
        return self.mapped_pico * 100 >= self.denominator_pico * NEEDED_PERCENT


def coverage_of(lines: Iterable[CoverageLine]) -> Coverage:
    """Sum the lines."""
    every = list(lines)
    priced = [(line, line.contracted_pico) for line in every if line.contracted_pico is not None]
    unpriced = [line for line in every if line.contracted_pico is None]
    mapped = [(line, pico) for line, pico in priced if line.has_workflow and line.has_owner and line.approved]
    return Coverage(
        mapped_pico=sum(pico for _, pico in mapped),
        denominator_pico=sum(pico for _, pico in priced) + sum(line.exposure_mid_pico for line in unpriced),
        workflow_pico=sum(pico for line, pico in priced if line.has_workflow),
        owner_pico=sum(pico for line, pico in priced if line.has_owner),
        approved_pico=sum(pico for line, pico in priced if line.approved),
        mapped_calls=sum(line.calls for line, _ in mapped),
        calls=sum(line.calls for line in every),
        unpriced_calls=sum(line.calls for line in unpriced),
        exposure_low_pico=sum(line.exposure_low_pico for line in unpriced),
        exposure_mid_pico=sum(line.exposure_mid_pico for line in unpriced),
        exposure_high_pico=sum(line.exposure_high_pico for line in unpriced),
    )
