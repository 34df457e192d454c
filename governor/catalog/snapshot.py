"""The catalog at one point of two clocks: what was in force at an instant, as known at an instant.

Owns: look-ups, what makes documents wrong together, the digest of the whole. Does not own: reading versions (actions/load_catalog.py).
Invariants: every workflow's owner is a known person; every rule leads to a known workflow; waivers carry who applied them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType

from governor.catalog.allocation import AllocationDocument, DriverDocument, RatePlanDocument, check_allocations, check_rate_plans
from governor.catalog.budget import BudgetDocument, NotificationDocument
from governor.catalog.commitment import CommitmentDocument, FxRateDocument
from governor.catalog.documents import ContractPriceDocument, EndpointDocument, SourceDocument, WaiverDocument
from governor.catalog.fields import RETENTION_DEFAULTS, Archive, Capture
from governor.catalog.moments import begins, ends
from governor.catalog.organization import OrganizationDocument, PersonDocument
from governor.catalog.workflow import AttributionDocument, Fallback, Route, WorkflowDocument
from governor.errors import Invalid, NotFound


@dataclass(frozen=True)
class Waiver:
    """A waiver document and the person who put it in force (opaque id)."""

    document: WaiverDocument
    approver: str

    @property
    def id(self) -> str:
        return self.document.key

    @property
    def starts_at(self) -> datetime | None:
        return begins(self.document.starts) if self.document.starts else None

    @property
    def expires_at(self) -> datetime:
        return ends(self.document.expires)

    def in_force(self, at: datetime) -> bool:
        return (self.starts_at is None or self.starts_at <= at) and at < self.expires_at


@dataclass(frozen=True)
class AllocationRule:
    """An allocation document, its version (a digest), since when it holds, and who put it in force (opaque id)."""

    document: AllocationDocument
    digest: str
    valid_from: datetime | None
    approver: str

    @property
    def name(self) -> str:
        """The rule and its version, as every allocated line carries it."""
        return f"{self.document.id}@{self.digest[:12]}"


@dataclass(frozen=True)
class Catalog:
    """`workflows` and `attributions` iterate in the order in which their rules are asked, before explicit `order`."""

    organization: OrganizationDocument = field(default_factory=OrganizationDocument)
    people: Mapping[str, PersonDocument] = field(default_factory=lambda: MappingProxyType({}))
    workflows: Mapping[str, WorkflowDocument] = field(default_factory=lambda: MappingProxyType({}))
    endpoints: Mapping[str, EndpointDocument] = field(default_factory=lambda: MappingProxyType({}))
    sources: Mapping[str, SourceDocument] = field(default_factory=lambda: MappingProxyType({}))
    attributions: Mapping[str, AttributionDocument] = field(default_factory=lambda: MappingProxyType({}))
    budgets: Mapping[str, BudgetDocument] = field(default_factory=lambda: MappingProxyType({}))
    notifications: Mapping[str, NotificationDocument] = field(default_factory=lambda: MappingProxyType({}))
    allocations: tuple[AllocationRule, ...] = ()  # in the order in which they are asked
    drivers: Mapping[str, DriverDocument] = field(default_factory=lambda: MappingProxyType({}))  # id/YYYY-MM -> weights
    rate_plans: Mapping[str, RatePlanDocument] = field(default_factory=lambda: MappingProxyType({}))
    commitments: Mapping[str, CommitmentDocument] = field(default_factory=lambda: MappingProxyType({}))
    fx_rates: Mapping[str, FxRateDocument] = field(default_factory=lambda: MappingProxyType({}))  # EUR/YYYY-MM -> rate
    waivers: tuple[Waiver, ...] = ()
    contract_prices: tuple[ContractPriceDocument, ...] = ()
    sequence: Mapping[tuple[str, str], int] = field(default_factory=lambda: MappingProxyType({}))
    digest: str = ""
    valid_at: datetime | None = None
    known_at: datetime | None = None

    def workflow(self, name: str) -> WorkflowDocument:
        """Raises NotFound with the names that exist."""
        if name not in self.workflows:
            some = ", ".join(sorted(self.workflows)[:10]) or "none yet"
            raise NotFound(f"no workflow {name!r} in the catalog", hint=f"workflows: {some}")
        return self.workflows[name]

    def endpoint(self, name: str) -> EndpointDocument:
        if name not in self.endpoints:
            some = ", ".join(sorted(self.endpoints)) or "none yet"
            raise NotFound(f"no endpoint {name!r} in the catalog", hint=f"endpoints: {some}")
        return self.endpoints[name]

    def capture(self, workflow_id: str | None) -> Capture:
        """How content of this workflow's calls is kept; calls of no known workflow are treated as confidential."""
        if workflow_id is None or workflow_id not in self.workflows:
            return self.organization.content_capture.get("confidential", "hashed")
        return self.workflows[workflow_id].capture(self.organization)

    def archive(self, source: str | None) -> Archive:
        """Whether records of this source are kept as they were received: its own word, then the organization's."""
        found = self.sources.get(source or "")
        return (found.archive if found else None) or self.organization.archive

    def retention_days(self, workflow_id: str | None) -> int:
        """Days that content of this workflow's calls is kept; calls of no known workflow are treated as confidential."""
        if workflow_id is None or workflow_id not in self.workflows:
            return self.organization.content_retention_days.get("confidential", RETENTION_DEFAULTS["confidential"])
        return self.workflows[workflow_id].retention_days(self.organization)

    def approval_instants(self, start: datetime, end: datetime) -> list[datetime]:
        """Instants in (start, end) at which an approval, a waiver or a commitment begins or ends: answers may differ on either side."""
        moments: set[datetime] = set()
        for workflow in self.workflows.values():
            entries: list[Route | Fallback] = [*workflow.routes, *workflow.fallback]
            for entry in entries:
                moments.update(begins(text) for text in [entry.approved_from] if text)
                moments.update(ends(text) for text in [entry.approved_until] if text)
        for waiver in self.waivers:
            moments.update(moment for moment in (waiver.starts_at, waiver.expires_at) if moment is not None)
        for commitment in self.commitments.values():
            moments.update(commitment.held(self.organization.billing_zone))
        return sorted(moment for moment in moments if start < moment < end)


def check_together(
    workflows: Iterable[WorkflowDocument],
    attributions: Iterable[AttributionDocument],
    waivers: Iterable[WaiverDocument],
    people: Mapping[str, Sequence[str]],
    budgets: Iterable[BudgetDocument] = (),
    allocations: Iterable[AllocationDocument] = (),
    rate_plans: Iterable[RatePlanDocument] = (),
) -> None:
    """Raise Invalid where documents contradict each other. people: e-mail -> roles of everyone who is not disabled."""
    known = set()
    for workflow in workflows:
        known.add(workflow.id)
        if workflow.owner not in people:
            raise Invalid(
                f"workflow {workflow.id}: owner {workflow.owner} is not a known person",
                hint=f"add `kind: person` with email {workflow.owner} and roles [owner], in the same file or before",
            )
    for attribution in attributions:
        for number, rule in enumerate(attribution.rules, start=1):
            if rule.workflow not in known:
                raise Invalid(f"attribution {attribution.id} rule {number}: no workflow {rule.workflow!r}")
    for waiver in waivers:
        if waiver.scope.workflow is not None and waiver.scope.workflow not in known:
            raise Invalid(f"waiver {waiver.key}: no workflow {waiver.scope.workflow!r}")
    check_budgets(budgets, known, people)
    shared = list(allocations)
    for allocation in shared:
        if allocation.source is not None and allocation.source.workflow and allocation.source.workflow not in known:
            raise Invalid(f"allocation {allocation.id}: no workflow {allocation.source.workflow!r}")
    check_allocations(shared)
    check_rate_plans(rate_plans)


def check_budgets(budgets: Iterable[BudgetDocument], workflows: Collection[str], people: Collection[str]) -> None:
    for budget in budgets:
        if budget.scope.workflow and budget.scope.workflow not in workflows:
            raise Invalid(f"budget {budget.id}: no workflow {budget.scope.workflow!r}")
        if budget.scope.owner and budget.scope.owner not in people:
            raise Invalid(f"budget {budget.id}: owner {budget.scope.owner} is not a known person")
