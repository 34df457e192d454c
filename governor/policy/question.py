"""What policy is asked: one frozen dataclass per entrypoint, and the only shape its `input` may have.

Owns: field names and their meaning. Invariants: a question holds nothing of high cardinality (no ids of calls, no text), so that equal
uses of a model are one question; `at` is the start of the validity epoch (catalog_data.epochs), not the instant of a call; None means nobody said.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar


@dataclass(frozen=True)
class Target:
    """Where content would go. retention_days: how long the provider keeps it, where agreed."""

    provider: str | None
    model: str | None
    region: str | None = None
    retention_days: int | None = None


@dataclass(frozen=True)
class CallQuestion:
    """May this workflow make calls like this one? model: the response model where known, else the routed, else the requested one."""

    path: ClassVar[str] = "governor/call/decision"

    workflow_id: str | None
    attribution_status: str
    provider: str | None
    model: str | None
    requested_model: str | None
    region: str | None
    environment: str | None
    data_class: str | None
    is_fallback: bool | None
    fallback_from: str | None
    traffic_class: str | None
    at: str

    def document(self) -> dict[str, Any]:
        return dict(self.__dict__)


@dataclass(frozen=True)
class WindowQuestion:
    """Did the workflow keep its targets over a day (`2026-10-05`) or a month (`2026-10`)? Money in micro-USD, rounded up by the asker."""

    path: ClassVar[str] = "governor/window/decision"

    workflow_id: str | None
    window: str
    calls: int
    errors: int
    p95_ms: int | None
    spend_micro_usd: int | None
    calls_over_ceiling: int | None
    max_call_micro_usd: int | None
    at: str
    unpriced_calls: int = 0

    def document(self) -> dict[str, Any]:
        return dict(self.__dict__)


@dataclass(frozen=True)
class ReplayQuestion:
    """May the content of traces like this one be sent to the candidate? content_state as in the canonical call."""

    path: ClassVar[str] = "governor/replay/decision"

    workflow_id: str | None
    data_class: str | None
    content_state: str | None
    candidate: Target
    endpoint: str | None
    at: str

    def document(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class EvidenceFacts:
    """verdict: pass | fail | inconclusive, None before a shadow run is done."""

    verdict: str | None = None
    pairs: int | None = None
    status: str | None = None


@dataclass(frozen=True)
class CostFacts:
    """Projection of the change, micro-USD a month; None where it could not be computed."""

    monthly_delta_micro_usd: int | None = None
    projected_monthly_micro_usd: int | None = None


@dataclass(frozen=True)
class ChangeQuestion:
    """Who must approve this change, and what refuses it? stage `propose`: evidence is not asked for yet; `decide`: it is."""

    path: ClassVar[str] = "governor/change/decision"

    workflow_id: str
    baseline: Target
    candidate: Target
    at: str
    requester: str = ""
    stage: str = "decide"
    change: str = ""
    evidence: EvidenceFacts = field(default_factory=EvidenceFacts)
    cost: CostFacts = field(default_factory=CostFacts)
    plan_expires_at: str | None = None

    def document(self) -> dict[str, Any]:
        return asdict(self)


Question = CallQuestion | WindowQuestion | ReplayQuestion | ChangeQuestion
