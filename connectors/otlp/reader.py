"""Reads OTLP trace requests into canonical calls and, for spans that claim no model call, structure.

Owns: sorting spans into calls, structure and rejects, windows and batches. Does not own: encodings (wire), names (dialects), rows (calls),
keys (links). Invariants: each claiming span is in exactly one of calls and rejected; the window bounds memory.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final

import numpy as np
import pyarrow as pa

from connectors.addresses import bare, bare_attribute
from connectors.archives import head_of
from connectors.batches import empty_batch, rejects, schema_table
from connectors.keys import HIDDEN_NAME
from connectors.otlp.bodies import CONTENT_NAMES
from connectors.otlp.calls import add_content, call_row, instant
from connectors.otlp.dialects import dialect_of, has_usage_names, operation_of, pick, structure_kind
from connectors.otlp.links import Claim, link
from connectors.otlp.usage import Unusable
from connectors.otlp.vendors import translated, vendor_of
from connectors.otlp.wire import Span, Unread, is_protobuf, spans_of
from connectors.payloads import each
from governor.calls import CALL_SCHEMA, CONTENT_SCHEMA, SPAN_SCHEMA
from governor.errors import Invalid
from governor.ports import Batch, Payload, ReadOptions

_WINDOW: Final = 100_000  # spans related to each other at once; about 300 MB of Python objects
_SECRET: Final = re.compile(HIDDEN_NAME)
_REQUEST: Final = re.compile(rb'"(resourceSpans|resource_spans)"\s*:')
_INHERITED: Final = ("workflow", "session", "user")
_ANCESTORS: Final = 64


class Otlp:
    """Connector of OTLP/HTTP traces."""

    name = "otlp"

    def detect(self, head: bytes, uri: str) -> float:  # noqa: ARG002 - a trace request looks the same under any name
        text = head_of(head)
        if _REQUEST.search(text):
            return 0.95
        # protobuf: ResourceSpans inside, and attribute names in clear text
        return 0.8 if is_protobuf(head) and (b"service.name" in text or b"telemetry.sdk" in text or b"gen_ai." in text) else 0.0

    def read(self, payloads: Iterable[Payload], options: ReadOptions) -> Iterator[Batch]:
        window: list[Span | Unread] = []
        for _, item in each(payloads, spans_of, options):
            window.append(item)
            if len(window) >= _WINDOW:
                yield from _batches(window, options)
                window = []
        if window:
            yield from _batches(window, options)

    def fetch(self, cursor: str | None, options: ReadOptions) -> Iterator[tuple[Batch, str]]:  # noqa: ARG002 - there is no pull
        raise Invalid("traces are pushed or read from files; there is nothing to pull", hint="point an OTLP exporter at /v1/traces")


def _batches(window: list[Span | Unread], options: ReadOptions) -> Iterator[Batch]:
    now = options.config.get("now")
    latest = datetime(2100, 1, 1, tzinfo=UTC) if now is None else now + timedelta(days=1)
    limit = int(latest.timestamp()) * 10**9
    claims: list[Claim] = []
    structure: list[Span] = []
    refused: list[tuple[str, int, str, bytes]] = []
    for given in window:
        if isinstance(given, Unread):
            refused.append((given.uri, given.row, given.reason, given.raw))
            continue
        vendor = vendor_of(given)
        item = translated(given, vendor)
        dialect = vendor or dialect_of(item)
        operation = operation_of(item, dialect)
        # an organising span with usage of its own: the sum of its children, or calls that nobody else saw
        rollup = operation is None and dialect != "litellm" and has_usage_names(item.attributes)
        if operation is None and not rollup:
            structure.append(given)
            continue
        try:
            row = call_row(item, dialect, operation or "invoke_agent", latest=limit)
        except Unusable as verdict:
            refused.append((item.uri, item.row, str(verdict), item.canonical()))
            continue
        if rollup and row["usage_source"] == "missing":
            structure.append(given)
            continue
        if rollup:
            row["grain"] = "span_rollup"
        row["source_instance"] = options.source_instance
        claims.append(Claim(item, row, rollup))
    spans = [item for item in window if isinstance(item, Span)]
    link(claims, {(span.trace_id, span.span_id): span.parent_id for span in spans})
    _inherit(claims, {(span.trace_id, span.span_id): span for span in spans})
    yield from _tables(claims, structure, refused, options)


def _inherit(claims: list[Claim], spans: dict[tuple[str, str], Span]) -> None:
    """A call without its own workflow, session or user has those of the spans around it, where the window holds them."""
    targets = {"workflow": "workflow_id", "session": "session_id", "user": "end_user_id"}
    for claim in claims:
        row, parent = claim.row, claim.span.parent_id
        for _ in range(_ANCESTORS):
            outer = spans.get((claim.span.trace_id, parent))
            if outer is None:
                break
            for fact in _INHERITED:
                value = pick(outer.attributes, fact)
                if value is not None and row[targets[fact]] is None:
                    row[targets[fact]] = str(value)
                    if fact == "workflow":
                        row["metadata"].setdefault("workflow", str(value))
            parent = outer.parent_id


def _tables(
    claims: list[Claim], structure: list[Span], refused: list[tuple[str, int, str, bytes]], options: ReadOptions
) -> Iterator[Batch]:
    nothing = empty_batch()
    size = options.batch_rows
    for start in range(0, max(len(claims), len(structure), 1), size):
        part = claims[start : start + size]
        bodies = [body for claim in part for body in add_content(claim.span, claim.row)] if options.with_content else []
        bad = refused if start == 0 else []
        yield Batch(
            calls=schema_table(_columns([claim.row for claim in part], CALL_SCHEMA), CALL_SCHEMA),
            rejected=rejects(*(list(column) for column in zip(*bad, strict=True))) if bad else nothing.rejected,
            spans=pa.Table.from_pylist([_structure(span, options) for span in structure[start : start + size]], schema=SPAN_SCHEMA),
            content=pa.Table.from_pylist(bodies, schema=CONTENT_SCHEMA),
            received=partial(_received, part),
        )


def _received(part: list[Claim], rows: Any) -> tuple[Any, Any]:
    """A span's record is what its digest is taken over: requests hold spans of many callers, and two encodings of one span are one record."""
    records = [part[row].span.canonical() for row in rows.tolist()]
    return pa.chunked_array([pa.array(records, pa.large_binary())]), np.arange(len(records))


def _columns(rows: list[dict[str, Any]], schema: pa.Schema) -> pa.Table:
    if not rows:
        return schema.empty_table()
    names = [name for name in schema.names if any(name in row for row in rows)]
    arrays = []
    for name in names:
        values = [row.get(name) for row in rows]
        if name == "metadata":
            values = [list(value.items()) if value is not None else None for value in values]
        arrays.append(pa.array(values, schema.field(name).type))
    return pa.Table.from_arrays(arrays, names=names)


def _structure(span: Span, options: ReadOptions) -> dict[str, Any]:
    kept = {k: bare_attribute(k, v) for k, v in span.attributes.items() if not CONTENT_NAMES.match(k) and not _SECRET.search(k)}
    return {
        "source_instance": options.source_instance,
        "trace_id": span.trace_id,
        "span_id": span.span_id,
        "parent_span_id": span.parent_id or None,
        "name": bare(span.name),
        "kind": structure_kind(span),
        "start_time": instant(span.start),
        "end_time": instant(span.end),
        "attributes": json.dumps(kept, sort_keys=True, separators=(",", ":"), default=str),
        "raw_sha256": span.digest(),
    }
