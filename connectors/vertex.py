"""Vertex AI: request-response logging, the rows of its BigQuery table exported as JSON.

Owns: columns that came out as text of JSON, the instant a call began, Gemini contents as chat. Does not own: the paths (mapping `vertex`).
Invariants: only calls that the sampling rate let through are here; a row says nothing about the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from connectors.chat_forms import DerivedConnector, blocks, listed, texts
from connectors.expressions import instant
from connectors.mapping import shipped

# JSON columns leave BigQuery as objects or as text, by the way of the export; Elastic keeps the row inside a document of its own
_COLUMNS: Final = ("full_request", "full_response", "metadata", "otel_log")
_TEXT: Final = " OR ".join(f"json_type(r, '/{name}') = 'VARCHAR'" for name in _COLUMNS)
_OPENED: Final = ", ".join(
    f"""'{name}', CASE WHEN json_type(r, '/{name}') = 'VARCHAR' AND json_valid(json_extract_string(r, '/{name}'))
        THEN json_extract_string(r, '/{name}')::JSON ELSE json_extract(r, '/{name}') END"""
    for name in _COLUMNS
)
_PLAIN: Final = f"CASE WHEN {_TEXT} THEN json_merge_patch(r, json_object({_OPENED})) ELSE r END"
# A stream may be logged as the list of its chunks: each fact is the last one told. Claude begins with a message and ends with its usage;
# of the pieces of an answer no one is the answer.
_CHUNKS: Final = listed("json_extract(r, '/full_response')")
_TOLD: Final = """CASE WHEN json_type(s, '/message') = 'OBJECT' THEN json_merge_patch(json_extract(s, '/message'), json_object(
        'usage', json_extract(s, '/usage'), 'stop_reason', json_extract(s, '/delta/stop_reason'), 'content', NULL))
    ELSE json_merge_patch(s, json_object('candidates', CASE WHEN json_exists(s, '/candidates/0')
        THEN [json_object('finishReason', json_extract(s, '/candidates/0/finishReason'),
            'groundingMetadata', json_extract(s, '/candidates/0/groundingMetadata'))] END)) END"""
_ONE: Final = f"list_transform([list_reduce({_CHUNKS}, lambda a, b: json_merge_patch(a, b))], lambda s: {_TOLD})[1]"
_THOUGHT: Final = """(CASE WHEN TRY_CAST(json_extract_string(said, '/usage/output_tokens_details/thinking_tokens') AS BIGINT)
    BETWEEN 0 AND TRY_CAST(json_extract_string(said, '/usage/output_tokens') AS BIGINT)
    THEN TRY_CAST(json_extract_string(said, '/usage/output_tokens_details/thinking_tokens') AS BIGINT) END)"""
_PLACE: Final = "coalesce(json_extract_string(asked, '/model'), json_extract_string(r, '/endpoint'), json_extract_string(r, '/model'))"
_LATENCY: Final = (
    "TRY_CAST(coalesce(json_extract_string(about, '/request_latency'), json_extract_string(about, '/requestLatency')) AS DOUBLE)"
)
_LOGGED: Final = instant("json_extract_string(r, '/logging_time')")
# thoughts that were asked for stand among the parts of the answer
_ANSWER: Final = f"""to_json(list_filter({listed("json_extract(said, '/candidates/0/content/parts')")},
    lambda b: coalesce(json_extract_string(b, '/thought'), '') <> 'true'))"""
_FUNCTIONS: Final = """coalesce(json_extract(asked, '$.tools[*].functionDeclarations[*]'), [])
    || coalesce(json_extract(asked, '$.tools[*].function_declarations[*]'), [])"""


def _either(place: str, *names: str) -> str:
    """The first of several spellings: the API writes camelCase, Elastic snake_case."""
    return f"coalesce({', '.join(f'json_extract({place}, $${name}$$)' for name in names)})"


def _used(snake: str, camel: str) -> str:
    return f"coalesce(json_extract_string(said, '/usageMetadata/{camel}'), json_extract_string(said, '/usage_metadata/{snake}'))"


def _modality(snake: str, camel: str, which: str) -> str:
    """Tokens of one modality, out of the details."""
    details = f"""(coalesce(json_extract(said, '$.usageMetadata.{camel}[*]'), [])
        || coalesce(json_extract(said, '$.usage_metadata.{snake}[*]'), []))"""
    return f"""list_transform(list_filter({details}, lambda d: json_extract_string(d, '/modality') = '{which}'),
        lambda d: coalesce(json_extract_string(d, '/tokenCount'), json_extract_string(d, '/token_count')))[1]"""


_PARAMS: Final = {
    "max_tokens": ("/maxOutputTokens", "/max_output_tokens"),
    "temperature": ("/temperature",),
    "top_p": ("/topP", "/top_p"),
    "top_k": ("/topK", "/top_k"),
    "stop": ("/stopSequences", "/stop_sequences"),
    "seed": ("/seed",),
    "presence_penalty": ("/presencePenalty", "/presence_penalty"),
    "frequency_penalty": ("/frequencyPenalty", "/frequency_penalty"),
}


class Vertex(DerivedConnector):
    record = "coalesce(json_extract(whole, '/gcp/vertexai/prompt_response_logs'), whole::JSON)"
    opened = f"""list_transform([{_PLAIN}], lambda r: CASE WHEN len({_CHUNKS}) > 0
        THEN json_merge_patch(r, json_object('full_response', {_ONE})) ELSE r END)[1]"""
    parts: Mapping[str, str] = {
        "asked": "/full_request",
        "said": "/full_response",
        "about": "/metadata",
        "contents": "/full_request/contents",
    }
    facts: Mapping[str, str] = {
        "start": f"""CASE WHEN {_LATENCY} BETWEEN 0 AND 86400000
            THEN TRY(strftime({_LOGGED} - to_microseconds(CAST({_LATENCY} * 1000 AS BIGINT)), '%Y-%m-%dT%H:%M:%S.%fZ')) END""",
        # what tools sent back is input as well, and is counted neither in the prompt nor in the candidates
        "input": f"""TRY(TRY_CAST({_used("prompt_token_count", "promptTokenCount")} AS BIGINT)
            + TRY_CAST({_used("tool_use_prompt_token_count", "toolUsePromptTokenCount")} AS BIGINT))""",
        # Claude's thoughts are inside its output, where Gemini's are beside it
        "thought": _THOUGHT,
        "output": f"TRY_CAST(json_extract_string(said, '/usage/output_tokens') AS BIGINT) - {_THOUGHT}",
        "audio_in": _modality("prompt_tokens_details", "promptTokensDetails", "AUDIO"),
        "audio_out": _modality("candidates_tokens_details", "candidatesTokensDetails", "AUDIO"),
        "image_in": _modality("prompt_tokens_details", "promptTokensDetails", "IMAGE"),
        "image_out": _modality("candidates_tokens_details", "candidatesTokensDetails", "IMAGE"),
        "model": "nullif(regexp_extract(json_extract_string(r, '/model'), '[^/]+$'), '')",
        "project": f"nullif(regexp_extract({_PLACE}, 'projects/([^/]+)', 1), '')",
        "region": f"nullif(regexp_extract({_PLACE}, 'locations/([^/]+)', 1), '')",
        "status": f"""CASE WHEN {_either("said", "/promptFeedback/blockReason", "/prompt_feedback/block_reason")} IS NOT NULL THEN 'blocked'
            WHEN coalesce(json_extract_string(said, '/candidates/0/finishReason'), json_extract_string(said, '/candidates/0/finish_reason'))
                IN ('SAFETY', 'PROHIBITED_CONTENT', 'BLOCKLIST', 'SPII', 'RECITATION') THEN 'blocked' END""",
    }
    spoken: Mapping[str, str] = {
        "messages": f"""list_transform({listed("contents")}, lambda m: json_object(
            'role', CASE WHEN json_extract_string(m, '/role') = 'model' THEN 'assistant' ELSE 'user' END, 'content', {blocks("json_extract(m, '/parts')")}))""",
        "system": texts(_either("asked", "/systemInstruction/parts", "/system_instruction/parts")),
        "params": f"""CASE WHEN contents IS NOT NULL THEN json_object({
            ", ".join(
                f"'{name}', {_either(_either('asked', '/generationConfig', '/generation_config'), *spelled)}"
                for name, spelled in _PARAMS.items()
            )
        }) END""",
        "tools": f"""CASE WHEN len({_FUNCTIONS}) > 0 THEN list_transform({_FUNCTIONS}, lambda f: json_object('type', 'function', 'function', f)) END""",
        "message": f"CASE WHEN {_ANSWER} IS NOT NULL THEN json_object('role', 'assistant', 'content', {blocks(_ANSWER)}) END",
    }


_mapping: Final = shipped("vertex")
connector = Vertex(
    "vertex",
    [_mapping, _mapping.model_copy(update={"finds": tuple(f"gcp.vertexai.prompt_response_logs.{path}" for path in _mapping.finds)})],
)
