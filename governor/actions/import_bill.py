"""`bill:import`: a provider's bill is stored line by line, with the digest of every file it came from.

Owns: imports and their lines, which import speaks for a day, the ledger entry. Does not own: formats (connectors/bills), comparing (reconcile_period.py).
Invariants: the same files again are the same import and write nothing; a newer import of an issuer's day replaces the older one in comparisons and deletes nothing;
rows that were not understood are kept by name.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, Final, TypedDict

from sqlalchemy import insert
from sqlmodel import Session, col, select

from governor.actions.apply import lock_catalog
from governor.actions.context import Actor, Context
from governor.actions.read_bill import ReadBill, read_bills
from governor.chargeback.period import month_bounds
from governor.chargeback.reconciliation.bill import BillLine, add_up, line_of, total
from governor.errors import NotFound
from governor.ledger.canonical import canonical_json, sha256_hex, timestamp
from governor.ledger.entry import EntryDraft
from governor.ports import Payload
from governor.store.rows.base import uuid7
from governor.store.rows.bills import BillImport, BillRow

ROLES: Final = ("finance", "admin")
CHUNK: Final = 1000


def require(ctx: Context, actor: Actor) -> None:
    """Finance, admin, or whoever can write the folder of an embedded home."""
    if not (actor.kind == "operator" and ctx.settings.embedded):
        actor.require(*ROLES)


def import_bills(ctx: Context, actor: Actor, source: str, payloads: Iterable[Payload]) -> list[dict[str, Any]]:
    """Store what the files say, one import per reader; {"id", "source", "files", "lines", "issuers", "totals", "rejected", "skipped", "known", ...}.

    Raises Forbidden, NotFound for an unknown reader, Invalid for a file that cannot be read.
    """
    require(ctx, actor)
    return [_store(ctx, actor, read) for read in read_bills(source, payloads)]


def _store(ctx: Context, actor: Actor, read: ReadBill) -> dict[str, Any]:
    digest = sha256_hex(canonical_json({"source": read.source, "files": sorted(file["sha256"] for file in read.files)}))
    lines = add_up(read.lines)
    with ctx.transaction(actor) as tx:
        lock_catalog(tx.session, ctx.org)  # of two who import the same files at once the second finds them known
        known = tx.session.exec(select(BillImport).where(BillImport.org_id == ctx.org, BillImport.digest == digest)).first()
        if known is not None:
            return document(known) | {"known": True}
        row = BillImport(
            id=uuid7(int(tx.now.timestamp() * 1000)),
            org_id=ctx.org,
            source=read.source,
            files=_json(read.files),
            digest=digest,
            issuers=_json(sorted({line.issuer for line in lines})),
            first_day=min((line.day for line in lines), default=""),
            last_day=max((line.day for line in lines), default=""),
            lines=len(lines),
            totals=_json(totals(lines)),
            rejected=_json(read.rejected),
            skipped=_json(read.skipped),
            imported_at=tx.now,
            imported_by=actor.email or actor.kind,
        )
        tx.session.add(row)
        tx.session.flush()
        stored = [
            {"id": uuid7(), "org_id": ctx.org, "import_id": row.id, "month": line.month, "body": _json(line.record())} for line in lines
        ]
        for start in range(0, len(stored), CHUNK):
            tx.session.execute(insert(BillRow), stored[start : start + CHUNK])
        payload = {
            "import": row.id,
            "source": row.source,
            "digest": digest,
            "files": [{"sha256": file["sha256"], "bytes": file["bytes"]} for file in read.files],
            "lines": row.lines,
            "rejected": len(read.rejected),
            "issuers": json.loads(row.issuers),
            "totals": json.loads(row.totals),
        }
        tx.append(
            EntryDraft(
                type="bill:import",
                stream=f"bills/{ctx.org}",
                payload=payload,
                actor=actor.ledger_ref(),
                idem=f"bill:import:{row.id}",
                occurred_at=tx.now,
            )
        )
    return document(row) | {"known": False}


def totals(lines: Iterable[BillLine]) -> dict[str, str]:
    """Everything the lines come to, by currency, as exact text."""
    sums: dict[str, Decimal | None] = {}
    for line in lines:
        if line.amount is not None:
            sums[line.currency] = total(sums.get(line.currency), line.amount)
    return {currency: f"{amount:f}" for currency, amount in sorted(sums.items())}


class BillFile(TypedDict):
    """bytes: how many."""

    name: str
    sha256: str
    bytes: int


class RejectedRow(TypedDict):
    """file: its name."""

    file: str
    row: int
    field: str
    reason: str


class BillDocument(TypedDict):
    """totals: per currency, decimal text. rejected: rows that were not understood; skipped: rows that are no cost or use of models."""

    id: str
    source: str
    files: list[BillFile]
    digest: str
    issuers: list[str]
    first_day: str
    last_day: str
    lines: int
    totals: dict[str, str]
    rejected: list[RejectedRow]
    skipped: dict[str, int]
    imported_at: str
    imported_by: str


def document(row: BillImport) -> BillDocument:
    return {
        "id": row.id,
        "source": row.source,
        "files": json.loads(row.files),
        "digest": row.digest,
        "issuers": json.loads(row.issuers),
        "first_day": row.first_day,
        "last_day": row.last_day,
        "lines": row.lines,
        "totals": json.loads(row.totals),
        "rejected": json.loads(row.rejected),
        "skipped": json.loads(row.skipped),
        "imported_at": timestamp(row.imported_at),
        "imported_by": row.imported_by,
    }


def list_bills(ctx: Context, month: str = "") -> list[BillDocument]:
    """Imports, newest first; with `month`, those with a line billed in it."""
    if month:
        month_bounds(month)
    query = select(BillImport).where(BillImport.org_id == ctx.org)
    if month:
        inside = select(BillRow.import_id).where(BillRow.org_id == ctx.org, BillRow.month == month)
        query = query.where(col(BillImport.id).in_(inside))
    with ctx.rows.session() as session:
        return [document(row) for row in session.exec(query.order_by(col(BillImport.id).desc()))]


def show_bill(ctx: Context, bill: str) -> dict[str, Any]:
    """One import with its lines. Raises NotFound."""
    with ctx.rows.session() as session:
        row = session.get(BillImport, bill)
        if row is None or row.org_id != ctx.org:
            raise NotFound(f"no bill {bill}", hint="`governor bills list` has them")
        return document(row) | {"items": [line.record() for line in _lines(session, ctx.org, bill)]}


def _lines(session: Session, org: str, bill: str, month: str = "") -> list[BillLine]:
    query = select(BillRow.body).where(BillRow.org_id == org, BillRow.import_id == bill)
    if month:
        query = query.where(BillRow.month == month)
    return [line_of(json.loads(body)) for body in session.exec(query.order_by(col(BillRow.id)))]


def lines_billed(ctx: Context, month: str, only: Sequence[str] = ()) -> tuple[list[BillLine], list[dict[str, Any]]]:
    """Lines of the month and the imports they are of. Without `only`, of two imports that speak about an issuer's day the newer one counts,
    unless each names accounts that the other does not know: these are two bills.

    Costs and tokens are asked apart, so that a usage report does not replace the costs beside it.
    """
    bills = [bill for bill in list_bills(ctx, month) if not only or bill["id"] in only]
    taken: dict[tuple[str, str, bool], list[set[str]]] = defaultdict(list)
    found: list[BillLine] = []
    used: list[dict[str, Any]] = []
    with ctx.rows.session() as session:
        for bill in bills:
            lines = _lines(session, ctx.org, bill["id"], month)
            accounts: dict[str, set[str]] = defaultdict(set)
            for line in lines:
                accounts[line.issuer] |= {line.account} - {""}
            days = {(line.issuer, line.day, line.amount is None) for line in lines}
            replaced = {day for day in days if not only and any(not _apart(accounts[day[0]], newer) for newer in taken[day])}
            kept = [line for line in lines if (line.issuer, line.day, line.amount is None) not in replaced]
            for day in days:
                taken[day].append(accounts[day[0]])
            found += kept
            used.append({**bill, "used": len(kept), "superseded": len(lines) - len(kept)})
    return found, used


def _apart(accounts: set[str], others: set[str]) -> bool:
    return bool(accounts and others) and accounts.isdisjoint(others)


def _json(value: Any) -> str:
    return canonical_json(value).decode()
