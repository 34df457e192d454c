"""Another try for quarantined records: read again by their connector, from the bytes that were kept.

Owns: which records are tried and what they become. Does not own: reading (connectors), storing (ingest).
Invariants: a record that can now be read is stored like any other and marked retried; one that cannot stays open with its reason.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from governor.actions.context import Actor, Context
from governor.actions.ingest import COUNTS, ingest_payloads, may_ingest
from governor.actions.payloads import connector_named
from governor.errors import Invalid
from governor.ports import Payload


def retry(ctx: Context, actor: Actor, ids: Sequence[str], *, every: bool = False) -> dict[str, int]:
    """Retry the named records (or their id prefixes), or all open ones. Returns the six counts of the new reading."""
    if not ids and not every:
        raise Invalid("name the records to retry", hint="`governor quarantine list` shows their ids; --all takes every one")
    total = dict.fromkeys(COUNTS, 0)
    by_origin: dict[tuple[str, str], list[dict[str, object]]] = defaultdict(list)
    for row in ctx.lake.quarantine(ids=ids, limit=100_000):
        by_origin[row["connector"], row["source"]].append(row)
    for (connector, source), rows in by_origin.items():
        may_ingest(actor, source)
        readable = []
        for row in rows:
            payload = Payload(uri=str(row["ingest_uri"]), body=bytes(row["raw"]))  # type: ignore[call-overload]  # binary column
            counts = ingest_payloads(ctx, actor, connector_named(connector), [payload], source=source)
            total = {name: total[name] + getattr(counts, name) for name in COUNTS}
            if counts.read and not counts.quarantined:
                readable.append(str(row["id"]))
        if readable:
            ctx.lake.decide_quarantine(readable, "retried", ctx.now())
    return total
