"""Prompts and answers of a mapped record in their canonical form.

Owns: input and output bodies. Does not own: where they are kept, which are wanted. Invariants: parameters by allow-list; text that is no JSON is a JSON string.
"""

from __future__ import annotations

from connectors.mapping.document import Mapping
from connectors.mapping.text import Paths
from connectors.parameters import PARAMETERS, spec


def content_facts(mapping: Mapping, paths: Paths) -> dict[str, str]:
    content = mapping.content
    return {
        f"{name}_body": paths.first(getattr(content, name))
        for name in ("messages", "system", "prompt", "message", "text", "params", "tools")
    }


def _json(text: str) -> str:
    """Text that is JSON as JSON, other text as a JSON string."""
    return f"CASE WHEN json_valid({text}) THEN {text}::JSON WHEN {text} IS NOT NULL THEN to_json({text}) END"


def written() -> str:
    said = _json("messages_body")
    return f"""
        asked AS (SELECT *, CASE WHEN json_type({said}) = 'ARRAY' THEN {said}
                WHEN messages_body IS NOT NULL THEN json_array(json_object('role', 'user', 'content', {said}))
                WHEN prompt_body IS NOT NULL THEN json_array(json_object('role', 'user', 'content', {_json("prompt_body")})) END AS bare,
            CASE WHEN json_type({_json("params_body")}) = 'OBJECT'
                THEN json_merge_patch('{{}}', to_json(json_transform({_json("params_body")}, {spec(PARAMETERS)}))) ELSE '{{}}'::JSON END AS params,
            CASE WHEN json_type({_json("tools_body")}) = 'ARRAY' THEN {_json("tools_body")} ELSE '[]'::JSON END AS tools,
            CASE WHEN json_type({_json("message_body")}) = 'OBJECT' THEN {_json("message_body")}
                WHEN message_body IS NOT NULL THEN json_object('role', 'assistant', 'content', {_json("message_body")})
                WHEN text_body IS NOT NULL THEN json_object('role', 'assistant', 'content', {_json("text_body")}) END AS answered
            FROM keyed),
        written AS (SELECT *, CASE WHEN bare IS NOT NULL THEN json_object('messages', CASE WHEN system_body IS NOT NULL THEN
                to_json(list_concat([json_object('role', 'system', 'content', {_json("system_body")})], from_json(bare, '["JSON"]'))) ELSE bare END,
                'params', params, 'tools', tools)::VARCHAR END AS input_body,
            CASE WHEN answered IS NOT NULL THEN json_object('finish_reason', finish_reasons_n[1], 'message', answered)::VARCHAR END AS output_body
            FROM asked)"""
