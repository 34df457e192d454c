"""Helicone: rows of its request API (POST /v1/request/query-clickhouse), as pages or one by one. Bodies come as objects or as text of them."""

from __future__ import annotations

from connectors.mapping import shipped
from connectors.noted import NotedConnector, members, numbers, operation_at


def _opened(body: str) -> str:
    """A body that arrived as text of an object."""
    text = f"r ->> '$.{body}'"
    return f"CASE WHEN json_type(r, '$.{body}') = 'VARCHAR' AND json_valid({text}) THEN CASE WHEN json_type({text}) = 'OBJECT' THEN json({text})::VARCHAR END END"


_COUNT = (
    "coalesce(TRY_CAST(r ->> '$.prompt_tokens' AS DOUBLE), 0) <> 0 OR coalesce(TRY_CAST(r ->> '$.completion_tokens' AS DOUBLE), 0) <> 0"
)
_MEMBERS = {
    "numbers": numbers("r"),
    # where nothing was counted, its zeros for the parts say nothing either
    "parts": f"""CASE WHEN {_COUNT} THEN json_object('cache_read', r -> '$.prompt_cache_read_tokens',
        'cache_write', r -> '$.prompt_cache_write_tokens', 'reasoning', r -> '$.reasoning_tokens',
        'audio_input', r -> '$.prompt_audio_tokens', 'audio_output', r -> '$.completion_audio_tokens')::VARCHAR END""",
    "opened": f"""'{{"request":' || coalesce({_opened("request_body")}, 'null') || ',"response":' || coalesce({_opened("response_body")}, 'null') || '}}'""",
    "seen": f"""json_object(
        'operation', {operation_at("coalesce(nullif(r ->> '$.request_path', ''), split_part(r ->> '$.target_url', '?', 1))")},
        'first_token', nullif(TRY_CAST(r ->> '$.time_to_first_token' AS DOUBLE), 0))::VARCHAR""",
}
connector = NotedConnector("helicone", [shipped("helicone")], members(_MEMBERS))
