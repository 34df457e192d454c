"""Coverage: how much of the month's spend is explained, and whether that is enough to close.

Owns: the 95% rule, compared exactly as integers, and its three parts. Does not own: what an unpriced call could have cost (prices/exposure), what is approved (policy).
Invariants: an unpriced call counts in the denominator at the middle of its exposure and is never mapped; a month of which nothing is priced is never covered;
a month without spend has nothing to cover, which is said and closes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from governor.prices.exposure import Exposure

NEEDED_PERCENT: Final = 95


@dataclass(frozen=True)
class CoverageLine:
    """Calls alike. `exposure` is set where they are unpriced: what they could have cost."""

    calls: int
    contracted_pico: int
    exposure: Exposure | None
    has_workflow: bool
    has_owner: bool
    approved: bool
    unpriced_calls: int = 0


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
    def nothing(self) -> bool:
        """There is no spend to cover: no calls, or only calls that cost nothing."""
        return self.denominator_pico == 0 and not self.unpriced_calls

    @property
    def sufficient(self) -> bool:
        """The 95% rule: mapped / denominator >= 95%, without division."""
        if self.denominator_pico == 0 and self.unpriced_calls:
            return False
        return self.mapped_pico * 100 >= self.denominator_pico * NEEDED_PERCENT


def coverage_of(lines: Iterable[CoverageLine]) -> Coverage:
    """Sum the lines."""
    every = list(lines)
    priced = [line for line in every if line.exposure is None]
    exposures = [line.exposure for line in every if line.exposure is not None]
    mapped = [line for line in priced if line.has_workflow and line.has_owner and line.approved]
    middle = sum(exposure.middle_pico for exposure in exposures)
    return Coverage(
        mapped_pico=sum(line.contracted_pico for line in mapped),
        denominator_pico=sum(line.contracted_pico for line in priced) + middle,
        workflow_pico=sum(line.contracted_pico for line in priced if line.has_workflow),
        owner_pico=sum(line.contracted_pico for line in priced if line.has_owner),
        approved_pico=sum(line.contracted_pico for line in priced if line.approved),
        mapped_calls=sum(line.calls for line in mapped),
        calls=sum(line.calls for line in every),
        unpriced_calls=sum(line.unpriced_calls for line in every),
        exposure_low_pico=sum(exposure.low_pico for exposure in exposures),
        exposure_mid_pico=middle,
        exposure_high_pico=sum(exposure.high_pico for exposure in exposures),
    )
