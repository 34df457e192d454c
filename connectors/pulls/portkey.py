"""Portkey: downloads log exports that are ready. Governor starts none: creating an export is a write, so a person or a schedule in Portkey does.

GET /v1/logs/exports lists them, GET .../{id}/download answers a signed URL of JSON lines. An export whose page is full (`page_size` rows; 50,000 at most, and
where its filters name none) may have been cut off and is reported as a hole. The cursor is the newest export's time; exports of the same second are read
again and stored once.
Options: `secret` (a key with scope logs.export), `workspace`, `url`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final
from urllib.parse import quote

from connectors.answers import asked, door_of, listed
from connectors.batches import empty_batch
from connectors.paging import Place, moment, setting
from connectors.portkey import connector
from governor.errors import Invalid, Unavailable
from governor.ports import Batch, Payload, ReadOptions, SeenWindow, SourceRequest

MOST: Final = 50_000  # rows of an export


def pull(cursor: str | None, options: ReadOptions) -> Iterator[tuple[Batch, str]]:
    config = options.config
    base = str(config.get("url") or "https://api.portkey.ai/v1").rstrip("/") + "/logs/exports"
    headers = {"x-portkey-api-key": setting(config, "secret", "env:PORTKEY_EXPORT_KEY")}
    workspace = str(config.get("workspace") or "")
    found = listed(asked(options, SourceRequest(base, {"workspace_id": workspace} if workspace else {}, headers=headers)), "data")
    reached = Place.parse(cursor).reached if cursor else None
    ready = sorted((moment(str(one["last_updated_at"])), str(one["id"]), one) for one in found if one.get("status") == "success")
    for at, number, export in ready:
        if reached is not None and at < reached:
            continue
        where = asked(options, SourceRequest(f"{base}/{quote(number, safe='')}/download", headers=headers)).get("signed_url")
        if not isinstance(where, str):
            raise Unavailable(f"export {number} has no signed_url")
        yield from _export(where, number, export, Place(at).text(), cursor or "", options)


def _export(url: str, number: str, export: dict[str, Any], after: str, before: str, options: ReadOptions) -> Iterator[tuple[Batch, str]]:
    with TemporaryDirectory(prefix="governor-export-") as folder:
        path = Path(folder) / "export"
        door_of(options).ask(SourceRequest(url, into=path))  # another host: no key goes there
        waiting: Batch | None = None
        rows = 0
        for batch in connector.read([Payload(f"portkey:export/{number}", path=path)], replace(options, door=None, saw=None)):
            rows += batch.calls.num_rows + batch.rejected.num_rows
            if waiting is not None:
                yield waiting, before
            waiting = batch
        _note(export, number, rows, options)
        yield waiting or empty_batch(), after


def _note(export: dict[str, Any], number: str, rows: int, options: ReadOptions) -> None:
    """The window an export was asked for, where its filters say one."""
    filters = export.get("filters") or {}
    try:
        start, end = moment(str(filters["time_of_generation_min"])), moment(str(filters["time_of_generation_max"]))
    except (KeyError, Invalid):
        return
    size = filters.get("page_size")
    most = int(size) if isinstance(size, (int, float)) and 0 < size < MOST else MOST
    hole = f"export {number} ends at its page size of {most:,} rows: export its window in parts" if rows >= most else ""
    if options.saw is not None and start < end:
        options.saw(SeenWindow(start, end, rows, None, hole))
