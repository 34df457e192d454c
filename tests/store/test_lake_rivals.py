"""Rivals at the same lake, and processes that die in the middle: each call once, no batch in parts."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pyarrow as pa
import pytest

from governor.calls import CALL_SCHEMA, CONTENT_SCHEMA, REJECT_SCHEMA, SPAN_SCHEMA
from governor.errors import Misconfigured, StoreAway, Unavailable
from governor.ports import Batch
from governor.store import lake_ingest, lake_read
from governor.store.lake import Lake
from governor.store.lake_attach import attach, scrubbed

NOW = datetime(2026, 11, 21, tzinfo=UTC)
ROOT = Path(__file__).parents[2]
WRITER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
import duckdb, pyarrow as pa
from governor.calls import CALL_SCHEMA, CONTENT_SCHEMA, REJECT_SCHEMA, SPAN_SCHEMA
from governor.ports import Batch
from governor.store.lake import Lake

catalog, data, folder, label, rounds, size, fixed = sys.argv[1:8]
lake = Lake(catalog, data, "acme", lock_dir=Path(folder))
made = duckdb.connect()
made.execute("SET TimeZone = 'UTC'")
made.register("shape", CALL_SCHEMA.empty_table())

def calls(part):
    own = made.execute(f'''SELECT sha256('{part}-' || i) AS record_id, sha256('raw{part}-' || i) AS raw_sha256, 'response:{part}-' || i AS dup_group_key,
        'litellm.generic_api' AS source_kind, true AS cost_bearing, TIMESTAMPTZ '2026-10-25 00:00:00+00' + to_minutes(i % 20000) AS start_time, i AS input_tokens,
        i // 7 AS output_tokens, 'ok' AS status, 'gpt-4o' AS response_model, 'openai' AS provider FROM range({size}) t(i)''').to_arrow_table()
    made.register("own", own)
    table = made.execute("SELECT * FROM shape UNION ALL BY NAME SELECT * FROM own").to_arrow_table().cast(CALL_SCHEMA)
    return Batch(table, REJECT_SCHEMA.empty_table(), SPAN_SCHEMA.empty_table(), CONTENT_SCHEMA.empty_table())

parts = [calls(part) for part in range(int(rounds))]
print("ready", flush=True)
if int(fixed):
    sys.stdin.readline()
for part, batch in enumerate(parts):
    counts = lake.ingest(f"{label}-{part}", [batch], datetime.now(UTC))
    print(part, counts.stored, counts.duplicates, flush=True)
lake.close()
"""


def start(folder: Path, label: str, *, rounds: int, size: int, catalog: str = "", wait: bool = False) -> subprocess.Popen[str]:
    arguments = [
        catalog or str(folder / "catalog.sqlite"),
        str(folder / "data"),
        str(folder),
        label,
        str(rounds),
        str(size),
        str(int(wait)),
    ]
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stdin=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )


def whole_batches(lake: Lake) -> None:
    """Every stored call belongs to a committed batch, and every batch has all the calls it says it stored."""
    found = lake.query("SELECT ingest_batch_id AS batch_id, count(*) AS calls FROM {calls} GROUP BY 1").to_pylist()
    said = {row["batch_id"]: row["stored"] for row in lake.batches() if row["stored"]}
    assert {row["batch_id"]: row["calls"] for row in found} == said
    [row] = lake.query("SELECT count(*) AS calls, count(DISTINCT record_id) AS ids FROM {calls}").to_pylist()
    assert row["calls"] == row["ids"]


def test_a_killed_ingest_leaves_all_of_a_batch_or_nothing(tmp_path: Path) -> None:
    dice = random.Random(20261121)
    for number in range(10):
        writer = start(tmp_path, f"try{number}", rounds=6, size=20_000)
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
        time.sleep(dice.uniform(0.0, 1.5))
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        lake = Lake(str(tmp_path / "catalog.sqlite"), str(tmp_path / "data"), "acme", lock_dir=tmp_path)
        whole_batches(lake)
        lake.close()
    last = start(tmp_path, "last", rounds=6, size=20_000)
    assert last.communicate()[0].count("\n") == 7
    lake = Lake(str(tmp_path / "catalog.sqlite"), str(tmp_path / "data"), "acme", lock_dir=tmp_path)
    whole_batches(lake)
    assert lake.totals()["calls"] == 6 * 20_000
    lake.close()


def rivals_store_each_call_once(folder: Path, catalog: str = "") -> Lake:
    """Three processes ingest the same three inputs at once, on a lake that does not exist yet."""
    writers = [start(folder, f"rival{number}", rounds=3, size=3000, catalog=catalog, wait=True) for number in range(3)]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    lines = [writer.communicate()[0].split("\n")[:-1] for writer in writers]
    assert [writer.returncode for writer in writers] == [0, 0, 0]
    stored = [[int(line.split()[1]) for line in process] for process in lines]
    assert [sum(column) for column in zip(*stored, strict=True)] == [3000, 3000, 3000]
    lake = Lake(catalog or str(folder / "catalog.sqlite"), str(folder / "data"), "acme", lock_dir=folder)
    assert lake.totals()["calls"] == 9000
    whole_batches(lake)
    return lake


def test_rivals_store_each_call_once(tmp_path: Path) -> None:
    rivals_store_each_call_once(tmp_path).close()


def test_rivals_on_a_postgres_catalog(tmp_path: Path, postgres: str) -> None:
    lake = rivals_store_each_call_once(tmp_path, postgres)
    other = Lake(postgres, str(tmp_path / "data"), "rival", lock_dir=tmp_path)
    assert other.totals()["calls"] == 0
    other.snapshot_id()
    assert other.place.data_path != lake.place.data_path
    assert other.place.schema != lake.place.schema
    facts = lake.month_facts(datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC))
    assert sum(facts.column("calls").to_pylist()) > 0
    lake.close()
    other.close()


def test_names_that_look_alike_do_not_share_a_lake(tmp_path: Path) -> None:
    places = [Lake(str(tmp_path / "c"), str(tmp_path), org).place for org in ("acme", "Acme", "acme!", "a-cme", "../acme", "")]
    assert len({place.schema for place in places}) == len(places)
    assert len({place.data_path for place in places}) == len(places)
    assert all(".." not in place.data_path.removeprefix(str(tmp_path)) for place in places)


def test_an_unreachable_catalog_is_one_clear_error_without_the_password(tmp_path: Path) -> None:
    lake = Lake("postgresql://app:hush-hush@127.0.0.1:1/none", str(tmp_path), "acme", lock_dir=tmp_path)
    with pytest.raises(Unavailable) as caught:
        lake.snapshot_id()
    assert "hush" not in str(caught.value)
    assert scrubbed("password=hush-hush", lake.place) == "password=***"
    with pytest.raises(Unavailable) as caught:
        attach(lake.place)
    assert "hush" not in str(caught.value)


def test_a_lake_whose_catalog_lets_go_of_every_connection_answers_again(tmp_path: Path, postgres: str) -> None:
    """DuckDB's own database may break as a whole then ("database has been invalidated"); what it says else is no defect of ours."""
    lake = Lake(postgres, str(tmp_path / "data"), "acme", lock_dir=tmp_path)
    lake.snapshot_id()
    over = threading.Event()

    def let_go() -> None:
        with psycopg.connect(postgres, autocommit=True) as killer:
            others = "FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND usename = current_user AND random() < 0.7"
            while not over.wait(0.01):
                killer.execute(f"SELECT pg_terminate_backend(pid) {others}")

    def read() -> None:
        while not over.is_set():
            try:
                lake.totals()
                lake.batches()
            except StoreAway:
                continue

    with ThreadPoolExecutor(4) as pool:
        done = [pool.submit(let_go), *(pool.submit(read) for _ in range(3))]
        over.wait(4)
        over.set()
        for one in done:
            one.result()
    assert lake.totals()["calls"] == 0
    lake.close()


def test_a_pooler_that_lends_sessions_is_refused(tmp_path: Path, postgres: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """PgBouncer with pool_mode = transaction: both connections are served by whichever session is free."""
    lake = Lake(postgres, str(tmp_path / "data"), "lent", lock_dir=tmp_path)
    with psycopg.connect(postgres, autocommit=True) as lent, monkeypatch.context() as patched:
        patched.setattr(psycopg, "connect", lambda *_, **__: nullcontext(lent))
        with pytest.raises(Misconfigured, match="lends one Postgres session"):
            lake.totals()
    assert lake.totals()["calls"] == 0
    lake.close()


def let_go_of_locks(postgres: str) -> None:
    with psycopg.connect(postgres, autocommit=True) as killer:
        held = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        assert killer.execute(f"SELECT bool_and(pg_terminate_backend(pid, 5000)) FROM ({held})").fetchone() == (True,)


def test_a_writer_whose_place_was_lost_commits_nothing(
    tmp_path: Path, postgres: str, monkeypatch: pytest.MonkeyPatch, make_call: Callable[..., Any], make_batch: Callable[..., Any]
) -> None:
    """Its lock went with a connection, and a rival stored the same calls meanwhile: they would be there twice."""
    lake, rival = (Lake(postgres, str(tmp_path / "data"), "acme", lock_dir=tmp_path) for _ in range(2))
    lake.ingest("first", [make_batch(make_call("a"))], NOW)
    real = lake_ingest._store

    def lose_the_place(*arguments: Any) -> Any:
        monkeypatch.setattr(lake_ingest, "_store", real)
        counts = real(*arguments)
        let_go_of_locks(postgres)
        assert rival.ingest("theirs", [make_batch(make_call("b"))], NOW).stored == 1
        return counts

    monkeypatch.setattr(lake_ingest, "_store", lose_the_place)
    with pytest.raises(StoreAway):
        lake.ingest("ours", [make_batch(make_call("b"))], NOW)
    assert lake.ingest("ours", [make_batch(make_call("b"))], NOW).duplicates == 1
    assert lake.totals()["calls"] == 2
    lake.close()
    rival.close()


def test_a_chore_whose_place_was_lost_commits_nothing(tmp_path: Path, postgres: str, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = Lake(postgres, str(tmp_path / "data"), "acme", lock_dir=tmp_path)
    bad = pa.Table.from_pylist([{"ingest_uri": "a", "ingest_row": 1, "reason": "no json", "raw": b"{"}], schema=REJECT_SCHEMA)
    lake.ingest("first", [Batch(CALL_SCHEMA.empty_table(), bad, SPAN_SCHEMA.empty_table(), CONTENT_SCHEMA.empty_table())], NOW)
    record = lake.quarantine()[0]["id"]
    real = lake_read.decide_quarantine

    def lose_the_place(*arguments: Any) -> int:
        done = real(*arguments)
        let_go_of_locks(postgres)
        return done

    with monkeypatch.context() as patched:
        patched.setattr(lake_read, "decide_quarantine", lose_the_place)
        with pytest.raises(StoreAway):
            lake.decide_quarantine([record], "discarded", NOW)
    assert lake.quarantine()[0]["id"] == record
    assert lake.decide_quarantine([record], "discarded", NOW) == 1
    lake.compact()
    lake.close()


def test_a_lake_that_broke_as_a_whole_is_opened_anew(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path / "catalog.sqlite"), str(tmp_path / "data"), "acme")

    def break_it(_: duckdb.DuckDBPyConnection) -> None:
        raise duckdb.FatalException("FATAL Error: Attempted to access index 0 within vector of size 0")

    first = lake._open()
    with pytest.raises(StoreAway):
        lake._read(break_it)
    assert lake._open() is not first
    assert lake.totals()["calls"] == 0
    lake.close()
