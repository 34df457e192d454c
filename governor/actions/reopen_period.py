"""`period:reopen`: a closed month is opened again by two people with a reason; what its close wrote is kept as a version.

Owns: asking, agreeing, keeping the old version, handing out its files. Does not own: closing (close_period). Invariants: only the newest closed month, because later
statements carry corrections of earlier ones; whoever asks cannot agree; files, lines and answer of the old close are kept byte for byte.
"""

from __future__ import annotations

import json
from typing import Any, TypedDict

from sqlmodel import Session, col, select

from governor.actions.close_period import files_of
from governor.actions.context import Actor, Context
from governor.actions.correct import closed_months, statement_lines
from governor.actions.sealed_files import MANIFEST, check_sealed
from governor.actions.sign_close import ROLES, described, locked, step, steps, version_of
from governor.chargeback.period import month_bounds
from governor.errors import Invalid, NotFound, SeparationOfDuties, WrongState
from governor.ledger.canonical import canonical_json, timestamp
from governor.ledger.entry import EntryDraft
from governor.store.rows.base import uuid7
from governor.store.rows.periods import Period, PeriodLine, PeriodStep, PeriodVersion, PeriodVersionFile


def reopen(ctx: Context, actor: Actor, month: str, reason: str = "") -> dict[str, Any]:
    """The first person asks and says why; the second, another one, agrees and the month is open.

    Raises Invalid without a reason, WrongState for a month that is not the newest closed one, SeparationOfDuties for one person alone.
    """
    actor.require(*ROLES)
    with ctx.transaction(actor) as tx:
        period = locked(tx.session, ctx.org, month)
        if period is None or period.state != "closed":
            raise WrongState(f"{month} is not closed")
        tx.alone()  # as a close takes it before it computes: it saw this month closed, or open again
        closing = select(Period.month).where(Period.org_id == ctx.org, Period.month > month, Period.state == "closing")
        if under_way := tx.session.exec(closing).first():
            raise WrongState(
                f"{under_way} is being closed and may carry corrections of {month}",
                hint=f"finish its close, or withdraw it and reopen {month} then",
            )
        newest = closed_months(tx.session, ctx.org)[-1]
        if newest != month:
            raise WrongState(
                f"{newest} is closed too and may carry corrections of {month}", hint="what is wrong becomes a correction of the open month"
            )
        version = version_of(tx.session, ctx.org, month)
        asked = request(tx.session, ctx.org, month, version)
        if asked is None:
            if not reason.strip():
                raise Invalid("reopening a month needs a reason", hint="say why; the reason goes on record")
            made = step(tx.session, ctx, actor, month, version, "ask_reopen", {"reason": reason.strip()})
            tx.append(entry(actor, month, "period:ask_reopen", {"version": version, "reason": reason.strip()}, made.id, tx.now))
            return {"period": month, "state": "closed", "version": version, "asked": described(made)}
        if asked.person_id == actor.id:
            raise SeparationOfDuties(f"you asked to reopen {month}; another person of finance or admin must agree")
        why = str(json.loads(asked.body)["reason"])
        manifest = keep(tx.session, ctx, period, version, why, asked.person_email, actor.email, tx.now)
        payload = {"version": version, "reason": why, "asked_by": asked.person_id, "manifest_sha256": manifest}
        tx.append(entry(actor, month, "period:reopen", payload, asked.id, tx.now))
    ctx.seal_what_is_done()
    return {
        "period": month,
        "state": "open",
        "version": version + 1,
        "reason": why,
        "asked_by": asked.person_email,
        "agreed_by": actor.email,
    }


def keep(session: Session, ctx: Context, period: Period, version: int, reason: str, asked: str, agreed: str, now: Any) -> str:
    """Move the close into its version and open the month. Returns the digest of its manifest."""
    if period.closed_at is None:
        raise WrongState(f"{period.month} has no close")
    kept = PeriodVersion(
        id=uuid7(int(now.timestamp() * 1000)), org_id=ctx.org, month=period.month, version=version, totals=period.totals,
        lines=canonical_json([line.record() for line in statement_lines(session, ctx.org, period.month)]).decode(), closed_at=period.closed_at,
        closed_by=period.closed_by, reason=reason, asked_by=asked, agreed_by=agreed, reopened_at=now,
    )  # fmt: skip
    session.add(kept)
    session.flush()
    manifest = ""
    for file in files_of(session, ctx.org, period.month):
        manifest = file.sha256 if file.name == "manifest.json" else manifest
        session.add(
            PeriodVersionFile(
                org_id=ctx.org, version_id=kept.id, name=file.name, media_type=file.media_type, sha256=file.sha256, body=file.body
            )
        )
        session.delete(file)
    for line in session.exec(select(PeriodLine).where(PeriodLine.org_id == ctx.org, PeriodLine.month == period.month)):
        session.delete(line)
    period.state, period.snapshot, period.catalog_as_of, period.closed_at, period.closed_by, period.totals = (
        "open",
        None,
        None,
        None,
        "",
        "",
    )
    session.add(period)
    session.flush()
    return manifest


def request(session: Session, org: str, month: str, version: int) -> PeriodStep | None:
    return next((one for one in reversed(steps(session, org, month, version)) if one.step == "ask_reopen"), None)


def entry(actor: Actor, month: str, kind: str, payload: dict[str, Any], key: str, now: Any) -> EntryDraft:
    return EntryDraft(
        type=kind,
        stream=f"period/{month}",
        payload={"month": month, **payload},
        actor=actor.ledger_ref(),
        idem=f"{kind}:{key}",
        occurred_at=now,
    )


class FileRow(TypedDict):
    name: str
    sha256: str
    bytes: int
    media_type: str


class VersionRow(TypedDict):
    """total: of the statements, decimal text in USD."""

    version: int
    closed_at: str
    closed_by: str
    reopened_at: str
    reason: str
    asked_by: str
    agreed_by: str
    total: str | None
    files: list[FileRow]


def versions(ctx: Context, month: str) -> list[VersionRow]:
    """Closes of the month that were reopened, oldest first, each with its files. Raises Invalid for what is no month."""
    month_bounds(month)
    with ctx.rows.session() as session:
        query = (
            select(PeriodVersion).where(PeriodVersion.org_id == ctx.org, PeriodVersion.month == month).order_by(col(PeriodVersion.version))
        )
        found = list(session.exec(query))
        files = {
            row.id: list(
                session.exec(select(PeriodVersionFile).where(PeriodVersionFile.version_id == row.id).order_by(col(PeriodVersionFile.name)))
            )
            for row in found
        }
    return [
        {
            "version": row.version,
            "closed_at": timestamp(row.closed_at),
            "closed_by": row.closed_by,
            "reopened_at": timestamp(row.reopened_at),
            "reason": row.reason,
            "asked_by": row.asked_by,
            "agreed_by": row.agreed_by,
            "total": json.loads(row.totals)["totals"].get("statement_total"),
            "files": [
                {"name": file.name, "sha256": file.sha256, "bytes": len(file.body), "media_type": file.media_type} for file in files[row.id]
            ],
        }
        for row in found
    ]


def version_file(ctx: Context, month: str, version: int, name: str) -> PeriodVersionFile:
    """One file of a reopened close. Raises NotFound, WrongState when its bytes are not what was recorded."""
    with ctx.rows.session() as session:
        query = (
            select(PeriodVersionFile)
            .join(PeriodVersion, col(PeriodVersionFile.version_id) == col(PeriodVersion.id))
            .where(
                PeriodVersion.org_id == ctx.org,
                PeriodVersion.month == month,
                PeriodVersion.version == version,
                col(PeriodVersionFile.name).in_({name, MANIFEST}),
            )
        )
        both = session.exec(query).all()
        found = next((file for file in both if file.name == name), None)
        if found is None:
            raise NotFound(f"{month} version {version} has no file of that name")
        check_sealed(session, ctx.org, month, version, both, only=name)
    return found
