"""`period:soft_close`: on the first days after a month finance books what is captured and what is still expected, before bills and late calls are in.

Owns: the accrual by cost center and its document. Does not own: the numbers (statement_files, forecast_month), reading it back (accruals), its journals in every format
(export_month), closing (close_period). Invariants: captured is what a close at this moment would charge, but for corrections that an earlier open month will carry;
expected is what the days that are not known yet add to that; the digest on the ledger is that of the one document all journals of the accrual are printed from;
a version of a month is accrued once.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final

from governor.actions.accruals import SOFT_CLOSE
from governor.actions.close_period import begun, bounds
from governor.actions.context import Actor, Context
from governor.actions.expected_charges import expected_charges
from governor.actions.export_month import printer
from governor.actions.sign_close import ROLES, described, locked, step, steps, version_of
from governor.actions.statement_files import Computed, Pin, compute, missing_rate, rate_of_month
from governor.chargeback.amounts import cents_text
from governor.chargeback.currency import LINES, stated_in
from governor.chargeback.plans import CLASS
from governor.errors import PeriodClosed, WrongState
from governor.ledger.canonical import canonical_json, sha256_hex
from governor.ledger.entry import EntryDraft

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
    computed = compute(ctx, Pin(month, ctx.lake.snapshot_id(), ctx.now(), actor.email), accruing=True)
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
    expected = expected_charges(ctx, computed.charged)
    document = accrual_document_of(computed, expected)
    rows = [
        {
            "cost_center": center["id"],
            "captured": f"{Decimal(center['total']) - still:.2f}",
            "expected": f"{still:.2f}",
            "accrued": center["total"],
        }
        for center in document["cost_centers"]
        for still in [sum((Decimal(line["amount"]) for line in _expected(expected, center["id"])), Decimal(0))]
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


def accrual_document_of(computed: Computed, expected: Mapping[tuple[str, str], int]) -> dict[str, Any]:
    """The month as a statement of one line for each cost center and class of spend, with what is expected as a line of its own.

    expected: cents by cost center and class.
    """
    whole = computed.document
    last = (date.fromisoformat(f"{whole['month']}-01") + timedelta(days=31)).replace(day=1) - timedelta(days=1)
    known = {center["id"] for center in whole["cost_centers"]}
    new = [{"id": name, "total": "0.00", **{kind: [] for kind in LINES}} for name in sorted({name for name, _ in expected} - known)]
    centers = [_center(center, _expected(expected, center["id"])) for center in (*whole["cost_centers"], *new)]
    total = sum((Decimal(center["total"]) for center in centers), Decimal(0))
    document = {name: whole[name] for name in HEADER} | {
        "schema": "governor.accrual/v1",
        "posting_date": last.isoformat(),
        "totals": {"statement_total": f"{total:.2f}"},
        "cost_centers": centers,
    }
    return stated_in(document, rate_of_month(computed.charged))


def _center(center: dict[str, Any], expected: list[dict[str, str]]) -> dict[str, Any]:
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in LINES}
    for name in LINES:
        sums: dict[str, Decimal] = {}
        for line in center[name]:
            sums[line["traffic_class"]] = sums.get(line["traffic_class"], Decimal(0)) + Decimal(line["amount"])
        found[name] = [_line(f"{name}/{kind}", kind, amount) for kind, amount in sorted(sums.items())]
    for line in expected:
        found["internal" if line["traffic_class"] == CLASS else "lines"].append(line)
    total = sum((Decimal(line["amount"]) for line in expected), Decimal(center["total"]))
    return {"id": center["id"], "total": f"{total:.2f}", **found}


def _expected(expected: Mapping[tuple[str, str], int], center: str) -> list[dict[str, str]]:
    return [_line(f"expected/{kind}", kind, Decimal(cents_text(cents))) for (name, kind), cents in expected.items() if name == center]


def _line(name: str, kind: str, amount: Decimal) -> dict[str, str]:
    return {"line_id": name, "traffic_class": kind, "amount": f"{amount:.2f}"}
