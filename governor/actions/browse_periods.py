"""Billing months as people look at them: which there are, what one would write or wrote, its exceptions, its files.

Owns: the list of months and the document of one. Does not own: closing (close_period), exceptions (except_coverage), any sum.
Invariants: reads only; a file is handed out only when its bytes still hash to what the close recorded; an open month is computed with the numbers
a close at this moment would seal.
"""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, TypedDict, cast

from sqlmodel import col, select

from governor.actions.close_period import files_of, status
from governor.actions.context import Context
from governor.actions.except_coverage import document as exception_document
from governor.actions.load_catalog import catalog_as_of
from governor.actions.month_view import month_frame, month_whole, this_month
from governor.actions.period_way import period_way
from governor.actions.remembered import remembered
from governor.actions.sealed_files import MANIFEST, check_sealed
from governor.actions.sign_close import version_of
from governor.chargeback.period import month_bounds, month_of, next_month
from governor.errors import NotFound
from governor.store.lake_slices import ADDS, DAY, SLICE_OF
from governor.store.rows.periods import CoverageException, Period, PeriodFile

IN_DETAIL: Final = 2  # open months of the list that are computed; older ones show their numbers on their own page


class MonthRow(TypedDict):
    """status: what closing would do now, or did; null for older open months."""

    month: str
    state: str
    calls: int
    closed_at: datetime | None
    closed_by: str
    status: dict[str, Any] | None


def list_periods(ctx: Context) -> list[MonthRow]:
    """Months with calls or with a state, and the running one, newest first."""
    calls = cast(dict[str, int], remembered(ctx, "calls by month", lambda: calls_by_month(ctx)))
    with ctx.rows.session() as session:
        known = {row.month: row for row in session.exec(select(Period).where(Period.org_id == ctx.org))}
    rows: list[MonthRow] = []
    computed = 0
    running = {this_month(ctx)} if calls or known else set()
    for month in sorted({*calls, *known, *running}, reverse=True):
        period = known.get(month)
        state = period.state if period else "open"
        computed += state != "closed"
        rows.append(
            {
                "month": month,
                "state": state,
                "calls": calls.get(month, 0),
                "closed_at": period.closed_at if period else None,
                "closed_by": period.closed_by if period and period.state == "closed" else "",
                "status": month_status(ctx, month) if state == "closed" or computed <= IN_DETAIL else None,
            }
        )
    return rows


def calls_by_month(ctx: Context) -> dict[str, int]:
    """Cost-bearing calls of every month that has some, by the billing zone."""
    zone = catalog_as_of(ctx).organization.billing_zone
    span = ctx.lake.ends()
    if span is None:
        return {}
    months = [month_of(span[0], zone)]
    while months[-1] < month_of(span[1], zone):
        months.append(next_month(months[-1]))
    boundaries = [month_bounds(month, zone)[0] for month in months[1:]]
    sql = f"""SELECT {{epoch}} AS epoch, count(*) AS calls, {SLICE_OF} FROM {{calls}}
        WHERE cost_bearing AND start_time >= $start AND start_time < $end GROUP BY ALL"""  # noqa: S608 - expressions of our own
    first, last = (instant.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0) for instant in span)
    calls: dict[str, int] = defaultdict(int)
    for row in ctx.lake.by_day(sql, first, last + DAY, boundaries, grows=ADDS).to_pylist():
        calls[months[row["epoch"]]] += row["calls"]
    return dict(calls)


def month_status(ctx: Context, month: str) -> dict[str, Any]:
    """What closing would do now or did; computed once per state of the records. An exception may lapse meanwhile: closing looks again."""
    return cast(dict[str, Any], remembered(ctx, f"period/{month}", lambda: status(ctx, month, lambda: month_whole(ctx, month))))


def period_status(ctx: Context, month: str) -> dict[str, Any]:
    """What closing would do now or did, and where the month stands on its way."""
    return {**status(ctx, month), **period_way(ctx, month)}


def show_period(ctx: Context, month: str) -> dict[str, Any]:
    """Status, frame, every exception ever signed, and who closed it. Raises Invalid for a malformed month."""
    frame = month_frame(ctx, month)
    with ctx.rows.session() as session:
        period = session.get(Period, (ctx.org, month))
        query = select(CoverageException).where(CoverageException.org_id == ctx.org, CoverageException.month == month)
        signed = [exception_document(row) for row in session.exec(query.order_by(col(CoverageException.id).desc()))]
        document = next((row for row in files_of(session, ctx.org, month) if row.name == f"statement-{month}.json"), None)
    sealed: dict[str, Any] | None = json.loads(document.body) if document else None
    return {
        **frame,
        **month_status(ctx, month),
        **({"corrections": corrected(sealed)} if sealed else {}),
        **period_way(ctx, month),
        "state": period.state if period else "open",
        "exceptions": signed,
        "closed_at": period.closed_at if period else None,
        "closed_by": period.closed_by if period else "",
        "pinned_at": period.catalog_as_of if period else None,
        "provenance": sealed["provenance"] if sealed else None,
    }


def corrected(document: dict[str, Any]) -> list[dict[str, Any]]:
    """What a sealed statement corrects, by month of the usage; the answer of its close counts lines alone."""
    months: dict[str, list[Decimal]] = defaultdict(list)
    for center in document["cost_centers"]:
        for line in center["corrections"]:
            months[line["charge_month"]].append(Decimal(line["contracted_cost"]))
    return [{"charge_month": name, "lines": len(found), "contracted_cost": f"{sum(found):f}"} for name, found in sorted(months.items())]


def period_file(ctx: Context, month: str, name: str) -> PeriodFile:
    """One file of a closed month. Raises NotFound, WrongState when its bytes are not what its close sealed."""
    with ctx.rows.session() as session:
        query = select(PeriodFile).where(PeriodFile.org_id == ctx.org, PeriodFile.month == month)
        both = session.exec(query.where(col(PeriodFile.name).in_({name, MANIFEST}))).all()
        found = next((file for file in both if file.name == name), None)
        if found is None:
            raise NotFound(f"{month} has no file of that name", hint="files are there once the month is closed")
        check_sealed(session, ctx.org, month, version_of(session, ctx.org, month), both, only=name)
    return found
