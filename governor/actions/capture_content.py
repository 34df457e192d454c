"""Bodies on their way in: each call's capture mode decides what is stored, and the call says what was.

Owns: mode per call (its workflow's, else the default of an unknown workflow), which records are archived as they came, the change of the call's
content columns; records that are refused are sealed. Does not own: what a mode keeps (store/capture.py), how bodies are kept (store/content.py).
Invariants: bodies are durable before the lake commits, so a committed call never points at nothing; where nothing may be kept, the hash is not
kept either; a record holds its prompt, so it is archived only where every call in it may be kept in full; one object per body only where it is redacted.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any, Final

import duckdb
import numpy as np
import pyarrow as pa

from governor.actions.context import Context
from governor.actions.load_catalog import catalog_as_of
from governor.attribution import attribute, rule_fields, rules_of
from governor.calls import CALL_SCHEMA, CONTENT_SCHEMA, REJECT_SCHEMA
from governor.ports import Batch
from governor.store.capture import capture
from governor.store.content_pack import Bodies
from governor.store.lake_facts import key_expression

COLUMNS: Final = ("content_state", "input_sha256", "output_sha256", "replayable", "replay_blockers", "tools_sha256")
# `found`: the captured bodies (place, record_id, kind, rank: 0 full, 1 redacted, 2 hashed, 3 absent; sha256, held). `calls` has `place` as well.
DESCRIBED: Final = """
WITH last AS (SELECT record_id, kind, arg_max(struct_pack(rank := rank, sha256 := sha256, held := held), place) AS one FROM found GROUP BY ALL),
kept AS (SELECT record_id, max(one.rank) AS weakest, any_value(one) FILTER (kind = 'input') AS asked, any_value(one) FILTER (kind = 'output') AS answered
    FROM last GROUP BY record_id),
joined AS (SELECT c.*, k.weakest, k.asked, k.answered, k.record_id IS NOT NULL AS told, coalesce(k.asked.held, false) AS has_input
    FROM calls c LEFT JOIN kept k USING (record_id))
SELECT
    CASE WHEN NOT told OR (weakest < 2 AND content_state = 'truncated') THEN content_state
        ELSE ['full', 'redacted', 'hashed', 'absent'][weakest + 1] END AS content_state,
    CASE WHEN told THEN asked.sha256 ELSE input_sha256 END AS input_sha256,
    CASE WHEN told THEN answered.sha256 ELSE output_sha256 END AS output_sha256,
    CASE WHEN told AND NOT has_input THEN false ELSE replayable END AS replayable,
    CASE WHEN told AND NOT has_input THEN list_sort(list_distinct(list_append(coalesce(replay_blockers, []), 'no_content')))
        ELSE replay_blockers END AS replay_blockers,
    CASE WHEN told AND asked.sha256 IS NULL THEN NULL ELSE tools_sha256 END AS tools_sha256
FROM joined ORDER BY place
"""
MODES: Final = {"full": 0, "redacted": 1, "hashed": 2, "off": 3}  # by how little they keep; the rank of what they make of a body
FULL, REDACTED, NOTHING = MODES["full"], MODES["redacted"], MODES["off"]


class ContentCapture:
    """Applies the catalog of today to batches; one per ingest, so that equal keys are attributed once."""

    def __init__(self, ctx: Context) -> None:
        self._content = ctx.content
        self._catalog = catalog_as_of(ctx)
        self._rules = rules_of(self._catalog)
        self._fields = rule_fields(self._rules)
        self._modes: dict[tuple[str | None, ...], int] = {}

    @property
    def wanted(self) -> bool:
        """Whether bodies are to be read at all: some call's may be kept, be it as its hash."""
        return any(MODES[self._catalog.capture(workflow)] < NOTHING for workflow in (None, *self._catalog.workflows))

    def apply(self, batch: Batch) -> Batch:
        """Store what may be stored; give the batch back with its calls saying so and without bodies."""
        calls, archived = batch.calls, self._archived(batch)
        if batch.content.num_rows or archived is not None:
            with self._engine.cursor() as engine:  # what is registered goes with it
                modes = self._modes_of(engine, calls)
                if archived is not None and batch.received is not None:
                    calls = self._archive(calls, np.flatnonzero(archived), modes, batch.received)
                if batch.content.num_rows:
                    calls = _described(engine, calls, self._kept(engine, calls, modes, batch.content))
        return Batch(calls=calls, rejected=self._sealed(batch.rejected), spans=batch.spans, content=CONTENT_SCHEMA.empty_table())

    def _sealed(self, rejected: pa.Table) -> pa.Table:
        """Whose a record is that cannot be read, nobody knows: no mode may show it."""
        raw = pa.array([None if one is None else self._content.seal(one) for one in rejected["raw"].to_pylist()], pa.binary())
        return rejected.set_column(rejected.schema.get_field_index("raw"), REJECT_SCHEMA.field("raw"), raw)

    @cached_property
    def _engine(self) -> duckdb.DuckDBPyConnection:
        return duckdb.connect()  # takes as long as a hundred records, so not one for each batch

    def _archived(self, batch: Batch) -> Any:
        """Which rows are of a source whose records are archived; None where none is."""
        if batch.received is None or not batch.calls.num_rows:
            return None
        sources = batch.calls["source_instance"].combine_chunks().dictionary_encode()
        wanted = [self._catalog.archive(source) == "full" for source in [*sources.dictionary.to_pylist(), None]]
        found = np.array(wanted)[sources.indices.fill_null(len(wanted) - 1).to_numpy(zero_copy_only=False)]
        return found if found.any() else None

    def _archive(self, calls: pa.Table, rows: Any, modes: Any, received: Callable[[Any], tuple[Any, Any]]) -> pa.Table:
        """Keep the records of these rows as they came, but none that a call shares whose content may not be kept in full."""
        records, codes = received(rows)
        may = np.ones(len(records), dtype=bool)
        may[codes[modes[rows] != FULL]] = False
        may &= records.is_valid().to_numpy()
        places = np.flatnonzero(may)
        if not len(places):
            return calls
        chosen = records if len(places) == len(records) else records.take(places)
        bodies = Bodies.of(chosen.combine_chunks()).trimmed()
        addresses = bodies.digests()
        self._content.put_bodies(addresses, bodies)
        of_record = np.full(len(records), -1)
        of_record[places] = np.arange(len(places))
        of_call = np.full(calls.num_rows, -1)
        of_call[rows] = of_record[codes]
        references = pa.array(addresses, pa.string()).take(pa.array(of_call, mask=of_call < 0))
        return calls.set_column(calls.schema.get_field_index("raw_ref"), CALL_SCHEMA.field("raw_ref"), references)

    def _kept(self, engine: duckdb.DuckDBPyConnection, calls: pa.Table, modes: Any, content: pa.Table) -> pa.Table:
        """Store the bodies as the modes of their calls allow. What became of each: the columns of `found` in DESCRIBED."""
        engine.register("decided", pa.table({"record_id": calls["record_id"], "mode": modes}))
        engine.register("content", _placed(content.select(["record_id"])))
        of_call = "SELECT coalesce(max(d.mode), 2) FROM content c LEFT JOIN decided d USING (record_id) GROUP BY c.place ORDER BY c.place"
        mode = _column(engine, of_call)  # of a call that is not there: hashed
        ranks, addresses = mode.copy(), np.array(content["sha256"].to_pylist(), dtype=object)
        addresses[mode == NOTHING] = None
        bodies = content["body"].cast(pa.large_binary()).combine_chunks()
        whole = np.flatnonzero(mode == FULL)
        self._content.put_bodies(addresses[whole].tolist(), Bodies.of(bodies).at(whole))
        redacted = [(place, capture("redacted", bodies[place].as_py())) for place in np.flatnonzero(mode == REDACTED).tolist()]
        for place, found in redacted:
            ranks[place], addresses[place] = MODES[found.state], found.sha256
        self._content.put_many((str(found.sha256), found.body or b"") for _, found in redacted)
        columns = {"rank": ranks, "sha256": pa.array(addresses, pa.string()), "held": mode <= REDACTED}
        return _placed(pa.table({"record_id": content["record_id"], "kind": content["kind"], **columns}))

    def _modes_of(self, engine: duckdb.DuckDBPyConnection, calls: pa.Table) -> Any:
        """The capture mode of each call; every distinct combination of what the rules ask for is attributed once."""
        if not self._fields:
            return np.full(calls.num_rows, self._mode(()))
        engine.register("calls", _placed(calls))
        names = [f"key_{number}" for number in range(len(self._fields))]
        keys = ", ".join(f"({key_expression(field)}) AS {name}" for field, name in zip(self._fields, names, strict=True))
        engine.execute(f"CREATE OR REPLACE TEMP TABLE keyed AS SELECT place, {keys} FROM calls")  # noqa: S608 - names come from the schema
        ways = engine.execute(f"SELECT DISTINCT {', '.join(names)} FROM keyed").to_arrow_table()  # noqa: S608
        modes = [self._mode(tuple(way.values())) for way in ways.to_pylist()]
        engine.register("ways", ways.append_column("mode", pa.array(modes)))
        same = " AND ".join(f"k.{name} IS NOT DISTINCT FROM w.{name}" for name in names)
        return _column(engine, f"SELECT w.mode FROM keyed k JOIN ways w ON {same} ORDER BY k.place")  # noqa: S608

    def _mode(self, key: tuple[str | None, ...]) -> int:
        if key not in self._modes:
            workflow = attribute(self._rules, [dict(zip(self._fields, key, strict=True))])[0].workflow_id
            self._modes[key] = MODES.get(self._catalog.capture(workflow), NOTHING)
        return self._modes[key]


def _described(engine: duckdb.DuckDBPyConnection, calls: pa.Table, found: pa.Table) -> pa.Table:
    """The calls with their content columns telling what is held."""
    engine.register("found", found)
    engine.register("calls", _placed(calls.select(["record_id", *COLUMNS])))
    told = engine.execute(DESCRIBED).to_arrow_table()
    for name in COLUMNS:
        calls = calls.set_column(calls.schema.get_field_index(name), CALL_SCHEMA.field(name), told[name].cast(CALL_SCHEMA.field(name).type))
    return calls


def _placed(table: pa.Table) -> pa.Table:
    return table.append_column("place", pa.array(np.arange(table.num_rows)))


def _column(engine: duckdb.DuckDBPyConnection, query: str) -> Any:
    return engine.execute(query).to_arrow_table().column(0).to_numpy()
