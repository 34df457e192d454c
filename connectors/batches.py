"""Arrow tables in the shapes of ports.Batch.

Owns: empty tables, the reject table, casting to a declared schema. Does not own: the schemas (governor.calls).
Invariants: what comes out has exactly the declared schema, field metadata included.
"""

from __future__ import annotations

from typing import Any, Final

import pyarrow as pa

from governor.calls import CALL_SCHEMA, CONTENT_SCHEMA, REJECT_SCHEMA, SPAN_SCHEMA
from governor.ports import Batch

_RAW_LIMIT: Final = 1 << 20


def empty_batch() -> Batch:
    return Batch(
        calls=CALL_SCHEMA.empty_table(),
        rejected=REJECT_SCHEMA.empty_table(),
        spans=SPAN_SCHEMA.empty_table(),
        content=CONTENT_SCHEMA.empty_table(),
    )


def schema_table(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """`table` in the order and types of `schema`; a column it lacks is null."""
    present = set(table.column_names)
    columns = [table[f.name].cast(f.type) if f.name in present else pa.nulls(len(table), f.type) for f in schema]
    return pa.Table.from_arrays(columns, schema=schema)


def rejects(uris: Any, rows: Any, reasons: Any, raw: Any) -> pa.Table:
    """raw: the records as received; a line keeps no newline, and no more than 1 MiB is kept."""
    if not len(rows):
        return REJECT_SCHEMA.empty_table()
    received = raw.to_pylist() if isinstance(raw, (pa.Array, pa.ChunkedArray)) else raw
    cut = pa.array([value[:_RAW_LIMIT].rstrip(b"\r\n") for value in received], pa.binary())
    table = pa.table({"ingest_uri": uris, "ingest_row": rows, "reason": reasons, "raw": cut})
    return schema_table(table, REJECT_SCHEMA)
