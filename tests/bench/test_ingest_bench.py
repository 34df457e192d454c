"""Reading LiteLLM generic_api JSONL into Parquet, against DuckDB's own read_json of the same file in the same run.

The file is made by repeating a bundled fixture with fresh ids until about GOVERNOR_BENCH_MB (default 200) MiB; calls only, content off.
Both sides write zstd Parquet and are timed from the file to the last byte; the best of two runs counts. Nothing is asserted about time.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from connectors.litellm import connector
from governor.calls import CALL_SCHEMA
from governor.ports import Payload, ReadOptions

FIXTURE = Path(__file__).parents[1] / "connectors/fixtures/litellm_generic_api.jsonl"
# the eight columns a spend report needs: the least that "declared columns" can mean
DECLARED = (
    "{id: 'VARCHAR', litellm_call_id: 'VARCHAR', startTime: 'DOUBLE', model: 'VARCHAR', prompt_tokens: 'BIGINT',"
    " completion_tokens: 'BIGINT', response_cost: 'DOUBLE', metadata: 'JSON'}"
)


def make(path: Path, size: int) -> int:
    records = [json.loads(line) for line in FIXTURE.read_text().splitlines()]
    prices = json.loads((FIXTURE.parent / "litellm_model_map.json").read_text())
    for record in records:  # real payloads average 13 kB; the fixture's are cut, so they get back their price table and prompt
        record["model_map_information"] = prices
        record["messages"] = [{"role": "user", "content": "Please read the following case notes. " * 120}]
    texts = [json.dumps(record) for record in records]
    written = count = 0
    with path.open("w") as out:
        while written < size:
            mark = f"{count:08x}"
            for text, record in zip(texts, records, strict=True):
                call = record["litellm_call_id"]
                written += out.write(text.replace(call, mark + call[8:]).replace('"chatcmpl-', f'"chatcmpl-{mark}') + "\n")
            count += len(texts)
    return count


def best(run: Callable[[], int]) -> tuple[float, int]:
    times = []
    for _ in range(2):
        start = time.perf_counter()
        rows = run()
        times.append(time.perf_counter() - start)
    return min(times), rows


@pytest.fixture(scope="module")
def bulk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("bulk") / "generic_api.jsonl"
    make(path, int(os.environ.get("GOVERNOR_BENCH_MB", "200")) << 20)
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

    def theirs(source: str) -> Callable[[], int]:
        def run() -> int:
            with duckdb.connect() as engine:
                target = tmp_path / "theirs.parquet"
                engine.execute("SET enable_progress_bar = false")
                engine.execute(f"COPY (SELECT * FROM {source}) TO '{target}' (FORMAT parquet, COMPRESSION zstd)")
                return int(pq.read_metadata(target).num_rows)

        return run

    mine, rows = best(ours)
    auto, auto_rows = best(theirs(f"read_json('{bulk}')"))
    declared, declared_rows = best(theirs(f"read_json('{bulk}', columns = {DECLARED})"))
    assert rows == auto_rows == declared_rows
    size = bulk.stat().st_size / 1e6
    with capsys.disabled():
        print(  # noqa: T201 - the ratio is what the benchmark is for
            f"\ningest of {size:.0f} MB generic_api, {rows} records: {mine:.2f} s, {size / mine:.0f} MB/s, {rows / mine:.0f} records/s;"
            f" DuckDB auto schema {auto:.2f} s (ratio {auto / mine:.2f}, wanted 1.5), declared columns {declared:.2f} s"
            f" (ratio {declared / mine:.2f})"
        )
