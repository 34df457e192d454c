"""A file that a page hands out."""

from __future__ import annotations

from litestar import Response


def attached(body: bytes | str, media_type: str, name: str, sha256: str = "") -> Response[bytes]:
    """Bytes under a name that is our own, or made safe by the caller; kept by no cache. sha256: told in a header, for whoever checks."""
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "private, no-store"}
    if sha256:
        headers["Governor-SHA256"] = sha256
    return Response(body.encode() if isinstance(body, str) else body, media_type=media_type, status_code=200, headers=headers)
