"""`governor sync`: pull from configured gateways since the last cursor.

Owns: which sources are pulled and their cursors. Does not own: how a source is asked (connectors).
Invariants: a cursor moves in the transaction that records its batch; pulling again overlaps and stores nothing twice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from governor.actions.context import Actor, Context
from governor.actions.ingest import COUNTS, ingest_batches, may_ingest
from governor.actions.load_catalog import catalog_as_of
from governor.actions.payloads import connector_named
from governor.adapters.secrets import read_secret
from governor.errors import NotFound
from governor.ports import ReadOptions
from governor.store.rows.ingest import SourceCursor


def sync(ctx: Context, actor: Actor, source: str = "", *, progress: Callable[[int], None] = lambda _: None) -> dict[str, dict[str, int]]:
    """Pull one source or all. Returns the six counts per source. Raises NotFound for a source the catalog does not know."""
    sources = catalog_as_of(ctx).sources
    if source and source not in sources:
        raise NotFound(f"no source {source!r} in the catalog", hint=f"configured: {', '.join(sources) or 'none; add `kind: source`'}")
    done = {}
    for name in [source] if source else sorted(sources):
        may_ingest(actor, name)
        document = sources[name]
        config = {key: resolved(value) for key, value in document.config.items()}
        options = ReadOptions(source_instance=name, config=config)
        total = dict.fromkeys(COUNTS, 0)
        with ctx.rows.session() as session:
            known = session.get(SourceCursor, (ctx.org, name))
        cursor = known.cursor if known else None
        for batch, following in connector_named(document.connector).fetch(cursor, options):
            counts = ingest_batches(ctx, actor, [batch], connector=document.connector, source=name, cursor=following, progress=progress)
            total = {key: total[key] + getattr(counts, key) for key in COUNTS}
        done[name] = total
    return done


def resolved(value: Any) -> Any:
    """A config value; references (env:NAME, file:PATH) become their secret."""
    return read_secret(value) if isinstance(value, str) and value.startswith(("env:", "file:")) else value
