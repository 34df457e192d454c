"""Declared shapes of LiteLLM's two records, and how each maps to one set of facts. Everything is text until it is checked.

Owns: field names of StandardLoggingPayload and of LiteLLM_SpendLogs, by allow-list: a field that is not named here is not kept, which
is how request headers, proxy_server_request, budgets and tracebacks stay out. Does not own: what the facts mean (calls_sql).
Invariants: both forms give exactly the names of FACTS; a wrong type gives null here and is refused or reported there.
"""

from __future__ import annotations

from typing import Any, Final

_V, _J = "VARCHAR", "JSON"

_IDENTITY_METADATA: Final = {
    "user_api_key_hash": _V,
    "user_api_key_alias": _V,
    "user_api_key_team_id": _V,
    "user_api_key_team_alias": _V,
    "user_api_key_org_id": _V,
    "user_api_key_project_id": _V,
    "user_api_key_user_id": _V,
    "user_api_key_end_user_id": _V,
    "spend_logs_metadata": _J,
    "requester_metadata": _J,
    "user_api_key_auth_metadata": _J,
    "usage_object": _J,
    "attempted_fallbacks": _V,
    "attempted_retries": _V,
    "original_model_group": _V,
    "routing_decision": _J,
    "applied_guardrails": _J,
    "guardrail_information": _J,
    "is_silent_experiment": _V,
    "internal_call_origin": _V,
    "prompt_management_metadata": {"prompt_id": _V, "prompt_version": _V},
}
_COST_PARTS: Final = {
    "input_cost": _V,
    "output_cost": _V,
    "cache_read_cost": _V,
    "cache_creation_cost": _V,
    "tool_usage_cost": _V,
    "service_tier": _V,
    "vertex_location": _V,
}
_PRICED_AS: Final = {"model_map_key": _V}
_ERROR: Final = {"error_code": _V, "error_class": _V, "error_message": _V}

_PAYLOAD_TEXTS: Final = (
    "id", "litellm_call_id", "trace_id", "session_id", "call_type", "cache_hit", "stream", "status",
    "custom_llm_provider", "saved_cache_cost", "startTime", "endTime", "completionStartTime", "model", "response_cost",
    "prompt_tokens", "completion_tokens", "total_tokens", "end_user", "api_base", "model_group", "model_id",
    "error_str",
)  # fmt: skip
PAYLOAD: Final[dict[str, Any]] = {
    **dict.fromkeys(_PAYLOAD_TEXTS, _V),
    "metadata": _IDENTITY_METADATA,
    "cost_breakdown": _COST_PARTS,
    "model_map_information": _PRICED_AS,
    "request_tags": _J,
    "model_parameters": _J,
    "status_fields": {"guardrail_status": _V},
    "hidden_params": {
        "litellm_overhead_time_ms": _V,
        "additional_headers": {"x-request-id": _V, "llm_provider-x-request-id": _V, "llm_provider-request-id": _V},
    },
    "error_information": _ERROR,
    "guardrail_information": _J,
}
PAYLOAD_RESPONSE: Final[dict[str, Any]] = {
    **dict.fromkeys(("model", "background", "stop_reason", "size", "quality", "duration"), _V),
    "choices": [{"finish_reason": _V}],
    # what was made or used in other units than tokens
    "data": [{"index": _V}],
    "output": [{"type": _V, "container_id": _V, "action": {"type": _V}}],
    "meta": {"billed_units": {"search_units": _V}},
    "usage_info": {"pages_processed": _V},
    "usage": {"type": _V, "seconds": _V},
}
PAYLOAD_CONTENT: Final = {"messages": _J, "response": _J}

_SPEND_TEXTS: Final = (
    "request_id", "litellm_call_id", "call_type", "api_key", "spend", "total_tokens", "prompt_tokens",
    "completion_tokens", "startTime", "endTime", "completionStartTime", "model", "model_id", "model_group",
    "custom_llm_provider", "api_base", "user", "cache_hit", "team_id", "organization_id", "end_user", "session_id",
    "status",
)  # fmt: skip
SPEND: Final[dict[str, Any]] = dict.fromkeys(_SPEND_TEXTS, _V) | {"metadata": _J, "request_tags": _J}
SPEND_CONTENT: Final = {"messages": _J, "response": _J, "proxy_server_request": _J}
SPEND_METADATA: Final[dict[str, Any]] = {
    **_IDENTITY_METADATA,
    "litellm_call_id": _V,
    "status": _V,
    "cost_breakdown": _COST_PARTS,
    "model_map_information": _PRICED_AS,
    "error_information": _ERROR,
    "litellm_overhead_time_ms": _V,
    "additional_usage_values": _J,
}

USAGE: Final[dict[str, Any]] = {
    "prompt_tokens": _V,
    "completion_tokens": _V,
    "total_tokens": _V,
    "cache_read_input_tokens": _V,
    "cache_creation_input_tokens": _V,
    "service_tier": _V,
    "speed": _V,
    "prompt_tokens_details": {
        "cached_tokens": _V,
        "cache_creation_tokens": _V,
        "cache_write_tokens": _V,
        "audio_tokens": _V,
        "image_tokens": _V,
        "cache_creation_token_details": {"ephemeral_5m_input_tokens": _V, "ephemeral_1h_input_tokens": _V},
    },
    "completion_tokens_details": {"reasoning_tokens": _V, "audio_tokens": _V, "image_tokens": _V},
}


def unstring(expression: str) -> str:
    """JSON columns arrive as JSON or as a string of JSON, by driver; null when the string holds no JSON."""
    text = f"json_extract_string({expression}, '$')"
    inner = f"CASE WHEN json_valid({text}) THEN {text}::JSON END"
    return f"CASE WHEN starts_with({expression}::VARCHAR, '\"') THEN {inner} ELSE {expression} END"


_UPSTREAM_ID: Final = """coalesce(r.hidden_params.additional_headers."llm_provider-x-request-id",
    r.hidden_params.additional_headers."llm_provider-request-id", r.hidden_params.additional_headers."x-request-id")"""
_FINISH: Final = """coalesce(list_filter(list_transform(p.choices, lambda c: c.finish_reason), lambda f: f IS NOT NULL),
    CASE WHEN p.stop_reason IS NOT NULL THEN [p.stop_reason] END)"""
# the payload sums up what the guardrails did, a spend row only lists it
_INTERVENED: Final = """CASE WHEN regexp_matches(m.guardrail_information::VARCHAR, '"guardrail_status"\\s*:\\s*"(guardrail_intervened|blocked)"')
    THEN 'guardrail_intervened' END"""
_COPY: Final = "m.is_silent_experiment = 'true' OR starts_with(m.internal_call_origin, 'shadow_eval')"
_PICTURES: Final = "r.call_type IN ('image_generation', 'aimage_generation', 'image_edit', 'aimage_edit')"


def _asked(name: str) -> str:
    """What the answer says of its pictures, else what was asked for."""
    return f"CASE WHEN {_PICTURES} THEN lower(nullif(coalesce(p.{name}, json_extract_string(r.model_parameters, '$.{name}')), 'auto')) END"


def _items(kind: str, more: str = "true") -> str:
    return f"len(list_filter(p.output, lambda o: o.type = '{kind}' AND {more}))"


# name -> (StandardLoggingPayload, SpendLogs); r is the record, m its metadata, p the response's frame
FACTS: Final[dict[str, tuple[str, str]]] = {
    "native_id": ("r.id", "r.request_id"),
    "call_id": ("r.litellm_call_id", "coalesce(r.litellm_call_id, m.litellm_call_id)"),
    "trace_text": ("r.trace_id", "NULL"),
    "session_text": ("r.session_id", "r.session_id"),
    "call_type": ("r.call_type", "r.call_type"),
    "cache_text": ("r.cache_hit", "r.cache_hit"),
    "stream_text": ("coalesce(r.stream, json_extract_string(r.model_parameters, '$.stream'))", "NULL"),
    "status_text": ("coalesce(r.status, 'success')", "coalesce(r.status, m.status, 'success')"),
    "guardrail_status": ("r.status_fields.guardrail_status", _INTERVENED),
    "provider_text": ("r.custom_llm_provider", "r.custom_llm_provider"),
    "start_text": ("r.startTime", "r.startTime"),
    "end_text": ("r.endTime", "r.endTime"),
    "first_text": ("r.completionStartTime", "r.completionStartTime"),
    "model": ("r.model", "r.model"),
    "model_group": ("r.model_group", "r.model_group"),
    "original_group": ("m.original_model_group", "m.original_model_group"),
    "response_model_text": ("p.model", "NULL"),
    "priced_as": ("r.model_map_information.model_map_key", "m.model_map_information.model_map_key"),
    "finish": (_FINISH, "NULL::VARCHAR[]"),
    "model_id": ("r.model_id", "r.model_id"),
    "api_base": ("r.api_base", "r.api_base"),
    "prompt_text": ("r.prompt_tokens", "r.prompt_tokens"),
    "completion_text": ("r.completion_tokens", "r.completion_tokens"),
    "total_text": ("r.total_tokens", "r.total_tokens"),
    "usage_json": ("m.usage_object", "coalesce(m.usage_object, m.additional_usage_values)"),
    "pictures": (f"CASE WHEN {_PICTURES} THEN len(p.data) END", "NULL::BIGINT"),
    "picture_size": (_asked("size"), "NULL::VARCHAR"),
    "picture_quality": (_asked("quality"), "NULL::VARCHAR"),
    # opening a page that a search found is no search
    "searches": (_items("web_search_call", "coalesce(o.action.type, 'search') = 'search'"), "NULL::BIGINT"),
    "file_searches": (_items("file_search_call"), "NULL::BIGINT"),
    "containers": (
        "len(list_distinct(list_transform(list_filter(p.output, lambda o: o.type = 'code_interpreter_call'), lambda o: o.container_id)))",
        "NULL::BIGINT",
    ),
    "reranked": ("p.meta.billed_units.search_units", "NULL"),
    "pages_read": ("p.usage_info.pages_processed", "NULL"),
    "heard": (
        "CASE WHEN contains(r.call_type, 'transcription') THEN coalesce(CASE WHEN p.usage.type = 'duration' THEN p.usage.seconds END, p.duration) END",
        "NULL",
    ),
    "cost_text": ("r.response_cost", "r.spend"),
    "saved_text": ("r.saved_cache_cost", "NULL"),
    "parts": ("r.cost_breakdown", "m.cost_breakdown"),
    "key_hash": ("m.user_api_key_hash", "coalesce(nullif(r.api_key, ''), m.user_api_key_hash)"),
    "key_alias": ("m.user_api_key_alias", "m.user_api_key_alias"),
    "team_id": ("m.user_api_key_team_id", "coalesce(nullif(r.team_id, ''), m.user_api_key_team_id)"),
    "team_name": ("m.user_api_key_team_alias", "m.user_api_key_team_alias"),
    "org_id": ("m.user_api_key_org_id", "coalesce(nullif(r.organization_id, ''), m.user_api_key_org_id)"),
    "project_id": ("m.user_api_key_project_id", "m.user_api_key_project_id"),
    "user_id": ("m.user_api_key_user_id", "coalesce(nullif(r.\"user\", ''), m.user_api_key_user_id)"),
    "end_user": ("coalesce(nullif(r.end_user, ''), m.user_api_key_end_user_id)", "r.end_user"),
    "spend_meta": (unstring("m.spend_logs_metadata"), unstring("m.spend_logs_metadata")),
    "requester_meta": (unstring("m.requester_metadata"), unstring("m.requester_metadata")),
    "key_meta": (unstring("m.user_api_key_auth_metadata"), unstring("m.user_api_key_auth_metadata")),
    "tags_json": (unstring("r.request_tags"), unstring("r.request_tags")),
    "guardrails": (
        "coalesce(r.guardrail_information, m.guardrail_information, m.applied_guardrails)",
        "coalesce(m.guardrail_information, m.applied_guardrails)",
    ),
    # traffic that the proxy copied to another model, or sent to compare two: nobody was served with it
    "is_copy": (_COPY, _COPY),
    "prompt_template": ("m.prompt_management_metadata.prompt_id", "m.prompt_management_metadata.prompt_id"),
    "prompt_release": ("m.prompt_management_metadata.prompt_version", "m.prompt_management_metadata.prompt_version"),
    "retries": ("m.attempted_retries", "m.attempted_retries"),
    "fallbacks": ("m.attempted_fallbacks", "m.attempted_fallbacks"),
    "routing": ("m.routing_decision", "m.routing_decision"),
    "in_background": ("p.background = 'true'", "ends_with(r.request_id, '_background_cost')"),
    "overhead": ("r.hidden_params.litellm_overhead_time_ms", "m.litellm_overhead_time_ms"),
    "upstream_id": (_UPSTREAM_ID, "NULL"),
    "error": ("r.error_information", "m.error_information"),
    "error_str": ("r.error_str", "NULL"),
}
_REQUEST: Final = f"({unstring('r.proxy_server_request')})"  # as the client sent it: Anthropic's and Responses' name the prompt otherwise
_INPUT: Final = f"""CASE WHEN json_type({_REQUEST}, '$.input') = 'VARCHAR' THEN json_array(json_object('role', 'user',
    'content', json_extract({_REQUEST}, '$.input'))) ELSE json_extract({_REQUEST}, '$.input') END"""
# content: only selected when bodies are wanted
CONTENT_FACTS: Final[dict[str, tuple[str, str]]] = {
    "messages": (
        unstring("r.messages"),
        unstring(f"coalesce(nullif(r.messages, '{{}}'), json_extract({_REQUEST}, '$.messages'), {_INPUT})"),
    ),
    # the payload's messages begin with Anthropic's system prompt; Responses' instructions stand among its parameters
    "system": (
        "json_extract(r.model_parameters, '$.instructions')",
        f"coalesce(json_extract({_REQUEST}, '$.system'), json_extract({_REQUEST}, '$.instructions'))",
    ),
    "response": (unstring("r.response"), unstring("r.response")),
    "parameters": (unstring("r.model_parameters"), unstring("r.proxy_server_request")),
}
