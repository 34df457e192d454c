"""The governed month: sums from the lake; each distinct way of using a model attributed, priced and judged once; joined back.

Owns: the order (group, attribute, price, judge, coverage) and the Group that usage, findings and close are made of.
Does not own: the rules of attribution, prices and policy (nouns), the grouping itself (store/lake).
Invariants: only cost-bearing calls; unattributed, unpriced and undecided are states with a reason; sums are exact pico-USD integers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from governor.actions.context import Context
from governor.actions.judge import judge
from governor.actions.load_catalog import Timeline, load_timeline
from governor.actions.load_prices import load_book
from governor.attribution import Attribution, Suggestion, attribute, rule_fields, suggestions
from governor.chargeback.coverage import Coverage, CoverageLine, coverage_of
from governor.chargeback.period import month_bounds
from governor.policy.decision import Decision
from governor.policy.question import CallQuestion
from governor.prices.book import PriceBook
from governor.prices.rate import Rated, Usage, rate_group


@dataclass(frozen=True, slots=True)
class Group:
    """Calls of one month that are alike in everything a rule can ask. Money in pico-USD; token sums null where no call knew its usage."""

    workflow_id: str | None
    owner: str | None
    cost_center: str | None
    rule_id: str | None
    attribution_reason: str
    day: str | None
    epoch_start: datetime
    source_kind: str | None
    provider: str | None
    model: str | None
    requested_model: str | None
    region: str | None
    service_tier: str | None
    environment: str | None
    data_class: str | None
    is_fallback: bool
    fallback_from: str | None
    traffic_class: str
    status: str
    gateway_cache: str | None
    calls: int
    usage_unknown_calls: int
    input_tokens: int | None
    cache_read_tokens: int | None
    cache_write_tokens: int | None
    output_tokens: int | None
    reasoning_tokens: int | None
    rated: Rated
    decision: Decision
    examples: tuple[str, ...] = ()
    keys: dict[str, str | None] = field(default_factory=dict, compare=False)

    @property
    def list_pico(self) -> int:
        return self.rated.list_pico or 0

    @property
    def contracted_pico(self) -> int:
        return self.rated.contracted_pico or 0

    @property
    def price_status(self) -> str:
        return self.rated.status

    @property
    def unpriced_calls(self) -> int:
        return self.calls if self.rated.status == "unpriced" else 0

    @property
    def route_status(self) -> str:
        """approved | waived | unapproved | undecided, as the route rules of policy said."""
        return self.decision.route_status
