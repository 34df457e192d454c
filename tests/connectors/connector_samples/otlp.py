"""Spans in four dialects, one span a request."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from connector_samples.sample import FIXTURES, Sample, both


def _spans(name: str) -> Callable[[], list[bytes]]:
    def units() -> list[bytes]:
        found = []
        for group in json.loads((FIXTURES / name).read_text())["resourceSpans"]:
            for scope in group["scopeSpans"]:
                for span in scope["spans"]:
                    if "workflow" not in span["name"]:
                        one = {"resource": group["resource"], "scopeSpans": [{"scope": scope["scope"], "spans": [span]}]}
                        found.append(json.dumps({"resourceSpans": [one]}).encode())
        return found

    return units


def _span(request: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = request["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
    return found


def _attribute(name: str, value: dict[str, Any]) -> Callable[[dict[str, Any]], None]:
    def set_it(request: dict[str, Any]) -> None:
        span = _span(request)
        span["attributes"] = [a for a in span["attributes"] if a["key"] != name] + [{"key": name, "value": value}]

    return set_it


def _otlp(name: str, count: int, tokens: str, usage: str) -> Sample:
    return Sample(
        "otlp",
        _spans(name),
        count,
        negative=_attribute(tokens, {"intValue": "-5"}),
        timeless=lambda r: _span(r).update(startTimeUnixNano="0"),
        nameless=lambda r: _span(r).update(traceId=""),
        extra=both(_attribute(usage, {"intValue": "7"}), _attribute("my.label", {"stringValue": "blue"})),
        secret=both(
            _attribute("authorization", {"stringValue": "Bearer hunter2"}),
            _attribute("metadata", {"stringValue": '{"api_key": "hunter2", "headers": {"cookie": "hunter2"}}'}),
        ),
    )


SAMPLES = {
    "otlp.genai": _otlp("otlp_genai.json", 9, "gen_ai.usage.input_tokens", "gen_ai.usage.a_new_class"),
    "otlp.openinference": _otlp("otlp_openinference.json", 9, "llm.token_count.prompt", "llm.token_count.a_new_class"),
    "otlp.traceloop": _otlp("otlp_traceloop.json", 11, "gen_ai.usage.input_tokens", "gen_ai.usage.a_new_class"),
}
