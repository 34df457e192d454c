"""The plug panel: what the hub asks of the outside world, one Protocol each.

Owns: the shape of each plug. Does not own: any implementation (adapters/, store/, connectors, reports, governor.policy.embedded).
Invariants: a Protocol has at least one real implementation and one fake used in tests; nothing here does I/O.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from governor.chargeback.reconciliation.bill import Bill
from governor.errors import Invalid
from governor.policy.decision import EngineInfo


@dataclass(frozen=True)
class Payload:
    """One thing to read: a local file, or bytes that arrived by push or were fetched from an object store.

    Exactly one of `path`, `body` and `fault` is set. `uri` names it in `ingest_uri` and in errors; `fault` says why it cannot be had.
    """

    uri: str
    path: Path | None = None
    body: bytes | None = None
    content_type: str = ""
    fault: str = ""


@dataclass(frozen=True)
class Batch:
    """What a connector made of some records; each input record that claims to be a model call is in exactly one of calls, rejected.

    calls: CALL_SCHEMA (ingest_batch_id, ingested_at null: the store fills them); rejected: REJECT_SCHEMA; spans: SPAN_SCHEMA
    (structure without a model call); content: CONTENT_SCHEMA.
    received: the records of some rows of `calls` as they came, made when asked: (distinct records, an Arrow large_binary array with null where
    they are not known; which of them each row is in). None where a source has no records of bytes.
    """

    calls: pa.Table
    rejected: pa.Table
    spans: pa.Table
    content: pa.Table
    received: Callable[[Any], tuple[Any, Any]] | None = None


@dataclass(frozen=True)
class SourceRequest:
    """One question to a source's API: a GET, or a POST of `body` where the source documents that as a query. There is no other verb.

    into: a file to stream the answer to, for exports; headers carry the key and go to the configured host only.
    """

    url: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    into: Path | None = None


@dataclass(frozen=True)
class SourceReply:
    """An answer with a 2xx status; header names in lower case."""

    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class SourceDoor(Protocol):
    """How a pull asks a source: guarded addresses, read-only verbs, patience with 429. Raises Invalid, Refused or Unavailable."""

    def ask(self, request: SourceRequest) -> SourceReply: ...


@dataclass(frozen=True)
class SeenWindow:
    """What a pull saw of [start, end) of a source. said: the source's own count, null where it has none; hole: why it was not read whole."""

    start: datetime
    end: datetime
    read: int
    said: int | None = None
    hole: str = ""


@dataclass(frozen=True)
class ReadOptions:
    """source_instance: the configured source id; with_content: whether to extract bodies at all; batch_rows: upper bound per batch.

    door: how a pull over HTTP asks; saw: is told each window of a pull before the batch that completes it.
    refused: is told why a payload cannot be read, or not to its end, and the next is read; without it, reading ends there.
    """

    source_instance: str
    with_content: bool = True
    batch_rows: int = 16_384
    config: Mapping[str, Any] = field(default_factory=dict)
    door: SourceDoor | None = None
    saw: Callable[[SeenWindow], None] | None = None
    refused: Callable[[Invalid], None] | None = None


class Connector(Protocol):
    """A spoke in. Read-only: it has no write call to its source."""

    name: str

    def detect(self, head: bytes, uri: str) -> float:
        """0.0 (not mine) to 1.0 (certainly mine) from the first 64 KiB."""
        ...

    def read(self, payloads: Iterable[Payload], options: ReadOptions) -> Iterator[Batch]:
        """Bytes -> batches. A payload that is unreadable as a whole is told to `options.refused`, or raised as governor.errors.Invalid."""
        ...

    def fetch(self, cursor: str | None, options: ReadOptions) -> Iterator[tuple[Batch, str]]:
        """Pull since cursor; yields (batch, next cursor). Raises governor.errors.Invalid where the source has no pull."""
        ...


class BillReader(Protocol):
    """A spoke in for a provider's bill. Read-only, and it never sees our own numbers."""

    name: str

    def detect(self, head: bytes, uri: str) -> float:
        """0.0 (not mine) to 1.0 (certainly mine) from the first 64 KiB; of a Parquet table, from the line of its columns' names."""
        ...

    def read(self, payload: Payload) -> Bill:
        """One file, whole. Rows that are not understood are in the bill's `rejected`; raises governor.errors.Invalid when nothing can be read."""
        ...


class PolicyEngine(Protocol):
    """Evaluates one loaded bundle. Undefined is returned as None and must never be read as allow."""

    info: EngineInfo

    def load(self, modules: Mapping[str, str], data: Mapping[str, Any]) -> None:
        """modules: file name -> Rego source. Raises governor.errors.Invalid naming file and line."""
        ...

    def decide_many(self, path: str, inputs: Sequence[Mapping[str, Any]]) -> list[Any]:
        """Path such as `governor/call/decision`; answers in the order of inputs. Any builtin error raises PolicyRefused (fail closed)."""
        ...


@dataclass(frozen=True)
class ModelRequest:
    """One replay or judge call. messages/params are the canonical (OpenAI chat) form; the adapter translates for the protocol."""

    idempotency_key: str
    model: str
    messages: Sequence[Mapping[str, Any]]
    params: Mapping[str, Any]
    max_output_tokens: int
    timeout_s: float = 120.0
    metadata: Mapping[str, str] = field(default_factory=dict)
    stream: bool = False  # ask for a stream, so that the time to the first token can be measured


@dataclass(frozen=True)
class ModelReply:
    """status: ok | error | timeout | refused_params. Token counts are inclusive (as CALL_SCHEMA); None where the endpoint did not say."""

    status: str
    text: str = ""
    tool_calls: Sequence[Mapping[str, Any]] = ()
    finish_reason: str = ""
    response_model: str = ""
    response_id: str = ""
    http_status: int = 0
    error: str = ""
    input_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None
    duration_ms: float = 0.0
    ttft_ms: float | None = None
    retries: int = 0
    dropped_params: Sequence[str] = ()
    passed_on: bool = False  # the gateway says that it fell back: whoever answered is not who was asked


class ModelEndpoint(Protocol):
    """Where shadow replays and judges go. Never used for production traffic."""

    def call_many(self, requests: Iterable[ModelRequest], *, concurrency: int) -> Iterator[tuple[ModelRequest, ModelReply]]:
        """Answers in completion order; never raises for a failed call (that is a reply)."""
        ...


class Signer(Protocol):
    """Signs bytes; the private key never leaves it."""

    key_id: str
    public_key: bytes  # raw Ed25519, 32 bytes

    def sign(self, message: bytes) -> bytes: ...


class Renderer(Protocol):
    """Printing press: same document, same bytes."""

    def __call__(self, document: Mapping[str, Any]) -> bytes: ...


@dataclass(frozen=True)
class Printed:
    """A month in the format of another system. control: what was counted and summed from the printed records themselves."""

    suffix: str
    media_type: str
    body: bytes
    control: Mapping[str, Any]


@dataclass(frozen=True)
class Format:
    """A format of a month in words. needs_customers: it has no row for a cost center whose customer nobody named."""

    about: str
    records: str  # focus | journal | events
    needs_customers: bool


class MonthPrinter(Protocol):
    """A closed month in a named format. mapping: the text of a mapping file instead of the shipped one. Raises Invalid."""

    def __call__(
        self, document: Mapping[str, Any], name: str, *, mapping: str | None = None, accrual: bool = False, parquet: bool = False
    ) -> Printed: ...


@dataclass(frozen=True)
class AnchorReceipt:
    """What an anchor answered: words for people, the bytes that prove it (a token, a commit id, cosignature lines)."""

    detail: str
    body: bytes = b""


class Anchor(Protocol):
    """A place outside the rows database that keeps signed checkpoints."""

    def publish(self, note: str, prove: Callable[[int], Sequence[bytes]]) -> AnchorReceipt:
        """Keep the note; the same note twice is one. `prove(old)` is the consistency proof from `old` entries to the note's.

        Raises governor.errors.AnchorConflict when the anchor holds a history this note does not continue, Unavailable when it does not answer.
        """
        ...

    def kept(self, newest: str) -> list[str]:
        """Every note it can still show, oldest first. `newest` is what the database shows, for anchors that can only be asked about one.

        Raises AnchorConflict, Unavailable as above.
        """
        ...


@dataclass(frozen=True)
class Notice:
    """Something people asked to be told. `id` stays the same in every attempt to deliver it; data holds JSON values, no content of calls."""

    id: str
    event: str
    at: datetime
    title: str
    text: str
    url: str
    data: Mapping[str, Any] = field(default_factory=dict)


class Notifier(Protocol):
    """One place that notices go to."""

    def send(self, notice: Notice) -> str:
        """What the other side said, in words. Raises Unavailable where a later attempt may work, Refused or Invalid where none will."""
        ...
