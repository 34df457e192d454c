"""Vercel AI Gateway: answers of its generation API. Its report rows are sums and have no generation id; they are not taken for calls."""

from __future__ import annotations

from connectors.mapping import shipped
from connectors.noted import NotedConnector, members, numbers, others

_MAPPING = shipped("vercel")
_MEMBERS = {
    "numbers": numbers("r -> '$.data'"),
    "rest": others("r -> '$.data'", [_MAPPING]),
    # latency is the time to the first token, which only a stream has; the provider is paid by the customer only for BYOK
    "seen": """json_object('first_token', CASE WHEN r ->> '$.data.streamed' = 'true' THEN r ->> '$.data.latency' END,
        'upstream_cost', CASE WHEN r ->> '$.data.is_byok' = 'true' THEN r ->> '$.data.upstream_inference_cost' END)::VARCHAR""",
}
connector = NotedConnector("vercel", [_MAPPING], members(_MEMBERS))
