"""Traffic that a gateway pushes: on disk before it is acknowledged, in the lake once.

Owns: taking a body: permission, limits, the answer. Does not own: HTTP (api), the spool and its draining (spool.py, drain.py), reading (connectors).
Invariants: a body is synced to disk before anything else happens to it; its spool name is its batch id, so that storing it twice stores it once;
a body that nobody can read is refused, any other is acknowledged once it is on disk, whatever fails then; of many receivers of a process one
stores at a time, the others answer at once and leave their body to the drainer, which stores many together; so does a source that pushes without end.
"""

from __future__ import annotations

import threading
from typing import Any, Final

from governor.actions import pace
from governor.actions.context import Actor, Context
from governor.actions.drain import outages, store, stored
from governor.actions.ingest import COUNTS, may_ingest
from governor.actions.load_catalog import catalog_as_of
from governor.actions.payloads import connector_named
from governor.actions.spool import claimed, put
from governor.errors import BodyTooLarge, Invalid, LakeBusy

PATIENCE = 2.0  # a gateway waits; a busy lake gets the body from the spool later
SPOOLED: Final = {**dict.fromkeys(COUNTS, 0), "spooled": True}
_storing = threading.Lock()


def push(ctx: Context, actor: Actor, source: str, body: bytes, content_type: str = "") -> dict[str, Any]:
    """Take a pushed body. Returns the six counts and `spooled`: true when it is safe on disk and will be stored with others soon.

    `source` is a configured source or a connector's name. Raises Forbidden, NotFound, TooLarge, and Invalid for a body nobody can read.
    """
    may_ingest(actor, source)
    if len(body) > ctx.settings.max_body_bytes:
        raise BodyTooLarge(f"the body has {len(body)} bytes; the limit is {ctx.settings.max_body_bytes}")
    if not body.strip():
        raise Invalid("the body is empty")
    connector = connector_of(ctx, source)
    connector_named(connector)
    note = {"source": source, "connector": connector, "content_type": content_type, "actor": actor.id}
    path = put(ctx, note, body)
    if not pace.may_store(path.parent, source) or not _storing.acquire(blocking=False):
        return dict(SPOOLED)
    try:
        with claimed(path) as mine:
            if not mine:  # a drainer was faster: it records the counts
                return dict(SPOOLED)
            try:
                counts = store(ctx, actor, path, note, body, patience=PATIENCE)
            except Invalid:
                path.unlink(missing_ok=True)
                raise
            except Exception as error:  # noqa: BLE001 - the body is on disk, so it is acknowledged; the drainer tells a bad body from a bad lake
                if not isinstance(error, LakeBusy):
                    outages.wrong((path.parent, source), error, f"a pushed body of {source} waits in the spool")
                return dict(SPOOLED)
            stored(path.parent, source)
            path.unlink(missing_ok=True)
    finally:
        _storing.release()
    return {**counts.as_dict(), "spooled": False}


def connector_of(ctx: Context, source: str) -> str:
    """The connector of a configured source; a name the catalog does not know is taken for a connector's."""
    known = catalog_as_of(ctx).sources
    return known[source].connector if source in known else source
