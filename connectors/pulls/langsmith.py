"""LangSmith's runs: POST /api/v1/runs/query, a documented query. It tells no total; its cursors may expire, then a window begins again.

Options: `sessions` (project ids), `secret`, `url` for the EU or a server of one's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from connectors.answers import asked, listed
from connectors.langsmith import connector
from connectors.paging import Page, Window, iso, setting
from connectors.paging import pull as paged
from connectors.payloads import rewritten
from governor.errors import Invalid
from governor.ports import Batch, ReadOptions, SourceRequest

PAGE: Final = 100
KINDS: Final = 'or(eq(run_type, "llm"), eq(run_type, "embedding"))'


@dataclass(frozen=True)
class _Runs:
    options: ReadOptions
    name: str = "langsmith:runs"
    cap: int = 0
    page_rows: int = PAGE
    finest_s: float = 0.001

    def page(self, window: Window, token: str) -> Page:
        config = self.options.config
        sessions = config.get("sessions")
        if not isinstance(sessions, list) or not sessions or not all(isinstance(one, str) for one in sessions):
            raise Invalid("the source has no `sessions`", hint="config: {sessions: [PROJECT_ID]} in the source document")
        body: dict[str, Any] = {
            "session": sessions,
            "filter": f'and({KINDS}, gte(start_time, "{iso(window.start)}"), lt(start_time, "{iso(window.end)}"))',
            "limit": PAGE,
        }
        url = str(config.get("url") or "https://api.smith.langchain.com").rstrip("/") + "/api/v1/runs/query"
        headers = {"x-api-key": setting(config, "secret", "env:LANGSMITH_READ_KEY")}
        found = asked(self.options, SourceRequest(url, body=body | ({"cursor": token} if token else {}), headers=headers))
        rows = listed(found, "runs")
        following = (found.get("cursors") or {}).get("next")
        return Page(rewritten({"runs": rows}), len(rows), str(following or ""))


def pull(cursor: str | None, options: ReadOptions) -> Iterator[tuple[Batch, str]]:
    return paged(cursor, options, _Runs(options), connector.read)
