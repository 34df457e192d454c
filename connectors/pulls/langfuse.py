"""Langfuse's public API: GET /api/public/v2/observations by cursor, or v1 observations with their traces for servers before v2.

Only v1 tells a total, and only v2 repeats user, session and trace name on the observation: for v1 they are read from /api/public/traces and put there.
Options: `url`, `public_key`'s value as `user`, `secret` (the secret key), `api` (v2, or v1).
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from connectors.answers import asked, counted, ids_of, listed
from connectors.langfuse import connector
from connectors.paging import Page, Window, iso, setting
from connectors.paging import pull as paged
from connectors.payloads import rewritten
from governor.errors import Invalid
from governor.ports import Batch, ReadOptions, SourceRequest

FIELDS: Final = "core,basic,time,io,metadata,model,usage,prompt,metrics,trace_context"
FROM_TRACE: Final = {"userId": "userId", "sessionId": "sessionId", "traceName": "name", "tags": "tags", "release": "release"}
V1_PAGE: Final = 100
V2_PAGE: Final = 1000


def _get(options: ReadOptions, path: str, query: dict[str, str]) -> Any:
    config = options.config
    pair = f"{setting(config, 'user', 'pk-lf-...')}:{setting(config, 'secret', 'env:LANGFUSE_SECRET_KEY')}"
    url = str(config.get("url") or "https://cloud.langfuse.com").rstrip("/")
    key = base64.b64encode(pair.encode()).decode()
    return asked(options, SourceRequest(f"{url}/api/public/{path}", query, headers={"Authorization": f"Basic {key}"}))


def _between(window: Window, prefix: str) -> dict[str, str]:
    return {f"from{prefix}": iso(window.start), f"to{prefix}": iso(window.end)}


@dataclass(frozen=True)
class _V2:
    options: ReadOptions
    name: str = "langfuse:observations"
    cap: int = 0
    page_rows: int = V2_PAGE
    finest_s: float = 0.001

    def page(self, window: Window, token: str) -> Page:
        query = {"limit": str(V2_PAGE), "fields": FIELDS, "expandMetadata": "true", **_between(window, "StartTime")}
        try:
            found = _get(self.options, "v2/observations", query | ({"cursor": token} if token else {}))
        except Invalid as error:
            hint = "is `url` right? A server without version 2 of the API needs `api: v1` in the source's config"
            raise type(error)(error.message, hint=hint if error.message.endswith("404") else error.hint) from None
        rows = listed(found, "data")
        meta = found.get("meta") or {}
        return Page(rewritten({"data": rows}), len(rows), str(meta.get("cursor") or ""))


@dataclass(frozen=True)
class _V1:
    options: ReadOptions
    name: str = "langfuse:observations"
    cap: int = 0
    page_rows: int = V1_PAGE
    finest_s: float = 0.001
    _traces: dict[str, dict[str, Any]] = field(default_factory=dict, repr=False)

    def page(self, window: Window, token: str) -> Page:
        number = int(token or 1)
        if not self._traces or number == 1:
            self._read_traces(window)
        found = _get(self.options, "observations", {"limit": str(V1_PAGE), "page": str(number), **_between(window, "StartTime")})
        rows = listed(found, "data")
        for row in (one for one in rows if isinstance(one, dict)):  # the reader says what is wrong with the others
            for name, value in self._traces.get(str(row.get("traceId")), {}).items():
                row.setdefault(name, value)
        pages = counted(found, "meta", "totalPages") or 0
        following = str(number + 1) if number < pages else ""
        return Page(rewritten({"data": rows}), len(rows), following, counted(found, "meta", "totalItems"), ids=ids_of(rows, "id"))

    def _read_traces(self, window: Window) -> None:
        """Traces that began up to an hour before; of an older one the observation goes without."""
        self._traces.clear()
        earlier = Window(window.start - timedelta(hours=1), window.end)
        number, pages = 1, 1
        while number <= pages:
            found = _get(
                self.options, "traces", {"limit": str(V1_PAGE), "page": str(number), "fields": "core", **_between(earlier, "Timestamp")}
            )
            for trace in listed(found, "data"):
                known = {name: trace.get(place) for name, place in FROM_TRACE.items()}
                self._traces[str(trace.get("id"))] = {name: value for name, value in known.items() if value}
            pages = counted(found, "meta", "totalPages") or 0
            number += 1


def pull(cursor: str | None, options: ReadOptions) -> Iterator[tuple[Batch, str]]:
    api = options.config.get("api", "v2")
    if api not in ("v1", "v2"):
        raise Invalid(f"config.api {api!r} is no Langfuse API", hint="v2, or v1 for a server before v2")
    return paged(cursor, options, _V1(options) if api == "v1" else _V2(options), connector.read)
