"""What other witnesses of a call say that the one bearing its cost does not: its workflow, its caller, the model that answered.

Owns: which columns are filled, from whom, and the view in which they are seen. Does not own: who the winner is (lake_witness.py).
Invariants: a row keeps what its own source said, the rest stands apart in `filled`; the outcome depends only on the set of rows; only the
row that bears the cost is filled; counts and money are never filled, they are the winner's alone.
"""

from __future__ import annotations

from typing import Final

import duckdb
import pyarrow as pa

from governor.calls import CALL_SCHEMA

# Said by any witness, the span around the call included: who and what for.
CLAIMS: Final = (
    "session_id", "org_id", "workspace_id", "team_id", "team_name", "project_id", "app", "workflow_id", "workflow_version", "workflow_step",
    "environment", "end_user_id", "principal", "api_key_id", "api_key_alias", "data_class", "prompt_id", "prompt_version",
)  # fmt: skip
# Said only by a witness of this very call.
FACTS: Final = (
    "trace_id", "response_model", "service_tier", "region", "inference_region", "stream", "is_fallback", "fallback_from_model", "ttft_ms",
)  # fmt: skip
SIMPLE: Final = (*CLAIMS, *FACTS)
FILLED: Final = pa.struct(
    [
        pa.field("columns", pa.list_(pa.string())),
        *(pa.field(name, CALL_SCHEMA.field(name).type) for name in (*SIMPLE, "data_class_source", "tags", "metadata")),
    ]
)
_NO_TAGS: Final = "coalesce(len({0}.tags), 0) = 0"


def fill(connection: duckdb.DuckDBPyConnection, fresh: str, naming: str) -> None:
    """Make temp table `filling` (record_id, filled, was_filled) from temp tables `said` and `logged` (lake_witness.py): every row that is filled or was."""
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE pairs AS
        WITH witness AS (SELECT * FROM said WHERE source_exclusion IS NULL),
        winner AS (SELECT * FROM witness WHERE reason IS NULL),
        names AS (SELECT DISTINCT dup_group_key AS key, dup_alias_key AS target FROM witness WHERE {naming}),
        met AS (
            SELECT w.record_id AS winner, r.record_id AS source, true AS same, r.rank, r.revision, r.known
            FROM winner w JOIN witness r ON r.dup_group_key = w.dup_group_key AND r.record_id <> w.record_id
            UNION ALL
            SELECT w.record_id, r.record_id, false, r.rank, r.revision, r.known
            FROM winner w JOIN names n ON n.key = w.dup_group_key JOIN witness r ON r.dup_group_key = n.target
            UNION ALL
            SELECT w.record_id, r.record_id, true, r.rank, r.revision, r.known
            FROM winner w JOIN logged a ON a.key = w.dup_group_key JOIN logged b ON b.answer = a.answer AND b.log <> a.log
            JOIN witness r ON r.dup_group_key = b.key
        )
        SELECT *, row_number() OVER (PARTITION BY winner ORDER BY same DESC, rank DESC, revision DESC, known DESC, source) AS place FROM met
    """)
    _load_claims(connection, fresh)
    simple = [f"CASE WHEN any_value(w.{name}) IS NULL THEN arg_min(s.{name}, place) {_only(name)} END AS {name}" for name in SIMPLE]
    parts = ", ".join(f"{name} := {_given(name)}" for name in ("columns", *SIMPLE, "data_class_source", "tags", "metadata"))
    named = ", ".join(f"CASE WHEN {_given(name)} IS NOT NULL THEN '{name}' END" for name in (*SIMPLE, "tags", "metadata"))
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE filling AS
        WITH gathered AS (
            SELECT winner, {", ".join(simple)},
                arg_min(s.data_class_source, place) FILTER (s.data_class IS NOT NULL) AS data_class_source,
                CASE WHEN any_value({_NO_TAGS.format("w")}) THEN arg_min(s.tags, place) FILTER (NOT {_NO_TAGS.format("s")}) END AS tags,
                list_reduce(list(s.metadata ORDER BY place DESC) FILTER (s.metadata IS NOT NULL), lambda a, b: map_concat(a, b)) AS others,
                coalesce(map_keys(any_value(w.metadata)), []) AS own_keys
            FROM pairs JOIN claims s ON s.record_id = source JOIN claims w ON w.record_id = winner GROUP BY winner
        ),
        extra AS (
            SELECT * REPLACE (CASE WHEN data_class IS NOT NULL THEN data_class_source END AS data_class_source),
                map_from_entries(list_filter(map_entries(others), lambda e: NOT list_contains(own_keys, e.key))) AS more FROM gathered
        ),
        counted AS (
            SELECT * EXCLUDE more, CASE WHEN cardinality(more) > 0 THEN more END AS metadata FROM extra
        ),
        whole AS (
            SELECT *, list_filter([{named}], lambda n: n IS NOT NULL) AS columns FROM counted
        ),
        packed AS (SELECT winner, CASE WHEN len(columns) > 0 THEN struct_pack({parts}) END AS filled FROM whole)
        SELECT coalesce(p.winner, c.record_id) AS record_id, p.filled, c.filled AS was_filled
        FROM (SELECT * FROM claims WHERE filled IS NOT NULL OR record_id IN (SELECT winner FROM pairs)) c
        FULL JOIN packed p ON p.winner = c.record_id
    """)


def _given(name: str) -> str:
    return f'"{name}"'


def _only(name: str) -> str:
    return "FILTER (same)" if name in FACTS else ""


def _load_claims(connection: duckdb.DuckDBPyConnection, fresh: str) -> None:
    """Temp table `claims`: the fillable columns of winners and their sources, as their own sources said them, and what a stored row was filled with."""
    columns = ", ".join(("record_id", *SIMPLE, "data_class_source", "tags", "metadata"))
    kind = connection.execute(
        "SELECT data_type FROM duckdb_columns() WHERE database_name = 'lake' AND table_name = 'calls' AND column_name = 'filled'"
    ).fetchone()
    none = f"NULL::{kind[0]}" if kind else "NULL"
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE claims AS
        WITH wanted AS (SELECT winner AS record_id FROM pairs UNION SELECT source FROM pairs)
        SELECT {columns}, {none} AS filled FROM {fresh} SEMI JOIN wanted USING (record_id)
    """)
    bounds = connection.execute("SELECT min(start_time)::VARCHAR, max(start_time)::VARCHAR FROM said WHERE NOT is_new").fetchone()
    if bounds is None or bounds[0] is None:
        return
    connection.execute(
        f"""INSERT INTO claims
            WITH wanted AS (SELECT record_id FROM said WHERE NOT is_new)
            SELECT {columns}, filled FROM lake.calls SEMI JOIN wanted USING (record_id)
            WHERE start_time BETWEEN $low::TIMESTAMPTZ AND $high::TIMESTAMPTZ""",
        {"low": bounds[0], "high": bounds[1]},
    )


def seen_with_claims(relation: str) -> str:
    """The relation with filled columns in their places and `filled_columns` naming them."""
    replaced = [f"coalesce({name}, filled.{name}) AS {name}" for name in SIMPLE]
    replaced += [
        "coalesce(CASE WHEN data_class IS NULL THEN filled.data_class_source END, data_class_source) AS data_class_source",
        "coalesce(filled.tags, tags) AS tags",
        "CASE WHEN filled.metadata IS NULL THEN metadata ELSE map_concat(filled.metadata, metadata) END AS metadata",
        "filled.columns AS filled_columns",
    ]
    return f"(SELECT * REPLACE ({', '.join(replaced)}) FROM {relation})"
