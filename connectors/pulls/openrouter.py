"""OpenRouter's daily activity: GET /api/v1/activity, sums by day, model and endpoint of the last 30 completed days. It holds no calls.

Calls come by Broadcast, generation answers or the activity CSV; this pull brings the source's own count of each day, which completeness compares with them.
Poll it daily: what is older than 30 days can no longer be asked. Options: `secret` (a management key), `url`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from connectors.answers import asked, counted, listed
from connectors.batches import empty_batch
from connectors.paging import Place, moment, setting
from governor.errors import Unavailable
from governor.ports import Batch, ReadOptions, SeenWindow, SourceRequest


def pull(cursor: str | None, options: ReadOptions) -> Iterator[tuple[Batch, str]]:
    config = options.config
    url = str(config.get("url") or "https://openrouter.ai").rstrip("/") + "/api/v1/activity"
    headers = {"Authorization": f"Bearer {setting(config, 'secret', 'env:OPENROUTER_MANAGEMENT_KEY')}"}
    said: dict[datetime, int] = defaultdict(int)
    for row in listed(asked(options, SourceRequest(url, headers=headers)), "data"):
        requests = counted(row, "requests")
        if requests is None or "date" not in row:
            raise Unavailable("a row of /activity has no `date` or no number of `requests` from 0 up")
        said[moment(str(row["date"])).astimezone(UTC)] += requests
    if not said:
        return
    for day in sorted(said):
        if options.saw is not None:
            options.saw(SeenWindow(day, day + timedelta(days=1), 0, said[day]))
    reached = max(said) + timedelta(days=1)
    before = Place.parse(cursor).reached if cursor else reached
    yield empty_batch(), Place(max(reached, before)).text()
