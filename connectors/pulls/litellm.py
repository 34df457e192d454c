"""LiteLLM's spend table through its API: GET /spend/logs/v2, for proxies whose database may not be read.

The count stops at 10,000 (`total_is_capped`), and older proxies stop there with their pages too, so a window that reaches it is narrowed.
Prompts are not in it. Times are `YYYY-MM-DD HH:MM:SS` in UTC, both ends inclusive: rows of a boundary come twice and are stored once.
Options: `url` (the proxy), `secret` (a key that may read all spend).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from connectors.answers import asked, counted, ids_of, listed
from connectors.litellm import connector
from connectors.paging import Page, Window, setting
from connectors.paging import pull as paged
from connectors.payloads import rewritten
from governor.ports import Batch, ReadOptions, SourceRequest

PAGE: Final = 100  # proxies up to 1.90 refuse a larger one


@dataclass(frozen=True)
class _SpendLogs:
    options: ReadOptions
    name: str = "litellm:spend-logs"
    cap: int = 10_000
    page_rows: int = PAGE
    finest_s: float = 1.0

    def page(self, window: Window, token: str) -> Page:
        number = int(token or 1)
        found = asked(
            self.options,
            SourceRequest(
                setting(self.options.config, "url", "https://llm.acme.example").rstrip("/") + "/spend/logs/v2",
                {"start_date": _time(window.start), "end_date": _time(window.end), "page": str(number), "page_size": str(PAGE)},
                headers={"Authorization": f"Bearer {setting(self.options.config, 'secret', 'env:LITELLM_READ_KEY')}"},
            ),
        )
        rows = listed(found, "data")
        body = b"\n".join(map(rewritten, rows))
        total = counted(found, "total")
        capped = bool(found.get("total_is_capped")) or total == self.cap
        following = str(number + 1) if len(rows) == PAGE else ""
        return Page(body, len(rows), following, total, open_ended=capped, ids=ids_of(rows, "request_id"))


def _time(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%S")


def pull(cursor: str | None, options: ReadOptions) -> Iterator[tuple[Batch, str]]:
    return paged(cursor, options, _SpendLogs(options), connector.read)
