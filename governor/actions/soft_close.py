"""`period:soft_close`: on the first days after a month finance books what is captured and what is still expected, before bills and late calls are in.

Owns: the accrual by cost center and its document. Does not own: the numbers (statement_files, forecast_month), reading it back (accruals), its journals in every format
(export_month), closing (close_period). Invariants: captured is what a close at this moment would charge; expected is the forecast of the days that are not known yet,
never less than nothing; the digest on the ledger is that of the one document all journals of the accrual are printed from; a version of a month is accrued once.
"""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final

from governor.actions.accruals import SOFT_CLOSE
from governor.actions.close_period import begun, bounds
from governor.actions.context import Actor, Context
from governor.actions.export_month import printer
from governor.actions.forecast_month import forecast_document
from governor.actions.sign_close import ROLES, described, locked, step, steps, version_of
from governor.actions.statement_files import Computed, Pin, compute, missing_rate, rate_of_month
from governor.chargeback.currency import LINES, stated_in
from governor.errors import PeriodClosed, WrongState
from governor.ledger.canonical import canonical_json, sha256_hex
from governor.ledger.entry import EntryDraft

CENT: Final = Decimal("0.01")
HEADER: Final = (
    "organization",
    "month",
    "statement_number",
    "version",
    "prepared_at",
    "prepared_by",
    "posting_date",
    "currency",
    "provenance",
)


def soft_close(ctx: Context, actor: Actor, month: str) -> dict[str, Any]:
    """Record the accrual. Raises WrongState before the month begins, without a rate of its currency, when it is accrued or a close is under way, PeriodClosed."""
    actor.require(*ROLES)
    start, _ = bounds(ctx, month)
    if ctx.now() < start:
        raise WrongState(f"{month} has not begun")
    computed = compute(ctx, Pin(month, ctx.lake.snapshot_id(), ctx.now(), actor.email))
    for reason in missing_rate(computed):
        raise WrongState(
            f"{month}: {reason}", hint="apply a `kind: fx_rate` of the month first: an accrual is booked in the statement's currency"
        )
    found = accrual(ctx, computed)
    with ctx.transaction(actor) as tx:
        state = (locked(tx.session, ctx.org, month) or begun(tx.session, ctx.org, month)).state  # a rival waits for it
        if state == "closed":
            raise PeriodClosed(f"{month} is closed")
        version = version_of(tx.session, ctx.org, month)
        if any(one.step == SOFT_CLOSE for one in steps(tx.session, ctx.org, month, version)):
            raise WrongState(f"{month} is soft closed already", hint="the difference to what the month comes to is booked by its close")
        if state == "closing":
            raise WrongState(f"a close of {month} is under way", hint=f"finish it, or `governor period withdraw {month}` first")
        made = step(tx.session, ctx, actor, month, version, SOFT_CLOSE, found)
        tx.append(
            EntryDraft(
                type="period:soft_close",
                stream=f"period/{month}",
                payload={"month": month, "version": version}
                | {name: found[name] for name in ("captured", "expected", "digest", "journal_sha256")},
                actor=actor.ledger_ref(),
                idem=f"period:soft_close:{made.id}",
                occurred_at=tx.now,
            )
        )
        return {"period": month, "stage": "soft_closed", **described(made)}


def accrual(ctx: Context, computed: Computed) -> dict[str, Any]:
    """What a soft close would book now: captured, expected and their sum in cents, by cost center; the document of its journals, and both digests."""
    expected = {center["id"]: _expected(ctx, computed.document["month"], center["id"]) for center in computed.document["cost_centers"]}
    document = accrual_document_of(computed, expected)
    rows = [
        {
            "cost_center": center["id"],
            "captured": f"{Decimal(center['total']) - expected[center['id']]:.2f}",
            "expected": f"{expected[center['id']]:.2f}",
            "accrued": center["total"],
        }
        for center in document["cost_centers"]
    ]
    sums = {name: f"{sum((Decimal(row[name]) for row in rows), Decimal(0)):.2f}" for name in ("captured", "expected", "accrued")}
    last = date.fromisoformat(document["posting_date"])
    return {
        **sums,
        "currency": document["currency"],
        "cost_centers": rows,
        "posting_date": last.isoformat(),
        "reversal_date": (last + timedelta(days=1)).isoformat(),
        "digest": sha256_hex(canonical_json(document)),
        "journal_sha256": sha256_hex(printer()(document, "generic", accrual=True).body),
        "document": document,
    }


def accrual_document_of(computed: Computed, expected: dict[str, Decimal]) -> dict[str, Any]:
    """The month as a statement of one line for each cost center and class of spend, with what is expected as a line of its own."""
    whole = computed.document
    last = (date.fromisoformat(f"{whole['month']}-01") + timedelta(days=31)).replace(day=1) - timedelta(days=1)
    centers = [_center(center, expected[center["id"]]) for center in whole["cost_centers"]]
    total = sum((Decimal(center["total"]) for center in centers), Decimal(0))
    document = {name: whole[name] for name in HEADER} | {
        "schema": "governor.accrual/v1",
        "posting_date": last.isoformat(),
        "totals": {"statement_total": f"{total:.2f}"},
        "cost_centers": centers,
    }
    return stated_in(document, rate_of_month(computed.charged))


def _center(center: dict[str, Any], expected: Decimal) -> dict[str, Any]:
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in LINES}
    for name in LINES:
        sums: dict[str, Decimal] = {}
        for line in center[name]:
            sums[line["traffic_class"]] = sums.get(line["traffic_class"], Decimal(0)) + Decimal(line["amount"])
        found[name] = [_line(f"{name}/{kind}", kind, amount) for kind, amount in sorted(sums.items())]
    if expected:
        found["lines"].append(_line("expected", "production", expected))
    return {"id": center["id"], "total": f"{Decimal(center['total']) + expected:.2f}", **found}


def _line(name: str, kind: str, amount: Decimal) -> dict[str, str]:
    return {"line_id": name, "traffic_class": kind, "amount": f"{amount:.2f}"}


def _expected(ctx: Context, month: str, center: str) -> Decimal:
    """What the unknown rest of the month will add, where a forecast can be made."""
    found = forecast_document(ctx, month, "cost_center", center)
    if found["status"] != "forecast" or found["forecast"] is None:
        return Decimal(0)
    return max(Decimal(0), Decimal(found["forecast"]) - Decimal(found["spent"])).quantize(CENT)
