"""Reconciliation of a month: the bridge drawn, the worst keys first, and a way to bring a bill."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Annotated, Any, Final

from anyio import to_thread
from litestar import Response, get, post
from litestar.datastructures import UploadFile
from litestar.params import Parameter
from litestar.response import Redirect

from governor.actions.context import Actor, Context
from governor.actions.import_bill import ROLES, BillDocument, import_bills, list_bills
from governor.actions.ingest_upload import plain_name
from governor.actions.month_view import month_frame
from governor.actions.newest_comparison import not_compared
from governor.actions.read_bill import AUTO, installed
from governor.actions.reconcile_period import latest, reconcile_period
from governor.chargeback.reconciliation.bridge import CAUSES
from governor.chargeback.reconciliation.drawn import bridge_spec
from governor.errors import Invalid, NotFound, TooLarge
from governor.ports import Payload
from governor.web.charts import svg
from governor.web.present import plural
from governor.web.prices import Page
from governor.web.session import Form
from governor.web.shell import Flash, go, render, type_of_request
from governor.web.slices import Slice, slice_of

SIZES: Final = {"wide": (1060, 340), "narrow": (360, 420)}


@dataclass(frozen=True)
class ReconciliationPage:
    """result is None before the first comparison; `part`: of how much of our spend it speaks, if not of all; `bridge`: the causes that are not zero, in order."""

    frame: dict[str, Any]
    result: dict[str, Any] | None
    part: str
    bridge: list[tuple[str, str]]
    lines: Slice[dict[str, Any]] | None
    bills: list[BillDocument]
    may: bool
    roles: tuple[str, ...]
    readers: list[str]
    limit_mib: int


@get("/periods/{month:str}/reconciliation", sync_to_thread=True)
def show(request: type_of_request, ctx: Context, actor: Actor, month: str, page: Page = 1) -> Response[str]:
    result = latest(ctx, month)
    path = f"/periods/{month}/reconciliation"
    shown = ReconciliationPage(
        frame=month_frame(ctx, month),
        result=result,
        part=not_compared(result) if result else "",
        bridge=steps(result) if result else [],
        lines=slice_of([line for line in result["lines"] if Decimal(line["difference"])], page, path, {}) if result else None,
        bills=list_bills(ctx, month),
        may=bool(actor.roles & set(ROLES)),
        roles=ROLES,
        readers=list(installed()),
        limit_mib=ctx.settings.max_body_bytes >> 20,
    )
    return render(request, "reconciliation.html", shown)


def steps(result: dict[str, Any]) -> list[tuple[str, str]]:
    return [(words, result["bridge"][cause]) for cause, words in CAUSES.items() if Decimal(result["bridge"].get(cause, "0"))]


@get("/periods/{month:str}/reconciliation/bridge.svg", sync_to_thread=True)
def chart(
    ctx: Context, month: str, size: Annotated[str, Parameter(query="size", pattern=f"^({'|'.join(SIZES)})$")] = "wide"
) -> Response[str]:
    result = latest(ctx, month)
    if result is None:
        raise NotFound(f"{month} was not compared with a bill yet")
    width, height = SIZES[size]
    image = svg(bridge_spec(result["ours"], steps(result), result["invoice"], width=width, height=height))
    return Response(image, media_type="image/svg+xml", headers={"Cache-Control": "private, no-cache"})


@post("/periods/{month:str}/reconciliation/bill", status_code=303)
async def do_bill(request: type_of_request, ctx: Context, actor: Actor, month: str, form: Form) -> Redirect:
    """A bill by hand, then the comparison. The size limit is that of every request body."""
    actor.require(*ROLES)
    file = (await request.form()).get("file")
    if not isinstance(file, UploadFile) or not file.filename:
        raise Invalid("choose a file")
    body = await file.read()
    if len(body) > ctx.settings.max_body_bytes:
        raise TooLarge(f"the file has {len(body):,} bytes", hint="use `governor bills import`, which has no limit")
    if not body:
        raise Invalid(f"{plain_name(file.filename)} is empty")
    payload = Payload(uri=plain_name(file.filename), body=body)
    bills = await to_thread.run_sync(partial(import_bills, ctx, actor, form.text("source") or AUTO, [payload]))
    if not any(bill["first_day"] <= f"{month}-31" and bill["last_day"] >= f"{month}-01" for bill in bills):
        spans = ", ".join(f"{bill['first_day']} to {bill['last_day']}" for bill in bills)
        return go(f"/periods/{month}/reconciliation", Flash("warn", "The bill was stored", f"It is for another month: {spans}."))
    return await to_thread.run_sync(partial(compare, ctx, actor, month))


@post("/periods/{month:str}/reconciliation", sync_to_thread=True)
def do_compare(ctx: Context, actor: Actor, month: str, form: Form) -> Redirect:  # noqa: ARG001 - read for its CSRF check
    actor.require(*ROLES)
    return compare(ctx, actor, month)


def compare(ctx: Context, actor: Actor, month: str) -> Redirect:
    found = reconcile_period(ctx, actor, month)
    good = found["status"] == "reconciled"
    text = f"Gross error {found['gross']['percent'] or '-'}% of {plural(len(found['bills']), 'bill')}; the result is in the ledger."
    return go(f"/periods/{month}/reconciliation", Flash("good" if good else "warn", f"{month}: {found['status']}", text))


ROUTES = [show, chart, do_bill, do_compare]
