"""`period:sign`: where the organization wants two people, the first close signs what it arrived at and the second must arrive at the same bytes.

Owns: the first signature, withdrawing it, which version of a month is being closed. Does not own: closing (close_period), reopening (reopen_period).
Invariants: the two are different people; the second signs the digest of the manifest the first signed; a withdrawn signature leaves the month open and its pin forgotten.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from sqlmodel import Session, col, func, select

from governor.actions.context import Actor, Context
from governor.actions.load_catalog import catalog_as_of
from governor.actions.statement_files import Computed, File, Pin
from governor.errors import WrongState
from governor.ledger.canonical import canonical_json, timestamp
from governor.ledger.entry import EntryDraft
from governor.store.rows.base import uuid7
from governor.store.rows.periods import Period, PeriodStep, PeriodVersion

ROLES: Final = ("finance", "admin")
AWAITING: Final = "awaiting_second_person"


def sign(ctx: Context, actor: Actor, pin: Pin, computed: Computed, files: Sequence[File]) -> dict[str, Any] | None:
    """What a close answers while it waits for a second person; None when it may finish now. Raises WrongState when the second arrives at other bytes."""
    if not catalog_as_of(ctx).organization.month_end.two_people:
        return None
    manifest = files[-1].sha256
    with ctx.transaction(actor) as tx:
        locked(tx.session, ctx.org, pin.month)  # of two who close at once one is first, and the other sees that signature
        version = version_of(tx.session, ctx.org, pin.month)
        first = signature(tx.session, ctx.org, pin.month, version)
        if first is not None and signed_manifest(first) != manifest:
            raise WrongState(
                f"{pin.month}: the first signature is of manifest {signed_manifest(first)[:12]}, this close arrives at {manifest[:12]}",
                hint=f"`governor period withdraw {pin.month}` and close again",
            )
        if first is not None and first.person_id != actor.id:
            return None
        if first is None:
            body = {"manifest_sha256": manifest, "total": computed.document["totals"]["statement_total"]}
            first = step(tx.session, ctx, actor, pin.month, version, "sign", body)
            tx.append(
                EntryDraft(
                    type="period:sign",
                    stream=f"period/{pin.month}",
                    payload={"month": pin.month, "version": version, **body},
                    actor=actor.ledger_ref(),
                    idem=f"period:sign:{first.id}",
                    occurred_at=tx.now,
                )
            )
        signed = described(first)
    document = computed.document
    return {
        "period": pin.month,
        "state": AWAITING,
        "snapshot": pin.snapshot,
        "totals": document["totals"],
        "coverage": document["coverage"],
        "exception": document["exception"],
        "corrections": [],
        "warnings": [
            *document["warnings"],
            f"signed by {signed['by']}; the month closes when another person of finance or admin closes it too",
        ],
        "files": [],
        "signed": signed,
        "ledger_entry": None,
    }


def withdraw(ctx: Context, actor: Actor, month: str, reason: str = "") -> dict[str, Any]:
    """Take back a signature, or a close that broke off: the month is open and the next close is computed anew. Raises WrongState when there is neither."""
    actor.require(*ROLES)
    with ctx.transaction(actor) as tx:
        period = locked(tx.session, ctx.org, month)
        version = version_of(tx.session, ctx.org, month)
        if period is None or period.state != "closing":
            raise WrongState(f"{month}: no close waits for a second person, and none broke off")
        period.state, period.snapshot, period.catalog_as_of, period.closed_by = "open", None, None, ""
        tx.session.add(period)
        made = step(tx.session, ctx, actor, month, version, "withdraw", {"reason": reason})
        tx.append(
            EntryDraft(
                type="period:withdraw",
                stream=f"period/{month}",
                payload={"month": month, "version": version, "reason": reason},
                actor=actor.ledger_ref(),
                idem=f"period:withdraw:{made.id}",
                occurred_at=tx.now,
            )
        )
        return {"period": month, "state": "open", "withdrawn": described(made)}


def step(session: Session, ctx: Context, actor: Actor, month: str, version: int, name: str, body: dict[str, Any]) -> PeriodStep:
    """Remember what a person did; the caller writes the ledger entry."""
    now, place = ctx.now(), len(steps(session, ctx.org, month, version))  # ids grow in order even where the clock stands
    row = PeriodStep(
        id=uuid7(int(now.timestamp() * 1000) + place), org_id=ctx.org, month=month, version=version, step=name, body=canonical_json(body).decode(),
        person_id=actor.id, person_email=actor.email, created_at=now,
    )  # fmt: skip
    session.add(row)
    session.flush()
    return row


def locked(session: Session, org: str, month: str) -> Period | None:
    """The month's row, held until the transaction ends: rivals wait."""
    return session.exec(select(Period).where(Period.org_id == org, Period.month == month).with_for_update()).first()


def version_of(session: Session, org: str, month: str) -> int:
    """Which close of the month is current: 1, and one more for each time it was reopened."""
    query = select(func.count()).select_from(PeriodVersion).where(PeriodVersion.org_id == org, PeriodVersion.month == month)
    return 1 + session.exec(query).one()


def steps(session: Session, org: str, month: str, version: int) -> list[PeriodStep]:
    """Oldest first."""
    query = select(PeriodStep).where(PeriodStep.org_id == org, PeriodStep.month == month, PeriodStep.version == version)
    return list(session.exec(query.order_by(col(PeriodStep.id))))


def signature(session: Session, org: str, month: str, version: int) -> PeriodStep | None:
    """The first signature of the close under way, unless it was withdrawn."""
    last = [one for one in steps(session, org, month, version) if one.step in {"sign", "withdraw"}][-1:]
    return last[0] if last and last[0].step == "sign" else None


def signed_manifest(row: PeriodStep) -> str:
    return str(json.loads(row.body)["manifest_sha256"])


def described(row: PeriodStep) -> dict[str, Any]:
    return {"step": row.step, "by": row.person_email, "at": timestamp(row.created_at), "version": row.version, **json.loads(row.body)}
