"""One model-call span to one canonical row.

Owns: tokens, cost, status, claims and content references of a single span. Does not own: how spans relate (links), names (dialects).
Invariants: a span that says nothing about usage has null tokens; an attribute of the wrong kind refuses the span with a reason.
"""

from __future__ import annotations

import ast
import hashlib
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import Any, Final

from connectors.keys import SECRET_KEY
from connectors.otlp.bodies import CONTENT_NAMES, input_body, output_body, parameters
from connectors.otlp.dialects import ENVIRONMENT, NAMES, USAGE_PREFIXES, json_attribute, pick
from connectors.otlp.wire import ERROR, Span
from connectors.providers import PROVIDERS

_MICRO: Final = Decimal("0.000000000001")
_SECRET: Final = re.compile(SECRET_KEY)
_SDK_ERROR: Final = re.compile(r"Error code: (\d{3})\b")
_KNOWN: Final = frozenset(name for names in NAMES.values() for name in names)
_STANDARD: Final = re.compile(
    r"^(gen_ai\.|llm\.|litellm\.|openinference\.|ai\.|anthropic\.|openai\.|http\.|url\.|server\.|network\.|client\.|telemetry\.|otel\."
    r"|process\.|host\.|os\.|service\.|code\.|thread\.|error\.|exception\.|db\.|rpc\.|input\.|output\.|embedding\.|metadata$|tag\.tags$)"
)
_FIRST_ID: Final = re.compile(r'^\s*\{\s*"id"\s*:\s*"([^"\\]+)"')
_EARLIEST: Final = int(datetime(2022, 1, 1, tzinfo=UTC).timestamp()) * 10**9
_PYTHON_LIMIT: Final = 16 << 10


class Unusable(Exception):  # noqa: N818 - it is a verdict on a record, not a failure of the program
    """The span claims a model call but cannot be a row; the message is the reject reason."""


def _count(attributes: dict[str, Any], fact: str) -> int | None:
    value = pick(attributes, fact)
    if value is None:
        return None
    try:
        number = Decimal(str(value)) if not isinstance(value, bool) else None
    except InvalidOperation:
        number = None
    if number is None or not number.is_finite() or number != number.to_integral_value() or abs(number) > 2**62:
        raise Unusable(f"bad_tokens: {fact} is no whole number")
    if number < 0:
        raise Unusable(f"negative_tokens: {fact} is below zero")
    return int(number)


def money(attributes: dict[str, Any], fact: str) -> Decimal | None:
    value = pick(attributes, fact)
    if value is None:
        return None
    try:
        amount = Decimal(str(value))
        if amount < 0:
            raise Unusable(f"negative_cost: {fact} is below zero")
        return amount.quantize(_MICRO, rounding=ROUND_HALF_EVEN)
    except InvalidOperation as error:
        raise Unusable(f"bad_cost: {fact} is no number") from error


def instant(nanos: int) -> int | None:
    """Microseconds since the epoch, as Arrow wants them."""
    return nanos // 1000 if nanos > 0 else None


def response_id(span: Span, dialect: str) -> str | None:
    """The provider's id. OpenInference has no attribute for it, but the response it records begins with it."""
    given = pick(span.attributes, "response_id")
    if given is None and dialect == "openinference":
        text = span.attributes.get("output.value")
        match = _FIRST_ID.match(text) if isinstance(text, str) else None
        given = match[1] if match else None
    if given is None:
        return None
    bare = str(given).partition("_cache_hit")[0]
    return None if bare == pick(span.attributes, "call_id") else bare


def tokens(span: Span) -> dict[str, Any]:
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
    )
    count = {name: _count(attributes, name) for name in names}
    raw = {name: value for name, value in attributes.items() if name.startswith(USAGE_PREFIXES)}
    if not any(count[name] for name in ("input", "output", "total")):
        return {"usage_source": "missing", "usage_convention": "unknown", "usage_raw": _json(raw) if raw else None}
    cached = (count["cache_read"] or 0) + (count["cache_write"] or 0)
    apart = count["input"] is not None and cached > count["input"]
    given, made = count["input"], count["output"]
    if apart and given is not None:
        given += cached
    thought_apart = made is not None and (count["reasoning"] or 0) > made
    if thought_apart and made is not None:
        made += count["reasoning"] or 0
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
        "total_tokens_reported": count["total"],
        "usage_source": "provider",
        "usage_convention": "exclusive" if apart or thought_apart else "inclusive",
        "usage_raw": _json(raw),
    }


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _cost(span: Span, dialect: str, *, priced: bool) -> dict[str, Any]:
    amount = money(span.attributes, "cost")
    # LiteLLM writes 0.0 for a model it has no price for
    if amount is None or (dialect == "litellm" and not amount and priced):
        raw = pick(span.attributes, "cost")
        return {"cost_source": "missing", "cost_raw": None if raw is None else str(raw)}
    parts = ("cost_input", "cost_output", "cost_tools", "cost_cache_read", "cost_cache_write")
    return {
        "cost_amount": amount,
        "cost_currency": "USD",
        "cost_source": "gateway_estimate" if dialect == "litellm" else "tool_estimate",
        "cost_raw": str(pick(span.attributes, "cost")),
        "cost_raw_unit": "usd",
        **{name: money(span.attributes, name) for name in parts},
    }


def _failure(span: Span) -> dict[str, Any]:
    attributes = span.attributes
    raised: dict[str, Any] = next((found for name, found in span.events if name == "exception"), {})
    kind = pick(attributes, "error_type") or raised.get("exception.type")
    if span.status != ERROR and not (span.status == 0 and kind):
        return {"status": "ok"}
    message = span.message or str(raised.get("exception.message") or attributes.get("error.message") or "")
    code = pick(attributes, "http_status")
    if code is None and (match := _SDK_ERROR.search(message)):
        code = match[1]
    known = str(code).isdigit() and int(str(code)) < 1000  # noqa: PLR2004 - three digits make a status code
    return {
        "status": "cancelled" if str(kind or "").endswith(("CancelledError", "GeneratorExit")) else "error",
        "http_status": int(str(code)) if known else None,
        "error_type": None if kind is None else str(kind),
        "error_code": None if code is None else str(code),
        "error_message": message[:2000] or None,
    }


def _loose(value: Any) -> Any:
    """LiteLLM writes nested metadata as Python's str(dict); literal_eval reads literals only and runs nothing."""
    if not isinstance(value, str) or not value.startswith(("{", "[")) or len(value) > _PYTHON_LIMIT:
        return value
    for reader in (json.loads, ast.literal_eval):
        try:
            return reader(value)
        except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
            continue
    return value


def claims(span: Span) -> dict[str, str]:
    """User metadata: whatever is not a convention's own attribute. Resource facts come first, the span's win."""
    found: dict[str, Any] = {}
    for source in (span.resource, span.attributes):
        for name, value in source.items():
            if not _STANDARD.match(name) and name not in _KNOWN and not name.startswith("metadata.") and not CONTENT_NAMES.match(name):
                found[name] = value
    for nested in ("metadata", "metadata.requester_metadata", "metadata.spend_logs_metadata"):
        given = _loose(span.attributes.get(nested))
        if isinstance(given, dict):
            found |= given
    for name, value in span.attributes.items():
        short = name.removeprefix("traceloop.association.properties.")
        if short != name:
            found[short] = value
    if (workflow := pick(span.attributes, "workflow")) is not None:
        found.setdefault("workflow", workflow)
    return {str(k): _plain(v) for k, v in found.items() if v is not None and not _SECRET.search(str(k))}


def _plain(value: Any) -> str:
    return value[:4000] if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)[:4000]


def _tags(span: Span) -> list[str] | None:
    given = _loose(span.attributes.get("tag.tags"))
    return [str(tag) for tag in given if not str(tag).startswith("User-Agent:")] if isinstance(given, list) else None


def _models(span: Span) -> dict[str, Any]:
    attributes = span.attributes
    requested = pick(attributes, "requested_model")
    if requested is None:
        for source in ("llm.invocation_parameters", "input.value"):
            given = json_attribute(attributes, source)
            if isinstance(given, dict) and isinstance(given.get("model"), str):
                requested = given["model"]
                break
    return {
        "requested_model": requested,
        "response_model": pick(attributes, "response_model"),
        "routed_model": pick(attributes, "routed_model"),
    }


def _finish(attributes: dict[str, Any]) -> list[str] | None:
    given = pick(attributes, "finish")
    if isinstance(given, str) and given.startswith("["):
        given = json_attribute({"finish": given}, "finish")
    if given is None:
        return None
    return [str(item) for item in given] if isinstance(given, list) else [str(given)]


def call_row(span: Span, dialect: str, operation: str, *, latest: int) -> dict[str, Any]:
    """Every column that a span alone decides; links adds the keys. Raises Unusable with the reject reason."""
    attributes = span.attributes
    if not span.trace_id or not span.span_id:
        raise Unusable("missing_id: traceId or spanId is missing or malformed")
    if not _EARLIEST <= span.start < latest:
        raise Unusable("bad_time: startTimeUnixNano is missing or out of range")
    used = tokens(span)
    provider = pick(attributes, "provider")
    stream = pick(attributes, "stream")
    chosen = parameters(span)
    stream = chosen.get("stream") if stream is None else stream
    first = pick(attributes, "ttft_s")
    metadata = claims(span)
    shadow = any(name in metadata or name in attributes for name in ("governor-shadow-run", "governor_shadow_run", "governor.shadow_run"))
    ended = span.end >= span.start
    hit = str(attributes.get("litellm.cache_hit", "")).lower()
    row = {
        "record_id": hashlib.sha256(f"otlp\n{span.trace_id}:{span.span_id}\n0".encode()).hexdigest(),
        "revision": 0,
        "source_kind": f"otlp.{dialect}",
        "source_record_id": f"{span.trace_id}:{span.span_id}",
        "source_schema_version": span.scope_version or None,
        "ingest_uri": span.uri,
        "ingest_row": span.row,
        "raw_sha256": span.digest(),
        "grain": "attempt",
        "cost_bearing": not shadow,
        "exclusion_reason": "shadow" if shadow else None,
        "sample_rate": 1.0,
        "trace_id": span.trace_id,
        "trace_id_raw": span.trace_id,
        "span_id": span.span_id,
        "parent_span_id": span.parent_id or None,
        "session_id": pick(attributes, "session"),
        "call_group_id": pick(attributes, "call_id"),
        "provider_response_id": response_id(span, dialect),
        "provider_request_id": pick(attributes, "provider_request_id"),
        "start_time": instant(span.start),
        "end_time": instant(span.end),
        "time_basis": "start",
        "time_precision": "us",
        "duration_ms": (span.end - span.start) / 1e6 if ended else None,
        "ttft_ms": float(first) * 1000 if stream and isinstance(first, (int, float)) else None,
        "duration_basis": "total" if ended else "missing",
        "gateway_kind": "litellm" if dialect == "litellm" else None,
        "operation": operation,
        "api_method": pick(attributes, "api_method") or span.name,
        "provider_raw": provider,
        "provider": PROVIDERS.get(str(provider).lower(), str(provider).lower()) if provider else None,
        "api_base": pick(attributes, "api_base"),
        "service_tier": pick(attributes, "service_tier"),
        "stream": stream if isinstance(stream, bool) else None,
        **_models(span),
        **used,
        **_cost(span, dialect, priced=used["usage_source"] == "provider"),
        "team_id": pick(attributes, "team_id") or metadata.get("team_id"),
        "team_name": pick(attributes, "team_name") or metadata.get("team"),
        "app": span.resource.get("service.name"),
        "workflow_id": pick(attributes, "workflow") or metadata.get("workflow_id") or metadata.get("workflow"),
        "environment": next((span.resource[name] for name in ENVIRONMENT if span.resource.get(name)), None),
        "end_user_id": pick(attributes, "user"),
        "principal": pick(attributes, "principal"),
        "api_key_id": pick(attributes, "key_id"),
        "api_key_alias": pick(attributes, "key_alias"),
        "tags": _tags(span),
        "metadata": metadata,
        "traffic_class": "shadow" if shadow else "production",
        "data_class": metadata.get("data_class"),
        "data_class_source": "metadata" if "data_class" in metadata else "unknown",
        "prompt_id": pick(attributes, "prompt_id"),
        "prompt_version": pick(attributes, "prompt_version"),
        **_failure(span),
        "finish_reasons": _finish(attributes),
        "gateway_cache": {"true": "hit_exact", "false": "none"}.get(hit, "unknown") if dialect == "litellm" else None,
        "content_state": "absent",
        "request_params": _json(chosen) if chosen else None,
        "replayable": False,
        "replay_blockers": ["no_content"],
    }
    return {name: str(value) if name in _TEXT and value is not None else value for name, value in row.items()}


_TEXT: Final = frozenset(
    (
        "session_id", "provider_request_id", "api_method", "provider_raw", "api_base", "service_tier", "requested_model", "response_model",
        "routed_model", "team_id", "team_name", "app", "workflow_id", "environment", "end_user_id", "principal", "api_key_id",
        "api_key_alias", "data_class", "prompt_id", "prompt_version",
    )
)  # fmt: skip


def add_content(span: Span, row: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Content rows of a span; fills the row's references to them."""
    finish = row["finish_reasons"][0] if row["finish_reasons"] else None
    bodies = {"input": input_body(span), "output": output_body(span, finish)}
    for kind, body in bodies.items():
        if body is not None:
            digest = hashlib.sha256(body).hexdigest()
            row |= {f"{kind}_sha256": digest, f"{kind}_bytes": len(body)}
            yield {"record_id": row["record_id"], "kind": kind, "sha256": digest, "body": body}
    chat = row["operation"] in ("chat", "responses")
    there = bodies["input"] is not None
    blockers = ([] if chat else ["not_chat"]) + ([] if there else ["no_content"])
    row |= {"content_state": "full" if there else "absent", "replayable": chat and there, "replay_blockers": blockers}
