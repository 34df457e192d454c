"""Another try for quarantined records: read again by their connector, from the bytes that were kept.

Owns: which records are tried and what they become. Does not own: reading (connectors), storing (ingest).
Invariants: a record that can now be read is stored like any other and marked retried; in the same
lake transaction; one that cannot stays open with its reason, and no second quarantine row is made of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from governor.actions.context import Actor, Context
from governor.actions.ingest import COUNTS, ingest_batches, may_ingest
from governor.actions.payloads import connector_named
from governor.errors import Invalid, NotFound
from governor.ports import Payload, ReadOptions


def retry(ctx: Context, actor: Actor, ids: Sequence[str], *, every: bool = False) -> dict[str, int]:
    """Retry the named records (or their id prefixes), or all open ones. Returns the six counts of the new reading."""
    if not ids and not every:
        raise Invalid("name the records to retry", hint="`governor quarantine list` shows their ids; --all takes every one")
    total = dict.fromkeys(COUNTS, 0)
    by_origin: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    held = ctx.lake.quarantine(ids=ids, limit=100_000)
    unknown = [wanted for wanted in ids if not any(str(row["id"]).startswith(wanted) for row in held)]
    if unknown:
        raise NotFound(f"not in quarantine: {', '.join(unknown)}", hint="`governor quarantine list` shows the ids")
    for row in held:
        by_origin[row["connector"], row["source"]].append(row)
    for (connector, source), rows in by_origin.items():
        may_ingest(actor, source)
        reader = connector_named(connector)
        for row in rows:
            payload = Payload(uri=str(row["ingest_uri"]), body=bytes(row["raw"]))
            found = list(reader.read([payload], ReadOptions(source_instance=source)))
            still_bad = not found or any(batch.rejected.num_rows for batch in found) or not any(batch.calls.num_rows for batch in found)
            if still_bad:
                total = {name: total[name] + int(name in ("read", "quarantined")) for name in COUNTS}
                continue
            counts = ingest_batches(ctx, actor, found, connector=connector, source=source, uris=[payload.uri], resolved=[str(row["id"])])
            total = {name: total[name] + getattr(counts, name) for name in COUNTS}
    return total
