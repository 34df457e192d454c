"""Langfuse: observations of the blob export and of the public API (shipped mappings `langfuse_export` and `langfuse_api`).

Owns: what a mapping cannot say of Langfuse: which of its counting conventions a record uses, and what the OpenTelemetry attributes in its
metadata tell. Does not own: where the fields are (the mappings).

Version 2 of the API and the export of `observations_v2` write nested metadata under the names of its paths: `attributes.gen_ai.response.id`.

Buckets of usage are apart (input without cached, output without reasoning) in newer SDKs and inclusive in older ones, even in one project.
They are apart where their sum is the total. `prompt_details.` and `completion_details.` are inclusive by name and never summed.

The blob export's CSV has the columns of its JSON, with what is no text written as text of JSON.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

import pyarrow as pa

from connectors.archives import begin_of, head_of
from connectors.expressions import between, moment
from connectors.mapping import shipped
from connectors.mapping.csv_rows import rows_of
from connectors.mapping.reader import header_of
from connectors.noted import NotedConnector, chat, listed, message, stage
from connectors.payloads import Records
from connectors.reshaped import opened
from governor.ports import Payload

_PATHS: Final[dict[str, str | tuple[str, ...]]] = {
    "kind": "type",
    "parent": ("parent_observation_id", "parentObservationId"),
    "level": "level",
    "usage": ("usage_details", "usageDetails"),
    "costs": ("cost_details", "costDetails"),
    "total_cost": ("total_cost", "totalCost"),
    "updated": ("updated_at", "updatedAt"),
    "started": ("start_time", "startTime"),
    "ended": ("end_time", "endTime"),
    "first_token": ("completion_start_time", "completionStartTime"),
    "meta": "metadata",
    "params": ("model_parameters", "modelParameters"),
    "told": "output",
}
_ATTRIBUTES: Final[dict[str, str | tuple[str, ...]]] = {
    "provider": ("/gen_ai.provider.name", "/gen_ai.system", "/llm.provider", "/llm.system"),
    "request_model": "/gen_ai.request.model",
    "response_model": "/gen_ai.response.model",
    "response_id": "/gen_ai.response.id",
    "finish_reasons": "/gen_ai.response.finish_reasons",
    "attribute_tier": ("/openai.response.service_tier", "/gen_ai.openai.response.service_tier", "/anthropic.response.service_tier"),
    "from_provider": "/ai.response.providerMetadata",
}
# what was served, where the answer was kept whole; what was asked for (Langfuse prices by it); what Vercel's AI SDK heard
_SERVED: Final[dict[str, str | tuple[str, ...]]] = {"speed": "usage.speed", "tier": ("service_tier", "usage.service_tier")}
_ASKED: Final[dict[str, str | tuple[str, ...]]] = {"asked_speed": "speed", "asked_tier": "service_tier"}
_HEARD: Final[dict[str, str | tuple[str, ...]]] = {"heard_speed": "anthropic.usage.speed", "heard_tier": "anthropic.usage.service_tier"}
# metadata that the server added: the span's attributes repeat prompt and answer
_SERVERS: Final = "^(attributes|resourceAttributes|scope)([.]|$)|^prompt_segments[.]"
_INPUT: Final = "^(input|prompt)|cache"
_OUTPUT: Final = "^(output|completion|candidates|reasoning|thought)"
_WRITE: Final = "cache.*(creat|write)|(creat|write).*cache"


def _sum(condition: str) -> str:
    return f"list_sum(list_transform(list_filter(buckets, lambda e: {condition}), lambda e: e.value))"


def _members(condition: str, name: str) -> str:
    """The members of the metadata that meet a condition, as an object; null where there are none."""
    kept = f"list_transform(list_filter(entries, lambda e: {condition}), lambda e: {{'key': {name}, 'value': e.value}})"
    return f"TRY(nullif(to_json(map_from_entries({kept})), '{{}}'))"


def _under(prefix: str) -> str:
    """What was nested, from the names of its paths."""
    return _members(f"starts_with(e.key, '{prefix}')", f"e.key[{len(prefix) + 1}:]")


def _content(content: bool) -> str:
    if not content:
        return "talked AS (SELECT *, NULL AS messages, NULL AS prompt, NULL AS answer, NULL AS tools FROM counted)"
    return f"""
        {stage("counted", "bodies", "line", {"asked": "input", "said": "output"})},
        {stage("bodies", "asked_parts", "asked", {"turns": "messages", "tools": "tools"})},
        {stage("asked_parts", "parts", "said", {"said_role": "role", "said_message": ("message", "choices.0.message"), "said_first": "0"})},
        chosen AS (SELECT *, {listed("coalesce(turns, asked)")} AS given_messages,
            CASE WHEN said_role IS NOT NULL THEN said ELSE coalesce(said_message, said_first) END AS candidate FROM parts),
        talked AS (SELECT *, {chat("given_messages")} AS messages, asked AS prompt,
            CASE WHEN TRY(json_type(candidate)) = 'OBJECT' THEN {message("candidate::JSON")} END AS answer FROM chosen)"""


def _note(content: bool) -> str:
    return f"""
        {stage("given", "named", "line", _PATHS)},
        {stage("named", "opened", "meta", {"attributes_given": "attributes", "ls_provider": "ls_provider"})},
        entered AS (SELECT *, CASE WHEN TRY(json_type(meta)) = 'OBJECT' THEN map_entries(json_transform(meta, '"MAP(VARCHAR, JSON)"')) END AS entries
            FROM opened),
        described AS (SELECT *, coalesce(attributes_given, {_under("attributes.")}::VARCHAR) AS attributes FROM entered),
        {stage("described", "attributed", "attributes", _ATTRIBUTES)},
        {stage("attributed", "served", "told", _SERVED)},
        {stage("served", "heard", "from_provider", _HEARD)},
        {stage("heard", "traced", "params", _ASKED)},
        mapped AS (SELECT *, TRY(json_transform(usage, '"MAP(VARCHAR, BIGINT)"')) AS m FROM traced),
        bucketed AS (SELECT *, list_filter(map_entries(m),
            lambda e: e.value IS NOT NULL AND e.key <> 'total' AND NOT contains(e.key, '.')) AS buckets FROM mapped),
        summed AS (SELECT *, coalesce({_sum(f"regexp_matches(e.key, '{_INPUT}')")}, 0) AS input_all,
            coalesce({_sum(f"regexp_matches(e.key, '{_OUTPUT}')")}, 0) AS output_all,
            {_sum(f"contains(e.key, 'cache') AND NOT regexp_matches(e.key, '{_WRITE}')")} AS read_all,
            {_sum(f"regexp_matches(e.key, '{_WRITE}')")} AS write_all FROM bucketed),
        counted AS (SELECT *, coalesce(input_all + output_all = m['total']
            AND (input_all <> coalesce(m['input'], 0) OR output_all <> coalesce(m['output'], 0)), false) AS apart FROM summed),
        {_content(content)},
        noted AS (SELECT uri, row, position, fault, payload_sha256, line, sound, json_merge_patch('{{}}', json_object(
            'apart', CASE WHEN apart THEN 'true' END,
            'input', CASE WHEN apart THEN TRY_CAST(input_all - coalesce(read_all, 0) - coalesce(write_all, 0) AS BIGINT) END,
            'output', CASE WHEN apart THEN TRY_CAST(output_all AS BIGINT) END,
            'cache_read', CASE WHEN apart THEN TRY_CAST(read_all AS BIGINT) END,
            'cache_write', CASE WHEN apart THEN TRY_CAST(write_all AS BIGINT) END,
            -- a total of 0 without parts is how an unpriced model looks
            'cost', coalesce(json_extract_string(costs, '/total'),
                CASE WHEN coalesce(costs, '{{}}') <> '{{}}' OR coalesce(TRY_CAST(total_cost AS DOUBLE), 1) <> 0 THEN total_cost END),
            'revision', coalesce(greatest(epoch_us({moment("updated")}) // 1000000 - 1577836800, 0),
                CASE WHEN ended IS NOT NULL THEN 1 END),
            'ttft_ms', {between(moment("started"), moment("first_token"))},
            -- a call that counted nothing must not take the place of a parent that did
            'parent', CASE WHEN kind NOT IN ('GENERATION', 'EMBEDDING') OR level = 'ERROR' OR len(buckets) > 0 THEN parent END,
            'provider', coalesce(provider, ls_provider), 'request_model', request_model,
            'response_model', response_model, 'response_id', response_id,
            'finish_reasons', finish_reasons,
            -- Gemini's searches, as Vercel's AI SDK heard of them
            'grounded', CASE WHEN contains(from_provider, 'webSearchQueries')
                THEN json_object('candidates', [TRY(coalesce(json_extract(from_provider, '/google'), json_extract(from_provider, '/vertex')))]) END,
            'tier', CASE WHEN coalesce(speed, heard_speed, asked_speed) = 'fast' THEN 'fast'
                ELSE coalesce(attribute_tier, tier, heard_tier, asked_tier) END,
            'metadata', json_merge_patch(coalesce({_members(f"NOT regexp_matches(e.key, '{_SERVERS}')", "e.key")}, '{{}}'),
                json_object('prompt_segments', coalesce({_under("prompt_segments.")}, json_extract(meta, '/prompt_segments')))),
            'messages', messages, 'prompt', prompt, 'tools', tools::JSON, 'message', answer))::VARCHAR AS note FROM talked)"""


_EXPORT: Final = shipped("langfuse_export")
_JSON_COLUMNS: Final = ("metadata", "usage_details", "cost_details", "model_parameters", "tags")


class Langfuse(NotedConnector):
    """Langfuse's files, the CSV of its blob export among them."""

    def detect(self, head: bytes, uri: str) -> float:
        return 0.9 if _is_table(head_of(head)) else super().detect(head, uri)

    def _records(self, payload: Payload) -> Iterator[Records]:
        if not _is_table(begin_of(payload)):
            return super()._records(payload)
        return (Records(rows.uri, rows.first_row, _as_exported(rows.values), rows.cut, rows.received) for rows in rows_of(payload))


def _is_table(head: bytes) -> bool:
    return header_of(head) >= set(_EXPORT.finds)


def _as_exported(rows: pa.Array) -> pa.Array:
    """Rows of the CSV as the JSON export writes them. An empty value is none; a row that is no record stays as it is."""
    return pa.array([_row(row.as_py()) for row in rows], pa.large_binary())


def _row(text: bytes) -> bytes:
    row: Any = opened(text.decode())
    if not isinstance(row, dict):
        return text
    given = {name: value for name, value in row.items() if value != ""}
    return json.dumps(given | {name: opened(given[name]) for name in _JSON_COLUMNS if name in given}).encode()


connector = Langfuse("langfuse", [_EXPORT, shipped("langfuse_api")], _note)
