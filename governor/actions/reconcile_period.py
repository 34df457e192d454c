"""`period:reconcile`: the month's bills beside what we say it cost; the result is kept and goes on record.

Owns: bringing both sides together, the stored result, the ledger entry. Does not own: the comparison (chargeback/reconciliation), reading bills (import_bill.py).
Invariants: the same bills, calls and prices give the same result and write nothing again; a closed month is compared, never changed; rows of a bill that were not
understood keep a month from being called reconciled.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from governor.actions.apply import lock_catalog
from governor.actions.context import Actor, Context
from governor.actions.import_bill import import_bills, lines_billed, list_bills, require
from governor.actions.newest_comparison import newest_comparison
from governor.actions.our_usage import our_usage
from governor.chargeback.period import month_bounds
from governor.chargeback.reconciliation.bridge import CAUSES, document, reconcile
from governor.errors import Invalid, NotFound
from governor.ledger.canonical import canonical_json, sha256_hex, timestamp
from governor.ledger.entry import EntryDraft
from governor.ports import Payload
from governor.store.rows.base import uuid7
from governor.store.rows.bills import Reconciliation


def reconcile_period(
    ctx: Context,
    actor: Actor,
    month: str,
    *,
    bills: Sequence[tuple[str, Iterable[Payload]]] = (),
    booked: Mapping[str, Decimal] | None = None,
) -> dict[str, Any]:
    """Import `bills` (reader name, files) and compare the month with them; without any, with every stored bill of the month.

    Raises NotFound when there is no bill, Invalid where one cannot be read or converted, Forbidden.
    """
    require(ctx, actor)
    month_bounds(month)
    given = [one["id"] for source, payloads in bills for one in import_bills(ctx, actor, source, payloads)]
    lines, used = lines_billed(ctx, month, given)
    if not lines:
        raise _nothing(ctx, month, given)
    ours = our_usage(ctx, month)
    found = document(reconcile(month, ours.lines, lines, now=ctx.now(), booked=booked))
    rejected = [{"bill": bill["id"], **one} for bill in used for one in bill["rejected"]]
    if rejected and found["status"] == "reconciled":
        found["status"] = "mismatch"
        found["notes"] = [*found["notes"], "rows of a bill were not understood: the month is not called reconciled without them"]
    result = {
        **found,
        "quarantined": rejected,
        "unpriced": [{"model": name, "calls": calls} for name, calls in ours.unpriced_calls.items()],
        "fx": {name: f"{rate:f}" for name, rate in sorted((booked or {}).items())},
        "bills": [
            {name: bill[name] for name in ("id", "source", "files", "digest", "lines", "used", "superseded", "issuers", "totals")}
            for bill in used
        ],
        "snapshot": ours.snapshot,
        "price_book": ours.price_book,
    }
    return _keep(ctx, actor, month, result)


def _nothing(ctx: Context, month: str, given: Sequence[str]) -> Exception:
    if not given:
        return NotFound(
            f"no bill of {month}", hint=f"`governor period reconcile {month} --bill SOURCE FILE...`, or `governor bills import`"
        )
    spans = ", ".join(f"{bill['first_day']} to {bill['last_day']}" for bill in list_bills(ctx) if bill["id"] in given)
    return Invalid(f"the bill has no line of {month}: it covers {spans or 'nothing'}", hint="reconcile the month it is for")


def _keep(ctx: Context, actor: Actor, month: str, result: dict[str, Any]) -> dict[str, Any]:
    body = canonical_json(result).decode()
    digest = sha256_hex(body.encode())
    with ctx.transaction(actor) as tx:
        lock_catalog(tx.session, ctx.org)  # of two who compare at once the second finds the first one's result
        newest = newest_comparison(tx.session, ctx.org, month)
        if newest is not None and newest.digest == digest:
            return _shown(newest)
        row = Reconciliation(
            id=uuid7(int(tx.now.timestamp() * 1000)),
            org_id=ctx.org,
            month=month,
            digest=digest,
            status=result["status"],
            body=body,
            created_at=tx.now,
            created_by=actor.email or actor.kind,
        )
        tx.session.add(row)
        names = ("status", "ours", "invoice", "difference", "net", "gross", "bridge", "snapshot", "price_book")
        tx.append(
            EntryDraft(
                type="period:reconcile",
                stream=f"period/{month}",
                payload={
                    "month": month,
                    "digest": digest,
                    "bills": [bill["digest"] for bill in result["bills"]],
                    **{name: result[name] for name in names},
                },
                actor=actor.ledger_ref(),
                idem=f"period:reconcile:{row.id}",
                occurred_at=tx.now,
            )
        )
    return _shown(row)


def _shown(row: Reconciliation) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(row.body)
    found["bridge"] = {cause: found["bridge"][cause] for cause in CAUSES if cause in found["bridge"]}  # canonical JSON sorts by name
    return found | {"id": row.id, "digest": row.digest, "reconciled_at": timestamp(row.created_at), "reconciled_by": row.created_by}


def latest(ctx: Context, month: str) -> dict[str, Any] | None:
    """The newest result of a month; None before the first. Raises Invalid for a malformed month."""
    month_bounds(month)
    with ctx.rows.session() as session:
        row = newest_comparison(session, ctx.org, month)
        return None if row is None else _shown(row)
