"""Helicone's request API: POST /v1/request/query-clickhouse, a documented query. Offsets end at 10,000, so a window that reaches it is narrowed.

It cuts times to the second, so that a shorter window would be an empty one. Rows of one instant come in any order from page to page.

Options: `secret` (an API key that reads), `url` for a server of one's own or the EU one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from connectors.answers import asked, ids_of, listed
from connectors.helicone import connector
from connectors.paging import Page, Window, iso, setting
from connectors.paging import pull as paged
from connectors.payloads import rewritten
from governor.ports import Batch, ReadOptions, SourceRequest

PAGE: Final = 1000


@dataclass(frozen=True)
class _Requests:
    options: ReadOptions
    name: str = "helicone:requests"
    cap: int = 10_000
    page_rows: int = PAGE
    finest_s: float = 1.0

    def page(self, window: Window, token: str) -> Page:
        offset, config = int(token or 0), self.options.config
        body = {
            "filter": {"left": _created("gte", window.start), "operator": "and", "right": _created("lt", window.end)},
            "offset": offset,
            "limit": PAGE,
            "sort": {"created_at": "asc"},
            "includeInputs": False,
        }
        url = str(config.get("url") or "https://api.helicone.ai").rstrip("/") + "/v1/request/query-clickhouse"
        headers = {"Authorization": f"Bearer {setting(config, 'secret', 'env:HELICONE_READ_KEY')}"}
        rows = listed(asked(self.options, SourceRequest(url, body=body, headers=headers)), "data")
        following = offset + len(rows)
        more = len(rows) == PAGE and following < self.cap
        return Page(rewritten({"data": rows}), len(rows), str(following) if more else "", ids=ids_of(rows, "request_id"))


def _created(operator: str, at: Any) -> dict[str, Any]:
    return {"request_response_rmt": {"request_created_at": {operator: iso(at)}}}


def pull(cursor: str | None, options: ReadOptions) -> Iterator[tuple[Batch, str]]:
    return paged(cursor, options, _Requests(options), connector.read)
