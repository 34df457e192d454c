"""Canonical JSON: one document, one sequence of bytes. RFC 8785 without floats.

Owns: encoding, strict decoding, the timestamp form, hex SHA-256. Does not own: what a document means.
Invariants: no floats (money and ratios are decimal strings), integers within 2^53, keys sorted by UTF-16 code units as RFC 8785 asks;
`parse_canonical` accepts exactly the bytes `canonical_json` would write, so a document has one digest and no second spelling.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from governor.errors import Invalid

MAX_SAFE_INT: Final = 2**53 - 1
ENCODE: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode
TIMESTAMP: Final = re.compile(r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{6}Z", re.ASCII)


def canonical_json(document: Any) -> bytes:
    """The one encoding of a document made of dict, list, tuple, str, int, bool and None. Raises Invalid naming the place of anything else."""
    if _everyday(document):  # code points sort as UTF-16 does; the library's encoder is six times faster
        return ENCODE(document).encode("utf-8")
    _check(document, "$")
    return _encode(document).encode("utf-8")


def parse_canonical(data: bytes) -> Any:
    """Decode, refusing any bytes that are not already canonical (duplicate keys, floats, spaces, escapes written another way)."""
    try:
        document = json.loads(data.decode("utf-8"))
        only = canonical_json(document) == data
    except Invalid:
        only = False
    except (UnicodeError, ValueError, RecursionError) as error:
        raise Invalid(f"not JSON: {error}") from None
    if not only:
        raise Invalid("JSON is not in canonical form")
    return document


def same(one: Any, other: Any) -> bool:
    """Whether both are the same document. For Python true is 1, and what is signed as one is not the other."""
    return canonical_json(one) == canonical_json(other)


def digest(document: Any) -> str:
    """Hex SHA-256 of the canonical JSON."""
    return sha256_hex(canonical_json(document))


def sha256_hex(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def timestamp(moment: datetime) -> str:
    """`YYYY-MM-DDTHH:MM:SS.ffffffZ`. Raises Invalid for a naive datetime: an instant without a zone has no place in a ledger."""
    if moment.tzinfo is None:
        raise Invalid("naive datetime where an instant in UTC is needed")
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_timestamp(text: str) -> datetime:
    """The instant of exactly that form. Raises Invalid for any other spelling."""
    if not isinstance(text, str) or not TIMESTAMP.fullmatch(text):
        raise Invalid(f"not a timestamp of the form YYYY-MM-DDTHH:MM:SS.ffffffZ: {text!r}")
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:  # such as 30 February
        raise Invalid(f"not a date: {text!r} ({error})") from None


def normalised(document: Any) -> Any:
    """The same document with every string in NFC, so that a name typed on two keyboards is one name."""
    if isinstance(document, str):
        return document if document.isascii() else unicodedata.normalize("NFC", document)
    if isinstance(document, Mapping):
        return {normalised(key): normalised(value) for key, value in document.items()}
    if isinstance(document, Sequence) and not isinstance(document, bytes | bytearray):
        return [normalised(value) for value in document]
    return document


def _everyday(document: Any) -> bool:
    """Whether it is of plain dicts with ASCII keys, lists and tuples, and nothing in it is without a canonical form. No: `_check` says where and why, if so."""
    todo = [document]
    for value in todo:  # grows while it is gone through
        kind = type(value)
        if kind is str:
            usual = value.isascii() or _encodable(value)
        elif kind is dict:
            usual = _ascii_keys(value)
            todo.extend(value.values())
        elif kind is list or kind is tuple:
            usual = True
            todo.extend(value)
        else:
            usual = value is None or kind is bool or (kind is int and -MAX_SAFE_INT <= value <= MAX_SAFE_INT)
        if not usual:
            return False
    return True


def _ascii_keys(document: dict[Any, Any]) -> bool:
    try:
        return "".join(document).isascii()
    except TypeError:  # a key is no text
        return False


def counted(value: int | None) -> int | str | None:
    """A count for a canonical document: text beyond 2^53, as what a provider charged is, in pico-USD, from 9,007 dollars on."""
    return value if value is None or abs(value) <= MAX_SAFE_INT else str(value)


def _check(value: Any, where: str) -> None:
    """Raises Invalid naming the place of what has no canonical form."""
    if value is None or isinstance(value, bool):
        return
    if isinstance(value, str):
        _check_text(value, where)
    elif isinstance(value, int):
        if abs(value) > MAX_SAFE_INT:
            raise Invalid(f"{where}: integer beyond 2^53; write it as a decimal string")
    elif isinstance(value, Mapping):
        for key, child in value.items():
            if not isinstance(key, str):
                raise Invalid(f"{where}: key {key!r} is not text")
            _check_text(key, where)
            _check(child, f"{where}.{key}")
    elif isinstance(value, list | tuple):
        for position, child in enumerate(value):
            _check(child, f"{where}[{position}]")
    else:
        hint = (
            "write money and ratios as decimal strings"
            if isinstance(value, float)
            else "use text, integers, true, false, null, lists and objects"
        )
        raise Invalid(f"{where}: {type(value).__name__} has no canonical form; {hint}")


def _check_text(text: str, where: str) -> None:
    if not _encodable(text):
        raise Invalid(f"{where}: lone surrogate in text")


def _encodable(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _encode(value: Any) -> str:
    if isinstance(value, Mapping):
        ordered = sorted(value.items(), key=lambda item: item[0].encode("utf-16-be"))
        return "{" + ",".join(f"{json.dumps(key, ensure_ascii=False)}:{_encode(child)}" for key, child in ordered) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(_encode(child) for child in value) + "]"
    return json.dumps(value, ensure_ascii=False)
