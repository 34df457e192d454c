"""Tokens and cost of one span.

Owns: whole counts, inclusive totals, exact money, the tier they are priced at; the verdict that a span cannot be used. Does not own: names (dialects).
Invariants: a span that says nothing about usage has null tokens; a value of the wrong kind refuses the span, it is never zero.
"""

from __future__ import annotations

import json
import re
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import Any, Final

from connectors.expressions import SHOWN
from connectors.otlp.dialects import NAMES, USAGE_PREFIXES, json_attribute, pick
from connectors.otlp.recorded import langchain, recorded, recorded_units, usages, usages_of_answer, usages_of_haystack
from connectors.otlp.wire import Span
from connectors.reshaped import named
from connectors.units import with_units
from governor.calls import MOST_TOKENS

_PICO: Final = Decimal("0.000000000001")
_TIER_NAMES: Final = ("service_tier", "serviceTier", "trafficType", "traffic_type")  # the last two are Vertex AI's
_TIER_WORDS: Final = ('"speed"', *(f'"{name}"' for name in _TIER_NAMES))
# these copy Converse's counts (OpenLIT: Anthropic's too), which leave out the cache; OpenLLMetry's total is its own sum of them
_COPIES_USAGE: Final = re.compile(
    r"opentelemetry\.instrumentation\.(genai\.bedrock|botocore\.bedrock-runtime|bedrock)|openlit\.instrumentation\.(bedrock|anthropic)"
)
_HAYSTACK: Final = "openinference.instrumentation.haystack"
_MOST_MONEY: Final = 10**12  # what a column of money holds (24 digits, 12 of them places)


class Unusable(Exception):
    """The span claims a model call but cannot be a row; the message is the reject reason."""


def _said(attributes: dict[str, Any], fact: str) -> str:
    """The attribute and what stood there, for a reason; long values are cut."""
    name = next(name for name in NAMES[fact] if attributes.get(name) is not None and attributes[name] != "")
    shown = str(attributes[name])
    return f"{name} {json.dumps(shown[:SHOWN] + '...' if len(shown) > SHOWN else shown)}"


def _count(attributes: dict[str, Any], fact: str) -> int | None:
    value = pick(attributes, fact)
    if value is None:
        return None
    try:
        number = Decimal(str(value)) if not isinstance(value, bool) else None
    except InvalidOperation:
        number = None
    if number is None or not number.is_finite() or not -MOST_TOKENS <= number <= MOST_TOKENS or number != number.to_integral_value():
        raise Unusable(f"bad_tokens: {_said(attributes, fact)} is no whole number up to {MOST_TOKENS:,}")
    if number < 0:
        raise Unusable(f"negative_tokens: {_said(attributes, fact)} is below zero")
    return int(number)


def money(attributes: dict[str, Any], fact: str) -> Decimal | None:
    value = pick(attributes, fact)
    if value is None:
        return None
    try:
        amount = Decimal(str(value))
        if amount < 0:
            raise Unusable(f"negative_cost: {_said(attributes, fact)} is below zero")
        exact = amount.quantize(_PICO, rounding=ROUND_HALF_EVEN)
    except InvalidOperation as error:
        raise Unusable(f"bad_cost: {_said(attributes, fact)} is no number, or one beyond all bounds") from error
    if exact >= _MOST_MONEY:
        raise Unusable(f"bad_cost: {_said(attributes, fact)} is beyond all bounds")
    return exact


def tokens(span: Span, dialect: str) -> dict[str, Any]:
    """Inclusive totals and their parts. All zero is how LiteLLM and others say that no usage came back."""
    attributes = span.attributes
    names = (
        "input",
        "output",
        "total",
        "cache_read",
        "cache_write",
        "cache_write_5m",
        "cache_write_1h",
        "reasoning",
        "audio_in",
        "audio_out",
        "image_in",
        "image_out",
        "compacted_in",
        "compacted_out",
    )
    count = {name: _count(attributes, name) for name in names}
    raw = {name: value for name, value in attributes.items() if name.startswith(USAGE_PREFIXES)}
    told = usages(attributes)
    units = recorded_units(attributes, told)
    if not any(count[name] for name in ("input", "output", "total")):
        return {"usage_source": "missing", "usage_convention": "unknown", "usage_raw": with_units(compact(raw) if raw else None, units)}
    kept = any(count[name] is not None for name in ("cache_write_5m", "cache_write_1h"))
    answered = usages_of_answer(attributes) if count["cache_write"] and not kept else []
    if span.scope == _HAYSTACK:
        answered = usages_of_haystack(attributes)
    said = recorded([*told, *answered], count["input"], count["output"])
    count |= {name: value for name, value in said.parts.items() if count[name] is None}
    lifetimes = [count[name] for name in ("cache_write_5m", "cache_write_1h") if count[name] is not None]
    if lifetimes:
        count["cache_write"] = max(count["cache_write"] or 0, sum(filter(None, lifetimes)))
    given, made, thoughts = count["input"], count["output"], count["reasoning"] or 0
    read, written = count["cache_read"] or 0, count["cache_write"] or 0
    beyond = count["total"] is not None and count["total"] > (given or 0) + (made or 0)
    if given is not None and max(read, written) <= given < read + written and not beyond and _counts_inside(attributes):
        count["cache_write"] = written = given - read
    cached = read + written
    apart, thought_apart = counted_apart(given, made, count["total"], cached, thoughts)
    # as Anthropic and Converse count, also where nothing proves it
    apart = apart or said.cache_apart or dialect == "claude_code" or _COPIES_USAGE.fullmatch(span.scope) is not None
    thought_apart = thought_apart or said.thought_apart
    if given is not None:
        given += (cached if apart else 0) + (count["compacted_in"] or 0)
    if made is not None:
        made += (thoughts if thought_apart else 0) + (count["compacted_out"] or 0)
    if made is not None and beyond and not apart and count["reasoning"] is None and _is_gemini(attributes):
        made, thought_apart = (count["total"] or 0) - (count["input"] or 0), True
    knows_cache = count["cache_read"] is not None or count["cache_write"] is not None
    return {
        "input_tokens": given,
        "output_tokens": made,
        "input_uncached_tokens": given - cached if knows_cache and given is not None else None,
        "cache_read_tokens": count["cache_read"],
        "cache_write_tokens": count["cache_write"],
        "cache_write_5m_tokens": count["cache_write_5m"],
        "cache_write_1h_tokens": count["cache_write_1h"],
        "reasoning_tokens": count["reasoning"],
        "audio_input_tokens": count["audio_in"],
        "audio_output_tokens": count["audio_out"],
        "image_input_tokens": count["image_in"],
        "image_output_tokens": count["image_out"],
        "total_tokens_reported": count["total"],
        "usage_source": "provider",
        "usage_convention": "exclusive" if apart or thought_apart else "inclusive",
        "usage_raw": with_units(compact(raw), units),
    }


def _counts_inside(attributes: dict[str, Any]) -> bool:
    """OpenAI counts what it read from its cache and what it wrote inside the input, and does not bill again what was read of a longer write."""
    provider = str(pick(attributes, "provider") or "").lower()
    return "openai" in provider or provider == "azure"


def _is_gemini(attributes: dict[str, Any]) -> bool:
    """Its total holds what it thought; who leaves that out of the output and does not name it has it there alone."""
    return str(pick(attributes, "provider") or "").lower().startswith(("gcp", "google", "gemini", "vertex"))


def counted_apart(given: int | None, made: int | None, total: int | None, cached: int, thoughts: int) -> tuple[bool, bool]:
    """Whether the cache is beside the input, and reasoning beside the output: a part is larger than its whole, or the total holds just that
    part, or both, beyond input and output. Where both are alike and it holds one of them, it proves nothing.
    """
    cache, thought = given is not None and cached > given, made is not None and thoughts > made
    if given is None or made is None or total is None:
        return cache, thought
    beyond = total - given - made
    if beyond <= 0 or cached == thoughts == beyond:
        return cache, thought
    return cache or (cached > 0 and beyond in (cached, cached + thoughts)), thought or (
        thoughts > 0 and beyond in (thoughts, thoughts + cached)
    )


def tier(span: Span) -> Any:
    """The tier of an answer: as an attribute, in the answer itself or in what the provider told Vercel's AI SDK. Claude's fast mode is a speed
    beside the tier; that it was asked for says so where no answer is at hand.
    """
    attributes = span.attributes
    told = named(_opened(attributes, "ai.response.providerMetadata"))
    answer, adk = (named(_opened(attributes, name)) for name in ("output.value", "gcp.vertex.agent.llm_response"))
    answers = list(filter(None, (answer, named(langchain(answer).get("response_metadata")), adk, *map(named, told.values()))))
    used = list(filter(None, (named(one.get(name)) for one in answers for name in ("usage", "usageMetadata", "usage_metadata"))))
    asked = [named(_opened(attributes, name)) for name in ("llm.invocation_parameters", "input.value")]
    speeds = [
        one["speed"] for one in (*used, *asked, {"speed": attributes.get("gen_ai.request.speed")}) if isinstance(one.get("speed"), str)
    ]
    if speeds[:1] == ["fast"]:
        return "fast"
    tiers = (one.get(name) for one in (*answers, *used) for name in _TIER_NAMES)
    return pick(attributes, "service_tier") or next((one for one in tiers if isinstance(one, str) and one), None)


def _opened(attributes: dict[str, Any], name: str) -> Any:
    """An attribute that is JSON, opened only where it may hold a tier: answers are long."""
    text = attributes.get(name)
    return json_attribute(attributes, name) if not isinstance(text, str) or any(word in text for word in _TIER_WORDS) else None


def compact(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def cost(span: Span, dialect: str, *, priced: bool) -> dict[str, Any]:
    amount = money(span.attributes, "cost")
    # LiteLLM and OpenLIT write 0 for a model they have no price for
    if amount is None or (dialect != "openrouter" and not amount and priced):
        raw = pick(span.attributes, "cost")
        return {"cost_source": "missing", "cost_raw": None if raw is None else str(raw)}
    parts = ("cost_input", "cost_output", "cost_tools", "cost_cache_read", "cost_cache_write")
    return {
        "cost_amount": amount,
        "cost_currency": "USD",
        "cost_source": {"litellm": "gateway_estimate", "openrouter": "gateway_billed"}.get(dialect, "tool_estimate"),
        "cost_raw": str(pick(span.attributes, "cost")),
        "cost_raw_unit": "usd",
        **{name: money(span.attributes, name) for name in parts},
    }
