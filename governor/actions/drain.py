"""Spooled bodies into the lake: those of one source together, as one batch with one ledger entry, so that many small pushes stay cheap.

Owns: grouping, finishing what a crash left, the thread that drains where bodies are received. Does not own: the files (spool.py), storing (ingest.py).
Invariants: a group is written down before it is stored and its name is its batch id, so draining it again changes nothing; a single body's batch id is
its spool name; a body that no connector can read goes to quarantine whole, never away; files go only after rows and lake have committed; whatever one body does
to its reader, the others are stored; while the lake, the disk or the database fails, bodies stay where they are.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import duckdb
import psycopg
import pyarrow as pa
from sqlalchemy.exc import SQLAlchemyError

from governor.actions import pace
from governor.actions.context import SYSTEM, Actor, Context
from governor.actions.ingest import ingest_batches, ingest_payloads
from governor.actions.outages import Outages
from governor.actions.payloads import connector_named
from governor.actions.spool import BODY, GROUP, body_of, claimed, drop_unfinished, folder_of, members_of, note_of, put_group, uri_of
from governor.calls import CALL_SCHEMA, CONTENT_SCHEMA, REJECT_SCHEMA, SPAN_SCHEMA
from governor.errors import GovernorError, IntegrityError, LakeBusy, Misconfigured, StoreAway, Unavailable
from governor.ports import Batch, Payload
from governor.store.lake_ingest import Counts

log = logging.getLogger(__name__)
outages: Final = Outages(log)  # about (folder, source), or (folder, "") for whatever keeps all from being stored
PATIENCE: Final = 2.0
MOST_BODIES: Final = 256
MOST_BYTES: Final = 64 << 20
PAUSE_SECONDS: Final = 1.0
MOST_REASON: Final = 300
WHOLE: Final = "payload: "  # how the reason of a body begins that is in quarantine whole
# not what is in a body: it waits for lake, disk and database to work again
ELSEWHERE: Final = (
    Unavailable,
    Misconfigured,
    IntegrityError,
    OSError,
    MemoryError,
    duckdb.OperationalError,
    sqlite3.Error,  # the index of kept content
    SQLAlchemyError,
    psycopg.Error,
)


def drain_due(ctx: Context) -> int:
    """Store what is due: full groups at once, others at the pace of their source (pace.py). Returns how many bodies left the spool."""
    return drain_spool(ctx, paced=True)


def drain_spool(ctx: Context, *, paced: bool = False) -> int:
    """Store what was spooled. Returns how many bodies left the spool. Safe beside other drainers and receivers."""
    done = 0
    drop_unfinished(folder_of(ctx))
    try:
        for group in sorted(folder_of(ctx).glob(f"*{GROUP}")):
            with claimed(group) as mine:
                done += finish(ctx, group) if mine else 0
        for paths in waiting(ctx, paced=paced):
            with ExitStack() as stack:
                if held := [path for path in paths if stack.enter_context(claimed(path))]:
                    done += store_held(ctx, stack, held)
    except LakeBusy as error:  # another writer has the lake: nobody's to mend
        log.info("spooled bodies wait: %s", error.message)
    except Unavailable as error:  # the rows database is away
        outages.wrong((folder_of(ctx), ""), error, "spooled bodies wait")
    return done


def store_held(ctx: Context, stack: ExitStack, held: list[Path]) -> int:
    """Bodies that this process has claimed, as one batch of their source."""
    if len(held) == 1:
        return store_alone(ctx, held[0])
    group = put_group(ctx, held)
    return store_group(ctx, group, held) if stack.enter_context(claimed(group)) else 0


def waiting(ctx: Context, *, paced: bool = False) -> list[list[Path]]:
    """Bodies by what they can be read together with, oldest first, in bounded groups; those of a group that is written down are not among them.
    `paced`: without those whose group is not full and whose source has had its batches.
    """
    folder = folder_of(ctx)
    grouped = {path for group in folder.glob(f"*{GROUP}") for path in safe_members(group)}
    by_kind: dict[tuple[str, ...], list[list[Path]]] = defaultdict(lambda: [[]])
    sizes: dict[tuple[str, ...], int] = defaultdict(int)
    for path in sorted(set(folder.glob(f"*{BODY}")) - grouped):
        try:
            note, size = note_of(path), path.stat().st_size
        except FileNotFoundError:  # another was faster
            continue
        kind = (note["source"], note["connector"], note["content_type"])
        if len(by_kind[kind][-1]) >= MOST_BODIES or sizes[kind] + size > MOST_BYTES:
            by_kind[kind].append([])
            sizes[kind] = 0
        by_kind[kind][-1].append(path)
        sizes[kind] += size
    found = []
    for (source, *_), (*full, last) in by_kind.items():
        found += full
        if not paced or len(last) >= MOST_BODIES or pace.may_store(folder, source):
            found.append(last)
    return [group for group in found if group]


def safe_members(group: Path) -> list[Path]:
    try:
        return members_of(group)
    except FileNotFoundError:
        return []


def finish(ctx: Context, group: Path) -> int:
    """A group whose drainer died: stored under the same batch id, or only its files are left to remove."""
    with ExitStack() as stack:
        held = [path for path in members_of(group) if stack.enter_context(claimed(path))]
        if held:
            return store_group(ctx, group, held)
    group.unlink(missing_ok=True)
    return 0


def store_group(ctx: Context, group: Path, members: Sequence[Path]) -> int:
    note = note_of(members[0])

    def payloads() -> Iterator[Payload]:
        for path in members:
            body = body_of(path)
            yield Payload(uri=uri_of(note, body), body=body, content_type=note["content_type"])

    uris = [uri_of(note, body_of(path)) for path in members[:20]]
    try:
        connector = connector_named(note["connector"])
        ingest_payloads(ctx, SYSTEM, connector, payloads(), source=note["source"], uris=uris, batch_id=group.stem, patience=PATIENCE)
    except ELSEWHERE as error:
        return wait(group.parent, note, len(members), error)
    except Exception:  # noqa: BLE001 - a connector may fail in any way at one of them: each on its own
        group.unlink(missing_ok=True)
        return sum(store_alone(ctx, path) for path in members)
    stored(group.parent, note["source"])
    for path in members:
        path.unlink(missing_ok=True)
    group.unlink(missing_ok=True)
    return len(members)


def store_alone(ctx: Context, path: Path) -> int:
    note, body = note_of(path), body_of(path)
    try:
        store(ctx, SYSTEM, path, note, body)
    except ELSEWHERE as error:
        return wait(path.parent, note, 1, error)
    except Exception as error:  # noqa: BLE001 - the same
        reason = error.message if isinstance(error, GovernorError) else f"{type(error).__name__}: {error}"
        try:
            quarantine(ctx, path, note, body, reason[:MOST_REASON])
        except Exception as worse:  # noqa: BLE001 - a lake that does not even take this is what failed, and not the body
            return wait(path.parent, note, 1, worse)
    stored(path.parent, note["source"])
    path.unlink(missing_ok=True)
    return 1


def stored(folder: Path, source: str) -> None:
    pace.stored(folder, source)
    for about in (source, ""):
        outages.right((folder, about), f"bodies{f' of {about}' if about else ''} are stored")


def wait(folder: Path, note: Mapping[str, str], bodies: int, error: Exception) -> int:
    """The bodies stay in the spool, and the others have their turn; but nobody's while another writer has the lake (raises Unavailable)."""
    if isinstance(error, Unavailable) and not isinstance(error, StoreAway):
        raise error
    outages.wrong((folder, note["source"]), error, f"{bodies} spooled bodies of {note['source']} wait")
    return 0


def store(ctx: Context, actor: Actor, path: Path, note: Mapping[str, str], body: bytes, *, patience: float = PATIENCE) -> Counts:
    """One body as one batch. Raises Unavailable while another writer has the lake, Invalid for a body nobody can read."""
    payload = Payload(uri=uri_of(note, body), body=body, content_type=note["content_type"])
    connector = connector_named(note["connector"])
    return ingest_payloads(
        ctx, actor, connector, [payload], source=note["source"], uris=[payload.uri], batch_id=path.stem, patience=patience
    )


def quarantine(ctx: Context, path: Path, note: Mapping[str, str], body: bytes, reason: str) -> None:
    log.warning("a spooled body of %s cannot be read and is quarantined: %s", note["source"], reason)
    uri = uri_of(note, body)
    row = {"ingest_uri": uri, "ingest_row": 0, "reason": f"{WHOLE}{reason}", "raw": body}
    rejected = pa.Table.from_pylist([row], schema=REJECT_SCHEMA)
    batch = Batch(CALL_SCHEMA.empty_table(), rejected, SPAN_SCHEMA.empty_table(), CONTENT_SCHEMA.empty_table())
    ingest_batches(
        ctx, SYSTEM, [batch], connector=note["connector"], source=note["source"], uris=[uri], batch_id=path.stem, patience=PATIENCE
    )


class Drainer:
    """A thread of the process that receives: the spool is on its disk, and workers may be on other machines or busy with a replay."""

    def __init__(self, ctx: Context, *, pause_s: float = PAUSE_SECONDS) -> None:
        self._ctx, self._pause_s = ctx, pause_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="drainer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_s: float = 30.0) -> None:
        self._stop.set()
        self._thread.join(timeout=timeout_s)

    def _work(self) -> None:
        ending = False
        while not ending:
            ending = self._stop.is_set()
            try:
                drain_spool(self._ctx, paced=not ending)  # who stops in order leaves nothing behind
                outages.right(self, "the spool is drained")
            except Exception as error:  # noqa: BLE001 - disk or database away: the bodies stay, the next turn tries again
                outages.wrong(self, error, "the spool could not be drained")
            self._stop.wait(self._pause_s)
