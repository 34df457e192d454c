"""Canonical columns of a mapped record that are more than what stood at a path.

Owns: the last step from checked and counted values to columns. Does not own: the checks (compile.py), prompts and answers (bodies.py).
Invariants: unknown stays null; a claim of the mapping wins over one in metadata or tags.
"""

from __future__ import annotations

from typing import Final

from connectors.addresses import kept_address, kept_text
from connectors.expressions import believable, between, claim, tag
from connectors.mapping.document import Mapping, kind_of
from connectors.mapping.text import quoted
from connectors.units import with_units_sql

CLAIMED: Final = {
    "app": ("app", "application"),
    "workflow_id": ("workflow_id", "workflow"),
    "workflow_version": ("workflow_version",),
    "workflow_step": ("workflow_step", "step"),
    "environment": ("environment", "env"),
    "data_class": ("data_class",),
}
PARTS: Final = (
    "cache_read_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens", "reasoning_tokens", "audio_input_tokens", "audio_output_tokens",
    "image_input_tokens", "image_output_tokens", "total_tokens_reported",
)  # fmt: skip
TAGGED: Final = {"workflow_id": "workflow", "environment": "env", "data_class": "data_class"}


def plain(name: str) -> str:
    return f"{name}_text" if kind_of(name) == "text" else f"{name}_n"


def columns_of(mapping: Mapping, *, content: bool) -> dict[str, str]:
    """Columns that are more than what was found at a path."""
    cost, amount = mapping.cost, mapping.columns.get("cost_amount")
    claims = {
        name: f"coalesce({name}_text, {claim(*keys)}{', ' + tag(TAGGED[name]) if name in TAGGED else ''})" for name, keys in CLAIMED.items()
    }
    found = {
        "record_id": "record_key",
        "revision": "revision_said",
        "source_kind": "getvariable('kind')",
        "source_instance": "getvariable('instance')",
        "ingest_uri": "uri",
        "ingest_row": "row",
        "raw_sha256": "payload_sha256",
        "grain": "'attempt'",
        "cost_bearing": "NOT is_shadow",
        "exclusion_reason": "CASE WHEN is_shadow THEN 'shadow' END",
        "dup_group_key": "group_key",
        "dup_alias_key": "CASE WHEN alias_key IS DISTINCT FROM group_key THEN alias_key END",
        "sample_rate": "1.0",
        "trace_id": "CASE WHEN regexp_full_match(hex_trace, '[0-9a-f]{32}') THEN hex_trace END",
        "trace_id_raw": "coalesce(trace_id_raw_text, trace_id_text)",
        "time_basis": quoted(mapping.time_basis),
        "time_precision": quoted(mapping.time_precision),
        "end_time": believable("end_time_n"),
        "duration_ms": f"""coalesce(duration_ms_n, {between("start_time_n", "end_time_n")})""",
        "ttft_ms": "ttft_ms_n",
        "duration_basis": "coalesce(duration_basis_text, CASE WHEN duration_ms_n IS NOT NULL OR end_time_n >= start_time_n THEN 'total' ELSE 'missing' END)",
        "gateway_kind": quoted(mapping.gateway) if mapping.gateway else "NULL",
        "api_base": kept_address("api_base_text"),
        "api_method": kept_address("api_method_text"),
        "provider": "provider_name",
        "provider_raw": "coalesce(provider_raw_text, provider_text)",
        "input_tokens": "input_total",
        "input_uncached_tokens": """CASE WHEN has_usage AND coalesce(cache_read_tokens_n, cache_write_n) IS NOT NULL
            THEN input_total - coalesce(cache_read_tokens_n, 0) - coalesce(cache_write_n, 0) END""",
        "cache_write_tokens": "CASE WHEN has_usage THEN cache_write_n END",
        "output_tokens": "output_total",
        **{name: f"CASE WHEN has_usage THEN {name}_n END" for name in PARTS},
        "usage_source": f"CASE WHEN has_usage THEN {quoted(mapping.usage.source)} ELSE 'missing' END",
        "usage_convention": "CASE WHEN NOT has_usage THEN 'unknown' WHEN cache_apart OR reasoning_apart THEN 'exclusive' ELSE 'inclusive' END",
        "usage_raw": with_units_sql("usage_given", "units"),
        "cost_amount": "CASE WHEN has_cost THEN cost_amount_n END",
        "cost_currency": "CASE WHEN has_cost THEN upper(currency_text) END",
        "cost_source": f"CASE WHEN has_cost THEN {quoted(cost.source) if cost else 'NULL'} ELSE 'missing' END",
        "cost_raw": "cost_amount_text",
        "cost_raw_unit": f"CASE WHEN cost_amount_text IS NOT NULL THEN {quoted((amount.unit if amount else None) or (cost.unit if cost else 'usd'))} END",
        "price_book_source": f"CASE WHEN has_cost THEN coalesce(price_book_source_text, {quoted(mapping.name.split('.')[0])}) END",
        **claims,
        "tags": "tags",
        "metadata": "metadata",
        "traffic_class": """CASE WHEN is_shadow THEN 'shadow' ELSE coalesce(traffic_class_text,
            CASE WHEN metadata['traffic_class'] IN ('eval', 'test') THEN metadata['traffic_class'] END, 'production') END""",
        "data_class_source": f"""CASE WHEN data_class_text IS NOT NULL OR {claim("data_class")} IS NOT NULL THEN 'metadata'
            WHEN {tag("data_class")} IS NOT NULL THEN 'tag' ELSE 'unknown' END""",
        "status": "status_said",
        "error_message": f"left({kept_text('error_message_text')}, 2000)",
        "gateway_cache": "coalesce(gateway_cache_text, 'unknown')",
    }
    if content:
        found |= {
            "content_state": "CASE WHEN input_body IS NULL THEN 'absent' ELSE 'full' END",
            "input_sha256": "sha256(input_body)",
            "output_sha256": "sha256(output_body)",
            "input_bytes": "octet_length(encode(input_body))",
            "output_bytes": "octet_length(encode(output_body))",
            "request_params": "nullif(params::VARCHAR, '{}')",
            "tools_sha256": "CASE WHEN json_array_length(tools) > 0 THEN sha256(tools::VARCHAR) END",
            "replayable": "input_body IS NOT NULL AND coalesce(operation_text, 'chat') IN ('chat', 'responses', 'text_completion')",
            "replay_blockers": """list_filter([CASE WHEN coalesce(operation_text, 'chat') NOT IN ('chat', 'responses', 'text_completion') THEN 'not_chat' END,
                CASE WHEN input_body IS NULL THEN 'no_content' END], lambda b: b IS NOT NULL)""",
        }
    else:
        found |= {"content_state": "'absent'", "replayable": "false", "replay_blockers": "['no_content']"}
    return found
