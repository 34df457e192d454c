"""`catalog:apply`: documents take effect, declaratively: what is already so stays untouched, what is left out of a file stays too.

Owns: who may apply what, the writing of versions and persons. Does not own: the plan (catalog_plan.py), reading back (load_catalog.py).
Invariants: one transaction, one ledger entry with digests and opaque ids only; applying the same file twice changes nothing and writes nothing;
a version is never edited: it is superseded, and what it said before stays readable at the time it was known.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlmodel import Session, col, delete, select

from governor.actions.catalog_plan import Item, Plan, plan_in
from governor.actions.context import Actor, Context
from governor.actions.evidence_files import keep_files
from governor.actions.own_secrets import check_secrets
from governor.actions.payloads import MAPPING, installed
from governor.adapters.endpoint_guard import check_url
from governor.catalog import (
    AllocationDocument,
    ContractPriceDocument,
    Document,
    EndpointDocument,
    OrganizationDocument,
    PersonDocument,
    RatePlanDocument,
    SourceDocument,
    WaiverDocument,
    document_digest,
    ends,
)
from governor.errors import Forbidden, Invalid, Refused, Unauthenticated
from governor.evidence import EvidenceItem
from governor.ledger.canonical import canonical_json, sha256_hex
from governor.ledger.entry import EntryDraft
from governor.prices.contract import refuse_unusable
from governor.store.rows.base import uuid7
from governor.store.rows.catalog import CatalogVersion
from governor.store.rows.people import Organization, Person, WebSession

INLINE_BYTES: Final = 8_000  # of changes inside the ledger entry; a leaf is at most 16 KiB, the full list is evidence by digest
WAIVER_ROLES: Final = ("admin", "security")
SIGNED_BY_FINANCE: Final = frozenset({"allocation", "rate_plan", "commitment"})
FINANCE_KINDS: Final = SIGNED_BY_FINANCE | {"driver", "fx_rate"}


def plan(ctx: Context, documents: Sequence[Document], *, prune: bool = False) -> Plan:
    """What `apply` would do now."""
    if not documents:  # an empty file with `prune` would take everything out of force
        raise Invalid("there are no documents in it", hint="was the file cut off? `governor apply --schema workflow` shows what one holds")
    with ctx.rows.session() as session:
        return plan_in(session, ctx.org, documents, ctx.now(), prune=prune)


def apply(ctx: Context, actor: Actor, documents: Sequence[Document], *, dry_run: bool = False, prune: bool = False) -> Plan:
    """Bring the catalog to what the documents say. `prune` also removes documents that the files do not name (persons never).

    Raises Invalid, Refused, Forbidden or Unauthenticated; then nothing was changed.
    """
    planned = plan(ctx, documents, prune=prune)
    may_apply(ctx, actor, planned)
    check_waivers(planned, ctx.now())
    check_rules(planned)
    check_prices(planned)
    check_sources(planned)
    check_endpoints(planned)
    check_secrets(planned, ctx.settings)
    if dry_run or not planned.changes:
        return planned
    with ctx.transaction(actor) as tx:
        lock_catalog(tx.session, ctx.org)
        planned = plan_in(tx.session, ctx.org, documents, tx.now, prune=prune)  # again, now that nobody else writes
        if not planned.changes:
            return planned
        may_apply(ctx, actor, planned)  # it may be more than was planned before
        records = [write(tx.session, ctx.org, item, actor, tx.now, place) for place, item in enumerate(planned.changes)]
        body = canonical_json({"changes": records})
        changes_sha256 = sha256_hex(body)
        file = EvidenceItem(f"apply-{changes_sha256[:16]}.json", "application/json", body)
        keep_files(tx.session, ctx.org, "catalog", [file], tx.now)  # going back and forth makes the same bytes again
        tx.append(
            EntryDraft(
                type="catalog:apply",
                stream=f"catalog/{ctx.org}",
                payload={"counts": planned.counts, "changes_sha256": changes_sha256, "changes": inline(records)},
                actor=actor.ledger_ref(),
                idem=f"catalog:apply:{uuid7()}",
                occurred_at=tx.now,
                evidence=[{"name": "changes.json", "sha256": changes_sha256, "size": len(body), "media_type": "application/json"}],
            )
        )
    return planned


def lock_catalog(session: Session, org: str) -> None:
    """One writer of catalog, price book or numbers at a time: rivals wait on the organization's row (on SQLite the transaction itself is the lock)."""
    session.exec(select(Organization.id).where(Organization.id == org).with_for_update()).first()


def inline(records: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """As many changes as fit into the ledger entry, without their field lists."""
    kept: list[dict[str, Any]] = []
    room = INLINE_BYTES
    for record in records:
        short = {name: value for name, value in record.items() if name != "fields"}
        room -= len(canonical_json(short))
        if room < 0:
            break
        kept.append(short)
    return kept


def may_apply(ctx: Context, actor: Actor, planned: Plan) -> None:
    """Admins apply everything, security waivers, finance what decides who pays; the operator of an embedded home everything that needs no person."""
    kinds = {item.kind for item in planned.changes}
    waivers = any(item.kind == "waiver" for item in planned.changes)
    others = any(item.kind != "waiver" for item in planned.changes)
    if actor.kind == "operator" and ctx.settings.embedded:
        if waivers:
            raise Unauthenticated(
                "a waiver needs a person who answers for it", hint="set GOVERNOR_TOKEN to a token of an admin or of security"
            )
        if kinds & SIGNED_BY_FINANCE:
            raise Unauthenticated(
                "who pays for shared costs needs a person who answers for it",
                hint="set GOVERNOR_TOKEN to a token of an admin or of finance",
            )
        return
    if "api" not in actor.scopes:
        raise Forbidden("this token lacks scope api", hint="make one with `governor token create EMAIL --scope api`")
    if not kinds:  # the same file again: whoever may apply some kind
        actor.require("admin", "security", "finance")
    elif kinds <= FINANCE_KINDS:
        actor.require("finance", "admin")
    elif others:
        actor.require("admin")
    else:
        actor.require(*WAIVER_ROLES)


def check_waivers(planned: Plan, now: datetime) -> None:
    for item in planned.changes:
        if isinstance(item.document, WaiverDocument) and ends(item.document.expires) <= now:
            raise Invalid(f"waiver {item.key} expired on {item.document.expires} already")


def check_rules(planned: Plan) -> None:
    """A rule without a beginning would hold since ever and re-open every closed month's arithmetic as corrections."""
    for item in planned.changes:
        if isinstance(item.document, AllocationDocument | RatePlanDocument) and item.document.valid_from is None:
            raise Invalid(f"{item.kind} {item.key}: valid_from is missing", hint="say from which month it holds, such as 2026-10-01")


def check_prices(planned: Plan) -> None:
    """Those that change: what was applied before this was looked at stays as it is."""
    for item in planned.changes:
        if isinstance(item.document, ContractPriceDocument):
            refuse_unusable(item.document)


def check_sources(planned: Plan) -> None:
    """A source that no connector reads would only be found out when traffic is lost."""
    sources = [item.document for item in planned.changes if isinstance(item.document, SourceDocument)]
    known = installed()
    for source in sources:
        if source.connector not in known and not source.connector.startswith(MAPPING):
            raise Invalid(
                f"source {source.id}: no connector {source.connector!r}", hint=f"installed: {', '.join(known)}; or {MAPPING}FILE.yaml"
            )


def check_endpoints(planned: Plan) -> None:
    """An address that no setting ever opens is refused now and not when the first shadow run wants it. The rest is decided where it is dialled."""
    for item in planned.changes:
        if isinstance(item.document, EndpointDocument):
            try:
                check_url(item.document.base_url, allow_private=True)
            except Refused as error:
                raise Invalid(f"endpoint {item.key}: base_url: {error.message}", hint="name the gateway's own https address") from None


def write(session: Session, org: str, item: Item, actor: Actor, now: datetime, place: int) -> dict[str, Any]:
    """Write one change; returns what the ledger says about it (no personal data)."""
    record: dict[str, Any] = {"op": item.op, "kind": item.kind, "fields": [change.path for change in item.fields][:20]}
    if isinstance(item.document, PersonDocument):
        return record | {"key": write_person(session, org, item.document, now)}
    if isinstance(item.document, OrganizationDocument):
        write_organization(session, org, item.document)
    split_versions(session, org, item, now)
    digest = document_digest(item.body) if item.body else ""
    # Ids of one apply grow with the place in the file, so that rules keep the order in which they were written.
    version = CatalogVersion(
        id=uuid7(int(now.timestamp() * 1000) + place),
        org_id=org,
        kind=item.kind,
        key=item.key,
        body=item.body,
        digest=digest,
        valid_from=item.valid_from,
        valid_to=item.valid_to,
        recorded_at=now,
        applied_by=actor.id,
    )
    session.add(version)
    return record | {"key": item.key, "digest": digest}


def split_versions(session: Session, org: str, item: Item, now: datetime) -> None:
    """Supersede every believed version that overlaps the new one, and keep the parts of it that the new one does not reach."""
    query = select(CatalogVersion).where(
        CatalogVersion.org_id == org,
        CatalogVersion.kind == item.kind,
        CatalogVersion.key == item.key,
        col(CatalogVersion.superseded_at).is_(None),
    )
    for row in session.exec(query.with_for_update()).all():
        begins_after = item.valid_to is not None and row.valid_from is not None and row.valid_from >= item.valid_to
        ends_before = item.valid_from is not None and row.valid_to is not None and row.valid_to <= item.valid_from
        if begins_after or ends_before:
            continue
        row.superseded_at = now
        session.add(row)
        if item.valid_from is not None and (row.valid_from is None or row.valid_from < item.valid_from):
            session.add(copy_of(row, row.valid_from, item.valid_from, now))
        if item.valid_to is not None and (row.valid_to is None or row.valid_to > item.valid_to):
            session.add(copy_of(row, item.valid_to, row.valid_to, now))


def copy_of(row: CatalogVersion, valid_from: datetime | None, valid_to: datetime | None, now: datetime) -> CatalogVersion:
    return CatalogVersion(
        **row.model_dump(include={"org_id", "kind", "key", "body", "digest", "applied_by"}),
        valid_from=valid_from,
        valid_to=valid_to,
        recorded_at=now,
    )


def write_person(session: Session, org: str, document: PersonDocument, now: datetime) -> str:
    row = session.exec(select(Person).where(Person.org_id == org, Person.email == document.email)).first()
    if row is None:
        row = Person(org_id=org, email=document.email, created_at=now)
    row.name = document.name or row.name
    row.roles = ",".join(sorted(set(document.roles)))
    row.disabled = document.disabled
    session.add(row)
    session.flush()
    if row.disabled:  # or they would go on where the person comes back the same day
        session.exec(delete(WebSession).where(col(WebSession.person_id) == row.id))
    return row.id


def write_organization(session: Session, org: str, document: OrganizationDocument) -> None:
    row = session.exec(select(Organization).where(Organization.id == org)).first()
    if row is not None:
        row.name = document.name or row.name
        row.billing_zone = document.billing_zone
        session.add(row)
