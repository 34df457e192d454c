"""The mapping file: where each canonical column of a call is found in a record of the source.

Owns: the document's shape and its checks. Does not own: the SQL it becomes (compile.py), reading (reader.py).
Invariants: a mapping holds paths, names and constants and never code; an unknown name is refused with the place it stands in.

A path is dotted (`usage.input_tokens`, `choices.0.finish_reason`) or, for names that hold dots, a JSON pointer (`/gen_ai.usage.input_tokens`).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_args

import pyarrow as pa
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from governor.calls import CALL_SCHEMA
from governor.catalog.parse import strict_yaml
from governor.catalog.yaml_text import TO_FILL_IN
from governor.errors import Invalid

TimeUnit = Literal["auto", "s", "ms", "us", "ns", "ticks"]
MoneyUnit = Literal["usd", "usd_cents", "micro_usd", "nano_usd"]
# Columns that the reader works out itself, from the rest or from the options.
OWN: Final = frozenset({
    "record_id", "source_kind", "source_instance", "ingest_batch_id", "ingest_uri", "ingest_row", "ingested_at", "raw_sha256",
    "raw_ref", "cost_bearing", "exclusion_reason", "dup_group_key", "dup_alias_key", "sample_rate", "time_basis",
    "time_precision", "input_uncached_tokens", "usage_source", "usage_convention", "usage_raw", "cost_source", "cost_raw",
    "cost_raw_unit", "cost_currency", "tags", "metadata", "content_state", "input_sha256", "output_sha256", "input_bytes",
    "output_bytes", "tools_sha256", "replayable", "replay_blockers", "request_params", "filled_columns", "gateway_kind",
    "data_class_source", "grain",
})  # fmt: skip
MAX_PATH: Final = 300
MAX_OBJECTS: Final = 32  # put together for every record, each upon the ones before
MAX_PATHS: Final = 500  # each is looked for in every record; thousands keep a server busy for minutes
UNITS: Final = {
    "time": get_args(TimeUnit),
    "number": get_args(TimeUnit),
    "money": get_args(MoneyUnit),
}
# What a person looks for among the columns and an option of the file says.
ELSEWHERE: Final = {
    "cost_currency": "cost: {currency: ...}", "cost_source": "cost: {source: ...}", "cost_raw_unit": "cost: {unit: ...}", "usage_source": "usage: {source: ...}",
    "usage_raw": "usage: {raw: ...}", "tags": "tags: ...", "metadata": "metadata: ...", "time_basis": "time_basis: ...",
    "time_precision": "time_precision: ...", "gateway_kind": "gateway: ...", "source_kind": "name: ...",
}  # fmt: skip
MAPPABLE: Final = frozenset(CALL_SCHEMA.names) - OWN


def _several(given: Any) -> Any:
    return (given,) if isinstance(given, str) else given


Names = Annotated[tuple[str, ...], BeforeValidator(_several)]
Paths = Annotated[tuple[str, ...], BeforeValidator(_several), AfterValidator(lambda paths: [pointer(path) for path in paths] and paths)]


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Take(Part):
    """One value: the first of `paths` that is there, or a constant; then cut, renamed by `names`, or scaled by `unit`."""

    paths: Paths = Field(default=(), alias="from")
    value: str | None = None
    yields: Names = Field(default=(), description="values that give way to what a later path says")
    names: dict[str, str] = Field(default={}, description="what the source says -> what is meant; anything else passes unless `otherwise`")
    otherwise: str | None = None
    split: str | None = Field(default=None, min_length=1, max_length=10, description="cut the text here and take `piece`")
    piece: int = Field(default=1, ge=1, le=20)
    unit: Literal[TimeUnit, MoneyUnit] | None = None
    lower: bool = False

    @model_validator(mode="after")
    def _something(self) -> Take:
        if not self.paths and self.value is None:
            raise ValueError("name a path or a value")
        return self


class Usage(Part):
    """How the source counts. inclusive: cache is inside input; exclusive: apart; auto: apart where the numbers prove it. Same for reasoning in output."""

    cache: Literal["inclusive", "exclusive", "auto"] = "auto"
    exclusive_when: dict[str, Names] = Field(default={}, description="path -> values for which cache is counted apart")
    reasoning: Literal["inside", "outside", "auto"] = "auto"
    zero_is_unknown: bool = Field(default=False, description="0 in and 0 out is how the source says that it does not know")
    source: Literal["provider", "gateway_count", "estimated"] = "provider"
    raw: Paths = Field(default=(), description="paths kept as received in usage_raw")
    answer: Paths = Field(default=(), description="the provider's answer: searches, pictures and the like that it made are counted in it")
    request: Paths = Field(default=(), description="the request: the size of its pictures, the length of what is spoken")


class Cost(Part):
    source: Literal["provider_billed", "gateway_billed", "gateway_estimate", "tool_estimate"]
    unit: MoneyUnit = "usd"
    currency: Take | None = None
    zero_is_unknown: bool = False


class Content(Part):
    """Where prompt and answer are. messages: a list in chat form; prompt: plain text or any JSON; message: an assistant message; text: plain text."""

    messages: Paths = ()
    system: Paths = ()
    prompt: Paths = ()
    message: Paths = ()
    text: Paths = ()
    params: Paths = ()
    tools: Paths = ()


class Pairs(Part):
    keys: str
    values: str


class Mapping(Part):
    name: str = Field(pattern=r"^[a-z0-9_]+(\.[a-z0-9_]+)*$", max_length=100, description="source_kind of the rows: family.form")
    about: str = Field(min_length=1, max_length=1000, description="what is read, and what it cannot tell")
    format: Literal["json", "csv", "parquet"] = "json"
    witness: Literal["gateway", "tracer", "provider"]
    gateway: str | None = Field(default=None, description="gateway_kind; null for a tracing tool")
    finds: Paths = Field(
        min_length=1, description="paths (columns for csv) that every record has; all must be there to recognise the format"
    )
    not_with: Paths = Field(default=(), description="paths whose presence says that it is another format")
    records: Paths = Field(default=(), description="where a document keeps its list of records; a document without it is a record")
    only: dict[str, Names] = Field(default={}, description="path -> values that make a record a model call; others are structure")
    has: Paths = Field(default=(), description="a record with none of these is structure, no model call")
    time_basis: Literal["start", "end", "log_time"] = "start"
    time_precision: Literal["us", "ms", "s", "day"] = "us"
    columns: dict[str, Take]
    usage: Usage = Usage()
    cost: Cost | None = None
    metadata: Paths = Field(default=(), max_length=MAX_OBJECTS)
    metadata_pairs: Pairs | None = None
    tags: Paths = Field(default=(), max_length=MAX_OBJECTS)
    content: Content = Content()

    @field_validator("columns", mode="before")
    @classmethod
    def _short_forms(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        return {name: {"from": take} if isinstance(take, (str, list)) else take for name, take in given.items()}

    @model_validator(mode="after")
    def _names(self) -> Mapping:
        for name in self.columns:
            if name in ELSEWHERE:
                raise ValueError(f"columns: {name!r} is said by {ELSEWHERE[name]!r} of the file, beside `columns`")
            if name not in MAPPABLE:
                raise ValueError(f"columns: {name!r} is no column that a mapping can fill; docs/calls.md lists them")
            unit, known = self.columns[name].unit, UNITS.get(kind_of(name), ())
            if unit is not None and unit not in known:
                raise ValueError(f"columns: {name}: {unit!r} is no unit of it; it has {', '.join(known) or 'none'}")
        listed = (
            self.finds,
            self.not_with,
            self.records,
            self.only,
            self.has,
            self.usage.exclusive_when,
            self.usage.raw,
            self.usage.answer,
            self.usage.request,
            self.metadata,
            self.tags,
        )
        paths = sum(map(len, listed)) + sum(len(take.paths) for take in self.columns.values())
        paths += sum(len(found) for _, found in self.content)
        if paths > MAX_PATHS:
            raise ValueError(f"{paths:,} paths; a mapping has at most {MAX_PATHS}")
        for needed in ("source_record_id", "start_time", "requested_model"):
            if needed not in self.columns:
                raise ValueError(f"columns: {needed} is missing; without it a row is no call")
        return self


def kind_of(column: str) -> str:
    """Text | whole | number | money | time | bool | list of a canonical column."""
    kind = CALL_SCHEMA.field(column).type
    if pa.types.is_timestamp(kind):
        return "time"
    if pa.types.is_decimal(kind):
        return "money"
    if pa.types.is_integer(kind):
        return "whole"
    if pa.types.is_floating(kind):
        return "number"
    if pa.types.is_boolean(kind):
        return "bool"
    return "list" if pa.types.is_list(kind) else "text"


def pointer(path: str) -> str:
    """A path as a JSON pointer. Raises ValueError for one that cannot be."""
    if path.startswith("/"):
        found = path
    else:
        steps = path.split(".")
        if not all(steps):
            raise ValueError(f"{path!r} is no path: write a.b, a.0.b or /name.with.dots")
        found = pointer_of(steps)
    if len(found) > MAX_PATH or "\x00" in found:
        raise ValueError(f"a path is longer than {MAX_PATH} characters or holds a NUL")
    return found


def pointer_of(steps: Iterable[str]) -> str:
    return "/" + "/".join(step.replace("~", "~0").replace("/", "~1") for step in steps)


def parse(text: str, where: str) -> Mapping:
    """A mapping from YAML. Raises Invalid naming the field."""
    documents = strict_yaml(text.encode(), where)
    document = documents[0] if len(documents) == 1 else None
    if not isinstance(document, dict):
        raise Invalid(f"{where}: a mapping is a YAML object")
    document.pop("$schema", None)
    try:
        return Mapping.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(step) for step in first["loc"])
        raise Invalid(f"{where}: {place or 'mapping'}: {first['msg']}", hint="docs/mappings.md describes the file") from error


def completed(text: str, where: str) -> Mapping:
    """A mapping that somebody is to read a log with. Raises Invalid also for a draft in which a field is still to be named."""
    found = parse(text, where)
    for name, take in found.columns.items():
        if TO_FILL_IN in take.paths:
            raise Invalid(f"{where}: columns: {name} is still {TO_FILL_IN}", hint="name the field of the log that holds it")
    return found


def load(path: Path) -> Mapping:
    if not path.is_file():
        raise Invalid(f"{path}: no such mapping file")
    if path.stat().st_size > 1 << 20:
        raise Invalid(f"{path}: larger than 1 MiB")
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise Invalid(f"{path}: not UTF-8 text (byte {error.start})") from error
    return completed(text, str(path))
