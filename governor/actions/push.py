"""Traffic that a gateway pushes: on disk before it is acknowledged, in the lake once.

Owns: the spool of received bodies and its draining. Does not own: HTTP (api), reading (connectors), storing (ingest).
Invariants: a body is synced to disk before anything else happens to it; its spool name is its batch id, so that draining it twice stores it once;
a spooled body that no connector can read goes to quarantine whole, never away.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from governor.actions.context import SYSTEM, Actor, Context
from governor.actions.ingest import COUNTS, ingest_batches, ingest_payloads, may_ingest
from governor.actions.load_catalog import catalog_as_of
from governor.actions.payloads import connector_named
from governor.calls import CALL_SCHEMA, CONTENT_SCHEMA, REJECT_SCHEMA, SPAN_SCHEMA
from governor.errors import Invalid, TooLarge, Unavailable
from governor.ports import Batch, Payload
from governor.store.lake_ingest import Counts
from governor.store.rows.base import uuid7

log = logging.getLogger(__name__)
PATIENCE = 2.0  # a gateway waits; a busy lake gets the body from the spool later
MAX_RAW = 1 << 20


def push(
    ctx: Context, actor: Actor, source: str, body: bytes, content_type: str = "", headers: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Take a pushed body. Returns the six counts and `spooled`: true when it is safe on disk but another writer keeps the lake busy.

    `source` is a configured source or a connector's name. Raises Forbidden, NotFound, TooLarge, and Invalid for a body nobody can read.
    """
    may_ingest(actor, source)
    if len(body) > ctx.settings.max_body_bytes:
        raise TooLarge(f"the body has {len(body)} bytes; the limit is {ctx.settings.max_body_bytes}")
    if not body.strip():
        raise Invalid("the body is empty")
    connector = connector_of(ctx, source)
    connector_named(connector)
    schema_hint = {name.lower(): value for name, value in (headers or {}).items()}.get("content-type", "")
    note = {"source": source, "connector": connector, "content_type": content_type or schema_hint, "actor": actor.id}
    spooled = _spool(ctx, note, body)
    with _claimed(spooled) as mine:
        if not mine:  # a worker was faster: it drains the body and records its counts
            return {**dict.fromkeys(COUNTS, 0), "spooled": True}
        try:
            counts = _store(ctx, actor, spooled, note, body, patience=PATIENCE)
        except Unavailable:
            return {**dict.fromkeys(COUNTS, 0), "spooled": True}
        except Invalid:
            _forget(spooled)
            raise
        _forget(spooled)
    return {**counts.as_dict(), "spooled": False}


def connector_of(ctx: Context, source: str) -> str:
    """The connector of a configured source; a name the catalog does not know is taken for a connector's."""
    known = catalog_as_of(ctx).sources
    return known[source].connector if source in known else source


def drain_spool(ctx: Context) -> int:
    """Store what was spooled. Returns how many bodies left the spool. Safe beside other drainers and receivers."""
    done = 0
    for path in sorted(_folder(ctx).glob("*.push")):
        with _claimed(path) as mine:
            if not mine:
                continue
            note, body = _read(path)
            try:
                _store(ctx, SYSTEM, path, note, body, patience=PATIENCE)
            except Unavailable:
                return done
            except Invalid as error:
                _quarantine(ctx, path, note, body, error.message)
            _forget(path)
            done += 1
    return done


def _store(ctx: Context, actor: Actor, path: Path, note: Mapping[str, str], body: bytes, *, patience: float) -> Counts:
    payload = Payload(uri=_uri(note, body), body=body, content_type=note["content_type"])
    connector = connector_named(note["connector"])
    return ingest_payloads(
        ctx, actor, connector, [payload], source=note["source"], uris=[payload.uri], batch_id=path.stem, patience=patience
    )


def _quarantine(ctx: Context, path: Path, note: Mapping[str, str], body: bytes, reason: str) -> None:
    log.warning("a spooled body of %s cannot be read and is quarantined: %s", note["source"], reason)
    uri = _uri(note, body)
    row = {"ingest_uri": uri, "ingest_row": 0, "reason": f"payload: {reason}", "raw": body[:MAX_RAW]}
    rejected = pa.Table.from_pylist([row], schema=REJECT_SCHEMA)
    batch = Batch(CALL_SCHEMA.empty_table(), rejected, SPAN_SCHEMA.empty_table(), CONTENT_SCHEMA.empty_table())
    ingest_batches(ctx, SYSTEM, [batch], connector=note["connector"], source=note["source"], uris=[uri], batch_id=path.stem)


def _uri(note: Mapping[str, str], body: bytes) -> str:
    """Named after the bytes: a bad record pushed twice is quarantined once."""
    return f"push:{note['source']}/{hashlib.sha256(body).hexdigest()[:16]}"


def _folder(ctx: Context) -> Path:
    folder = ctx.settings.home / "spool" / hashlib.sha256(ctx.org.encode()).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def _spool(ctx: Context, note: Mapping[str, str], body: bytes) -> Path:
    """Write note and body, synced, under a name that sorts by time."""
    folder = _folder(ctx)
    path = folder / f"{uuid7()}.push"
    partial = path.with_suffix(".part")
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        out.write(json.dumps(note).encode() + b"\n" + body)
        out.flush()
        os.fsync(out.fileno())
    partial.rename(path)
    _sync(folder)
    return path


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read(path: Path) -> tuple[dict[str, str], bytes]:
    head, _, body = path.read_bytes().partition(b"\n")
    note: dict[str, str] = json.loads(head)
    return note, body


def _forget(path: Path) -> None:
    path.unlink(missing_ok=True)


@contextmanager
def _claimed(path: Path) -> Iterator[bool]:
    """Whether this process alone has the spooled body; a process that dies lets go of it."""
    try:
        handle = path.open("rb")
    except FileNotFoundError:
        yield False
        return
    with handle:
        try:
            fcntl.flock(handle.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield path.exists()
