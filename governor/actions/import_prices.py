"""`prices:import`: a version of list prices enters the book, and the book is read back for rating.

Owns: versions and rows of the price book, supersession, the ledger entry. Does not own: proposals (propose_prices.py), reading a price
source (prices/seed, prices/formats), contract prices (catalog documents). Invariants: append only; an entry (provider, model) is
superseded, never edited; what an import does not name stays (prices/merge); the same import twice changes nothing and writes nothing; a
book as known at an earlier instant can be read for ever.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from difflib import get_close_matches
from typing import Any, Final

from sqlalchemy import and_, insert, or_, update
from sqlmodel import Session, col, select

from governor.actions.context import Actor, Context
from governor.actions.load_catalog import catalog_as_of
from governor.actions.proposed_seed import brought_by
from governor.catalog import Catalog
from governor.errors import Invalid, NotFound
from governor.ledger.canonical import timestamp
from governor.ledger.entry import EntryDraft
from governor.prices.book import PriceBook, Unpriced
from governor.prices.contract import close_open_ends, contract_price
from governor.prices.difference import Difference, difference
from governor.prices.names import canonical_provider
from governor.prices.overlap import refuse_overlaps
from governor.prices.price import FIELD_NAMES, Price, price_of
from governor.prices.seed import Seed, genai_seed
from governor.store.lake_facts import DIMENSIONS
from governor.store.rows.base import uuid7
from governor.store.rows.prices import PriceBookVersion, PriceRow
from governor.store.transaction import Transaction

COLUMNS: Final = [getattr(PriceRow, name) for name in FIELD_NAMES]
CHUNK: Final = 500
_remembered: dict[tuple[str, str, tuple[str, ...]], tuple[Price, ...]] = {}


def import_seed(ctx: Context, actor: Actor) -> dict[str, Any]:
    """List prices of the installed genai-prices package: the first book of a home as it is, later ones as a proposal."""
    from governor.actions.propose_prices import propose_prices

    with ctx.rows.session() as session:
        known = session.exec(select(PriceBookVersion.id).where(PriceBookVersion.org_id == ctx.org).limit(1)).first()
    return import_prices(ctx, actor, genai_seed()) if known is None else propose_prices(ctx, actor, genai_seed())


def import_prices(ctx: Context, actor: Actor, seed: Seed, *, evidence: bytes | None = None) -> dict[str, Any]:
    """Propose `seed` and approve it at once, as a person of finance may; `init` makes the first book of a home as the system.

    Returns what `propose_prices` does, with "version" and "stored" where something changed. Raises Invalid for an empty set, Forbidden or
    Unauthenticated for anybody else.
    """
    from governor.actions.propose_prices import APPROVERS, decide_proposal, propose_prices

    if actor.kind == "system":
        check_seed(seed)
        with ctx.transaction(actor) as tx:
            found = difference(list_rows(tx.session, ctx.org, None), seed.rows)
            version = record(ctx, tx, actor, seed, found) if found.added or found.changed else None
        return seed_document(seed, found) | {"proposal": None, "state": None, "version": None, "stored": 0} | (version or {})
    actor.require(*APPROVERS)
    made = propose_prices(ctx, actor, seed, evidence=evidence)
    if made["proposal"] is None:
        return made
    return made | decide_proposal(ctx, actor, made["proposal"], approve=True, difference_digest=made["difference_digest"])


def check_seed(seed: Seed) -> None:
    if not seed.rows:
        raise Invalid(f"{seed.source} {seed.source_version} holds no prices")
    refuse_overlaps(seed.rows)


def seed_document(seed: Seed, found: Difference) -> dict[str, Any]:
    named = {"source": seed.source, "source_version": seed.source_version, "digest": seed.digest, "rows": len(seed.rows)}
    return named | found.document(0) | {"notes": list(seed.notes)}


def record(
    ctx: Context, tx: Transaction, actor: Actor, seed: Seed, found: Difference, *, approved: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Store the version that `found` says, with its one ledger entry. `approved`: {"proposal", "evidence_sha256", ...}. Returns {"version", "stored"}."""
    facts = {"evidence_sha256": seed.digest} | dict(approved or {})
    version = PriceBookVersion(
        org_id=ctx.org,
        source=seed.source,
        source_version=seed.source_version,
        digest=seed.digest,
        rows=len(seed.rows),
        imported_at=tx.now,
        imported_by=actor.id,
        proposal_id=facts.get("proposal", ""),
        approved_by=actor.id if approved else "",
        evidence_sha256=facts["evidence_sha256"],
    )
    tx.session.add(version)
    tx.session.flush()
    stored = _replace(tx.session, ctx.org, version.id, found, tx.now)
    document = seed_document(seed, found)
    payload = {
        name: document[name] for name in ("source", "source_version", "digest", "rows", "added", "changed", "missing_kept", "prices_kept")
    }
    if seed.withdraw is not None:
        payload |= {"prices_withdrawn": found.withdrawn, "withdrawn_from": seed.withdrawn_from}
    tx.append(
        EntryDraft(
            type="prices:approve" if approved else "prices:import",
            stream=f"prices/{ctx.org}",
            payload=payload | {"version": version.id} | facts,
            actor=actor.ledger_ref(),
            idem=f"prices:version:{version.id}",
            occurred_at=tx.now,
        )
    )
    return {"version": version.id, "stored": stored}


def preview(ctx: Context, seed: Seed) -> Difference:
    """What importing would change now."""
    with ctx.rows.session() as session:
        return difference(
            list_rows(session, ctx.org, None), seed.rows, called_models(ctx), seed.withdraw, brought_by(session, ctx.org, seed)
        )


def called_models(ctx: Context) -> list[tuple[str, str]]:
    """(provider, model) of every call, for which a price must not vanish unseen."""
    model = DIMENSIONS["model"]
    asked = f"SELECT DISTINCT provider, {model} AS model FROM {{calls}} AS calls WHERE cost_bearing AND provider IS NOT NULL AND {model} IS NOT NULL"  # noqa: S608 - our own column names
    return [(canonical_provider(row["provider"]), row["model"]) for row in ctx.lake.query(asked).to_pylist()]


def load_book(ctx: Context, catalog: Catalog, *, known_at: datetime | None = None) -> PriceBook:
    """List prices as known at `known_at` (default now) with the contract prices of `catalog`."""
    with ctx.rows.session() as session:
        listed = _remembered_rows(ctx, session, known_at)
    zone = catalog.organization.billing_zone
    return PriceBook([*listed, *close_open_ends(contract_price(document, zone) for document in catalog.contract_prices)])


def _remembered_rows(ctx: Context, session: Session, known_at: datetime | None) -> tuple[Price, ...]:
    """Rows by the versions that were known: they are append only, so the same versions are the same rows."""
    query = select(PriceBookVersion.id).where(PriceBookVersion.org_id == ctx.org).order_by(col(PriceBookVersion.id))
    if known_at is not None:
        query = query.where(PriceBookVersion.imported_at <= known_at)
    versions = tuple(session.exec(query))
    key = (ctx.rows.url, ctx.org, versions)
    found = _remembered.get(key)
    if found is None:
        found = list_rows(session, ctx.org, known_at)
        if tuple(session.exec(query)) == versions:  # no import came between (Postgres)
            if len(_remembered) > 8:  # noqa: PLR2004 - a few books; a process rarely reads more than one
                _remembered.clear()
            _remembered[key] = found
    return found


def list_rows(session: Session, org: str, known_at: datetime | None) -> tuple[Price, ...]:
    query = select(*COLUMNS).where(PriceRow.org_id == org, PriceRow.kind == "list")
    if known_at is None:
        query = query.where(col(PriceRow.superseded_at).is_(None))
    else:
        later = or_(col(PriceRow.superseded_at).is_(None), col(PriceRow.superseded_at) > known_at)
        query = query.where(and_(col(PriceRow.recorded_at) <= known_at, later))
    return tuple(price_of(dict(zip(FIELD_NAMES, row, strict=True))) for row in session.execute(query))


def _replace(session: Session, org: str, version_id: str, found: Difference, now: datetime) -> int:
    """Supersede the entries that changed, store the new ones; returns how many rows were stored."""
    for provider, model in found.changed:
        session.execute(
            update(PriceRow)
            .where(
                col(PriceRow.org_id) == org,
                col(PriceRow.kind) == "list",
                col(PriceRow.provider) == provider,
                col(PriceRow.model) == model,
                col(PriceRow.superseded_at).is_(None),
            )
            .values(superseded_at=now)
        )
    columns = {"org_id": org, "version_id": version_id, "recorded_at": now, "superseded_at": None}
    wanted = [
        {name: getattr(row, name) for name in FIELD_NAMES} | columns | {"id": uuid7()}
        for key in [*found.added, *found.changed]
        for row in found.entries[key]
    ]
    # a column that is left out where it is None makes a statement of its own of each kind of row: thousands
    every_column = insert(PriceRow).execution_options(render_nulls=True)
    for start in range(0, len(wanted), CHUNK):
        session.execute(every_column, wanted[start : start + CHUNK])
    return len(wanted)


def show_price(ctx: Context, model: str, *, at: datetime | None = None, tier: str = "", region: str = "") -> dict[str, Any]:
    """Rates of `provider/model`, or of a model at every provider that has it. Raises NotFound when nobody does."""
    instant = at or ctx.now()
    book = load_book(ctx, catalog_as_of(ctx, instant))
    prefix, slash, rest = model.partition("/")
    provider = canonical_provider(prefix)
    if slash and provider in book.providers:
        pairs = [(provider, rest)]
    else:
        pairs = [(name, model) for name in book.providers if book.find(name, model) is not None or (name, model.lower()) in book.contracts]
    if not pairs:
        near = alike(book, rest if slash else model) or ["openai/gpt-4o"]
        raise NotFound(f"no price of {model}", hint=f"write provider/model, such as {near[0]}")
    return {
        "at": timestamp(instant),
        "price_book": book.digest,
        "prices": [_rates(book, name, asked, instant, tier, region) for name, asked in pairs],
    }


def alike(book: PriceBook, model: str, provider: str | None = None) -> list[str]:
    """provider/model names of the book that are spelled nearly so, nearest first."""
    names: dict[str, str] = {}
    for found, entry in book.entries(provider):
        names.setdefault(entry.model.lower(), f"{found}/{entry.model}")
    return [names[name] for name in get_close_matches(model.lower(), names, n=3)]


def _rates(book: PriceBook, provider: str, model: str, at: datetime, tier: str, region: str) -> dict[str, Any]:
    found = book.lookup(provider, model, at, tier, region)
    document: dict[str, Any] = {"provider": provider, "model": model, "entry": None, "unpriced": None, "rates": [], "notes": []}
    if isinstance(found, Unpriced):
        return document | {
            "unpriced": {
                "reason": found.reason,
                "detail": found.detail,
                "alike": alike(book, model, provider) if found.reason in {"unknown_model", "unknown_provider"} else [],
            }
        }
    tables = [price for table in (found.contracted, found.listed) for bands in table.values() for price in bands]
    keys = ("kind", "meter", "amount", "per", "currency", "service_tier", "region", "context_min", "context_max", "valid_from", "valid_to")
    rates = [{name: price.record()[name] for name in keys} | ({"terms": price.terms} if price.terms else {}) for price in tables]
    return document | {"entry": found.entry, "rates": rates, "notes": list(found.notes)}
