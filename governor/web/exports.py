"""A closed month for other systems, from its page: a file in each format with its digest, as `governor period export` writes them.

Owns: the list of formats in words, the two downloads. Does not own: formats, bytes, who may (export_month). Invariants: what a page hands out is what the
command writes; an accrual is offered to those who may make one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated
from urllib.parse import quote

from litestar import Response, get
from litestar.params import Parameter

from governor.actions.context import Actor, Context
from governor.actions.export_month import exported, formats_described
from governor.web.attached import attached

Flag = Annotated[bool, Parameter(query="parquet")]
Accrual = Annotated[bool, Parameter(query="accrual")]


@dataclass(frozen=True)
class ExportRow:
    """path: the file; digest: its `.sha256`; both empty where customers must be named first. name: the format, and what tells two files of it apart."""

    name: str
    words: str
    path: str
    digest: str


def export_rows(month: str, *, accrual: bool = False) -> list[ExportRow]:
    """What can be fetched of a closed month; with `accrual`, of the soft close."""
    rows = []
    for name, found in formats_described().items():
        if accrual and found.records != "journal":
            continue
        if found.needs_customers:
            rows.append(ExportRow(name, found.about, "", ""))
            continue
        base = f"/periods/{month}/exports/{quote(name, safe='')}"
        words = f"{found.about} as CSV" if found.records == "focus" else found.about
        query = "?accrual=true" if accrual else ""
        shown = f"{name}.csv" if found.records == "focus" else name
        rows.append(ExportRow(shown, words, base + query, f"{base}/sha256{query}"))
        if found.records == "focus":
            rows.append(ExportRow(f"{name}.parquet", f"{found.about} as Parquet", f"{base}?parquet=true", f"{base}/sha256?parquet=true"))
    return rows


@get("/periods/{month:str}/exports/{name:str}", sync_to_thread=True)
def fetch(ctx: Context, actor: Actor, month: str, name: str, parquet: Flag = False, accrual: Accrual = False) -> Response[bytes]:
    made = exported(ctx, actor, month, name, parquet=parquet, accrual=accrual)
    return attached(made.body, made.media_type, made.name, made.sha256)


@get("/periods/{month:str}/exports/{name:str}/sha256", sync_to_thread=True)
def fetch_digest(ctx: Context, actor: Actor, month: str, name: str, parquet: Flag = False, accrual: Accrual = False) -> Response[bytes]:
    made = exported(ctx, actor, month, name, parquet=parquet, accrual=accrual)
    return attached(made.checksum, "text/plain", f"{made.name}.sha256", made.sha256)


ROUTES = [fetch, fetch_digest]
