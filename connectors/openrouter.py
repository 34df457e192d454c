"""OpenRouter: answers of its generation API, and the activity page's CSV with one row per generation.

Rows of `GET /api/v1/activity` are sums by day and model; they have no generation id, so no mapping takes them for calls.
"""

from __future__ import annotations

from connectors.mapping import shipped
from connectors.noted import NotedConnector, members, numbers, others


def _either(*names: str) -> str:
    """A member of the API's record, else of the CSV's row."""
    return "coalesce(" + ", ".join(f"r ->> '$.data.{name}', r ->> '$.{name}'" for name in names) + ")"


_MAPPINGS = [shipped("openrouter_generation"), shipped("openrouter_activity")]
_OBJECT = "CASE WHEN json_type(r, '$.data') = 'OBJECT' THEN r -> '$.data' ELSE r END"
_MEMBERS = {
    "numbers": numbers(_OBJECT),
    "rest": others(_OBJECT, _MAPPINGS),
    # what one member alone does not say
    "seen": f"""json_object(
        'status', CASE WHEN lower({_either("cancelled")}) = 'true' THEN 'cancelled'
            WHEN {_either("finish_reason", "finish_reason_normalized")} = 'error' THEN 'error' END,
        'http_status', r ->> '$.data.provider_responses[#-1].status',
        'attempts', json_array_length(r, '$.data.provider_responses'),
        'fallback', json_array_length(r, '$.data.provider_responses') > 1,
        'model', {_either("router", "model", "model_permaslug")}
            || CASE WHEN {_either("variant")} <> 'standard' THEN ':' || {_either("variant")} ELSE '' END,
        'first_token', CASE WHEN lower({_either("streamed")}) = 'true' THEN {_either("latency", "time_to_first_token_ms")} END,
        'upstream_cost', CASE WHEN lower({_either("is_byok")}) = 'true' THEN {_either("upstream_inference_cost")}
            ELSE r ->> '$.byok_usage_inference' END)::VARCHAR""",
}

connector = NotedConnector("openrouter", _MAPPINGS, members(_MEMBERS))
