"""The checkpoint a packet is proven under: the first that covers its issue and that witnesses cosigned, with their lines under it.

Owns: which checkpoint, asking the witnesses once. Does not own: anchors (anchors.py), what a verifier asks for (ledger/trust.py).
Invariants: a witness that is away keeps no packet back, and is asked again at the next export; only lines that verify under the configured key are carried.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from sqlmodel import Session, col, select

from governor.actions.anchors import cosigned, publish_anchor
from governor.actions.context import Context
from governor.errors import GovernorError, NotFound
from governor.ledger.proof import TlogProof
from governor.store import ledger
from governor.store.rows.anchors import LedgerAnchor
from governor.store.rows.ledger import LedgerCheckpoint

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Witnessed:
    """One checkpoint and the note that packets carry of it."""

    row: LedgerCheckpoint
    note: str

    def proof(self, session: Session, org: str, idx: int) -> TlogProof:
        return TlogProof(idx, tuple(ledger.inclusion(session, org, idx, self.row.size)), self.note)


def witnessed(ctx: Context, idx: int) -> Witnessed:
    """The checkpoint over entry `idx` that most witnesses cosigned, the first of those; seals and asks the witnesses where nothing is there yet."""
    with ctx.rows.session() as session:
        try:
            ledger.checkpoint_covering(session, ctx.org, idx)
            sealed = True
        except NotFound:  # the process died between commit and seal
            sealed = False
    if not sealed:
        ctx.seal()
    names = [one.name for one in ctx.settings.anchors if one.kind == "witness"]
    for name in sorted(set(names) - {name for said in _cosigned(ctx, idx, names).values() for name in said}):
        try:
            publish_anchor(ctx, name)
        except GovernorError as error:
            log.warning("witness %s did not cosign a packet's checkpoint: %s", name, error.message)
    told = _cosigned(ctx, idx, names)
    with ctx.rows.session() as session:
        first = ledger.checkpoint_covering(session, ctx.org, idx)
        size = min(told, key=lambda one: (-len(told[one]), one), default=first.size)
        row = session.get(LedgerCheckpoint, (ctx.org, size)) or first
    return Witnessed(row, cosigned(ctx, row.note, row.size))


def _cosigned(ctx: Context, idx: int, names: list[str]) -> dict[int, set[str]]:
    """Size -> witnesses that cosigned it, of checkpoints over entry `idx`."""
    told: dict[int, set[str]] = {}
    with ctx.rows.session() as session:
        mine = (LedgerAnchor.org_id == ctx.org, col(LedgerAnchor.size) > idx, col(LedgerAnchor.anchor).in_(names))
        for name, size in session.exec(select(LedgerAnchor.anchor, LedgerAnchor.size).where(*mine)) if names else ():
            told.setdefault(size, set()).add(name)
    return told
