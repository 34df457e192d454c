"""A lake in a temporary folder, and made-up calls in the canonical columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from governor.calls import CALL_SCHEMA, CONTENT_SCHEMA, REJECT_SCHEMA, SPAN_SCHEMA
from governor.ports import Batch
from governor.store.lake import Lake

START = datetime(2026, 10, 5, 12, tzinfo=UTC)
DEFAULTS: dict[str, Any] = {
    "revision": 0,
    "source_kind": "litellm.generic_api",
    "source_instance": "prod",
    "ingest_uri": "a.jsonl",
    "grain": "attempt",
    "cost_bearing": True,
    "sample_rate": 1.0,
    "start_time": START,
    "provider": "openai",
    "response_model": "gpt-4o",
    "requested_model": "gpt-4o",
    "status": "ok",
    "input_tokens": 100,
    "output_tokens": 20,
    "traffic_class": "production",
    "duration_ms": 10.0,
}


def call(key: str, **columns: Any) -> dict[str, Any]:
    """One call; `key` is its record id, and its payload unless `raw_sha256` says otherwise."""
    return DEFAULTS | {"record_id": key, "source_record_id": key, "raw_sha256": f"raw-{key}", "dup_group_key": f"response:{key}"} | columns


def table(calls: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(calls, schema=CALL_SCHEMA)


def batch(*calls: dict[str, Any], rejected: list[dict[str, Any]] | None = None, spans: list[dict[str, Any]] | None = None) -> Batch:
    return Batch(
        calls=table(list(calls)),
        rejected=pa.Table.from_pylist(rejected or [], schema=REJECT_SCHEMA),
        spans=pa.Table.from_pylist(spans or [], schema=SPAN_SCHEMA),
        content=CONTENT_SCHEMA.empty_table(),
    )


@pytest.fixture
def make_call() -> Callable[..., dict[str, Any]]:
    return call


@pytest.fixture
def make_batch() -> Callable[..., Batch]:
    return batch


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    made = Lake(str(tmp_path / "lake" / "catalog.sqlite"), str(tmp_path / "lake" / "data"), "default", lock_dir=tmp_path / "lake")
    yield made
    made.close()
