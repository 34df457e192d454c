"""`period export`: a month in the format of another system, as a file with its digest and control totals. Nothing is sent anywhere.

Owns: which document is exported (the sealed one of a closed month; for an accrual the one its soft close recorded), writing the three files. Does not own:
formats and mappings (reports, found by entry point), the close, the soft close. Invariants: reads only; a month is exported from the bytes that were
recorded: the same file for ever.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from governor.actions.accruals import accrual_document
from governor.actions.close_period import closed_files
from governor.actions.context import Actor, Context
from governor.errors import Invalid, NotFound, Unavailable, WrongState
from governor.ledger.canonical import canonical_json, sha256_hex
from governor.ports import Format, MonthPrinter, Printed
from governor.store.whole_file import write_whole


def export_month(
    ctx: Context, actor: Actor, month: str, name: str, *, out: Path | None = None, mapping: str | None = None, accrual: bool = False
) -> dict[str, Any]:
    """{"period","format","file","bytes","sha256","control"}. out: a file, or a folder for MONTH-FORMAT.

    Raises NotFound for an open month, WrongState for the accrual of a month that is not soft closed, Invalid.
    """
    parquet = out is not None and out.suffix == ".parquet"
    folder = out is not None and out.is_dir()
    given = out.name if out is not None and not folder else ""
    made = exported(ctx, actor, month, name, mapping=mapping, accrual=accrual, parquet=parquet, file=given)
    file = Path(made.name) if out is None else out / made.name if folder else out
    if not file.parent.is_dir():
        raise NotFound(f"no folder {file.parent}")
    write_whole(file, made.body)
    write_whole(file.with_name(f"{file.name}.sha256"), made.checksum)
    write_whole(file.with_name(f"{file.name}.control.json"), canonical_json(made.control) + b"\n")
    return {
        "period": month,
        "format": made.format,
        "file": str(file),
        "bytes": len(made.body),
        "sha256": made.sha256,
        "control": made.totals,
    }


@dataclass(frozen=True)
class Exported:
    """A file and what stands beside it. totals: what was counted and summed; control: these with the file's name and digest."""

    name: str
    format: str
    media_type: str
    body: bytes
    sha256: str
    totals: dict[str, Any]
    control: dict[str, Any]

    @property
    def checksum(self) -> bytes:
        """The line that `sha256sum -c` reads."""
        return f"{self.sha256}  {self.name}\n".encode()


def exported(
    ctx: Context,
    actor: Actor,
    month: str,
    name: str,
    *,
    mapping: str | None = None,
    accrual: bool = False,
    parquet: bool = False,
    file: str = "",
) -> Exported:
    """The month in a format, nothing written. file: another name than MONTH-FORMAT. Raises as export_month does."""
    printed = print_month(ctx, actor, month, name, mapping=mapping, accrual=accrual, parquet=parquet)
    label = str(printed.control["format"])
    file = file or f"{month}-{label}{'-accrual' if accrual else ''}.{printed.suffix}"
    digest = sha256_hex(printed.body)
    control = {"schema": "governor.control/v1", "period": month, "file": file, "sha256": digest, **printed.control}
    return Exported(file, label, printed.media_type, printed.body, digest, dict(printed.control), control)


def print_month(
    ctx: Context, actor: Actor, month: str, name: str, *, mapping: str | None = None, accrual: bool = False, parquet: bool = False
) -> Printed:
    """The bytes, without writing them."""
    if accrual:
        actor.require("finance", "admin")
    if not name and mapping is None:
        raise Invalid("name a format", hint=f"one of {', '.join(formats_known())}, or a mapping file of your own")
    document = accrual_document(ctx, month) if accrual else sealed_document(ctx, month)
    return printer()(document, name, mapping=mapping, accrual=accrual, parquet=parquet)


def sealed_document(ctx: Context, month: str) -> dict[str, Any]:
    """The statement document that the close of the month sealed."""
    try:
        _, files = closed_files(ctx, month)
    except NotFound:
        raise NotFound(
            f"{month} is not closed",
            hint=f"`governor period close {month}`; before that, `governor period soft-close {month}` books an accrual",
        ) from None
    body = next(file.body for file in files if file.name == f"statement-{month}.json")
    return cast(dict[str, Any], json.loads(body))


def formats_known() -> dict[str, str]:
    """Format -> its mapping file; empty for FOCUS."""
    return cast(dict[str, str], _module().formats())


def formats_described() -> dict[str, Format]:
    """Format -> what it is, in the words of its mapping file."""
    return cast(dict[str, Format], _module().described())


def start_mapping(name: str, cost_centers: Sequence[str]) -> str:
    """A mapping file to fill in for one of the shipped targets. Raises Invalid."""
    known = [one for one, text in formats_known().items() if text]
    if name not in known:
        raise Invalid(f"no mapping file {name!r} is shipped", hint=f"one of {', '.join(known)}")
    return cast(str, _module().start(name, cost_centers))


def cost_centers_of(ctx: Context, month: str) -> list[str]:
    """Whom the closed or accrued month charges; empty before both."""
    for found in (sealed_document, accrual_document):
        try:
            return [one["id"] for one in found(ctx, month)["cost_centers"]]
        except (NotFound, WrongState):
            continue
    return []


def printer() -> MonthPrinter:
    return cast(MonthPrinter, _point().load())


def _module() -> ModuleType:
    return importlib.import_module(_point().value.split(":")[0])


def _point() -> importlib.metadata.EntryPoint:
    for point in importlib.metadata.entry_points(group="governor.outputs", name="month"):
        return point
    raise Unavailable("no printer of month formats is installed", hint="reinstall workflow-model-governor")
