"""`period:soft_close`: on the first days after a month finance books what is captured and what is still expected, before bills and late calls are in.

Owns: the accrual by cost center, its journal and the journal that takes it back. Does not own: the numbers (statement_files, forecast_month), closing (close_period).
Invariants: captured is what a close at this moment would charge; expected is the forecast of the days that are not known yet, never less than nothing; both journals
balance and the second is the first with its sides turned, on the first day of the next month; a version of a month is accrued once.
"""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final

from governor.actions.close_period import bounds, locked
from governor.actions.context import Actor, Context
from governor.actions.export_packet import renderer
from governor.actions.forecast_month import forecast_document
from governor.actions.sign_close import ROLES, described, step, steps, version_of
from governor.actions.statement_files import Pin, compute
from governor.errors import NotFound, PeriodClosed, WrongState
from governor.ledger.canonical import canonical_json, sha256_hex
from governor.ledger.entry import EntryDraft
from governor.store.rows.periods import Period

CENT: Final = Decimal("0.01")
ACCOUNTS: Final = {"usage": ["5210", "AI model usage, accrued"], "clearing": ["2160", "Accrued AI liabilities"]}
ACCOUNTS_UNALLOCATED: Final = {"unallocated": ["5290", "AI usage, unallocated, accrued"]}


def soft_close(ctx: Context, actor: Actor, month: str) -> dict[str, Any]:
    """Record the accrual. Raises WrongState before the month begins or when it is accrued already, PeriodClosed."""
    actor.require(*ROLES)
    start, _ = bounds(ctx, month)
    if ctx.now() < start:
        raise WrongState(f"{month} has not begun")
    found = accrual(ctx, month)
    with ctx.transaction(actor) as tx:
        period = locked(tx.session, ctx.org, month) or tx.session.get(Period, (ctx.org, month))
        if period is not None and period.state == "closed":
            raise PeriodClosed(f"{month} is closed")
        version = version_of(tx.session, ctx.org, month)
        if any(one.step == "soft_close" for one in steps(tx.session, ctx.org, month, version)):
            raise WrongState(f"{month} is soft closed already", hint="the difference to what the month comes to is booked by its close")
        made = step(tx.session, ctx, actor, month, version, "soft_close", found)
        digest = sha256_hex(canonical_json(found))
        tx.append(
            EntryDraft(
                type="period:soft_close",
                stream=f"period/{month}",
                payload={
                    "month": month,
                    "version": version,
                    "captured": found["captured"],
                    "expected": found["expected"],
                    "digest": digest,
                },
                actor=actor.ledger_ref(),
                idem=f"period:soft_close:{made.id}",
                occurred_at=tx.now,
            )
        )
        return {"period": month, "stage": "soft_closed", **described(made)}


def accrual(ctx: Context, month: str) -> dict[str, Any]:
    """What a soft close would book now: by cost center captured, expected and their sum in cents, and both journals as CSV."""
    document = compute(ctx, Pin(month, ctx.lake.snapshot_id(), ctx.now(), "")).document
    rows = []
    for center in document["cost_centers"]:
        captured, expected = Decimal(center["total"]), _expected(ctx, month, center["id"])
        rows.append(
            {
                "cost_center": center["id"],
                "captured": f"{captured:.2f}",
                "expected": f"{expected:.2f}",
                "accrued": f"{captured + expected:.2f}",
            }
        )
    last = date.fromisoformat(document["posting_date"])
    sums = {name: f"{sum((Decimal(row[name]) for row in rows), Decimal(0)):.2f}" for name in ("captured", "expected", "accrued")}
    return {
        **sums,
        "currency": document["currency"],
        "cost_centers": rows,
        "posting_date": last.isoformat(),
        "reversal_date": (last + timedelta(days=1)).isoformat(),
        "journal": _journal(document, rows, last, 1),
        "reversal": _journal(document, rows, last + timedelta(days=1), -1),
    }


def accrual_of(ctx: Context, month: str) -> dict[str, Any]:
    """The accrual that was recorded. Raises NotFound."""
    with ctx.rows.session() as session:
        version = version_of(session, ctx.org, month)
        made = next((one for one in reversed(steps(session, ctx.org, month, version)) if one.step == "soft_close"), None)
    if made is None:
        raise NotFound(f"{month} is not soft closed")
    return described(made)


def _expected(ctx: Context, month: str, center: str) -> Decimal:
    """What the unknown rest of the month will add, where a forecast can be made."""
    found = forecast_document(ctx, month, "cost_center", center)
    if found["status"] != "forecast" or found["forecast"] is None:
        return Decimal(0)
    return max(Decimal(0), Decimal(found["forecast"]) - Decimal(found["spent"])).quantize(CENT)


def _journal(document: dict[str, Any], rows: list[dict[str, str]], posted: date, sign: int) -> str:
    name = "accrual" if sign > 0 else "accrual-reversal"
    made = renderer("journal")(
        {
            "statement_number": f"{document['statement_number']}-{name}",
            "month": document["month"],
            "posting_date": posted.isoformat(),
            "organization": document["organization"],
            "currency": document["currency"],
            "accounts": ACCOUNTS | ACCOUNTS_UNALLOCATED,
            "cost_centers": [
                {
                    "id": row["cost_center"],
                    "lines": [{"traffic_class": "production", "amount": f"{sign * Decimal(row['accrued']):.2f}"}],
                    "corrections": [],
                }
                for row in rows
            ],
        }
    )
    return made.decode()
