"""Cloudflare AI Gateway: pages of its logs API (`cloudflare.logs`) and single log entries, which hold the bodies (`cloudflare.log`).

Owns: opening the two bodies, which the API gives as text; one object of all token counts, so that a new one is kept. Does not own: the columns (mappings/).
Invariants: a body that the API cut short is no body; a record that is no such document passes as it came.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pyarrow as pa

from connectors.mapping import MappedConnector, shipped
from connectors.payloads import Records, rewritten
from governor.ports import Payload


class _Cloudflare(MappedConnector):
    def _records(self, payload: Payload) -> Iterator[Records]:
        for chunk in super()._records(payload):
            yield replace(chunk, values=pa.array([_opened(value.as_py()) for value in chunk.values], pa.large_binary()))


def _opened(received: bytes) -> bytes:
    try:
        document = json.loads(received.decode())
    except (ValueError, RecursionError):  # the reader says what is wrong with it
        return received
    if not isinstance(document, dict):
        return received
    found = document.get("result", document)
    rows = [row for row in (found if isinstance(found, list) else [found]) if isinstance(row, dict)]
    for row in rows:
        row["usage"] = {name: value for name, value in row.items() if "token" in name}
        for body in ("request_head", "response_head"):
            if body in row:
                row[body] = _body(row[body]) if row.get(f"{body}_complete") else None
    return rewritten(document)


def _body(text: Any) -> Any:
    """JSON where it is JSON; a stream of events is not read."""
    try:
        return json.loads(text, parse_constant=lambda _: None)
    except (TypeError, ValueError, RecursionError):
        return None


connector = _Cloudflare("cloudflare", [shipped("cloudflare"), shipped("cloudflare_log")])
