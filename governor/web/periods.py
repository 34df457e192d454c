"""Month end: where each month stands, what closing would write, closing it, its exceptions, its files."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any, Final
from urllib.parse import quote

from litestar import Response, get, post
from litestar.response import Redirect

from governor.actions.accruals import accrual_shown
from governor.actions.browse_periods import MonthRow, list_periods, period_file, show_period
from governor.actions.close_period import ROLES, close
from governor.actions.context import Actor, Context
from governor.actions.coverage_gaps import advice
from governor.actions.except_coverage import except_coverage
from governor.errors import Invalid
from governor.web.attached import attached
from governor.web.coverage import Gate, gate_of
from governor.web.exports import ExportRow, export_rows
from governor.web.newer_calls import SHOWS_SUMS
from governor.web.session import Form
from governor.web.shell import Flash, go, render, type_of_request

KINDS: Final = (  # how a file is named -> what it is for
    ("statement-", ".pdf", "Statement, to send"),
    ("statement-", ".csv", "Statement, every line"),
    ("focus-", ".csv", "FOCUS 1.2, for the cost platform"),
    ("focus-", ".parquet", "FOCUS 1.2 for a warehouse: exact amounts"),
    ("journal-", ".csv", "Journal, to post"),
    ("statement-", ".json", "The whole month as one document"),
    ("manifest", ".json", "Digests of all files; its own digest is in the ledger"),
)


@dataclass(frozen=True)
class PeriodsPage:
    months: list[MonthRow]


@dataclass(frozen=True)
class FileRow:
    facts: dict[str, Any]
    kind: str
    path: str


@dataclass(frozen=True)
class PeriodPage:
    """may_close: the reader holds a role for it; whether the month allows it is in `period`.

    ahead: what commitments cost in it, used or not; empty where there are none.
    exports: for other systems. accruals: journals of its soft close, for those who may have them.
    """

    period: dict[str, Any]
    gate: Gate
    may_close: bool
    roles: tuple[str, ...]
    files: list[FileRow]
    exception_in_force: dict[str, Any] | None
    exports: list[ExportRow]
    accruals: list[ExportRow]
    accrual: dict[str, Any] | None
    advice: list[str]
    ahead: str


@get("/periods", opt=SHOWS_SUMS, sync_to_thread=True)
def show_all(request: type_of_request, ctx: Context) -> Response[str]:
    return render(request, "periods.html", PeriodsPage(list_periods(ctx)))


@get("/periods/{month:str}", opt=SHOWS_SUMS, sync_to_thread=True)
def show_one(request: type_of_request, ctx: Context, actor: Actor, month: str) -> Response[str]:
    period = show_period(ctx, month)
    closed, may = period["state"] == "closed", bool(actor.roles & set(ROLES))
    booked = accrual_shown(ctx, month)
    page = PeriodPage(
        period=period,
        gate=gate_of(period["coverage"]),
        may_close=may,
        roles=ROLES,
        files=[FileRow(file, kind_of(file["name"]), f"/periods/{month}/files/{quote(file['name'], safe='')}") for file in period["files"]],
        exception_in_force=period["exception"],
        exports=export_rows(month) if closed else [],
        accruals=export_rows(month, accrual=True) if booked and may else [],
        accrual=booked,
        advice=advice(period.get("gaps", [])),
        ahead=paid_ahead(period),
    )
    return render(request, "period.html", page)


@post("/periods/{month:str}/close", sync_to_thread=True)
def do_close(ctx: Context, actor: Actor, month: str, form: Form) -> Redirect:
    actor.require(*ROLES)
    if form.text("confirm") != month:
        raise Invalid(f"to close the month, type {month} into the field above the button")
    done = close(ctx, actor, month)
    if done["state"] != "closed":
        return go(
            f"/periods/{month}/checklist",
            Flash("good", f"{month} is signed", "It closes when another person of finance or admin closes it too."),
        )
    text = f"{len(done['files'])} files were written and their digests are in the ledger. The month never changes again."
    return go(f"/periods/{month}", Flash("good", f"{month} is closed", text))


@post("/periods/{month:str}/except", sync_to_thread=True)
def do_except(ctx: Context, actor: Actor, month: str, form: Form) -> Redirect:
    actor.require(*ROLES)
    made = except_coverage(
        ctx,
        actor,
        month,
        reason=form.need("reason", "why it may close"),
        compensating_control=form.need("control", "what is done instead"),
        expires_at=end_of(form.text("expires")),
    )
    return go(
        f"/periods/{month}",
        Flash("good", "Exception signed", f"It is in the ledger under your name and holds until {made['expires_at'][:10]}."),
    )


@get("/periods/{month:str}/files/{name:str}", sync_to_thread=True)
def download(ctx: Context, month: str, name: str) -> Response[bytes]:
    """The bytes the close recorded. Names of files are made of safe signs when a month is closed."""
    file = period_file(ctx, month, name)
    return attached(file.body, file.media_type, file.name, file.sha256)


def paid_ahead(period: dict[str, Any]) -> str:
    """What no list price explains: commitments are charged at their own cost, and the use they cover at nothing."""
    if period["state"] == "closed":
        found = Decimal(period["totals"].get("commitment_total", 0))  # a month closed by an earlier version does not say
    else:
        found = sum((Decimal(one["cost"]) for one in period["would_write"]["commitments"]), Decimal(0))
    return str(found) if found else ""


def kind_of(name: str) -> str:
    return next((words for begin, end, words in KINDS if name.startswith(begin) and name.endswith(end)), "")


def end_of(day: str) -> datetime | None:
    """The last second of a day, in UTC. Raises Invalid."""
    try:
        return datetime.combine(date.fromisoformat(day), time(23, 59, 59), UTC) if day else None
    except ValueError:
        raise Invalid(f"{day[:40]!r} is not a day", hint="write YYYY-MM-DD") from None


ROUTES = [show_all, show_one, do_close, do_except, download]
