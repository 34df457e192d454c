"""Mapped connectors for flat records: before the mapping, a record gets members that SQL works out from it.

Owns: the splice, one for one and columnar. Does not own: which members (each connector), the mapping.
Invariants: the record keeps its own text, members are put in front of it; a record that is no JSON object passes as it came, to be refused with
its reason; nothing but numbers gets into `numbers`, so no secret can.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from collections.abc import Mapping as Names
from dataclasses import replace
from typing import Any, Final

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from connectors.engine import engine_for_json
from connectors.mapping import MappedConnector
from connectors.mapping.document import Mapping
from connectors.payloads import Records
from governor.ports import Payload

_OWN: Final = threading.local()  # an engine costs 15 ms, and a source may give one record per file
_ENTRIES: Final = "map_entries(json_transform({0}, '\"MAP(VARCHAR, JSON)\"'))"
_NUMBER: Final = "TRY_CAST(e.value ->> '$' AS DOUBLE) IS NOT NULL"


def _object(source: str, keep: str) -> str:
    """Text of an object with some of the members of another. It may repeat a name, as its source does."""
    pairs = f"list_transform(list_filter({_ENTRIES.format(source)}, lambda e: {keep}), lambda e: to_json(e.key)::VARCHAR || ':' || e.value::VARCHAR)"
    return f"'{{' || array_to_string({pairs}, ',') || '}}'"


def numbers(source: str) -> str:
    """The members that are numbers: token counts, units, prices, also those that no column has yet."""
    return _object(source, _NUMBER)


def others(source: str, mappings: Sequence[Mapping]) -> str:
    """The plain members that are neither numbers nor read into a column."""
    known = {path.rsplit(".", 1)[-1] for mapping in mappings for take in mapping.columns.values() for path in take.paths}
    listed = ", ".join(f"'{name}'" for name in sorted(known))
    return _object(source, f"json_type(e.value) IN ('VARCHAR', 'BOOLEAN') AND NOT ({_NUMBER}) AND e.key NOT IN ({listed})")


class SplicedConnector(MappedConnector):
    """members: name -> SQL over the record `r` that gives JSON text. listed: the member in which a document keeps its list of records."""

    def __init__(self, name: str, mappings: Sequence[Mapping], members: Names[str, str], listed: str = "") -> None:
        super().__init__(name, mappings)
        pairs = " || ',' || ".join(f"'\"{key}\":' || coalesce({text}, 'null')" for key, text in members.items())
        spliced = f"'{{' || {pairs} || ',' || substr(json(r)::VARCHAR, 2)"
        objects = "SELECT CASE WHEN json_valid(line) AND len(json_keys(line)) > 0 THEN line::JSON END AS r FROM arrived"
        self._sql = f"SELECT {spliced} AS made FROM ({objects})"
        if listed:  # a page is one text with its records changed inside, a bare record is changed itself: never both, so no time is lost
            one = f"CASE WHEN len(json_keys(r)) > 0 THEN {spliced} ELSE coalesce(r::VARCHAR, '\"null\"') END"
            each = f"array_to_string(list_transform(from_json(page -> '$.{listed}', '[\"JSON\"]'), lambda r: {one}), ',')"
            paged = f"json_type(r, '$.{listed}') = 'ARRAY'"
            sorted_out = (
                f"SELECT CASE WHEN {paged} THEN r END AS page, CASE WHEN NOT coalesce({paged}, false) THEN r END AS r FROM ({objects})"
            )
            self._sql = f"SELECT coalesce('{{\"{listed}\":[' || {each} || ']}}', {spliced}) AS made FROM ({sorted_out})"

    def _records(self, payload: Payload) -> Iterator[Records]:
        for chunk in super()._records(payload):
            yield replace(chunk, values=self._spliced(chunk.values))

    def _spliced(self, values: Any) -> Any:
        if not hasattr(_OWN, "engine"):
            _OWN.engine = engine_for_json()
        engine: duckdb.DuckDBPyConnection = _OWN.engine
        engine.register("arrived", pa.table({"line": _texts(values)}))
        try:
            made = engine.execute(self._sql).to_arrow_table()["made"]
        finally:
            engine.unregister("arrived")
        found = pc.coalesce(made.cast(pa.large_string()).cast(pa.large_binary()), values)
        return found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found


def _texts(values: Any) -> Any:
    """Records as text; one that is not UTF-8 is null here and refused later."""
    try:
        return values.cast(pa.large_string())
    except pa.ArrowInvalid:
        return pa.array([_text(value.as_py()) for value in values], pa.large_string())


def _text(value: bytes) -> str | None:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return None
