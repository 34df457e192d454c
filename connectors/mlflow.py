"""MLflow: traces as `Trace.to_json()` writes them, one document per trace (shipped mapping `mlflow`).

Owns: making the spans of a trace plain: ids from base64 to hex, attributes from the JSON text that MLflow stores, facts of the trace beside each span.
Does not own: the columns (mappings/mlflow.yaml), which of several spans of one call counts (governor/calls.py).
Invariants: a trace stays one record with as many spans as it had; prompts and answers are only in the attributes that hold content.
"""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

import pyarrow as pa

from connectors.archives import head_of
from connectors.mapping import MappedConnector, shipped
from connectors.payloads import Records, rewritten
from connectors.providers import provider_of
from connectors.reshaped import listed, named
from governor.ports import Payload

_MARKS: Final = (b'"trace_location"', b'"trace_metadata"', b'"mlflow.traceRequestId"')
_SURE: Final = 0.9
_ID_BYTES: Final = (8, 16)
_LINK: Final = "mlflow.gateway.linkedTraceId"
_CHUNK: Final = "mlflow.chunk.item.0"
_USAGE: Final = "mlflow.chat.tokenUsage"
_CALLS: Final = ("LLM", "CHAT_MODEL", "EMBEDDING")
# a trace made by an evaluation, or by a scorer that judges other traces
_EVALUATION: Final = ("mlflow.eval.requestId", "mlflow.trace.sourceScorer")


class _MLflow(MappedConnector):
    def detect(self, head: bytes, uri: str) -> float:
        """A trace is often longer than the head; its first span then tells."""
        text = head_of(head)
        return super().detect(head, uri) or (_SURE if text.lstrip()[:1] in (b"{", b"[") and all(mark in text for mark in _MARKS) else 0.0)

    def _records(self, payload: Payload) -> Iterator[Records]:
        for chunk in super()._records(payload):
            yield replace(chunk, values=pa.array([_plain(value.as_py()) for value in chunk.values], pa.large_binary()))


def _plain(received: bytes) -> bytes:
    try:
        trace = _json(received.decode())
        spans = [span for span in trace["data"]["spans"] if isinstance(span, dict)]
    except (ValueError, TypeError, KeyError, RecursionError):  # the reader says what is wrong with it
        return received
    facts = _facts(trace.get("info"))
    parents = {_hex(span.get("span_id")): _hex(span.get("parent_span_id")) for span in spans}
    links = {_hex(span.get("span_id")) for span in spans if _LINK in named(span.get("attributes"))}
    plain = [_span(span, facts, mirrored=_under(_hex(span.get("span_id")), links, parents)) for span in spans]
    _usage_from_above(plain)
    return rewritten({"data": {"spans": plain}})


def _facts(info: Any) -> dict[str, Any]:
    """What the trace says of all its spans. MLflow's own names hold prompts too, so only the user's are metadata."""
    about = named(info)
    tags, metadata = named(about.get("tags")), named(about.get("trace_metadata"))
    return {
        "own": {name: value for name, value in (metadata | tags).items() if name.startswith(("mlflow.trace.user", "mlflow.trace.session"))}
        | {name: value for name, value in metadata.items() if name.startswith(("mlflow.gateway.", "mlflow.auth."))},
        "metadata": {name: value for name, value in (metadata | tags).items() if not name.startswith("mlflow.")},
        "experiment": named(named(about.get("trace_location")).get("mlflow_experiment")).get("experiment_id"),
        "traffic": "eval" if any(name in metadata or name in tags for name in _EVALUATION) else None,
    }


def _span(span: dict[str, Any], facts: dict[str, Any], *, mirrored: bool) -> dict[str, Any]:
    attributes = {name: _value(text) for name, text in named(span.get("attributes")).items()}
    prompts = attributes.get("mlflow.linkedPrompts")
    attributes["mlflow.linkedPrompts"] = _value(prompts)  # a list as text, stored as text
    trace_id, span_id = _hex(span.get("trace_id")), _hex(span.get("span_id"))
    events = [event for event in listed(span.get("events")) if isinstance(event, dict)]
    failures = [named(event.get("attributes")) for event in events if event.get("name") == "exception"]
    return facts | {
        "id": f"{trace_id}:{span_id}" if trace_id and span_id else None,
        "trace_id": trace_id,
        "span_id": span_id,
        "parent_span_id": _hex(span.get("parent_span_id")),
        "name": span.get("name"),
        "who": _who(attributes),
        "step": None if attributes.get("mlflow.spanType") in _CALLS and not mirrored else span.get("name") or "span",
        "start_time_unix_nano": span.get("start_time_unix_nano"),
        "end_time_unix_nano": span.get("end_time_unix_nano"),
        "status": span.get("status"),
        "failure": {name: _value(text) for name, text in failures[0].items()} if failures else None,
        "to_first_chunk_ns": _to_first_chunk(span.get("start_time_unix_nano"), events),
        "mirrored": mirrored,
        "attributes": attributes,
    }


def _who(attributes: dict[str, Any]) -> str | None:
    """Of calls by OpenAI's SDK MLflow names no provider: then the model that was asked for says it, or nobody does."""
    told = attributes.get("mlflow.llm.provider")
    asked = (named(attributes.get("mlflow.spanInputs")).get("model"), attributes.get("model"), attributes.get("mlflow.llm.model"))
    return str(told) if told else provider_of("mlflow", next((model for model in asked if isinstance(model, str)), None))


def _under(span_id: str | None, links: set[str | None], parents: dict[str | None, str | None]) -> bool:
    """MLflow's gateway copies its own spans, without bodies, into the trace of a client that sent its trace id."""
    seen: set[str] = set()
    step = span_id
    while step and step not in seen:
        if step in links:
            return True
        seen.add(step)
        step = parents.get(step)
    return False


def _usage_from_above(spans: list[dict[str, Any]]) -> None:
    """A framework's span around one call may be the only one with its usage (streams). The call inside stands for both, so it needs the numbers."""
    calls = {span["span_id"]: span for span in spans if span["step"] is None}
    inside = Counter(span["parent_span_id"] for span in calls.values())
    for span in calls.values():
        above, seen = span, set()
        while _USAGE not in above["attributes"] and above["span_id"] not in seen and inside[above["parent_span_id"]] == 1:
            seen.add(above["span_id"])
            above = calls.get(above["parent_span_id"], above)
        for name in (_USAGE, "mlflow.llm.cost"):
            if above is not span and _USAGE in above["attributes"] and name in above["attributes"]:
                span["attributes"][name] = above["attributes"][name]


def _to_first_chunk(start: Any, events: list[dict[str, Any]]) -> int | None:
    for event in events:
        if event.get("name") == _CHUNK and isinstance(start, int) and isinstance(event.get("time_unix_nano"), int):
            return int(event["time_unix_nano"]) - start
    return None


def _value(text: Any) -> Any:
    """Attributes are JSON as text; what is not JSON stays text."""
    if not isinstance(text, str):
        return text
    try:
        return _json(text)
    except (ValueError, RecursionError):
        return text


def _json(text: str) -> Any:
    """Python's NaN is no JSON: null."""
    return json.loads(text, parse_constant=lambda _: None)


def _hex(given: Any) -> str | None:
    """An id in base64, or already in hex."""
    if not isinstance(given, str) or not given:
        return None
    try:
        raw = base64.b64decode(given, validate=True)
    except ValueError:
        return given.removeprefix("0x").lower()
    return raw.hex() if len(raw) in _ID_BYTES else given.removeprefix("0x").lower()


connector = _MLflow("mlflow", [shipped("mlflow")])
