"""Pulling the spend table from a real Postgres: read-only, idempotent with the file form, complete under an overlap window."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pytest

from connectors.litellm import connector
from governor.errors import Invalid, Unavailable
from governor.ports import ReadOptions

FIXTURE = Path(__file__).parent / "fixtures/litellm_spend_logs.jsonl"
# the columns of LiteLLM 1.100.5's schema.prisma that this test fills
TABLE = """CREATE TABLE "LiteLLM_SpendLogs" (request_id text PRIMARY KEY, call_type text, api_key text, spend double precision,
    total_tokens int, prompt_tokens int, completion_tokens int, "startTime" timestamp(3), "endTime" timestamp(3),
    "completionStartTime" timestamp(3), model text, model_id text, model_group text, custom_llm_provider text, api_base text,
    "user" text, metadata jsonb, cache_hit text, cache_key text, request_tags jsonb, team_id text, organization_id text,
    end_user text, requester_ip_address text, messages jsonb, response jsonb, session_id text, status text,
    proxy_server_request jsonb)"""


@pytest.fixture
def database(postgres_server: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute('DROP TABLE IF EXISTS "LiteLLM_SpendLogs"')
        connection.execute(TABLE)
        yield connection


def insert(database: psycopg.Connection[Any], rows: list[str]) -> None:
    for row in rows:
        database.execute('INSERT INTO "LiteLLM_SpendLogs" SELECT * FROM jsonb_populate_record(NULL::"LiteLLM_SpendLogs", %s)', [row])


def pulled(address: str, cursor: str | None, **config: Any) -> tuple[pa.Table, str | None]:
    options = ReadOptions("db", config={"database": address, **config}, with_content=False)
    found = list(connector.fetch(cursor, options))
    empty = pa.table({"record_id": pa.array([], pa.string()), "raw_sha256": pa.array([], pa.string())})
    calls = pa.concat_tables([batch.calls for batch, _ in found]) if found else empty
    return calls, found[-1][1] if found else None


def test_rows_of_the_database_are_the_rows_of_its_export(postgres_server: str, database: Any, read: Any) -> None:
    insert(database, FIXTURE.read_text().splitlines())
    calls, cursor = pulled(postgres_server, None)
    exported = read(connector, FIXTURE, with_content=False).calls
    facts = ["record_id", "raw_sha256", "input_tokens", "cost_amount", "dup_group_key", "start_time", "status"]
    by_id = [("record_id", "ascending")]
    assert calls.select(facts).sort_by(by_id).equals(exported.select(facts).sort_by(by_id))
    assert cursor is not None
    assert cursor.endswith("Z")


def test_a_late_row_is_found_through_the_overlap(postgres_server: str, database: Any) -> None:
    rows = sorted(FIXTURE.read_text().splitlines(), key=lambda line: json.loads(line)["startTime"])
    late, rest = rows[-2], [*rows[:-2], rows[-1]]
    insert(database, rest)
    first, cursor = pulled(postgres_server, None)
    insert(database, [late])  # it started before the watermark
    second, _ = pulled(postgres_server, cursor)
    assert json.loads(late)["request_id"] in second["source_record_id"].to_pylist()
    assert set(first["record_id"].to_pylist()) & set(second["record_id"].to_pylist())  # the overlap comes again, with the same ids
    newest, _ = pulled(postgres_server, cursor, overlap_seconds=0)
    assert len(newest) <= 1
    with pytest.raises(Invalid, match=r"config\.overlap_seconds"):
        pulled(postgres_server, cursor, overlap_seconds=-1)


def test_the_pull_cannot_write(postgres_server: str, database: Any) -> None:
    insert(database, FIXTURE.read_text().splitlines()[:2])
    database.execute("CREATE TABLE IF NOT EXISTS written (n int)")
    database.execute("CREATE OR REPLACE FUNCTION stain() RETURNS int LANGUAGE sql AS 'INSERT INTO written VALUES (1) RETURNING n'")
    database.execute('CREATE VIEW "Trap" AS SELECT * FROM "LiteLLM_SpendLogs" WHERE stain() = 1')
    with pytest.raises(Unavailable, match="ReadOnlySqlTransaction"):
        pulled(postgres_server, None, table="Trap")
    database.execute('DROP VIEW "Trap"')


@pytest.mark.parametrize("said", ["an hour", -5, float("nan"), float("inf")])
def test_an_overlap_that_is_no_time_is_named(said: object) -> None:
    with pytest.raises(Invalid, match="overlap_seconds"):
        pulled("postgresql://127.0.0.1:1/none", "2026-10-01T00:00:00Z", overlap_seconds=said)


def test_what_is_wrong_is_said_without_the_password(database: Any) -> None:
    with pytest.raises(Unavailable) as failure:
        pulled("postgresql://someone:hunter2@127.0.0.1:1/litellm", None)
    assert "hunter2" not in str(failure.value)
    with pytest.raises(Invalid, match="database"):
        list(connector.fetch(None, ReadOptions("db")))
    with pytest.raises(Invalid, match="cursor"):
        pulled("postgresql://x", "yesterday")
