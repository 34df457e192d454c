"""LangSmith: runs of the bulk export and of the runs query (shipped mapping `langsmith`).

Owns: what is inside `extra`, `inputs` and `outputs`, which the bulk export writes as text.
Does not own: where the other fields are (the mapping).
"""

from __future__ import annotations

from typing import Final

from connectors.expressions import between, moment
from connectors.mapping import shipped
from connectors.noted import NotedConnector, chat, listed, message, stage

_PATHS: Final[dict[str, str | tuple[str, ...]]] = {
    "kind": "run_type",
    "parent_run": "parent_run_id",
    "parent_runs": "parent_run_ids",
    "status": "status",
    "failure": "error",
    "started": "start_time",
    "first_token": "first_token_time",
    "prompt_tokens": "prompt_tokens",
    "completion_tokens": "completion_tokens",
    "total_tokens": "total_tokens",
    "prompt_details": ("prompt_token_details.raw", "prompt_token_details"),
    "completion_details": ("completion_token_details.raw", "completion_token_details"),
    "extra_given": "extra",
    "metadata_beside": "metadata",
    "asked": "inputs",
    "said": "outputs",
}
_EXTRA: Final[dict[str, str | tuple[str, ...]]] = {
    "meta": "metadata",
    "params": "invocation_params",
    "provider": "metadata.ls_provider",
    "model": ("metadata.ls_model_name", "invocation_params.model", "invocation_params.model_name"),
    "thread": ("metadata.session_id", "metadata.thread_id", "metadata.conversation_id"),
    "end_user": "metadata.user_id",
    "meta_usage": "metadata.usage_metadata",
    "tools": "invocation_params.tools",
}
_MESSAGE: Final = "generations.0.0.message"
_SAID: Final[dict[str, str | tuple[str, ...]]] = {
    "response_id": ("id", f"{_MESSAGE}.kwargs.response_metadata.id"),
    "response_model": ("model", f"{_MESSAGE}.kwargs.response_metadata.model_name", "llm_output.model_name"),
    "finish_reasons": (
        "choices.0.finish_reason",
        "generations.0.0.generation_info.finish_reason",
        f"{_MESSAGE}.kwargs.response_metadata.finish_reason",
        f"{_MESSAGE}.kwargs.response_metadata.stop_reason",
        "stop_reason",
    ),
    "tier": (
        "service_tier",
        f"{_MESSAGE}.kwargs.response_metadata.service_tier",
        "llm_output.service_tier",
        "usage.service_tier",
        f"{_MESSAGE}.kwargs.response_metadata.usage.service_tier",
    ),
    "speed": ("usage.speed", f"{_MESSAGE}.kwargs.response_metadata.usage.speed"),
    "said_usage": ("usage_metadata", f"{_MESSAGE}.kwargs.usage_metadata"),
    "said_message": (_MESSAGE, "choices.0.message", "message"),
    "said_role": "role",
    "said_text": ("generations.0.0.text", "content", "output"),
}
_USAGE: Final[dict[str, str | tuple[str, ...]]] = {
    "used_input": "input_tokens",
    "used_output": "output_tokens",
    "used_total": "total_tokens",
    "input_details": "input_token_details",
    "output_details": "output_token_details",
}


def _content(content: bool) -> str:
    if not content:
        return "talked AS (SELECT *, NULL AS messages, NULL AS answer FROM used)"
    return f"""
        {stage("used", "bodies", "asked", {"turns": "messages"})},
        -- LangChain asks in batches: a list of conversations
        chosen AS (SELECT *, {listed("turns")} AS found, CASE WHEN said_role IS NOT NULL THEN said ELSE said_message END AS candidate
            FROM bodies),
        unfolded AS (SELECT *,
            CASE WHEN len(found) = 1 AND json_type(found[1]) = 'ARRAY'
                THEN from_json(found[1], '["JSON"]') ELSE found END AS given_messages FROM chosen),
        talked AS (SELECT *, {chat("given_messages")} AS messages,
            CASE WHEN TRY(json_type(candidate)) = 'OBJECT' THEN {message("candidate::JSON")} END AS answer FROM unfolded)"""


def _note(content: bool) -> str:
    return f"""
        {stage("given", "named", "line", _PATHS)},
        -- the second version of the runs query has the metadata beside `extra`
        opened AS (SELECT *, CASE WHEN metadata_beside IS NULL THEN extra_given ELSE json_merge_patch(
                json_object('metadata', TRY_CAST(metadata_beside AS JSON)), coalesce(TRY_CAST(extra_given AS JSON), '{{}}'))::VARCHAR END AS extra_text,
            coalesce(parent_run, TRY(json_extract_string(parent_runs, '$[#-1]'))) AS parent FROM named),
        {stage("opened", "described", "extra_text", _EXTRA)},
        {stage("described", "answered", "said", _SAID)},
        counted AS (SELECT *,
            coalesce(TRY_CAST(prompt_tokens AS BIGINT), 0) = 0 AND coalesce(TRY_CAST(completion_tokens AS BIGINT), 0) = 0 AS uncounted,
            coalesce(meta_usage, said_usage) AS usage FROM answered),
        {stage("counted", "used", "usage", _USAGE)},
        {_content(content)},
        detailed AS (SELECT *, TRY_CAST(coalesce(prompt_details, input_details) AS JSON) AS details FROM talked),
        noted AS (SELECT uri, row, position, fault, payload_sha256, line, sound, json_merge_patch('{{}}', json_object(
            -- what the run counted; where it counted nothing, what the answer says
            'input', CASE WHEN uncounted THEN coalesce(used_input, prompt_tokens) ELSE prompt_tokens END,
            'output', CASE WHEN uncounted THEN coalesce(used_output, completion_tokens) ELSE completion_tokens END,
            'total', CASE WHEN uncounted THEN coalesce(used_total, total_tokens) ELSE total_tokens END,
            'input_details', details,
            -- Gemini's prompts are cut in two at 200,000 tokens
            'cached', TRY(TRY_CAST(details ->> 'cache_read' AS BIGINT) + TRY_CAST(details ->> 'cache_read_over_200k' AS BIGINT)),
            'tier', coalesce(nullif(speed, 'standard'), tier,
                CASE WHEN json_exists(details, '/priority') THEN 'priority' WHEN json_exists(details, '/flex') THEN 'flex' END),
            'output_details', TRY_CAST(coalesce(completion_details, output_details) AS JSON),
            'usage', json_merge_patch('{{}}', json_object(
                'prompt_tokens', prompt_tokens, 'completion_tokens', completion_tokens, 'total_tokens', total_tokens,
                'prompt_token_details', TRY_CAST(prompt_details AS JSON), 'completion_token_details', TRY_CAST(completion_details AS JSON),
                'usage_metadata', TRY_CAST(usage AS JSON))),
            'ttft_ms', {between(moment("started"), moment("first_token"))},
            -- a call that counted nothing must not take the place of a parent that did
            'parent', CASE WHEN lower(kind) NOT IN ('llm', 'embedding') OR failure IS NOT NULL OR lower(status) = 'error'
                OR NOT uncounted OR usage IS NOT NULL THEN parent END,
            'provider', provider, 'model', coalesce(model, response_model), 'response_model', response_model, 'response_id', response_id,
            'finish_reasons', finish_reasons, 'thread', thread, 'user', end_user,
            'metadata', CASE WHEN TRY(json_type(meta)) = 'OBJECT' THEN json_merge_patch(meta, '{{"usage_metadata":null}}') END,
            'params', TRY_CAST(params AS JSON), 'tools', TRY_CAST(tools AS JSON), 'messages', messages, 'prompt', asked, 'message', answer,
            'text', said_text))::VARCHAR AS note FROM detailed)"""


connector = NotedConnector("langsmith", [shipped("langsmith")], _note)
