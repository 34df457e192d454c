"""Braintrust: rows of project logs (shipped mapping `braintrust`).

Owns: what a mapping cannot say of them: the order of rewritten rows, and failures that name no error.
Does not own: where the fields are (the mapping).

`_xact_id` is 0x0DE1, the unix second and a counter (Braintrust's own CLI reads it so); the second is the revision.
The SDK's wrapper writes no `error` for a call that the provider refused: such a row has ended and holds neither an answer nor a count.
"""

from __future__ import annotations

import json
from typing import Final

from connectors.mapping import shipped
from connectors.noted import NotedConnector, stage

_PATHS: Final[dict[str, str | tuple[str, ...]]] = {
    "kind": "span_attributes.type",
    "parent": "span_parents.0",
    "failure": "error",
    "said": "output",
    "ended": "metrics.end",
    "used": ("metrics.prompt_tokens", "metrics.completion_tokens", "metrics.tokens"),
    "transaction": "_xact_id",
    "meta": "metadata",
}
# the SDK's wrappers write the parameters of the request among the user's metadata: these can hold prompts or keys
_PARAMETERS: Final = json.dumps(
    dict.fromkeys(
        ("tools", "functions", "response_format", "tool_choice", "extra_headers", "extra_body", "extra_query", "system", "prompt", "text")
    )
)


def _note(_content: bool) -> str:
    failed = "(failure IS NOT NULL OR (kind = 'llm' AND ended IS NOT NULL AND said IS NULL AND used IS NULL))"
    return f"""
        {stage("given", "named", "line", _PATHS)},
        noted AS (SELECT uri, row, position, fault, payload_sha256, line, sound, json_merge_patch('{{}}', json_object(
            'status', CASE WHEN {failed} THEN 'error' END,
            -- a call that counted nothing must not take the place of a parent that did
            'parent', CASE WHEN kind IS DISTINCT FROM 'llm' OR used IS NOT NULL OR {failed} THEN parent END,
            'metadata', CASE WHEN TRY(json_type(meta)) = 'OBJECT' THEN json_merge_patch(meta, '{_PARAMETERS}') END,
            'revision', greatest(
                ((TRY_CAST(transaction AS UBIGINT) >> 16) & 4294967295)::BIGINT - 1577836800, 0)))::VARCHAR AS note FROM named)"""


connector = NotedConnector("braintrust", [shipped("braintrust")], _note)
