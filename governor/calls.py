"""The canonical model call: one Arrow schema, the derived token classes, and how witnesses of one call are ranked.

Owns: column names, types and meaning; the reject record; witness ranks. Does not own: how a source is read (connectors), where rows live (store).
Invariants: one row is one attempt seen at one source; null means the source did not say, zero means it said zero;
`input_tokens` includes cache read and write, `output_tokens` includes reasoning (OpenTelemetry GenAI semantic conventions 1.41).
Each field's meaning is its `doc` metadata; `governor` docs and `calls export` are generated from it.
"""

from __future__ import annotations

from typing import Any, Final

import pyarrow as pa

UTC_MICROS: Final = pa.timestamp("us", tz="UTC")
MONEY: Final = pa.decimal128(24, 12)
STRINGS: Final = pa.list_(pa.string())
# what one count of a call may say at most: far above any context, and a million such calls have a 64-bit sum
MOST_TOKENS: Final = 10**12


def _field(name: str, kind: Any, doc: str) -> Any:
    return pa.field(name, kind, metadata={"doc": doc})


_S, _I, _B, _D = pa.string(), pa.int64(), pa.bool_(), pa.float64()

IDENTITY: Final = [
    _field("record_id", _S, "hex sha256 of source_kind, source_record_id and revision; the dedupe key"),
    _field("revision", pa.int32(), "0, or higher for a later correction by the source; the newest wins"),
    _field("source_kind", _S, "connector and form, such as litellm.generic_api or otlp.gen_ai"),
    _field("source_instance", _S, "configured source id"),
    _field("source_record_id", _S, "the source's own primary key"),
    _field("source_schema_version", _S, "version of the source's format, where it says"),
    _field("ingest_batch_id", _S, "batch that stored this row"),
    _field("ingest_uri", _S, "file, object or topic it came from"),
    _field("ingest_row", _I, "0-based record number in that file"),
    _field("ingested_at", UTC_MICROS, "when it was stored"),
    _field("raw_sha256", _S, "hex sha256 of the record as received; the same key with a payload that says something else is a conflict"),
    _field("raw_ref", _S, "pointer to an archived raw record, where kept"),
]
COUNTING: Final = [
    _field("grain", _S, "attempt | request | span_rollup"),
    _field("cost_bearing", _B, "the only rows that chargeback sums; one per real call"),
    _field(
        "exclusion_reason",
        _S,
        "parent_rollup | wrapper_span | duplicate_instrumentation | superseded | shadow; null when cost bearing",
    ),
    _field(
        "dup_group_key",
        _S,
        "cross-source key of one real call or attempt; rows that share it are witnesses of the same call",
    ),
    _field(
        "dup_alias_key",
        _S,
        "dup_group_key of a weaker witness that this row replaces (its wrapper span, the client's own span); else null",
    ),
    _field("sample_rate", _D, "1.0 unless the source samples"),
]
CORRELATION: Final = [
    _field("trace_id", _S, "32 lower-case hex digits when a valid W3C trace id"),
    _field("trace_id_raw", _S, "as received"),
    _field("span_id", _S, "16 lower-case hex digits"),
    _field("parent_span_id", _S, "16 lower-case hex digits"),
    _field("session_id", _S, "conversation or session"),
    _field("call_group_id", _S, "ties retries and fallbacks of one client call"),
    _field("attempt_index", pa.int16(), "0-based"),
    _field("provider_response_id", _S, "chatcmpl-..., msg_..., responseId"),
    _field("provider_request_id", _S, "x-request-id of the provider"),
    _field("client_request_id", _S, "id the caller sent"),
]
TIME: Final = [
    _field("start_time", UTC_MICROS, "decides the billing month"),
    _field("end_time", UTC_MICROS, "end of the response"),
    _field("time_basis", _S, "start | end | log_time: which instant start_time is"),
    _field("time_precision", _S, "us | ms | s | day"),
    _field("duration_ms", _D, "milliseconds"),
    _field("ttft_ms", _D, "time to first token, milliseconds, streams only"),
    _field("gateway_overhead_ms", _D, "milliseconds"),
    _field("duration_basis", _S, "total | provider_only | ttft_only | missing"),
]
ROUTE: Final = [
    _field("gateway_kind", _S, "litellm, kong, ...; null for direct SDK spans"),
    _field("operation", _S, "gen_ai.operation.name: chat | embeddings | responses | ..."),
    _field("api_method", _S, "raw method such as acompletion"),
    _field("requested_model", _S, "what the client asked for, alias included"),
    _field("routed_model", _S, "what the gateway sent"),
    _field("response_model", _S, "what the provider said it used"),
    _field("provider_raw", _S, "as received"),
    _field("provider", _S, "gen_ai.provider.name value, such as openai, anthropic, azure.ai.openai, aws.bedrock"),
    _field("deployment_id", _S, "gateway's deployment"),
    _field("route_id", _S, "gateway's config or route"),
    _field("api_base", _S, "URL of the upstream"),
    _field("region", _S, "region called"),
    _field("inference_region", _S, "region that served"),
    _field("service_tier", _S, "tier served"),
    _field("stream", _B, "streamed response"),
    _field("byok", _B, "bring your own key"),
    _field("is_fallback", _B, "answered by a fallback"),
    _field("fallback_from_model", _S, "the model first tried"),
    _field("attempt_count", pa.int16(), "attempts of the client call"),
    _field("retry_count", pa.int16(), "retries inside the attempt"),
    _field("routing_detail", _S, "JSON"),
]
USAGE: Final = [
    _field("input_tokens", _I, "tokens, inclusive of cache read and write"),
    _field("input_uncached_tokens", _I, "tokens"),
    _field("cache_read_tokens", _I, "tokens"),
    _field("cache_write_tokens", _I, "tokens, all lifetimes"),
    _field("cache_write_5m_tokens", _I, "tokens"),
    _field("cache_write_1h_tokens", _I, "tokens"),
    _field("output_tokens", _I, "tokens, inclusive of reasoning"),
    _field("reasoning_tokens", _I, "tokens"),
    _field("audio_input_tokens", _I, "tokens"),
    _field("audio_output_tokens", _I, "tokens"),
    _field("image_input_tokens", _I, "tokens"),
    _field("image_output_tokens", _I, "tokens"),
    _field("total_tokens_reported", _I, "as reported, for the consistency check"),
    _field("usage_source", _S, "provider | gateway_count | estimated | missing"),
    _field("usage_convention", _S, "inclusive | exclusive | unknown: what the source used"),
    _field("usage_raw", _S, "JSON as received; counts of other units than tokens first, as governor_units"),
]
COST: Final = [
    _field("cost_amount", MONEY, "as the source reports it, in cost_currency"),
    _field("cost_currency", _S, "ISO 4217"),
    _field("cost_source", _S, "provider_billed | gateway_billed | gateway_estimate | tool_estimate | missing"),
    _field("cost_raw", _S, "characters as received"),
    _field("cost_raw_unit", _S, "usd | usd_cents | nano_usd"),
    _field("cost_input", MONEY, "part of cost_amount"),
    _field("cost_output", MONEY, "part of cost_amount"),
    _field("cost_cache_read", MONEY, "contained in cost_input where the source says so"),
    _field("cost_cache_write", MONEY, "contained in cost_input where the source says so"),
    _field("cost_tools", MONEY, "tool use"),
    _field("cost_cache_saved", MONEY, "notional saving by the gateway's cache"),
    _field("upstream_cost_amount", MONEY, "BYOK: paid to the provider"),
    _field("gateway_fee_amount", MONEY, "fee of the gateway"),
    _field("price_book_source", _S, "price book the source named"),
]
ATTRIBUTION: Final = [
    _field("org_id", _S, "the source's organization id"),
    _field("workspace_id", _S, "the source's workspace"),
    _field("team_id", _S, "the source's team"),
    _field("team_name", _S, "the source's team alias"),
    _field("project_id", _S, "the source's project"),
    _field("app", _S, "service or application name"),
    _field("workflow_id", _S, "workflow the caller claims; the mapped one comes from attribution rules"),
    _field("workflow_version", _S, "as claimed"),
    _field("workflow_step", _S, "as claimed"),
    _field("environment", _S, "as claimed"),
    _field("end_user_id", _S, "as claimed"),
    _field("principal", _S, "caller identity"),
    _field("api_key_id", _S, "hash or id, never the key"),
    _field("api_key_alias", _S, "name of the key"),
    _field("tags", STRINGS, "tags, injected User-Agent entries removed"),
    _field("metadata", pa.map_(_S, _S), "flattened user metadata"),
    _field("filled_columns", STRINGS, "columns that this source left out and another witness of the same call supplied"),
]
GOVERNANCE: Final = [
    _field("traffic_class", _S, "production | shadow | eval | test"),
    _field("data_class", _S, "as claimed: public | internal | confidential | restricted"),
    _field("data_class_source", _S, "metadata | tag | route_default | dlp | unknown"),
    _field("prompt_id", _S, "prompt template"),
    _field("prompt_version", _S, "prompt template version"),
    _field("guardrail_results", _S, "JSON"),
]
OUTCOME: Final = [
    _field("status", _S, "ok | error | cancelled | blocked"),
    _field("http_status", pa.int16(), "status code"),
    _field("error_type", _S, "class of error"),
    _field("error_code", _S, "provider's code"),
    _field("error_message", _S, "first 2,000 characters"),
    _field("finish_reasons", STRINGS, "stop | length | tool_calls | content_filter | ..."),
    _field("gateway_cache", _S, "none | hit_exact | hit_semantic | unknown"),
]
CONTENT: Final = [
    _field("content_state", _S, "full | truncated | redacted | hashed | absent"),
    _field("input_sha256", _S, "hex sha256 of the canonical input body; the content store's key"),
    _field("output_sha256", _S, "hex sha256 of the canonical output body; the content store's key"),
    _field("input_bytes", _I, "bytes"),
    _field("output_bytes", _I, "bytes"),
    _field("request_params", _S, "JSON without messages"),
    _field("tools_sha256", _S, "hex sha256 of the tool definitions"),
    _field("replayable", _B, "the input can be sent again as it was"),
    _field("replay_blockers", STRINGS, "no_content | truncated | tool_side_effect | media_missing | not_chat"),
]
COLUMN_GROUPS: Final = {
    "identity": IDENTITY,
    "counting": COUNTING,
    "correlation": CORRELATION,
    "time": TIME,
    "route": ROUTE,
    "usage": USAGE,
    "cost": COST,
    "attribution": ATTRIBUTION,
    "governance": GOVERNANCE,
    "outcome": OUTCOME,
    "content": CONTENT,
}
CALL_SCHEMA: Final = pa.schema([field for group in COLUMN_GROUPS.values() for field in group])

REJECT_SCHEMA: Final = pa.schema(
    [
        _field("ingest_uri", _S, "where it came from"),
        _field("ingest_row", _I, "0-based record number"),
        _field("reason", _S, "code: what is wrong, in words that name the field"),
        _field("raw", pa.binary(), "the record as received, cut at 1 MiB; a pushed body that cannot be read, whole"),
    ]
)
SPAN_SCHEMA: Final = pa.schema(
    [
        _field("source_instance", _S, "configured source id"),
        _field("trace_id", _S, "32 lower-case hex digits"),
        _field("span_id", _S, "16 lower-case hex digits"),
        _field("parent_span_id", _S, "16 lower-case hex digits"),
        _field("name", _S, "span name"),
        _field("kind", _S, "workflow | agent | tool | other"),
        _field("start_time", UTC_MICROS, "start"),
        _field("end_time", UTC_MICROS, "end"),
        _field("attributes", _S, "JSON of the attributes that are not content"),
        _field("raw_sha256", _S, "dedupes the span"),
    ]
)
CONTENT_SCHEMA: Final = pa.schema(
    [
        _field("record_id", _S, "call it belongs to"),
        _field("kind", _S, "input | output"),
        _field("sha256", _S, "hex sha256 of body"),
        _field("body", pa.binary(), "canonical JSON: {messages,params,tools} or {message,finish_reason}"),
    ]
)

# How witnesses of one call are merged; a pure function of the set of rows, so the order of arrival does not matter:
#   1. of the rows that share a dup_group_key the first by (whether it tells tokens or a cost, rank, how many of input, output,
#      cache read, cache write (whole and for an hour), reasoning and audio tokens are not null, lowest record_id) is the winner;
#   2. a whole group is out when any row of another group names it in dup_alias_key. A span that names `span:<trace>:<span>` and has no
#      response id names the group of that span, whichever it is. A group of spans that knows no tokens, nor any that names it (also through
#      others), puts none out that does: it is itself out ('duplicate_instrumentation') beside one that counts. Of groups that name each other
#      in a ring the first by (knows tokens, goes by a response id, highest key) puts out the others. Of the logs of several gateways that name
#      one answer (`response:<id>`; the log is the group's key up to the first colon) the first by (tells, rank, knows, name) puts out the others;
#   3. cost_bearing = winner of a group that is not out. Losers of 1: 'duplicate_instrumentation' when the winner is of
#      the same source family (source_kind up to the first dot), else 'superseded'. Losers of 2: 'parent_rollup' (grain
#      span_rollup) or 'wrapper_span' when named from the same family, else 'superseded'.
# After an ingest only rows whose dup_group_key is a dup_group_key or a dup_alias_key of a new row can change.
# A row that arrives with an exclusion_reason of its own (shadow, ...) takes no part.
# A witness with a higher rank carries the cost of a call seen more than once:
# provider bill > gateway bill > gateway database > gateway log > tracing tool (research: merge rules of multi-source ledgers).
WITNESS_RANK: Final = {
    "provider_bill": 60,
    "gateway_bill": 50,
    "litellm.spend_logs": 45,
    "litellm.s3": 42,
    "litellm.generic_api": 40,
    "otlp.litellm": 25,
    "otlp.gen_ai": 20,
    "otlp.openllmetry": 15,
    "otlp.openinference": 10,
}
