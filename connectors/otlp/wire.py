"""OTLP/HTTP trace bodies, protobuf or JSON, to plain spans.

Owns: both encodings of ExportTraceServiceRequest, JSON lines and arrays of requests, ids and enums in every spelling met in the field.
Does not own: what a span means (spans, calls). Invariants: the same span gives the same Span from either encoding; a request or a span
that cannot be read is one reject, a protobuf body that cannot be read is Invalid, because nothing in it can be told apart.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from connectors.archives import HEAD, body_of, head_of
from connectors.payloads import records_of
from governor.errors import Invalid
from governor.ports import Payload

ERROR: Final = 2
_STATUS: Final = {"STATUS_CODE_UNSET": 0, "STATUS_CODE_OK": 1, "STATUS_CODE_ERROR": ERROR}
_TRACE_HEX, _SPAN_HEX = 32, 16
LARGEST: Final = 2**63 - 1
MAX_DEPTH: Final = 200  # arrays in objects in arrays; a request of one span has about ten
_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F]")
_CONTROL: Final = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]")


@dataclass(slots=True)
class Span:
    """One span with its resource and scope. Ids are lower-case hex or empty, times are nanoseconds, 0 when absent or unreadable."""

    uri: str
    row: int
    trace_id: str
    span_id: str
    parent_id: str
    name: str
    start: int
    end: int
    status: int
    message: str
    scope: str
    scope_version: str
    attributes: dict[str, Any]
    resource: dict[str, Any]
    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    received: Span | None = None  # as it came, where this one says the same in the conventions' names

    def canonical(self) -> bytes:
        """What raw_sha256 is taken over: the decoded span, keys sorted, so that both encodings and any batching agree."""
        if self.received is not None:
            return self.received.canonical()
        facts = [self.trace_id, self.span_id, self.parent_id, self.name, self.start, self.end, self.status, self.message]
        facts += [self.scope, self.scope_version, self.attributes, self.resource, [list(event) for event in self.events]]
        return json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()

    def digest(self) -> str:
        return hashlib.sha256(self.canonical()).hexdigest()


@dataclass(frozen=True)
class Unread:
    """A request, or a span in one, that could not be decoded."""

    uri: str
    row: int
    reason: str
    raw: bytes


def is_protobuf(head: bytes, content_type: str = "") -> bool:
    """Field 1, length-delimited, is how every ExportTraceServiceRequest starts; text can start so too, but has no control characters."""
    if "json" in content_type:
        return False
    text = head_of(head)
    return "protobuf" in content_type or (text[:1] == b"\n" and _CONTROL.search(text[:256]) is not None)


def spans_of(payload: Payload) -> Iterator[Span | Unread]:
    head = payload.body[:HEAD] if payload.body is not None else _first(payload)
    if is_protobuf(head, payload.content_type):
        yield from _from_protobuf(payload)
        return
    row = 0
    for chunk in records_of(payload):
        for value in chunk.values:
            raw = value.as_py()
            try:
                request = sound(json.loads(raw), raw)
                found = list(_from_json(payload.uri, row, request))
            except RecursionError:
                yield Unread(payload.uri, row, "invalid_json: nested too deeply", raw)
                row += 1
                continue
            except (ValueError, TypeError, AttributeError) as error:
                kind = "invalid_json" if isinstance(error, ValueError) else "bad_request"
                yield Unread(payload.uri, row, f"{kind}: not an ExportTraceServiceRequest", raw)
                row += 1
                continue
            yield from found
            row += len(found)


def sound(value: Any, raw: bytes, depth: int = 0) -> Any:
    """Half a surrogate pair becomes U+FFFD: it is no text that could be stored. Raises RecursionError for what is nested beyond MAX_DEPTH."""
    if not depth and raw.count(b"[") + raw.count(b"{") <= MAX_DEPTH and not _SURROGATE.search(raw):
        return value
    if depth > MAX_DEPTH:
        raise RecursionError
    if isinstance(value, dict):
        return {sound(key, raw, depth + 1): sound(part, raw, depth + 1) for key, part in value.items()}
    if isinstance(value, list):
        return [sound(part, raw, depth + 1) for part in value]
    return storable(value) if isinstance(value, str) else value


def storable(text: str) -> str:
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _first(payload: Payload) -> bytes:
    if payload.path is None:
        return b""
    with payload.path.open("rb") as file:
        return file.read(HEAD)


def _from_protobuf(payload: Payload) -> Iterator[Span | Unread]:
    try:
        request = ExportTraceServiceRequest.FromString(body_of(payload))
    except DecodeError as error:
        raise Invalid(f"{payload.uri}: not an OTLP trace request in protobuf") from error
    row = 0
    for group in request.resource_spans:
        resource = {item.key: _proto_value(item.value) for item in group.resource.attributes}
        for scope in group.scope_spans:
            for span in scope.spans:
                if not (
                    _bytes(span.trace_id, _TRACE_HEX) or _bytes(span.span_id, _SPAN_HEX) or span.start_time_unix_nano or span.attributes
                ):
                    # logs and metrics have a request of the same form, and what is unknown in protobuf is passed over
                    yield Unread(payload.uri, row, "bad_request: no span; logs and metrics are not read", _alone(group, scope, span))
                    row += 1
                    continue
                yield Span(
                    uri=payload.uri,
                    row=row,
                    trace_id=_bytes(span.trace_id, _TRACE_HEX),
                    span_id=_bytes(span.span_id, _SPAN_HEX),
                    parent_id=_bytes(span.parent_span_id, _SPAN_HEX),
                    name=span.name,
                    start=span.start_time_unix_nano,
                    end=span.end_time_unix_nano,
                    status=span.status.code,
                    message=span.status.message,
                    scope=scope.scope.name,
                    scope_version=scope.scope.version,
                    attributes={item.key: _proto_value(item.value) for item in span.attributes},
                    resource=resource,
                    events=[(e.name, {i.key: _proto_value(i.value) for i in e.attributes}) for e in span.events],
                )
                row += 1


def _alone(group: Any, scope: Any, span: Any) -> bytes:
    found = ExportTraceServiceRequest()
    found.resource_spans.add().resource.CopyFrom(group.resource)
    scoped = found.resource_spans[0].scope_spans.add()
    scoped.scope.CopyFrom(scope.scope)
    scoped.spans.add().CopyFrom(span)
    return bytes(found.SerializeToString())


def _bytes(value: bytes, length: int) -> str:
    return value.hex() if len(value) * 2 == length and any(value) else ""


def _proto_value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    inner = getattr(value, kind)
    if kind == "array_value":
        return [_proto_value(item) for item in inner.values]
    if kind == "kvlist_value":
        return {item.key: _proto_value(item.value) for item in inner.values}
    if kind == "bytes_value":
        return base64.b64encode(inner).decode()
    return inner


def _from_json(uri: str, row: int, request: Any) -> Iterator[Span | Unread]:
    groups = _of(request, "resourceSpans")
    if groups is None:
        if request.keys() - {"resourceSpans", "resource_spans"}:
            raise TypeError
        return  # JSON leaves out what is empty: a request without spans
    for group in groups:
        resource = _attributes(_of(_of(group, "resource") or {}, "attributes"))
        for scoped in _of(group, "scopeSpans") or _of(group, "instrumentationLibrarySpans") or []:
            scope = _of(scoped, "scope") or _of(scoped, "instrumentationLibrary") or {}
            for span in _of(scoped, "spans") or []:
                found: Span | Unread
                try:
                    found = _json_span(uri, row, span, scope, resource)
                except (ValueError, TypeError, AttributeError):
                    alone = {"resourceSpans": [group | {"scopeSpans": [scoped | {"spans": [span]}]}]}
                    found = Unread(uri, row, "bad_request: not a span", json.dumps(alone).encode())
                yield found
                row += 1


def _json_span(uri: str, row: int, span: Any, scope: Any, resource: dict[str, Any]) -> Span:
    status = _of(span, "status") or {}
    return Span(
        uri=uri,
        row=row,
        trace_id=_hex(_of(span, "traceId"), _TRACE_HEX),
        span_id=_hex(_of(span, "spanId"), _SPAN_HEX),
        parent_id=_hex(_of(span, "parentSpanId"), _SPAN_HEX),
        name=str(span.get("name", "")),
        start=_nanos(_of(span, "startTimeUnixNano")),
        end=_nanos(_of(span, "endTimeUnixNano")),
        status=_STATUS.get(status.get("code", 0), status.get("code", 0)),
        message=str(status.get("message", "")),
        scope=str(scope.get("name", "")),
        scope_version=str(scope.get("version", "")),
        attributes=_attributes(span.get("attributes")),
        resource=resource,
        events=[(str(e.get("name", "")), _attributes(e.get("attributes"))) for e in span.get("events") or []],
    )


def _of(value: Any, name: str) -> Any:
    """A field in lowerCamelCase, as OTLP/JSON says, or in snake_case, as some exporters write."""
    found = value.get(name)
    if found is None:
        found = value.get("".join(f"_{c.lower()}" if c.isupper() else c for c in name))
    return found


def _attributes(items: Any) -> dict[str, Any]:
    return {str(item["key"]): _json_value(item.get("value")) for item in items or [] if isinstance(item, dict) and "key" in item}


def _json_value(value: Any) -> Any:  # noqa: PLR0911 - one arm per kind of value
    """An AnyValue in either spelling. A number that is none stays as it came, and is refused where it is needed."""
    if not isinstance(value, dict):
        return _number(int, value) if isinstance(value, int) and not isinstance(value, bool) else value
    name: str
    inner: Any
    name, inner = next(iter(value.items()), ("", None))
    match name.removesuffix("Value").removesuffix("_value"):
        case "int":
            return _number(int, inner)
        case "double":
            return _number(float, inner)
        case "bool":
            return inner if isinstance(inner, bool) else str(inner).lower() == "true"
        case "array":
            return [_json_value(item) for item in inner.get("values") or []]
        case "kvlist":
            return _attributes(inner.get("values"))
    return None if inner is None else str(inner)


def _number(kind: type[int | float], value: Any) -> Any:
    try:
        found = kind(value)
    except (TypeError, ValueError, OverflowError):
        return str(value)
    return found if abs(found) <= LARGEST or kind is float else str(value)  # OTLP's integers have 64 bits


def _hex(value: Any, length: int) -> str:
    """Hex as OTLP says; base64 as plain proto3 JSON would have it; anything else, and all zeros, is no id."""
    text = str(value or "")
    try:
        raw = bytes.fromhex(text) if len(text) == length else base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return ""
    return raw.hex() if len(raw) * 2 == length and any(raw) else ""


def _nanos(value: Any) -> int:
    try:
        found = int(value or 0)
    except (TypeError, ValueError, OverflowError):
        return 0
    return found if abs(found) <= LARGEST else 0
