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
_RANKS = " ".join(f"WHEN '{kind}' THEN {rank}" for kind, rank in WITNESS_RANK.items())
_RANKS += """ ELSE CASE cost_source WHEN 'provider_billed' THEN 60 WHEN 'gateway_billed' THEN 50
    ELSE CASE WHEN gateway_kind IS NULL THEN 12 ELSE 30 END END"""
_USAGE = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens")
# the rule of governor/calls.py, written once more and independently of the lake
_MERGE = f"""
WITH taking_part AS (SELECT * FROM rows WHERE exclusion_reason IS NULL),
placed AS (SELECT *, row_number() OVER w AS place, first_value(source_kind) OVER w AS winner FROM taking_part
    WINDOW w AS (PARTITION BY dup_group_key ORDER BY CASE source_kind {_RANKS} END DESC,
        {" + ".join(f"({name} IS NOT NULL)::INT" for name in _USAGE)} DESC, record_id)),
named AS (SELECT dup_alias_key AS key, list(dup_group_key) AS by, list(split_part(source_kind, '.', 1)) AS families
    FROM taking_part WHERE dup_alias_key IS NOT NULL AND dup_alias_key <> dup_group_key GROUP BY 1)
SELECT placed.* EXCLUDE (cost_bearing, exclusion_reason, place, winner), place = 1 AND named.key IS NULL AS cost_bearing,
    CASE WHEN place > 1 THEN CASE WHEN split_part(winner, '.', 1) = split_part(source_kind, '.', 1)
            THEN 'duplicate_instrumentation' ELSE 'superseded' END
        WHEN named.key IS NULL THEN NULL
        WHEN NOT list_contains(families, split_part(source_kind, '.', 1)) THEN 'superseded'
        WHEN grain = 'span_rollup' THEN 'parent_rollup' ELSE 'wrapper_span' END AS exclusion_reason
FROM placed LEFT JOIN named ON named.key = placed.dup_group_key
UNION ALL BY NAME SELECT * FROM rows WHERE exclusion_reason IS NOT NULL
"""


def merge(calls: pa.Table) -> pa.Table:
    with duckdb.connect() as engine:
        engine.execute("SET TimeZone = 'UTC'")
        engine.register("arrived", calls)
        # the lake refuses a record id it has: the same here
        engine.execute("CREATE TABLE rows AS SELECT * FROM arrived QUALIFY row_number() OVER (PARTITION BY record_id) = 1")
        return engine.execute(_MERGE).to_arrow_table()


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
