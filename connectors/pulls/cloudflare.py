"""Cloudflare AI Gateway: GET .../ai-gateway/gateways/{gateway}/logs by page numbers, oldest first. A store that is full drops logs and says nothing.

Options: `account`, `gateway`, `secret` (a token with AI Gateway Read).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from connectors.answers import asked, counted, ids_of, listed
from connectors.cloudflare import connector
from connectors.paging import Page, Window, iso, setting
from connectors.paging import pull as paged
from connectors.payloads import rewritten
from governor.ports import Batch, ReadOptions, SourceRequest

PAGE: Final = 50  # the API's limit


@dataclass(frozen=True)
class _Logs:
    options: ReadOptions
    name: str = "cloudflare:logs"
    cap: int = 0
    page_rows: int = PAGE
    finest_s: float = 1.0

    def page(self, window: Window, token: str) -> Page:
        config, number = self.options.config, int(token or 1)
        base = str(config.get("url") or "https://api.cloudflare.com/client/v4").rstrip("/")
        place = f"accounts/{quote(setting(config, 'account', 'ACCOUNT_ID'), safe='')}/ai-gateway/gateways/{quote(setting(config, 'gateway', 'GATEWAY_ID'), safe='')}/logs"
        query = {
            "page": str(number),
            "per_page": str(PAGE),
            "start_date": iso(window.start),
            "end_date": iso(window.end),
            "order_by": "created_at",
            "order_by_direction": "asc",
        }
        headers = {"Authorization": f"Bearer {setting(config, 'secret', 'env:CLOUDFLARE_READ_TOKEN')}"}
        found = asked(self.options, SourceRequest(f"{base}/{place}", query, headers=headers))
        rows = listed(found, "result")
        return Page(
            rewritten({"result": rows}),
            len(rows),
            str(number + 1) if len(rows) == PAGE else "",
            counted(found, "result_info", "total_count"),
            ids=ids_of(rows, "id"),
        )


def pull(cursor: str | None, options: ReadOptions) -> Iterator[tuple[Batch, str]]:
    return paged(cursor, options, _Logs(options), connector.read)
