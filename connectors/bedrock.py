"""Amazon Bedrock: model invocation logs as S3 keeps them (NDJSON, gzip) and as CloudWatch delivers them.

Owns: opening the envelopes of CloudWatch, what a stream's chunks say together, Converse messages as chat. Does not own: the paths (mapping `bedrock`).
Invariants: one call has one id whichever way it was delivered; objects under `data/` (bodies moved out) are no records.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import pyarrow as pa

from connectors.chat_forms import DerivedConnector, blocks, listed, texts
from connectors.mapping import shipped
from connectors.mapping.document import Mapping as MappingDocument
from connectors.payloads import Records, split_values
from governor.ports import Payload

_ENVELOPES: Final = ("logEvents", "events")  # a subscription's envelope; the answer of `aws logs filter-log-events`
_NO_LOG: Final = re.compile(r"BedrockModelInvocationLogs/.*/data/|amazon-bedrock-logs-permission-check")
_MARKS: Final = (b'"requestId"', b'"accountId"', b'"operation"', b'"modelId"', b'"inputContentType"')

_CHUNKS: Final = listed("said")
_LAST: Final = "CASE WHEN json_type(said) = 'ARRAY' THEN json_extract_string(said, '$[#-1].amazon-bedrock-invocationMetrics.{}') END"
_DELTAS: Final = (
    "$.delta.text",
    "$.contentBlockDelta.delta.text",
    "$.outputText",
    "$.generation",
    "$.outputs[0].text",
    "$.choices[0].delta.content",
)
_TIERS: Final = ("$.metadata.serviceTier.type", "$.message.usage.service_tier")
_STOPS: Final = ("$.delta.stop_reason", "$.messageStop.stopReason", "$.completionReason", "$.stop_reason", "$.choices[0].finish_reason")
_MADE: Final = """coalesce(nullif(json_array_length(said, '/images'), 0), nullif(json_array_length(said, '/artifacts'), 0),
    TRY_CAST(json_extract_string(asked, '/imageGenerationConfig/numberOfImages') AS BIGINT), CASE WHEN json_exists(asked, '/imageGenerationConfig') THEN 1 END)"""


def _of_chunks(paths: tuple[str, ...]) -> str:
    """The first of the paths in every chunk of a stream that has one."""
    found = ", ".join(f"json_extract_string(c, '{path}')" for path in paths)
    return f"list_filter(list_transform({_CHUNKS}, lambda c: coalesce({found}, NULL)), lambda t: t IS NOT NULL)"


def _written(lifetime: str) -> str:
    """What Converse wrote to the cache for so long; it lists the lifetimes."""
    of_a_stream = f"TRY_CAST({_of_chunks(('$.metadata.usage.cacheDetails',))}[-1] AS JSON)"
    details = listed(f"coalesce(json_extract(said, '/usage/cacheDetails'), {of_a_stream})")
    kept = f"list_filter({details}, lambda d: json_extract_string(d, '/ttl') = '{lifetime}')"
    return f"list_sum(list_transform({kept}, lambda d: TRY_CAST(json_extract_string(d, '/inputTokens') AS BIGINT)))"


class Bedrock(DerivedConnector):
    parts: Mapping[str, str] = {
        "asked": "/input/inputBodyJson",
        "said": "/output/outputBodyJson",
        "messages": "/input/inputBodyJson/messages",
        "tools": "/input/inputBodyJson/toolConfig/tools",
        "api": "/operation",
        "model": "/modelId",
    }
    facts: Mapping[str, str] = {
        "status": f"""CASE WHEN json_extract_string(said, '/stopReason') = 'guardrail_intervened'
            OR json_extract_string(said, '/amazon-bedrock-guardrailAction') = 'INTERVENED'
            OR list_contains({_of_chunks(("$.amazon-bedrock-guardrailAction",))}, 'INTERVENED') THEN 'blocked' END""",
        # InvokeModel serves every kind of model; without a body only its name can say which
        "operation": """CASE WHEN contains(model::VARCHAR, 'embed') OR json_exists(said, '/embedding') OR json_exists(said, '/embeddings') THEN 'embeddings'
            WHEN contains(model::VARCHAR, 'rerank') THEN 'rerank'
            WHEN json_exists(said, '/images') OR json_exists(asked, '/taskType') THEN 'image_generation'
            WHEN contains(api::VARCHAR, 'Converse') OR messages IS NOT NULL THEN 'chat'
            WHEN json_exists(asked, '/prompt') OR json_exists(asked, '/inputText') THEN 'text_completion'
            WHEN asked IS NOT NULL THEN 'invoke_model' END""",
        # pictures are too large for the log, which then has the request alone
        "pictured": f"""CASE WHEN json_extract(r, '/errorCode') IS NULL AND {_MADE} BETWEEN 1 AND 100
            THEN json_object('images', range(CAST({_MADE} AS BIGINT)), 'quality', json_extract(asked, '/imageGenerationConfig/quality'),
                'size', json_extract_string(asked, '/imageGenerationConfig/width') || 'x' || json_extract_string(asked, '/imageGenerationConfig/height')) END""",
        "finish": f"{_of_chunks(_STOPS)}[-1]",
        "tier": f"{_of_chunks(_TIERS)}[-1]",
        "written_5m": _written("5m"),
        "written_1h": _written("1h"),
        "input": _LAST.format("inputTokenCount"),
        "output": _LAST.format("outputTokenCount"),
        "duration": _LAST.format("invocationLatency"),
        "ttft": _LAST.format("firstByteLatency"),
        "guardrail": f"TRY_CAST({_of_chunks(('$.amazon-bedrock-trace.guardrail',))}[1] AS JSON)",
    }
    spoken: Mapping[str, str] = {
        "messages": f"""list_transform({listed("messages")}, lambda m: json_merge_patch(m, json_object('content', {blocks("json_extract(m, '/content')")})))""",
        "system": texts("json_extract(asked, '/system')"),
        "params": """CASE WHEN json_exists(asked, '/inferenceConfig') THEN json_object(
            'max_tokens', coalesce(json_extract(asked, '/inferenceConfig/maxTokens'), json_extract(asked, '/inferenceConfig/max_new_tokens')),
            'temperature', json_extract(asked, '/inferenceConfig/temperature'), 'top_p', json_extract(asked, '/inferenceConfig/topP'),
            'stop', json_extract(asked, '/inferenceConfig/stopSequences')) END""",
        "tools": f"""list_transform({listed("tools")}, lambda t: CASE WHEN json_type(t, '/toolSpec') = 'OBJECT'
            THEN json_object('type', 'function', 'function', json_object('name', json_extract(t, '/toolSpec/name'),
                'description', json_extract(t, '/toolSpec/description'), 'parameters', json_extract(t, '/toolSpec/inputSchema/json'))) ELSE t END)""",
        # text alone is put together; a stream that calls tools stays the list of its chunks
        "message": f"""CASE WHEN json_type(said, '/output/message/content') = 'ARRAY'
                THEN json_object('role', 'assistant', 'content', {blocks("json_extract(said, '/output/message/content')")})
            WHEN len({_of_chunks(_DELTAS)}) > 0 AND NOT regexp_matches(said::VARCHAR, '"(partial_json|toolUse|tool_calls)"')
                THEN json_object('role', 'assistant', 'content', array_to_string({_of_chunks(_DELTAS)}, ''))
            WHEN json_type(said) = 'ARRAY' THEN json_object('role', 'assistant', 'content', said) END""",
    }

    def _records(self, payload: Payload) -> Iterator[Records]:
        if _NO_LOG.search(payload.uri):
            return
        row = 0
        for chunk in super()._records(payload):
            came = [value.as_py() for value in chunk.values]
            opened = [(message, value) for value in came for message in _messages(value)]
            if opened:
                messages, received = (pa.array(list(column), pa.large_binary()) for column in zip(*opened, strict=True))
                yield Records(chunk.uri, row, messages, chunk.cut, received)
                row += len(opened)

    def _mapping_of(self, text: bytes) -> MappingDocument | None:
        values, _ = split_values(text)
        if len(values):
            first = [message for value in values[:5] for message in _messages(value.as_py())[:5]]
            return next((found for message in first if (found := super(Bedrock, self)._mapping_of(message)) is not None), None)
        # an envelope or a prompt can be longer than the head that is looked at
        plain = text.replace(b'\\"', b'"')
        return self.mappings[0] if all(mark in plain for mark in _MARKS) else None


def _messages(record: bytes) -> list[bytes]:
    """The log records in an envelope; any other record as it is. A control message holds none."""
    if not any(b'"%s"' % name.encode() in record for name in _ENVELOPES):
        return [record]
    envelopes = _envelopes(record)
    if not envelopes:
        return [record]
    return [_message(event) for envelope, events in envelopes if envelope.get("messageType") != "CONTROL_MESSAGE" for event in events]


def _message(event: Any) -> bytes:
    """What was logged, in its own bytes; a transformation on the way may have opened it already."""
    said = event.get("message", event) if isinstance(event, dict) else event
    return (said if isinstance(said, str) else json.dumps(said)).encode("utf-8", "surrogatepass")


def _envelopes(record: bytes) -> list[tuple[dict[str, Any], list[Any]]]:
    """Envelopes of one line: Firehose writes them one after the other without a newline. Empty when anything in it is none."""
    try:
        documents = [json.loads(record)]
    except (ValueError, RecursionError):
        values, done = split_values(record)
        if record[done:].strip():
            return []
        try:
            documents = [json.loads(value.as_py()) for value in values]
        except (ValueError, RecursionError):
            return []
    found = []
    for document in documents:
        name = next((name for name in _ENVELOPES if isinstance(document, dict) and isinstance(document.get(name), list)), None)
        if name is None:
            return []
        found.append((document, document[name]))
    return found


connector = Bedrock("bedrock", [shipped("bedrock")])
