"""Bodies that are not JSON: how OpenAPI shows them, and how compressed ones are unpacked without believing them.

Owns: Content-Encoding, the limit after unpacking, binary answers. Does not own: what a body says (connectors, catalog, packets).
Invariants: unpacking stops at the limit, whatever the archive claims; an archive inside an archive is refused.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import zstandard
from litestar import Response
from litestar.openapi.spec import OpenAPIFormat, OpenAPIMediaType, OpenAPIResponse, OpenAPIType, Operation, RequestBody, Schema

from governor.errors import BodyTooLarge, Invalid

GZIP: Final = b"\x1f\x8b"
ZSTD: Final = b"\x28\xb5\x2f\xfd"
WINDOW: Final = 1 << 27
ANY: Final = "*/*"  # the type depends on what is asked for


class Malformed(Invalid):
    """The bytes themselves are broken: nothing in them could be read."""

    code = "malformed"
    status = 400


class HungUp(Malformed):
    """The sender went away in the middle: half a body is none."""

    def __init__(self) -> None:
        super().__init__("the sender hung up before its body was whole")


class UnsupportedMedia(Invalid):
    code = "media_type"
    status = 415


def unpack(body: bytes, encoding: str, limit: int) -> bytes:
    """The body without its Content-Encoding; gzip and zstd are also known by their first bytes. Raises Malformed, TooLarge or UnsupportedMedia."""
    named = encoding.strip().lower()
    if named not in {"", "identity", "gzip", "x-gzip", "zstd"}:
        raise UnsupportedMedia(f"Content-Encoding {encoding[:40]!r} is not known", hint="send gzip, zstd or identity")
    if body.startswith(GZIP):
        plain = gunzip(body, limit)
    elif body.startswith(ZSTD):
        plain = unzstd(body, limit)
    elif named in {"", "identity"} or not body:
        return body
    else:
        raise Malformed(f"the body is not {named}")
    if plain.startswith((GZIP, ZSTD)):
        raise Malformed("the body is an archive inside an archive")
    return plain


def gunzip(body: bytes, limit: int) -> bytes:
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(body)) as reader:
            plain = reader.read(limit + 1)
    except EOFError:
        raise Malformed("the gzip body ends early") from None
    except (OSError, zlib.error) as error:
        raise Malformed(f"damaged gzip body: {error}") from None
    return within(plain, limit)


def unzstd(body: bytes, limit: int) -> bytes:
    try:
        with zstandard.ZstdDecompressor(max_window_size=WINDOW).stream_reader(body, read_across_frames=True) as reader:
            plain = reader.read(limit + 1)
    except zstandard.ZstdError as error:
        raise Malformed(f"damaged zstd body: {error}") from None
    return within(plain, limit)


def within(plain: bytes, limit: int) -> bytes:
    if len(plain) > limit:
        raise BodyTooLarge(f"the body unpacks to more than {limit} bytes")
    return plain


def raw_body(*media_types: str, answers: Iterable[str] = (), required: bool = True) -> type[Operation]:
    """An OpenAPI operation whose request body is bytes of these types; `answers`: the types of its answer, where they are bytes too."""
    sent, given = content_of(media_types), content_of(answers)

    @dataclass
    class RawBody(Operation):
        def __post_init__(self) -> None:
            if sent:
                self.request_body = RequestBody(content=sent, required=required)
            success = (self.responses or {}).get("200")
            if given and isinstance(success, OpenAPIResponse):
                success.content, success.headers = given, None

    return RawBody


def raw_answer(*media_types: str) -> type[Operation]:
    """An OpenAPI operation that answers bytes of these types."""
    return raw_body(answers=media_types)


def content_of(media_types: Iterable[str]) -> dict[str, OpenAPIMediaType]:
    """Bytes; of JSON it is the value they say."""
    binary = Schema(type=OpenAPIType.STRING, format=OpenAPIFormat.BINARY)
    return {name: OpenAPIMediaType(schema=Schema() if name == "application/json" else binary) for name in media_types}


def download(body: bytes, media_type: str, name: str, **headers: str) -> Response[bytes]:
    """Bytes as a file; `name` is our own, or made safe by the caller."""
    shown: dict[str, Any] = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store", **headers}
    return Response(body, media_type=media_type, headers=shown)
