"""fal's billing events: GET /v1/models/billing-events by cursor; `end` is exclusive, a question spans 90 days at most. Events can change before the invoice.

Options: `secret` (an admin key; only read here), `url`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from connectors.answers import asked, listed
from connectors.fal import connector
from connectors.paging import Page, Window, iso, setting
from connectors.paging import pull as paged
from connectors.payloads import rewritten
from governor.ports import Batch, ReadOptions, SourceRequest

PAGE: Final = 1000


@dataclass(frozen=True)
class _Events:
    options: ReadOptions
    name: str = "fal:billing-events"
    cap: int = 0
    page_rows: int = PAGE
    finest_s: float = 1.0

    def page(self, window: Window, token: str) -> Page:
        config = self.options.config
        url = str(config.get("url") or "https://api.fal.ai").rstrip("/") + "/v1/models/billing-events"
        query = {"start": iso(window.start), "end": iso(window.end), "limit": str(PAGE)} | ({"cursor": token} if token else {})
        headers = {"Authorization": f"Key {setting(config, 'secret', 'env:FAL_ADMIN_KEY')}"}
        found = asked(self.options, SourceRequest(url, query, headers=headers))
        rows = listed(found, "billing_events")
        return Page(rewritten({"billing_events": rows}), len(rows), str(found.get("next_cursor") or ""))


def pull(cursor: str | None, options: ReadOptions) -> Iterator[tuple[Batch, str]]:
    return paged(cursor, options, _Events(options), connector.read)
