"""The accrual that a soft close recorded: read back as it was booked, and the document that its journals are printed from.

Owns: reading it. Does not own: making it (soft_close), formats (export_month). Invariants: reads only; every journal of an accrual is printed from the one document
that was recorded, and only while it hashes to the digest on record; the newest soft close of a month counts.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, Final, cast

from sqlmodel import Session, col, select

from governor.actions.context import Context
from governor.errors import NotFound, WrongState
from governor.ledger.canonical import canonical_json, sha256_hex, timestamp
from governor.store.rows.periods import PeriodStep

SOFT_CLOSE: Final = "soft_close"


def accrual_step(session: Session, org: str, month: str, known_at: datetime | None = None) -> PeriodStep | None:
    """The newest soft close of the month, of whichever version; with `known_at`, of those recorded by then."""
    query = select(PeriodStep).where(PeriodStep.org_id == org, PeriodStep.month == month, PeriodStep.step == SOFT_CLOSE)
    if known_at is not None:
        query = query.where(col(PeriodStep.created_at) <= known_at)
    return session.exec(query.order_by(col(PeriodStep.version).desc(), col(PeriodStep.id).desc())).first()


def accrued(session: Session, org: str, month: str, known_at: datetime) -> dict[str, str] | None:
    """What a statement says about the accrual that was booked for its month before it."""
    made = accrual_step(session, org, month, known_at)
    if made is None:
        return None
    body = json.loads(made.body)
    return {name: str(body[name]) for name in ("accrued", "currency", "posting_date", "reversal_date", "digest") if name in body}


def accrual_of(ctx: Context, month: str) -> dict[str, Any]:
    """The accrual that was recorded. Raises NotFound."""
    with ctx.rows.session() as session:
        made = accrual_step(session, ctx.org, month)
    if made is None:
        raise NotFound(f"{month} is not soft closed")
    return {"step": made.step, "by": made.person_email, "at": timestamp(made.created_at), "version": made.version, **json.loads(made.body)}


def accrual_shown(ctx: Context, month: str) -> dict[str, Any] | None:
    """The accrual without its document; None before the soft close."""
    try:
        return {name: value for name, value in accrual_of(ctx, month).items() if name not in {"document", "journal", "reversal"}}
    except NotFound:
        return None


def accrual_document(ctx: Context, month: str) -> dict[str, Any]:
    """What the journals of the accrual are printed from. Raises WrongState before the soft close, and where the record is not what was booked."""
    try:
        found = accrual_of(ctx, month)
    except NotFound:
        raise WrongState(
            f"{month} is not soft closed: there is no accrual to export",
            hint=f"`governor period soft-close {month}`, or Soft close on its checklist; the accrual is booked once and comes out the same for ever",
        ) from None
    document = found.get("document")
    if document is None:
        raise WrongState(
            f"{month} was soft closed by an earlier version, which kept its own two journals only",
            hint=f"GET /api/v1/periods/{month}/accrual has them as `journal` and `reversal`",
        )
    if sha256_hex(canonical_json(document)) != found["digest"]:
        raise WrongState(f"the accrual of {month} does not hash to what was recorded")
    return cast(dict[str, Any], document)
