"""Reads LiteLLM's payload log and its spend table into canonical calls, in columns.

Owns: telling the forms apart, cutting work into bounded batches, running the SQL. Does not own: the mapping (shapes, calls_sql), the
database pull (database). Invariants: every record is in exactly one of calls and rejected; nothing is written anywhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from connectors.batches import empty_batch, rejects, schema_table
from connectors.litellm.calls_sql import KINDS, calls_query
from connectors.payloads import Records, head_of, records_of
from governor.calls import CALL_SCHEMA, CONTENT_SCHEMA
from governor.errors import Invalid
from governor.ports import Batch, Payload, ReadOptions

_COLUMNS: Final = list(CALL_SCHEMA.names)
_SPEND: Final = re.compile(rb'"(request_id|spend)"\s*:')
_PAYLOAD: Final = re.compile(rb'"(litellm_call_id|response_cost|startTime|call_type|model_group)"\s*:')
# s3_v2 writes time-..._<id>.json, the GCS logger batch-<ms>-<hex>.ndjson
_OBJECT_NAME: Final = re.compile(r"(^|/)(time-[0-9T-]+_[^/]*\.jsonl?|batch-\d+-[0-9a-f]{8}\.(nd)?jsonl?)(\.(gz|zst))?$")
_FLUSH_BYTES: Final = 64 << 20
_MORSEL: Final = 512  # rows per Arrow batch: DuckDB gives a thread one at a time, and a row can be 13 kB


def form_of(head: bytes, uri: str) -> str | None:
    """generic_api, s3, spend_logs, or None when nothing in the first 64 KiB looks like LiteLLM."""
    text = head_of(head)
    spend = {match.group(1) for match in _SPEND.finditer(text)}
    payload = {match.group(1) for match in _PAYLOAD.finditer(text)}
    if spend == {b"request_id", b"spend"} and b"startTime" in payload:
        return "spend_logs"
    if b"litellm_call_id" in payload and len(payload) >= 3:
        return "s3" if _OBJECT_NAME.search(uri) or uri.startswith(("s3://", "gs://")) else "generic_api"
    return None


class LiteLLM:
    """Connector of the LiteLLM proxy: generic_api bodies, S3 and GCS objects, LiteLLM_SpendLogs rows and its database."""

    name = "litellm"

    def detect(self, head: bytes, uri: str) -> float:
        return 0.95 if form_of(head, uri) else 0.0

    def read(self, payloads: Iterable[Payload], options: ReadOptions) -> Iterator[Batch]:
        waiting: dict[str, list[Records]] = {}
        sizes: dict[str, list[int]] = {}
        fixed = options.config.get("form")
        if fixed is not None and fixed not in KINDS:
            raise Invalid(f"form {fixed!r} is none of {', '.join(KINDS)}")
        for payload in payloads:
            form = fixed
            for chunk in records_of(payload):
                if form is None:
                    form = form_of(_head(chunk.values), payload.uri) or "generic_api"
                waiting.setdefault(form, []).append(chunk)
                size = sizes.setdefault(form, [0, 0])
                size[0] += len(chunk.values)
                size[1] += chunk.values.nbytes
                if size[0] >= options.batch_rows or size[1] >= _FLUSH_BYTES:
                    yield from read_records(form, waiting.pop(form), options)
                    del sizes[form]
        for form, chunks in waiting.items():
            yield from read_records(form, chunks, options)

    def fetch(self, cursor: str | None, options: ReadOptions) -> Iterator[tuple[Batch, str]]:
        from connectors.litellm.database import pull

        return pull(cursor, options)


def _head(values: Any) -> bytes:
    parts, size = [], 0
    for value in values[:64]:
        parts.append(value.as_py()[: 64 << 10])
        size += len(parts[-1])
        if size >= 64 << 10:
            break
    return b"\n".join(parts)[: 64 << 10]


def _text(values: Any) -> tuple[Any, Any]:
    """Binary to UTF-8; a record that is not UTF-8 becomes empty text with a fault."""
    try:
        return values.cast(pa.large_string()), pa.nulls(len(values), pa.string())
    except pa.ArrowInvalid:
        texts, faults = [], []
        for value in values:
            try:
                texts.append(value.as_py().decode("utf-8"))
                faults.append(None)
            except UnicodeDecodeError:
                texts.append("")
                faults.append("invalid_utf8: the record is not UTF-8 text")
        return pa.array(texts, pa.large_string()), pa.array(faults, pa.string())


def _relation(chunks: list[Records]) -> tuple[pa.Table, Any]:
    batches, raws = [], []
    for chunk in chunks:
        lines, faults = _text(chunk.values)
        size = len(lines)
        if chunk.cut:
            faults = pa.concat_arrays([faults[: size - 1], pa.array([chunk.cut], pa.string())])
        uris = pa.DictionaryArray.from_arrays(pa.array([0] * size, pa.int32()), [chunk.uri])
        rows = pa.array(range(chunk.first_row, chunk.first_row + size), pa.int64())
        whole = pa.table({"uri": uris.cast(pa.string()), "row": rows, "fault": faults, "line": lines})
        batches += whole.to_batches(max_chunksize=_MORSEL)
        raws.append(chunk.values)
    return pa.Table.from_batches(batches), pa.chunked_array(raws)


def read_records(form: str, chunks: list[Records], options: ReadOptions) -> Iterator[Batch]:
    """Records of one form -> batches of at most batch_rows."""
    records, raw = _relation(chunks)
    now = options.config.get("now")
    latest = datetime(2100, 1, 1, tzinfo=UTC) if now is None else now + timedelta(days=1)
    with duckdb.connect(config={"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}) as engine:
        engine.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
        engine.register("records", records)
        query = calls_query(form, _COLUMNS, content=options.with_content)
        values = {"kind": KINDS[form], "instance": options.source_instance, "latest": latest.isoformat()}
        found = engine.execute(query, values).to_arrow_table()
    for start in range(0, len(found), options.batch_rows):
        part = found.slice(start, options.batch_rows)
        yield _batch(part, raw.slice(start, options.batch_rows), records.slice(start, options.batch_rows))


def _batch(found: pa.Table, raw: Any, records: pa.Table) -> Batch:
    good = pc.is_null(found["reason"])
    kept = found.filter(good)
    calls = schema_table(kept, CALL_SCHEMA)
    bad = pc.invert(good)
    refused = rejects(records["uri"].filter(bad), records["row"].filter(bad), found["reason"].filter(bad), raw.filter(bad))
    nothing = empty_batch()
    parts = []
    for kind in ("input", "output"):
        bodies = kept[f"{kind}_body"]
        there = pc.is_valid(bodies)
        if bodies.null_count < len(bodies):
            parts.append(
                pa.table(
                    {
                        "record_id": kept["record_id"].filter(there),
                        "kind": pa.array([kind] * pc.sum(there).as_py(), pa.string()),
                        "sha256": kept[f"{kind}_sha256"].filter(there),
                        "body": bodies.filter(there).cast(pa.large_binary()),
                    }
                )
            )
    content = schema_table(pa.concat_tables(parts), CONTENT_SCHEMA) if parts else nothing.content
    return Batch(calls=calls, rejected=refused, spans=nothing.spans, content=content)
