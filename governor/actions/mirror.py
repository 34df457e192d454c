"""`ledger mirror`: the whole log as static files, for an auditor's copy or a web server; and what the tile routes answer.

Owns: writing a mirror and growing it. Does not own: the bytes of a tile (store/tiles.py).
Invariants: the checkpoint is written last, so that a mirror which was cut off still verifies; a mirror that the database does not continue is left
untouched and reported: it is an anchor as good as any other.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from governor.actions.anchors import cosigned, log_key, remember
from governor.actions.context import Context
from governor.errors import AnchorConflict, NotFound
from governor.ledger.anchor import signed_checkpoint
from governor.ledger.checkpoint import Checkpoint
from governor.ledger.note import VerifierKey
from governor.store import ledger
from governor.store.kept import disagreement
from governor.store.tiles import parse_tile, tile_bytes, tiles_of


def newest_checkpoint(ctx: Context) -> str:
    """The newest signed note, with what witnesses said. Raises NotFound while nothing is signed."""
    with ctx.rows.session() as session:
        found = ledger.latest_checkpoint(session, ctx.org)
    if found is None:
        raise NotFound("the log is empty")
    return cosigned(ctx, found.note, found.size)


def tile(ctx: Context, path: str) -> bytes:
    """A tile below the newest checkpoint. Raises NotFound for one that is not there (yet)."""
    wanted = parse_tile(path)
    with ctx.rows.session() as session:
        newest = ledger.latest_checkpoint(session, ctx.org)
        if newest is None:
            raise NotFound("the log is empty")
        return tile_bytes(session, ctx.org, wanted, newest.size)


def mirror(ctx: Context, folder: Path) -> dict[str, Any]:
    """Bring `folder` to the newest checkpoint: {"size", "before", "written"}. Raises AnchorConflict when it holds another history."""
    ctx.seal()
    note, place, key = newest_checkpoint(ctx), folder / "checkpoint", log_key(ctx)
    before = place.read_text(encoding="utf-8") if place.is_file() else ""
    old = 0
    if before:
        with ctx.rows.session() as session:
            found = disagreement(session, ctx.org, key, before)
        if found is not None:
            if found.kind != "foreign":
                remember(ctx, before)
            raise AnchorConflict(f"the mirror in {folder} tells another history: {found.detail}")
        old = _continued(signed_checkpoint(before, key), key, folder)
    size, written = signed_checkpoint(note, key).size, 0
    for one in tiles_of(size, old):
        with ctx.rows.session() as session:
            body = tile_bytes(session, ctx.org, one, size)
        path = folder / "tile" / one.path
        path.parent.mkdir(parents=True, exist_ok=True)
        put(path, body)
        written += 1
    folder.mkdir(parents=True, exist_ok=True)
    put(place, note.encode())
    return {"folder": str(folder), "size": size, "before": old, "written": written}


def _continued(held: Checkpoint, key: VerifierKey, folder: Path) -> int:
    """Size of a mirror that may grow. What a person gave up at a restore may be in its tiles, which never change: it stays as it is."""
    ended = key.incarnation(held.origin)
    if ended is not None and held.size > ended.agreed:
        raise AnchorConflict(
            f"the mirror in {folder} holds {held.size} entries of {held.origin}, of which {key.name} has the first {ended.agreed} alone",
            hint="keep it, it proves what was lost; mirror into a new folder",
        )
    return held.size


def put(path: Path, body: bytes) -> None:
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_bytes(body)
    temporary.replace(path)
