"""Bodies on their way in: each call's capture mode decides what is stored, and the call says what was.

Owns: mode per call (its workflow's, else the default of an unknown workflow), the change of the call's content columns.
Does not own: what a mode keeps (store/capture.py). Invariants: bodies are stored before the lake commits, so a committed call never points at
nothing; where nothing may be kept, the hash is not kept either.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from governor.actions.context import Context
from governor.actions.load_catalog import catalog_as_of
from governor.attribution import SEPARATOR, TAG, attribute, rule_fields, rules_of
from governor.calls import CALL_SCHEMA
from governor.ports import Batch
from governor.store.capture import Captured, capture

COLUMNS = ("content_state", "input_sha256", "output_sha256", "replayable", "replay_blockers", "tools_sha256")


class ContentCapture:
    """Applies the catalog of today to batches; one per ingest, so that equal keys are attributed once."""

    def __init__(self, ctx: Context) -> None:
        self._content = ctx.content
        self._catalog = catalog_as_of(ctx)
        self._rules = rules_of(self._catalog)
        self._fields = rule_fields(self._rules)
        self._modes: dict[tuple[str | None, ...], str] = {}

    def apply(self, batch: Batch) -> Batch:
        """Store what may be stored; give the batch back with its calls saying so and without bodies."""
        if batch.content.num_rows == 0:
            return batch
        modes = self._modes_of(batch.calls)
        kept: dict[str, dict[str, Captured]] = {}
        for row in batch.content.to_pylist():
            found = capture(modes.get(row["record_id"], "hashed"), row["body"])
            if found.body is not None and found.sha256 is not None:
                self._content.put(found.sha256, found.body)
            kept.setdefault(row["record_id"], {})[row["kind"]] = found
        return Batch(calls=_described(batch.calls, kept), rejected=batch.rejected, spans=batch.spans, content=batch.content.slice(0, 0))

    def _modes_of(self, calls: pa.Table) -> dict[str, str]:
        columns = [self._column(calls, name) for name in self._fields]
        found = {}
        for record_id, *values in zip(calls["record_id"].to_pylist(), *columns, strict=True):
            key = tuple(values)
            if key not in self._modes:
                workflow = attribute(self._rules, [dict(zip(self._fields, key, strict=True))])[0].workflow_id
                self._modes[key] = str(self._catalog.capture(workflow))
            found[record_id] = self._modes[key]
        return found

    def _column(self, calls: pa.Table, name: str) -> list[str | None]:
        if name.startswith("metadata."):
            wanted = name.removeprefix("metadata.")
            return [dict(pairs).get(wanted) if pairs else None for pairs in calls["metadata"].to_pylist()]
        if name == TAG:
            return [SEPARATOR.join(tags) if tags else None for tags in calls["tags"].to_pylist()]
        found = calls["source_instance" if name == "source" else name].to_pylist()
        return [None if value is None else str(value).lower() if isinstance(value, bool) else str(value) for value in found]


def _described(calls: pa.Table, kept: dict[str, dict[str, Captured]]) -> pa.Table:
    """The calls with their content columns telling what is held."""
    columns: dict[str, list[Any]] = {name: calls[name].to_pylist() for name in COLUMNS}
    for place, record_id in enumerate(calls["record_id"].to_pylist()):
        found = kept.get(record_id)
        if found is None:
            continue
        states = [one.state for one in found.values()]
        asked = found.get("input")
        weakest = max(states, key=("full", "redacted", "hashed", "absent").index)
        if not (weakest in {"full", "redacted"} and columns["content_state"][place] == "truncated"):
            columns["content_state"][place] = weakest
        columns["input_sha256"][place] = asked.sha256 if asked else None
        columns["output_sha256"][place] = found["output"].sha256 if "output" in found else None
        if asked is None or asked.body is None:
            columns["replayable"][place] = False
            columns["replay_blockers"][place] = sorted({*(columns["replay_blockers"][place] or []), "no_content"})
            if asked is None or asked.sha256 is None:
                columns["tools_sha256"][place] = None
    for name, values in columns.items():
        calls = calls.set_column(
            calls.schema.get_field_index(name), CALL_SCHEMA.field(name), pa.array(values, CALL_SCHEMA.field(name).type)
        )
    return calls
