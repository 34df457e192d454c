"""What the routes of money answer, field by field: shared costs, lines of a month, movement, bills and their reconciliation.

Owns: names, types and presence of the fields, for the OpenAPI document and the clients generated from it. Does not own: what is in them (actions).
Invariants: money is a decimal string; null says that there is none; what not every answer holds is NotRequired.
Annotations are no text in this module (no __future__ import): TypedDict does not see NotRequired in text.
"""

from datetime import datetime
from typing import Any, NotRequired, TypedDict

from governor.actions.import_bill import BillDocument, BillFile, RejectedRow


class AllocationFlow(TypedDict):
    """percent: of `origin`, what the rule took from that source."""

    rule: str
    method: str
    source: str
    target: str
    origin: str
    percent: str
    amount: str
    lines: int


class AllocationLeft(TypedDict):
    """What a rule could not share out. blocks: it stands in the way of a close."""

    rule: str
    source: str
    amount: str
    reason: str
    blocks: bool


class AllocatedCostCenter(TypedDict):
    """Columns add up across (to `charge`) and down."""

    cost_center: str
    direct: str
    given: str
    received: str
    rate_plans: str
    shadow: str
    charge: str


class StatementCharge(TypedDict):
    total: str
    snapshot: int
    closed_at: datetime


class AllocationOfMonth(TypedDict):
    """rules, rate_plans: documents in force, or as tried (`trial`). closed: what a closed month's statement charged. total: moved by rules; cost: the whole month."""

    period: str
    state: str
    trial: bool
    closed: StatementCharge | None
    rules: list[dict[str, Any]]
    rate_plans: list[dict[str, Any]]
    total: str
    flows: list[AllocationFlow]
    left: list[AllocationLeft]
    cost_centers: list[AllocatedCostCenter]
    cost: str


class LineOfMonth(TypedDict):
    """A line, or a part of it. *_pico: pico-USD. corrects, rule, origin and the rest of the texts are empty where they do not apply."""

    line_id: str
    charge_month: str
    cost_center: str
    workflow_id: str | None
    owner: str | None
    provider: str
    model: str
    service_tier: str
    traffic_class: str
    route_status: str
    meter: str
    list_amount: str | None
    list_per: int | None
    contract_amount: str | None
    contract_per: int | None
    price_source: str
    quantity: int
    calls: int
    list_pico: int
    contracted_pico: int
    corrects: str
    rule: str
    origin: str
    style: str
    origin_center: str
    method: str
    ratio: str
    arithmetic: str
    commitment: str
    covered_pico: int
    effective_pico: int
    terms: str
    contracted_cost: str
    list_cost: str


class MovementTerms(TypedDict):
    """Causes; they sum to the difference exactly."""

    volume: str
    mix: str
    cache: str
    price: str
    retries: str
    new: str
    gone: str


class WorkflowMovement(TypedDict):
    """workflow: null for calls without."""

    workflow: str | None
    before: str
    after: str
    delta: str
    terms: MovementTerms


class UnpricedCalls(TypedDict):
    before: int
    after: int


class SpendMovement(TypedDict):
    """days: the span compared where the month runs, else null."""

    period: str
    against: str
    days: int | None
    before: str
    after: str
    delta: str
    terms: MovementTerms
    rows: list[WorkflowMovement]
    unpriced_calls: UnpricedCalls


class ImportedBill(BillDocument):
    """known: the same bytes were imported before."""

    known: bool


class ImportedBills(TypedDict):
    bills: list[ImportedBill]


class BillLineDocument(TypedDict):
    """day: UTC day of use; invoice_month: set where the bill places use in another month. row: first row of the file it came from, rows: how many."""

    day: str
    issuer: str
    account: str
    model: str
    meter: str
    tier: str | None
    kind: str
    currency: str
    amount: str | None
    quantity: str | None
    list_amount: str | None
    usd_rate: str | None
    invoice_month: str
    row: int
    rows: int
    text: str


class BillWithLines(BillDocument):
    items: list[BillLineDocument]


class ErrorOfMonth(TypedDict):
    """percent: of what the bills charge for use; null where they charge nothing."""

    amount: str
    percent: str | None


class IssuerComparison(TypedDict):
    issuer: str
    ours: str
    invoice: str
    difference: str
    billed_usage: str
    net: ErrorOfMonth
    gross: ErrorOfMonth
    bridge: NotRequired[dict[str, str]]


class ComparedLine(TypedDict):
    """A day, account, model and meter on both sides; a quantity beyond 2^53 is text. causes: amounts of the difference by cause."""

    day: str
    issuer: str
    account: str
    model: str
    meter: str
    tier: str
    status: str
    calls: int
    our_quantity: int | str
    billed_quantity: int | str | None
    ours: str
    billed: str
    difference: str
    causes: dict[str, str]


class PendingDay(TypedDict):
    issuer: str
    day: str
    settles_at: str


class IssuerWithoutBill(TypedDict):
    issuer: str
    ours: str


class QuarantinedRow(RejectedRow):
    """A row of a bill that was not understood: the month is not called reconciled without it."""

    bill: str


class UnpricedModel(TypedDict):
    model: str
    calls: int


class UsedBill(TypedDict):
    """used, superseded: how many of its lines were compared, and how many a newer bill replaced."""

    id: str
    source: str
    files: list[BillFile]
    digest: str
    lines: int
    used: int
    superseded: int
    issuers: list[str]
    totals: dict[str, str]


class ReconciliationResult(TypedDict):
    """bridge: cause -> amount, from ours to the invoice. lines: worst first. pending_days: too young to be settled by the issuer."""

    id: str
    digest: str
    reconciled_at: str
    reconciled_by: str
    period: str
    status: str
    currency: str
    ours: str
    invoice: str
    difference: str
    net: ErrorOfMonth
    gross: ErrorOfMonth
    unexplained_percent: str | None
    bridge: dict[str, str]
    issuers: list[IssuerComparison]
    lines: list[ComparedLine]
    pending_days: list[PendingDay]
    without_bill: list[IssuerWithoutBill]
    notes: list[str]
    quarantined: list[QuarantinedRow]
    unpriced: list[UnpricedModel]
    fx: dict[str, str]
    bills: list[UsedBill]
    snapshot: int | None
    price_book: str
