"""The files of a closed month: computed from a pinned snapshot, printed by the renderers, named by digest.

Owns: the statement's header, the set of files, their names and the manifest. Does not own: the document's shape (chargeback/statement), how files look (reports),
the transaction that closes (close_period). Invariants: a function of the pin alone: the same pin gives the same bytes, whoever runs it again; every file's total is
read back from the same document, so they agree to the cent.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from importlib.metadata import version
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlmodel import Session

from governor.actions.accruals import accrued
from governor.actions.charge_month import Charged, charge_month
from governor.actions.context import Context
from governor.actions.correct import closed_months, pending_corrections, statement_lines
from governor.actions.except_coverage import exception_in_force
from governor.actions.export_packet import renderer
from governor.actions.govern import GovernedMonth
from governor.actions.newest_comparison import comparison_that_counts
from governor.catalog.commitment import FxRateDocument
from governor.chargeback.currency import stated_in
from governor.chargeback.lines import Line, free_calls, unpriced_uses
from governor.chargeback.period import previous_month
from governor.chargeback.reconciliation.bridge import printed
from governor.chargeback.statement import StatementInput, for_cost_center, previous_of, statement_document
from governor.ledger.canonical import canonical_json

DISPUTE_DAYS: Final = 30


@dataclass(frozen=True)
class Pin:
    """What a close was computed from: enough to compute it again."""

    month: str
    snapshot: int
    known_at: datetime
    prepared_by: str
    version: int = 1


@dataclass(frozen=True)
class File:
    """total: what its amounts sum to, in USD cents text; empty for the manifest."""

    name: str
    media_type: str
    body: bytes
    total: str = ""

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.body).hexdigest()

    def describe(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "sha256": self.sha256,
            "bytes": len(self.body),
            "total": self.total or None,
            "media_type": self.media_type,
        }


@dataclass(frozen=True)
class Computed:
    """A month ready to be printed."""

    charged: Charged
    corrections: list[Line]
    document: dict[str, Any]

    @property
    def lines(self) -> list[Line]:
        return [*self.charged.lines, *self.corrections]


def compute(ctx: Context, pin: Pin, governed: GovernedMonth | None = None, *, accruing: bool = False) -> Computed:
    """Everything the month's statement says. governed: the month at the pin, where it is known already; accruing: each correction in one month only."""
    charged = charge_month(ctx, pin.month, snapshot=pin.snapshot, known_at=pin.known_at, governed=governed)
    corrections = pending_corrections(ctx, pin.month, snapshot=pin.snapshot, known_at=pin.known_at, accruing=accruing)
    governed = charged.governed
    before = previous_month(pin.month)
    with ctx.rows.session() as session:
        exception = exception_in_force(session, ctx.org, pin.month, pin.known_at)
        compared = _compared(session, ctx.org, pin)
        booked = accrued(session, ctx.org, pin.month, pin.known_at)
        previous = previous_of(before, statement_lines(session, ctx.org, before)) if before in closed_months(session, ctx.org) else None
    workflows = governed.timeline.at(governed.end).workflows
    production = [group for group in governed.groups if group.traffic_class == "production"]
    document = statement_document(
        StatementInput(
            header=_header(ctx, pin, charged, booked),
            lines=charged.lines,
            corrections=corrections,
            unpriced=unpriced_uses(production),
            free_calls=free_calls(production),
            coverage=governed.coverage,
            exception=None if governed.coverage.sufficient else exception,
            previous=previous,
            allocation=charged.allocation,
            commitments=charged.commitments,
            reconciliation=compared,
            budgets={name: str(workflow.monthly_budget) for name, workflow in workflows.items() if workflow.monthly_budget},
        )
    )
    return Computed(charged, corrections, stated_in(document, rate_of_month(charged)))


def _compared(session: Session, org: str, pin: Pin) -> dict[str, Any] | None:
    """The comparison with bills that counted then, as a statement prints it."""
    row = comparison_that_counts(session, org, pin.month, by=pin.known_at)
    if row is None:
        return None
    return printed(json.loads(row.body)) | {"digest": row.digest, "reconciled_at": _seconds(row.created_at)}


def rate_of_month(charged: Charged) -> FxRateDocument | None:
    """The rate the month is stated at; None in US dollars, and where it is missing (which a close refuses)."""
    catalog = charged.governed.timeline.at(charged.governed.end)
    return catalog.fx_rates.get(f"{catalog.organization.month_end.currency}/{charged.month}")


def missing_rate(computed: Computed) -> list[str]:
    """Why the month cannot be stated in the organization's currency; nothing in US dollars or with a rate."""
    governed = computed.charged.governed
    currency = governed.timeline.at(governed.end).organization.month_end.currency
    if currency == "USD" or "fx" in computed.document:
        return []
    return [f"statements are in {currency} and no kind: fx_rate says what a dollar was in {computed.charged.month}"]


def _header(ctx: Context, pin: Pin, charged: Charged, booked: dict[str, str] | None) -> dict[str, Any]:
    governed = charged.governed
    organization = governed.timeline.at(governed.end).organization
    early = pin.known_at < governed.end
    late = f"{pin.month} was closed before it was over. Calls after {pin.known_at:%Y-%m-%d %H:%M} UTC will appear as corrections in the next open month."
    last_day = (governed.end - timedelta(microseconds=1)).astimezone(ZoneInfo(organization.billing_zone)).date()
    return {
        "organization": {"id": ctx.org, "name": organization.name or ctx.org},
        "month": pin.month,
        "zone": organization.billing_zone,
        "start": _seconds(governed.start),
        "end": _seconds(governed.end),
        "statement_number": f"{ctx.org}-{pin.month}" + (f"-v{pin.version}" if pin.version > 1 else ""),
        "version": pin.version,
        "state": "closed",
        "closed_early": early,
        "prepared_at": _seconds(pin.known_at),
        "prepared_by": pin.prepared_by,
        # an accrued month is in the books already: what it comes to is posted on the day that takes the accrual back
        "posting_date": booked["reversal_date"] if booked else last_day.isoformat(),
        "dispute": {"until": (pin.known_at + timedelta(days=DISPUTE_DAYS)).date().isoformat(), "to": pin.prepared_by},
        "warnings": [late] if early else [],
        "provenance": {
            "snapshot": pin.snapshot,
            "price_book": governed.price_book,
            "catalog": governed.catalog_digest,
            "policy_revision": governed.policy_revision,
            "version": version("workflow-model-governor"),
        },
        **({"accrual": booked} if booked else {}),
    }


def print_files(document: dict[str, Any]) -> list[File]:
    """Statement CSV and PDF per cost center, FOCUS, journal, the document itself, and the manifest that names them all."""
    month = document["month"]
    total = document["totals"]["statement_total"]
    files: list[File] = []
    csv, pdf = renderer("statement_csv"), renderer("statement_pdf")
    for center, name in zip(document["cost_centers"], file_names([center["id"] for center in document["cost_centers"]]), strict=True):
        own = for_cost_center(document, center["id"])
        files.append(File(f"statement-{month}-{name}.csv", "text/csv", csv(own), center["total"]))
        files.append(File(f"statement-{month}-{name}.pdf", "application/pdf", pdf(own), center["total"]))
    files.append(File(f"focus-{month}.csv", "text/csv", renderer("focus")(document), total))
    files.append(File(f"focus-{month}.parquet", "application/vnd.apache.parquet", renderer("focus_parquet")(document), total))
    files.append(File(f"journal-{month}.csv", "text/csv", renderer("journal")(document), total))
    files.append(File(f"statement-{month}.json", "application/json", canonical_json(document), total))
    described = [file.describe() for file in files]
    per_center = sum((Decimal(center["total"]) for center in document["cost_centers"]), Decimal(0))
    if per_center != Decimal(total):
        raise ValueError(f"cost centers sum to {per_center}, the statement to {total}")
    manifest = {"schema": "governor.manifest/v1", "month": month, "total": total, "currency": document["currency"], "files": described}
    if "fx" in document:
        manifest |= {"fx": document["fx"], "local_total": document["totals"]["local_total"]}
    return [*files, File("manifest.json", "application/json", canonical_json(manifest))]


def planned_files(document: dict[str, Any]) -> dict[str, Any]:
    """What print_files will make of the document, without printing: cost centers with their total and files, and the files of the whole month."""
    month, centers = document["month"], document["cost_centers"]
    names = file_names([center["id"] for center in centers])
    return {
        "total": document["totals"]["statement_total"],
        "commitments": document["commitments"],
        "cost_centers": [
            {
                "cost_center": center["id"],
                "total": center["total"],
                "previous_total": center["previous_total"],
                "workflows": len({row["workflow"] for row in center["workflows"]}),
                "files": [f"statement-{month}-{name}.csv", f"statement-{month}-{name}.pdf"],
            }
            for center, name in zip(centers, names, strict=True)
        ],
        "month": [f"focus-{month}.csv", f"focus-{month}.parquet", f"journal-{month}.csv", f"statement-{month}.json", "manifest.json"],
    }


def file_names(cost_centers: Sequence[str]) -> list[str]:
    """A safe part of a file name for each cost center, distinct even where the safe forms collide."""
    safe = [re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip("._") or "cost-center" for name in cost_centers]
    lowered = [name.lower() for name in safe]
    return [
        name if lowered.count(name.lower()) == 1 else f"{name}-{hashlib.sha256(original.encode()).hexdigest()[:8]}"
        for name, original in zip(safe, cost_centers, strict=True)
    ]


def _seconds(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
