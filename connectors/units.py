"""What a call used in other units than tokens, out of the usage that providers and gateways write: searches, seconds, images, pages, rerankers' units.

Owns: where each count stands, in SQL and in Python, and the member of usage_raw that the roll-up reads. Does not own: what is charged (governor/prices/units.py).
Invariants: a count of zero, below it or of no number is none; what the source wrote of usage stays as it was behind our member.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final

MEMBER: Final = "governor_units"
DETAILS: Final = ("prompt_tokens_details", "input_tokens_details", "input_token_details")
# count -> paths in a usage object, the first that says one wins
PATHS: Final = {
    "web_search": (
        "server_tool_use.web_search_requests",
        "serverToolUse.webSearchRequests",
        "prompt_tokens_details.web_search_requests",
        "server_side_tool_usage_details.web_search_calls",
        "tool_usage.web_search.num_requests",
    ),
    "maps_search": ("prompt_tokens_details.google_maps_grounding_requests",),
    "source": ("num_sources_used",),
    "search_unit": ("billed_units.search_units", "search_units"),
    "page": ("pages_processed",),
    "input_image": ("prompt_tokens_details.image_count",),
    "input_video_second": ("prompt_tokens_details.video_length_seconds",),
    "character": ("prompt_tokens_details.character_count",),
    "second": ("prompt_tokens_details.audio_length_seconds",),
}
CACHED: Final = {
    f"cached_{kind}_tokens": tuple(f"{name}.cached_tokens_details.{kind}_tokens" for name in DETAILS) for kind in ("audio", "image")
}
# Perplexity: research is charged by the search, anything else by the request and the size of its context; OpenAI's transcriptions; videos
QUERIES, CITED, CONTEXT = "num_search_queries", "citation_tokens", "search_context_size"
SIZES: Final = ("low", "medium", "high")
DURATION, SECONDS, VIDEO, RESOLUTION = ("type", "duration"), "seconds", "duration_seconds", "video_resolution"
# where none of these stands nothing is looked for: no such member in a usage object, no such word in its text
_OUTERMOST: Final = {path.split(".")[0] for paths in (*PATHS.values(), *CACHED.values()) for path in paths} | {
    QUERIES,
    CONTEXT,
    DURATION[0],
    VIDEO,
}
HINTS: Final = (
    "web_search|webSearch|grounding_requests|num_s|search_units|pages_processed|image_count|_seconds|character_count|"
    "cached_tokens_details|search_context_size|duration"
)
MOST: Final = 10**9


def _sql(usage: str, *paths: str) -> str:
    found = ", ".join(f"TRY_CAST({usage} ->> '$.{path}' AS DECIMAL(18, 3))" for path in paths)
    return f"coalesce({found})" if len(paths) > 1 else found


def _positive(count: str) -> str:
    return f"CASE WHEN {count} > 0 AND {count} < {MOST} THEN {count} END"


def units_sql(usage: str, more: Mapping[str, str] | None = None, sized: str = "NULL", *, otherwise: Mapping[str, str] | None = None) -> str:
    """SQL of the counts in a usage object as JSON text; NULL where it says none.

    more: counts that stand beside it, name -> SQL of a number; otherwise: those that count where it says none. sized: SQL of a JSON object of one count
    whose name says a size, or NULL.
    """
    said = {name: _positive(_sql(usage, *paths)) for name, paths in PATHS.items()}
    said["web_search"] = f"""CASE WHEN ({usage} ->> '$.{CITED}') IS NOT NULL THEN {_positive(_sql(usage, QUERIES))}
        WHEN ({usage} ->> '$.{CONTEXT}') IS NULL THEN {said["web_search"]} END"""
    for size in SIZES:
        said[f"request@{size}"] = f"CASE WHEN ({usage} ->> '$.{CONTEXT}') = '{size}' AND ({usage} ->> '$.{CITED}') IS NULL THEN 1 END"
    said["second"] = (
        f"CASE WHEN ({usage} ->> '$.{DURATION[0]}') = '{DURATION[1]}' THEN {_positive(_sql(usage, SECONDS))} ELSE {said['second']} END"
    )
    for name, paths in CACHED.items():
        said[name] = _sql(usage, *paths)
    for name, count in (more or {}).items():
        said[name] = f"coalesce({_positive(count)}, {said[name]})" if name in said else _positive(count)
    for name, count in (otherwise or {}).items():
        said[name] = f"coalesce({said[name]}, {_positive(count)})" if name in said else _positive(count)
    beside = (*(more or {}).values(), *(otherwise or {}).values())
    video = _sql(usage, VIDEO)
    resolved = f"""CASE WHEN {video} > 0 AND {video} < {MOST}
        THEN json_object('video_second' || coalesce('@' || lower({usage} ->> '$.{RESOLUTION}'), ''), {video}) END"""
    anything = " OR ".join((f"regexp_matches({usage}::VARCHAR, '{HINTS}')", f"{sized} IS NOT NULL", *(f"{count} > 0" for count in beside)))
    inside = ", ".join(f"'{name}', {count}" for name, count in said.items())
    parts = ", ".join(f"coalesce({part}, '{{}}'::JSON)" for part in (sized, resolved))
    return f"CASE WHEN {anything} THEN nullif(json_merge_patch('{{}}'::JSON, json_object({inside}), {parts})::VARCHAR, '{{}}') END"


def with_units_sql(raw: str, units: str) -> str:
    """usage_raw with the counts (two columns) as its first member."""
    return rf"""CASE WHEN {units} IS NULL THEN {raw} WHEN starts_with({raw}, '{{') AND NOT regexp_full_match({raw}, '\{{\s*\}}')
        THEN '{{"{MEMBER}":' || {units} || ',' || substr({raw}, 2) ELSE '{{"{MEMBER}":' || {units} || '}}' END"""


def units_of(usage: Mapping[str, Any]) -> dict[str, Decimal]:
    """The same of one usage object."""
    if usage.keys().isdisjoint(_OUTERMOST):
        return {}
    found = {name: next((count for path in paths if (count := _at(usage, path))), None) for name, paths in PATHS.items()}
    size = str(usage.get(CONTEXT) or "").lower()
    if usage.get(CITED) is not None:
        found["web_search"] = _at(usage, QUERIES)
    elif size in SIZES:
        found |= {"web_search": None, f"request@{size}": Decimal(1)}
    if usage.get(DURATION[0]) == DURATION[1]:
        found["second"] = _at(usage, SECONDS)
    resolution = str(usage.get(RESOLUTION) or "").lower()
    found["video_second" + (f"@{resolution}" if resolution else "")] = _at(usage, VIDEO)
    counted = {name: count for name, count in found.items() if count}
    cached = {name: next((count for path in paths if (count := _at(usage, path)) is not None), None) for name, paths in CACHED.items()}
    return counted | {name: count for name, count in cached.items() if count is not None}


def _at(usage: Mapping[str, Any], path: str) -> Decimal | None:
    value: Any = usage
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    if value is None or isinstance(value, bool):
        return None
    try:
        count = Decimal(str(value))
    except InvalidOperation:
        return None
    return round(count, 3) if count.is_finite() and 0 <= count < MOST else None


def with_units(raw: str | None, counts: Mapping[str, Decimal | None]) -> str | None:
    """usage_raw with the counts as its first member; None of a count: used, nobody said how often."""
    if not counts:
        return raw
    told = ",".join(f"{json.dumps(name)}:{'null' if count is None else f'{count:f}'}" for name, count in sorted(counts.items()))
    rest = raw[1:].lstrip() if raw and raw.startswith("{") else "}"
    return f'{{"{MEMBER}":{{{told}}}{"," if rest != "}" else ""}{rest}'
