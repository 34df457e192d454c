"""The log as static files (c2sp.org/tlog-tiles): tiles of hashes and bundles of entries, made from the rows.

Owns: paths and bytes of tiles. Does not own: serving (api/tiles.py), writing a mirror (actions/mirror.py).
Invariants: only what the newest checkpoint covers is shown; the bytes under one path never change.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from sqlmodel import Session, col, select

from governor.errors import IntegrityError, NotFound
from governor.store import ledger
from governor.store.rows.ledger import LedgerNode

WIDTH: Final = 256
HEIGHT: Final = 8
MOST_LEVELS: Final = 8
ENTRIES: Final = -1
_PATH: Final = re.compile(r"(?P<level>0|[1-7]|entries)/(?P<index>(?:x\d{3}/){0,5}\d{3})(?:\.p/(?P<width>[1-9]\d{0,2}))?", re.ASCII)


@dataclass(frozen=True)
class Tile:
    """level ENTRIES is a bundle of entries; width 256 is a full tile."""

    level: int
    index: int
    width: int = WIDTH

    @property
    def path(self) -> str:
        """Below `tile/`: 1234067 of level 0 is `0/x001/x234/067`."""
        text = str(self.index)
        text = text.zfill((len(text) + 2) // 3 * 3)
        groups = [text[place : place + 3] for place in range(0, len(text), 3)]
        number = "/".join([*(f"x{group}" for group in groups[:-1]), groups[-1]])
        level = "entries" if self.level == ENTRIES else str(self.level)
        return f"{level}/{number}" + (f".p/{self.width}" if self.width < WIDTH else "")


def parse_tile(path: str) -> Tile:
    """Raises NotFound for anything but the one spelling of a tile."""
    found = _PATH.fullmatch(path)
    if found is not None:
        level = ENTRIES if found["level"] == "entries" else int(found["level"])
        tile = Tile(level, int(found["index"].replace("x", "").replace("/", "")), int(found["width"] or WIDTH))
        if tile.path == path:
            return tile
    raise NotFound(f"no tile {path[:80]}")


def tiles_of(size: int, before: int = 0) -> Iterator[Tile]:
    """Every tile of the tree of `size` that the tree of `before` did not have, bundles of entries included."""
    for level in (ENTRIES, *range(MOST_LEVELS)):
        shift = HEIGHT * max(level, 0)
        nodes, old = size >> shift, before >> shift
        if nodes == 0:
            return
        for index in range(old // WIDTH, nodes // WIDTH):
            yield Tile(level, index)
        if nodes % WIDTH and nodes != old:
            yield Tile(level, nodes // WIDTH, nodes % WIDTH)


def tile_bytes(session: Session, org_id: str, tile: Tile, size: int) -> bytes:
    """Raises NotFound for a tile that the tree of `size` does not have."""
    first = tile.index * WIDTH
    if first + tile.width > size >> HEIGHT * max(tile.level, 0):
        raise NotFound("the tree is not that large")
    if tile.level == ENTRIES:
        rows = ledger.entries(session, org_id, after=first - 1, limit=tile.width)
        if [row.idx for row in rows] != list(range(first, first + tile.width)):
            raise IntegrityError(f"entries {first} to {first + tile.width - 1} are not all there")
        return b"".join(len(row.leaf).to_bytes(2, "big") + ledger.leaf_of(row) for row in rows)
    wanted = (
        select(LedgerNode)
        .where(
            LedgerNode.org_id == org_id, LedgerNode.level == tile.level * HEIGHT, col(LedgerNode.pos).between(first, first + tile.width - 1)
        )
        .order_by(col(LedgerNode.pos))
    )
    nodes = session.exec(wanted).all()
    if len(nodes) != tile.width:
        raise IntegrityError(f"the hashes of tile {tile.path} are not all there")
    return b"".join(node.hash for node in nodes)
