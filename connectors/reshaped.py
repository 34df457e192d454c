"""Records that a path alone cannot read: opened, joined or split in Python, then read by a mapping as any other.

Owns: the way from chunks of payloads to chunks of changed records, and what may be kept of a client's headers.
Does not own: what a source's record means (its own connector), the mapping language.
Invariants: a record that cannot be opened is refused, never taken for structure; rows keep their numbers; what is made of a record depends
on that record alone, never on its neighbours.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Mapping as AnyMapping
from math import isfinite
from typing import Any, Final

import pyarrow as pa

from connectors.addresses import bare_attribute
from connectors.keys import HIDDEN_NAME
from connectors.mapping import MappedConnector
from connectors.mapping.compile import plan_of
from connectors.payloads import Records, each, gathered, records_of
from connectors.side_by_side import Work
from governor.ports import Payload, ReadOptions

PARTS: Final = "governor_parts"  # where a changed record keeps what became of it; the mappings name it in `records`
Parts = dict[str, list[dict[str, Any]]]  # mapping name -> its records
_SHADOW: Final = "governor-shadow-run"
OURS: Final = "x-governor-"  # x-governor-workflow says what metadata `workflow` says elsewhere
_MARKED: Final = ("x-litellm-tags", "x-portkey-metadata")
_HIDDEN: Final = re.compile(HIDDEN_NAME + "|(?i:key|token|auth|forward|real-ip|client-ip)")
_KEY_NAME: Final = re.compile(r"(?i:[-_](key|token)$)")


class ReshapedConnector(MappedConnector):
    """A connector whose records become other records first. A subclass says what a record becomes."""

    def parts(self, record: dict[str, Any]) -> Parts | None:
        """What a record becomes, by the mapping that reads it; None leaves it as it is."""
        raise NotImplementedError

    def _works(self, payloads: Iterable[Payload], options: ReadOptions) -> Iterator[Work]:
        by_name = {mapping.name: mapping for mapping in self.mappings}
        runs = (run for _, chunk in each(payloads, records_of, options) for run in self._runs(chunk))
        for form, chunks in gathered(runs, options.batch_rows):
            yield plan_of(by_name[form], options), chunks

    def _runs(self, chunk: Records) -> Iterator[tuple[str, Records]]:
        """The chunk's records per mapping, each in runs of consecutive rows."""
        home = self.mappings[0].name
        open_runs: dict[str, tuple[int, list[bytes]]] = {}

        def run(first: int, bodies: list[bytes], cut: str = "") -> Records:
            received = chunk.values.slice(first, len(bodies))
            return Records(chunk.uri, chunk.first_row + first, pa.array(bodies, pa.large_binary()), cut, received)

        last = len(chunk.values) - 1
        for index, value in enumerate(chunk.values):
            received = value.as_py()
            changed = self._changed(received)
            for form, body in ({home: received} if changed is None else changed).items():
                first, bodies = open_runs.get(form, (index, []))
                if first + len(bodies) != index:
                    yield form, run(first, bodies)
                    first, bodies = index, []
                bodies.append(body)
                open_runs[form] = (first, bodies)
        for form, (first, bodies) in open_runs.items():
            cut = chunk.cut if first + len(bodies) - 1 == last else ""
            yield form, run(first, bodies, cut)

    def _changed(self, received: bytes) -> dict[str, bytes] | None:
        """The record's parts as documents; None leaves the record as it came."""
        try:
            record = json.loads(received, parse_float=_finite, parse_constant=lambda _: None, strict=False)
            parts = self.parts(record) if isinstance(record, dict) else None
            if parts is None:
                return None
            return {form: _document(found) for form, found in parts.items()}
        except (ValueError, RecursionError):
            # SQL reads some of what Python refuses (nan, a number of thousands of digits, deep nesting) and would take the record,
            # unopened, for one without a model call. Without its last brace it is refused for certain.
            whole = received.strip()
            return {self.mappings[0].name: whole[:-1]} if whole.startswith(b"{") and whole.endswith(b"}") else None


def _document(parts: list[dict[str, Any]]) -> bytes:
    """One part stands alone, which is read much faster; several, or one with a list of that name, in a list."""
    alone = len(parts) == 1 and PARTS not in parts[0]
    return json.dumps(parts[0] if alone else {PARTS: parts}).encode()


def _finite(text: str) -> float | None:
    number = float(text)
    return number if isfinite(number) else None


def opened(value: Any) -> Any:
    """A body that is kept as text of JSON, as JSON; None for any other text."""
    if isinstance(value, str):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return None
    return value


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def named(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def client_claims(headers: Any, prefix: str = "x-") -> dict[str, str]:
    """What a client's headers say about the call. Only names with the prefix, and none that may hold a secret or an address."""
    found = {str(name).lower(): _text(bare_attribute(str(name), value)) for name, value in named(headers).items()}
    claims = {name.removeprefix(OURS): value for name, value in found.items() if name.startswith(prefix) and not _HIDDEN.search(name)}
    if found.get("x-governor-traffic") == "shadow" or any(
        _SHADOW in name or (name in _MARKED and _SHADOW in value) for name, value in found.items()
    ):
        claims[_SHADOW] = "true"  # our own replay: it must never be billed as production
    return claims


def unknown_fields(record: AnyMapping[str, Any], known: Iterable[str]) -> dict[str, Any]:
    """Plain values under names that the source does not use itself: a person's own log fields."""
    skipped = frozenset(known)
    return {
        name: bare_attribute(name, value)
        for name, value in record.items()
        if name not in skipped and isinstance(value, (str, int, float, bool)) and not _KEY_NAME.search(name)
    }


def first_of(*values: Any) -> Any:
    return next((value for value in values if value not in (None, "", [], {})), None)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def text_of(pieces: Sequence[Any]) -> str:
    return "".join(_text(piece) for piece in pieces if piece not in (None, ""))
