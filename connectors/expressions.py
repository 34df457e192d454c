"""Small SQL expressions the mapping is written in.

Owns: text to number, money, time, map. Does not own: which fields they read (calls_sql, columns).
Invariants: an expression never raises on bad input, it is null; money and token counts never pass through a float.
"""

from __future__ import annotations

from typing import Final

from connectors.keys import HIDDEN_NAME
from governor.calls import MOST_TOKENS

SHOWN: Final = 40  # characters of a value that a reason names


def choose(subject: str, table: dict[str, str], other: str) -> str:
    """What the table says of a text, else `other`. A constant map is looked up once; of a CASE every arm would work out the subject anew."""
    entries = ", ".join(f"'{key}': '{value}'" for key, value in table.items())
    return f"coalesce(MAP {{{entries}}}[{subject}], {other})"


def money(text: str) -> str:
    """Exact to the last of twelve places, from the characters of the number (JSON readers hold 17 digits: enough for any call below
    1,000 USD). A narrow decimal first: DuckDB's cast of text to more than 18 digits is 40 times slower.
    """
    return f"coalesce(TRY_CAST({text} AS DECIMAL(18, 12))::DECIMAL(24, 12), TRY_CAST({text} AS DECIMAL(24, 12)))"


def moment(text: str) -> str:
    """ISO 8601; a time without a zone is UTC. DuckDB's cast uses a zone that one text names ("... Europe/Berlin") for the naive times after
    it too, so texts that name one are cast apart; and it does not read a zone after minutes ("T00:30Z").
    """
    full = f"regexp_replace({text}, '^([0-9-]+[T ][0-9]+:[0-9]+)(Z|[+-])', '\\1:00\\2')"
    return (
        f"CASE WHEN regexp_matches({text}, ' [A-Za-z]') THEN TRY_CAST({text} AS TIMESTAMPTZ)"
        f" ELSE coalesce(TRY_CAST({text} AS TIMESTAMPTZ), TRY_CAST({full} AS TIMESTAMPTZ)) END"
    )


def believable(at: str) -> str:
    """An instant that Python has too (the engine knows the year 290309 and years before Christ); any other is unknown."""
    return f"CASE WHEN {at} BETWEEN TIMESTAMPTZ '1970-01-01 00:00:00+00' AND TIMESTAMPTZ '2200-01-01 00:00:00+00' THEN {at} END"


def between(start: str, end: str) -> str:
    """Milliseconds from one instant to a later one; unknown where one of them is absurd."""
    return f"CASE WHEN {end} >= {start} THEN TRY(epoch_us({end}) - epoch_us({start})) / 1000.0 END"


def seconds(text: str) -> str:
    """Unix seconds or ISO 8601 (a naive time is UTC) as an instant. Whole seconds and their fraction apart: a decimal of more than 18 digits is slow."""
    number = f"TRY_CAST({text} AS DECIMAL(18, 6))"
    microseconds = f"CAST(trunc({number}) AS BIGINT) * 1000000 + CAST(({number} % 1)::DECIMAL(7, 6) * 1000000 AS BIGINT)"
    return (
        f"CASE WHEN TRY_CAST({text} AS DOUBLE) IS NULL THEN {moment(text)}"
        f" WHEN {number} BETWEEN 0 AND 100000000000 THEN make_timestamptz({microseconds}) END"
    )


def instant(text: str, unit: str = "auto") -> str:
    """ISO 8601 (a naive time is UTC), RFC 1123, or a number in `unit`; `auto` tells s, ms, us and ns apart by size (2001 to 2286).

    A number is read into no more than the 18 digits that a register holds: a wider decimal is slow, and its product can overflow.
    """
    whole = f"TRY_CAST({text} AS BIGINT)"
    counted = {
        "s": _microseconds(text, 7),
        "ms": _microseconds(text, 4),
        "us": _microseconds(text, 1),
        "ns": f"{whole} // 1000",
        "ticks": f"({whole} - 621355968000000000) // 10",  # of 100 ns since the year 1
    }
    number = f"TRY_CAST({text} AS DOUBLE)"
    said = (
        counted[unit]
        if unit in counted
        else f"CASE WHEN {number} < 100000000000 THEN {counted['s']} WHEN {number} < 100000000000000 THEN {counted['ms']}"
        f" WHEN {number} < 100000000000000000 THEN {counted['us']} ELSE {counted['ns']} END"
    )
    rfc_1123 = f"TRY_STRPTIME({text}, '%a, %d %b %Y %H:%M:%S GMT')::TIMESTAMPTZ"
    return (
        f"CASE WHEN {number} IS NOT NULL THEN CASE WHEN {number} > 0 THEN make_timestamptz({said}) END"
        f" ELSE coalesce({moment(text)}, {rfc_1123}) END"
    )


def _microseconds(text: str, digits: int) -> str:
    """A number in a unit of 10 ** (digits - 1) microseconds. The last digit is below a microsecond: it is cut, so that no call moves to the next month."""
    number, scale = f"TRY_CAST({text} AS DECIMAL(18, {digits}))", 10 ** (digits - 1)
    return f"CAST(trunc({number}) AS BIGINT) * {scale} + CAST(trunc(({number} % 1)::DECIMAL({digits + 1}, {digits}) * {scale}) AS BIGINT)"


def whole(text: str, most: int = MOST_TOKENS, *, least: int | None = None) -> str:
    """A whole number of no more than `most`, above or below zero (or from `least` on): sums of it cannot overflow."""
    number = f"TRY_CAST({text} AS BIGINT)"
    return f"CASE WHEN {number} = TRY_CAST({text} AS DOUBLE) AND {number} BETWEEN {-most if least is None else least} AND {most} THEN {number} END"


def milliseconds(text: str, scale: str = "1.0") -> str:
    """A duration in units of `scale` milliseconds. One below zero, of 30,000 years or that is no number would spoil every sum: it is unknown."""
    return f"CASE WHEN TRY_CAST({text} AS DOUBLE) * {scale} BETWEEN 0 AND 1e15 THEN TRY_CAST({text} AS DOUBLE) * {scale} END"


def said(name: str, text: str) -> str:
    """A field and what stood there, for a reason: what a source writes for nothing is found at a glance. Long values are cut."""
    cut = f"CASE WHEN length({text}) > {SHOWN} THEN left({text}, {SHOWN}) || '...' ELSE {text} END"
    return f"'{name} ' || to_json({cut})::VARCHAR"


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


def written_inside(given: str, read: str, written: str, *, when: str) -> str:
    """SQL of the tokens written to a cache, of a provider that counts what it read and wrote inside the input and does not bill again what was
    read of a longer write (OpenAI), where `when` holds; null where nothing is said of them.
    """
    return f"CASE WHEN {when} AND greatest({read}, {written}) <= {given} AND {read} + {written} > {given} THEN {given} - {read} ELSE {written} END"
