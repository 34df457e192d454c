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
from governor.catalog import SourceDocument
from governor.errors import GovernorError, NotFound
from governor.ports import ReadOptions
from governor.store.rows.ingest import SourceCursor


def sync(ctx: Context, actor: Actor, source: str = "", *, progress: Callable[[int], None] = lambda _: None) -> dict[str, dict[str, int]]:
    """Pull one source or all. Returns the six counts per source. Raises NotFound for a source the catalog does not know.

    One source that fails keeps no other from being pulled; its error is raised when all had their turn, and says what the others stored.
    """
    sources = catalog_as_of(ctx).sources
    if source and source not in sources:
        raise NotFound(f"no source {source!r} in the catalog", hint=f"configured: {', '.join(sources) or 'none; add `kind: source`'}")
    done: dict[str, dict[str, int]] = {}
    failed: dict[str, GovernorError] = {}
    for name in [source] if source else sorted(sources):
        may_ingest(actor, name)
        try:
            done[name] = pull(ctx, actor, sources[name], progress)
        except GovernorError as error:
            failed[name] = error
    if failed:
        first = next(iter(failed.values()))
        words = "; ".join(f"{name}: {error.message}" for name, error in failed.items())
        stored = ", ".join(f"{name} stored {counts['stored']:,} of {counts['read']:,}" for name, counts in done.items())
        raise type(first)(words + (f" (the others were pulled: {stored})" if stored else ""), hint=first.hint)
    return done


def pull(ctx: Context, actor: Actor, document: SourceDocument, progress: Callable[[int], None]) -> dict[str, int]:
    """One source, batch after batch."""
    config = {key: resolved(value) for key, value in document.config.items()}
    options = ReadOptions(source_instance=document.id, config=config)
    total = dict.fromkeys(COUNTS, 0)
    with ctx.rows.session() as session:
        known = session.get(SourceCursor, (ctx.org, document.id))
    cursor = known.cursor if known else None
    for batch, following in connector_named(document.connector).fetch(cursor, options):
        counts = ingest_batches(ctx, actor, [batch], connector=document.connector, source=document.id, cursor=following, progress=progress)
        total = {key: total[key] + getattr(counts, key) for key in COUNTS}
    return total


def resolved(value: Any) -> Any:
    """A config value; references (env:NAME, file:PATH) become their secret."""
    return read_secret(value) if isinstance(value, str) and value.startswith(("env:", "file:")) else value
