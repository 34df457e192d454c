"""The table of request parameters: what each wire and model family takes, what becomes something else, what is left out, what forbids a replay.

Owns: the table and the words for it. Does not own: bodies (adapters/openai_wire.py, anthropic_wire.py). Parameters arrive under the names their gateway recorded,
OpenAI's or Anthropic's. Invariants: every parameter that shapes an answer is sent, changed, dropped or blocked; changed, dropped and blocked ones are listed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

# Ours, or without meaning for the answer: left out without a word. The limit of the answer is set by the plan.
OURS: Final = frozenset(
    {"stream", "stream_options", "max_tokens", "max_completion_tokens", "max_output_tokens", "model", "messages", "user", "timeout", "num_retries", "store",
     "service_tier", "metadata", "extra_headers", "safety_identifier", "prompt_cache_key"}
)  # fmt: skip
# The answer would be another kind of thing: not replayed.
BLOCKED: Final = frozenset({"audio", "modalities", "functions", "function_call", "web_search_options", "prediction"})
HARMLESS: Final[tuple[Any, ...]] = (None, [], {}, ["text"])
SAMPLING: Final = frozenset({"temperature", "top_p", "presence_penalty", "frequency_penalty", "logit_bias"})
OPENAI: Final = frozenset(
    {*SAMPLING, "stop", "seed", "response_format", "tools", "tool_choice", "parallel_tool_calls", "reasoning_effort", "verbosity"}
)
ANTHROPIC: Final = frozenset(
    {"temperature", "top_p", "top_k", "stop", "tools", "tool_choice", "parallel_tool_calls", "thinking", "reasoning_effort"}
)
NAMES: Final = {"stop_sequences": "stop"}  # one thing under two names
# Families of models and what they do not take on the OpenAI wire.
FAMILIES: Final = (
    ("reasoning", re.compile(r"(?:^|/)(?:o[1-9]|gpt-5)")),
    ("gpt", re.compile(r"(?:^|/)(?:gpt-|chatgpt-)")),
    ("claude", re.compile(r"claude")),
)
NOT_TAKEN: Final[Mapping[str, frozenset[str]]] = {
    "reasoning": frozenset({*SAMPLING, "stop"}),
    "gpt": frozenset({"reasoning_effort", "verbosity"}),
    "claude": frozenset({"presence_penalty", "frequency_penalty", "logit_bias", "seed", "verbosity"}),
}
# Claude refuses a call that says more of sampling than it takes: either of two from 4.1 on, nothing from 4.7 on. Those later ones think as much as they see fit.
ONE_OF_TWO: Final = re.compile(r"claude-(?:opus-4[-.]1|[a-z]+-4[-.][56])(?!\d)")
NO_SAMPLING: Final = re.compile(r"claude-(?:[a-z]+-4[-.][7-9]|[a-z]+-[5-9])(?!\d)")
THEIRS: Final = {"stop": "stop_sequences", "tools": "tools.input_schema", "tool_choice": "tool_choice.type"}
EFFORT_TOKENS: Final = {"low": 1024, "medium": 2048, "high": 4096}  # thinking budget that stands for an effort
THINKS: Final = re.compile(r"claude-(?:3-7|sonnet-4|opus-4|haiku-4|fable|mythos|.*-[4-9](?:-|$))")


@dataclass(frozen=True)
class Translated:
    """sent: under OpenAI's names; changed: name -> what it became."""

    sent: dict[str, Any] = field(default_factory=dict)
    changed: dict[str, str] = field(default_factory=dict)
    dropped: tuple[str, ...] = ()


def refused(params: Mapping[str, Any]) -> list[str]:
    """Parameters that make a faithful replay impossible."""
    found = sorted(name for name in params if name in BLOCKED and params[name] not in HARMLESS)
    return [*found, "n"] if params.get("n") not in (None, 1) else found


def family_of(model: str) -> str:
    """Empty for a model we know nothing about: it is sent everything its wire has."""
    return next((name for name, pattern in FAMILIES if pattern.search(model.lower())), "")


def translate(protocol: str, model: str, params: Mapping[str, Any], limit: int) -> Translated:
    """limit: the longest answer allowed."""
    given = {NAMES.get(name, name): value for name, value in params.items() if value is not None}
    takes = (ANTHROPIC if protocol == "anthropic" else OPENAI - NOT_TAKEN.get(family_of(model), frozenset())) | OURS | BLOCKED | {"n"}
    takes -= unsampled(model, given)
    sent = {name: value for name, value in given.items() if name in takes - OURS - BLOCKED - {"n"}}
    dropped = {name for name in given if name not in takes}
    changed = {name: NAMES[name] for name in params if name in NAMES and protocol != "anthropic" and NAMES[name] in sent}
    if protocol == "anthropic":
        _anthropic(model, sent, changed, dropped, limit)
    elif family_of(model) == "reasoning" and "thinking" in dropped and "reasoning_effort" not in sent:
        dropped.discard("thinking")
        sent["reasoning_effort"] = _effort(given["thinking"])
        changed["thinking"] = "reasoning_effort"
    return Translated(sent, changed, tuple(sorted(dropped)))


def unsampled(model: str, given: Mapping[str, Any]) -> frozenset[str]:
    """What a call of this model may not say about sampling, whatever wire leads to it."""
    if NO_SAMPLING.search(model.lower()):
        return frozenset({"temperature", "top_p", "top_k"})
    return frozenset({"top_p"}) if "temperature" in given and ONE_OF_TWO.search(model.lower()) else frozenset()


def _anthropic(model: str, sent: dict[str, Any], changed: dict[str, str], dropped: set[str], limit: int) -> None:
    """That wire's own names and ranges."""
    changed.update({name: other for name, other in THEIRS.items() if sent.get(name)})
    if sent.get("parallel_tool_calls") is False:
        changed["parallel_tool_calls"] = "disable_parallel_tool_use"
    if "temperature" in sent and float(sent["temperature"]) > 1:
        del sent["temperature"]  # outside this provider's range; its default stays
        dropped.add("temperature")
    effort = sent.pop("reasoning_effort", None)
    if effort is not None and "thinking" in sent:
        dropped.add("reasoning_effort")  # the recorded thinking says it already
    elif effort is not None:
        budget = EFFORT_TOKENS.get(str(effort), 0)
        # thinking excludes a forced tool and a set temperature, and must leave room for the answer
        if (
            budget
            and budget < limit
            and THINKS.search(model.lower())
            and not forced(sent.get("tool_choice"))
            and not {"temperature", "top_k"} & set(sent)
        ):
            sent["thinking"] = {"type": "enabled", "budget_tokens": budget}
            changed["reasoning_effort"] = "thinking"
        else:
            dropped.add("reasoning_effort")
    thinking = sent.get("thinking")
    if isinstance(thinking, Mapping) and thinking.get("type") == "enabled":
        asked = thinking.get("budget_tokens")
        if NO_SAMPLING.search(model.lower()):
            sent["thinking"] = {"type": "adaptive"}
            changed["reasoning_effort" if "reasoning_effort" in changed else "thinking"] = "thinking.adaptive"
        elif isinstance(asked, int) and asked >= limit:
            del sent["thinking"]  # it is part of the answer's limit, and a call without room for the answer is refused
            dropped.add("thinking")


def forced(choice: Any) -> bool:
    return choice == "required" or isinstance(choice, Mapping)


def _effort(thinking: Any) -> str:
    budget = thinking.get("budget_tokens", 0) if isinstance(thinking, Mapping) else 0
    return next((name for name, tokens in EFFORT_TOKENS.items() if budget <= tokens), "high")
