"""How the answer about a day changes when calls came to it, where it is a sum over keys: the keys that came are looked at alone.

Owns: which rows belong to the keys that new files brought, their answer now and before. Does not own: the kept answer it is added to (lake_slices.py).
Invariants: all rows of such a key are looked at, whichever file they are in; each other key says what it said.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import duckdb
import pyarrow as pa

from governor.store.lake_attach import literal
from governor.store.lake_files import stored_at

TIED: Final = "tied_calls"


@dataclass(frozen=True)
class Meets:
    """A question whose answer is a sum over keys, each of which says the same whatever the others do; its SQL has a column `{sign}`.

    key: SQL of what at least a call's key depends on; columns: all that the question looks at; sound: whether an answer with rows of sign -1 says enough.
    """

    key: str
    columns: Sequence[str]
    sound: Callable[[pa.Table], bool] = lambda _answer: True


def met(
    connection: duckdb.DuckDBPyConnection,
    snapshot: int,
    meets: Meets,
    query: Callable[..., str],
    start: datetime,
    end: datetime,
    paths: Sequence[str],
) -> list[pa.Table]:
    """The answers about the keys that the files brought in [start, end): with them, and, to be taken off, of what was there before them."""
    bounds = {"start": start, "end": end}
    within = "start_time >= $start AND start_time < $end"
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE came AS SELECT DISTINCT {meets.key} AS key FROM {stored_at(snapshot, paths)} WHERE {within}", bounds
    )
    tied = f"FROM {stored_at(snapshot)} WHERE {within} AND {meets.key} IN (SELECT key FROM came)"
    near = connection.execute(f"SELECT min(start_time)::VARCHAR, max(start_time)::VARCHAR {tied}", bounds).fetchone()
    # the other columns are read only of the time in which the keys were met
    connection.execute(
        f"""CREATE OR REPLACE TEMP TABLE {TIED} AS
            SELECT {", ".join(meets.columns)}, filename IN ({", ".join(map(literal, paths))}) AS fresh {tied}
                AND start_time BETWEEN $first::TIMESTAMPTZ AND $last::TIMESTAMPTZ""",
        {**bounds, "first": near and near[0], "last": near and near[1]},
    )
    return [
        connection.execute(query(start, end, (), calls=calls, sign=sign), bounds).to_arrow_table()
        for sign, calls in ((1, TIED), (-1, f"(FROM {TIED} WHERE NOT fresh)"))
    ]
