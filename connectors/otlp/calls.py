"""One model-call span to one canonical row.

Owns: identity, time, models, status and content references of a single span. Does not own: how spans relate (links), names (dialects),
tokens and cost (usage), user metadata (claims). Invariants: a span without ids or a believable start is refused with a reason.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

from connectors.addresses import bare, bare_address, region_at
from connectors.otlp import ai_sdk, events
from connectors.otlp.bodies import input_body, output_body, parameters
from connectors.otlp.claims import claims, tags
from connectors.otlp.dialects import ENVIRONMENT, FIRST_CHUNK, json_attribute, pick
from connectors.otlp.recorded import answer_id
from connectors.otlp.usage import Unusable, compact, cost, tier, tokens
from connectors.otlp.vendors import known_of
from connectors.otlp.wire import ERROR, Span, storable
from connectors.providers import provider_of
from connectors.reshaped import named

_SDK_ERROR: Final = re.compile(r"Error code: (\d{3})\b")
_STATUS_CODE: Final = re.compile(r"[0-9]{1,3}")
_FIRST_ID: Final = re.compile(r'^\s*\{\s*"id"\s*:\s*"([^"\\]+)"')
_EARLIEST: Final = int(datetime(2022, 1, 1, tzinfo=UTC).timestamp()) * 10**9


def instant(nanos: int) -> int | None:
    """Microseconds since the epoch, as Arrow wants them."""
    return nanos // 1000 if nanos > 0 else None


def response_id(span: Span, dialect: str) -> str | None:
    """The provider's id. OpenInference has no attribute for it, but the response it records has it, mostly in front."""
    given = ai_sdk.gateway(span.attributes)[0] or pick(span.attributes, "response_id")
    text = span.attributes.get("output.value")
    if given is None and dialect == "openinference" and isinstance(text, str):
        match = _FIRST_ID.match(text)
        given = match[1] if match else answer_id(named(json_attribute(span.attributes, "output.value"))) if '"id"' in text else None
    if not isinstance(given, (str, int)):
        return None
    bare = str(given).partition("_cache_hit")[0]
    return None if bare == pick(span.attributes, "call_id") else bare


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
    known = _STATUS_CODE.fullmatch(str(code))
    return {
        "status": "cancelled" if str(kind or "").endswith(("CancelledError", "GeneratorExit")) else "error",
        "http_status": int(known[0]) if known else None,
        "error_type": None if kind is None else str(kind),
        "error_code": None if code is None else str(code),
        "error_message": bare(message)[:2000] or None,
    }


def _models(span: Span) -> dict[str, Any]:
    attributes = span.attributes
    requested = pick(attributes, "requested_model")
    # where OpenInference writes the conventions' names too, the model that answered stands as the one that was asked for
    if requested is None or requested == attributes.get("llm.model_name"):
        for source in ("llm.invocation_parameters", "input.value"):
            given = json_attribute(attributes, source)
            if isinstance(given, dict) and isinstance(given.get("model"), str):
                requested = given["model"]
                break
    answered = pick(attributes, "response_model")
    if "litellm.call_id" in attributes and answered == attributes.get("litellm.model_group"):
        answered = None  # LiteLLM writes the alias over the provider's name
    return {
        "requested_model": requested,
        "response_model": answered,
        "routed_model": pick(attributes, "routed_model"),
    }


def _finish(span: Span) -> list[str] | None:
    given = pick(span.attributes, "finish") or events.finish(span)
    if isinstance(given, str) and given.startswith("["):
        given = json_attribute({"finish": given}, "finish")
    if given is None:
        return None
    return [storable(str(item)) for item in given] if isinstance(given, list) else [storable(str(given))]


def _first_token(attributes: dict[str, Any]) -> float | None:
    for fact, scale in (("ttft_s", 1000), ("ttft_ms", 1)):
        said = pick(attributes, fact)
        if isinstance(said, (int, float)) and math.isfinite(said):
            return float(said) * scale
    return None


def call_row(span: Span, dialect: str, operation: str, *, latest: int) -> dict[str, Any]:
    """Every column that a span alone decides; links adds the keys. Raises Unusable with the reject reason."""
    attributes = span.attributes
    if not span.trace_id or not span.span_id:
        raise Unusable("missing_id: traceId or spanId is missing or malformed")
    if not _EARLIEST <= span.start < latest:
        raise Unusable("bad_time: startTimeUnixNano is missing or out of range")
    used, models = tokens(span, dialect), _models(span)
    provider = ai_sdk.gateway(attributes)[1] or pick(attributes, "provider")
    base = pick(attributes, "api_base")
    stream = pick(attributes, "stream")
    chosen = parameters(span)
    stream = chosen.get("stream") if stream is None else stream
    if stream is None:  # Vercel's AI SDK says it in the name of the operation
        stream = {"doStream": True, "doGenerate": False}.get(str(attributes.get("ai.operationId", "")).rpartition(".")[2])
    if stream is None and any(name in attributes for name in FIRST_CHUNK):
        stream = True
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
        "ttft_ms": _first_token(attributes) if stream else None,
        "duration_basis": "total" if ended else "missing",
        "gateway_kind": "litellm" if dialect == "litellm" else None,
        "operation": operation,
        "api_method": bare(str(pick(attributes, "api_method") or span.name)),
        "provider_raw": provider,
        "provider": provider_of(str(provider), None if models["requested_model"] is None else str(models["requested_model"]))
        if provider
        else None,
        "api_base": None if base is None else bare_address(str(base)),
        "region": pick(attributes, "region") or (None if base is None else region_at(str(base))),
        "service_tier": tier(span),
        "stream": stream if isinstance(stream, bool) else None,
        **models,
        **used,
        **cost(span, dialect, priced=used["usage_source"] == "provider"),
        **known_of(span, dialect),
        "team_id": pick(attributes, "team_id") or metadata.get("team_id"),
        "team_name": pick(attributes, "team_name") or metadata.get("team"),
        "app": span.resource.get("service.name"),
        "workflow_id": pick(attributes, "workflow") or metadata.get("workflow_id") or metadata.get("workflow"),
        "workflow_step": pick(attributes, "step"),
        "environment": next((span.resource[name] for name in ENVIRONMENT if span.resource.get(name)), None),
        "end_user_id": pick(attributes, "user"),
        "principal": pick(attributes, "principal"),
        "api_key_id": pick(attributes, "key_id"),
        "api_key_alias": pick(attributes, "key_alias"),
        "tags": tags(span),
        "metadata": metadata,
        "traffic_class": "shadow" if shadow else "production",
        "data_class": metadata.get("data_class"),
        "data_class_source": "metadata" if "data_class" in metadata else "unknown",
        "prompt_id": pick(attributes, "prompt_id"),
        "prompt_version": pick(attributes, "prompt_version"),
        **_failure(span),
        "finish_reasons": _finish(span),
        "gateway_cache": {"true": "hit_exact", "false": "none"}.get(hit, "unknown") if dialect == "litellm" else None,
        "content_state": "absent",
        "request_params": compact(chosen) if chosen else None,
        "replayable": False,
        "replay_blockers": ["no_content"],
    }
    return {name: storable(str(value)) if name in _TEXT and value is not None else value for name, value in row.items()}


_TEXT: Final = frozenset(
    (
        "session_id", "call_group_id", "provider_request_id", "api_method", "provider_raw", "api_base", "service_tier", "requested_model", "response_model",
        "routed_model", "region", "team_id", "team_name", "app", "workflow_id", "workflow_step", "environment", "end_user_id", "principal", "api_key_id",
        "api_key_alias", "data_class", "prompt_id", "prompt_version",
    )
)  # fmt: skip


def add_content(span: Span, row: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Content rows of a span; fills the row's references to them."""
    finish = row["finish_reasons"][0] if row["finish_reasons"] else None
    prompt, whole = input_body(span)
    bodies = {"input": prompt, "output": output_body(span, finish)}
    for kind, body in bodies.items():
        if body is not None:
            digest = hashlib.sha256(body).hexdigest()
            row |= {f"{kind}_sha256": digest, f"{kind}_bytes": len(body)}
            yield {"record_id": row["record_id"], "kind": kind, "sha256": digest, "body": body}
    chat = row["operation"] in ("chat", "responses", "generate_content")
    blockers = ([] if chat else ["not_chat"]) + (["no_content"] if prompt is None else [] if whole else ["media_missing"])
    row |= {"content_state": "absent" if prompt is None else "full", "replayable": not blockers, "replay_blockers": blockers}
