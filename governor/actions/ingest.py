"""`governor ingest`: records of a source into the lake, each call once, then one rows transaction with the batch and its ledger entry.

Owns: the order (read, keep bodies, lake commit, rows commit) and completing what a crash left between the two commits.
Does not own: formats (connectors), dedupe and witnesses (store/lake). Invariants: read = stored + duplicates + conflicts + quarantined;
the lake's batch id is the ledger entry's idempotency key, so completing twice writes once.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from itertools import chain
from typing import Any, Final

from sqlalchemy import text
from sqlmodel import col, func, select

from governor.actions.capture_content import ContentCapture
from governor.actions.context import BRINGERS, SYSTEM, Actor, Context
from governor.actions.payloads import connector_named, connectors, detect, files_of, payloads_of, shown, source_named_after
from governor.catalog.fields import identifier
from governor.errors import Forbidden, Invalid
from governor.ledger.canonical import canonical_json
from governor.ledger.entry import EntryDraft
from governor.ports import Batch, Connector, Payload, ReadOptions
from governor.store.lake_ingest import BatchInfo, Counts
from governor.store.lake_stage import Stage
from governor.store.rows.base import uuid7
from governor.store.rows.ingest import IngestBatch, SourceCursor
from governor.store.transaction import Transaction

log = logging.getLogger(__name__)
Progress = Callable[[int], None]
LOCK_PATIENCE = 600.0  # seconds to wait for another writer of the lake
RECENT = 100  # batches looked at before each ingest
PART_BYTES: Final = 20 << 20  # of calls, as columns: what one commit of a large file holds; two of them are in memory
_UNNAMABLE: Final = re.compile(r"[^\x21-\x2e\x30-\x7e]")  # what no stream of the ledger may be called; the payload has the name as it is
COUNTS = ("read", "stored", "duplicates", "conflicts", "quarantined", "other_spans")


def ingest(
    ctx: Context,
    actor: Actor,
    connector: str,
    words: Sequence[str],
    *,
    source: str = "",
    progress: Progress = lambda _: None,
    chosen: Callable[[str, list[str]], None] = lambda _name, _files: None,
    refused: Callable[[Invalid], None] | None = None,
) -> dict[str, Any]:
    """Read files or objects with a connector (`auto` detects). Returns the six counts; `progress` is told the records read so far.

    Raises NotFound for a word that matches nothing, Forbidden without the scope, Invalid for a source name that is none and for a payload nobody
    can read: of several, `refused` is told instead, and the others are read.
    """
    may_ingest(actor, connector.partition(":")[0])
    complete_batches(ctx, newest=RECENT)
    names = files_of(words)
    plan = detect(names, connectors()) if connector == "auto" else {connector: names}
    sources = {name: source_name(source or source_named_after(name)) for name in plan}
    scratch = ctx.settings.home / "scratch"
    scratch.mkdir(parents=True, exist_ok=True, mode=0o700)
    total = dict.fromkeys(COUNTS, 0)
    for name, files in plan.items():
        chosen(name, files)
        counts = ingest_payloads(
            ctx,
            actor,
            connector_named(name),
            payloads_of(files, scratch),
            source=sources[name],
            uris=[shown(file) for file in files],
            progress=progress,
            refused=refused if len(names) > 1 or "://" in names[0] else None,
        )
        total = {key: total[key] + getattr(counts, key) for key in COUNTS}
    return total


def ingest_payloads(
    ctx: Context,
    actor: Actor,
    connector: Connector,
    payloads: Iterable[Payload],
    *,
    source: str,
    uris: Sequence[str] = (),
    progress: Progress = lambda _: None,
    batch_id: str = "",
    resolved: Sequence[str] = (),
    patience: float = LOCK_PATIENCE,
    refused: Callable[[Invalid], None] | None = None,
) -> Counts:
    """What a connector reads in `payloads`, stored as `ingest_batches` says. The same `batch_id` again stores nothing and answers the same."""
    capture = ContentCapture(ctx)
    return ingest_batches(
        ctx,
        actor,
        # the connector is to refuse what lies ahead, as it came: the lake, which would too, knows only the columns
        connector.read(payloads, ReadOptions(source, with_content=capture.wanted, config={"now": ctx.now()}, refused=refused)),
        capture=capture,
        connector=connector.name,
        source=source,
        uris=uris,
        progress=progress,
        batch_id=batch_id,
        resolved=resolved,
        patience=patience,
    )


def ingest_batches(
    ctx: Context,
    actor: Actor,
    batches: Iterable[Batch],
    *,
    capture: ContentCapture | None = None,
    connector: str,
    source: str,
    uris: Sequence[str] = (),
    cursor: str = "",
    progress: Progress = lambda _: None,
    batch_id: str = "",
    resolved: Sequence[str] = (),
    patience: float = LOCK_PATIENCE,
) -> Counts:
    """Batches of a connector into the lake, then the rows. `resolved`: quarantine ids this batch answers; `cursor` moves with the batch;
    `capture`: what the caller has asked already whether bodies are wanted.

    What has a batch id, a cursor or answers is committed as one. Files are committed in parts of about PART_BYTES, each a batch of its own,
    and one after the other, each while the next is read: a process that dies leaves whole parts, and the same files again store the rest.
    """
    keep, done = capture or ContentCapture(ctx), 0

    def kept() -> Iterator[Batch]:
        nonlocal done
        for batch in batches:
            yield keep.apply(batch)
            done += batch.calls.num_rows + batch.rejected.num_rows
            progress(done)

    def commit(stage: Stage, started: datetime) -> Counts:
        named = batch_id or uuid7()
        info = BatchInfo(source=source, connector=connector, uris=list(uris)[:20], actor=actor.id, cursor=cursor, started_at=started)
        counts = ctx.lake.store(named, stage, started, info=info, resolved=resolved, patience=patience)
        with ctx.transaction(actor) as tx:
            record_batch(tx, actor, named, info, counts, snapshot=ctx.lake.snapshot_id(), committed_at=ctx.now())
        return counts

    parts = iter([kept()]) if batch_id or cursor or resolved else _parts(kept())
    total, part = Counts(), next(parts, None)
    running: Future[Counts] | None = None
    with ThreadPoolExecutor(1, thread_name_prefix="ingest-commit") as beside:
        while part is not None:
            started = ctx.now()
            stage = ctx.lake.staged(part, started)
            try:
                part = next(parts, None)
            except Exception:
                _done(running)
                commit(stage, started)  # it is whole
                raise
            total += _done(running)
            running = None if part is None else beside.submit(commit, stage, started)
    return total + commit(stage, started)  # the last part, mostly the only one, needs no thread


def _done(running: Future[Counts] | None) -> Counts:
    return Counts() if running is None else running.result()


def _parts(batches: Iterator[Batch]) -> Iterator[Iterator[Batch]]:
    """The batches in parts that hold PART_BYTES of calls, each to be read before the next; of no batches one that is empty: an ingest of nothing is a batch."""
    first = next(batches, None)
    if first is None:
        yield iter(())
    while first is not None:
        yield _part(first, batches)
        first = next(batches, None)


def _part(first: Batch, left: Iterator[Batch]) -> Iterator[Batch]:
    """`first` and what follows it, until they hold PART_BYTES of calls."""
    held = 0
    for batch in chain([first], left):
        yield batch
        held += batch.calls.nbytes
        if held >= PART_BYTES:
            return


def record_batch(
    tx: Transaction, actor: Actor, batch_id: str, info: BatchInfo, counts: Counts, *, snapshot: int, committed_at: datetime
) -> None:
    """The rows side of a lake batch: the batch row, the pull cursor and the ledger entry. Writing it again changes nothing."""
    if tx.session.get_bind().dialect.name == "postgresql":  # its writer and a completer may meet; SQLite's write transactions queue anyway
        tx.session.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:batch, 0))"), {"batch": f"governor-batch:{batch_id}"})
    if tx.session.get(IngestBatch, batch_id) is not None:
        return
    if info.cursor:
        tx.session.merge(SourceCursor(org_id=tx.org, source=info.source, cursor=info.cursor, updated_at=committed_at))
    tx.session.add(
        IngestBatch(
            id=batch_id,
            org_id=tx.org,
            source=info.source,
            connector=info.connector,
            uris=canonical_json(list(info.uris)).decode(),
            lake_snapshot=snapshot,
            started_at=info.started_at or committed_at,
            committed_at=committed_at,
            actor=info.actor,
            **{name: getattr(counts, name) for name in COUNTS},
        )
    )
    tx.append(
        EntryDraft(
            type="source:ingest",
            stream=f"source/{_UNNAMABLE.sub('_', info.source)[:100] or '_'}",
            payload={"batch": batch_id, "source": info.source, "connector": info.connector, "snapshot": snapshot}
            | {name: getattr(counts, name) for name in COUNTS},
            actor=actor.ledger_ref(),
            idem=f"source:ingest:{batch_id}",
            occurred_at=committed_at,
        )
    )


def complete_batches(ctx: Context, *, newest: int | None = None) -> int:
    """Lake batches that a crash left without their rows get them now. Returns how many. Runs at start-up, by the clock and, over the
    `newest` ones, before each ingest. One that cannot be recorded is logged and tried again; it keeps no other waiting and stops no ingest.
    """
    if newest is None:  # there may be millions, and each that is recorded is of the lake: as many are all of them
        with ctx.rows.session() as session:
            recorded = session.exec(select(func.count()).where(IngestBatch.org_id == ctx.org)).one()
        if ctx.lake.query("SELECT count(*) AS n FROM lake.batches")["n"][0].as_py() == recorded:
            return 0
    found = ctx.lake.batches(newest=newest)
    with ctx.rows.session() as session:
        wanted = select(IngestBatch.id).where(IngestBatch.org_id == ctx.org)
        if newest is not None:
            wanted = wanted.where(col(IngestBatch.id).in_([batch["batch_id"] for batch in found]))
        known = set(session.exec(wanted))
    missing = [batch for batch in found if batch["batch_id"] not in known]
    done = 0
    for batch in missing:
        info = BatchInfo(
            source=batch["source"],
            connector=batch["connector"],
            uris=json.loads(batch["uris"]),
            actor=batch["actor"],
            cursor=batch["cursor"],
            started_at=batch["started_at"],
        )
        counts = Counts(**{name: batch[name] for name in COUNTS})
        try:
            with ctx.transaction(SYSTEM) as tx:
                record_batch(
                    tx, SYSTEM, batch["batch_id"], info, counts, snapshot=ctx.lake.snapshot_id(), committed_at=batch["committed_at"]
                )
            done += 1
        except Exception:
            log.warning("batch %s cannot be recorded", batch["batch_id"], exc_info=True)
    return done


def may_ingest(actor: Actor, source: str) -> None:
    """The operator, a token with `ingest:<source>` or `ingest:*`, or with `api` a person who may bring traffic in. Raises Forbidden."""
    if source != "auto" and not source:
        raise Invalid("name a source")
    if actor.scopes & {"ingest:*", f"ingest:{source}"}:
        return
    if "api" not in actor.scopes:
        raise Forbidden(f"this token may not ingest {source}", hint=f"make one with scope ingest:{source}")
    if actor.kind == "person":
        actor.require(*BRINGERS)


def source_name(text: str) -> str:
    """`text`, when a source may be called so. Raises Invalid, before anything of it is stored."""
    try:
        return identifier(text)
    except ValueError as error:
        raise Invalid(f"source: {text[:100]!r} is no name: {error}", hint="name the source another way, such as litellm-prod-eu") from None
