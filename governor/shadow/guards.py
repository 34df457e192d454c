"""What is measured on one reply: facts and guard indicators, never text.

Owns: the guards (error, timeout, refusal, truncation, empty, contract, tool_calls, leak, language), the canonical answer digest, the Facts document.
Does not own: the difference between two replies (comparison.py), prices, sending.
Invariants: a guard that does not apply is absent, not false; a transport failure trips `error` (or `timeout`) and no content guard;
no tool is executed and no schema is fetched: an unresolvable $ref counts as a contract failure.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property, lru_cache
from typing import Any, Final

import jsonschema
import msgspec
import referencing
import regex  # type: ignore[import-untyped]
from jsonschema.exceptions import SchemaError, ValidationError
from referencing.exceptions import Unresolvable

from governor.shadow.emitted import asked_in, leaks, switched
from governor.shadow.parsed import parsed
from governor.shadow.patterns import matches

GUARDS: Final = ("error", "timeout", "refusal", "truncation", "empty", "contract", "tool_calls", "leak", "language")
NO_REMOTE: Final = referencing.Registry()  # a $ref is never fetched
REFUSAL: Final = re.compile(
    r"^\W*(?:i(?:['’]m| am) (?:very |really |truly )?(?:sorry|unable)|sorry\b|i (?:can(?:['’]t|not)|won['’]t|will not)"
    r"|as an ai\b|i must decline|unfortunately,? i (?:can(?:['’]t|not)|am unable))"
    r".{0,160}?\b(?:can(?:['’]t|not)|unable|won['’]t|not able|decline|assist|help|comply|provide)\b",
    re.IGNORECASE | re.DOTALL,
)
REFUSAL_LENGTH: Final = 800  # a long answer that opens with an apology is an answer
SHORT: Final = 2_000  # letters of an answer that is remembered
FENCE: Final = re.compile(r"^\s*```(?:json)?\s*\n(.*?)\n?\s*```\s*$", re.DOTALL)
# Names that tool catalogs use for JSON Schema types.
TYPE_NAMES: Final = {
    "dict": "object",
    "float": "number",
    "tuple": "array",
    "list": "array",
    "int": "integer",
    "bool": "boolean",
    "str": "string",
}


@dataclass(frozen=True)
class Contract:
    """What the consumer of a reply needs. json: must be one JSON document; schema: and valid under it; compare: the fields that decide
    whether two answers are the same (empty: all of them).
    """

    json: bool = False
    schema: Mapping[str, Any] | None = None
    compare: tuple[str, ...] = ()

    @cached_property
    def schema_text(self) -> str:
        """Empty: any JSON."""
        return "" if self.schema is None else json.dumps(self.schema, sort_keys=True)

    @classmethod
    def of(cls, output_contract: Mapping[str, Any] | None, params: Mapping[str, Any] | None = None) -> Contract:
        """From the workflow's output_contract, else from the request's own response_format."""
        if output_contract:
            schema = output_contract.get("json_schema")
            return cls(bool(schema or output_contract.get("json")), schema, tuple(output_contract.get("compare") or ()))
        kind = (
            ((params or {}).get("response_format") or {}).get("type")
            if isinstance((params or {}).get("response_format"), Mapping)
            else None
        )
        return cls(json=kind in {"json_object", "json_schema"})


class Facts(msgspec.Struct, frozen=True):
    """One measured reply. Durations in microseconds; token counts inclusive; None is unknown."""

    status: str
    guards: Mapping[str, bool] = {}
    text: str = ""  # hex sha256 of the normalised text
    answer: str = ""  # hex sha256 of the canonical answer
    called: bool = False
    http_status: int = 0
    finish_reason: str = ""
    response_model: str = ""
    error: str = ""
    input_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None
    duration_us: int | None = None
    ttft_us: int | None = None
    retries: int = 0
    dropped_params: tuple[str, ...] = ()
    step: int = 0  # place in a trace with tools, from 1; 0: no tools

    def document(self) -> dict[str, Any]:
        """JSON value without floats."""
        return {**msgspec.structs.asdict(self), "guards": dict(self.guards), "dropped_params": list(self.dropped_params)}

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Facts:
        return cls(**{**document, "dropped_params": tuple(document.get("dropped_params", ()))})

    @property
    def usable(self) -> bool:
        return not any(self.guards.values())


def indicators(
    *,
    status: str,
    text: str,
    tool_calls: Sequence[Mapping[str, Any]],
    finish_reason: str,
    contract: Contract,
    tools: Sequence[Mapping[str, Any]] = (),
    must_call: bool = False,
    prompt: str | Callable[[], str] | None = None,
    asked: str = "",
) -> dict[str, bool]:
    """The guards that apply to one reply; true means it tripped. prompt: all the model was given; asked: the words of the last user turn."""
    if status != "ok":
        return {"error": status != "timeout", "timeout": status == "timeout"}
    found = {
        "error": False,
        "timeout": False,
        "refusal": finish_reason in {"refusal", "content_filter"} or refuses(text),
        "truncation": finish_reason in {"length", "max_tokens"},
        "empty": not text.strip() and not tool_calls,
    }
    if contract.json and not tool_calls:
        found["contract"] = not conforms(text, contract)
    if tools:
        found["tool_calls"] = (must_call and not tool_calls) or any(not valid_call(call, tools) for call in tool_calls)
    if prompt is not None:
        given = "\n".join([text, *(str(call_parts(call)[1]) for call in tool_calls)])
        found["leak"] = leaks(given, prompt)
        if not contract.json and text.strip() and asked_in(asked):
            found["language"] = switched(text, asked)
    return found


def refuses(text: str) -> bool:
    return len(text) <= REFUSAL_LENGTH and REFUSAL.search(text[:400]) is not None


def conforms(text: str, contract: Contract) -> bool:
    """A consumer that parses the whole reply would accept it (a code fence around it would break that consumer)."""
    return (_conforms if len(text) <= SHORT else _conforms.__wrapped__)(text, contract.schema_text)


@lru_cache(maxsize=4096)
def _conforms(text: str, schema: str) -> bool:
    """Answers that a program reads are short and often the same."""
    try:
        document = parsed(text)
    except ValueError:
        return False
    return not schema or _valid(document, schema)


def valid(document: Any, schema: Mapping[str, Any]) -> bool:
    return _valid(document, json.dumps(schema, sort_keys=True))


def _valid(document: Any, schema: str) -> bool:
    try:
        return bool(_validator(schema).is_valid(document))
    except (SchemaError, Unresolvable, TypeError, re.error, regex.error, jsonschema.exceptions.UnknownType, RecursionError):
        return False


@lru_cache(maxsize=256)
def _validator(schema: str) -> jsonschema.Draft202012Validator:
    """A run asks about the same few schemas for every reply."""
    found: jsonschema.Draft202012Validator = CHECKER(json.loads(schema), registry=NO_REMOTE)
    return found


def _pattern(validator: Any, pattern: str, text: Any, _schema: Any) -> Iterator[ValidationError]:
    if validator.is_type(text, "string") and not matches(pattern, text):
        yield ValidationError("does not match the pattern")


CHECKER: Final = jsonschema.validators.extend(jsonschema.Draft202012Validator, {"pattern": _pattern})  # type: ignore[no-untyped-call]  # not typed by the stubs


def valid_call(call: Mapping[str, Any], tools: Sequence[Mapping[str, Any]]) -> bool:
    """The named tool exists and its arguments are JSON that its schema accepts."""
    name, arguments = call_parts(call)
    for tool in tools:
        function = tool.get("function", tool)
        if function.get("name") == name:
            schema = function.get("parameters") or function.get("input_schema") or {}
            return isinstance(arguments, Mapping) and valid(arguments, plain_types(schema))
    return False


def call_parts(call: Any) -> tuple[str, Any]:
    """Name and parsed arguments of a tool call in OpenAI form; arguments that are no JSON come back as None, what is no call without a name."""
    function = call.get("function", call) if isinstance(call, Mapping) else None
    if not isinstance(function, Mapping):
        return "", None
    arguments = function.get("arguments", function.get("input", {}))
    if isinstance(arguments, str):
        try:
            arguments = parsed(arguments or "{}")
        except ValueError:
            arguments = None
    return str(function.get("name", "")), arguments


def plain_types(schema: Any) -> Any:
    """The schema with type names that validators know."""
    if isinstance(schema, Mapping):
        return {
            key: TYPE_NAMES.get(value, value) if key == "type" and isinstance(value, str) else plain_types(value)
            for key, value in schema.items()
        }
    return [plain_types(item) for item in schema] if isinstance(schema, list) else schema


def canonical_answer(text: str, tool_calls: Sequence[Mapping[str, Any]], contract: Contract) -> str:
    """What a deterministic consumer would see: the tool calls, the JSON value (or its compared fields), else the normalised text."""
    if tool_calls:
        value: Any = [list(call_parts(call)) for call in tool_calls]
        return json.dumps(settle(value), sort_keys=True, separators=(",", ":"))
    fenced = FENCE.match(text)
    try:
        value = parsed(fenced.group(1) if fenced else text)
    except ValueError:
        return normalised(text)
    if contract.compare and isinstance(value, Mapping):
        value = {name: value.get(name) for name in contract.compare}
    return json.dumps(settle(value), sort_keys=True, separators=(",", ":"))


def digests(text: str, tool_calls: Sequence[Mapping[str, Any]], contract: Contract) -> tuple[str, str]:
    """Of all that was answered, and of what is compared."""
    if tool_calls:
        whole = digest(canonical_answer(text, tool_calls, contract))
        return whole, whole
    return (_digests if len(text) <= SHORT else _digests.__wrapped__)(text, contract.compare)


@lru_cache(maxsize=4096)
def _digests(text: str, compare: tuple[str, ...]) -> tuple[str, str]:
    whole = digest(canonical_answer(text, (), Contract()))
    return whole, digest(canonical_answer(text, (), Contract(compare=compare))) if compare else whole


def settle(value: Any) -> Any:
    """JSON with numbers and strings in one spelling: 1.0 is 1, case and spacing of words do not count."""
    if isinstance(value, Mapping):
        return {str(key): settle(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [settle(item) for item in value]
    if isinstance(value, str):
        return normalised(value)
    if isinstance(value, float):
        number = Decimal(repr(value))
        return int(number) if number.is_finite() and number == number.to_integral_value() else str(number)
    return value


def normalised(text: str) -> str:
    """NFKC, case-folded, single spaces, outer punctuation removed."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split()).strip(" .!\"'`")


def digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
