"""Two made-up models as pure functions of the prompt: a seeded answer, its warts and its token counts.

Owns: what is answered. Does not own: HTTP (simulated_endpoint.py), the sample traffic (traffic.py), whose prompts it knows how to answer.
Invariants: the same model, prompt and seed give the same answer; an unknown prompt gets an answer that both models agree on.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

SEVERITIES: Final = ("low", "medium", "high", "critical")
LIMITS: Final = (2_000, 12_000, 35_000)
NOTICE: Final = re.compile(r"Notice \d+: (?P<loss>.+?) at a (?P<place>.+?)\. Estimated damage (?P<amount>\d+) EUR")
MATTER: Final = re.compile(r"Please write the (?P<task>.+?)\. Matter \d+: (?P<loss>.+?), (?P<place>.+?), about (?P<amount>\d+) EUR")
SMALL: Final = re.compile(r"candidate|mini|haiku|flash|small|nano", re.IGNORECASE)


@dataclass(frozen=True)
class Behaviour:
    """Shares of prompts (0 to 1) on which the model answers differently, refuses, is cut off, breaks its JSON, or fails; speed in milliseconds."""

    differ: float = 0.0
    refuse: float = 0.0
    truncate: float = 0.0
    break_json: float = 0.0
    fail: float = 0.0
    constant: bool = False
    latency_ms: float = 6.0


LARGE_MODEL: Final = Behaviour()
SMALL_MODEL: Final = Behaviour(differ=0.002, latency_ms=3.0)


@dataclass(frozen=True)
class Answer:
    text: str
    finish_reason: str = "stop"
    tool_calls: tuple[Mapping[str, Any], ...] = ()
    status: int = 200
    input_tokens: int = 0
    output_tokens: int = 0


def behaviour_of(model: str, behaviours: Mapping[str, Behaviour]) -> Behaviour:
    """As configured, else by the name: small models are small."""
    return behaviours.get(model) or (SMALL_MODEL if SMALL.search(model) else LARGE_MODEL)


def dice(*parts: object) -> float:
    """A number in [0, 1) that depends on all parts."""
    return int.from_bytes(hashlib.sha256("|".join(map(str, parts)).encode()).digest()[:7], "big") / 2**56


def answer(model: str, body: Mapping[str, Any], behaviour: Behaviour, seed: int) -> Answer:
    """The reply to a canonical (OpenAI chat) request body."""
    messages: Sequence[Mapping[str, Any]] = body.get("messages") or ()
    prompt = "\n".join(_text(message.get("content")) for message in messages)
    into = max(len(prompt) // 4, 1)

    def rolls(share: float, what: str) -> bool:
        return dice(seed, model, what, prompt) < share

    if rolls(behaviour.fail, "fail"):
        return Answer("", status=500, input_tokens=into)
    if rolls(behaviour.refuse, "refuse"):
        return _finish("I'm sorry, but I can't help with that request.", into)
    tools = body.get("tools") or ()
    if tools and body.get("tool_choice") != "none":
        call = tool_call(tools[0], prompt)
        return Answer("", "tool_calls", (call,), input_tokens=into, output_tokens=20)
    text = "It depends on the case." if behaviour.constant else compose(prompt, body, differ=rolls(behaviour.differ, "differ"))
    if rolls(behaviour.break_json, "json"):
        text = f"```json\n{text}\n```"
    limit = int(body.get("max_tokens") or body.get("max_completion_tokens") or 4096)
    if rolls(behaviour.truncate, "truncate") or len(text) // 4 > limit:
        return _finish(text[: max(len(text) // 2, 1)], into, "length")
    return _finish(text, into)


def compose(prompt: str, body: Mapping[str, Any], *, differ: bool) -> str:
    """What the prompt asks for; `differ` gives a plausible other answer."""
    notice, matter = NOTICE.search(prompt), MATTER.search(prompt)
    if notice:
        level = severity(int(notice["amount"]))
        if differ:
            level = SEVERITIES[max(SEVERITIES.index(level) - 1, 0)] if level != "low" else "medium"
        return json.dumps({"severity": level, "cause": notice["loss"]})
    if matter:
        words = f"{matter['task']}: {matter['loss']} at a {matter['place']}; about {matter['amount']} EUR, handled as {severity(int(matter['amount']))}."
        return f"In short, {words}" if differ else words
    token = hashlib.sha256(prompt.encode()).hexdigest()[: 7 if differ else 8]
    if (body.get("response_format") or {}).get("type") in {"json_object", "json_schema"}:
        return json.dumps({"answer": token})
    return f"Noted under reference {token}."


def severity(amount: int) -> str:
    return SEVERITIES[sum(amount > limit for limit in LIMITS)]


def tool_call(tool: Mapping[str, Any], prompt: str) -> dict[str, Any]:
    """A call that the tool's schema accepts for flat schemas of plain types."""
    function = tool.get("function", tool)
    schema = function.get("parameters") or function.get("input_schema") or {}
    samples = {"integer": 7, "number": 7, "float": 7, "boolean": True, "array": [], "object": {}, "dict": {}}
    arguments = {
        name: (rules.get("enum") or [samples.get(str(rules.get("type")), "sample")])[0]
        for name, rules in (schema.get("properties") or {}).items()
        if name in (schema.get("required") or ())
    }
    identity = f"call_{hashlib.sha256(prompt.encode()).hexdigest()[:12]}"
    return {"id": identity, "type": "function", "function": {"name": function.get("name", ""), "arguments": json.dumps(arguments)}}


def _finish(text: str, input_tokens: int, reason: str = "stop") -> Answer:
    return Answer(text, reason, input_tokens=input_tokens, output_tokens=max(len(text) // 4, 1))


def _text(content: Any) -> str:
    return (
        content if isinstance(content, str) else "".join(str(part.get("text", "")) for part in content or () if isinstance(part, Mapping))
    )
