"""`focus check`: read a FOCUS file and the statement beside it, and ask the checker that is installed.

Owns: which files are read, size limits. Does not own: the rules (reports.focus_check, found by entry point). Invariants: reads only; needs no home.
"""

from __future__ import annotations

import importlib.metadata
import json
import re
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final

from governor.errors import Invalid, NotFound, TooLarge, Unavailable

LIMIT: Final = 1 << 30


def check_focus(file: Path, statement: Path | None = None, total: str | None = None) -> dict[str, Any]:
    """{"file","statement","ok","problems":[{"row","column","what"}]}. Raises NotFound, TooLarge, Invalid for what cannot be read as asked."""
    body = _read(file)
    if total is not None:
        try:
            Decimal(total)
        except InvalidOperation:
            raise Invalid(f"--total {total!r} is not a decimal") from None
    beside = statement or _beside(file)
    document = None
    if beside is not None:
        try:
            document = json.loads(_read(beside))
        except ValueError:
            raise Invalid(f"{beside} is not JSON", hint="give the month's statement-MONTH.json") from None
        if not isinstance(document, dict) or "cost_centers" not in document:
            raise Invalid(f"{beside} is not a month's statement", hint="give the month's statement-MONTH.json")
    problems = _checker()(body, document, total)
    return {
        "file": str(file),
        "statement": str(beside) if beside else None,
        "ok": not problems,
        "problems": [{"row": one.row, "column": one.column, "what": one.what} for one in problems],
    }


def _beside(file: Path) -> Path | None:
    """The statement of the same month in the same folder."""
    month = re.search(r"\d{4}-\d{2}", file.name)
    found = file.parent / f"statement-{month[0]}.json" if month else None
    return found if found is not None and found.is_file() else None


def _read(file: Path) -> bytes:
    if not file.is_file():
        raise NotFound(f"no file {file}")
    if file.stat().st_size > LIMIT:
        raise TooLarge(f"{file} is larger than {LIMIT >> 20} MiB")
    return file.read_bytes()


def _checker() -> Any:
    for point in importlib.metadata.entry_points(group="governor.checks", name="focus"):
        return point.load()
    raise Unavailable("no checker of FOCUS files is installed", hint="reinstall workflow-model-governor")
