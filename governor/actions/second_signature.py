"""Whether the stored checkpoints carry the log's ML-DSA-44 cosignature as they were signed.

Owns: telling a wrong or missing second signature. Does not own: the first one and the tree (store/fsck.py).
Invariants: reads only; once a checkpoint carries one, every later one does, by a key of that tree size.
"""

from __future__ import annotations

from sqlmodel import Session, col, select

from governor.actions.context import Context
from governor.actions.key_history import SECOND, key_chain
from governor.errors import GovernorError
from governor.ledger.checkpoint import parse_checkpoint
from governor.ledger.cosign import is_cosigned
from governor.ledger.note import parse_note
from governor.store.fsck import BATCH
from governor.store.rows.ledger import LedgerCheckpoint


def second_problems(session: Session, ctx: Context) -> list[str]:
    """One sentence for each checkpoint whose second signature is wrong or was taken away."""
    if not ctx.keys.has(SECOND):
        held = session.exec(select(LedgerCheckpoint.note).where(LedgerCheckpoint.org_id == ctx.org).execution_options(yield_per=BATCH))
        lost = f"{SECOND}.pem is not in {ctx.keys.folder}, and earlier checkpoints carry its cosignature"
        return [lost] if any(map(is_cosigned, held)) else []
    chain, problems, begun = key_chain(session, ctx.org, ctx.keys, SECOND, revoked=False), list[str](), False
    strange, size = False, 0
    query = select(LedgerCheckpoint.size, LedgerCheckpoint.note).where(LedgerCheckpoint.org_id == ctx.org)
    for size, text in session.exec(query.order_by(col(LedgerCheckpoint.size)).execution_options(yield_per=BATCH)):
        try:
            note = parse_note(text)
            origin = parse_checkpoint(note.text).origin
        except GovernorError:
            continue  # fsck says so
        said = {key.key_id: note.signed_by(key.verifier) for key in chain}
        valid = [key for key in chain if key.name == origin and key.first <= size and (key.last is None or size <= key.last)]
        if False in said.values():
            problems.append(f"checkpoint {size} carries a wrong ML-DSA-44 cosignature")
        elif any(said[key.key_id] for key in valid):
            begun = True
        elif valid and begun:
            problems.append(f"checkpoint {size} carries no ML-DSA-44 cosignature, though an earlier one does")
        strange = is_cosigned(text) and not any(said.values())
    if strange:  # of the newest; the second keys of an incarnation before the last one are on record no more
        problems.append(f"checkpoint {size} carries an ML-DSA-44 cosignature by a key that is none of this log's")
    return problems
