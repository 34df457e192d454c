"""Braintrust's project logs: GET /v1/project_logs/{project}/fetch, newest transaction first, no window and no total.

The walk goes back by the API's cursor until it meets transactions of the pull before (and the overlap behind them). The cursor remembers where a walk
stands, so that a long first one goes on after a crash. Options: `project` (its id), `secret`, `url`, `overlap_seconds`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import quote

from connectors.answers import asked, listed
from connectors.batches import empty_batch
from connectors.braintrust import connector
from connectors.paging import OVERLAP_S, number, setting
from connectors.payloads import rewritten
from governor.errors import Invalid, Unavailable
from governor.ports import Batch, Payload, ReadOptions, SourceRequest

PAGE: Final = 1000
_SECOND: Final = 1 << 16  # a transaction id is a mark, the unix second and a counter of 16 bits


@dataclass(frozen=True)
class _Walk:
    """floor: newest transaction of the walk before; top: newest of this one; token: its next page, empty when it is done."""

    floor: int = 0
    top: int = 0
    token: str = ""

    def text(self) -> str:
        return json.dumps({"floor": str(self.floor), "top": str(self.top), "token": self.token})


def _parse(cursor: str | None) -> _Walk:
    try:
        found: dict[str, Any] = json.loads(cursor) if cursor else {"floor": 0, "top": 0, "token": ""}
        return _Walk(int(found["floor"]), int(found["top"]), str(found["token"]))
    except (KeyError, TypeError, ValueError) as error:
        raise Invalid(f"cursor {str(cursor)[:80]!r} is none of Braintrust's") from error


def pull(cursor: str | None, options: ReadOptions) -> Iterator[tuple[Batch, str]]:
    walk = _parse(cursor)
    edge = walk.floor - int(number(options.config, "overlap_seconds", OVERLAP_S)) * _SECOND
    while True:
        rows, following = _page(walk.token, options)
        if following and following == walk.token:
            raise Unavailable("braintrust gave the same page twice", hint="does a proxy drop its cursor? Nothing was passed over")
        written = [int(row["_xact_id"]) for row in rows if isinstance(row, dict) and str(row.get("_xact_id", "")).isdigit()]
        walk = replace(walk, top=max([walk.top, *written]), token=following)
        done = not rows or not following or (bool(written) and max(written) < edge)
        after = _Walk(floor=walk.top, top=walk.top) if done else walk
        yield from _batches(rows, options, cursor or _Walk().text(), after.text())
        if done:
            return


def _page(token: str, options: ReadOptions) -> tuple[list[Any], str]:
    config = options.config
    base = str(config.get("url") or "https://api.braintrust.dev").rstrip("/")
    url = f"{base}/v1/project_logs/{quote(setting(config, 'project', 'PROJECT_ID'), safe='')}/fetch"
    headers = {"Authorization": f"Bearer {setting(config, 'secret', 'env:BRAINTRUST_READ_KEY')}"}
    found = asked(options, SourceRequest(url, {"limit": str(PAGE)} | ({"cursor": token} if token else {}), headers=headers))
    return listed(found, "events"), str(found.get("cursor") or "")


def _batches(rows: list[Any], options: ReadOptions, before: str, after: str) -> Iterator[tuple[Batch, str]]:
    body = rewritten({"events": rows})
    waiting: Batch | None = None
    for batch in connector.read([Payload("braintrust:project-logs", body=body)], replace(options, door=None, saw=None)) if rows else ():
        if waiting is not None:
            yield waiting, before
        waiting = batch
    yield waiting or empty_batch(), after
