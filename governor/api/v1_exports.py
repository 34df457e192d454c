"""`/api/v1/periods/.../exports`: a month in the format of another system, its digest and its control totals. Nothing is sent anywhere.

Owns: the three answers of one export. Does not own: formats and permission (export_month). Invariants: the same month and format, the same bytes as
`governor period export` writes; an accrual needs the role it needs there.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from litestar import Response, get
from litestar.params import Parameter

from governor.actions.context import Actor, Context
from governor.actions.export_month import Exported, exported, formats_known
from governor.api.bodies import ANY, download, raw_answer

TAGS: Final = ["periods"]
Month = Annotated[str, Parameter(pattern=r"^\d{4}-\d{2}$", description="Calendar month of the billing zone, YYYY-MM.")]
Format = Annotated[str, Parameter(pattern=r"^[a-z0-9][a-z0-9.-]{0,40}$", description="A name of `/api/v1/export-formats`.")]
Parquet = Annotated[bool, Parameter(query="parquet", description="FOCUS as Parquet.")]
Accrual = Annotated[
    bool,
    Parameter(
        query="accrual",
        description="The accrual of the soft close, as a journal with its reversal. Role finance or admin; 409 before the soft close.",
    ),
]


@get("/export-formats", sync_to_thread=True, tags=TAGS)
def list_formats() -> dict[str, Any]:
    """The formats a month can be fetched in; `mapping` is the file a journal or usage event is printed through, null for FOCUS."""
    return {"items": [{"name": name, "mapping": text or None} for name, text in formats_known().items()]}


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
) -> dict[str, Any]:
    """Records and sums, read back from what was printed, with the file's name and digest."""
    return exported(ctx, actor, month, name, parquet=parquet, accrual=accrual).control


def digest_of(made: Exported) -> dict[str, str]:
    return {"Governor-SHA256": made.sha256, "ETag": f'"{made.sha256}"'}


ROUTES = [list_formats, fetch, fetch_digest, show_control]
