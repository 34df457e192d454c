"""`governor sync`: pull from configured gateways since the last cursor.

Owns: which sources are pulled, their cursors, what was seen of each window. Does not own: how a source is asked (connectors, connectors/pulls), HTTP
(adapters/source_door.py), what the windows mean (actions/completeness.py).
Invariants: a cursor moves in the transaction that records its batch; pulling again overlaps and stores nothing twice; what a window showed is on record
before the cursor passes it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from typing import Any

from sqlalchemy import delete
from sqlmodel import col

from governor.actions.capture_content import ContentCapture
from governor.actions.context import Actor, Context
from governor.actions.ingest import COUNTS, ingest_batches, may_ingest
from governor.actions.load_catalog import catalog_as_of
from governor.actions.payloads import connector_named
from governor.adapters.secrets import read_secret
from governor.adapters.source_door import HttpSourceDoor
from governor.catalog import SourceDocument
from governor.errors import GovernorError, Invalid, NotFound, Unavailable
from governor.ports import Batch, ReadOptions, SeenWindow
from governor.store.rows.ingest import SourceCursor, SourceWindow


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
        hint = first.hint if len(failed) == 1 else "`governor sync SOURCE` pulls one and says what to do about it"
        raise type(first)(words + (f" (the others were pulled: {stored})" if stored else ""), hint=hint)
    return done


def pull(ctx: Context, actor: Actor, document: SourceDocument, progress: Callable[[int], None]) -> dict[str, int]:
    """One source, batch after batch."""
    total = dict.fromkeys(COUNTS, 0)
    with ctx.rows.session() as session:
        known = session.get(SourceCursor, (ctx.org, document.id))
    cursor = known.cursor if known else None
    seen: list[SeenWindow] = []
    passed = ""  # windows with nothing in them are written down together
    for batch, following in asked(ctx, document, cursor, seen.append):
        if not (batch.calls.num_rows or batch.rejected.num_rows or batch.spans.num_rows):
            passed = following
            continue
        keep(ctx, actor, document.id, seen)
        seen.clear()
        counts = ingest_batches(ctx, actor, [batch], connector=document.connector, source=document.id, cursor=following, progress=progress)
        total = {key: total[key] + getattr(counts, key) for key in COUNTS}
        passed = ""
    keep(ctx, actor, document.id, seen, cursor=passed)
    return total


def asked(ctx: Context, document: SourceDocument, cursor: str | None, saw: Callable[[SeenWindow], None]) -> Iterator[tuple[Batch, str]]:
    """Over HTTP where the configuration names an address or a key and a pull is installed; else by the connector's own way."""
    config = {key: resolved(value) for key, value in document.config.items()} | {"now": ctx.now()}
    wanted = ContentCapture(ctx).wanted
    known = {found.name: found for found in entry_points(group="governor.pulls")}
    if document.connector not in known or not {"url", "secret"} & config.keys():
        try:
            yield from connector_named(document.connector).fetch(cursor, ReadOptions(document.id, with_content=wanted, config=config))
        except Invalid as error:
            hint = "give the source its `secret`; docs/connectors.md says what else" if document.connector in known else error.hint
            raise Invalid(error.message, hint=hint) from error
        return
    with HttpSourceDoor(allow_private=ctx.settings.allow_private_endpoints, now=ctx.now) as door:
        options = ReadOptions(document.id, with_content=wanted, config=config, door=door, saw=saw)
        try:
            yield from known[document.connector].load()(cursor, options)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            # an answer of another shape than the documented one; it may hold anything, so only the kind of failure is passed on
            hint = "is `url` the address of the API, and its version the one in the docs? What was read is stored"
            raise Unavailable(f"{document.connector} gave an answer that cannot be read ({type(error).__name__})", hint=hint) from error


def keep(ctx: Context, actor: Actor, source: str, seen: list[SeenWindow], *, cursor: str = "") -> None:
    """Windows on record, in place of older looks inside them; and the cursor where there was nothing to store."""
    if not seen and not cursor:
        return
    with ctx.transaction(actor) as tx:
        for one in seen:
            tx.session.execute(
                delete(SourceWindow).where(
                    col(SourceWindow.org_id) == tx.org,
                    col(SourceWindow.source) == source,
                    col(SourceWindow.start_at) >= one.start,
                    col(SourceWindow.end_at) <= one.end,
                )
            )
            row = SourceWindow(
                org_id=tx.org,
                source=source,
                start_at=one.start,
                end_at=one.end,
                read=one.read,
                said=one.said,
                hole=one.hole,
                seen_at=tx.now,
            )
            tx.session.add(row)
        if cursor:
            tx.session.merge(SourceCursor(org_id=tx.org, source=source, cursor=cursor, updated_at=tx.now))


def resolved(value: Any) -> Any:
    """A config value; references (env:NAME, file:PATH) become their secret."""
    return read_secret(value) if isinstance(value, str) and value.startswith(("env:", "file:")) else value
