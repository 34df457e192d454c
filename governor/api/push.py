"""Push receivers: `POST /v1/traces` (OTLP/HTTP) and `POST /ingest/SOURCE` (any other connector's bodies, such as LiteLLM's generic_api).

Owns: HTTP of receiving (encodings, status codes, OTLP's own answers). Does not own: durability and storing (actions/push.py), reading (connectors).
Invariants: success is answered only when the body is on disk or in the lake; a body nobody can read is refused whole (400, do not retry); a busy
installation answers 503 with Retry-After; a record that cannot be read is quarantined and counted.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, NoReturn, TypedDict, cast

from google.protobuf.json_format import MessageToJson
from litestar import Request, Response, post
from litestar.params import Parameter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from governor.actions.context import Actor, Context
from governor.actions.ingest import may_ingest
from governor.actions.payloads import MAPPING
from governor.actions.push import push
from governor.api.bearer import PUSH
from governor.api.bodies import Malformed, UnsupportedMedia, raw_body, unpack
from governor.errors import Invalid, NotFound, TooLarge, Unavailable

JSON: Final = "application/json"
PROTOBUF: Final = "application/x-protobuf"
OTLP: Final = "otlp"
Source = Annotated[str, Parameter(description="Id of a configured source, or a connector's name; the token needs scope `ingest:SOURCE`.")]
type_of_request = Request[Actor, Any, Any]


class PushedCounts(TypedDict):
    """read is the sum of the next four, unless `spooled`: then the body is safe on disk and is counted when it is stored."""

    read: int
    stored: int
    duplicates: int
    conflicts: int
    quarantined: int
    other_spans: int
    spooled: bool


@post(
    "/v1/traces",
    status_code=200,
    opt={PUSH: True},
    operation_class=raw_body(PROTOBUF, JSON, answers=(PROTOBUF, JSON)),
    sync_to_thread=True,
    tags=["push"],
)
def receive_traces(request: type_of_request, ctx: Context, actor: Actor, body: bytes) -> Response[bytes]:
    """OTLP/HTTP ExportTraceServiceRequest of source `otlp`, protobuf or JSON, gzip or not; the answer comes in the same encoding.

    Spans that claim a model call and cannot be read are in quarantine and named as partial success: do not send them again.
    """
    return traces(request, ctx, actor, body, OTLP)


@post(
    "/ingest/{source:str}/v1/traces",
    status_code=200,
    opt={PUSH: True},
    operation_class=raw_body(PROTOBUF, JSON, answers=(PROTOBUF, JSON)),
    sync_to_thread=True,
    tags=["push"],
)
def receive_traces_of(request: type_of_request, ctx: Context, actor: Actor, body: bytes, source: Source) -> Response[bytes]:
    """The same for a configured source: point an exporter's OTEL_EXPORTER_OTLP_ENDPOINT at `/ingest/SOURCE`."""
    return traces(request, ctx, actor, body, source)


@post(["/v1/logs", "/v1/metrics"], opt={PUSH: True}, sync_to_thread=False, tags=["push"])
def refuse_other_signals(actor: Actor) -> None:
    """Refused in words: an exporter that is given one address sends all it has there, and only traces are read."""
    not_read(actor, OTLP)


@post(["/ingest/{source:str}/v1/logs", "/ingest/{source:str}/v1/metrics"], opt={PUSH: True}, sync_to_thread=False, tags=["push"])
def refuse_other_signals_of(actor: Actor, source: Source) -> None:
    """The same for a configured source."""
    not_read(actor, source)


def not_read(actor: Actor, source: str) -> NoReturn:
    may_push(actor, source)
    raise NotFound(
        "of OpenTelemetry only traces are read (/v1/traces), no logs and no metrics",
        hint="set OTEL_LOGS_EXPORTER=none and OTEL_METRICS_EXPORTER=none, or send a collector's traces alone",
    )


def traces(request: type_of_request, ctx: Context, actor: Actor, body: bytes, source: str) -> Response[bytes]:
    media = media_type(request)
    if media not in {JSON, PROTOBUF, "application/protobuf"}:
        raise UnsupportedMedia(f"Content-Type {media[:80]!r} is not OTLP", hint=f"send {PROTOBUF} or {JSON}")
    may_push(actor, source)
    plain = unpack(body, request.headers.get("content-encoding", ""), ctx.settings.max_body_bytes)
    bad = take(ctx, actor, source, plain, media)["quarantined"] if plain else 0  # an empty request is a valid one
    answer = ExportTraceServiceResponse()
    if bad:
        answer.partial_success.rejected_spans = bad
        answer.partial_success.error_message = f"{bad} spans or requests are in quarantine; see /api/v1/quarantine"
    if media == JSON:
        return Response(MessageToJson(answer, indent=None).encode(), media_type=JSON)
    return Response(answer.SerializeToString(), media_type=PROTOBUF)


@post(
    "/ingest/{source:str}",
    status_code=200,
    opt={PUSH: True},
    operation_class=raw_body(JSON, "application/x-ndjson"),
    sync_to_thread=True,
    tags=["push"],
)
def receive(request: type_of_request, ctx: Context, actor: Actor, body: bytes, source: Source) -> PushedCounts:
    """Records as the gateway sends them: an array, one object, or one object per line.

    `read` = stored + duplicates + conflicts + quarantined, unless `spooled`: then the body is safe on disk and will be counted when it is stored.
    """
    may_push(actor, source)
    plain = unpack(body, request.headers.get("content-encoding", ""), ctx.settings.max_body_bytes)
    return cast("PushedCounts", take(ctx, actor, source, plain, media_type(request)))


def may_push(actor: Actor, source: str) -> None:
    may_ingest(actor, source)
    if source.startswith(MAPPING):  # it would name a file of the server; only the catalog may
        raise NotFound(f"no source {source!r}", hint="push to the id of a source whose connector is the mapping")


def media_type(request: type_of_request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def take(ctx: Context, actor: Actor, source: str, body: bytes, media: str) -> dict[str, Any]:
    try:
        return push(ctx, actor, source, body, media)
    except TooLarge:
        raise
    except Invalid as error:
        raise Malformed(error.abroad, hint=error.hint) from None
    except OSError:  # disk full or gone: nothing was kept, so nothing is acknowledged
        raise Unavailable("the body cannot be kept now", hint="send it again later") from None


ROUTES = [receive_traces, receive_traces_of, refuse_other_signals, refuse_other_signals_of, receive]
