"""Small SQL expressions the mapping is written in.

Owns: text to number, money, time, map. Does not own: which fields they read (calls_sql, columns).
Invariants: an expression never raises on bad input, it is null; money and token counts never pass through a float.
"""

from __future__ import annotations

from typing import Final

from connectors.keys import HIDDEN_NAME


def choose(subject: str, table: dict[str, str], other: str) -> str:
    arms = " ".join(f"WHEN '{key}' THEN '{value}'" for key, value in table.items())
    return f"CASE {subject} {arms} ELSE {other} END"


def money(text: str) -> str:
    """Exact to the last of twelve places, from the characters of the number (JSON readers hold 17 digits: enough for any call below
    1,000 USD). A narrow decimal first: DuckDB's cast of text to more than 18 digits is 40 times slower.
    """
    return f"coalesce(TRY_CAST({text} AS DECIMAL(18, 12))::DECIMAL(24, 12), TRY_CAST({text} AS DECIMAL(24, 12)))"


def seconds(text: str) -> str:
    """Unix seconds or ISO 8601 (a naive time is UTC) as an instant. Whole seconds and their fraction apart: a decimal of more than 18 digits is slow."""
    number = f"TRY_CAST({text} AS DECIMAL(18, 6))"
    microseconds = f"CAST(trunc({number}) AS BIGINT) * 1000000 + CAST(({number} % 1)::DECIMAL(7, 6) * 1000000 AS BIGINT)"
    return f"CASE WHEN {number} BETWEEN 0 AND 100000000000 THEN make_timestamptz({microseconds}) ELSE TRY_CAST({text} AS TIMESTAMPTZ) END"


def instant(text: str, unit: str = "auto") -> str:
    """ISO 8601 (a naive time is UTC), RFC 1123, or a number in `unit`; `auto` tells s, ms, us and ns apart by size (2001 to 2286)."""
    number = f"TRY_CAST({text} AS DECIMAL(38, 9))"
    scale = {"s": "1000000", "ms": "1000", "us": "1", "ns": "0.001"}
    if unit == "ticks":  # of 100 ns since the year 1
        counted = f"({number} - 621355968000000000) * 0.1"
    elif unit in scale:
        counted = f"{number} * {scale[unit]}"
    else:
        counted = (
            f"{number} * CASE WHEN {number} < 100000000000 THEN 1000000 WHEN {number} < 100000000000000 THEN 1000"
            f" WHEN {number} < 100000000000000000 THEN 1 ELSE 0.001 END"
        )
    return (
        f"CASE WHEN {number} IS NOT NULL THEN CASE WHEN {number} > 0 THEN make_timestamptz(TRY_CAST(trunc({counted}) AS BIGINT)) END"
        f" ELSE coalesce(TRY_CAST({text} AS TIMESTAMPTZ), TRY_STRPTIME({text}, '%a, %d %b %Y %H:%M:%S GMT')::TIMESTAMPTZ) END"
    )


def whole(text: str) -> str:
    number = f"TRY_CAST({text} AS BIGINT)"
    return f"CASE WHEN {number} = TRY_CAST({text} AS DOUBLE) THEN {number} END"


EMPTY_MAP: Final = "map([]::VARCHAR[], []::VARCHAR[])"


def members(source: str) -> str:
    """The members of a JSON object, which may repeat a key; null for anything else."""
    return f"map_entries(json_transform({source}, '\"MAP(VARCHAR, VARCHAR)\"'))"


def kept(members: str, prefix: str = "") -> str:
    """Members without secrets and without what other columns hold. Only the gateway's own key metadata may be called `key.`."""
    keep = f"e.value IS NOT NULL AND NOT regexp_matches(e.key, '{HIDDEN_NAME}') AND e.key NOT IN ('spend_logs_metadata', 'tags')"
    if not prefix:
        keep += " AND NOT starts_with(e.key, 'key.')"
    return f"list_transform(list_filter({members}, lambda e: {keep}), lambda e: {{'k': '{prefix}' || e.key, 'v': left(e.value, 4000)}})"


def unique_map(entries: str, names: str) -> str:
    """Entries {k, v}, of which the first of a name counts, as a map; `names` lists their k. (map_concat does it five times slower.)"""
    return f"coalesce(map_from_entries(list_filter({entries}, lambda e, i: list_position({names}, e.k) = i)), {EMPTY_MAP})"


def claim(*names: str) -> str:
    return "coalesce(" + ", ".join(f"nullif(metadata['{name}'], '')" for name in names) + ")"


def tag(prefix: str) -> str:
    return f"list_filter(tags, lambda t: starts_with(t, '{prefix}:'))[1][{len(prefix) + 2}:]"
