"""Canonical JSON against an independent encoder, published vectors, and everything it must refuse."""

import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governor.errors import Invalid
from governor.ledger.canonical import canonical_json, normalised, parse_canonical, parse_timestamp, timestamp

TEXT = st.text(st.characters(blacklist_categories=("Cs",)), max_size=20)
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)


def independent(value: Any) -> str:
    """RFC 8785 written again from the specification, sharing no code with the product."""
    if isinstance(value, dict):
        keys = sorted(
            value,
            key=lambda key: [
                int.from_bytes(key.encode("utf-16-be")[at : at + 2], "big") for at in range(0, len(key.encode("utf-16-be")), 2)
            ],
        )
        return "{" + ",".join(f"{independent(key)}:{independent(value[key])}" for key in keys) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(independent, value)) + "]"
    if isinstance(value, str):
        short = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
        return '"' + "".join(short.get(char) or (f"\\u{ord(char):04x}" if char < " " else char) for char in value) + '"'
    return {None: "null", True: "true", False: "false"}.get(value) if value is None or isinstance(value, bool) else str(value)  # type: ignore[return-value]


@given(DOCUMENTS)
def test_same_bytes_as_an_independent_encoder(document: Any) -> None:
    assert canonical_json(document) == independent(document).encode()


@given(DOCUMENTS)
def test_reading_back_gives_the_document(document: Any) -> None:
    assert parse_canonical(canonical_json(document)) == document


@given(DOCUMENTS)
def test_ascii_keys_sort_like_any_json_library(document: Any) -> None:
    plain = json.loads(json.dumps({"a": document, "B": 1, "_": 2}, ensure_ascii=True))
    if all(key.isascii() for key in _keys(plain)):
        assert canonical_json(plain).decode() == json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _keys(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [*value, *(key for child in value.values() for key in _keys(child))]
    return [key for child in value for key in _keys(child)] if isinstance(value, list) else []


@pytest.mark.parametrize("name", ["arrays", "french", "unicode", "weird"])
def test_published_pairs_without_floats(shared_vectors: Path, name: str) -> None:
    document = json.loads((shared_vectors / "rfc8785/input" / f"{name}.json").read_text())
    expected = (shared_vectors / "rfc8785/output" / f"{name}.json").read_bytes()
    assert canonical_json(document) == expected


@pytest.mark.parametrize(
    "bad",
    [
        1.5,
        float("nan"),
        2**53,
        -(2**53),
        {"a": 0.1},
        [b"x"],
        {"a": {1, 2}},
        {1: "a"},
        "\ud800",
        {"\ud800": 1},
        datetime(2026, 1, 1, tzinfo=UTC),
    ],
)
def test_refused(bad: Any) -> None:
    with pytest.raises(Invalid):
        canonical_json(bad)


@pytest.mark.parametrize(
    "data",
    [
        b'{"b":1,"a":2}',
        b'{"a":1,"a":1}',
        b'{ "a":1}',
        b'{"a":1}\n',
        b'{"a":1.0}',
        b'{"a":1e2}',
        b'"\\u0041"',
        b'"\\/"',
        b"\xff",
        b"NaN",
        b"-0",
        b"",
        b"[" * 100_000,
    ],
)
def test_other_spellings_are_not_read(data: bytes) -> None:
    with pytest.raises(Invalid):
        parse_canonical(data)


def test_the_message_names_the_place() -> None:
    with pytest.raises(Invalid, match=r"\$\.totals\[1\]\.cost: float"):
        canonical_json({"totals": [{}, {"cost": 0.1}]})


def test_everything_is_checked_even_behind_an_unusual_key() -> None:
    """The fast path is chosen while checking; what follows the first non-ASCII key must still be checked."""
    for bad in ([{"\u00e9": 1}, 0.5], {"\u00e9": 1, "b": [{"c": 0.5}]}, {"a": {"\u00e9": 1}, "z": 2**60}):
        with pytest.raises(Invalid):
            canonical_json(bad)
    assert canonical_json({"\U0001f600": 1, "\ufb33": 2}) == '{"\U0001f600":1,"\ufb33":2}'.encode(), "UTF-16 order, not code point order"


def test_timestamps_have_one_form() -> None:
    moment = datetime(2026, 11, 20, 17, 2, 11, tzinfo=timezone(timedelta(hours=1)))
    assert timestamp(moment) == "2026-11-20T16:02:11.000000Z"
    assert parse_timestamp("2026-11-20T16:02:11.000000Z") == moment
    for bad in ("2026-11-20T16:02:11Z", "2026-11-20 16:02:11.000000Z", "2026-11-20T16:02:11.000000+00:00", "2026-02-30T16:02:11.000000Z"):
        with pytest.raises(Invalid):
            parse_timestamp(bad)
    with pytest.raises(Invalid, match="naive"):
        timestamp(datetime(2026, 11, 20, tzinfo=UTC).replace(tzinfo=None))


def test_two_spellings_of_a_name_become_one() -> None:
    assert normalised({"name": "Mo\u0308bius", "list": ["e\u0301"]}) == {"name": "M\u00f6bius", "list": ["\u00e9"]}
