"""What a call used in other units than tokens, out of its answer and its request, where the provider's usage does not count it: searches that OpenAI and
Gemini made, files searched, containers of a code interpreter, pictures made, text spoken.

Owns: the places of these in answers, in SQL and in Python. Does not own: counts that stand in a usage object (units), what is charged (governor/prices/units.py).
Invariants: what the usage counts goes first; an answer that holds no word of ours is not opened; opening a page that a search found is no search.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final

# an answer without any of these words has nothing to count
WORDS: Final = ("web_search_call", "file_search_call", "code_interpreter_call", "webSearchQueries", "web_search_queries")
_GROUNDED: Final = (("groundingMetadata", "webSearchQueries"), ("grounding_metadata", "web_search_queries"))
_PICTURED, _SPOKEN = "image_generation", "speech"
_PICTURES: Final = ("/data", "/images", "/artifacts")


def mentions(text: str) -> bool:
    return any(word in text for word in WORDS)


def mentions_sql(text: str) -> str:
    return "(" + " OR ".join(f"contains({text}, '{word}')" for word in WORDS) + ")"


def used_sql(answer: str) -> dict[str, str]:
    """Unit -> SQL of its count in an answer as JSON; none is zero or NULL."""
    items = f"(json_extract({answer}, '$.output[*]') || json_extract({answer}, '$[*]'))"
    of = "list_filter(" + items + ", lambda o: json_extract_string(o, '/type') = '{}'{})"
    search = of.format("web_search_call", " AND coalesce(json_extract_string(o, '/action/type'), 'search') = 'search'")
    queries = " + ".join(f"len(json_extract({answer}, '$.candidates[*].{outer}.{inner}[*]'))" for outer, inner in _GROUNDED)
    containers = f"list_transform({of.format('code_interpreter_call', '')}, lambda o: json_extract_string(o, '/container_id'))"
    return {
        "web_search": f"(coalesce(len({search}), 0) + coalesce({queries}, 0))",
        "file_search": f"len({of.format('file_search_call', '')})",
        "session": f"len(list_distinct({containers}))",
    }


def pictures_sql(answer: str, request: str, operation: str) -> str:
    """SQL of a JSON object with how many pictures an answer holds (OpenAI's form, Bedrock's), by their size; NULL for none."""

    def said(name: str) -> str:
        return f"lower(nullif(coalesce({answer} ->> '$.{name}', {request} ->> '$.{name}'), 'auto'))"

    size, quality = said("size"), said("quality")
    suffix = f"CASE WHEN {quality} IS NULL OR {quality} = 'standard' THEN '' ELSE '-' || {quality} END"
    made = f"coalesce({', '.join(f'nullif(json_array_length({answer}, $${place}$$), 0)' for place in _PICTURES)})"
    return f"""CASE WHEN {operation} = '{_PICTURED}' AND {made} > 0
        THEN json_object('image' || coalesce('@' || {size} || {suffix}, ''), {made}) END"""


def spoken_sql(request: str, operation: str) -> str:
    """SQL of the characters that a request had spoken."""
    return f"CASE WHEN {operation} = '{_SPOKEN}' AND json_type({request}, '$.input') = 'VARCHAR' THEN length({request} ->> '$.input') END"


def used(answer: Any) -> dict[str, Decimal]:
    """The same of one answer: an object of OpenAI's or Gemini's, or OpenAI's list of items."""
    items = [one for one in _items(answer) if isinstance(one, Mapping)]
    searches = [one for one in items if one.get("type") == "web_search_call" and _at(one, "action", "type") in (None, "search")]
    queries = sum(_queries(one) for one in _list(_at(answer, "candidates")))
    containers = {
        json.dumps(one.get("container_id"))
        for one in items
        if one.get("type") == "code_interpreter_call" and one.get("container_id") is not None
    }
    found = {
        "web_search": len(searches) + queries,
        "file_search": sum(one.get("type") == "file_search_call" for one in items),
        "session": len(containers),
    }
    return {name: Decimal(count) for name, count in found.items() if count}


def grounded(candidate: Any) -> dict[str, Decimal]:
    """Of what holds Gemini's grounding itself."""
    count = _queries(candidate)
    return {"web_search": Decimal(count)} if count else {}


def first(found: Iterable[dict[str, Decimal]]) -> dict[str, Decimal]:
    return next(filter(None, found), {})


def _queries(candidate: Any) -> int:
    return sum(len(_list(_at(candidate, *path))) for path in _GROUNDED)


def _items(answer: Any) -> list[Any]:
    return answer if isinstance(answer, list) else _list(_at(answer, "output"))


def _at(value: Any, *path: str) -> Any:
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
