"""YAML text to validated documents, and the JSON Schema of each kind.

Owns: size and shape limits, error messages that name the document, its id and the field. Does not own: field meanings (documents.py).
Invariants: only plain YAML data (no tags that make objects), a key written twice is refused, alias bombs are refused before they expand.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from datetime import date, datetime
from typing import Any, Final

import pydantic
import yaml

from governor.catalog.documents import KINDS
from governor.catalog.fields import Document
from governor.catalog.yaml_text import TO_FILL_IN
from governor.errors import Invalid, TooLarge

MAX_BYTES: Final = 8 * 1024 * 1024
MAX_DOCUMENTS: Final = 20_000
MAX_VALUES: Final = 1_000_000  # after aliases: a bomb of a few lines would otherwise be walked for ever
MAX_DEPTH: Final = 64
MERGE: Final = "tag:yaml.org,2002:merge"
Blank = tuple[int, str]  # line and field where TO_FILL_IN still stands


class Unfilled(Invalid):
    """Documents in which something is still TO_FILL_IN. places: each by line, as `FILE:LINE: KIND NAME: FIELD`."""

    hint = "fill them in; a line or a document that is not wanted may go"

    def __init__(self, filename: str, places: list[str]) -> None:
        some, more = "; ".join(places[:3]), f" (and {len(places) - 3:,} more)" if len(places) > 3 else ""  # noqa: PLR2004 - a line people can read
        super().__init__(f"{filename}: {len(places):,} {'values are' if len(places) != 1 else 'value is'} still {TO_FILL_IN}: {some}{more}")
        self.places = places


class _Loader(yaml.SafeLoader):
    """Safe YAML without silent overwriting: a key written twice is an error. Merges (`<<`) write keys out while they are read, so they are counted there."""

    written_out = 0

    def __init__(self, raw: bytes) -> None:
        super().__init__(raw)
        self.blanks: list[Blank] = []

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        for key, value in node.value:
            if key.tag == MERGE:
                for one in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                    if isinstance(one, yaml.MappingNode):
                        self.flatten_mapping(one)
                        self._count(len(one.value), node)
        super().flatten_mapping(node)

    def _count(self, keys: int, node: yaml.MappingNode) -> None:
        self.written_out += keys
        if self.written_out > MAX_VALUES:
            raise yaml.constructor.ConstructorError(None, None, "too many values once merges (<<) are written out", node.start_mark)


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    written = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode) and key.value != "<<"]
    twice = sorted(key for key, times in Counter(written).items() if times > 1)
    if twice:
        raise yaml.constructor.ConstructorError(None, None, f"key {twice[0]!r} is written twice", node.start_mark)
    for key, value in node.value:
        for one in value.value if isinstance(value, yaml.SequenceNode) else [value]:
            if isinstance(one, yaml.ScalarNode) and one.value == TO_FILL_IN:
                loader.blanks.append((one.start_mark.line + 1, str(key.value)))
    loader.flatten_mapping(node)
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def parse_documents(text: str | bytes, filename: str = "<text>") -> list[Document]:
    """All documents of a YAML (or JSON) text. Raises Invalid or TooLarge naming file, document number, kind, id and field; Unfilled for a draft."""
    raw = text.encode() if isinstance(text, str) else text
    if len(raw) > MAX_BYTES:
        raise TooLarge(f"{filename}: {len(raw)} bytes; a catalog file is at most {MAX_BYTES}", hint="split it into several files")
    found: list[Document] = []
    blank: list[str] = []
    for number, (plain, blanks) in enumerate(_load(raw, filename), start=1):
        if number > MAX_DOCUMENTS:
            raise TooLarge(f"{filename}: more than {MAX_DOCUMENTS} documents", hint="split it into several files")
        if blanks and isinstance(plain, dict):
            document = " ".join(filter(None, (str(plain.get("kind", "document"))[:100], _named(plain))))
            blank += [f"{filename}:{line}: {document}: {name[:100]}" for line, name in sorted(set(blanks))]
        elif plain is not None:  # an empty document between two `---`
            found.append(parse_document(plain, f"{filename} document {number}"))
    if blank:
        raise Unfilled(filename, blank)
    return found


def parse_document(plain: Any, where: str) -> Document:
    """One document from plain data. `where` starts every error message."""
    if not isinstance(plain, dict):
        raise Invalid(f"{where}: expected fields, found {type(plain).__name__}")
    kind = plain.get("kind")
    model = KINDS.get(kind) if isinstance(kind, str) else None
    if model is None:
        raise Invalid(f"{where}: unknown kind {kind!r}", hint=f"kinds are {', '.join(KINDS)}")
    named = _named(plain)
    where = f"{where} ({kind}{' ' + named if named else ''})"
    try:
        return model.model_validate(plain)
    except pydantic.ValidationError as error:
        problems = [f"{_place(problem['loc'])}: {_words(problem)}" for problem in error.errors()]
        more = f" (and {len(problems) - 3} more)" if len(problems) > 3 else ""  # noqa: PLR2004 - a line people can read
        raise Invalid(f"{where}: {'; '.join(problems[:3])}{more}", hint=f"`governor apply --schema {kind}` shows the fields") from None


def _named(plain: dict[str, Any]) -> str:
    return next((str(plain[name])[:100] for name in ("id", "email", "rule", "model", "name") if plain.get(name)), "")


def document_json(document: Document) -> str:
    """The one text of a document that versions are compared by. `valid_from` is a column of the version, except where it is the price's own date."""
    without = set() if document.kind == "contract_price" else {"valid_from"}
    plain = document.model_dump(mode="json", exclude=without, exclude_defaults=True) | {"kind": document.kind}
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def document_digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def document_of(text: str) -> Document:
    """Back from `document_json`."""
    plain = json.loads(text)
    return KINDS[plain["kind"]].model_validate(plain)


def json_schema(kind: str) -> dict[str, Any]:
    """The published JSON Schema of one kind. Raises Invalid for an unknown kind."""
    if kind not in KINDS:
        raise Invalid(f"unknown kind {kind!r}", hint=f"kinds are {', '.join(KINDS)}")
    schema = KINDS[kind].model_json_schema()
    schema["required"] = ["kind", *[name for name in schema.get("required", []) if name != "kind"]]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": f"Governor {kind}"} | {
        name: value for name, value in schema.items() if name != "title"
    }


def strict_yaml(raw: bytes, filename: str) -> list[Any]:
    """The YAML documents of a text that a person sends, as plain values: no key twice, no bomb, no depth without end. Raises Invalid, TooLarge."""
    if len(raw) > MAX_BYTES:
        raise TooLarge(f"{filename} has {len(raw):,} bytes; at most {MAX_BYTES:,} are read")
    return [plain for plain, _ in _load(raw, filename)]


def _load(raw: bytes, filename: str) -> Iterator[tuple[Any, list[Blank]]]:
    """Each document, and what is left to fill in in it."""
    loader = None
    try:
        loader = _Loader(raw)
        while loader.check_data():  # type: ignore[no-untyped-call]  # not typed by the stubs
            loader.blanks = []
            plain = loader.get_data()
            _measure(plain, filename)
            yield plain, loader.blanks
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = f" line {mark.line + 1}" if mark else ""
        raise Invalid(f"{filename}{line}: not YAML: {error.problem or error.context}") from None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise Invalid(f"{filename}: not YAML: {str(error).splitlines()[0][:200]}") from None
    finally:
        if loader is not None:
            loader.dispose()


def _measure(plain: Any, filename: str) -> None:
    """Count values as if aliases were written out, and look at the nature of each."""
    seen = 0
    stack = [(plain, 0)]
    while stack:
        value, depth = stack.pop()
        seen += 1
        if seen > MAX_VALUES or depth > MAX_DEPTH:
            raise TooLarge(f"{filename}: too many or too deep values once aliases are written out")
        if isinstance(value, dict):
            if not all(isinstance(key, str) for key in value):
                raise Invalid(f"{filename}: every field name is text; quote {next(key for key in value if not isinstance(key, str))!r}")
            stack += [(child, depth + 1) for child in value.values()]
        elif isinstance(value, list):
            stack += [(child, depth + 1) for child in value]
        elif not isinstance(value, str | int | float | date | datetime | None):
            raise Invalid(f"{filename}: {type(value).__name__} has no place in a document")


def _place(location: tuple[int | str, ...]) -> str:
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else (f".{part}" if text else str(part))
    return text or "document"


def _words(problem: Any) -> str:
    if problem["type"] == "extra_forbidden":
        return "unknown field"
    if problem["type"] == "missing":
        name = problem["loc"][-1] if problem["loc"] else ""
        return "a workflow without an owner is refused" if name == "owner" else "missing"
    return str(problem["msg"]).removeprefix("Value error, ")
