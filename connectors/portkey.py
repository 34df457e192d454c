"""Portkey: its log export (shipped mapping `portkey`), and what no path of it says: the operation, who asked, how it ended."""

from __future__ import annotations

from connectors.addresses import region_in
from connectors.mapping import shipped
from connectors.noted import NotedConnector, members, operation_at

_URL = "r ->> '$.request_url'"
_CODE = "TRY_CAST(r ->> '$.response_status_code' AS DOUBLE)"
_STREAM = "coalesce(r ->> '$.request.body.stream', r ->> '$.stream_mode')"


def _metadata(name: str) -> str:
    """A member of the metadata, which the export writes as two lists side by side."""
    place = f"list_position(r ->> '$.metadata.key[*]', '{name}')"
    return f"""coalesce(r ->> '$.metadata.{name}', nullif(list_extract(r ->> '$.metadata.value[*]', {place}), ''), nullif(r ->> '$.{name}', ''))"""


_MEMBERS = {
    "seen": f"""json_object(
        'operation', {operation_at(_URL)},
        'region', {region_in(_URL)},
        'stream', CASE WHEN lower({_STREAM}) IN ('true', '1', '1.0') THEN 'true' WHEN lower({_STREAM}) IN ('false', '0', '0.0') THEN 'false' END,
        -- 446 is a guardrail's refusal, 499 a client that went away
        'status', CASE WHEN {_CODE} = 446 THEN 'blocked' WHEN {_CODE} = 499 THEN 'cancelled' ELSE r ->> '$.is_success' END,
        'retries', CASE WHEN TRY_CAST(r ->> '$.retry_success_count' AS DOUBLE) BETWEEN 0 AND 100 THEN r ->> '$.retry_success_count' END,
        'fallback', CASE WHEN r ->> '$.mode' = 'fallback' THEN TRY_CAST(regexp_extract(r ->> '$.last_used_option_index', '([0-9]+)[^0-9]*$', 1) AS INTEGER) > 0 END,
        'user', {_metadata("_user")}, 'environment', {_metadata("_environment")})::VARCHAR""",
}
connector = NotedConnector("portkey", [shipped("portkey")], members(_MEMBERS))
