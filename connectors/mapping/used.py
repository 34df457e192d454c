"""What a mapped record says of usage: as it said it, and what it used in other units than tokens.

Owns: the SQL of usage_raw and of its counts. Does not own: where counts stand in usage (connectors/units.py) and in answers (connectors/answered.py).
Invariants: a body is opened only where it may hold a count; a count in the usage goes before one in the answer.
"""

from __future__ import annotations

from collections.abc import Mapping as Names
from typing import Final

from connectors.answered import mentions_sql, pictures_sql, spoken_sql, used_sql
from connectors.mapping.document import Usage, pointer
from connectors.mapping.text import Paths, quoted
from connectors.units import units_sql

_BODIES: Final = ("image_generation", "speech")  # what these used stands in their bodies alone


def raw_usage(usage: Usage, tokens: Names[str, str], paths: Paths) -> str:
    """What the source said of usage, as it said it; where the mapping's `raw` is not there, the counts it maps (column -> SQL)."""
    pairs = ", ".join(f"'{name}', {text}" for name, text in tokens.items())
    said = f"nullif(json_merge_patch('{{}}', json_object({pairs}))::VARCHAR, '{{}}')" if tokens else "NULL::VARCHAR"
    return f"coalesce({paths.first(usage.raw)}, {said})" if usage.raw else said


def used(usage: Usage, source: str, target: str) -> str:
    """CTEs `source` -> `target`, which has a column `units` more. Bodies have a step of their own: every count would open them again."""
    bodied = f"operation_text IN {_BODIES}"
    bodies = {
        "usage_json": "CASE WHEN json_valid(usage_given) THEN usage_given::JSON END",
        "answer_json": _body(usage.answer, f"{bodied} OR {mentions_sql('line')}"),
        "request_json": _body(usage.request, bodied),
    }
    columns = ", ".join(f"{body} AS {name}" for name, body in bodies.items())
    counts, sized = used_sql("answer_json") | {"character": spoken_sql("request_json", "operation_text")}, "NULL"
    if usage.answer or usage.request:
        sized = pictures_sql("answer_json", "request_json", "operation_text")
    units = units_sql("usage_json", sized=sized, otherwise=counts if usage.answer or usage.request else None)
    return f"""{target}_bodies AS (SELECT *, {columns} FROM {source}),
        {target} AS (SELECT * EXCLUDE ({", ".join(bodies)}), {units} AS units FROM {target}_bodies)"""


def _body(paths: tuple[str, ...], wanted: str) -> str:
    """The first of the bodies that is JSON; some sources keep it as text of it."""
    found = [f"TRY(json_extract(line, {quoted(pointer(path))}))" for path in paths]
    bodies = [
        f"CASE json_type({one}) WHEN 'OBJECT' THEN {one} WHEN 'ARRAY' THEN {one} WHEN 'VARCHAR' THEN TRY(({one} ->> '$')::JSON) END"
        for one in found
    ]
    return f"CASE WHEN {wanted} THEN coalesce({', '.join(bodies)}, NULL) END" if bodies else "NULL::JSON"
