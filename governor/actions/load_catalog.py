"""Catalog versions -> snapshots: what was in force at an instant, as known at an instant, and how that changed during a month.

Owns: the reading of the two clocks. Does not own: the writing of versions (apply.py), what a snapshot answers (governor.catalog).
Invariants: reads only; the same rows, instants and people give the same digest.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, lru_cache
from itertools import pairwise
from threading import Lock
from types import MappingProxyType
from typing import Any, NamedTuple, cast
from weakref import WeakKeyDictionary

from sqlalchemy import Engine
from sqlmodel import Session, col, func, select

from governor.actions.context import Context
from governor.attribution import Rule, rules_of
from governor.catalog import (
    KINDS,
    AllocationDocument,
    AllocationRule,
    AttributionDocument,
    BudgetDocument,
    Catalog,
    CommitmentDocument,
    ContractPriceDocument,
    Document,
    DriverDocument,
    EndpointDocument,
    FxRateDocument,
    NotificationDocument,
    OrganizationDocument,
    PersonDocument,
    RatePlanDocument,
    SourceDocument,
    Waiver,
    WaiverDocument,
    WorkflowDocument,
    document_of,
)
from governor.catalog.fields import Role
from governor.errors import Invalid
from governor.store.rows.catalog import CatalogVersion
from governor.store.rows.people import Organization, Person

SIGNED = frozenset({"waiver", "allocation"})  # who put it in force is part of what is in force
parsed = lru_cache(maxsize=8192)(document_of)


class Version(NamedTuple):
    """A row of CatalogVersion, apart from the transaction that read it: many requests read the same."""

    kind: str
    key: str
    body: str
    digest: str
    valid_from: datetime | None
    valid_to: datetime | None
    recorded_at: datetime
    superseded_at: datetime | None
    applied_by: str


COLUMNS = tuple(getattr(CatalogVersion, name) for name in Version._fields)
State = tuple[Any, ...]
_read: WeakKeyDictionary[Engine, dict[str, tuple[State, tuple[Version, ...]]]] = WeakKeyDictionary()
_lock = Lock()


@dataclass(frozen=True)
class Epoch:
    """[start, end) with one catalog in force throughout."""

    start: datetime
    end: datetime
    catalog: Catalog

    @cached_property
    def rules(self) -> tuple[Rule, ...]:
        return rules_of(self.catalog)


@dataclass(frozen=True)
class Timeline:
    """The epochs of [start, end), without gaps. `digest` names all of them."""

    epochs: tuple[Epoch, ...]
    known_at: datetime

    def at(self, instant: datetime) -> Catalog:
        """The catalog in force at an instant; before the first epoch the first, after the last the last."""
        return self.epochs[max(0, bisect_right(self._starts, instant) - 1)].catalog

    @cached_property
    def _starts(self) -> list[datetime]:
        """Asked for every row of a month, which may have a catalog for every hour."""
        return [epoch.start for epoch in self.epochs]

    @property
    def boundaries(self) -> tuple[datetime, ...]:
        """Instants inside the range at which an answer may change: a document took effect, an approval or waiver began or ended."""
        inner = {epoch.start for epoch in self.epochs[1:]}
        for epoch in self.epochs:
            inner.update(epoch.catalog.approval_instants(epoch.start, epoch.end))
        return tuple(sorted(inner))

    @property
    def digest(self) -> str:
        return hashlib.sha256("\n".join(f"{epoch.start.isoformat()} {epoch.catalog.digest}" for epoch in self.epochs).encode()).hexdigest()


def catalog_as_of(ctx: Context, valid_at: datetime | None = None, known_at: datetime | None = None) -> Catalog:
    """What was in force at `valid_at` (default now) according to what was known at `known_at` (default now)."""
    with ctx.rows.session() as session:
        return read_catalog(session, ctx.org, valid_at or ctx.now(), known_at)


def read_catalog(session: Session, org: str, valid_at: datetime, known_at: datetime | None = None) -> Catalog:
    """The same inside a transaction. Without `known_at`: everything recorded so far."""
    people, base = read_people(session, org), read_organization(session, org)
    versions, sequence = known_versions(session, org, known_at)
    return build(versions, sequence, people, base, valid_at, known_at)


def load_timeline(ctx: Context, start: datetime, end: datetime, *, as_of: str = "event", known_at: datetime | None = None) -> Timeline:
    """as_of `event`: each instant has the catalog of that instant; `now`: today's catalog holds throughout. Raises Invalid for another word."""
    if as_of not in {"event", "now"}:
        raise Invalid(f"as-of is event or now, not {as_of!r}")
    known = known_at or ctx.now()
    with ctx.rows.session() as session:
        people, base = read_people(session, ctx.org), read_organization(session, ctx.org)
        versions, sequence = known_versions(session, ctx.org, known)
    if as_of == "now":
        return Timeline((Epoch(start, end, build(versions, sequence, people, base, known, known)),), known)
    moments = {moment for row in versions for moment in (row.valid_from, row.valid_to) if moment and start < moment < end}
    epochs: list[Epoch] = []
    for begin in [start, *sorted(moments)]:
        catalog = build(versions, sequence, people, base, begin, known)
        if not epochs or epochs[-1].catalog.digest != catalog.digest:
            epochs.append(Epoch(begin, end, catalog))
    closed = [Epoch(epoch.start, after.start, epoch.catalog) for epoch, after in pairwise(epochs)]
    return Timeline((*closed, epochs[-1]), known)


def known_versions(session: Session, org: str, known_at: datetime | None) -> tuple[list[Version], dict[tuple[str, str], int]]:
    """Versions believed at `known_at`, and each document's place: the order in which documents were first applied, which edits never change."""
    sequence: dict[tuple[str, str], int] = {}
    believed = []
    for row in every_version(session, org):
        if known_at is not None and row.recorded_at > known_at:
            continue
        sequence.setdefault((row.kind, row.key), len(sequence))
        if row.superseded_at is None or (known_at is not None and row.superseded_at > known_at):
            believed.append(row)
    return believed, sequence


def every_version(session: Session, org: str) -> tuple[Version, ...]:
    """All that was ever recorded, by id; read again only when this transaction sees another state of the table than it was read in.

    A version is added or superseded, never changed otherwise or deleted, by one writer at a time (apply.lock_catalog): the counts only grow and name
    the state. What a writer sees of its own is not kept, it may never be committed.
    """
    connection = session.connection()
    if connection.get_execution_options().get("governor_write"):
        return read_versions(session, org)
    version = CatalogVersion
    counts = func.count(), func.count(col(version.superseded_at)), func.max(version.id), func.max(version.superseded_at)
    state: State = tuple(session.execute(select(*counts).where(version.org_id == org)).one())
    with _lock:
        known = _read.get(connection.engine, {}).get(org)
    if known is not None and known[0] == state:
        return known[1]
    found = read_versions(session, org)
    with _lock:
        _read.setdefault(connection.engine, {})[org] = (state, found)
    return found


def read_versions(session: Session, org: str) -> tuple[Version, ...]:
    query = select(*COLUMNS).where(CatalogVersion.org_id == org).order_by(col(CatalogVersion.id))
    return tuple(Version(*row) for row in session.execute(query))


def in_force(versions: Iterable[Version], at: datetime) -> list[Version]:
    return [
        row
        for row in versions
        if row.body and (row.valid_from is None or row.valid_from <= at) and (row.valid_to is None or at < row.valid_to)
    ]


def build(
    versions: Sequence[Version],
    sequence: Mapping[tuple[str, str], int],
    people: Mapping[str, PersonDocument],
    base: OrganizationDocument,
    valid_at: datetime,
    known_at: datetime | None,
) -> Catalog:
    chosen = sorted(in_force(versions, valid_at), key=lambda row: sequence[row.kind, row.key])
    of: dict[str, dict[str, Any]] = {kind: {} for kind in KINDS}
    for row in chosen:
        document: Document = parsed(row.body)
        if row.kind == "allocation":
            of[row.kind][row.key] = AllocationRule(cast("AllocationDocument", document), row.digest, row.valid_from, row.applied_by)
        else:
            of[row.kind][row.key] = Waiver(cast("WaiverDocument", document), row.applied_by) if row.kind == "waiver" else document
    lines = sorted(f"{row.kind}\t{row.key}\t{row.digest}\t{row.applied_by if row.kind in SIGNED else ''}" for row in chosen)
    return Catalog(
        organization=of["organization"].get("organization", base),
        people=people,
        workflows=MappingProxyType(cast("dict[str, WorkflowDocument]", of["workflow"])),
        endpoints=MappingProxyType(cast("dict[str, EndpointDocument]", of["endpoint"])),
        sources=MappingProxyType(cast("dict[str, SourceDocument]", of["source"])),
        attributions=MappingProxyType(cast("dict[str, AttributionDocument]", of["attribution"])),
        budgets=MappingProxyType(cast("dict[str, BudgetDocument]", of["budget"])),
        notifications=MappingProxyType(cast("dict[str, NotificationDocument]", of["notification"])),
        allocations=tuple(sorted(of["allocation"].values(), key=lambda rule: (rule.document.order, rule.document.id))),
        drivers=MappingProxyType(cast("dict[str, DriverDocument]", of["driver"])),
        rate_plans=MappingProxyType(cast("dict[str, RatePlanDocument]", of["rate_plan"])),
        commitments=MappingProxyType(cast("dict[str, CommitmentDocument]", of["commitment"])),
        fx_rates=MappingProxyType(cast("dict[str, FxRateDocument]", of["fx_rate"])),
        waivers=tuple(of["waiver"].values()),
        contract_prices=tuple(cast("Iterable[ContractPriceDocument]", of["contract_price"].values())),
        sequence=MappingProxyType(dict(sequence)),
        digest=hashlib.sha256("\n".join(lines).encode()).hexdigest(),
        valid_at=valid_at,
        known_at=known_at,
    )


def read_people(session: Session, org: str) -> Mapping[str, PersonDocument]:
    """Persons as documents by e-mail; people have no history here (the ledger has it)."""
    rows = session.exec(select(Person).where(Person.org_id == org).order_by(col(Person.email)))
    return MappingProxyType({row.email: person_document(row) for row in rows})


def person_document(row: Person) -> PersonDocument:
    roles = [role for role in row.roles.split(",") if role]
    # who was added is there, whatever the rules for adding people have become
    return PersonDocument.model_construct(email=row.email, name=row.name, roles=cast("list[Role]", roles), disabled=row.disabled)


def read_organization(session: Session, org: str) -> OrganizationDocument:
    """What `init` said, until an organization document is applied."""
    row = session.exec(select(Organization).where(Organization.id == org)).first()
    return OrganizationDocument(name=row.name, billing_zone=row.billing_zone) if row else OrganizationDocument()


def organization_name(ctx: Context) -> str:
    """What people call it; its id until somebody says."""
    with ctx.rows.session() as session:
        return read_organization(session, ctx.org).name or ctx.org
