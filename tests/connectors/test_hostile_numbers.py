"""Hostile numbers and times at every such field of every connector: nothing raises, every record ends somewhere, and what is stored can be summed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from importlib.metadata import entry_points
from math import isfinite
from typing import Any

import pytest
from connector_samples.sample import Sample, all_samples

from governor.calls import MOST_TOKENS

SAMPLES = all_samples()
CONNECTORS = {point.name: point for point in entry_points(group="governor.connectors")}
HOSTILE = (
    "0", "-1", "1e-30", "9e27", "1e308", str(2**53 + 1), str(2**62), str(2**63 - 1), str(2**63), '"NaN"', '"1e400"', "1" * 40,
    '"infinity"', '"-infinity"', '"290309-12-22 00:00:00"', '"290308-12-21 (BC)"', '"2026-10-01 00:30:00 America/New_York"',
)  # fmt: skip
PLACE = "the place of a hostile value"
NUMBER_OR_TIME = re.compile(r"-?\d+(\.\d+)?(e-?\d+)?|\d{4}-\d\d-\d\d[T ].*")


def fields(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, dict | list):
        for key, one in value.items() if isinstance(value, dict) else enumerate(value):
            yield from fields(one, (*path, key))
    elif path and not isinstance(value, bool) and NUMBER_OR_TIME.fullmatch(str(value)):
        yield path


def hostile_bodies(units: list[bytes]) -> Iterator[bytes]:
    """Each field of the source once, in the first record that has it, with each value; then all fields of a record at once."""
    seen = set()
    for unit in units:
        paths = list(fields(json.loads(unit)))
        fresh = [path for path in paths if (name := tuple(key for key in path if isinstance(key, str))) not in seen and not seen.add(name)]  # type: ignore[func-returns-value]
        for chosen in [[path] for path in fresh] + ([paths] if fresh else []):
            record = json.loads(unit)
            for path in chosen:
                inner = record
                for key in path[:-1]:
                    inner = inner[key]
                inner[path[-1]] = PLACE
            text = json.dumps(record)
            yield from (text.replace(f'"{PLACE}"', value).encode() for value in HOSTILE)


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_no_number_stops_an_ingest(name: str, read: Any) -> None:
    sample: Sample = SAMPLES[name]
    connector = sample.make(CONNECTORS[sample.connector].load())
    bodies = list(hostile_bodies(sample.units()))
    assert len(bodies) > len(HOSTILE)
    batch = read(connector, b"\n".join(bodies))
    assert len(batch.calls) + len(batch.rejected) + len(batch.spans) >= len(bodies)
    assert {row["reason"].split(":")[0] for row in batch.rejected.select(["reason"]).to_pylist()} <= {
        "bad_time", "bad_tokens", "negative_tokens", "bad_cost", "negative_cost", "missing_id",
    }  # fmt: skip
    for column in batch.calls.schema.names:
        values = [value for value in batch.calls[column].to_pylist() if value is not None]
        if column.endswith("_tokens") or column == "total_tokens_reported":
            assert all(0 <= value <= 4 * MOST_TOKENS for value in values), column
        if column.endswith("_ms") and sample.connector != "otlp":
            assert all(isfinite(value) and value >= 0 for value in values), column
