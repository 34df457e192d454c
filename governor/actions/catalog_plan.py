"""What applying documents would change, field by field, before anything does.

Owns: comparing documents with the versions in force, the plan and its words. Does not own: writing (apply.py).
Invariants: reads only; a document that says what is already in force is `unchanged`, whatever its spelling.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlmodel import Session, col, select

from governor.actions.load_catalog import Version, in_force, known_versions, parsed, read_organization, read_people
from governor.catalog import (
    KINDS,
    Document,
    OrganizationDocument,
    PersonDocument,
    WorkflowDocument,
    begins,
    check_together,
    document_digest,
    document_json,
)
from governor.errors import Invalid, Refused
from governor.policy.catalog_data import catalog_data
from governor.prices.contract import close_open_ends, contract_price
from governor.store.rows.periods import Period

PRUNABLE: Final = frozenset(KINDS) - {"organization", "person"}


@dataclass(frozen=True)
class FieldChange:
    """before and after are JSON values; null is absence."""

    path: str
    before: Any
    after: Any


@dataclass(frozen=True)
class Item:
    """op: create | update | unchanged | remove. The new version holds for [valid_from, valid_to); null is open."""

    op: str
    kind: str
    key: str
    fields: tuple[FieldChange, ...] = ()
    body: str = ""
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    document: Document | None = field(default=None, compare=False)

    def as_dict(self) -> dict[str, Any]:
        return {
            "op": self.op,
            "kind": self.kind,
            "key": self.key,
            "valid_from": self.valid_from.isoformat() if self.valid_from else None,
            "valid_to": self.valid_to.isoformat() if self.valid_to else None,
            "fields": [{"path": change.path, "before": change.before, "after": change.after} for change in self.fields],
        }


@dataclass(frozen=True)
class Plan:
    items: tuple[Item, ...]

    def of(self, op: str) -> list[Item]:
        return [item for item in self.items if item.op == op]

    @property
    def changes(self) -> list[Item]:
        return [item for item in self.items if item.op != "unchanged"]

    @property
    def counts(self) -> dict[str, int]:
        return {op: len(self.of(op)) for op in ("create", "update", "unchanged", "remove")}

    def as_dict(self) -> dict[str, Any]:
        """By operation, and `changes`: all of them but the unchanged, in the order of the files."""
        of = {op: [item.as_dict() for item in self.of(op)] for op in self.counts}
        return {"changes": [item.as_dict() for item in self.changes], **of, "counts": self.counts}


def plan_in(session: Session, org: str, documents: Sequence[Document], now: datetime, *, prune: bool = False) -> Plan:
    """Compare inside a transaction. Raises Invalid where documents contradict each other, Refused where the last admin would go."""
    refuse_twice(documents)
    versions, _ = known_versions(session, org, None)
    by_key: dict[tuple[str, str], list[Version]] = {}
    for row in versions:
        by_key.setdefault((row.kind, row.key), []).append(row)
    people = read_people(session, org)
    named = {(document.kind, document.key) for document in documents}
    current = in_force(versions, now)
    removed = [row for row in current if prune and row.kind in PRUNABLE and (row.kind, row.key) not in named]
    zone = zone_after(session, org, documents, current)
    check_result(documents, {(row.kind, row.key) for row in removed}, current, people, zone)
    items = []
    for document in documents:
        if isinstance(document, PersonDocument):
            items.append(person_item(document, people.get(document.email)))
        else:
            items.append(document_item(document, by_key.get((document.kind, document.key), []), now, zone))
    items += [
        Item("remove", row.kind, row.key, diff(json.loads(row.body), None), "", now, later(by_key[row.kind, row.key], now))
        for row in removed
    ]
    return Plan(tuple(items))


def zone_after(session: Session, org: str, documents: Iterable[Document], current: Iterable[Version]) -> str:
    """The billing zone once the documents hold. Raises Invalid where another zone would move calls out of a closed month, or only out of some."""
    held = next((parsed(row.body) for row in current if row.kind == "organization"), None)
    before = (held if isinstance(held, OrganizationDocument) else read_organization(session, org)).billing_zone
    for document in documents:
        if isinstance(document, OrganizationDocument) and document.billing_zone != before:
            closed = session.exec(select(Period.month).where(Period.org_id == org, col(Period.state) != "open").limit(1)).first()
            if closed:
                raise Invalid(
                    f"organization: billing_zone: {closed} is closed in {before}; {document.billing_zone} would move calls across its edges",
                    hint=f"write billing_zone: {before}; the zone stays once a month is closed",
                )
            if document.valid_from:
                raise Invalid("organization: billing_zone: another zone holds for all months", hint="leave valid_from out")
            return document.billing_zone
    return before


def document_item(document: Document, known: Sequence[Version], now: datetime, zone: str) -> Item:
    """The first version holds since ever unless it says otherwise, a later one from now; it never reaches into a version planned for later.

    zone: whose day a plain valid_from is.
    """
    own_dates = document.kind in {"contract_price", "driver", "fx_rate"}  # dated by themselves: the version is always in force
    if document.valid_from and not own_dates:
        start: datetime | None = begins(document.valid_from, zone)
    else:
        start = now if known and not own_dates else None
    end = None if own_dates else later(known, start)
    current = [row for row in known if covers(row, start) and not (own_dates and row.valid_to)]
    before = current[0].body if current else ""
    if before and isinstance(document, WorkflowDocument):
        document = with_cutovers(document, parsed(before))
    body = document_json(document)
    if before and document_digest(body) == document_digest(before):
        return Item("unchanged", document.kind, document.key, (), body, start, None, document)
    changes = diff(json.loads(before) if before else None, json.loads(body))
    op = "update" if any(row.body for row in known) else "create"
    return Item(op, document.kind, document.key, changes, body, start, end, document)


def with_cutovers(document: WorkflowDocument, before: Document | None) -> WorkflowDocument:
    """A file does not know what cutovers approved since it was written: their routes stay, in their place, until it names them."""
    if not isinstance(before, WorkflowDocument):
        return document
    routes, place = list(document.routes), {route.id: at for at, route in enumerate(before.routes)}
    for route in reversed(before.routes):
        if route.change and all(one.id != route.id for one in document.routes):
            after = (at for at, one in enumerate(routes) if place.get(one.id, len(place)) > place[route.id])
            routes.insert(next(after, len(routes)), route)
    return document.model_copy(update={"routes": routes})


def person_item(document: PersonDocument, known: PersonDocument | None) -> Item:
    after = document.model_dump(mode="json", exclude={"valid_from", "kind"})
    before = known.model_dump(mode="json", exclude={"valid_from", "kind"}) if known else None
    if before is not None:
        before["roles"], after["roles"] = sorted(before["roles"]), sorted(after["roles"])
        after["name"] = after["name"] or before["name"]  # a file without names does not erase them
    changes = diff(before, after)
    op = "create" if before is None else "update" if changes else "unchanged"
    return Item(op, "person", document.email, changes, "", None, None, document)


def covers(row: Version, start: datetime | None) -> bool:
    if start is None:
        return row.valid_from is None
    return (row.valid_from is None or row.valid_from <= start) and (row.valid_to is None or start < row.valid_to)


def later(known: Iterable[Version], start: datetime | None) -> datetime | None:
    """Where the next version begins, if one is planned after `start`."""
    starts = [row.valid_from for row in known if row.valid_from is not None and (start is None or row.valid_from > start)]
    return min(starts, default=None)


def refuse_twice(documents: Sequence[Document]) -> None:
    seen: set[tuple[str, str, str | None]] = set()
    for document in documents:
        place = (document.kind, document.key, document.valid_from)
        if place in seen:
            raise Invalid(f"{document.kind} {document.key} is written twice", hint="keep one, or date the second with valid_from")
        seen.add(place)


def check_result(
    documents: Sequence[Document],
    removed: set[tuple[str, str]],
    current: Sequence[Version],
    people: Mapping[str, PersonDocument],
    zone: str,
) -> None:
    """The documents as they would stand together afterwards."""
    after: dict[tuple[str, str], Any] = {(row.kind, row.key): parsed(row.body) for row in current if (row.kind, row.key) not in removed}
    after |= {(document.kind, document.key): document for document in documents}
    persons = dict(people) | {document.email: document for document in documents if isinstance(document, PersonDocument)}
    active = {person.email: list(person.roles) for person in persons.values() if not person.disabled}

    def of(kind: str) -> list[Any]:
        return [document for (found, _), document in after.items() if found == kind]

    refuse_leavers(persons, of("workflow"), of("budget"))
    close_open_ends(
        contract_price(document, zone) for document in of("contract_price")
    )  # two that hold at once are refused here, not at the next close
    check_together(of("workflow"), of("attribution"), of("waiver"), active, of("budget"), of("allocation"), of("rate_plan"))
    for organization in of("organization"):
        catalog_data({"organization": organization})  # a table row no rule could read is refused here
    had_admin = any("admin" in person.roles and not person.disabled for person in people.values())
    if had_admin and not any("admin" in roles for roles in active.values()):
        raise Refused("nobody would be left with role admin", hint="give another person the role first")


def diff(before: Any, after: Any, path: str = "") -> tuple[FieldChange, ...]:
    """Differences of two JSON values by path; lists of things with ids are compared by id, other lists as a whole."""
    if before == after:
        return ()
    before, after = by_id(before), by_id(after)
    if isinstance(before, dict | None) and isinstance(after, dict | None) and (before is not None or after is not None):
        names = sorted({*(before or {}), *(after or {})} - ({"kind"} if not path else set()))
        found: list[FieldChange] = []
        for name in names:
            found += diff((before or {}).get(name), (after or {}).get(name), f"{path}.{name}" if path else name)
        return tuple(found)
    return (FieldChange(path, before, after),)


def by_id(value: Any) -> Any:
    if isinstance(value, list) and value and all(isinstance(part, dict) and "id" in part for part in value):
        return {part["id"]: {name: held for name, held in part.items() if name != "id"} for part in value}
    return value


def refuse_leavers(persons: Mapping[str, PersonDocument], workflows: Sequence[Any], budgets: Sequence[Any]) -> None:
    """Whoever is disabled owns nothing: all of it is named at once, with a way to lock them out meanwhile."""
    for person in persons.values():
        if person.disabled:
            owned = [f"workflow {one.id}" for one in workflows if one.owner == person.email]
            owned += [f"budget {one.id}" for one in budgets if one.scope.owner == person.email]
            if owned:
                raise Invalid(
                    f"{person.email} is disabled and owns {', '.join(sorted(owned))}",
                    hint="name other owners in the same file; to lock them out at once, take their roles, set another password and revoke their tokens",
                )
