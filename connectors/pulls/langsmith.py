"""LangSmith's runs: POST /api/v1/runs/query, or /api/v2/runs/query on servers that keep runs in SmithDB (the first version reads ClickHouse alone).

Both are documented queries and tell no total; their cursors may expire, then a window begins again. The second answers ids alone unless fields are named.
Options: `sessions` (project ids), `secret`, `url` for the EU or a server of one's own, `api` (v1, or v2).
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
SELECTS: Final = (
    "ID", "NAME", "RUN_TYPE", "STATUS", "START_TIME", "END_TIME", "FIRST_TOKEN_TIME", "ERROR", "EXTRA", "METADATA", "INPUTS", "OUTPUTS",
    "PARENT_RUN_IDS", "PROJECT_ID", "TRACE_ID", "TAGS", "PROMPT_TOKENS", "COMPLETION_TOKENS", "TOTAL_TOKENS", "PROMPT_TOKEN_DETAILS",
    "COMPLETION_TOKEN_DETAILS", "PROMPT_COST", "COMPLETION_COST", "TOTAL_COST", "PROMPT_COST_DETAILS", "COMPLETION_COST_DETAILS",
)  # fmt: skip


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
        api, start, end = str(config.get("api") or "v1"), iso(window.start), iso(window.end)
        if api not in ("v1", "v2"):
            raise Invalid(f"config.api {api!r} is no LangSmith API", hint="v1, or v2 for servers with SmithDB")
        body: dict[str, Any] = {
            "session": sessions,
            "limit": PAGE,
            "filter": f'and({KINDS}, gte(start_time, "{start}"), lt(start_time, "{end}"))',
        }
        if api == "v2":
            bounds = {"min_start_time": start, "max_start_time": end}
            body = {"project_ids": sessions, "page_size": PAGE, "filter": KINDS, "selects": SELECTS, **bounds}
        url = str(config.get("url") or "https://api.smith.langchain.com").rstrip("/") + f"/api/{api}/runs/query"
        headers = {"x-api-key": setting(config, "secret", "env:LANGSMITH_READ_KEY")}
        found = asked(self.options, SourceRequest(url, body=body | ({"cursor": token} if token else {}), headers=headers))
        rows = listed(found, "items" if api == "v2" else "runs")
        following = found.get("next_cursor") if api == "v2" else (found.get("cursors") or {}).get("next")
        return Page(rewritten({"runs": rows}), len(rows), str(following or ""))


def pull(cursor: str | None, options: ReadOptions) -> Iterator[tuple[Batch, str]]:
    return paged(cursor, options, _Runs(options), connector.read)
