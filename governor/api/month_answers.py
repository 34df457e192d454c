"""What the routes of a month answer, field by field: status, close, checklist, soft close, reopening, control totals.

Owns: names, types and presence of the fields, for the OpenAPI document and the clients generated from it. Does not own: what is in them (actions).
Invariants: money is a decimal string; null says that there is none; what not every answer holds is NotRequired, such as what an earlier version closed without.
Annotations are no text in this module (no __future__ import): TypedDict does not see NotRequired in text.
"""

from typing import Any, NotRequired, TypedDict

from governor.actions.dispute_line import DisputeDocument
from governor.actions.reopen_period import FileRow, VersionRow
from governor.api.v1_usage import CoverageDocument


class PeriodStep(TypedDict):
    """What a person did to the month on its way to a close. step: soft_close, sign, withdraw, ask_reopen; the rest is of that step."""

    step: str
    by: str
    at: str
    version: int
    reason: NotRequired[str]
    manifest_sha256: NotRequired[str]
    total: NotRequired[str]
    captured: NotRequired[str]
    expected: NotRequired[str]
    accrued: NotRequired[str]
    currency: NotRequired[str]
    posting_date: NotRequired[str]
    reversal_date: NotRequired[str]
    digest: NotRequired[str]
    journal_sha256: NotRequired[str]


class StageOfMonth(TypedDict):
    """state: done, now, ahead or skipped. text: what it is, in words. at, by: who took the month there, and when."""

    name: str
    words: str
    state: str
    text: str
    at: str | None
    by: str


class PeriodTotals(TypedDict):
    """Of an open month what it comes to now (`corrections`); of a closed one the sums of its statement, in cents of `currency`."""

    list_cost: str
    contracted_cost: str
    currency: str
    corrections: NotRequired[str]
    statement_total: NotRequired[str]
    usage_total: NotRequired[str]
    corrections_total: NotRequired[str]
    shadow_total: NotRequired[str]
    commitment_total: NotRequired[str]
    shared_total: NotRequired[str]
    unallocated_total: NotRequired[str]
    local_total: NotRequired[str]
    calls: NotRequired[int]
    lines: NotRequired[int]
    cost_centers: NotRequired[int]


class CoverageGap(TypedDict):
    """needs: usage, price, workflow, owner, route, in the order in which they are mended; do: how. meter: the one unit that
    lacks a price. percent_then: coverage once this and all before it is mended.
    """

    needs: list[str]
    text: str
    workflow: str | None
    field: str | None
    provider: str | None
    model: str | None
    service_tier: str | None
    meter: str | None
    calls: int
    amount: str
    percent: str
    percent_then: str
    do: str


class CoverageExceptionDocument(TypedDict):
    id: str
    month: str
    reason: str
    compensating_control: str
    signed_by: str
    created_at: str
    expires_at: str


class CorrectionCount(TypedDict):
    """Lines that correct an earlier month."""

    charge_month: str
    lines: int
    contracted_cost: NotRequired[str]


class PlannedCostCenter(TypedDict):
    cost_center: str
    total: str
    previous_total: str | None
    workflows: int
    files: list[str]


class PlannedFiles(TypedDict):
    """What closing now would write. month: files of the whole month."""

    total: str
    commitments: list[dict[str, Any]]
    cost_centers: list[PlannedCostCenter]
    month: list[str]


class ClosedFile(FileRow):
    total: str | None


class LedgerReference(TypedDict):
    id: str
    idx: int
    leaf_hash: str


class ClosedPeriod(TypedDict):
    """state: closed, or awaiting_second_person where two people close: `signed` is the first one's signature then, and ledger_entry null."""

    period: str
    state: str
    snapshot: int
    totals: PeriodTotals
    coverage: CoverageDocument
    exception: CoverageExceptionDocument | None
    corrections: list[CorrectionCount]
    warnings: list[str]
    files: list[ClosedFile]
    ledger_entry: LedgerReference | None
    signed: NotRequired[PeriodStep | None]
    version: NotRequired[int]


class PeriodPreview(ClosedPeriod):
    """state: open, closing or closed. Of an open month what closing would do now (`would_write`, `can_close`, `reasons`, `gaps`), of a closed one what it did."""

    gaps: NotRequired[list[CoverageGap]]
    would_write: NotRequired[PlannedFiles]
    can_close: NotRequired[bool]
    reasons: NotRequired[list[str]]


class PeriodStatus(PeriodPreview):
    """stage, way: where the month stands on its way to a close. ahead: it has not begun."""

    stage: str
    ahead: bool
    way: list[StageOfMonth]


class ChecklistItem(TypedDict):
    """state: done, blocks, look or open. who: may act. link: the page that shows it."""

    name: str
    state: str
    text: str
    who: str
    link: str


class MonthEndPolicy(TypedDict):
    """`month_end` of the organization document."""

    two_people: bool
    reconciled: bool
    corrections: str
    shadow_charged_to: str
    people: dict[str, str]
    currency: str
    platform_cost_center: str


class CloseChecklist(TypedDict):
    """blocks: names of the items that stand in the way of a close."""

    period: str
    stage: str
    way: list[StageOfMonth]
    version: int
    items: list[ChecklistItem]
    blocks: list[str]
    steps: list[PeriodStep]
    asked_to_reopen: PeriodStep | None
    versions: list[VersionRow]
    disputes: list[DisputeDocument]
    policy: MonthEndPolicy


class AccruedCostCenter(TypedDict):
    cost_center: str
    captured: str
    expected: str
    accrued: str


class Accrual(TypedDict):
    """captured + expected = accrued. document: what its journals are printed from (schema governor.accrual/v1); digest: of it."""

    step: str
    by: str
    at: str
    version: int
    captured: str
    expected: str
    accrued: str
    currency: str
    cost_centers: list[AccruedCostCenter]
    posting_date: str
    reversal_date: str
    digest: str
    journal_sha256: str
    document: dict[str, Any]


class SoftClose(Accrual):
    period: str
    stage: str


class WithdrawnClose(TypedDict):
    period: str
    state: str
    withdrawn: PeriodStep


class Reopening(TypedDict):
    """state closed: `asked` waits for a second person; open: they agreed, and the rest says who and why."""

    period: str
    state: str
    version: int
    asked: NotRequired[PeriodStep]
    reason: NotRequired[str]
    asked_by: NotRequired[str]
    agreed_by: NotRequired[str]


class ControlTotals(TypedDict):
    """Read back from what was printed. debit, credit, entries: of a journal; amount, unpriced_calls: of usage events; *_cost: of FOCUS."""

    schema: str
    period: str
    file: str
    sha256: str
    format: str
    currency: str
    statement_total: str
    records: int
    debit: NotRequired[str]
    credit: NotRequired[str]
    entries: NotRequired[int]
    amount: NotRequired[str]
    unpriced_calls: NotRequired[int]
    billed_cost: NotRequired[str]
    effective_cost: NotRequired[str]
    list_cost: NotRequired[str]
    cost_centers_not_in_the_month: NotRequired[list[str]]
    fx: NotRequired[dict[str, Any]]
