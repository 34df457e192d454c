"""Which parameters of a request are kept, by allow-list: what a replay needs, and never a key, a header or a user's own field.

Owns: the names. Does not own: where a source keeps them (each connector). Invariants: a parameter that is not named here is not kept.
"""

from __future__ import annotations

import json
from typing import Any, Final

_PARAMETER_NAMES: Final = (
    "temperature", "top_p", "top_k", "max_tokens", "max_completion_tokens", "max_output_tokens", "stream",
    "stream_options", "n", "stop", "stop_sequences", "seed", "presence_penalty", "frequency_penalty", "logit_bias",
    "logprobs", "top_logprobs", "response_format", "tool_choice", "parallel_tool_calls", "reasoning_effort",
    "reasoning", "thinking", "service_tier", "encoding_format", "dimensions", "modalities", "verbosity", "text",
    "truncation",
)  # fmt: skip
PARAMETERS: Final = dict.fromkeys(_PARAMETER_NAMES, "JSON")


def spec(shape: dict[str, Any]) -> str:
    """A shape as the string literal that json_transform takes."""
    return "'" + json.dumps(shape) + "'"
