"""`/api/v1/bills` and a month's reconciliation: send a provider's bill, compare a month with the bills, read the newest result."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Final, cast

from litestar import Request, get, post
from litestar.params import Parameter
from msgspec import Struct, field

from governor.actions.context import Actor, Context
from governor.actions.import_bill import BillDocument, import_bills, list_bills, show_bill
from governor.actions.reconcile_period import latest, reconcile_period
from governor.api.bodies import raw_body, unpack
from governor.api.money_answers import BillWithLines, ImportedBills, ReconciliationResult
from governor.api.months import MONTH
from governor.api.slices import Cursor, Limit, Slice, named, slice_of
from governor.errors import Invalid, NotFound
from governor.ports import Payload

TAGS: Final = ["periods"]
Month = Annotated[str, Parameter(pattern=MONTH, description="Calendar month, YYYY-MM; providers bill it in UTC.")]
Source = Annotated[str, Parameter(description="Reader: openai, anthropic, aws, azure, focus, gcp, openrouter, csv, or auto.")]
Name = Annotated[str, Parameter(query="name", max_length=200, description="Name of the file, for people.")]


class BookedRates(Struct, forbid_unknown_fields=True):
    """fx: USD for one unit of a currency, as decimal text, at the rate of your books: {"EUR": "1.08"}."""

    fx: dict[str, str] = field(default_factory=dict)


@post(
    "/bills/{source:str}",
    sync_to_thread=True,
    operation_class=raw_body("application/json", "text/csv", "application/octet-stream"),
    tags=TAGS,
)
def send_bill(
    request: Request[Actor, Any, Any], ctx: Context, actor: Actor, source: Source, body: bytes, name: Name = "bill"
) -> ImportedBills:
    """One file of a bill, as the provider gave it, gzip or not. The same bytes again change nothing. Role finance or admin."""
    plain = unpack(body, request.headers.get("content-encoding", ""), ctx.settings.max_body_bytes)
    if not plain:
        raise Invalid("the body is empty")
    return cast("ImportedBills", {"bills": import_bills(ctx, actor, source, [Payload(uri=re.sub(r"[^\w. -]", "_", name), body=plain)])})


@get("/bills", sync_to_thread=True, tags=TAGS)
def all_bills(ctx: Context, limit: Limit, cursor: Cursor) -> Annotated[Slice[BillDocument], named("BillSlice")]:
    """Imports, newest first."""
    return slice_of(list_bills(ctx), lambda one: str(one["id"]), limit=limit, cursor=cursor)


@get("/bills/{bill:str}", sync_to_thread=True, tags=TAGS)
def one_bill(ctx: Context, bill: str) -> BillWithLines:
    """One import with its lines and the rows that were not understood."""
    return cast("BillWithLines", show_bill(ctx, bill))


@post("/periods/{month:str}/reconcile", status_code=200, sync_to_thread=True, tags=TAGS)
def reconcile_month(ctx: Context, actor: Actor, month: Month, data: BookedRates) -> ReconciliationResult:
    """Compare the month with every stored bill of it: net and gross error, bridge, keys. Role finance or admin."""
    return cast(
        "ReconciliationResult", reconcile_period(ctx, actor, month, booked={name: rate_of(name, text) for name, text in data.fx.items()})
    )


@get("/periods/{month:str}/reconciliation", sync_to_thread=True, tags=TAGS)
def newest_result(ctx: Context, month: Month) -> ReconciliationResult:
    """The newest comparison of the month; 404 before the first."""
    found = latest(ctx, month)
    if found is None:
        raise NotFound(f"{month} was not compared with a bill yet", hint="send bills, then POST /api/v1/periods/MONTH/reconcile")
    return cast("ReconciliationResult", found)


def rate_of(name: str, text: str) -> Decimal:
    try:
        rate = Decimal(text)
    except InvalidOperation:
        rate = Decimal(0)
    if not re.fullmatch(r"[A-Z]{3}", name) or name == "USD" or not rate.is_finite() or rate <= 0:
        raise Invalid(f"fx: {name[:10]}: {text[:40]!r} is not a rate", hint='write {"EUR": "1.08"}: USD for one euro')
    return rate


ROUTES = [send_bill, all_bills, one_bill, reconcile_month, newest_result]
