"""Canonical column -> SQL expression over the rated facts of a LiteLLM record.

Owns: the mapping of FORMATS to CALL_SCHEMA, witness keys, record ids. Does not own: the facts and their checks (calls_sql).
Invariants: a column that is not named here is null; unknown stays null; witness keys use only what every sink of the same call says.
"""

from __future__ import annotations

from typing import Final

from connectors.addresses import kept_address, kept_text, region_in
from connectors.expressions import believable, between, choose, claim, milliseconds, money, tag, whole
from connectors.keys import STRONG_ID
from connectors.parameters import PARAMETERS, spec
from connectors.providers import OPERATIONS
from connectors.units import with_units_sql

KINDS: Final = {"generic_api": "litellm.generic_api", "s3": "litellm.s3", "spend_logs": "litellm.spend_logs"}

_KEYS: Final = {
    "dup_group_key": """CASE
        WHEN is_batch AND is_ok AND response_id IS NOT NULL THEN 'litellm:batch:' || response_id
        WHEN call IS NULL AND is_ok AND NOT coalesce(is_hit, false) AND {strong} THEN 'response:' || response_id
        WHEN call IS NULL THEN 'litellm-row:' || source_record_id
        WHEN is_ok THEN 'litellm:' || call || ':ok:' || coalesce(response_id, '')
        WHEN getvariable('kind') = 'litellm.spend_logs' THEN 'litellm:' || call || ':failed'
        ELSE 'litellm:' || call || ':failed:' || span_us END""",
    "dup_alias_key": """CASE
        WHEN call IS NULL OR is_batch THEN NULL
        WHEN is_ok AND NOT coalesce(is_hit, false) AND {strong} THEN 'response:' || response_id
        WHEN NOT is_ok AND getvariable('kind') <> 'litellm.spend_logs' THEN 'litellm:' || call || ':failed' END""",
}
_STRONG: Final = f"regexp_full_match(response_id, '{STRONG_ID}')"

SPEND_PAYLOAD: Final = (
    "sha256(concat_ws(chr(31), "
    + ", ".join(
        f"coalesce(({name})::VARCHAR, chr(30))"
        for name in (
            "native_id",
            "call",
            "call_type",
            "key_hash",
            "cost_n",
            "input_n",
            "output_n",
            "total_n",
            "prompt_text",
            "completion_text",
            "read_n",
            "write_n",
            "reasoning_n",
            "epoch_us(start_at)",
            "epoch_us(end_at)",
            "epoch_us(first_at)",
            "model",
            "model_id",
            "model_group",
            "provider_text",
            "api_base",
            "user_id",
            "is_hit",
            "team_id",
            "org_id",
            "end_user",
            "session_text",
            "status_text",
            "json(tags_json)",
            "json(spend_meta)",
            "error.error_code",
        )
    )
    + "))"
)


_FAILURE: Final = "coalesce(nullif(error.error_message, ''), error_str)"


_USAGE: Final = """(CASE WHEN usage_json IS NOT NULL AND is_ok THEN usage_json ELSE json_object('prompt_tokens', prompt_text,
    'completion_tokens', completion_text, 'total_tokens', total_text, 'usage_object', usage_json) END::VARCHAR)"""


def _part(text: str) -> str:
    """A part of the count; one that is absurd is unknown, and the whole stands."""
    return whole(text, least=0)


# canonical column -> expression; columns that are not named are null
COLUMNS: Final[dict[str, str]] = {
    "revision": "0",
    "source_kind": "getvariable('kind')",
    "source_instance": "getvariable('instance')",
    "source_record_id": "source_record_id",
    "ingest_uri": "uri",
    "ingest_row": "row",
    "grain": "'attempt'",
    "cost_bearing": "NOT coalesce(is_shadow, false)",
    "exclusion_reason": "CASE WHEN is_shadow THEN 'shadow' END",
    **{name: text.format(strong=_STRONG) for name, text in _KEYS.items()},
    "sample_rate": "1.0",
    "trace_id": "CASE WHEN regexp_full_match(lower(trace_text), '[0-9a-f]{32}') THEN lower(trace_text) END",
    "trace_id_raw": "nullif(trace_text, '')",
    "session_id": "nullif(session_text, '')",
    "call_group_id": "call",
    "provider_response_id": "response_id",
    "provider_request_id": "upstream_id",
    "start_time": "start_at",
    "end_time": believable("end_at"),
    "time_basis": "'start'",
    "time_precision": "CASE WHEN getvariable('kind') = 'litellm.spend_logs' THEN 'ms' ELSE 'us' END",
    "duration_ms": between("start_at", "end_at"),
    "ttft_ms": f"CASE WHEN lower(stream_text) = 'true' THEN {between('start_at', 'first_at')} END",
    "gateway_overhead_ms": milliseconds("overhead"),
    "duration_basis": "CASE WHEN end_at >= start_at THEN 'total' ELSE 'missing' END",
    "gateway_kind": "'litellm'",
    "operation": choose("call_type", OPERATIONS, "nullif(call_type, '')"),
    "api_method": "nullif(call_type, '')",
    "requested_model": "coalesce(nullif(original_group, ''), nullif(model_group, ''), nullif(model, ''))",
    "routed_model": "nullif(model, '')",
    # LiteLLM writes the alias over the provider's name, so a name equal to the alias says nothing; a deployment of Azure may have any name,
    # and what LiteLLM was told that it serves (`base_model`) is the name under which it priced the call
    "response_model": """coalesce(CASE WHEN response_model_text NOT IN ('', coalesce(model_group, '')) THEN response_model_text END,
        CASE WHEN starts_with(provider_text, 'azure') AND priced_as NOT IN ('', model) THEN nullif(regexp_extract(priced_as, '[^/]*$'), '') END)""",
    "provider_raw": "nullif(provider_text, '')",
    "provider": "provider_name",
    "deployment_id": "nullif(model_id, '')",
    "route_id": "nullif(model_group, '')",
    "api_base": f"nullif({kept_address('api_base')}, '')",
    "region": f"coalesce({region_in('api_base')}, parts.vertex_location)",
    # a finished batch is one row with the sums of its calls, and providers charge batches at a tier of their own
    "service_tier": """CASE WHEN is_batch THEN 'batch'
        ELSE coalesce(nullif(u.speed, 'standard'), u.service_tier, parts.service_tier) END""",
    "stream": "CASE lower(stream_text) WHEN 'true' THEN true WHEN 'false' THEN false END",
    "is_fallback": "TRY_CAST(fallbacks AS INTEGER) > 0",
    "fallback_from_model": "CASE WHEN TRY_CAST(fallbacks AS INTEGER) > 0 THEN nullif(original_group, '') END",
    "retry_count": "TRY_CAST(retries AS SMALLINT)",
    "routing_detail": "routing::VARCHAR",
    "input_tokens": "input_total",
    "input_uncached_tokens": "CASE WHEN coalesce(read_n, write_n) IS NOT NULL THEN input_total - coalesce(read_n, 0) - coalesce(write_n, 0) END",
    "cache_read_tokens": "CASE WHEN has_usage THEN read_n END",
    "cache_write_tokens": "CASE WHEN has_usage THEN write_n END",
    "cache_write_5m_tokens": _part("u.prompt_tokens_details.cache_creation_token_details.ephemeral_5m_input_tokens"),
    "cache_write_1h_tokens": _part("u.prompt_tokens_details.cache_creation_token_details.ephemeral_1h_input_tokens"),
    "output_tokens": "output_total",
    "reasoning_tokens": "CASE WHEN has_usage THEN reasoning_n END",
    "audio_input_tokens": _part("u.prompt_tokens_details.audio_tokens"),
    "audio_output_tokens": _part("u.completion_tokens_details.audio_tokens"),
    "image_input_tokens": _part("u.prompt_tokens_details.image_tokens"),
    "image_output_tokens": _part("u.completion_tokens_details.image_tokens"),
    "total_tokens_reported": "CASE WHEN has_usage AND total_n >= 0 THEN total_n END",
    "usage_source": "CASE WHEN has_usage THEN 'provider' ELSE 'missing' END",
    "usage_convention": "CASE WHEN cache_apart OR reasoning_apart THEN 'exclusive' WHEN has_usage THEN 'inclusive' ELSE 'unknown' END",
    "usage_raw": with_units_sql(_USAGE, "units"),
    "cost_amount": "CASE WHEN NOT unpriced THEN cost_n END",
    "cost_currency": "CASE WHEN cost_n IS NOT NULL AND NOT unpriced THEN 'USD' END",
    "cost_source": "CASE WHEN cost_n IS NULL OR unpriced THEN 'missing' ELSE 'gateway_estimate' END",
    "cost_raw": "cost_text",
    "cost_raw_unit": "CASE WHEN cost_text IS NOT NULL THEN 'usd' END",
    **{
        column: f"CASE WHEN NOT unpriced THEN {money(source)} END"
        for column, source in {
            "cost_input": "parts.input_cost",
            "cost_output": "parts.output_cost",
            "cost_cache_read": "parts.cache_read_cost",
            "cost_cache_write": "parts.cache_creation_cost",
            "cost_tools": "parts.tool_usage_cost",
            "cost_cache_saved": "CASE WHEN is_hit THEN saved_text END",
        }.items()
    },
    "price_book_source": "CASE WHEN cost_n IS NOT NULL AND NOT unpriced THEN 'litellm' END",
    "org_id": "nullif(org_id, '')",
    "team_id": "nullif(team_id, '')",
    "team_name": "nullif(team_name, '')",
    "project_id": "nullif(project_id, '')",
    "app": claim("app", "application"),
    "workflow_id": f"coalesce({claim('workflow_id', 'workflow')}, {tag('workflow')})",
    "workflow_version": claim("workflow_version"),
    "workflow_step": claim("workflow_step", "step"),
    "environment": f"coalesce({claim('environment', 'env')}, {tag('env')})",
    "end_user_id": "nullif(end_user, '')",
    "principal": "nullif(user_id, '')",
    # the hash is how LiteLLM itself names a key; a key in clear gets the same name
    "api_key_id": "CASE WHEN starts_with(key_hash, 'sk-') THEN sha256(key_hash) ELSE nullif(key_hash, '') END",
    "api_key_alias": "nullif(key_alias, '')",
    "tags": "tags",
    "metadata": "metadata",
    "traffic_class": """CASE WHEN is_shadow THEN 'shadow' WHEN is_copy THEN 'eval'
        WHEN metadata['traffic_class'] IN ('eval', 'test') THEN metadata['traffic_class'] ELSE 'production' END""",
    "data_class": f"coalesce({claim('data_class')}, {tag('data_class')})",
    "data_class_source": f"CASE WHEN {claim('data_class')} IS NOT NULL THEN 'metadata' WHEN {tag('data_class')} IS NOT NULL THEN 'tag' ELSE 'unknown' END",
    "prompt_id": "prompt_template",
    "prompt_version": "prompt_release",
    "guardrail_results": "CASE WHEN guardrails::VARCHAR NOT IN ('[]', '{}') THEN guardrails::VARCHAR END",
    # a stream whose client left is a success in LiteLLM's own words: it was served and paid
    "status": """CASE WHEN is_ok THEN 'ok' WHEN guardrail_status = 'guardrail_intervened' THEN 'blocked'
        WHEN error.error_code = '499' THEN 'cancelled' ELSE 'error' END""",
    "http_status": "CASE WHEN NOT is_ok THEN TRY_CAST(error.error_code AS SMALLINT) END",
    "error_type": "nullif(error.error_class, '')",
    "error_code": "nullif(error.error_code, '')",
    "error_message": f"CASE WHEN NOT is_ok THEN left({kept_text(_FAILURE)}, 2000) END",
    "finish_reasons": "finish",
    "gateway_cache": "CASE WHEN is_hit THEN 'hit_exact' WHEN lower(cache_text) = 'false' OR is_ok THEN 'none' ELSE 'unknown' END",
}

CONTENT_COLUMNS: Final[dict[str, str]] = {
    "content_state": """CASE WHEN input_body IS NULL THEN 'absent' WHEN is_redacted THEN 'redacted' WHEN is_cut THEN 'truncated' ELSE 'full' END""",
    "input_sha256": "sha256(input_body)",
    "output_sha256": "sha256(output_body)",
    "input_bytes": "octet_length(encode(input_body))",
    "output_bytes": "octet_length(encode(output_body))",
    "request_params": "nullif(params::VARCHAR, '{}')",
    "tools_sha256": "sha256(json(tools))",
    "replayable": "is_chat AND input_body IS NOT NULL AND NOT is_redacted AND NOT is_cut",
    "replay_blockers": """list_filter([CASE WHEN NOT coalesce(is_chat, false) THEN 'not_chat' END, CASE WHEN input_body IS NULL OR is_redacted THEN 'no_content' END,
        CASE WHEN is_cut THEN 'truncated' END], lambda b: b IS NOT NULL)""",
}
BARE_COLUMNS: Final[dict[str, str]] = {
    "content_state": "'absent'",
    "replayable": "false",
    "replay_blockers": "['no_content']",
}
BODIES: Final = f"""
    bodies AS (SELECT *, call_type IN ('acompletion', 'completion', 'anthropic_messages', 'aresponses', 'responses') AS is_chat,
        json_extract(parameters, '$.tools') AS tools, json_merge_patch('{{}}', to_json(json_transform(parameters, {spec(PARAMETERS)}))) AS params,
        CASE WHEN messages::VARCHAR NOT IN ('[]', '{{}}', '""') THEN CASE WHEN json_type(messages) = 'ARRAY' AND json_type(system) IN ('VARCHAR', 'ARRAY')
            THEN to_json(list_concat([json_object('role', 'system', 'content', system)], from_json(messages, '["JSON"]'))) ELSE messages END END AS asked,
        coalesce(json_extract(response, '$.choices[0].message'), CASE WHEN json_extract(response, '$.content') IS NOT NULL THEN json_object('role', 'assistant',
            'content', json_extract(response, '$.content')) END, json_extract(response, '$.output')) AS answered FROM keyed),
    written AS (SELECT *, CASE WHEN asked IS NOT NULL THEN json_object('messages', asked, 'params', coalesce(params, '{{}}'::JSON),
            'tools', coalesce(tools, '[]'::JSON))::VARCHAR END AS input_body,
        CASE WHEN answered IS NOT NULL THEN json_object('finish_reason', finish[1], 'message', answered)::VARCHAR END AS output_body,
        contains(asked::VARCHAR, 'redacted-by-litellm') AS is_redacted,
        contains(asked::VARCHAR, 'litellm_truncated') OR contains(asked::VARCHAR, '[base64_data truncated') AS is_cut FROM bodies)"""
