"""`/api/v1/periods/.../exports`: a month in the format of another system, its digest and its control totals. Nothing is sent anywhere.

Owns: the three answers of one export. Does not own: formats and permission (export_month). Invariants: the same month and format, the same bytes as
`governor period export` writes; an accrual needs the role it needs there.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, TypedDict, cast

from litestar import Request, Response, get, post
from litestar.params import Parameter

from governor.actions.context import Actor, Context
from governor.actions.export_month import Exported, exported, formats_described, formats_known
from governor.api.bearer import ASKS
from governor.api.bodies import ANY, download, raw_answer, raw_body, unpack
from governor.api.idempotency import REPEATABLE
from governor.api.month_answers import ControlTotals
from governor.api.months import Month
from governor.api.slices import Items, named
from governor.errors import Invalid

TAGS: Final = ["periods"]
LARGEST: Final = 1 << 20
YAML: Final = ("application/json", "application/yaml")
Format = Annotated[str, Parameter(pattern=r"^[a-z0-9][a-z0-9.-]{0,40}$", description="A name of `/api/v1/export-formats`.")]
Parquet = Annotated[bool, Parameter(query="parquet", description="FOCUS as Parquet.")]
Accrual = Annotated[
    bool,
    Parameter(
        query="accrual",
        description="The accrual of the soft close, as a journal with its reversal. Role finance or admin; 409 before the soft close.",
    ),
]


class FormatRow(TypedDict):
    """mapping: the file a journal or usage event is printed through, null for FOCUS. needs_customers: 422 until yours names the customers."""

    name: str
    about: str
    records: str
    needs_customers: bool
    mapping: str | None


@get("/export-formats", sync_to_thread=True, tags=TAGS)
def list_formats() -> Annotated[Items[FormatRow], named("FormatItems")]:
    """The formats a month can be fetched in; `mapping` is the file a journal or usage event is printed through, null for FOCUS.

    `needs_customers`: it answers 422 until a mapping file of your own names the customer of each cost center.
    """
    found = formats_described()
    return {
        "items": [
            {
                "name": name,
                "about": found[name].about,
                "records": found[name].records,
                "needs_customers": found[name].needs_customers,
                "mapping": text or None,
            }
            for name, text in formats_known().items()
        ]
    }


@get("/periods/{month:str}/exports/{name:str}", sync_to_thread=True, tags=TAGS, operation_class=raw_answer(ANY))
def fetch(ctx: Context, actor: Actor, month: Month, name: Format, parquet: Parquet = False, accrual: Accrual = False) -> Response[bytes]:
    """A closed month in this format, the same bytes for ever; 404 while it is open."""
    made = exported(ctx, actor, month, name, parquet=parquet, accrual=accrual)
    return download(made.body, made.media_type, made.name, **digest_of(made))


@get("/periods/{month:str}/exports/{name:str}/sha256", sync_to_thread=True, tags=TAGS, operation_class=raw_answer("text/plain"))
def fetch_digest(
    ctx: Context, actor: Actor, month: Month, name: Format, parquet: Parquet = False, accrual: Accrual = False
) -> Response[bytes]:
    """The file's digest, as `sha256sum -c` reads it."""
    made = exported(ctx, actor, month, name, parquet=parquet, accrual=accrual)
    return download(made.checksum, "text/plain", f"{made.name}.sha256")


@get("/periods/{month:str}/exports/{name:str}/control", sync_to_thread=True, tags=TAGS)
def show_control(
    ctx: Context, actor: Actor, month: Month, name: Format, parquet: Parquet = False, accrual: Accrual = False
) -> ControlTotals:
    """Records and sums, read back from what was printed, with the file's name and digest."""
    return cast("ControlTotals", exported(ctx, actor, month, name, parquet=parquet, accrual=accrual).control)


@post(
    "/periods/{month:str}/exports",
    status_code=200,
    sync_to_thread=True,
    tags=TAGS,
    operation_class=raw_body(*YAML, answers=(ANY,)),
    opt={ASKS: True, REPEATABLE: True},
)
def fetch_own(
    request: Request[Actor, Any, Any], ctx: Context, actor: Actor, month: Month, body: bytes, accrual: Accrual = False
) -> Response[bytes]:
    """A closed month through your own mapping file, which is the body (YAML, at most 1 MiB). Nothing is stored; the same file gives the same bytes."""
    made = exported(ctx, actor, month, "", mapping=mapping_of(request, body), accrual=accrual)
    return download(made.body, made.media_type, made.name, **digest_of(made))


@post(
    "/periods/{month:str}/exports/control",
    status_code=200,
    sync_to_thread=True,
    tags=TAGS,
    operation_class=raw_body(*YAML),
    opt={ASKS: True, REPEATABLE: True},
)
def try_own(
    request: Request[Actor, Any, Any], ctx: Context, actor: Actor, month: Month, body: bytes, accrual: Accrual = False
) -> ControlTotals:
    """What your own mapping file (the body) would give: records, sums, name and digest, without the file."""
    return cast("ControlTotals", exported(ctx, actor, month, "", mapping=mapping_of(request, body), accrual=accrual).control)


def mapping_of(request: Request[Actor, Any, Any], body: bytes) -> str:
    """Raises TooLarge, Invalid."""
    plain = unpack(body, request.headers.get("content-encoding", ""), LARGEST)
    if not plain:
        raise Invalid("the body is empty: it is the mapping file", hint="`GET /api/v1/export-formats` has the shipped ones to start from")
    try:
        return plain.decode()
    except UnicodeDecodeError:
        raise Invalid("the body is not UTF-8 text: it is the mapping file, as YAML") from None


def digest_of(made: Exported) -> dict[str, str]:
    return {"Governor-SHA256": made.sha256, "ETag": f'"{made.sha256}"'}


ROUTES = [list_formats, fetch, fetch_digest, show_control, fetch_own, try_own]
