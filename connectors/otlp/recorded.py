"""What the provider itself said of a call's usage, where a span holds its words: in the recorded answer (OpenInference), in the provider metadata of
Vercel's AI SDK, in what Logfire, LangSmith and Google's ADK have of it.

Owns: the forms of OpenAI, Anthropic, Gemini and LangChain; whether they are of this very call; what they count apart. Does not own: what a span's own
attributes say (usage), which go first. Invariants: words whose input is not the span's are another call's and are not read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from connectors import answered
from connectors.otlp.claims import loose
from connectors.otlp.dialects import json_attribute
from connectors.reshaped import listed, named
from connectors.units import units_of
from governor.calls import MOST_TOKENS

_PLACES: Final[dict[str, tuple[tuple[str, ...], ...]]] = {
    "cache_read": (
        ("prompt_tokens_details", "cached_tokens"),
        ("input_tokens_details", "cached_tokens"),
        ("cache_read_input_tokens",),
        ("cachedContentTokenCount",),
        ("cached_content_token_count",),
        ("input_token_details", "cache_read"),
    ),
    "cache_write": (
        ("prompt_tokens_details", "cache_write_tokens"),
        ("input_tokens_details", "cache_write_tokens"),
        ("cache_creation_input_tokens",),
        ("input_token_details", "cache_creation"),
    ),
    "cache_write_5m": (("cache_creation", "ephemeral_5m_input_tokens"), ("input_token_details", "ephemeral_5m_input_tokens")),
    "cache_write_1h": (("cache_creation", "ephemeral_1h_input_tokens"), ("input_token_details", "ephemeral_1h_input_tokens")),
    "reasoning": (
        ("completion_tokens_details", "reasoning_tokens"),
        ("output_tokens_details", "reasoning_tokens"),
        ("output_tokens_details", "thinking_tokens"),
        ("thoughtsTokenCount",),
        ("thoughts_token_count",),
        ("output_token_details", "reasoning"),
    ),
    "audio_in": (("prompt_tokens_details", "audio_tokens"), ("input_token_details", "audio")),
    "audio_out": (("completion_tokens_details", "audio_tokens"), ("output_token_details", "audio")),
}
_ANSWERS: Final = ("output.value", "ai.response.providerMetadata", "gcp.vertex.agent.llm_response")
_REQUESTS: Final = "web_search_requests"  # Claude's usage in the recorded answer
_SEARCHES: Final = f"gen_ai.usage.details.{_REQUESTS}"
_TOOLS: Final = {"openai.web_search": "web_search", "openai.web_search_preview": "web_search", "openai.file_search": "file_search"}
_WHOLE: Final = (("prompt_tokens",), ("input_tokens",), ("promptTokenCount",), ("prompt_token_count",))
_THOUGHT: Final = (("thoughtsTokenCount",), ("thoughts_token_count",))
_MADE: Final = (("candidatesTokenCount",), ("candidates_token_count",))
_BESIDE: Final = ("cache_read_input_tokens", "cache_creation_input_tokens")  # Anthropic's: its input leaves out both


@dataclass(frozen=True)
class Recorded:
    """parts: fact -> tokens; whether the span copied an input without its cache, or an output without its thoughts."""

    parts: dict[str, int] = field(default_factory=dict)
    cache_apart: bool = False
    thought_apart: bool = False


def recorded(told: Iterable[dict[str, Any]], given: int | None, made: int | None) -> Recorded:
    """told: usages that the span holds; the first that says the same input counts."""
    for used in told:
        whole = _first(used, _WHOLE)
        parts = {fact: count for fact, places in _PLACES.items() if (count := _first(used, places)) is not None}
        parts |= _compacted(used)
        beside = sum(_first(used, ((name,),)) or 0 for name in _BESIDE)
        if whole is not None and given in (whole, whole + beside):
            return Recorded(parts, beside > 0 and given == whole, bool(_first(used, _THOUGHT)) and made == _first(used, _MADE))
    return Recorded()


def recorded_units(attributes: dict[str, Any], told: Iterable[dict[str, Any]]) -> dict[str, Decimal | None]:
    """Searches, seconds and the like, of the first usage that counts any, else of the first answer that names any."""
    return {
        **(answered.first(map(units_of, (*told, _detailed(attributes)))) or answered.first(_answers(attributes)) or _spoken(attributes))
    } or _called(attributes)


def _detailed(attributes: dict[str, Any]) -> dict[str, Any]:
    """Pydantic AI writes the parts of a usage one by one."""
    return {"server_tool_use": {"web_search_requests": attributes.get(_SEARCHES)}} if _SEARCHES in attributes else {}


def _called(attributes: dict[str, Any]) -> dict[str, Decimal | None]:
    """OpenAI's own tools under Vercel's AI SDK: each call of them is told, but of several searches not which of them only opened a page."""
    text = attributes.get("ai.response.toolCalls")
    if not isinstance(text, str) or "ai.prompt.tools" not in attributes:
        return {}
    offered = [named(json_attribute({"tool": one}, "tool")) for one in listed(json_attribute(attributes, "ai.prompt.tools"))]
    ours = {one.get("name"): _TOOLS[one["id"]] for one in offered if one.get("id") in _TOOLS}
    counts = Counter(
        ours[name] for one in listed(json_attribute(attributes, "ai.response.toolCalls")) if (name := named(one).get("toolName")) in ours
    )
    return {unit: None if unit == "web_search" and count > 1 else Decimal(count) for unit, count in counts.items()}


def _answers(attributes: dict[str, Any]) -> Iterator[dict[str, Decimal]]:
    for name in _ANSWERS:
        text = attributes.get(name)
        if not isinstance(text, str) or not (answered.mentions(text) or _REQUESTS in text):
            continue
        answer = json_attribute(attributes, name)
        message = langchain(named(answer))
        yield units_of(named(named(answer).get("usage")))
        yield answered.used(answer)
        yield answered.used(listed(message.get("content")))
        # Gemini's grounding stands in the answer itself (ADK), in the metadata of the message (LangChain), under a provider's name (Vercel)
        yield answered.grounded(answer)
        yield answered.grounded(message.get("response_metadata"))
        for one in named(answer).values():
            yield answered.grounded(one)


def _spoken(attributes: dict[str, Any]) -> dict[str, Decimal]:
    if attributes.get("gen_ai.operation.name") != "speech":
        return {}
    text = named(json_attribute(attributes, "input.value")).get("input")
    return {"character": Decimal(len(text))} if isinstance(text, str) and text else {}


def usages(attributes: dict[str, Any]) -> list[dict[str, Any]]:
    """The provider's own usage, wherever a span has it beside its answer."""
    vercel = map(named, named(json_attribute(attributes, "ai.response.providerMetadata")).values())
    places = [
        json_attribute(attributes, "gen_ai.usage.raw"),
        *(one.get(name) for one in vercel for name in ("usage", "usageMetadata")),
        json_attribute(attributes, "langsmith.metadata.usage_metadata"),
        named(json_attribute(attributes, "gcp.vertex.agent.llm_response")).get("usage_metadata"),
    ]
    return [*filter(None, map(named, places))]


def usages_of_answer(attributes: dict[str, Any]) -> list[dict[str, Any]]:
    """That of the recorded answer, which is long."""
    answer = named(json_attribute(attributes, "output.value"))
    return [*filter(None, map(named, (answer.get("usage"), langchain(answer).get("usage_metadata"))))]


def usages_of_haystack(attributes: dict[str, Any]) -> list[dict[str, Any]]:
    """OpenInference writes Haystack's replies as Python does; what the provider said of them is their last part."""
    replies = listed(named(json_attribute(attributes, "output.value")).get("replies"))
    told = [one.rpartition(", _meta=")[2].removesuffix(")") for one in replies if isinstance(one, str) and one.startswith("ChatMessage(")]
    return [*filter(None, (named(named(loose(one)).get("usage")) for one in told))]


def answer_id(answer: dict[str, Any]) -> Any:
    """The provider's id in a recorded answer; LangChain has one of its own for the message, and the provider's beside it."""
    return answer.get("id") or named(langchain(answer).get("response_metadata")).get("id")


def langchain(answer: dict[str, Any]) -> dict[str, Any]:
    """The first message in a result of LangChain's, which OpenInference records of its models."""
    prompts = listed(answer.get("generations"))
    candidates = listed(prompts[0]) if prompts else []
    return named(named(named(candidates[0]).get("message")).get("kwargs")) if candidates else {}


def _first(used: dict[str, Any], places: tuple[tuple[str, ...], ...]) -> int | None:
    for place in places:
        found: Any = used
        for name in place:
            found = named(found).get(name)
        if isinstance(found, int) and not isinstance(found, bool) and 0 <= found <= MOST_TOKENS:
            return found
    return None


def _compacted(used: dict[str, Any]) -> dict[str, int]:
    """Anthropic lists the rounds of an answer; those that shortened the conversation are not in its sums."""
    rounds = [one for one in listed(used.get("iterations")) if named(one).get("type") == "compaction"]
    read = sum(_first(one, ((name,),)) or 0 for one in rounds for name in ("input_tokens", *_BESIDE))
    wrote = sum(_first(one, (("output_tokens",),)) or 0 for one in rounds)
    return {"compacted_in": read, "compacted_out": wrote} if rounds else {}
