"""Another try for quarantined records: read again by their connector, from the bytes that were kept.

Owns: which records are tried and what they become, who may decide on quarantined records. Does not own: reading (connectors), storing (ingest).
Invariants: a record that can now be read is stored like any other and marked retried; in the same
lake transaction; one that cannot stays open with its reason, and no second quarantine row is made of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

from governor.actions.capture_content import ContentCapture
from governor.actions.context import BRINGERS, Actor, Context
from governor.actions.drain import WHOLE
from governor.actions.ingest import COUNTS, ingest_batches, may_ingest
from governor.actions.payloads import connector_named
from governor.errors import Forbidden, Invalid, NotFound
from governor.ports import Payload, ReadOptions

MOST: Final = 100_000
STATES: Final = ("open", "retried", "discarded", "all")  # what a list of records may be asked for


def retry(ctx: Context, actor: Actor, ids: Sequence[str], *, every: bool = False, source: str = "", code: str = "") -> dict[str, int]:
    """Retry the named records (or their id prefixes), or all open ones, of a source and with a code of reason where these are given.

    Returns the six counts of the new reading.

    Raises Invalid without any, NotFound, Forbidden for auditors and for a token without the scope.
    """
    if not ids and not every:
        raise Invalid(
            "name the records to retry",
            hint="`governor quarantine list` and the page of the quarantine show them; all can be retried at once",
        )
    may_decide(actor)
    total, capture = dict.fromkeys(COUNTS, 0), ContentCapture(ctx)
    by_origin: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in held(ctx, actor, ids, source=source, code=code):
        by_origin[row["connector"], row["source"]].append(row)
    for (connector, origin), rows in by_origin.items():
        reader = connector_named(connector)
        for row in rows:
            payload = Payload(uri=str(row["ingest_uri"]), body=ctx.content.unseal(bytes(row["raw"])))
            try:
                found = list(reader.read([payload], ReadOptions(origin, with_content=capture.wanted, config={"now": ctx.now()})))
            except Exception:  # noqa: BLE001 - what a connector could not read before may still bring it down
                found = []
            # of a body with many records the bad ones are refused each on its own
            refused = not str(row["reason"]).startswith(WHOLE) and any(batch.rejected.num_rows for batch in found)
            if refused or not any(batch.calls.num_rows for batch in found):
                total = {name: total[name] + int(name in ("read", "quarantined")) for name in COUNTS}
                continue
            uris, resolved = [payload.uri], [str(row["id"])]
            counts = ingest_batches(ctx, actor, found, capture=capture, connector=connector, source=origin, uris=uris, resolved=resolved)
            total = {name: total[name] + getattr(counts, name) for name in COUNTS}
    return total


def held(
    ctx: Context, actor: Actor, ids: Sequence[str], *, state: str | None = "open", source: str = "", code: str = "", raw: bool = True
) -> list[dict[str, Any]]:
    """Quarantined records by id or prefix; without ids, all of the state, the source and the code of reason.

    Raises NotFound for one that is not there, Forbidden without its source's scope.
    """
    found = ctx.lake.quarantine(state=state, source=source or None, code=code or None, ids=ids, limit=MOST, raw=raw)
    unknown = [wanted for wanted in ids if not any(str(row["id"]).startswith(wanted) for row in found)]
    if unknown:
        raise NotFound(f"not in quarantine: {', '.join(unknown)}", hint="`governor quarantine list` shows the ids")
    for name in sorted({str(row["source"]) for row in found}):
        may_ingest(actor, name)
    return found


def may_decide(actor: Actor) -> None:
    """Whoever may bring a file in: auditors read. Raises Forbidden."""
    if actor.kind == "person" and not actor.roles & set(BRINGERS):
        raise Forbidden(f"this needs role {' or '.join(BRINGERS)}; you hold {', '.join(sorted(actor.roles)) or 'none'}")
