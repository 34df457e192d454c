"""The SQL that turns LiteLLM records into canonical calls: one pass over declared columns, no Python object per record.

Owns: the checks that refuse a record, token and cost rules, record ids, witness keys. Does not own: field names of the source
(shapes), reading bytes (payloads), running it (connector).
Invariants: a record ends either with a reason or as a call; unknown stays null; nothing is inferred from the order of records.

Rules worth knowing
* Usage comes from `usage_object`; when LiteLLM says 0 in, 0 out, 0 total it is its default for "no usage came back", so it is null here.
  On a failed call only usage that the provider sent counts; the tokens LiteLLM guesses for a failed prompt stay in usage_raw.
* Cache read and write are inside prompt_tokens, reasoning inside completion_tokens. Where the parts exceed the whole (or the total says
  so) the provider counted them apart; they are added and usage_convention says `exclusive`.
* Cost 0 with tokens, on a served call that was no cache hit, is LiteLLM's way to say "model not priced": null, cost_source `missing`.
* Witness keys. Served: `litellm:<call id>:ok:<response id>`; the call id alone would let a client that sends its own x-litellm-call-id
  fold many calls into one, the response id alone would fold a cache hit into the call it repeats (their ids differ per sink).
  A failed attempt in the payload log: `litellm:<call id>:failed:<start>`, and it names `litellm:<call id>:failed`, which is what the
  sinks that only say "this call failed" (SpendLogs, spans) use. A served call names `response:<id>`, the key of the client's own span.
"""

from __future__ import annotations

from typing import Final

from connectors.keys import SECRET_KEY, STRONG_ID
from connectors.litellm.shapes import (
    CONTENT_FACTS,
    FACTS,
    PARAMETERS,
    PAYLOAD,
    PAYLOAD_CONTENT,
    PAYLOAD_RESPONSE,
    SPEND,
    SPEND_CONTENT,
    SPEND_METADATA,
    USAGE,
    spec,
    unstring,
)
from connectors.providers import OPERATIONS, PROVIDERS

KINDS: Final = {"generic_api": "litellm.generic_api", "s3": "litellm.s3", "spend_logs": "litellm.spend_logs"}


def _choose(subject: str, table: dict[str, str], other: str) -> str:
    arms = " ".join(f"WHEN '{key}' THEN '{value}'" for key, value in table.items())
    return f"CASE {subject} {arms} ELSE {other} END"


def _money(text: str) -> str:
    """Exact, from the characters. A narrow decimal first: DuckDB's cast of text to more than 18 digits is 40 times slower."""
    return f"coalesce(TRY_CAST({text} AS DECIMAL(18, 12))::DECIMAL(24, 12), TRY_CAST({text} AS DECIMAL(24, 12)))"


def _seconds(text: str) -> str:
    """Unix seconds or ISO 8601 (a naive time is UTC) as an instant."""
    number = f"TRY_CAST({text} AS DECIMAL(18, 6))"
    return (
        f"CASE WHEN {number} BETWEEN 0 AND 100000000000 THEN make_timestamptz(CAST({number}::DECIMAL(27, 6) * 1000000 AS BIGINT))"
        f" ELSE TRY_CAST({text} AS TIMESTAMPTZ) END"
    )


def _whole(text: str) -> str:
    number = f"TRY_CAST({text} AS BIGINT)"
    return f"CASE WHEN {number} = TRY_CAST({text} AS DOUBLE) THEN {number} END"


_EMPTY: Final = "map([]::VARCHAR[], []::VARCHAR[])"


def _members(source: str) -> str:
    """A JSON object as a map. It may repeat a key; map_concat settles that."""
    return f"json_transform({source}, '\"MAP(VARCHAR, VARCHAR)\"')"


def _kept(members: str, prefix: str = "") -> str:
    """Members without secrets and without what other columns hold. Only the gateway's own key metadata may be called `key.`."""
    keep = f"e.value IS NOT NULL AND NOT regexp_matches(e.key, '{SECRET_KEY}') AND e.key NOT IN ('spend_logs_metadata', 'tags')"
    if not prefix:
        keep += " AND NOT starts_with(e.key, 'key.')"
    return f"list_transform(list_filter({members}, lambda e: {keep}), lambda e: {{'k': '{prefix}' || e.key, 'v': left(e.value, 4000)}})"


def _claim(*names: str) -> str:
    return "coalesce(" + ", ".join(f"nullif(metadata['{name}'], '')" for name in names) + ")"


def _tag(prefix: str) -> str:
    return f"list_filter(tags, lambda t: starts_with(t, '{prefix}:'))[1][{len(prefix) + 2}:]"


def _parsed(form: str, content: bool) -> str:  # noqa: FBT001 - one private caller
    """line -> record struct r, its metadata m, the response's frame p."""
    spend = form == "spend_logs"
    shape = dict(SPEND if spend else PAYLOAD)
    if content:
        shape |= SPEND_CONTENT if spend else PAYLOAD_CONTENT
    if not spend:
        shape["response"] = "JSON" if content else PAYLOAD_RESPONSE
    metadata = f"json_transform({unstring('r.metadata')}, {spec(SPEND_METADATA)})" if spend else "r.metadata"
    if spend:
        frame = "NULL"
    elif content:
        frame = f"json_transform(r.response, {spec(PAYLOAD_RESPONSE)})"
    else:
        frame = "r.response"
    # SpendLogs rows are hashed over their checked fields: drivers give JSON columns as text or as JSON, and times in two spellings
    payload = "NULL" if spend else "payload_sha256(line)"
    return f"""
    texts AS (SELECT uri, row, position, fault, CASE WHEN fault IS NULL THEN TRY(json(line)) END AS line FROM records),
    structs AS (SELECT uri, row, position, fault, line IS NOT NULL AS valid, starts_with(line, '{{') AS is_object, {payload} AS payload_sha256,
        json_transform(line, {spec(shape)}) AS r FROM texts),
    parsed AS (SELECT *, {metadata} AS m, {frame} AS p FROM structs)"""


def _facts(form: str, content: bool) -> str:  # noqa: FBT001
    column = 1 if form == "spend_logs" else 0
    names = FACTS | (CONTENT_FACTS if content else {})
    return ", ".join(f"{forms[column]} AS {name}" for name, forms in names.items())


_CHECKED: Final = f"""
    usages AS (SELECT *, json_transform(usage_json, {spec(USAGE)}) AS u,
        lower(cache_text) = 'true' OR contains(native_id, '_cache_hit') AS is_hit,
        status_text = 'success' AS is_ok,
        nullif(nullif(regexp_replace(native_id, '_cache_hit[0-9.eE+-]*$', ''), ''), 'None') AS base_id FROM facts),
    named AS (SELECT *, coalesce(nullif(call_id, ''), CASE WHEN regexp_full_match(base_id, '[0-9a-f-]{{36}}') THEN base_id END) AS call,
        coalesce(u.prompt_tokens, CASE WHEN is_ok THEN prompt_text END) AS input_text,
        coalesce(u.completion_tokens, CASE WHEN is_ok THEN completion_text END) AS output_text,
        coalesce(u.prompt_tokens_details.cached_tokens, u.cache_read_input_tokens) AS read_text,
        coalesce(u.cache_creation_input_tokens, u.prompt_tokens_details.cache_creation_tokens,
            u.prompt_tokens_details.cache_write_tokens) AS write_text,
        u.completion_tokens_details.reasoning_tokens AS reasoning_text FROM usages),
    counted AS (SELECT *, {_whole("input_text")} AS input_n, {_whole("output_text")} AS output_n,
        {_whole("coalesce(u.total_tokens, total_text)")} AS total_n, {_whole("read_text")} AS read_n, {_whole("write_text")} AS write_n,
        {_whole("reasoning_text")} AS reasoning_n, {_seconds("start_text")} AS start_at, {_seconds("end_text")} AS end_at,
        {_seconds("first_text")} AS first_at, {_money("cost_text")} AS cost_n,
        CASE WHEN base_id <> call THEN base_id WHEN call IS NULL THEN base_id END AS response_id FROM named),
    judged AS (SELECT *, CASE
        WHEN fault IS NOT NULL THEN fault
        WHEN NOT valid THEN 'invalid_json: the record is not valid JSON'
        WHEN NOT is_object THEN 'not_an_object: the record is not a JSON object'
        WHEN base_id IS NULL AND call IS NULL THEN 'missing_id: neither an id nor a litellm_call_id'
        WHEN start_at IS NULL THEN 'bad_time: startTime is missing or is no time'
        WHEN start_at < TIMESTAMPTZ '2022-01-01 00:00:00+00' OR epoch_us(start_at) >= $latest THEN 'bad_time: startTime is out of range'
        WHEN (input_text IS NOT NULL AND input_n IS NULL) OR (output_text IS NOT NULL AND output_n IS NULL)
            OR (prompt_text IS NOT NULL AND {_whole("prompt_text")} IS NULL)
            OR (completion_text IS NOT NULL AND {_whole("completion_text")} IS NULL)
            OR (read_text IS NOT NULL AND read_n IS NULL) OR (write_text IS NOT NULL AND write_n IS NULL)
            OR (reasoning_text IS NOT NULL AND reasoning_n IS NULL) THEN 'bad_tokens: a token count is no whole number'
        WHEN least(input_n, output_n, read_n, write_n, reasoning_n, {_whole("prompt_text")}, {_whole("completion_text")}) < 0
            THEN 'negative_tokens: a token count is below zero'
        WHEN cost_text IS NOT NULL AND cost_n IS NULL THEN 'bad_cost: the cost is no number'
        WHEN cost_n < 0 THEN 'negative_cost: the cost is below zero'
        END AS reason FROM counted)"""

_RATED: Final = f"""
    used AS (SELECT *, coalesce(input_n, 0) + coalesce(output_n, 0) + coalesce(total_n, 0) > 0 AS has_usage,
        coalesce(read_n, 0) + coalesce(write_n, 0) > input_n AS cache_apart,
        reasoning_n > output_n OR (reasoning_n > 0 AND total_n = input_n + output_n + reasoning_n) AS reasoning_apart
        FROM judged),
    listed AS (SELECT *, map_entries(map_concat({_EMPTY}, {_members("key_meta")})) AS key_members,
        map_entries(map_concat({_EMPTY}, {_members("key_meta")}, {_members("requester_meta")}, {_members("spend_meta")})) AS members
        FROM used),
    claimed AS (SELECT *, map_from_entries(list_concat({_kept("key_members", "key.")}, {_kept("members")})) AS metadata,
        list_filter(from_json(tags_json, '["VARCHAR"]'), lambda t: t IS NOT NULL AND NOT starts_with(t, 'User-Agent:')) AS tags
        FROM listed),
    rated AS (SELECT *,
        CASE WHEN has_usage THEN input_n + CASE WHEN cache_apart THEN coalesce(read_n, 0) + coalesce(write_n, 0) ELSE 0 END END AS input_total,
        CASE WHEN has_usage THEN output_n + CASE WHEN reasoning_apart THEN reasoning_n ELSE 0 END END AS output_total,
        cost_n = 0 AND is_ok AND NOT coalesce(is_hit, false) AND has_usage AS unpriced,
        list_contains(map_keys(metadata), 'governor-shadow-run') OR list_contains(map_keys(metadata), 'governor_shadow_run')
            OR len(list_filter(tags, lambda t: starts_with(t, 'governor-shadow-run'))) > 0 AS is_shadow FROM claimed)"""

_PREFIX: Final = "CASE WHEN contains(model, '/') THEN split_part(model, '/', 1) END"
_PROVIDER: Final = f"""coalesce({_choose("lower(provider_text)", PROVIDERS, "nullif(lower(provider_text), '')")},
    {_choose(_PREFIX, PROVIDERS, "NULL")})"""
_IDENTIFIED: Final = f"""
    identified AS (SELECT *, coalesce(response_id, base_id, call) AS shown_id, {_PROVIDER} AS provider_name,
        epoch_us(start_at)::VARCHAR AS start_us FROM rated),
    keyed AS (SELECT *, CASE WHEN response_id IS NULL AND $kind <> 'litellm.spend_logs' THEN coalesce(native_id, call) || '@' || start_us
        ELSE native_id END AS source_record_id FROM identified)"""

_KEYS: Final = {
    "dup_group_key": """CASE
        WHEN call IS NULL AND is_ok AND NOT coalesce(is_hit, false) AND {strong} THEN 'response:' || response_id
        WHEN call IS NULL THEN 'litellm-row:' || source_record_id
        WHEN is_ok THEN 'litellm:' || call || ':ok:' || coalesce(response_id, '')
        WHEN $kind = 'litellm.spend_logs' THEN 'litellm:' || call || ':failed'
        ELSE 'litellm:' || call || ':failed:' || start_us END""",
    "dup_alias_key": """CASE
        WHEN call IS NULL THEN NULL
        WHEN is_ok AND NOT coalesce(is_hit, false) AND {strong} THEN 'response:' || response_id
        WHEN NOT is_ok AND $kind <> 'litellm.spend_logs' THEN 'litellm:' || call || ':failed' END""",
}
_STRONG: Final = f"regexp_full_match(response_id, '{STRONG_ID}')"

_SPEND_PAYLOAD: Final = (
    "sha256(concat_ws(chr(31), "
    + ", ".join(
        f"coalesce(({name})::VARCHAR, chr(30))"
        for name in (
            "native_id call call_type key_hash cost_n input_n output_n total_n prompt_text completion_text read_n write_n reasoning_n"
            " epoch_us(start_at) epoch_us(end_at) epoch_us(first_at) model model_id model_group provider_name api_base user_id"
            " is_hit team_id org_id end_user session_text status_text json(tags_json) json(spend_meta) error.error_code"
        ).split()
    )
    + "))"
)

# canonical column -> expression; columns that are not named are null
_COLUMNS: Final[dict[str, str]] = {
    "revision": "0",
    "source_kind": "$kind",
    "source_instance": "$instance",
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
    "end_time": "end_at",
    "time_basis": "'start'",
    "time_precision": "CASE WHEN $kind = 'litellm.spend_logs' THEN 'ms' ELSE 'us' END",
    "duration_ms": "CASE WHEN end_at >= start_at THEN (epoch_us(end_at) - epoch_us(start_at)) / 1000.0 END",
    "ttft_ms": "CASE WHEN lower(stream_text) = 'true' AND first_at >= start_at THEN (epoch_us(first_at) - epoch_us(start_at)) / 1000.0 END",
    "gateway_overhead_ms": "TRY_CAST(overhead AS DOUBLE)",
    "duration_basis": "CASE WHEN end_at >= start_at THEN 'total' ELSE 'missing' END",
    "gateway_kind": "'litellm'",
    "operation": _choose("call_type", OPERATIONS, "nullif(call_type, '')"),
    "api_method": "nullif(call_type, '')",
    "requested_model": "coalesce(nullif(original_group, ''), nullif(model_group, ''), nullif(model, ''))",
    "routed_model": "nullif(model, '')",
    # LiteLLM writes the alias over the provider's name, so a name equal to the alias says nothing
    "response_model": "CASE WHEN response_model_text NOT IN ('', coalesce(model_group, '')) THEN response_model_text END",
    "provider_raw": "nullif(provider_text, '')",
    "provider": "provider_name",
    "deployment_id": "nullif(model_id, '')",
    "route_id": "nullif(model_group, '')",
    "api_base": "nullif(api_base, '')",
    "service_tier": "coalesce(u.service_tier, parts.service_tier)",
    "stream": "CASE lower(stream_text) WHEN 'true' THEN true WHEN 'false' THEN false END",
    "is_fallback": "TRY_CAST(fallbacks AS INTEGER) > 0",
    "fallback_from_model": "CASE WHEN TRY_CAST(fallbacks AS INTEGER) > 0 THEN nullif(original_group, '') END",
    "retry_count": "TRY_CAST(retries AS SMALLINT)",
    "routing_detail": "routing::VARCHAR",
    "input_tokens": "input_total",
    "input_uncached_tokens": "CASE WHEN coalesce(read_n, write_n) IS NOT NULL THEN input_total - coalesce(read_n, 0) - coalesce(write_n, 0) END",
    "cache_read_tokens": "CASE WHEN has_usage THEN read_n END",
    "cache_write_tokens": "CASE WHEN has_usage THEN write_n END",
    "cache_write_5m_tokens": _whole("u.prompt_tokens_details.cache_creation_token_details.ephemeral_5m_input_tokens"),
    "cache_write_1h_tokens": _whole("u.prompt_tokens_details.cache_creation_token_details.ephemeral_1h_input_tokens"),
    "output_tokens": "output_total",
    "reasoning_tokens": "CASE WHEN has_usage THEN reasoning_n END",
    "audio_input_tokens": _whole("u.prompt_tokens_details.audio_tokens"),
    "audio_output_tokens": _whole("u.completion_tokens_details.audio_tokens"),
    "image_input_tokens": _whole("u.prompt_tokens_details.image_tokens"),
    "image_output_tokens": _whole("u.completion_tokens_details.image_tokens"),
    "total_tokens_reported": "CASE WHEN has_usage THEN total_n END",
    "usage_source": "CASE WHEN has_usage THEN 'provider' ELSE 'missing' END",
    "usage_convention": "CASE WHEN cache_apart OR reasoning_apart THEN 'exclusive' WHEN has_usage THEN 'inclusive' ELSE 'unknown' END",
    "usage_raw": """CASE WHEN usage_json IS NOT NULL AND is_ok THEN json(usage_json) ELSE json_object('prompt_tokens', prompt_text,
        'completion_tokens', completion_text, 'total_tokens', total_text, 'usage_object', usage_json) END::VARCHAR""",
    "cost_amount": "CASE WHEN NOT unpriced THEN cost_n END",
    "cost_currency": "CASE WHEN cost_n IS NOT NULL AND NOT unpriced THEN 'USD' END",
    "cost_source": "CASE WHEN cost_n IS NULL OR unpriced THEN 'missing' ELSE 'gateway_estimate' END",
    "cost_raw": "cost_text",
    "cost_raw_unit": "CASE WHEN cost_text IS NOT NULL THEN 'usd' END",
    **{
        column: f"CASE WHEN NOT unpriced THEN {_money(source)} END"
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
    "app": _claim("app", "application"),
    "workflow_id": f"coalesce({_claim('workflow_id', 'workflow')}, {_tag('workflow')})",
    "workflow_version": _claim("workflow_version"),
    "workflow_step": _claim("workflow_step", "step"),
    "environment": f"coalesce({_claim('environment', 'env')}, {_tag('env')})",
    "end_user_id": "nullif(end_user, '')",
    "principal": "nullif(user_id, '')",
    "api_key_id": "nullif(key_hash, '')",
    "api_key_alias": "nullif(key_alias, '')",
    "tags": "tags",
    "metadata": "metadata",
    "traffic_class": "CASE WHEN is_shadow THEN 'shadow' WHEN metadata['traffic_class'] IN ('eval', 'test') THEN metadata['traffic_class'] ELSE 'production' END",
    "data_class": f"coalesce({_claim('data_class')}, {_tag('data_class')})",
    "data_class_source": f"CASE WHEN {_claim('data_class')} IS NOT NULL THEN 'metadata' WHEN {_tag('data_class')} IS NOT NULL THEN 'tag' ELSE 'unknown' END",
    "prompt_id": "prompt_template",
    "prompt_version": "prompt_release",
    "guardrail_results": "CASE WHEN guardrails::VARCHAR NOT IN ('[]', '{}') THEN guardrails::VARCHAR END",
    "status": """CASE WHEN is_ok THEN 'ok' WHEN guardrail_status = 'guardrail_intervened' THEN 'blocked'
        WHEN error.error_code = '499' THEN 'cancelled' ELSE 'error' END""",
    "http_status": "CASE WHEN NOT is_ok THEN TRY_CAST(error.error_code AS SMALLINT) END",
    "error_type": "nullif(error.error_class, '')",
    "error_code": "nullif(error.error_code, '')",
    "error_message": "CASE WHEN NOT is_ok THEN left(coalesce(nullif(error.error_message, ''), error_str), 2000) END",
    "finish_reasons": "finish",
    "gateway_cache": "CASE WHEN is_hit THEN 'hit_exact' WHEN lower(cache_text) = 'false' OR is_ok THEN 'none' ELSE 'unknown' END",
}

_CONTENT_COLUMNS: Final[dict[str, str]] = {
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
_BARE_COLUMNS: Final[dict[str, str]] = {
    "content_state": "'absent'",
    "replayable": "false",
    "replay_blockers": "['no_content']",
}
_BODIES: Final = f"""
    bodies AS (SELECT *, call_type IN ('acompletion', 'completion', 'anthropic_messages', 'aresponses', 'responses') AS is_chat,
        json_extract(parameters, '$.tools') AS tools, json_merge_patch('{{}}', to_json(json_transform(parameters, {spec(PARAMETERS)}))) AS params,
        CASE WHEN messages::VARCHAR NOT IN ('[]', '{{}}', '""') THEN messages END AS asked,
        coalesce(json_extract(response, '$.choices[0].message'), CASE WHEN json_extract(response, '$.content') IS NOT NULL THEN json_object('role', 'assistant',
            'content', json_extract(response, '$.content')) END, json_extract(response, '$.output')) AS answered FROM keyed),
    written AS (SELECT *, CASE WHEN asked IS NOT NULL THEN json_object('messages', asked, 'params', coalesce(params, '{{}}'::JSON),
            'tools', coalesce(tools, '[]'::JSON))::VARCHAR END AS input_body,
        CASE WHEN answered IS NOT NULL THEN json_object('finish_reason', finish[1], 'message', answered)::VARCHAR END AS output_body,
        contains(asked::VARCHAR, 'redacted-by-litellm') AS is_redacted,
        contains(asked::VARCHAR, 'litellm_truncated') OR contains(asked::VARCHAR, '[base64_data truncated') AS is_cut FROM bodies)"""


def calls_query(form: str, columns: list[str], *, content: bool) -> str:
    """One statement over the relation `records(uri, row, position, fault, line)`: the canonical columns, then reason and the two bodies.

    A refused record keeps its reason and its place; its other columns are not to be read.
    """
    expressions = dict(_COLUMNS) | (_CONTENT_COLUMNS if content else _BARE_COLUMNS)
    expressions["raw_sha256"] = _SPEND_PAYLOAD if form == "spend_logs" else "payload_sha256"
    expressions["record_id"] = "sha256(concat_ws(chr(10), $kind, source_record_id, coalesce(call, ''), '0'))"
    selected = ", ".join(f"{expressions[name]} AS {name}" for name in columns if name in expressions)
    facts = f"facts AS (SELECT uri, row, position, fault, valid, is_object, payload_sha256, {_facts(form, content)} FROM parsed)"
    steps = [_parsed(form, content), facts, _CHECKED, _RATED, _IDENTIFIED] + ([_BODIES] if content else [])
    bodies = "input_body, output_body" if content else "NULL AS input_body, NULL AS output_body"
    return f"WITH {', '.join(steps)} SELECT {selected}, uri, row, position, reason, {bodies} FROM {'written' if content else 'keyed'}"
