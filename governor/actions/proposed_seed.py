"""What lists of prices said when they were proposed: the rows of a proposal, and which places of the book its list was the last to price.

Owns: reading proposals back. Does not own: proposing (propose_prices.py), versions (import_prices.py).
Invariants: a list takes away what lists of its own source brought; a CSV is what somebody wrote on purpose, and ends whatever its entries hold.
"""

from __future__ import annotations

import json
import zlib
from datetime import datetime
from typing import Final

from sqlmodel import Session, col, select

from governor.prices.merge import Place, places_of
from governor.prices.price import FIELD_NAMES, price_of
from governor.prices.seed import Seed
from governor.store.rows.prices import PriceBookVersion, PriceProposal, PriceRow

BY_HAND: Final = "csv"
_COLUMNS: Final = [getattr(PriceRow, name) for name in FIELD_NAMES]


def body_of(seed: Seed) -> bytes:
    """The rows; with what is withdrawn, where something is."""
    rows = [one.record() for one in seed.rows]
    told = rows if seed.withdraw is None else {"rows": rows, "withdraw": seed.withdraw.isoformat()}
    return zlib.compress(json.dumps(told).encode())


def seed_of_proposal(row: PriceProposal) -> Seed:
    told = json.loads(zlib.decompress(row.body))
    body = told if isinstance(told, dict) else {"rows": told}
    withdraw = datetime.fromisoformat(body["withdraw"]) if "withdraw" in body else None
    return Seed(row.source, row.source_version, tuple(price_of(one) for one in body["rows"]), tuple(json.loads(row.notes)), withdraw)


def brought_by(session: Session, org: str, seed: Seed) -> frozenset[Place] | None:
    """Places that lists of the seed's source were the last to price; None: all, or nothing is withdrawn."""
    if seed.withdraw is None or seed.source == BY_HAND:
        return None
    last: dict[Place, str] = {}
    versions = select(PriceBookVersion).where(PriceBookVersion.org_id == org)
    for version in session.exec(versions.order_by(col(PriceBookVersion.imported_at), col(PriceBookVersion.id))):
        proposal = session.get(PriceProposal, (org, version.proposal_id)) if version.proposal_id else None
        if proposal is not None:
            rows = seed_of_proposal(proposal).rows
        else:  # the first book of a home, which `init` records without a proposal
            query = select(*_COLUMNS).where(PriceRow.org_id == org, PriceRow.version_id == version.id)
            rows = tuple(price_of(dict(zip(FIELD_NAMES, row, strict=True))) for row in session.execute(query))
        last |= dict.fromkeys(places_of(rows), version.source)
    return frozenset(place for place, source in last.items() if source == seed.source)
