"""Captures, a reading helper, and a reference merge of witnesses that the keys of every connector must satisfy."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from governor.calls import CALL_SCHEMA, WITNESS_RANK
from governor.ports import Batch, Payload, ReadOptions

CAPTURES = Path(__file__).parents[2] / "../shared/data/captures"
_USAGE = (
    "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens", "reasoning_tokens", "audio_input_tokens",
    "audio_output_tokens",
)  # fmt: skip


def merge(calls: pa.Table) -> pa.Table:
    """The rule of governor/calls.py, written once more and independently of the lake."""
    rows = list(
        {row["record_id"]: row for row in reversed(calls.to_pylist())}.values()
    )  # the lake refuses a record id it has: the same here
    rows.reverse()
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        if row["exclusion_reason"] is None:
            groups.setdefault(row["dup_group_key"], []).append(row)
    known = {key for key, held in groups.items() if any(usage(row) for row in held)}
    pushed, beside = places(groups, known, rows)
    for key, held in groups.items():
        held.sort(key=lambda row: row["record_id"])
        held.sort(key=lambda row: (usage(row) > 0 or row["cost_amount"] is not None, rank(row), usage(row)), reverse=True)
        for row in held:
            row["exclusion_reason"] = reason(row, held[0], pushed.get(key, set()), unknown=key in beside)
            row["cost_bearing"] = row["exclusion_reason"] is None
    return pa.Table.from_pylist(rows, schema=calls.schema)


def places(groups: dict[str, list[dict[str, Any]]], known: set[str], rows: list[dict[str, Any]]) -> tuple[dict[str, set[str]], set[str]]:
    """(groups that give way and to which families, groups that are views of a call around them)."""
    named = {(key, to, family(row)) for key, held in groups.items() for row in held if (to := target(row, rows)) in groups and to != key}
    above = {key: reached(key, named) for key in groups}
    carrying = known | {to for key in known for to in above[key]}
    pushed: dict[str, set[str]] = {}
    for key, to, by in named:
        ring = key in above[to]
        if (ring and weight(key, known) > weight(to, known)) or (not ring and (by != "otlp" or key in carrying or to not in known)):
            pushed.setdefault(to, set()).add(by)
    return pushed, {key for key in groups if key not in carrying and any(to in known and to not in pushed for to in above[key])}


def reason(row: dict[str, Any], best: dict[str, Any], pushed_by: set[str], *, unknown: bool) -> str | None:
    if row is not best:
        return "duplicate_instrumentation" if family(row) == family(best) else "superseded"
    if pushed_by and family(row) not in pushed_by:
        return "superseded"
    if pushed_by:
        return "parent_rollup" if row["grain"] == "span_rollup" else "wrapper_span"
    return "duplicate_instrumentation" if unknown else None


def family(row: dict[str, Any]) -> str:
    return str(row["source_kind"]).partition(".")[0]


def usage(row: dict[str, Any]) -> int:
    return sum(row[name] is not None for name in _USAGE)


def rank(row: dict[str, Any]) -> int:
    charged = {"provider_billed": 60, "gateway_billed": 50}
    return WITNESS_RANK.get(row["source_kind"]) or charged.get(row["cost_source"]) or (30 if row["gateway_kind"] else 12)


def target(row: dict[str, Any], rows: list[dict[str, Any]]) -> str | None:
    """What the row names: where that is a span that goes by its answer, the answer."""
    to: str | None = row["dup_alias_key"]
    if to and to.startswith("span:") and row["provider_response_id"] is None:
        return next((one["dup_group_key"] for one in rows if f"span:{one['trace_id']}:{one['span_id']}" == to), to)
    return to


def reached(key: str, named: set[tuple[str, str, str]]) -> set[str]:
    found: set[str] = set()
    ends = {key}
    while ends:
        ends = {to for one, to, _ in named if one in ends} - found
        found |= ends
    return found


def weight(key: str, known: set[str]) -> tuple[bool, bool, str]:
    return key in known, not key.startswith("span:"), key


def summary(calls: pa.Table, where: str = "cost_bearing") -> dict[str, Any]:
    with duckdb.connect() as engine:
        engine.register("calls", calls)
        found = engine.execute(f"""SELECT count(*) AS calls, count(*) FILTER (status = 'ok') AS ok,
            count(*) FILTER (status <> 'ok') AS failed, count(*) FILTER (gateway_cache = 'hit_exact') AS hits,
            count(*) FILTER (input_tokens IS NOT NULL) AS with_usage,
            sum(input_tokens) FILTER (status = 'ok') AS input_ok, sum(output_tokens) FILTER (status = 'ok') AS output_ok,
            sum(cost_amount) AS cost FROM calls WHERE {where}""").fetchall()[0]
    names = ("calls", "ok", "failed", "hits", "with_usage", "input_ok", "output_ok", "cost")
    return dict(zip(names, found, strict=True))


def joined(batches: Iterable[Batch]) -> Batch:
    found = list(batches)
    return Batch(*(pa.concat_tables([getattr(b, part) for b in found]) for part in ("calls", "rejected", "spans", "content")))


@pytest.fixture
def captures() -> Path:
    if not CAPTURES.is_dir():
        pytest.skip("the captures are not here (../shared/data/captures)")
    return CAPTURES


@pytest.fixture
def read() -> Callable[..., Batch]:
    """One Batch of everything a connector makes of paths or bodies."""

    def run(connector: Any, *inputs: Path | bytes, content_type: str = "", **options: Any) -> Batch:
        payloads = [
            Payload(str(given), path=given, content_type=content_type)
            if isinstance(given, Path)
            else Payload(f"push:{index}", body=given, content_type=content_type)
            for index, given in enumerate(inputs)
        ]
        batches = list(connector.read(payloads, ReadOptions(source_instance="test", **options)))
        if not batches:
            empty = CALL_SCHEMA.empty_table()
            return Batch(empty, empty, empty, empty)
        return joined(batches)

    return run


@pytest.fixture
def row(request: pytest.FixtureRequest, read: Any) -> Callable[..., dict[str, Any]]:
    """The call and the bodies of one record of the test module's connector."""

    def of(record: dict[str, Any]) -> dict[str, Any]:
        batch = read(request.module.connector, json.dumps(record).encode())
        assert batch.rejected.to_pylist() == []
        bodies = {body["kind"]: json.loads(body["body"]) for body in batch.content.to_pylist()}
        return batch.calls.to_pylist()[0] | {"bodies": bodies}

    return of


@pytest.fixture
def calls(request: pytest.FixtureRequest, read: Any) -> Callable[..., list[dict[str, Any]]]:
    """The calls of bodies of the test module's connector, in the order of their ids."""

    def of(*bodies: bytes) -> list[dict[str, Any]]:
        batch = read(request.module.connector, *bodies)
        assert batch.rejected.to_pylist() == []
        return sorted(batch.calls.to_pylist(), key=lambda row: row["source_record_id"])

    return of


@pytest.fixture
def merged() -> Callable[..., pa.Table]:
    return lambda *tables: merge(pa.concat_tables(tables))


@pytest.fixture
def totals() -> Callable[..., dict[str, Any]]:
    return summary


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines() if line.strip()]


@pytest.fixture
def jsonl() -> Callable[[Path], list[dict[str, Any]]]:
    return lines
