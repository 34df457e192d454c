"""Nodes of the Merkle tree in the rows database: many read by one query, many written by one statement, and the proofs made from them.

Owns: the node table's reading and writing. Does not own: which nodes a proof wants (ledger/merkle.py), who may write (store/sequencer.py).
Invariants: a missing node is an IntegrityError, never a guess; every read is by the primary key, whatever the size of the tree.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeVar

from sqlalchemy import insert, text
from sqlmodel import Session

from governor.errors import IntegrityError
from governor.ledger import merkle
from governor.store.rows.ledger import LedgerNode

Result = TypeVar("Result")
_READ: Final = text(
    "SELECT n.level, n.pos, n.hash FROM unnest(CAST(:levels AS int[]), CAST(:places AS int[])) AS w (level, pos) "
    "JOIN ledgernode n ON n.org_id = :org AND n.level = w.level AND n.pos = w.pos"
)
READ_SQLITE: Final = text(  # SQLite looks `(level, pos) IN (VALUES ...)` up by scanning the table; CROSS JOIN keeps the order of the loops
    "SELECT n.level, n.pos, n.hash FROM json_each(:wanted) AS w CROSS JOIN ledgernode n "
    "ON n.org_id = :org AND n.level = json_extract(w.value, '$[0]') AND n.pos = json_extract(w.value, '$[1]')"
)
_WRITE: Final = text(
    "INSERT INTO ledgernode (org_id, level, pos, hash) SELECT :org, level, pos, hash "
    "FROM unnest(CAST(:levels AS int[]), CAST(:places AS int[]), CAST(:hashes AS bytea[])) AS made (level, pos, hash)"
)


def on_postgres(session: Session) -> bool:
    return session.get_bind().dialect.name == "postgresql"


def read_nodes(session: Session, org_id: str, wanted: Iterable[tuple[int, int]]) -> dict[tuple[int, int], bytes]:
    """Hashes of (level, pos). Raises IntegrityError naming what is missing."""
    places = sorted(set(wanted))
    if not places:
        return {}
    if on_postgres(session):
        rows = session.connection().execute(
            _READ, {"org": org_id, "levels": [level for level, _ in places], "places": [pos for _, pos in places]}
        )
    else:
        rows = session.connection().execute(READ_SQLITE, {"org": org_id, "wanted": json.dumps(places)})
    found = {(level, pos): bytes(value) for level, pos, value in rows}
    if len(found) < len(places):
        raise IntegrityError(f"ledger nodes {[place for place in places if place not in found][:3]} are missing")
    return found


def write_nodes(session: Session, org_id: str, made: Sequence[tuple[int, int, bytes]]) -> None:
    if on_postgres(session):
        columns = {"levels": [one[0] for one in made], "places": [one[1] for one in made], "hashes": [one[2] for one in made]}
        session.connection().execute(_WRITE, {"org": org_id, **columns})
    else:
        rows = [{"org_id": org_id, "level": level, "pos": pos, "hash": value} for level, pos, value in made]
        session.connection().execute(insert(LedgerNode), rows)


def grow(session: Session, org_id: str, size: int, leaves: Sequence[bytes]) -> None:
    """Write the nodes that become complete when leaf hashes `leaves` follow the tree of `size`."""
    known = read_nodes(session, org_id, [(level, (size >> level) - 1) for level in range(size.bit_length()) if size >> level & 1])
    made = []
    for index, leaf in enumerate(leaves, size):
        for level, pos, value in merkle.new_nodes(lambda level, pos: known[level, pos], index, leaf):
            known[level, pos] = value
            made.append((level, pos, value))
    write_nodes(session, org_id, made)


def with_nodes(session: Session, org_id: str, build: Callable[[merkle.Reader], Result]) -> Result:
    """Run a proof builder with one query: a first dry run records which nodes it wants."""
    wanted: set[tuple[int, int]] = set()

    def note(level: int, pos: int) -> bytes:
        wanted.add((level, pos))
        return bytes(merkle.HASH_SIZE)

    build(note)
    known = read_nodes(session, org_id, wanted)
    return build(lambda level, pos: known[level, pos])
