"""The picture in a browser's tab, for addresses that are no page of ours: plain text, a picture, a document."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from litestar import Response, get

from governor.web.session import OPEN

ICON: Final = Path(__file__).parent / "static" / "icon.svg"


@get("/favicon.ico", opt={OPEN: True}, sync_to_thread=False)
def show() -> Response[bytes]:
    return Response(ICON.read_bytes(), media_type="image/svg+xml", headers={"Cache-Control": "max-age=86400"})


ROUTES = [show]
