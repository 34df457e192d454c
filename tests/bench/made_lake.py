"""A home whose lake holds as many calls as asked for, made by DuckDB in the shape ingest leaves them: no JSON, no Python object per call.

The demo's organization: twelve workflows of their own models and teams, twenty keys each, fallbacks, errors, calls that nobody owns or has a price for; each tenth
row is another witness of the call before it, with its own source. Rows lie in the order of time. Many are written as files of the size that compaction
leaves, which the lake then takes as its own: an insert into a table cut by month copies every wide row once more.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from uuid import uuid4

import duckdb
import yaml

from governor.actions.apply import apply
from governor.actions.context import Actor, Context, open_context
from governor.actions.init_home import init_home
from governor.actions.people import authenticate
from governor.actions.sign_in import set_password
from governor.catalog import parse_documents
from governor.demo.catalog import catalog_yaml, workflow
from governor.demo.workflows import SAMPLES, Sample
from governor.settings import load_settings
from governor.store.lake import Lake

STEP = 2_500_000  # calls in a file of nearly 512 MB, where compaction stops
FEW = 100_000  # fewer are inserted, as an ingest does
Put = Callable[[duckdb.DuckDBPyConnection, Mapping[str, str], str], None]
PASSWORD = "a long enough password"
PEOPLE = ("admin@acme.example", "dana@acme.example", "finn@acme.example", "rae@acme.example")
TWO_DOZEN = (*SAMPLES, *(replace(sample, id=f"{sample.id}-eu") for sample in SAMPLES))
OCTOBER = (datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC))


def listed(values: list[str]) -> str:
    return "[" + ", ".join(f"'{value}'" for value in values) + "]"


def made_columns(samples: Sequence[Sample] = SAMPLES) -> dict[str, str]:
    """Column -> SQL over `i` (the row), `w` (place of its workflow), `moment` (its time), `tag` (text that keeps fills apart)."""
    of = {
        name: f"{listed([str(getattr(sample, name)) for sample in samples])}[1 + w]"
        for name in ("id", "team", "provider", "model", "snapshot")
    }
    witness = "i % 10 = 9"
    return {
        "record_id": "sha256(tag || i)",
        "record_hash": "md5_number_lower(record_id)",
        "revision": "0::INTEGER",
        "raw_sha256": "sha256('raw' || tag || i)",
        "source_kind": f"CASE WHEN {witness} THEN 'litellm.generic_api' ELSE 'litellm.spend_logs' END",
        "source_instance": f"CASE WHEN {witness} THEN 'gateway-posts' ELSE 'gateway' END",
        "source_record_id": "'req-' || tag || (CASE WHEN i % 10 = 9 THEN i - 1 ELSE i END)",
        "ingest_batch_id": "tag || i // 1000000",
        "ingest_uri": "'s3://logs/' || i // 100000",
        "ingest_row": "i % 100000",
        "ingested_at": "moment + to_seconds(20 + i % 300)",
        "grain": "'attempt'",
        "cost_bearing": f"NOT {witness}",
        "exclusion_reason": f"CASE WHEN {witness} THEN 'superseded' END",
        "source_exclusion": "NULL::VARCHAR",
        "dup_group_key": "'litellm:' || tag || (CASE WHEN i % 10 = 9 THEN i - 1 ELSE i END)",
        "start_time": "moment",
        "end_time": "moment + to_milliseconds(hash(i) % 9000)",
        "duration_ms": "(hash(i) % 9000)::DOUBLE",
        "gateway_kind": "'litellm'",
        "operation": "'chat'",
        "provider": f"CASE WHEN i % 97 = 0 THEN 'openai' ELSE {of['provider']} END",
        "requested_model": of["model"],
        "response_model": f"CASE WHEN i % 1009 = 0 THEN 'acme-finetune-7b' WHEN i % 97 = 0 THEN 'gpt-4o-mini-2024-07-18' ELSE {of['snapshot']} END",
        "region": "['us-east-1', 'eu-west-1'][1 + w % 2]",
        "is_fallback": "i % 97 = 0",
        "fallback_from_model": f"CASE WHEN i % 97 = 0 THEN {of['model']} END",
        "input_tokens": "200 + hash(i, 1) % 4000",
        "cache_read_tokens": "CASE WHEN i % 3 = 0 THEN hash(i, 1) % 4000 // 2 END",
        "output_tokens": f"CASE WHEN {of['model']} LIKE '%embedding%' THEN 0 ELSE 20 + hash(i, 2) % 900 END",
        "cost_amount": "(hash(i, 3) % 100000)::DECIMAL(24, 12) / 1000000",
        "cost_currency": "'USD'",
        "cost_source": "'gateway_estimate'",
        "team_id": of["team"],
        "api_key_alias": f"CASE WHEN i % 53 = 0 THEN 'key-' || i % 5 ELSE 'c-' || {of['team']} || '-' || {of['id']} || '-' || hash(i, 4) % 20 END",
        "end_user_id": "'user-' || hash(i, 5) % 5000",
        "metadata": f"MAP {{{{'workflow': CASE WHEN i % 53 = 0 THEN NULL ELSE {of['id']} END, 'step': 'draft'}}}}",
        "traffic_class": "'production'",
        "status": "CASE WHEN i % 211 = 0 THEN 'error' ELSE 'ok' END",
        "gateway_cache": "'none'",
        "content_state": "'absent'",
        "replayable": "false",
    }  # fmt: skip


def fill(
    lake: Lake,
    rows: int,
    start: datetime,
    end: datetime,
    *,
    tag: str = "",
    samples: Sequence[Sample] = SAMPLES,
    told: Callable[[int], None] = lambda _done: None,
    other: Mapping[str, str] | None = None,
) -> None:
    """Spread `rows` over [start, end). Another `tag` makes other calls; `other`: columns that are not those of made_columns."""
    made = {
        name: expression.replace("{{", "{").replace("}}", "}") for name, expression in (made_columns(samples) | dict(other or {})).items()
    }
    span = (end - start) // timedelta(microseconds=1) // rows
    for first in range(0, rows, STEP):
        past = min(rows, first + STEP)
        source = f"""(SELECT i, (hash(i // 10, 7) % {len(samples)})::BIGINT AS w, '{tag}' AS tag,
            TIMESTAMPTZ '{start.isoformat()}' + to_microseconds(i * {span}) AS moment FROM places)"""
        ends = [start + place * timedelta(microseconds=span) for place in (first, past - 1)]
        put = insert if past - first < FEW or month(ends[0]) != month(ends[1]) else partial(write_file, lake, *month(ends[0]))

        def step(connection: duckdb.DuckDBPyConnection, first: int = first, past: int = past, put: Put = put, source: str = source) -> None:
            connection.execute(f"CREATE OR REPLACE TEMP TABLE places AS FROM range({first}, {past}) t(i)")  # a table is read by all threads
            put(connection, made, source)

        lake._write(step)
        told(past)


def month(moment: datetime) -> tuple[int, int]:
    return moment.year, moment.month


def insert(connection: duckdb.DuckDBPyConnection, made: Mapping[str, str], source: str) -> None:
    columns = ", ".join(f"{expression} AS {name}" for name, expression in made.items())
    connection.execute(f"INSERT INTO lake.calls BY NAME SELECT {columns} FROM {source}")


def write_file(lake: Lake, year: int, number: int, connection: duckdb.DuckDBPyConnection, made: Mapping[str, str], source: str) -> None:
    """Every column of the table, at the place and in the types of the lake's own files; registered with the statistics of its footer."""
    folder = Path(lake.place.data_path) / "main" / "calls" / f"year={year}" / f"month={number}"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"ducklake-{uuid4()}.parquet"
    types = [row[:2] for row in connection.execute("DESCRIBE lake.calls").fetchall()]
    columns = ", ".join(f"({made.get(name, 'NULL')})::{kind} AS {name}" for name, kind in types)
    connection.execute(
        "SET preserve_insertion_order = false"
    )  # each thread takes its row group from `places` in turn: the order stays, row group by row group
    connection.execute(f"COPY (SELECT {columns} FROM {source}) TO '{path}' (FORMAT parquet)")
    connection.execute("RESET preserve_insertion_order")
    connection.execute(f"CALL ducklake_add_data_files('lake', 'calls', '{path}', hive_partitioning => true)")


@contextlib.contextmanager
def made_home(
    home: Path, *, memory: str = "", clock: Callable[[], datetime] | None = None, samples: Sequence[Sample] = SAMPLES
) -> Iterator[tuple[Context, Actor]]:
    """The organization without calls (or as an earlier run left it), its catalog known since before the traffic."""
    fresh = not (home / "governor.db").exists() and not any(home.glob("*.db*"))
    ctx = open_context(load_settings(home=home), create=True)
    if memory:
        ctx.lake._memory = memory
    if clock is not None:
        ctx.now = clock
    try:
        if fresh:
            admin = authenticate(ctx, init_home(ctx, email=PEOPLE[0], name="", billing_zone="UTC")["token"])
            apply(ctx, admin, parse_documents(catalog_yaml("http://127.0.0.1:9/v1", "2027-06-30")))
            if more := [sample for sample in samples if sample not in SAMPLES]:
                apply(ctx, admin, parse_documents(yaml.safe_dump_all([workflow(sample, "2027-06-30") for sample in more])))
            for email in PEOPLE:
                set_password(ctx, admin, email=email, password=PASSWORD)
        yield ctx, person(ctx, PEOPLE[0])
    finally:
        ctx.close()


def person(ctx: Context, email: str) -> Actor:
    from governor.actions.browse_people import list_people

    found = next(one for one in list_people(ctx) if one["email"] == email)
    return Actor(id=found["id"], email=email, roles=frozenset(found["roles"]))
