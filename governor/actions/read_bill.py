"""Which reader a bill is for, and its files through that reader.

Owns: finding readers by entry point, detection, files and their digests. Does not own: formats (connectors/bills), storing (import_bill.py).
Invariants: a file nobody recognises is refused with the names there are; the same bytes twice are read once.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from governor.actions.payloads import HEAD_BYTES, SURE, files_of
from governor.chargeback.reconciliation.bill import BillLine
from governor.errors import Invalid, NotFound
from governor.ports import BillReader, Payload

AUTO: Final = "auto"


@dataclass
class ReadBill:
    """Files of one source. `rejected`: {"file", "row", "field", "reason"}."""

    source: str
    files: list[dict[str, Any]] = field(default_factory=list)
    lines: list[BillLine] = field(default_factory=list)
    rejected: list[dict[str, Any]] = field(default_factory=list)
    skipped: dict[str, int] = field(default_factory=dict)


def installed() -> dict[str, EntryPoint]:
    """Readers by name; none is loaded."""
    return {found.name: found for found in sorted(entry_points(group="governor.bills"), key=lambda found: found.name)}


def reader_named(name: str) -> BillReader:
    known = installed()
    if name not in known:
        raise NotFound(f"no reader of bills {name!r}", hint=f"installed: {', '.join(known)}; or `auto` to detect")
    found: BillReader = known[name].load()
    return found


def recognised(payload: Payload) -> BillReader:
    """The reader that is surest. Raises Invalid when none is sure."""
    head = head_of(payload)
    found = max((entry.load() for entry in installed().values()), key=lambda reader: float(reader.detect(head, payload.uri)), default=None)
    if found is None or found.detect(head, payload.uri) < SURE:
        raise Invalid(f"no reader of bills recognises {payload.uri}", hint=f"name it: {', '.join(installed())}")
    reader: BillReader = found
    return reader


def head_of(payload: Payload) -> bytes:
    """What readers are shown: how a file begins; of Parquet, which names its columns at its end, the line of their names."""
    if payload.body is not None:
        head = payload.body[:HEAD_BYTES]
    elif payload.path is not None:
        with payload.path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    else:
        return b""
    if head.startswith(b"PAR1"):
        with suppress(pa.ArrowInvalid, OSError):  # the reader says what is wrong with it
            return ",".join(pq.read_schema(payload.path or io.BytesIO(payload.body or b"")).names).encode()
    return head


def payloads_of(words: Iterable[str]) -> list[Payload]:
    """Local files, folders and globs."""
    names = files_of(list(words))
    remote = next((name for name in names if "://" in name), None)
    if remote:
        raise Invalid(f"{remote}: a bill is read from a local file", hint="fetch it first")
    return [Payload(uri=Path(name).name, path=Path(name)) for name in names]


def read_bills(source: str, payloads: Iterable[Payload]) -> list[ReadBill]:
    """One ReadBill per reader. Raises NotFound for an unknown reader, Invalid for a file that cannot be read or holds no line of a model bill."""
    found: dict[str, ReadBill] = {}
    seen: set[str] = set()
    for payload in payloads:
        reader = recognised(payload) if source == AUTO else reader_named(source)
        body = payload.body if payload.body is not None else payload.path.read_bytes() if payload.path else b""
        sha256 = hashlib.sha256(body).hexdigest()
        if sha256 in seen:
            continue
        seen.add(sha256)
        bill = reader.read(payload)
        into = found.setdefault(reader.name, ReadBill(reader.name))
        into.files.append({"name": payload.uri, "sha256": sha256, "bytes": len(body)})
        into.lines += bill.lines
        into.rejected += [{"file": payload.uri, **one.record()} for one in bill.rejected]
        for name, count in bill.skipped.items():
            into.skipped[name] = into.skipped.get(name, 0) + count
        if not bill.lines and bill.rejected:
            first = bill.rejected[0]
            raise Invalid(
                f"{payload.uri}: no row was understood; row {first.row}: {first.field} {first.reason}",
                hint=f"it was read as {reader.name}; name another reader: {', '.join(installed())}",
            )
    for read in found.values():
        if not read.lines:
            names, others = ", ".join(file["name"] for file in read.files), sum(read.skipped.values())
            words = f"{others:,} of other products were skipped" if others else "there is no row"
            raise Invalid(f"{names}: no line of a model bill; {words}", hint="export the whole month, with a row for each model")
    return list(found.values())
