"""What spans mean, and which of several views of one call counts, span by span."""

from __future__ import annotations

import base64
import itertools
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from connectors.addresses import bare_attribute
from connectors.litellm import connector as litellm
from connectors.otlp import connector
from connectors.otlp.dialects import NAMES
from connectors.providers import provider_named
from connectors.vercel import connector as vercel
from governor.errors import Invalid

FIXTURES = Path(__file__).parent / "fixtures"
START = 1_795_228_000_000_000_000
TRACE = "0af7651916cd43dd8448eb211c80319c"
USAGE = {"gen_ai.usage.input_tokens": 100, "gen_ai.usage.output_tokens": 10}
CHAT = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4o"}
ANSWER = {"gen_ai.response.id": "chatcmpl-0123456789abcdef"}


def value(given: Any) -> dict[str, Any]:
    if isinstance(given, bool):
        return {"boolValue": given}
    if isinstance(given, int):
        return {"intValue": str(given)}
    if isinstance(given, float):
        return {"doubleValue": given}
    if isinstance(given, list):
        return {"arrayValue": {"values": [value(item) for item in given]}}
    return {"stringValue": given}


def span(number: int, parent: int | None = None, attributes: dict[str, Any] | None = None, **facts: Any) -> dict[str, Any]:
    return {
        "traceId": TRACE,
        "spanId": f"{number:016x}",
        "parentSpanId": f"{parent:016x}" if parent else "",
        "name": "span",
        "kind": 3,
        "startTimeUnixNano": str(START + number * 1000),
        "endTimeUnixNano": str(START + 10**9),
        "attributes": [{"key": k, "value": value(v)} for k, v in (attributes or {}).items()],
        **facts,
    }


def request(*spans: dict[str, Any], scope: str = "app", resource: dict[str, Any] | None = None) -> bytes:
    attributes = [{"key": k, "value": value(v)} for k, v in (resource or {}).items()]
    return json.dumps(
        {"resourceSpans": [{"resource": {"attributes": attributes}, "scopeSpans": [{"scope": {"name": scope}, "spans": list(spans)}]}]}
    ).encode()


def verdicts(table: Any) -> dict[int, str]:
    return {int(r["span_id"], 16): "counts" if r["cost_bearing"] else r["exclusion_reason"] for r in table.to_pylist()}


@pytest.fixture
def counted(read: Any, merged: Any) -> Any:
    """Verdict per span, the same for every order of one-span requests as for one request with all."""

    def of(*spans: dict[str, Any], together_only: bool = False, scope: str = "app") -> dict[int, str]:
        together = verdicts(merged(read(connector, request(*spans, scope=scope)).calls))
        if not together_only:
            for order in itertools.permutations(spans):
                assert verdicts(merged(*(read(connector, request(one)).calls for one in order))) == together
        return together

    return of


def test_protobuf_and_both_json_spellings_are_the_same_spans(read: Any) -> None:
    """Enums as numbers or names, ids as hex or base64, one request or many: same ids, same digests, same facts."""
    raw = (FIXTURES / "otlp_litellm.pb").read_bytes()
    message = ExportTraceServiceRequest.FromString(raw)
    plain = json_format.MessageToDict(message)  # base64 ids, enum names

    def hexed(node: Any) -> Any:
        if isinstance(node, list):
            return [hexed(item) for item in node]
        if not isinstance(node, dict):
            return node
        ids = ("traceId", "spanId", "parentSpanId")
        return {k: base64.b64decode(v).hex() if k in ids else 2 if v == "STATUS_CODE_ERROR" else hexed(v) for k, v in node.items()}

    pieces = [json.dumps({"resourceSpans": [group]}) for group in hexed(plain)["resourceSpans"]]
    columns = [c for c in read(connector, raw).calls.column_names if c not in ("ingest_uri", "ingest_row")]
    first = read(connector, raw).calls.select(columns).sort_by("record_id")
    assert len(first) == 20
    for form in (json.dumps(plain).encode(), json.dumps(hexed(plain)).encode(), "\n".join(pieces).encode(), raw + b""):
        assert read(connector, form).calls.select(columns).sort_by("record_id").equals(first)
    snake = json.dumps(json_format.MessageToDict(message, preserving_proto_field_name=True)).encode()
    assert read(connector, snake).calls.select(columns).sort_by("record_id").equals(first)


def test_a_body_that_is_no_request_is_invalid_or_rejected(read: Any) -> None:
    with pytest.raises(Invalid, match="protobuf"):
        read(connector, b"\n\xff\xff\xff\xff", content_type="application/x-protobuf")
    assert [r["reason"].split(":")[0] for r in read(connector, b'{"resourceLogs": []}').rejected.to_pylist()] == ["bad_request"]
    for nothing in (b'{"resourceSpans": []}', b"{}", b'{"resourceSpans": null}'):
        assert len(read(connector, nothing).rejected) == 0


def test_logs_and_metrics_are_no_spans(read: Any) -> None:
    """Their requests look alike in protobuf, where what is unknown is passed over: they were structure without an id."""
    logs = ExportLogsServiceRequest()
    logs.resource_logs.add().scope_logs.add().log_records.add(time_unix_nano=START)
    metrics = ExportMetricsServiceRequest()
    metrics.resource_metrics.add().scope_metrics.add().metrics.add(name="gen_ai.client.token.usage")
    for sent in (logs, metrics):
        batch = read(connector, sent.SerializeToString(), content_type="application/x-protobuf")
        [refused] = batch.rejected.to_pylist()
        assert (refused["reason"].partition(";")[0], len(batch.spans), len(batch.calls)) == ("bad_request: no span", 0, 0)
        again = read(connector, refused["raw"], content_type="application/x-protobuf")
        assert again.rejected.to_pylist()[0]["reason"] == refused["reason"]


def test_one_bad_span_does_not_take_the_request_with_it(read: Any) -> None:
    bad = span(2, attributes=CHAT | {"gen_ai.usage.input_tokens": "many"})
    batch = read(connector, request(span(1, attributes=CHAT | USAGE), bad, span(3, attributes=CHAT | USAGE)))
    assert len(batch.calls) == 2
    assert [r["reason"] for r in batch.rejected.to_pylist()] == [
        'bad_tokens: gen_ai.usage.input_tokens "many" is no whole number up to 1,000,000,000,000'
    ]


HUGE = 10**400
HOSTILE = (
    True, False, -1, HUGE, 0.5, -0.0, 1e13, 1e300, 2**61 + 1, 2**62, 2**63 - 1, float("nan"), float("inf"), float("-inf"), "1e400", "1E9999999", "-1E9999999",
    "NaN", "Infinity", "sNaN", str(HUGE), "\u00b2", "\u0663", "", " ", "\x00", "\U0001f389", "null", "[", "[[]]", "{}", '{"model": "\\ud800"}', "{'a': '\\ud800'}",
    "{'a': {1: 2, 'b': {3}}}", "{(1, 2): 3}", "{'a': 0x" + "f" * 15_000 + "}", '["\\ud83d"]', '[{"parts": 5, "role": 7}]', '[{"parts": [{"type": "text", "text": 5}]}]',
    "[" * 900 + "]" * 900, "{'a': " + "[" * 150 + "]" * 150 + "}", [], ["a", 1], [[]], [1.5, None, True],
)  # fmt: skip
READ = sorted(
    {name for names in NAMES.values() for name in names}
    | {
        "ai.operationId",
        "openinference.span.kind",
        "traceloop.span.kind",
        "metadata",
        "tag.tags",
        "litellm.cache_hit",
        "metadata.requester_metadata",
    }
    | {
        "input.value",
        "output.value",
        "llm.invocation_parameters",
        "gen_ai.input.messages",
        "gen_ai.output.messages",
        "gen_ai.system_instructions",
    }
    | {
        "gen_ai.prompt.0.content",
        "gen_ai.prompt." + "9" * 5000 + ".content",
        "llm.input_messages.0.message.tool_calls.0.tool_call.function.name",
    }
    | {"gen_ai.request.temperature", "gen_ai.request.stop", "gen_ai.usage.other", "error.message", "data_class", "workflow"}
)


@pytest.mark.parametrize(
    "base", [CHAT | USAGE, {"openinference.span.kind": "LLM"}, {"litellm.call_id": "c", **CHAT}, {"llm.request.type": "chat"}]
)
def test_a_hostile_value_costs_its_own_span_only(read: Any, base: dict[str, Any]) -> None:
    """Whatever is thrown at an attribute that is read: every span ends in one place, and the good ones are stored."""
    spans = [span(0x10000 + n, attributes=base | {name: thrown}) for n, (name, thrown) in enumerate(itertools.product(READ, HOSTILE))]
    good = span(1, attributes=CHAT | USAGE)
    batch = read(connector, request(good, *spans, resource={"service.name": "a\x00"}))
    assert batch.calls.num_rows + batch.rejected.num_rows + batch.spans.num_rows == 1 + len(spans)
    assert batch.calls["span_id"][0].as_py() == good["spanId"]
    assert {r["reason"].split(":")[0] for r in batch.rejected.to_pylist()} <= {"bad_tokens", "negative_tokens", "bad_cost", "negative_cost"}


@pytest.mark.parametrize("thrown", [2**70, 1e300, 1.5, "x", [], [1], {}, {"a": 1}, True])
@pytest.mark.parametrize(
    "place",
    [
        "traceId",
        "spanId",
        "parentSpanId",
        "name",
        "kind",
        "startTimeUnixNano",
        "endTimeUnixNano",
        "attributes",
        "events",
        "status",
        "links",
    ],
)
def test_a_hostile_field_costs_its_own_span_only(read: Any, place: str, thrown: Any) -> None:
    good, bad = span(1, attributes=CHAT | USAGE), span(2, attributes=CHAT | USAGE) | {place: thrown}
    batch = read(connector, request(good, bad))
    assert good["spanId"] in batch.calls["span_id"].to_pylist()
    assert batch.calls.num_rows + batch.rejected.num_rows + batch.spans.num_rows == 2


@pytest.mark.parametrize(
    ("name", "reason"),
    [("gen_ai.usage.cost", "bad_cost"), ("gen_ai.cost.input_cost", "bad_cost"), ("gen_ai.usage.input_tokens", "bad_tokens")],
)
def test_an_amount_beyond_what_a_column_holds_is_refused(read: Any, name: str, reason: str) -> None:
    given = CHAT | USAGE | {"gen_ai.usage.cost": 0.1, name: 1e13}
    batch = read(connector, request(span(1, attributes=given)))
    assert [r["reason"].split(":")[0] for r in batch.rejected.to_pylist()] == [reason]


def test_a_span_that_cannot_be_decoded_is_kept_as_a_request_of_its_own(read: Any) -> None:
    batch = read(connector, request(span(1, attributes=CHAT | USAGE), span(2, attributes=CHAT | USAGE, status={"code": []})))
    [refused] = batch.rejected.to_pylist()
    assert (batch.calls.num_rows, refused["reason"]) == (1, "bad_request: not a span")
    mended = json.loads(refused["raw"])
    mended["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["status"] = {"code": 1}
    assert read(connector, json.dumps(mended).encode()).calls["span_id"].to_pylist() == [f"{2:016x}"]


@pytest.mark.parametrize(
    ("cached", "thoughts", "total", "row"),
    [
        (200, 0, 1250, (1200, 50, "exclusive")),
        (200, 0, 1050, (1000, 50, "inclusive")),
        (200, 0, 1200, (1000, 50, "inclusive")),
        (200, 0, None, (1000, 50, "inclusive")),
        (0, 20, 1070, (1000, 70, "exclusive")),
        (0, 20, 1050, (1000, 50, "inclusive")),
        (200, 20, 1270, (1200, 70, "exclusive")),
        (200, 20, 1250, (1200, 50, "exclusive")),
        (200, 20, 1070, (1000, 70, "exclusive")),
        (20, 20, 1070, (1000, 50, "inclusive")),  # it could be either
        (20, 20, 1090, (1020, 70, "exclusive")),
        (3000, 0, 1050, (4000, 50, "exclusive")),
        (60, 60, 1110, (1000, 110, "exclusive")),  # thoughts beyond the output: the cache is inside
        (0, 0, 2000, (1000, 50, "inclusive")),
    ],
)
def test_a_total_proves_what_was_counted_apart(read: Any, cached: int, thoughts: int, total: int | None, row: tuple[int, int, str]) -> None:
    parts = {"gen_ai.usage.cache_read.input_tokens": cached, "gen_ai.usage.reasoning_tokens": thoughts}
    whole = {"gen_ai.usage.input_tokens": 1000, "gen_ai.usage.output_tokens": 50} | (
        {} if total is None else {"llm.usage.total_tokens": total}
    )
    [found] = read(connector, request(span(1, attributes=CHAT | whole | parts))).calls.to_pylist()
    assert (found["input_tokens"], found["output_tokens"], found["usage_convention"]) == row
    assert found["input_uncached_tokens"] == found["input_tokens"] - cached


@pytest.mark.parametrize(
    ("provider", "total", "counted"),
    [
        ("openai", 1010, (1000, 600, 400, "inclusive")),
        ("azure.ai.openai", None, (1000, 600, 400, "inclusive")),
        ("openai", 2210, (2200, 600, 600, "exclusive")),
        ("anthropic", 1010, (2200, 600, 600, "exclusive")),
    ],
)
def test_openai_does_not_count_its_cache_apart(read: Any, provider: str, total: int | None, counted: tuple[Any, ...]) -> None:
    """Of a longer write it does not bill again what was read."""
    names = {"input_tokens": 1000, "output_tokens": 10, "cache_read.input_tokens": 600, "cache_creation.input_tokens": 600}
    facts = {f"gen_ai.usage.{name}": count for name, count in names.items()} | {"gen_ai.provider.name": provider}
    facts |= {} if total is None else {"gen_ai.usage.total_tokens": total}
    [row] = read(connector, request(span(1, attributes=CHAT | facts))).calls.to_pylist()
    assert (row["input_tokens"], row["cache_read_tokens"], row["cache_write_tokens"], row["usage_convention"]) == counted


@pytest.mark.parametrize(("whole", "written"), [({}, 50), ({"gen_ai.usage.cache_creation.input_tokens": 80}, 80)])
def test_lifetimes_alone_say_how_much_was_written(read: Any, whole: dict[str, int], written: int) -> None:
    parts = {f"anthropic.usage.cache_creation.ephemeral_{name}_input_tokens": count for name, count in (("5m", 30), ("1h", 20))}
    [row] = read(connector, request(span(1, attributes=CHAT | USAGE | whole | parts))).calls.to_pylist()
    assert (row["cache_write_tokens"], row["cache_write_5m_tokens"], row["cache_write_1h_tokens"]) == (written, 30, 20)
    assert row["input_uncached_tokens"] == 100 - written


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        # Pydantic AI
        ({"details.cache_read_tokens": 40, "details.cache_write_tokens": 30, "details.reasoning_tokens": 5}, (40, 30, 5)),
        ({"details.cache_read_tokens": 40, "details.thoughts_tokens": 5}, (40, None, 5)),
        ({"details.ephemeral_1h_input_tokens": 30, "details.thinking_tokens": 5}, (None, 30, 5)),
        # its versions before 1.0, by provider
        ({"details.cached_tokens": 40, "details.reasoning_tokens": 5}, (40, None, 5)),
        ({"details.cache_read_input_tokens": 40, "details.cache_creation_input_tokens": 30}, (40, 30, None)),
        ({"details.cached_content_tokens": 40, "details.thoughts_tokens": 5}, (40, None, 5)),
        # Strands
        ({"cache_read_input_tokens": 40, "cache_write_input_tokens": 30}, (40, 30, None)),
        # Sentry
        ({"input_tokens.cached": 40, "input_tokens.cache_write": 30, "output_tokens.reasoning": 5}, (40, 30, 5)),
    ],
)
def test_parts_of_the_usage_under_other_names(read: Any, parts: dict[str, int], said: tuple[int | None, ...]) -> None:
    given = {f"gen_ai.usage.{name}": count for name, count in parts.items()} | {"operation.cost": 0.0125}
    [row] = read(connector, request(span(1, attributes=CHAT | USAGE | given))).calls.to_pylist()
    assert tuple(row[name] for name in ("cache_read_tokens", "cache_write_tokens", "reasoning_tokens")) == said
    assert (row["input_tokens"], row["output_tokens"], row["usage_convention"]) == (100, 10, "inclusive")
    assert (str(row["cost_amount"]), row["cost_source"]) == ("0.012500000000", "tool_estimate")


def test_tokens_of_sound_and_pictures_have_their_own_price(read: Any) -> None:
    """As OpenTelemetry's own instrumentations say them since 1.3b0."""
    parts = {
        "audio.input_tokens": 30,
        "audio.output_tokens": 4,
        "image.input_tokens": 20,
        "image.output_tokens": 3,
        "text.input_tokens": 50,
    }
    [row] = read(
        connector, request(span(1, attributes=CHAT | USAGE | {f"gen_ai.usage.{k}": v for k, v in parts.items()}))
    ).calls.to_pylist()
    assert tuple(row[f"{name}_tokens"] for name in ("audio_input", "audio_output", "image_input", "image_output")) == (30, 4, 20, 3)
    assert (row["input_tokens"], row["output_tokens"]) == (100, 10)


def test_what_shortening_a_conversation_cost_is_part_of_the_call(read: Any) -> None:
    """Anthropic bills a compaction beside the answer; its SDK says both apart."""
    parts = {"anthropic.usage.compaction.input_tokens": 9000, "anthropic.usage.compaction.output_tokens": 500}
    cached = {"gen_ai.usage.cache_read.input_tokens": 40}
    [row] = read(connector, request(span(1, attributes=CHAT | USAGE | cached | parts))).calls.to_pylist()
    assert (row["input_tokens"], row["input_uncached_tokens"], row["cache_read_tokens"], row["output_tokens"]) == (9100, 9060, 40, 510)


@pytest.mark.parametrize(
    ("scope", "counted"),
    [
        ("opentelemetry.instrumentation.genai.bedrock", (1300, 1000, "exclusive")),
        ("opentelemetry.instrumentation.botocore.bedrock-runtime", (1300, 1000, "exclusive")),
        ("opentelemetry.instrumentation.bedrock", (1300, 1000, "exclusive")),
        ("openlit.instrumentation.anthropic", (1300, 1000, "exclusive")),
        ("openinference.instrumentation.bedrock", (1000, 700, "inclusive")),
        ("strands.telemetry.tracer", (1000, 700, "inclusive")),
    ],
)
def test_converse_counts_its_cache_apart_where_the_instrumentation_copies_it(read: Any, scope: str, counted: tuple[Any, ...]) -> None:
    """Nothing in the numbers proves it; OpenLLMetry's total even speaks against it."""
    names = {
        "input_tokens": 1000,
        "output_tokens": 50,
        "total_tokens": 1050,
        "cache_read.input_tokens": 200,
        "cache_creation.input_tokens": 100,
    }
    facts = {f"gen_ai.usage.{name}": count for name, count in names.items()} | {"gen_ai.provider.name": "aws.bedrock"}
    [row] = read(connector, request(span(1, attributes=CHAT | facts), scope=scope)).calls.to_pylist()
    assert (row["input_tokens"], row["input_uncached_tokens"], row["usage_convention"]) == counted


def test_of_two_views_the_one_that_knows_how_long_was_written_counts(read: Any, merged: Any) -> None:
    """Anthropic's SDK beside OpenTelemetry's instrumentation of it: what is kept for an hour costs more."""
    facts = CHAT | USAGE | {"gen_ai.response.id": "msg_" + "0" * 24, "gen_ai.usage.cache_write.input_tokens": 30}
    kept = {"anthropic.usage.cache_creation.ephemeral_1h_input_tokens": 30}
    for numbers in ((1, 2), (2, 1)):
        outer, inner = span(numbers[0], None, facts), span(numbers[1], numbers[0], facts | kept)
        rows = merged(read(connector, request(outer, inner)).calls).to_pylist()
        assert [row["cache_write_1h_tokens"] for row in rows if row["cost_bearing"]] == [30]


RECORDED = {
    "anthropic": {
        "input_tokens": 1928, "cache_read_input_tokens": 2048, "cache_creation_input_tokens": 1024, "output_tokens": 700,
        "cache_creation": {"ephemeral_5m_input_tokens": 1000, "ephemeral_1h_input_tokens": 24}, "output_tokens_details": {"thinking_tokens": 300},
    },
    "openai": {
        "prompt_tokens": 5000, "prompt_tokens_details": {"cached_tokens": 2048, "audio_tokens": 100}, "completion_tokens": 700,
        "completion_tokens_details": {"reasoning_tokens": 300},
    },
    "responses": {
        "input_tokens": 5000, "input_tokens_details": {"cached_tokens": 2048}, "output_tokens": 700, "output_tokens_details": {"reasoning_tokens": 300},
    },
    "gemini": {"promptTokenCount": 5000, "cachedContentTokenCount": 2048, "candidatesTokenCount": 400, "thoughtsTokenCount": 300},
}  # fmt: skip


@pytest.mark.parametrize(
    ("place", "said", "given", "counted"),
    [
        # version 5 of Vercel's AI SDK copies the input without its cache, and names no part of it outside of streams
        ("ai", "anthropic", (1928, 700), (5000, 2048, 1024, 24, 700, 300, "exclusive")),
        ("ai", "anthropic", (5000, 700), (5000, 2048, 1024, 24, 700, 300, "inclusive")),  # version 6
        ("ai", "gemini", (5000, 400), (5000, 2048, None, None, 700, 300, "exclusive")),
        ("ai", "gemini", (5000, 700), (5000, 2048, None, None, 700, 300, "inclusive")),
        # Logfire
        ("raw", "openai", (5000, 700), (5000, 2048, None, None, 700, 300, "inclusive")),
        ("raw", "responses", (5000, 700), (5000, 2048, None, None, 700, 300, "inclusive")),
        ("raw", "anthropic", (5000, 700), (5000, 2048, 1024, 24, 700, 300, "inclusive")),
        # another call's: the last of several rounds
        ("raw", "anthropic", (9000, 900), (9000, None, None, None, 900, None, "inclusive")),
    ],
)
def test_what_the_provider_said_is_read_where_a_span_holds_it(
    read: Any, place: str, said: str, given: tuple[int, int], counted: tuple[Any, ...]
) -> None:
    used = RECORDED[said]
    told = {said: {"usageMetadata" if said == "gemini" else "usage": used}}
    held = {"gen_ai.usage.raw": json.dumps(used)} if place == "raw" else {"ai.response.providerMetadata": json.dumps(told)}
    facts = {"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": given[0], "gen_ai.usage.output_tokens": given[1]}
    [row] = read(connector, request(span(1, attributes=facts | held))).calls.to_pylist()
    names = ("input_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens", "output_tokens", "reasoning_tokens")
    assert (*(row[name] for name in names), row["usage_convention"]) == counted


def test_openinferences_recorded_answer_says_how_long_was_written(read: Any) -> None:
    facts = {
        "openinference.span.kind": "LLM", "llm.token_count.prompt": 5000, "llm.token_count.completion": 700,
        "llm.token_count.prompt_details.cache_write": 1024, "output.value": json.dumps({"id": "msg", "usage": RECORDED["anthropic"]}),
    }  # fmt: skip
    [row] = read(connector, request(span(1, attributes=facts))).calls.to_pylist()
    assert (row["input_tokens"], row["cache_write_5m_tokens"], row["cache_write_1h_tokens"]) == (5000, 1000, 24)


def langchains(message: dict[str, Any], **beside: Any) -> str:
    """A result of LangChain's as OpenInference records it; the message's own id is LangChain's."""
    return json.dumps({"generations": [[{"message": {"kwargs": {"id": "lc_run--1"} | message}}]], "llm_output": None} | beside)


def test_langchains_recorded_answer_and_the_span_of_the_sdk_are_one_call(counted: Any) -> None:
    """LangChain opens no context, so that the SDK's span stands beside its own: such calls counted twice."""
    said = {"response_metadata": {"id": ANSWER["gen_ai.response.id"], "service_tier": "flex"}}
    outer = {
        "openinference.span.kind": "LLM",
        "llm.token_count.prompt": 100,
        "llm.token_count.completion": 10,
        "output.value": langchains(said),
    }
    verdicts = counted(span(1, None, outer), span(2, None, CHAT | USAGE | ANSWER))
    assert sorted(verdicts.values()) == ["counts", "duplicate_instrumentation"]


def test_langchains_recorded_answer_has_the_tier_and_how_long_was_written(read: Any) -> None:
    used = {
        "input_tokens": 5000,
        "output_tokens": 700,
        "input_token_details": {"ephemeral_5m_input_tokens": 1000, "ephemeral_1h_input_tokens": 24},
    }
    facts = {
        "openinference.span.kind": "LLM", "llm.token_count.prompt": 5000, "llm.token_count.completion": 700, "llm.token_count.prompt_details.cache_write": 1024,
        "output.value": langchains({"usage_metadata": used, "response_metadata": {"id": "msg_0123456789", "service_tier": "flex"}}),
    }  # fmt: skip
    [row] = read(connector, request(span(1, attributes=facts))).calls.to_pylist()
    assert (row["input_tokens"], row["cache_write_5m_tokens"], row["cache_write_1h_tokens"]) == (5000, 1000, 24)
    assert (row["provider_response_id"], row["service_tier"]) == ("msg_0123456789", "flex")


@pytest.mark.parametrize("generations", [None, [], [[]], [[7]], [[{"message": "x"}]], [[{"message": {"kwargs": []}}]], {"id": 1}])
def test_a_result_that_is_none_of_langchains_costs_the_call_nothing(read: Any, generations: Any) -> None:
    facts = {"openinference.span.kind": "LLM", "llm.token_count.prompt": 100, "llm.token_count.completion": 10}
    told = json.dumps({"generations": generations, "more": {"id": 1, "service_tier": "x"}})
    [row] = read(connector, request(span(1, attributes=facts | {"output.value": told}))).calls.to_pylist()
    assert (row["provider_response_id"], row["service_tier"], row["input_tokens"]) == (None, None, 100)


@pytest.mark.parametrize("words", ["'x'", "\", _meta={'usage': {'prompt_tokens': 5000}})\""], ids=["text", "an-answer-like-it"])
def test_what_haystacks_replies_say_was_read_from_the_cache(read: Any, words: str) -> None:
    """OpenInference writes them as Python does, and has no attribute for it: cached input cost its full price."""
    used = {
        "completion_tokens": 400,
        "prompt_tokens": 5000,
        "prompt_tokens_details": {"cached_tokens": 2048},
        "completion_tokens_details": None,
    }
    meta = {"index": 0, "usage": used}
    reply = f"ChatMessage(_role=<ChatRole.ASSISTANT: 'assistant'>, _content=[TextContent(text={words})], _name=None, _meta={meta})"
    facts = {
        "openinference.span.kind": "LLM", "llm.provider": "openai", "llm.model_name": "gpt-4.1", "llm.token_count.prompt": 5000,
        "llm.token_count.completion": 400, "output.value": json.dumps({"replies": [reply]}),
    }  # fmt: skip
    [row] = read(connector, request(span(1, attributes=facts), scope="openinference.instrumentation.haystack")).calls.to_pylist()
    assert (row["input_tokens"], row["cache_read_tokens"], row["output_tokens"]) == (5000, 2048, 400)


def test_spans_of_googles_adk_have_what_gemini_read_from_its_cache_and_thought(read: Any) -> None:
    """Up to 1.x they stand in the recorded answer alone: thoughts cost nothing, cached input its full price."""
    used = {"prompt_token_count": 5000, "cached_content_token_count": 2048, "candidates_token_count": 400, "thoughts_token_count": 300}
    facts = {
        "gen_ai.system": "gcp.vertex.agent", "gen_ai.request.model": "gemini-2.5-pro", "gen_ai.usage.input_tokens": 5000, "gen_ai.usage.output_tokens": 400,
        "gcp.vertex.agent.llm_response": json.dumps({"usage_metadata": used}),
    }  # fmt: skip
    [row] = read(connector, request(span(1, attributes=facts), scope="gcp.vertex.agent")).calls.to_pylist()
    assert (row["provider"], row["input_tokens"], row["cache_read_tokens"], row["output_tokens"], row["reasoning_tokens"]) == (
        "gcp.gemini", 5000, 2048, 700, 300,
    )  # fmt: skip


@pytest.mark.parametrize(
    "used", ['"x"', "[]", "{", '{"input_tokens": true}', '{"input_tokens": 100, "cache_read_input_tokens": -5}', '{"iterations": 7}']
)
def test_a_recorded_usage_that_is_none_costs_the_call_nothing(read: Any, used: str) -> None:
    [row] = read(connector, request(span(1, attributes=CHAT | USAGE | {"gen_ai.usage.raw": used}))).calls.to_pylist()
    assert (row["input_tokens"], row["cache_read_tokens"]) == (100, None)


def test_langsmiths_spans_have_their_parts_in_their_metadata(read: Any) -> None:
    used = {
        "input_tokens": 5000, "output_tokens": 700, "output_token_details": {"reasoning": 300, "audio": 50},
        "input_token_details": {"cache_read": 2048, "ephemeral_5m_input_tokens": 1000, "ephemeral_1h_input_tokens": 24, "audio": 100},
    }  # fmt: skip
    facts = {
        "gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": 5000, "gen_ai.usage.output_tokens": 700, "gen_ai.response.service_tier": "flex",
        "langsmith.metadata.usage_metadata": json.dumps(used), "langsmith.metadata.workflow": "claims",
    }  # fmt: skip
    [row] = read(connector, request(span(1, attributes=facts), scope="langsmith")).calls.to_pylist()
    names = ("input", "cache_read", "cache_write", "cache_write_1h", "reasoning", "audio_input", "audio_output")
    assert tuple(row[f"{name}_tokens"] for name in names) == (5000, 2048, 1024, 24, 300, 100, 50)
    assert (row["service_tier"], row["workflow_id"]) == ("flex", "claims")


def generation(used: dict[str, Any], **more: Any) -> dict[str, Any]:
    named = {name.replace("__", "."): given if isinstance(given, str) else json.dumps(given) for name, given in more.items()}
    facts = {"type": "generation", "model.name": "gpt-5", "usage_details": json.dumps(used)} | named
    return {f"langfuse.observation.{name}": given for name, given in facts.items()}


@pytest.mark.parametrize(
    ("used", "counted"),
    [
        # the wrapper of OpenAI's SDK passes on what it was told
        (RECORDED["openai"] | {"total_tokens": 5700}, (5000, 2048, None, 700, 300, "inclusive")),
        (RECORDED["responses"] | {"total_tokens": 5700}, (5000, 2048, None, 700, 300, "inclusive")),
        # buckets are apart, as Langfuse adds them up
        (
            {"input": 3000, "cache_read_input_tokens": 2048, "cache_creation_input_tokens": 1024, "output": 700},
            (6072, 2048, 1024, 700, None, "exclusive"),
        ),
        (
            {"input": 3000, "input_cached_tokens": 2048, "output": 400, "output_reasoning_tokens": 300},
            (5048, 2048, None, 700, 300, "exclusive"),
        ),
        ({"input": 3000, "input_cached_tokens": 2048, "output": 400, "total": 3400}, (3000, 2048, None, 400, None, "inclusive")),
        ({"input": 42}, (42, None, None, None, None, "inclusive")),
    ],
)
def test_generations_of_langfuses_sdk_are_calls(read: Any, used: dict[str, Any], counted: tuple[Any, ...]) -> None:
    """A collector that also feeds Langfuse passes them on; they were structure, and their calls lost."""
    batch = read(connector, request(span(1, attributes=generation(used)), scope="langfuse-sdk"))
    [row] = batch.calls.to_pylist()
    names = ("input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens")
    assert (*(row[name] for name in names), row["usage_convention"]) == counted
    assert (row["source_kind"], row["operation"], row["provider"], row["requested_model"]) == ("otlp.langfuse", "chat", "openai", "gpt-5")


def mlflow(kind: str, asked: dict[str, Any], answer: dict[str, Any], used: dict[str, int] | None = None, **more: Any) -> dict[str, Any]:
    """A span as MLflow's exporter writes it (3.17): every attribute is JSON as text."""
    facts = {"mlflow.spanType": kind, "mlflow.spanInputs": asked, "mlflow.spanOutputs": answer} | (
        {"mlflow.chat.tokenUsage": used} if used else {}
    )
    return {name: json.dumps(given) for name, given in (facts | more).items()}


_OPENAI_ANSWER = {
    "id": "chatcmpl-0123456789abcdef", "model": "gpt-5-2025-08-07", "service_tier": "flex",
    "choices": [{"finish_reason": "stop", "message": {"role": "assistant", "content": "42"}}],
    "usage": {"prompt_tokens": 5000, "completion_tokens": 700, "prompt_tokens_details": {"cached_tokens": 2048, "cache_write_tokens": 1024},
              "completion_tokens_details": {"reasoning_tokens": 300}},
}  # fmt: skip
_CLAUDES_ANSWER = {
    "id": "msg_0123456789abcdefghij", "model": "claude-sonnet-4-5", "stop_reason": "end_turn", "content": [{"type": "text", "text": "42"}],
    "usage": {"input_tokens": 1928, "cache_read_input_tokens": 2048, "cache_creation_input_tokens": 1024, "output_tokens": 700},
}  # fmt: skip
_GEMINIS_ANSWER = {
    "response_id": "rid0123456789abcdefghij", "model_version": "gemini-2.5-pro", "candidates": [{"content": {"parts": [{"text": "42"}]}}],
    "usage_metadata": {"prompt_token_count": 5000, "candidates_token_count": 400, "thoughts_token_count": 300},
}  # fmt: skip


@pytest.mark.parametrize(
    ("given", "row"),
    [
        (
            mlflow("CHAT_MODEL", {"model": "gpt-5"}, _OPENAI_ANSWER, {"input_tokens": 5000, "output_tokens": 700, "total_tokens": 5700, "cache_read_input_tokens": 2048}),
            ("openai", "gpt-5", "gpt-5-2025-08-07", 5000, 2048, 1024, 700, 300),
        ),
        (
            mlflow("CHAT_MODEL", {"model": "claude-sonnet-4-5"}, _CLAUDES_ANSWER,
                   {"input_tokens": 5000, "output_tokens": 700, "cache_read_input_tokens": 2048, "cache_creation_input_tokens": 1024},
                   **{"mlflow.llm.provider": "anthropic"}),
            ("anthropic", "claude-sonnet-4-5", "claude-sonnet-4-5", 5000, 2048, 1024, 700, None),
        ),
        (
            mlflow("LLM", {"model": "gemini-2.5-pro"}, _GEMINIS_ANSWER,
                   {"input_tokens": 5000, "output_tokens": 400, "total_tokens": 5700, "cache_read_input_tokens": 2048}, **{"mlflow.llm.provider": "gemini"}),
            ("gcp.gemini", "gemini-2.5-pro", "gemini-2.5-pro", 5000, 2048, None, 700, 300),
        ),
        (
            mlflow("EMBEDDING", {"model": "text-embedding-3-small"}, {"model": "text-embedding-3-small", "usage": {"prompt_tokens": 800}}),
            ("openai", "text-embedding-3-small", "text-embedding-3-small", 800, None, None, None, None),
        ),
    ],
    ids=["openai", "anthropic", "gemini", "embeddings"],
)  # fmt: skip
def test_spans_that_mlflow_exports_are_calls(read: Any, given: dict[str, Any], row: tuple[Any, ...]) -> None:
    """They were structure: all calls of a company that exports by MLflow's SDK, or ingests its archive, were lost."""
    [found] = read(connector, request(span(1, attributes=given), scope="mlflow.tracing.provider")).calls.to_pylist()
    names = (
        "provider",
        "requested_model",
        "response_model",
        "input_tokens",
        "cache_read_tokens",
        "cache_write_tokens",
        "output_tokens",
        "reasoning_tokens",
    )
    assert tuple(found[name] for name in names) == row
    assert found["source_kind"] == "otlp.mlflow"


def test_what_mlflow_copies_of_a_request_is_no_metadata(read: Any) -> None:
    asked = {"model": "gpt-5", "messages": [{"role": "user", "content": "hi"}], "stream": True}
    copied = {"model": "gpt-5", "stream": True, "instructions": "secret words", "tools": [{"name": "f"}], "mlflow.message.format": "openai"}
    given = mlflow("CHAT_MODEL", asked, _OPENAI_ANSWER, **copied) | {"mlflow.traceTag.workflow": "fnol", "team": "claims"}
    batch = read(connector, request(span(1, attributes=given), scope="mlflow.tracing.provider"))
    [row] = batch.calls.to_pylist()
    assert dict(row["metadata"]) == {"workflow": "fnol", "team": "claims"}
    assert (row["workflow_id"], row["stream"], row["service_tier"], row["finish_reasons"]) == ("fnol", True, "flex", ["stop"])
    bodies = {body["kind"]: json.loads(body["body"]) for body in batch.content.to_pylist()}
    assert (bodies["input"]["messages"], bodies["output"]["message"]) == (asked["messages"], {"role": "assistant", "content": "42"})


def test_mlflows_spans_in_the_conventions_have_the_model_asked_for_and_a_provider(read: Any) -> None:
    """MLFLOW_ENABLE_OTEL_GENAI_SEMCONV: the model that answered stands as the one asked for, and OpenAI is not named."""
    given = USAGE | {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "gpt-5-2025-08-07",
        "model": '"gpt-5"',
        "instructions": '"secret words"',
    }
    [row] = read(connector, request(span(1, attributes=given), scope="mlflow.tracing.provider")).calls.to_pylist()
    assert (row["provider"], row["requested_model"], row["metadata"]) == ("openai", "gpt-5", [])


def test_an_mlflow_span_that_is_no_call_is_structure(read: Any) -> None:
    spans = [span(number, attributes={"mlflow.spanType": kind}) for number, kind in enumerate(('"AGENT"', ["LLM"], '{"LLM": 1}', ""), 1)]
    batch = read(connector, request(*spans, scope="mlflow.tracing.provider"))
    assert (batch.calls.num_rows, batch.rejected.num_rows, batch.spans.num_rows) == (0, 0, 4)


def braintrust(about: dict[str, Any], used: dict[str, Any], answer: Any = None, **more: Any) -> dict[str, Any]:
    found = {"braintrust.metadata": json.dumps(about), "braintrust.metrics": json.dumps(used)} | more
    return found | ({} if answer is None else {"braintrust.output_json": json.dumps(answer)})


_CHAT = {"provider": "openai", "endpoint": "/v1/chat/completions", "model": "gpt-4.1", "id": "chatcmpl-0123456789abcdef"}
_TOLD = [{"message": {"role": "assistant", "content": "hunter2"}}]


@pytest.mark.parametrize(
    ("given", "row"),
    [
        pytest.param(braintrust(_CHAT, {"prompt_tokens": 100, "completion_tokens": 20, "tokens": 120, "prompt_cached_tokens": 40,
                                        "completion_reasoning_tokens": 5, "time_to_first_token": 0.5}, _TOLD),
                     ("openai", "chat", 100, 40, None, 20, 5, "ok"), id="chat"),
        pytest.param(braintrust({"provider": "anthropic", "model": "claude-sonnet-4-5"},
                                {"prompt_tokens": 150, "completion_tokens": 20, "tokens": 170, "prompt_cached_tokens": 90, "prompt_cache_creation_tokens": 50},
                                _TOLD), ("anthropic", "chat", 150, 90, 50, 20, None, "ok"), id="messages"),
        pytest.param(braintrust({"provider": "gemini", "model": "gemini-2.5-pro"}, {"prompt_tokens": 100, "completion_tokens": 20, "tokens": 150,
                                                                                   "thoughts_token_count": 30}, {"responseId": "r"},
                                **{"braintrust.span_attributes": '{"type":"llm"}'}),
                     ("gcp.gemini", "chat", 100, None, None, 50, 30, "ok"), id="gemini"),
        pytest.param(braintrust({"provider": "openai", "model": "gpt-4.1"}, {"time_to_first_token": 0.1}),
                     ("openai", "chat", None, None, None, None, None, "error"), id="refused"),
    ],
)  # fmt: skip
def test_spans_of_braintrusts_sdks_are_calls(read: Any, given: dict[str, Any], row: tuple[Any, ...]) -> None:
    """They have no name of a convention: all calls were structure."""
    [found] = read(connector, request(span(1, attributes=given), scope="braintrust")).calls.to_pylist()
    names = (
        "provider",
        "operation",
        "input_tokens",
        "cache_read_tokens",
        "cache_write_tokens",
        "output_tokens",
        "reasoning_tokens",
        "status",
    )
    assert tuple(found[name] for name in names) == row


def test_what_braintrust_copies_of_a_request_is_no_metadata(read: Any) -> None:
    about = _CHAT | {
        "instructions": "hunter2",
        "tools": ["hunter2"],
        "systemInstruction": "hunter2",
        "workflow": "claims",
        "temperature": 0.5,
    }
    batch = read(connector, request(span(1, attributes=braintrust(about, {"prompt_tokens": 1, "completion_tokens": 1}, _TOLD))))
    [row] = batch.calls.to_pylist()
    assert (row["workflow_id"], row["provider_response_id"], dict(row["metadata"])) == ("claims", _CHAT["id"], {"workflow": "claims"})
    task = {"braintrust.span_attributes": '{"type":"task"}', "braintrust.metadata": json.dumps(about)}
    batch = read(connector, request(span(1, attributes=task)))
    assert (len(batch.calls), len(batch.spans)) == (0, 1)
    assert "hunter2" not in str(batch.spans.to_pylist())


def test_prompt_and_answer_of_braintrusts_spans(read: Any) -> None:
    asked = [{"role": "user", "content": "Which?"}]
    call = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    given = braintrust(
        _CHAT | {"temperature": 0.5}, {"prompt_tokens": 1, "completion_tokens": 1}, [{"message": {"content": "x", "tool_calls": [call]}}]
    )
    batch = read(connector, request(span(1, attributes=given | {"braintrust.input_json": json.dumps(asked)})), with_content=True)
    bodies = {row["kind"]: json.loads(row["body"]) for row in batch.content.to_pylist()}
    assert (bodies["input"]["messages"], bodies["input"]["params"]) == (asked, {"temperature": 0.5})
    assert bodies["output"]["message"] == {"role": "assistant", "content": "x", "tool_calls": [call]}


def test_what_langfuses_sdk_says_beside_tokens(read: Any) -> None:
    called = {"role": "assistant", "content": None, "tool_calls": CALLED["tool_calls"]}
    facts = generation(
        {"input": 10, "output": 2}, input=[{"role": "user", "content": "hi"}], output=called, cost_details={"input": 0.1, "total": 0.25},
        level="ERROR", status_message="Error code: 429 - slow", metadata__finish_reason='"stop"', metadata__workflow="claims", prompt__name="p",
        model__parameters={"temperature": 0.5, "max_tokens": "Infinity", "service_tier": "flex"}, completion_start_time='"2026-10-01T00:00:00Z"',
    )  # fmt: skip
    more = {"langfuse.environment": "prod", "session.id": "s1", "user.id": "u1", "langfuse.trace.metadata.tenant": "t1"}
    given = request(span(1, attributes=facts | more), scope="langfuse-sdk")
    batch = read(connector, given, with_content=True)
    [row] = batch.calls.to_pylist()
    assert (str(row["cost_amount"]), row["cost_source"], row["service_tier"]) == ("0.250000000000", "tool_estimate", "flex")
    assert (row["status"], row["http_status"], row["finish_reasons"], row["stream"]) == ("error", 429, ["stop"], True)
    assert (row["environment"], row["session_id"], row["end_user_id"], row["prompt_id"], row["workflow_id"]) == (
        "prod",
        "s1",
        "u1",
        "p",
        "claims",
    )
    assert dict(row["metadata"]) == {"workflow": "claims", "tenant": "t1", "deployment.environment": "prod"}
    bodies = {body["kind"]: json.loads(body["body"]) for body in batch.content.to_pylist()}
    assert bodies["input"]["messages"] == [{"role": "user", "content": "hi"}]
    assert bodies["input"]["params"] == {"temperature": 0.5, "service_tier": "flex", "stream": True}
    assert bodies["output"]["message"] == CALLED
    other = generation({"input": 1}, type="agent")
    batch = read(connector, request(span(1, attributes=other), span(2, attributes=generation({"input": 1})), scope="mine"))
    assert (len(batch.calls), len(batch.spans)) == (0, 2)


def test_what_gemini_thought_is_in_its_total_alone(read: Any) -> None:
    """OpenLLMetry leaves it out of the output and names it nowhere; it is billed as output."""
    counts = {"input_tokens": 5000, "output_tokens": 400, "total_tokens": 5700, "cache_read.input_tokens": 2048}
    facts = {f"gen_ai.usage.{name}": count for name, count in counts.items()}
    rows = [
        read(connector, request(span(1, attributes=CHAT | facts | {"gen_ai.provider.name": provider}))).calls.to_pylist()[0]
        for provider in ("gcp.gen_ai", "openai")
    ]
    assert [(row["input_tokens"], row["output_tokens"], row["reasoning_tokens"]) for row in rows] == [(5000, 700, None), (5000, 400, None)]


@pytest.mark.parametrize(("operation", "replayable"), [("chat", True), ("generate_content", True), ("embeddings", False)])
def test_what_can_be_asked_again(read: Any, operation: str, replayable: bool) -> None:
    """OpenTelemetry's name of Gemini's calls is a chat like the others."""
    facts = CHAT | {
        "gen_ai.operation.name": operation,
        "gen_ai.input.messages": '[{"role":"user","parts":[{"type":"text","content":"hi"}]}]',
    }
    [row] = read(connector, request(span(1, attributes=facts)), with_content=True).calls.to_pylist()
    assert (row["replayable"], row["replay_blockers"]) == (replayable, [] if replayable else ["not_chat"])


def test_a_price_of_nothing_beside_tokens_is_unknown(read: Any) -> None:
    """OpenLIT writes 0 for a model it does not know."""
    [row] = read(connector, request(span(1, attributes=CHAT | USAGE | {"gen_ai.usage.cost": 0}))).calls.to_pylist()
    assert (row["cost_amount"], row["cost_source"], row["cost_raw"]) == (None, "missing", "0")


def test_a_stream_under_logfire_is_one_call(counted: Any) -> None:
    """The span of the request knows no usage; a record beside it tells it when the stream has ended."""
    asked = {"logfire.span_type": "span", "request_data": json.dumps({"model": "gpt-4o", "stream": True})}
    ended = asked | {"logfire.span_type": "log"} | USAGE
    for status, found in ({}, {2: "counts"}), ({"status": {"code": 2}}, {1: "counts", 2: "counts"}):
        spans = span(1, 9, CHAT | asked, **status), span(2, 9, CHAT | ended)
        assert counted(*spans, together_only=True, scope="logfire.openai") == found


VERCEL = {
    "ai.model.provider": "openai.responses", "ai.model.id": "gpt-4o", "gen_ai.system": "openai.responses", "ai.usage.inputTokens": 1000,
    "ai.usage.outputTokens": 50, "ai.usage.totalTokens": 1050, "ai.usage.cachedInputTokens": 800, "ai.usage.reasoningTokens": 20,
}  # fmt: skip


def test_spans_of_the_ai_sdk_say_their_provider_cache_and_reasoning_and_count_once(read: Any, counted: Any) -> None:
    whole = span(1, attributes=VERCEL | {"ai.operationId": "ai.streamText"})
    step = span(2, 1, VERCEL | {"ai.operationId": "ai.streamText.doStream", "gen_ai.request.model": "gpt-4o"})
    [row] = read(connector, request(step)).calls.to_pylist()
    assert (row["provider"], row["provider_raw"]) == ("openai", "openai.responses")
    assert [row[f"{name}_tokens"] for name in ("input", "input_uncached", "cache_read", "output", "reasoning")] == [1000, 200, 800, 50, 20]
    assert row["usage_convention"] == "inclusive"
    assert counted(whole, step) == {1: "parent_rollup", 2: "counts"}
    assert counted(whole, span(2, 1, VERCEL | ANSWER | {"ai.operationId": "ai.streamText.doStream"})) == {1: "parent_rollup", 2: "counts"}


@pytest.mark.parametrize(
    ("raw", "name"),
    [("openai.chat", "openai"), ("anthropic.messages", "anthropic"), ("google.generative-ai", "gcp.gemini"), ("google.vertex.chat", "gcp.vertex_ai"),
     ("vertex.anthropic.messages", "gcp.vertex_ai"), ("amazon-bedrock", "aws.bedrock"), ("bedrock.anthropic.messages", "aws.bedrock"),
     ("azure.chat", "azure.ai.openai"), ("azure-openai.responses", "azure.ai.openai"), ("xai.chat", "x_ai"), ("mistral.chat", "mistral_ai"),
     ("Openai", "openai"), ("azure.ai.inference", "azure.ai.inference"), ("az.ai.inference", "azure.ai.inference"), ("gcp.gen_ai", "gcp.gen_ai"),
     ("ibm.watsonx.ai", "ibm.watsonx.ai"), ("my.openai", "my.openai"), ("", ""), ("google-gla", "gcp.gemini"), ("google-vertex", "gcp.vertex_ai"),
     ("google_genai", "gcp.gemini"), ("google_vertexai", "gcp.vertex_ai"), ("amazon_bedrock", "aws.bedrock"), ("azure_ai_inference", "azure.ai.inference"),
     ("sagemaker_chat", "aws.sagemaker"), ("anthropic_llm", "anthropic"), ("openai_responses_llm", "openai"), ("azure_openai_llm", "azure.ai.openai"),
     ("Bedrock_Converse_LLM", "aws.bedrock"), ("AzureOpenAI", "azure.ai.openai"), ("GoogleGenAI", "gcp.gemini"), ("BedrockConverse", "aws.bedrock")],
)  # fmt: skip
def test_a_provider_is_known_by_the_beginning_of_its_name(raw: str, name: str) -> None:
    assert provider_named(raw) == name


@pytest.mark.parametrize(
    ("model", "provider"),
    [("us.anthropic.claude-sonnet-4-20250514-v1:0", "aws.bedrock"), ("amazon.nova-pro-v1:0", "aws.bedrock"), ("openai/gpt-4.1", "openai"),
     ("arn:aws:bedrock:eu-west-1:1:inference-profile/eu.anthropic.claude-haiku-4-5", "aws.bedrock"), ("bedrock/anthropic.claude-3", "aws.bedrock"),
     ("claude-sonnet-4-5", "anthropic"), ("gpt-4.1-mini", "openai"), ("gemini-2.5-flash", "gcp.gemini"), ("vertex_ai/gemini-2.5-pro", "gcp.vertex_ai"),
     ("llama3.1", None), ("acme/our-model", None)],
)  # fmt: skip
@pytest.mark.parametrize("framework", ["strands-agents", "gcp.vertex.agent"])
def test_a_framework_is_no_provider(read: Any, framework: str, model: str, provider: str | None) -> None:
    facts = USAGE | {"gen_ai.operation.name": "chat", "gen_ai.system": framework, "gen_ai.request.model": model}
    [row] = read(connector, request(span(1, None, facts))).calls.to_pylist()
    assert (row["provider_raw"], row["provider"]) == (framework, provider)


HIDDEN = "AIzaHIDDEN"


@pytest.mark.parametrize("base", [CHAT | USAGE, {"gen_ai.operation.name": "execute_tool"}])
@pytest.mark.parametrize(
    "name", ["url.full", "url.query", "http.url", "http.target", "server.address", "gen_ai.openai.api_base", "my.endpoint", "note", "calls", "metadata",
             "metadata.requester_metadata", "traceloop.association.properties.callback", "exception.message", "error.message"],
)  # fmt: skip
@pytest.mark.parametrize(
    "address",
    [f"https://x.example/v1/models/gemini:generate?alt=sse&key={HIDDEN}", f"https://user:{HIDDEN}@x.example/v1", f"https://{HIDDEN}@x.example:8443",
     f"postgresql+psycopg://u:p@{HIDDEN}@x.example/db", f"https://x.example/#{HIDDEN}", f"see https://x.example/a?k={HIDDEN}, twice https://x.example/b?k={HIDDEN}"],
)  # fmt: skip
def test_a_key_in_an_address_is_kept_nowhere(read: Any, base: dict[str, Any], name: str, address: str) -> None:
    said = {"metadata": json.dumps({"a": {"b": [address]}})}.get(name, [address] if name == "calls" else address)
    failed = {"status": {"code": 2, "message": address}}
    batch = read(
        connector, request(span(1, attributes=base | {name: said}, **failed) | {"name": f"GET {address}"}, resource={"deploy.url": address})
    )
    for table in (batch.calls, batch.spans):
        assert HIDDEN not in str(table.to_pylist())
    assert "x.example" in str(batch.calls.to_pylist() + batch.spans.to_pylist())


@pytest.mark.parametrize(
    ("name", "given", "kept"),
    [("http.target", f"/v1/models?key={HIDDEN}", "/v1/models"), ("server.address", f"u:{HIDDEN}@x.example", "x.example"),
     ("note", f"POST /v1/x?key={HIDDEN} now", "POST /v1/x now"), ("email.address", "dana@acme.example", "dana@acme.example"), ("note", "a/b? #1 c#", "a/b? #1 c#"),
     ("url.full", "https://x.example/v1", "https://x.example/v1"), ("url.query", f"key={HIDDEN}", None), ("db.query", "select ?", "select ?"), ("n", 5, 5)],
)  # fmt: skip
def test_what_is_kept_of_an_address(name: str, given: Any, kept: Any) -> None:
    assert bare_attribute(name, given) == kept


def test_a_stream_without_usage_is_unknown(read: Any) -> None:
    row = read(connector, request(span(1, attributes=CHAT | ANSWER | {"gen_ai.request.stream": True}))).calls.to_pylist()[0]
    assert (row["input_tokens"], row["output_tokens"], row["usage_source"], row["status"]) == (None, None, "missing", "ok")


def test_two_views_of_one_answer_count_once(counted: Any) -> None:
    sibling = counted(span(1), span(2, 1, CHAT | USAGE | ANSWER), span(3, 1, CHAT | USAGE | ANSWER))
    child = counted(span(2, 1, CHAT | USAGE | ANSWER), span(3, 2, CHAT | USAGE | ANSWER))
    for found in (sibling, child):
        assert sorted(found.values()) == ["counts", "duplicate_instrumentation"]


def test_the_view_that_knows_more_wins_among_equals(read: Any, merged: Any) -> None:
    known = USAGE | {"gen_ai.usage.cache_read.input_tokens": 50}
    rows = merged(read(connector, request(span(2, 1, CHAT | USAGE | ANSWER), span(3, 1, CHAT | known | ANSWER))).calls)
    assert [r["cache_read_tokens"] for r in rows.to_pylist() if r["cost_bearing"]] == [50]


def test_a_wrapper_without_an_answer_id_gives_way_to_the_call_inside(counted: Any) -> None:
    wrapper = {
        "openinference.span.kind": "LLM",
        "llm.model_name": "gpt-4o",
        "llm.token_count.prompt": 100,
        "llm.token_count.completion": 10,
    }
    assert counted(span(1, None, wrapper), span(2, 1, CHAT | USAGE | ANSWER)) == {1: "wrapper_span", 2: "counts"}
    assert counted(span(1, None, wrapper), span(2, 1, wrapper)) == {1: "wrapper_span", 2: "counts"}


def test_calls_side_by_side_under_one_workflow_all_count(counted: Any) -> None:
    """The parent they name claims no call, so nothing is pushed out; equal token counts do not make two calls one."""
    anonymous = CHAT | USAGE
    found = counted(span(1), span(2, 1, anonymous), span(3, 1, anonymous), span(4, 1, anonymous | ANSWER))
    assert set(found.values()) == {"counts"}


def test_an_agent_span_with_the_sum_of_its_calls(counted: Any) -> None:
    agent = {"gen_ai.operation.name": "invoke_agent", "gen_ai.usage.input_tokens": 200, "gen_ai.usage.output_tokens": 20}
    found = counted(span(1, None, agent), span(2, 1, CHAT | USAGE), span(3, 1, CHAT | USAGE))
    assert found == {1: "parent_rollup", 2: "counts", 3: "counts"}


def test_an_agent_span_further_up_in_the_same_window(counted: Any) -> None:
    agent = {"gen_ai.operation.name": "invoke_agent", "gen_ai.usage.input_tokens": 100, "gen_ai.usage.output_tokens": 10}
    found = counted(span(1, None, agent), span(2, 1), span(3, 2), span(4, 3, CHAT | USAGE), together_only=True)
    assert found == {1: "parent_rollup", 4: "counts"}


def test_an_agent_span_alone_is_the_call(counted: Any) -> None:
    agent = {"gen_ai.operation.name": "invoke_agent", "gen_ai.usage.input_tokens": 100, "gen_ai.usage.output_tokens": 10}
    assert counted(span(1, None, agent), span(2, 1)) == {1: "counts"}


def test_calls_without_usage_inside_a_span_with_usage(counted: Any) -> None:
    agent = {"gen_ai.operation.name": "invoke_agent", "gen_ai.usage.input_tokens": 100, "gen_ai.usage.output_tokens": 10}
    assert counted(span(1, None, agent), span(2, 1, CHAT)) == {1: "counts", 2: "duplicate_instrumentation"}
    found = counted(span(1, None, agent), span(2, 1, CHAT), span(3, 1, CHAT | USAGE))
    assert found == {1: "parent_rollup", 2: "counts", 3: "counts"}


def test_an_agent_with_a_sum_gives_way_through_a_view_without_usage(counted: Any) -> None:
    """The wrapper counts nothing itself; the call inside it does, so that the agent's sum is no second cost."""
    agent = {"gen_ai.operation.name": "invoke_agent", "gen_ai.usage.input_tokens": 100, "gen_ai.usage.output_tokens": 10}
    for wrapper in (CHAT, CHAT | ANSWER):
        found = counted(span(1, None, agent), span(2, 1, wrapper), span(3, 2, CHAT | USAGE | ANSWER))
        assert found[1] == "parent_rollup"
        assert sorted(found.values(), key=lambda one: one == "counts")[1:] in (
            ["wrapper_span", "counts"],
            ["duplicate_instrumentation", "counts"],
        )


def test_a_view_without_an_id_between_two_of_one_answer_costs_the_call_nothing(counted: Any) -> None:
    found = counted(span(1, None, CHAT | USAGE | ANSWER), span(2, 1, CHAT | USAGE), span(3, 2, CHAT | USAGE | ANSWER))
    assert sorted(found.values()) == ["counts", "duplicate_instrumentation", "wrapper_span"]


def test_a_view_without_an_id_inside_one_that_has_it(counted: Any) -> None:
    assert counted(span(1, None, CHAT | USAGE | ANSWER), span(2, 1, CHAT | USAGE)) == {1: "wrapper_span", 2: "counts"}


def test_of_two_views_of_an_answer_the_one_that_counted_carries_it(read: Any, merged: Any) -> None:
    other = {"openinference.span.kind": "LLM", "llm.model_name": "gpt-4o", "output.value": json.dumps({"id": ANSWER["gen_ai.response.id"]})}
    counts = other | {"llm.token_count.prompt": 100, "llm.token_count.completion": 10}
    rows = merged(read(connector, request(span(1, None, counts), span(2, 1, CHAT | ANSWER))).calls).to_pylist()
    assert [(row["source_kind"], row["input_tokens"]) for row in rows if row["cost_bearing"]] == [("otlp.openinference", 100)]


def test_a_tool_that_asks_a_model_is_a_call_of_its_own(counted: Any) -> None:
    other = {"gen_ai.response.id": "chatcmpl-fedcba9876543210"}
    assert counted(span(1, None, CHAT | USAGE | ANSWER), span(2, 1, CHAT | USAGE | other)) == {1: "counts", 2: "counts"}


def test_an_answer_that_openinference_recorded_has_its_id_in_any_place(read: Any) -> None:
    """Of a stream its instrumentation of OpenAI's SDK puts the choices first; such a call and the gateway's record of it were two."""
    answer = {"choices": [{"message": {"content": 'say "id"'}}], "id": "chatcmpl-" + "7" * 20, "usage": {}}
    facts = {"openinference.span.kind": "LLM", "llm.token_count.prompt": 5}
    for text, known in ((json.dumps(answer), answer["id"]), ('{"choices": [{"id"', None), ('[{"id": "x"}]', None)):
        [row] = read(connector, request(span(1, attributes=facts | {"output.value": text}))).calls.to_pylist()
        assert row["provider_response_id"] == known


def test_openinference_under_the_conventions_names_asked_for_what_was_asked_for(read: Any) -> None:
    """There it writes the model that answered as gen_ai.request.model."""
    facts = {
        "openinference.span.kind": "LLM", "llm.model_name": "gpt-5-2026-01-01", "gen_ai.request.model": "gpt-5-2026-01-01",
        "gen_ai.operation.name": "chat", "llm.token_count.prompt": 5,
    }  # fmt: skip
    asked = ({"llm.invocation_parameters": '{"model": "gpt-5"}'}, {"llm.request.model_name": "gpt-5"}, {})
    rows = [read(connector, request(span(1, attributes=facts | one))).calls.to_pylist()[0] for one in asked]
    assert [(row["requested_model"], row["response_model"]) for row in rows] == [
        ("gpt-5", "gpt-5-2026-01-01"), ("gpt-5", "gpt-5-2026-01-01"), ("gpt-5-2026-01-01", "gpt-5-2026-01-01"),
    ]  # fmt: skip


def test_short_answer_ids_join_only_inside_their_trace(read: Any, merged: Any) -> None:
    local = {"gen_ai.response.id": "chatcmpl-845"}
    one, two = span(1, None, CHAT | USAGE | local), span(2, None, CHAT | USAGE | local) | {"traceId": "f" * 32}
    assert merged(read(connector, request(one, two)).calls)["cost_bearing"].to_pylist() == [True, True]


def test_parents_in_a_circle_end(read: Any) -> None:
    assert len(read(connector, request(span(1, 2, CHAT), span(2, 1), span(3, 3, CHAT | USAGE))).calls) == 2


def test_the_gateways_own_record_outranks_the_clients_span(read: Any, merged: Any) -> None:
    """App with an instrumented SDK -> LiteLLM: the answer's id joins them, in any order of arrival."""
    payload = next(
        json.loads(line)
        for line in (FIXTURES / "litellm_generic_api.jsonl").read_text().splitlines()
        if '"cache_hit": null' in line and '"status": "success"' in line
    )
    client = read(connector, request(span(1, None, CHAT | USAGE | {"gen_ai.response.id": payload["id"]}))).calls
    gateway = read(litellm, json.dumps(payload).encode()).calls
    for tables in ((client, gateway), (gateway, client)):
        rows = merged(*tables).to_pylist()
        assert {r["source_kind"]: r["exclusion_reason"] for r in rows} == {"otlp.gen_ai": "superseded", "litellm.generic_api": None}


def test_gateway_spans_without_an_operation_are_structure(read: Any) -> None:
    helper = {"gen_ai.request.model": "gpt-4o", "litellm.service.name": "postgres"}
    batch = read(connector, request(span(1, None, helper), scope="litellm"))
    assert (len(batch.calls), len(batch.spans)) == (0, 1)


@pytest.mark.parametrize(
    ("facts", "tier"),
    [
        ({"output.value": '{"usage": {"speed": "fast", "service_tier": "standard"}}'}, "fast"),
        ({"output.value": '{"service_tier": "priority", "usage": {}}'}, "priority"),
        (
            {"output.value": '{"usage": {"speed": "standard", "service_tier": "batch"}}', "llm.invocation_parameters": '{"speed": "fast"}'},
            "batch",
        ),
        ({"llm.invocation_parameters": '{"speed": "fast"}'}, "fast"),
        ({"gen_ai.request.speed": "fast", "anthropic.response.service_tier": "standard"}, "fast"),
        ({"llm.invocation_parameters": '{"speed": 1.25}', "input.value": '"speed"'}, None),
        ({"ai.response.providerMetadata": '{"anthropic": {"usage": {"speed": "fast"}}, "gateway": null}'}, "fast"),
        ({"ai.response.providerMetadata": '{"openai": {"serviceTier": "flex"}}'}, "flex"),
        ({"openai.response.service_tier": "priority", "output.value": '{"service_tier": "default"}'}, "priority"),
        ({"output.value": '{"service_tier": 5, "usage": ["speed"]}'}, None),
    ],
)
def test_the_tier_of_an_answer(read: Any, facts: dict[str, Any], tier: str | None) -> None:
    row = read(connector, request(span(1, None, CHAT | USAGE | facts))).calls.to_pylist()[0]
    assert row["service_tier"] == tier


def test_what_openrouter_was_asked_to_serve_fast_has_its_tier(read: Any) -> None:
    """Its Broadcast has the request that was sent, and no usage as Anthropic writes it."""
    facts = CHAT | USAGE | {"gen_ai.prompt": '{"messages": []}', "gen_ai.completion": '{"rawRequest": {"speed": "fast"}}'}
    row = read(connector, request(span(1, None, facts), resource={"service.name": "openrouter"})).calls.to_pylist()[0]
    assert (row["gateway_kind"], row["service_tier"]) == ("openrouter", "fast")


@pytest.mark.parametrize("operation", ["call_mcp_tool", "list_mcp_tools", "execute_tool"])
def test_a_tool_that_litellm_called_is_structure(read: Any, operation: str) -> None:
    facts = {"gen_ai.operation.name": operation, "gen_ai.request.model": "MCP: read_page", "litellm.call_id": "c1"}
    batch = read(connector, request(span(1, None, facts), scope="litellm"))
    assert (batch.calls.num_rows, [row["kind"] for row in batch.spans.to_pylist()]) == (0, ["tool"])


def test_a_gateway_span_that_flags_its_cache_hit(read: Any) -> None:
    facts = CHAT | USAGE | ANSWER | {"litellm.call_id": "c1", "litellm.cache_hit": "True", "litellm.cost.total": 0.25}
    row = read(connector, request(span(1, None, facts), scope="litellm")).calls.to_pylist()[0]
    assert (row["gateway_cache"], row["dup_group_key"]) == ("hit_exact", "litellm:c1:ok:chatcmpl-0123456789abcdef")


def test_older_names_still_mean_the_same(read: Any) -> None:
    old = {
        "gen_ai.system": "az.ai.openai",
        "llm.request.type": "chat",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.usage.prompt_tokens": 100,
        "gen_ai.usage.completion_tokens": 10,
        "gen_ai.prompt.0.role": "user",
        "gen_ai.prompt.0.content": "hello",
        "gen_ai.completion.0.role": "assistant",
        "gen_ai.completion.0.content": "hi",
        "gen_ai.completion.0.finish_reason": "stop",
    }
    batch = read(connector, request(span(1, None, old)))
    row = batch.calls.to_pylist()[0]
    assert (row["provider"], row["operation"], row["input_tokens"], row["output_tokens"]) == ("azure.ai.openai", "chat", 100, 10)
    bodies = {c["kind"]: json.loads(c["body"]) for c in batch.content.to_pylist()}
    assert bodies["input"]["messages"] == [{"role": "user", "content": "hello"}]
    assert bodies["output"]["message"] == {"role": "assistant", "content": "hi"}


def test_messages_with_tool_calls_become_what_a_replay_sends(read: Any) -> None:
    given = [
        {"role": "user", "parts": [{"type": "text", "content": "weather?"}]},
        {"role": "assistant", "parts": [{"type": "tool_call", "id": "t1", "name": "w", "arguments": {"city": "Oslo"}}]},
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "t1", "response": "rain"}]},
    ]
    facts = CHAT | {
        "gen_ai.input.messages": json.dumps(given),
        "gen_ai.system_instructions": json.dumps([{"type": "text", "content": "short"}]),
    }
    batch = read(connector, request(span(1, None, facts | {"gen_ai.request.temperature": 0.5})))
    assert json.loads(batch.content.to_pylist()[0]["body"]) == {
        "messages": [
            {"role": "system", "content": "short"},
            {"role": "user", "content": "weather?"},
            {
                "role": "assistant",
                "tool_calls": [{"id": "t1", "type": "function", "function": {"name": "w", "arguments": '{"city": "Oslo"}'}}],
            },
            {"role": "tool", "tool_call_id": "t1", "content": "rain"},
        ],
        "params": {"temperature": 0.5},
        "tools": [],
    }
    assert batch.calls["replayable"].to_pylist() == [True]


PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUFB"}}
LOOK = {"type": "text", "text": "look"}


def genai(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"gen_ai.input.messages": json.dumps([{"role": "user", "parts": [{"type": "text", "content": "look"}, *parts]}])}


def inference(**part: str) -> dict[str, Any]:
    place = "llm.input_messages.0.message.contents"
    named = {f"{place}.1.message_content.{name.replace('__', '.')}": said for name, said in part.items()}
    return {f"{place}.0.message_content.type": "text", f"{place}.0.message_content.text": "look"} | named


def ai_sdk(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"ai.prompt.messages": json.dumps([{"role": "user", "content": [LOOK, *parts]}])}


@pytest.mark.parametrize(
    ("given", "said", "blockers"),
    [
        (genai({"type": "blob", "modality": "image", "mime_type": "image/png", "content": "QUFB"}), [LOOK, PICTURE], []),
        (genai({"type": "uri", "modality": "image", "uri": PICTURE["image_url"]["url"]}), [LOOK, PICTURE], []),
        (
            genai({"type": "blob", "modality": "audio", "mime_type": "audio/wav", "content": "QUFB"}),
            [LOOK, {"type": "missing"}],
            ["media_missing"],
        ),
        (genai({"type": "file", "modality": "image", "file_id": "f-1"}), [LOOK, {"type": "missing"}], ["media_missing"]),
        (genai({"type": "reasoning", "content": "hm"}), "look", []),
        (inference(type="image", image__image__url=PICTURE["image_url"]["url"]), [LOOK, PICTURE], []),
        (inference(type="image", image__image__url="__REDACTED__"), [LOOK, {"type": "missing"}], ["media_missing"]),
        (inference(type="audio"), [LOOK, {"type": "missing"}], ["media_missing"]),
        (inference(type="text", text=" here"), "look here", []),
        (ai_sdk({"type": "file", "mediaType": "image/png", "data": "QUFB"}), [LOOK, PICTURE], []),
        (ai_sdk({"type": "image", "image": PICTURE["image_url"]["url"]}), [LOOK, PICTURE], []),
        (ai_sdk({"type": "file", "mediaType": "application/pdf", "data": "QUFB"}), [LOOK, {"type": "missing"}], ["media_missing"]),
        ({"gen_ai.prompt.0.role": "user", "gen_ai.prompt.0.content": json.dumps([LOOK, PICTURE])}, [LOOK, PICTURE], []),
        ({"gen_ai.prompt.0.role": "user", "gen_ai.prompt.0.content": '[{"a": 1}]'}, '[{"a": 1}]', []),
        ({"input.value": json.dumps({"messages": ["odd", {"role": "user", "content": "look"}]})}, "look", []),
    ],
)
def test_a_picture_is_kept_and_what_is_missing_is_not_replayed(read: Any, given: dict[str, Any], said: Any, blockers: list[str]) -> None:
    batch = read(connector, request(span(1, None, CHAT | given)))
    [row] = batch.calls.to_pylist()
    assert json.loads(batch.content.to_pylist()[0]["body"])["messages"][-1]["content"] == said
    assert (row["replayable"], row["replay_blockers"], row["content_state"]) == (not blockers, blockers, "full")


def event(name: str, **facts: str) -> dict[str, Any]:
    return {"name": name, "attributes": [{"key": key.replace("__", "."), "value": value(given)} for key, given in facts.items()]}


CALLED = {"role": "assistant", "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"q": "x"}'}}]}


@pytest.mark.parametrize(
    ("events", "messages", "answer"),
    [
        # Strands: Converse's blocks as text
        (
            [
                event("gen_ai.system.message", content='[{"text": "be"}, {"cachePoint": {"type": "default"}}]'),
                event("gen_ai.user.message", content='[{"text": "hi"}]'),
                event("gen_ai.assistant.message", content='[{"reasoningContent": {}}, {"toolUse": {"toolUseId": "c1", "name": "f", "input": {"q": "x"}}}]'),
                event("gen_ai.tool.message", content='[{"toolResult": {"toolUseId": "c1", "content": [{"text": "r"}, {"json": {"n": 1}}]}}]'),
                event("gen_ai.choice", message='[{"text": "hello"}]', finish_reason="end_turn"),
            ],
            [
                {"role": "system", "content": "be"}, {"role": "user", "content": "hi"}, CALLED,
                {"role": "tool", "tool_call_id": "c1", "content": 'r{"n": 1}'},
            ],
            ({"role": "assistant", "content": "hello"}, "end_turn"),
        ),
        # Azure AI Inference: the message itself
        (
            [
                event("gen_ai.user.message", gen_ai__system="az.ai.inference", gen_ai__event__content='{"role": "user", "content": "hi"}'),
                event("gen_ai.choice", gen_ai__event__content=json.dumps({"message": CALLED, "finish_reason": "tool_calls"})),
            ],
            [{"role": "user", "content": "hi"}],
            (CALLED, "tool_calls"),
        ),
        # the current conventions
        (
            [
                event("gen_ai.client.inference.operation.details", gen_ai__input__messages='[{"role":"user","parts":[{"type":"text","content":"hi"}]}]'),
                event("gen_ai.client.inference.operation.details", gen_ai__output__messages='[{"role":"assistant","parts":[{"type":"text","content":"yo"}]}]'),
            ],
            [{"role": "user", "content": "hi"}],
            ({"role": "assistant", "content": "yo"}, None),
        ),
        # plain text, and JSON that is what a person wrote
        (
            [event("gen_ai.user.message", content="hi"), event("gen_ai.user.message", content='[{"n": 1}]')],
            [{"role": "user", "content": "hi"}, {"role": "user", "content": '[{"n": 1}]'}],
            None,
        ),
    ],
    ids=["strands", "azure", "details", "plain"],
)  # fmt: skip
def test_messages_in_events_of_a_span(read: Any, events: list[Any], messages: list[Any], answer: Any) -> None:
    batch = read(connector, request(span(1, None, CHAT, events=events)), with_content=True)
    bodies = {body["kind"]: json.loads(body["body"]) for body in batch.content.to_pylist()}
    assert bodies["input"]["messages"] == messages
    assert (bodies["output"]["message"], bodies["output"]["finish_reason"]) == answer if answer else "output" not in bodies
    [row] = batch.calls.to_pylist()
    assert (row["replayable"], row["finish_reasons"]) == (True, [answer[1]] if answer and answer[1] else None)


def test_a_picture_in_an_event_is_missing(read: Any) -> None:
    seen = [event("gen_ai.user.message", content='[{"text": "what?"}, {"image": {"format": "png"}}]')]
    [row] = read(connector, request(span(1, None, CHAT, events=seen)), with_content=True).calls.to_pylist()
    assert (row["replayable"], row["replay_blockers"]) == (False, ["media_missing"])


@pytest.mark.parametrize(
    "given",
    [
        {"system": "Be brief.", "messages": [{"role": "user", "content": "Why?"}]},
        {"instructions": "Be brief.", "input": [{"role": "user", "content": "Why?"}]},
        {"instructions": "Be brief.", "input": "Why?"},
    ],
)
def test_a_system_prompt_beside_the_messages_is_kept(read: Any, given: dict[str, Any]) -> None:
    batch = read(connector, request(span(1, None, CHAT | {"input.value": json.dumps(given)})), with_content=True)
    [asked] = [json.loads(one["body"]) for one in batch.content.to_pylist() if one["kind"] == "input"]
    assert asked["messages"] == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"}]


@pytest.mark.parametrize("prefix", ["ai.telemetry.metadata.", "ai.settings.context."])
def test_what_the_caller_of_the_ai_sdk_says(read: Any, prefix: str) -> None:
    said = {"workflow": "fnol-triage", "data_class": "confidential", "userId": "u-1", "sessionId": "s-1", "apiKey": "hunter2"}
    facts = VERCEL | {"ai.operationId": "ai.streamText.doStream", "ai.telemetry.functionId": "triage", "ai.response.msToFirstChunk": 123.5}
    [row] = read(connector, request(span(1, None, facts | {prefix + name: value for name, value in said.items()}))).calls.to_pylist()
    columns = ("workflow_id", "workflow_step", "data_class", "end_user_id", "session_id", "stream", "ttft_ms")
    assert tuple(row[name] for name in columns) == ("fnol-triage", "triage", "confidential", "u-1", "s-1", True, 123.5)
    assert dict(row["metadata"])["workflow"] == "fnol-triage"
    assert "hunter2" not in str(row)


def test_a_time_to_the_first_chunk_is_of_a_stream(read: Any) -> None:
    """Version 7 of the AI SDK says in no other way that it streamed."""
    first_chunk = {"gen_ai.client.operation.time_to_first_chunk": 0.25, "gen_ai.client.operation.duration": 1.5}
    facts = (CHAT | ANSWER | first_chunk, CHAT | ANSWER)
    rows = [read(connector, request(span(1, attributes=one))).calls.to_pylist()[0] for one in facts]
    assert [(row["stream"], row["ttft_ms"]) for row in rows] == [(True, 250.0), (None, None)]


def test_the_ai_sdk_knows_its_call_at_the_gateway(read: Any, merged: Any) -> None:
    told = {
        "gateway": {"generationId": "gen_01ARZ3NDEKTSV4RRFFQ69G5FAV", "routing": {"finalProvider": "vertexAnthropic"}, "cost": "0.0012"}
    }
    facts = {
        "ai.operationId": "ai.generateText.doGenerate", "ai.model.provider": "gateway", "ai.model.id": "anthropic/claude-sonnet-4.5",
        "gen_ai.response.id": "msg_01ABCDEFGHIJKLMNOPQRS", "ai.usage.inputTokens": 100, "ai.usage.outputTokens": 20,
        "ai.response.providerMetadata": json.dumps(told),
    }  # fmt: skip
    calls = read(connector, request(span(1, None, facts))).calls
    [row] = calls.to_pylist()
    assert (row["provider"], row["requested_model"]) == ("gcp.vertex_ai", "anthropic/claude-sonnet-4.5")
    billed = {
        "id": told["gateway"]["generationId"], "total_cost": 0.0012, "created_at": "2026-11-20T00:00:00Z", "model": "anthropic/claude-sonnet-4.5",
        "is_byok": False, "provider_name": "vertexAnthropic", "native_tokens_prompt": 100, "native_tokens_completion": 20,
    }  # fmt: skip
    together = merged(calls, read(vercel, json.dumps({"data": billed}).encode()).calls).to_pylist()
    assert {one["source_kind"]: one["cost_bearing"] for one in together} == {"otlp.gen_ai": False, "vercel.generation": True}
    for odd in ("[]", '{"gateway": 1}', '{"gateway": {"generationId": 5, "routing": []}}', "{"):
        [row] = read(connector, request(span(1, None, facts | {"ai.response.providerMetadata": odd}))).calls.to_pylist()
        assert (row["provider"], row["provider_response_id"]) == ("gateway", "msg_01ABCDEFGHIJKLMNOPQRS")


def test_prompts_and_answers_of_the_ai_sdk(read: Any) -> None:
    asked = [
        {"role": "system", "content": "short"},
        {"role": "user", "content": [{"type": "text", "text": "weather?"}]},
        {"role": "assistant", "content": [{"type": "reasoning", "text": "hm"}, {"type": "tool-call", "toolCallId": "t1", "toolName": "w", "input": {"city": "Oslo"}}]},
        {"role": "tool", "content": [{"type": "tool-result", "toolCallId": "t1", "toolName": "w", "output": {"type": "json", "value": {"rain": True}}}]},
    ]  # fmt: skip
    facts = VERCEL | {
        "ai.operationId": "ai.generateText.doGenerate", "ai.prompt.messages": json.dumps(asked), "gen_ai.request.temperature": 0.5,
        "ai.prompt.tools": [json.dumps({"type": "function", "name": "w", "inputSchema": {"type": "object"}})], "ai.response.text": "",
        "ai.response.toolCalls": json.dumps([{"toolCallId": "t2", "toolName": "w", "input": "{}"}]), "ai.response.finishReason": "tool-calls",
    }  # fmt: skip
    batch = read(connector, request(span(1, None, facts)))
    bodies = {one["kind"]: json.loads(one["body"]) for one in batch.content.to_pylist()}
    assert bodies["input"] == {
        "messages": [
            {"role": "system", "content": "short"},
            {"role": "user", "content": "weather?"},
            {
                "role": "assistant",
                "tool_calls": [{"id": "t1", "type": "function", "function": {"name": "w", "arguments": '{"city": "Oslo"}'}}],
            },
            {"role": "tool", "tool_call_id": "t1", "content": '{"rain": true}'},
        ],
        "params": {"temperature": 0.5},
        "tools": [{"type": "function", "function": {"name": "w", "description": None, "parameters": {"type": "object"}}}],
    }
    call = {"id": "t2", "type": "function", "function": {"name": "w", "arguments": "{}"}}
    assert bodies["output"]["message"] == {"role": "assistant", "content": None, "tool_calls": [call]}
    assert batch.calls["replayable"].to_pylist() == [True]


@pytest.mark.parametrize("usage", [{}, USAGE])  # a sum makes the span around a row of its own
def test_workflow_session_and_user_come_from_the_spans_around(read: Any, usage: dict[str, int]) -> None:
    outer = usage | {"gen_ai.operation.name": "invoke_workflow", "gen_ai.workflow.name": "fnol", "session.id": "s1", "user.id": "u1"}
    row = read(connector, request(span(1, None, outer), span(2, 1), span(3, 2, CHAT | {"user.id": "own"}))).calls.to_pylist()[-1]
    assert (row["workflow_id"], row["session_id"], row["end_user_id"]) == ("fnol", "s1", "own")
    assert dict(row["metadata"])["workflow"] == "fnol"


def test_python_text_in_metadata_is_read_and_never_run(read: Any) -> None:
    facts = CHAT | {"metadata.spend_logs_metadata": "{'workflow_id': 'wf-17'}", "metadata.requester_metadata": "__import__('os').abort()"}
    row = read(connector, request(span(1, None, facts), scope="litellm")).calls.to_pylist()[0]
    assert (row["workflow_id"], dict(row["metadata"])) == ("wf-17", {"workflow_id": "wf-17"})


def test_structure_keeps_no_content(read: Any) -> None:
    facts = {
        "openinference.span.kind": "TOOL",
        "input.value": "hunter2",
        "output.value": "hunter2",
        "tool.name": "lookup",
        "secret": "hunter2",
    }
    found = read(connector, request(span(1, None, facts))).spans.to_pylist()[0]
    assert (found["kind"], json.loads(found["attributes"])["tool.name"]) == ("tool", "lookup")
    assert "hunter2" not in str(found)


@pytest.mark.parametrize("base", [CHAT | USAGE, {"gen_ai.operation.name": "execute_tool"}])
@pytest.mark.parametrize(
    "name", ["reranker.query", "ai.value", "ai.values", "ai.result.text", "gen_ai.retrieval.query.text", "gen_ai.memory.query.text", "pydantic_ai.all_messages",
             "model_request_parameters",
             "all_messages_events", "events", "final_result", "tool_arguments", "gcp.vertex.agent.llm_request", "genkit:input", "lk.user_input",
             "langfuse.observation.input", "langfuse.trace.output", "mlflow.spanInputs", "request_data", "response_data", "span.input", "trace.output",
             "user_prompt", "new_context", "response.model_output", "braintrust.input_json", "haystack.pipeline.output_data", "gen_ai.content.prompt",
             "SpanAttributes.LLM_PROMPTS.0.content", "llm.gemini.contents", "llm.azure.messages", "llm.vertex_ai.choices"],
)  # fmt: skip
def test_prompts_under_a_frameworks_own_name_are_no_metadata(read: Any, base: dict[str, Any], name: str) -> None:
    batch = read(connector, request(span(1, None, base | {name: "hunter2", "events.seen": "3"})))
    assert len(batch.calls) + len(batch.spans) == 1
    assert "hunter2" not in str(batch.calls.to_pylist() + batch.spans.to_pylist())
    assert "events.seen" in str(batch.calls.to_pylist() + batch.spans.to_pylist())


@pytest.mark.parametrize(
    ("kind", "operation"),
    [("acompletion", "chat"), ("aembedding", "embeddings"), ("aresponses", "responses"), ("call_mcp_tool", None), (None, None)],
)
def test_spans_of_older_litellm_are_calls_by_their_request_type(read: Any, kind: str | None, operation: str | None) -> None:
    """Up to 1.75 at least it writes no operation: all calls of such a proxy were structure."""
    facts = {
        "gen_ai.request.model": "gpt-4.1",
        "gen_ai.system": "Unknown",
        "gen_ai.usage.prompt_tokens": 100,
        "gen_ai.usage.completion_tokens": 10,
    }
    batch = read(connector, request(span(1, None, facts | ({"llm.request.type": kind} if kind else {})), scope="litellm"))
    assert [(row["operation"], row["provider"], row["input_tokens"]) for row in batch.calls.to_pylist()] == (
        [(operation, "openai", 100)] if operation else []
    )


def test_a_reranker_names_its_model_and_bedrock_is_one_provider(read: Any) -> None:
    facts = {"openinference.span.kind": "RERANKER", "reranker.model_name": "cohere.rerank-v3-5:0", "llm.provider": "aws"}
    [row] = read(connector, request(span(1, None, facts))).calls.to_pylist()
    assert (row["operation"], row["requested_model"], row["provider"]) == ("rerank", "cohere.rerank-v3-5:0", "aws.bedrock")


def test_failures_say_what_failed(read: Any) -> None:
    event = {"name": "exception", "attributes": [{"key": "exception.type", "value": {"stringValue": "openai.RateLimitError"}}]}
    failed = span(1, None, CHAT, status={"code": "STATUS_CODE_ERROR", "message": "Error code: 429 - slow down"}, events=[event])
    row = read(connector, request(failed)).calls.to_pylist()[0]
    assert (row["status"], row["http_status"], row["error_type"]) == ("error", 429, "openai.RateLimitError")
    assert row["error_message"] == "Error code: 429 - slow down"


BROADCAST = {
    "gen_ai.operation.name": "chat", "gen_ai.system": "deepseek", "gen_ai.provider.name": "deepseek", "gen_ai.request.model": "deepseek/deepseek-v4-flash",
    "gen_ai.response.id": "gen-1795228000-n7uDHd8YKPC2n9oilLV3", "gen_ai.response.finish_reason": "stop", "gen_ai.usage.input_tokens": 1000,
    "gen_ai.usage.output_tokens": 236, "gen_ai.usage.input_tokens.cached": 400, "gen_ai.usage.input_tokens.cache_write": 100,
    "gen_ai.usage.output_tokens.reasoning": 101, "gen_ai.usage.input_cost": 0.0000035, "gen_ai.usage.output_cost": 0.00006608,
    "gen_ai.usage.total_cost": 0.00006958, "user.id": "user-9", "trace.metadata.openrouter.api_key_name": "claims-prod",
    "trace.metadata.openrouter.provider_name": "Novita", "trace.metadata.openrouter.first_token_ms": 412.5, "trace.metadata.workflow": "fnol-triage",
    "trace.metadata.provider_responses": '[{"provider_name":"DeepSeek","status":429},{"provider_name":"Novita","status":200,"is_byok":false}]',
    "gen_ai.prompt": '{"messages":[{"role":"user","content":"hunter2"}]}', "trace.input": "hunter2", "span.metadata.workflow": "fnol-triage",
    "gen_ai.completion": '{"completion":"water","toolCalls":[{"id":"c1","function":{"name":"f","arguments":"{}"}}],"rawRequest":{"stream":true,"temperature":0}}',
}  # fmt: skip


def test_openrouters_broadcast_says_who_served_and_what_was_charged(read: Any) -> None:
    """gen_ai.provider.name is the maker of the model there."""
    spans = (
        span(1, None, BROADCAST, name="LLM Generation"),
        span(2, 1, {"gen_ai.response.id": "gen-1:attempt-0"}, name="provider attempt 1: DeepSeek"),
    )
    batch = read(connector, request(*spans, resource={"service.name": "openrouter"}))
    [row] = batch.calls.to_pylist()
    assert (row["source_kind"], row["gateway_kind"], row["provider_raw"], row["provider"]) == (
        "otlp.openrouter",
        "openrouter",
        "Novita",
        "novita",
    )
    assert (row["cost_amount"], row["cost_source"], row["cost_output"]) == (Decimal("0.00006958"), "gateway_billed", Decimal("0.00006608"))
    assert (row["input_tokens"], row["cache_read_tokens"], row["cache_write_tokens"], row["reasoning_tokens"]) == (1000, 400, 100, 101)
    assert (row["workflow_id"], row["api_key_alias"], row["end_user_id"], row["finish_reasons"]) == (
        "fnol-triage",
        "claims-prod",
        "user-9",
        ["stop"],
    )
    assert (row["stream"], row["ttft_ms"], row["attempt_count"], row["is_fallback"], row["byok"]) == (True, 412.5, 2, True, False)
    assert (row["dup_group_key"], row["replayable"]) == ("response:gen-1795228000-n7uDHd8YKPC2n9oilLV3", True)
    bodies = {b["kind"]: json.loads(b["body"]) for b in batch.content.to_pylist()}
    assert bodies["input"] == {
        "messages": [{"role": "user", "content": "hunter2"}],
        "params": {"stream": True, "temperature": 0},
        "tools": [],
    }
    assert (bodies["output"]["message"]["content"], bodies["output"]["message"]["tool_calls"][0]["id"]) == ("water", "c1")
    assert "hunter2" not in str(row)


def test_googles_models_at_openrouter_are_vertex_and_an_unnamed_server_is_openrouter(read: Any) -> None:
    named = BROADCAST | {"trace.metadata.openrouter.provider_name": "Google"}
    unnamed = {"gen_ai.request.model": "openai/gpt-4", "gen_ai.usage.prompt_tokens": 100, "gen_ai.usage.completion_tokens": 50}
    rows = read(connector, request(span(1, None, named), span(2, None, unnamed), resource={"service.name": "openrouter"})).calls.to_pylist()
    assert [(row["provider"], row["operation"], row["grain"]) for row in rows] == [
        ("gcp.vertex_ai", "chat", "attempt"),
        ("openrouter", "chat", "attempt"),
    ]


CLAUDE_CODE = {
    "model": "claude-opus-5", "gen_ai.system": "anthropic", "gen_ai.request.model": "claude-opus-5", "speed": "fast", "ttft_ms": 700, "input_tokens": 2000,
    "output_tokens": 1200, "cache_read_tokens": 500, "cache_creation_tokens": 300, "request_id": "req_011CAAAAAAAAAAAAAAAAAAAA", "attempt": 2,
    "gen_ai.response.id": "req_011CAAAAAAAAAAAAAAAAAAAA", "success": True, "stop_reason": "tool_use", "session.id": "s-1",
}  # fmt: skip


def test_claude_codes_requests_are_calls_with_the_cache_beside_the_input(read: Any) -> None:
    inner = span(2, 1, CLAUDE_CODE, name="claude_code.llm_request")
    batch = read(connector, request(span(1, None, {"user_prompt": "hunter2"}, name="claude_code.interaction"), inner))
    [row] = batch.calls.to_pylist()
    assert (row["source_kind"], row["provider"], row["requested_model"], row["operation"]) == (
        "otlp.claude_code",
        "anthropic",
        "claude-opus-5",
        "chat",
    )
    assert (row["input_tokens"], row["input_uncached_tokens"], row["cache_read_tokens"], row["cache_write_tokens"]) == (
        2800,
        2000,
        500,
        300,
    )
    assert (row["output_tokens"], row["usage_convention"], row["service_tier"], row["retry_count"]) == (1200, "exclusive", "fast", 1)
    assert (row["provider_request_id"], row["provider_response_id"]) == ("req_011CAAAAAAAAAAAAAAAAAAAA", None)
    assert (row["stream"], row["ttft_ms"], row["finish_reasons"], row["session_id"], row["status"]) == (
        True,
        700,
        ["tool_use"],
        "s-1",
        "ok",
    )
    assert "hunter2" not in str(batch.spans.to_pylist())


def test_a_request_of_claude_code_that_failed(read: Any) -> None:
    facts = {"gen_ai.request.model": "claude-opus-5", "success": False, "status_code": 529, "error": "overloaded"}
    [row] = read(connector, request(span(1, None, facts, name="claude_code.llm_request"))).calls.to_pylist()
    assert (row["status"], row["http_status"], row["error_message"], row["input_tokens"]) == ("error", 529, "overloaded", None)


def test_a_translated_span_keeps_its_digest(read: Any) -> None:
    [row] = read(connector, request(span(1, None, CLAUDE_CODE))).spans.to_pylist()  # under another name it claims nothing
    [call] = read(connector, request(span(1, None, CLAUDE_CODE, name="claude_code.llm_request"))).calls.to_pylist()
    [same] = read(
        connector, json.dumps([json.loads(request(span(1, None, CLAUDE_CODE, name="claude_code.llm_request")))]).encode()
    ).calls.to_pylist()
    assert call["raw_sha256"] == same["raw_sha256"] != row["raw_sha256"]


def test_litellms_span_of_a_batch_is_the_batch_and_of_a_file_no_call(read: Any) -> None:
    common = {"gen_ai.provider.name": "openai", "gen_ai.response.id": "batch_6a1f0e63b1c48190a5", "litellm.call_id": "c-1"}
    spans = [
        span(number, None, common | {"gen_ai.operation.name": name} | usage)
        for number, (name, usage) in enumerate(
            (("aretrieve_batch", USAGE), ("aretrieve_batch", {}), ("afile_content", {}), ("aget_responses", USAGE)), 1
        )
    ]
    batch = read(connector, request(*spans, scope="litellm"))
    assert batch.calls["dup_group_key"].to_pylist() == ["litellm:batch:batch_6a1f0e63b1c48190a5"]
    assert batch.spans.num_rows == 3


@pytest.mark.parametrize(("answered", "said"), [("mini", None), ("gpt-4o-mini-2024-07-18", "gpt-4o-mini-2024-07-18")])
def test_litellms_alias_is_no_model_that_answered(read: Any, answered: str, said: str | None) -> None:
    """It writes the alias over the provider's name; no price list knows an alias, and the span lends its model to the spend row."""
    facts = {
        "litellm.call_id": "c-1",
        "litellm.model_group": "mini",
        "litellm.provider.model": "openai/gpt-4o-mini",
        "gen_ai.response.model": answered,
    }
    [row] = read(connector, request(span(1, None, CHAT | USAGE | ANSWER | facts))).calls.to_pylist()
    assert (row["requested_model"], row["routed_model"], row["response_model"]) == ("mini", "openai/gpt-4o-mini", said)
