"""`period:close`: a month is computed from a pinned snapshot, printed, and sealed in one transaction. Also what stands in the way of it.

Owns: the states open -> closing -> closed, the pin, the refusals, handing out the files. Does not own: the numbers (charge_month, correct), the files (statement_files).
Invariants: a closed month never changes: closing it again hands out the same bytes; a crash leaves it open or closing, never half closed, and the next run
computes the same bytes from the same pin; below 95% coverage only a signed exception in force lets it close.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from governor.actions.context import Actor, Context
from governor.actions.correct import by_charge_month
from governor.actions.coverage_gaps import first_gaps
from governor.actions.except_coverage import exception_in_force
from governor.actions.govern import GovernedMonth
from governor.actions.load_catalog import catalog_as_of
from governor.actions.newest_comparison import unreconciled
from governor.actions.sealed_files import check_sealed, hidden_close
from governor.actions.sign_close import described, locked, sign, signature, version_of
from governor.actions.statement_files import Computed, File, Pin, compute, missing_rate, planned_files, print_files
from governor.chargeback.lines import Line
from governor.chargeback.period import month_bounds
from governor.chargeback.statement import coverage_document, usd
from governor.errors import CoverageTooLow, Invalid, NotFound, WrongState
from governor.ledger.canonical import canonical_json
from governor.ledger.entry import EntryDraft
from governor.store.rows.periods import Period, PeriodFile, PeriodLine
from governor.store.whole_file import write_whole

ROLES: Final = ("finance", "admin")


def status(ctx: Context, month: str, governed: Callable[[], GovernedMonth] | None = None) -> dict[str, Any]:
    """What closing would do now, with the corrections it would carry, or what it did. governed: asked for the month where it is open."""
    with ctx.rows.session() as session:
        period = session.get(Period, (ctx.org, month))
        if period is not None and period.state == "closed":
            return stored(period)
    (start, end), now, known = bounds(ctx, month), ctx.now(), governed() if governed else None
    computed = compute(ctx, Pin(month, known.snapshot if known else ctx.lake.snapshot_id(), now, ""), known)
    charged, corrections = computed.charged, computed.corrections
    coverage = charged.governed.coverage
    with ctx.rows.session() as session:
        exception = exception_in_force(session, ctx.org, month, now)
        version = version_of(session, ctx.org, month)
        first = signature(session, ctx.org, month, version)
        hidden = hidden_close(session, ctx.org, month, version)
    reasons = [hidden] if hidden else []
    reasons += [] if coverage.sufficient or exception else ["coverage is below 95% and no signed exception is in force"]
    reasons += [*blocks(computed), *unreconciled(ctx, month)]
    return {
        "period": month,
        "state": period.state if period else "open",
        "version": version,
        "signed": described(first) if first else None,
        "snapshot": charged.governed.snapshot,
        "totals": {
            "list_cost": usd(sum(line.list_pico for line in computed.lines)),
            "contracted_cost": usd(sum(line.contracted_pico for line in computed.lines)),
            "corrections": usd(sum(line.contracted_pico for line in corrections)),
            "currency": "USD",
        },
        "coverage": coverage_document(coverage),
        "gaps": first_gaps(ctx, charged.governed),
        "exception": exception,
        "corrections": [
            {"charge_month": name, "lines": len(lines), "contracted_cost": usd(sum(line.contracted_pico for line in lines))}
            for name, lines in sorted(by_charge_month(corrections).items())
        ],
        "would_write": planned_files(computed.document),
        "can_close": not reasons and now >= start,
        "reasons": reasons if now >= start else [*reasons, "the month has not begun"],
        "warnings": [running(month, now)] if start <= now < end else [],
        "files": [],
        "ledger_entry": None,
    }


def close(ctx: Context, actor: Actor, month: str, out: Path | None = None) -> dict[str, Any]:
    """Close the month and write its files to `out` (default: the home). Returns the document of DESIGN section 5.

    Raises Unauthenticated or Forbidden without a person of finance, WrongState before the month begins, CoverageTooLow.
    """
    actor.require(*ROLES)
    start, _ = bounds(ctx, month)
    if ctx.now() < start:
        raise WrongState(f"{month} has not begun", hint="close a month when it is over, or while it runs with a warning")
    for reason in unreconciled(ctx, month):
        with ctx.rows.session() as session:
            period = session.get(Period, (ctx.org, month))
        if period is None or period.state != "closed":
            raise WrongState(f"{month}: {reason}", hint=f"`governor period reconcile {month}`; the organization asks for it before a close")
    pin, waiting = take_pin(ctx, actor, month), None
    if pin is not None:
        computed = compute(ctx, pin)
        if not computed.charged.governed.coverage.sufficient and computed.document["exception"] is None:
            release(ctx, actor, month)
            found = computed.document["coverage"]
            raise CoverageTooLow(f"{month}: {found['percent']}% of {found['total_spend']} USD is covered, 95% is needed")
        if blocked := blocks(computed):
            release(ctx, actor, month)
            raise WrongState(f"{month}: {blocked[0]}", hint="apply the missing `kind: driver` or `fx_rate`, or change the rule")
        try:
            files = print_files(computed.document)
            waiting = sign(ctx, actor, pin, computed, files)
            if waiting is None:
                finish(ctx, actor, pin, computed, files)
        except Invalid:  # what cannot be recorded now cannot be later
            release(ctx, actor, month)
            raise
    ctx.seal_what_is_done()
    return waiting or hand_out(ctx, month, out)


def blocks(computed: Computed) -> list[str]:
    """Shared costs that cannot be shared out as their rule says; a statement currency without a rate."""
    shared = [f"allocation {one.rule.split('@')[0]}: {one.reason}" for one in computed.charged.allocation.left if one.blocking]
    return [*shared, *missing_rate(computed)]


def bounds(ctx: Context, month: str) -> tuple[datetime, datetime]:
    return month_bounds(month, catalog_as_of(ctx).organization.billing_zone)


def running(month: str, now: datetime) -> str:
    return (
        f"{month} is not over (now {now:%Y-%m-%d %H:%M} UTC): calls that come after the close appear as corrections in the next open month"
    )


def take_pin(ctx: Context, actor: Actor, month: str) -> Pin | None:
    """Mark the month closing and remember what it is computed from; an earlier mark that was not finished is kept. None when it is closed."""
    snapshot = ctx.lake.snapshot_id()
    with ctx.transaction(actor) as tx:
        period = locked(tx.session, ctx.org, month) or begun(tx.session, ctx.org, month)
        tx.alone()  # whoever reopens an earlier month did so before, or sees this mark
        if period.state == "closed":
            return None
        version = version_of(tx.session, ctx.org, month)
        hidden = hidden_close(tx.session, ctx.org, month, version)
        if hidden:
            raise WrongState(hidden, hint="`governor ledger verify` names what was changed; restore it from a backup")
        if period.state == "open" or period.snapshot is None or period.catalog_as_of is None:
            period.state, period.snapshot, period.catalog_as_of, period.closed_by = "closing", snapshot, tx.now, actor.email
            tx.session.add(period)
            tx.session.flush()
        known_at = period.catalog_as_of
        if period.snapshot is None or known_at is None:
            raise WrongState(f"{month} has no pin")
        return Pin(month, period.snapshot, known_at, period.closed_by, version)


def release(ctx: Context, actor: Actor, month: str) -> None:
    """A refused close leaves the month open."""
    with ctx.transaction(actor) as tx:
        period = locked(tx.session, ctx.org, month)
        if period is not None and period.state == "closing":
            period.state, period.snapshot, period.catalog_as_of, period.closed_by = "open", None, None, ""
            tx.session.add(period)


def finish(ctx: Context, actor: Actor, pin: Pin, computed: Computed, files: Sequence[File]) -> None:
    """The one transaction that closes: state, files, lines, ledger entry. A rival that was first has written the same bytes."""
    document = computed.document
    manifest = files[-1]
    with ctx.transaction(actor) as tx:
        period = locked(tx.session, ctx.org, pin.month)  # the month before the ledger, as everybody else takes them
        tx.alone()  # the closed month names its entry
        if period is None or period.state == "closed":
            return
        if (period.state, period.snapshot, period.catalog_as_of) != ("closing", pin.snapshot, pin.known_at):
            raise WrongState(f"another close of {pin.month} began meanwhile", hint="run it again")
        for file in files:
            tx.session.add(
                PeriodFile(org_id=ctx.org, month=pin.month, name=file.name, media_type=file.media_type, sha256=file.sha256, body=file.body)
            )
        for line in computed.lines:
            tx.session.add(period_line(ctx.org, pin.month, line))
        version = version_of(tx.session, ctx.org, pin.month)
        first = signature(tx.session, ctx.org, pin.month, version)
        entry = tx.append(
            EntryDraft(
                type="period:close",
                stream=f"period/{pin.month}",
                payload={
                    "month": pin.month,
                    "snapshot": pin.snapshot,
                    "price_book": document["provenance"]["price_book"],
                    "catalog": document["provenance"]["catalog"],
                    "policy_revision": document["provenance"]["policy_revision"],
                    "totals": document["totals"],
                    "coverage": document["coverage"],
                    "exception": document["exception"]["id"] if document["exception"] else None,
                    "corrected_months": sorted(by_charge_month(computed.corrections)),
                    "closed_early": document["closed_early"],
                    "files": len(files) - 1,
                    "manifest_sha256": manifest.sha256,
                    "version": version,
                    "signed_by": [first.person_id, actor.id] if first else [actor.id],
                },
                actor=actor.ledger_ref(),
                idem=f"period:close:{pin.month}" + (f":v{version}" if version > 1 else ""),
                occurred_at=pin.known_at,
                evidence=[
                    {"name": manifest.name, "sha256": manifest.sha256, "size": len(manifest.body), "media_type": manifest.media_type}
                ],
            )
        )
        result = {
            "period": pin.month,
            "state": "closed",
            "snapshot": pin.snapshot,
            "totals": document["totals"],
            "coverage": document["coverage"],
            "exception": document["exception"],
            "corrections": correction_summary(document),
            "warnings": document["warnings"],
            "files": [file.describe() for file in files],
            "ledger_entry": {"id": entry.id, "idx": entry.idx, "leaf_hash": entry.leaf_hash.hex()},
        }
        period.state, period.closed_at, period.price_book = "closed", tx.now, document["provenance"]["price_book"]
        if first is not None:
            result["signed"] = described(first)
            period.closed_by = f"{first.person_email} and {actor.email}"
        if version > 1:
            result["version"] = version
        period.totals = canonical_json(result).decode()
        tx.session.add(period)


def period_line(org: str, month: str, line: Line) -> PeriodLine:
    return PeriodLine(
        org_id=org,
        month=month,
        line_id=line.line_id,
        charge_month=line.charge_month,
        body=canonical_json(line.record()).decode(),
        contracted_pico=line.contracted_pico,
    )


def correction_summary(document: dict[str, Any]) -> list[dict[str, Any]]:
    months: dict[str, int] = {}
    for center in document["cost_centers"]:
        for line in center["corrections"]:
            months[line["charge_month"]] = months.get(line["charge_month"], 0) + 1
    return [{"charge_month": month, "lines": lines} for month, lines in sorted(months.items())]


def begun(session: Session, org: str, month: str) -> Period:
    """The row of a month nobody touched yet; a rival may make it at the same moment."""
    try:
        with session.begin_nested():
            session.add(Period(org_id=org, month=month))
    except IntegrityError:
        session.expire_all()
    found = locked(session, org, month)
    if found is None:
        raise WrongState(f"{month} cannot be opened", hint="run it again")
    return found


def stored(period: Period) -> dict[str, Any]:
    """What the close of a month answered, from its row."""
    result: dict[str, Any] = json.loads(period.totals)
    return result


def files_of(session: Session, org: str, month: str) -> list[PeriodFile]:
    return list(session.exec(select(PeriodFile).where(PeriodFile.org_id == org, PeriodFile.month == month).order_by(col(PeriodFile.name))))


def closed_files(ctx: Context, month: str) -> tuple[dict[str, Any], list[PeriodFile]]:
    """What the close of a month answered, and its files. Raises NotFound for a month that is not closed, WrongState for other files than it sealed."""
    with ctx.rows.session() as session:
        period = session.get(Period, (ctx.org, month))
        if period is None or period.state != "closed":
            raise NotFound(f"{month} is not closed", hint=f"`governor period close {month}`")
        files = files_of(session, ctx.org, month)
        check_sealed(session, ctx.org, month, version_of(session, ctx.org, month), files)
        return stored(period), files


def hand_out(ctx: Context, month: str, out: Path | None = None) -> dict[str, Any]:
    """The files of a closed month on disk, each with its `.sha256`, and what its close answered. Raises NotFound for a month that is not closed."""
    result, files = closed_files(ctx, month)
    folder = out if out is not None else ctx.settings.home / "periods" / ctx.org / month
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        write_whole(folder / file.name, file.body)
        write_whole(folder / f"{file.name}.sha256", f"{file.sha256}  {file.name}\n".encode())
    return result | {"out": str(folder)}
