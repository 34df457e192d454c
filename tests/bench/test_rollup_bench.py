"""The month roll-up that `governor usage` uses, against a bare DuckDB GROUP BY of the same Parquet files in the same run.

GOVERNOR_BENCH_ROWS (default 10 million) made-up calls of October, 40 teams, 240 keys, 24 workflows, 12 models; a tenth are other witnesses.
Bare: the same plain columns and sums, no derived token classes, epochs, bands, first and last call or examples. Best of three each.
First: every day is counted, none is taken from an earlier answer. Again: what a second look costs.
Nothing is asserted about time; the sums must agree.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from governor.store.lake import Lake

OCTOBER = (datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC))
KEYS = ["api_key_alias", "metadata.workflow", "team_id"]
MADE = {
    "record_id": "sha256(i::VARCHAR)",
    "record_hash": "md5_number_lower(sha256(i::VARCHAR))",
    "raw_sha256": "sha256('raw' || i)",
    "source_kind": "'litellm.spend_logs'",
    "ingest_batch_id": "'bench'",
    "cost_bearing": "i % 10 <> 9",
    "exclusion_reason": "CASE WHEN i % 10 = 9 THEN 'superseded' END",
    "dup_group_key": "'litellm:' || i // 2",
    "start_time": "TIMESTAMPTZ '2026-10-01 00:00:00+00' + to_microseconds(i * (2678400000000 // {rows}))",
    "duration_ms": "(hash(i) % 9000)::DOUBLE",
    "provider": "['openai', 'anthropic', 'aws.bedrock', 'azure.ai.openai'][1 + i % 4]",
    "requested_model": "'model-' || i % 12",
    "response_model": "'model-' || i % 12 || '-2026-05'",
    "region": "['us-east-1', 'eu-west-1'][1 + (i % 12) % 2]",
    "is_fallback": "i % 97 = 0",
    "input_tokens": "hash(i, 1) % 4000",
    "cache_read_tokens": "CASE WHEN i % 3 = 0 THEN hash(i, 1) % 4000 // 2 END",
    "output_tokens": "hash(i, 2) % 900",
    "cost_amount": "(hash(i, 3) % 100000)::DECIMAL(24, 12) / 1000000",
    "cost_currency": "'USD'",
    "team_id": "'team-' || i % 240 // 6",
    "api_key_alias": "'key-' || i % 240",
    "metadata": "MAP {{'workflow': 'workflow-' || i % 24, 'step': 'draft'}}",
    "traffic_class": "'production'",
    "status": "CASE WHEN i % 211 = 0 THEN 'error' ELSE 'ok' END",
    "gateway_cache": "'none'",
}
PLAIN = (
    "provider, response_model, routed_model, requested_model, inference_region, region, service_tier, environment, data_class, is_fallback,"
    " fallback_from_model, traffic_class, status, gateway_cache, cost_currency, cost_source, source_kind, api_key_alias, metadata['workflow'], team_id"
)
SUMS = (
    "count(*) AS calls, sum(input_tokens), sum(cache_read_tokens), sum(cache_write_tokens), sum(cache_write_5m_tokens), sum(cache_write_1h_tokens),"
    " sum(output_tokens), sum(reasoning_tokens), sum(cost_amount) AS cost"
)


def best(run: Callable[[], pa.Table], before: Callable[[], None] = lambda: None) -> tuple[float, pa.Table]:
    times = []
    for _ in range(3):
        before()
        start = time.perf_counter()
        found = run()
        times.append(time.perf_counter() - start)
    return min(times), found


def fill(lake: Lake, rows: int) -> None:
    columns = ", ".join(f"{expression.format(rows=rows)} AS {name}" for name, expression in MADE.items())
    step = 1_000_000
    for first in range(0, rows, step):
        sql = f"INSERT INTO lake.calls BY NAME SELECT {columns} FROM range({first}, {min(rows, first + step)}) t(i)"
        lake._write(lambda connection, sql=sql: connection.execute(sql))


@pytest.mark.bench
def test_month_roll_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = int(os.environ.get("GOVERNOR_BENCH_ROWS", "10000000"))
    lake = Lake(str(tmp_path / "catalog.sqlite"), str(tmp_path / "data"), "bench", lock_dir=tmp_path)
    fill(lake, rows)
    boundaries = [datetime(2026, 10, day, tzinfo=UTC) for day in (8, 15, 22)]

    def forget() -> None:
        shutil.rmtree(tmp_path / "days", ignore_errors=True)

    mine, facts = best(lambda: lake.month_facts(*OCTOBER, keys=KEYS, boundaries=boundaries, bands=[200_000]), forget)
    plain, _ = best(lambda: lake.month_facts(*OCTOBER, keys=KEYS), forget)
    again, _ = best(lambda: lake.month_facts(*OCTOBER, keys=KEYS))
    with duckdb.connect() as engine:
        engine.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
        sql = f"""SELECT {PLAIN}, {SUMS} FROM read_parquet('{tmp_path}/data/**/*.parquet', hive_partitioning = false)
            WHERE cost_bearing AND start_time >= $start AND start_time < $end GROUP BY ALL"""
        bare, reference = best(lambda: engine.execute(sql, {"start": OCTOBER[0], "end": OCTOBER[1]}).to_arrow_table())
    lake.close()
    assert sum(facts.column("calls").to_pylist()) == sum(reference.column("calls").to_pylist()) == rows - rows // 10
    assert sum(facts.column("cost_amount").to_pylist()) == sum(reference.column("cost").to_pylist())
    with capsys.disabled():
        print(  # noqa: T201
            f"\nmonth roll-up of {rows:,} calls into {facts.num_rows:,} rows: {mine:.2f} s with 4 epochs and bands, {plain:.2f} s without;"
            f" bare GROUP BY {bare:.2f} s (ratio {mine / bare:.2f} and {plain / bare:.2f}, wanted at most 3);"
            f" again {again:.2f} s"
        )
