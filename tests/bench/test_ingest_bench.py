"""LiteLLM generic_api JSONL to Parquet and into the lake, against DuckDB's own read_json of the same file in the same run.

The file is made by repeating a bundled fixture with fresh ids until about GOVERNOR_BENCH_MB (default 400) MiB; calls only, content off.
All are timed from the file to the last byte of Parquet; the lake also dedupes, merges witnesses and commits. The best of three runs counts.
Declared columns: the eight a spend report needs, and the whole shape that the connector reads. Nothing is asserted about time.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from connectors.litellm import connector
from connectors.litellm.shapes import PAYLOAD, PAYLOAD_RESPONSE
from governor.calls import CALL_SCHEMA
from governor.ports import Payload, ReadOptions
from governor.store.lake import Lake

FIXTURE = Path(__file__).parents[1] / "connectors/fixtures/litellm_generic_api.jsonl"
# the eight columns a spend report needs: the least that "declared columns" can mean
DECLARED = (
    "{id: 'VARCHAR', litellm_call_id: 'VARCHAR', startTime: 'DOUBLE', model: 'VARCHAR', prompt_tokens: 'BIGINT',"
    " completion_tokens: 'BIGINT', response_cost: 'DOUBLE', metadata: 'JSON'}"
)


def make(path: Path, size: int, *, lean: bool = False) -> int:
    """A file of at least `size` bytes; returns its records. `lean`: as the fixture has them."""
    records = [json.loads(line) for line in FIXTURE.read_text().splitlines()]
    prices = json.loads((FIXTURE.parent / "litellm_model_map.json").read_text())
    for record in (
        [] if lean else records
    ):  # real payloads average 13 kB; the fixture's are cut, so they get back their price table and prompt
        record["model_map_information"] = prices
        record["messages"] = [{"role": "user", "content": "Please read the following case notes. " * 120}]
    texts = [json.dumps(record) for record in records]
    written = count = 0
    with path.open("w") as out:
        while written < size:
            mark = f"{count:08x}"
            for text, record in zip(texts, records, strict=True):
                call = record["litellm_call_id"]
                own = record["id"]  # the provider's, which two calls never share
                written += out.write(text.replace(call, mark + call[8:]).replace(own, f"{own}{mark}") + "\n")
            count += len(texts)
    return count


def sql_type(shape: Any) -> str:
    """The DuckDB type of a shape as json_transform takes it."""
    if isinstance(shape, dict):
        return "STRUCT(" + ", ".join(f'"{name}" {sql_type(part)}' for name, part in shape.items()) + ")"
    return sql_type(shape[0]) + "[]" if isinstance(shape, list) else str(shape)


WHOLE_SHAPE = "{" + ", ".join(f"\"{name}\": '{sql_type(part)}'" for name, part in (PAYLOAD | {"response": PAYLOAD_RESPONSE}).items()) + "}"


def best(run: Callable[[], int]) -> tuple[float, int]:
    times = []
    for _ in range(3):
        start = time.perf_counter()
        rows = run()
        times.append(time.perf_counter() - start)
    return min(times), rows


@pytest.fixture(scope="module")
def bulk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("bulk") / "generic_api.jsonl"
    make(path, int(os.environ.get("GOVERNOR_BENCH_MB", "400")) << 20)
    yield path
    path.unlink()


@pytest.mark.bench
def test_generic_api_to_parquet(bulk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def ours() -> int:
        rows = 0
        with pq.ParquetWriter(tmp_path / "ours.parquet", CALL_SCHEMA, compression="zstd") as out:
            for batch in connector.read([Payload(bulk.name, path=bulk)], ReadOptions("bench", with_content=False)):
                out.write_table(batch.calls)
                rows += len(batch.calls) + len(batch.rejected)
        return rows

    def stored() -> tuple[float, int]:
        """Seconds and rows of an ingest into a new lake that is open, as a server's or a worker's is."""
        with TemporaryDirectory(dir=tmp_path) as home:
            lake = Lake(f"{home}/catalog.sqlite", f"{home}/data", "bench", lock_dir=Path(home))
            lake.snapshot_id()
            start = time.perf_counter()
            batches = connector.read([Payload(bulk.name, path=bulk)], ReadOptions("bench", with_content=False))
            counts = lake.ingest("batch", batches, datetime.now(UTC))
            took = time.perf_counter() - start
            lake.close()
        return took, counts.stored

    def theirs(source: str) -> Callable[[], int]:
        def run() -> int:
            with duckdb.connect() as engine:
                target = tmp_path / "theirs.parquet"
                engine.execute("SET enable_progress_bar = false")
                engine.execute(f"COPY (SELECT * FROM {source}) TO '{target}' (FORMAT parquet, COMPRESSION zstd)")
                return int(pq.read_metadata(target).num_rows)

        return run

    mine, rows = best(ours)
    lake, lake_rows = min(stored() for _ in range(3))
    auto, auto_rows = best(theirs(f"read_json('{bulk}')"))
    whole, whole_rows = best(theirs(f"read_json('{bulk}', columns = {WHOLE_SHAPE})"))
    eight, eight_rows = best(theirs(f"read_json('{bulk}', columns = {DECLARED})"))
    assert rows == lake_rows == auto_rows == whole_rows == eight_rows
    size = bulk.stat().st_size / 1e6
    with capsys.disabled():
        print(  # noqa: T201 - the ratio is what the benchmark is for
            f"\n{size:.0f} MB generic_api, {rows} records."
            f" DuckDB: auto schema {auto:.2f} s, same shape declared {whole:.2f} s, eight columns {eight:.2f} s"
        )
        for what, took in (("to Parquet", mine), ("into the lake, deduplicated, committed", lake)):
            print(  # noqa: T201
                f"  {what}: {took:.2f} s, {size / took:.0f} MB/s, {rows / took:.0f} records/s; ratio {auto / took:.2f} of auto (wanted 1.5),"
                f" {whole / took:.2f} of same shape, {eight / took:.2f} of eight columns"
            )
