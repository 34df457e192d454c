"""`erase person`: what the ledger and the accounts hold of one human being goes; every entry, proof and packet stays as it is.

Owns: which disclosures and account fields go, the `redaction:done` entry. Does not own: prompts and outputs (erase.py), packets already handed out.
Invariants: leaves are never touched, for they hold no personal byte but salted digests; without the salt a digest cannot be tested against a guess; the
account stays as an opaque reference that can do nothing; erasing twice is refused, not repeated.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import String, update
from sqlmodel import AutoString, Session, SQLModel, col, delete, select

from governor.actions.context import Actor, Context
from governor.actions.load_catalog import catalog_as_of
from governor.errors import Invalid, NotFound, Refused
from governor.ledger.canonical import digest
from governor.ledger.entry import Disclosure, Entry, EntryDraft
from governor.packets.told import DECISIONS
from governor.store.rows.changes import Approval, Change
from governor.store.rows.ledger import LedgerDisclosure, LedgerEntry
from governor.store.rows.people import Account, IdempotencyKey, Person, Token, WebSession

ERASED: Final = "erased.invalid"  # RFC 6761: a domain that is nobody's
LISTED: Final = 1_000  # entries named one by one; beyond it their digest stands for them
BASIS: Final = "GDPR Art. 17"


def erase_person(ctx: Context, actor: Actor, *, email: str, reason: str, legal_basis: str = BASIS) -> dict[str, Any]:
    """{"person","entries","fields","remaining"}. Role admin or security. Raises NotFound for nobody, Refused while the person still owns a workflow."""
    actor.require("admin", "security")
    if not reason.strip():
        raise Invalid("erasing needs a reason")
    wanted = email.strip().lower()
    owned = sorted(one.id for one in catalog_as_of(ctx).workflows.values() if str(one.owner).lower() == wanted)
    if owned:
        raise Refused(
            f"{wanted} still owns {', '.join(owned[:5])}", hint="give the workflows another owner with `governor apply`, then erase"
        )
    with ctx.transaction(actor) as tx:
        person = tx.session.exec(select(Person).where(Person.org_id == ctx.org, Person.email == wanted).with_for_update()).first()
        if person is None or person.email.endswith(ERASED):
            raise NotFound(f"nobody is known as {wanted}")
        if person.id == actor.id:
            raise Refused("nobody erases themselves", hint="ask another admin or security officer")
        texts = [one.lower() for one in (person.email, person.name) if one.strip()]
        # every verb takes its rows first and the ledger after them: in the other order two would wait for each other
        tx.session.exec(select(Change.id).where(Change.org_id == ctx.org).order_by(Change.id).with_for_update()).all()
        _close_account(tx.session, ctx, person)
        _forget(tx.session, ctx.org, person.id, wanted)
        tx.alone()  # an entry that waits for its place may name the person too
        rows = _disclosures_of(tx.session, ctx.org, person, texts)
        entries = _entries(tx.session, ctx.org, {row.entry_id for row in rows})
        fields = dict(sorted(Counter(row.name for row in rows).items()))
        indices = [row.idx for row in entries]
        named = {"entries": indices} if len(indices) <= LISTED else {"entries_sha256": digest(indices)}
        for row in rows:
            tx.session.delete(row)
        _forget(tx.session, ctx.org, person.id, wanted)  # what was written meanwhile
        _forget_words(tx.session, ctx.org, entries)
        tx.append(
            EntryDraft(
                type="redaction:done",
                stream=f"person/{person.id}",
                payload={
                    "entry": entries[0].id if entries else person.id,
                    "person": person.id,
                    "fields": fields,
                    "count": len(indices),
                    **named,
                    "disclosures_sha256": digest(sorted(row.digest for row in rows)),
                    "legal_basis": legal_basis,
                },
                actor=actor.ledger_ref(),
                idem=f"redaction:done:{person.id}",
                occurred_at=tx.now,
                personal={"reason": reason},
            )
        )
        erased = person.id
    ctx.rows.overwrite_deleted()
    return {"person": erased, "entries": len(indices), "fields": fields, "remaining": _remaining(ctx, wanted)}


def _disclosures_of(session: Session, org: str, person: Person, texts: Sequence[str]) -> list[LedgerDisclosure]:
    """Of entries about the person, of entries they wrote, and any other that holds their address or name (`texts`)."""
    found = []
    for row in session.exec(select(LedgerDisclosure).where(LedgerDisclosure.org_id == org)).all():
        value = json.dumps(Disclosure(row.name, row.disclosure).value, ensure_ascii=False).lower()
        if any(text in value for text in texts):
            found.append(row)
            continue
        entry = session.exec(select(LedgerEntry).where(LedgerEntry.org_id == org, LedgerEntry.id == row.entry_id)).first()
        if entry is not None and (entry.stream == f"person/{person.id}" or Entry.parse(entry.leaf).actor_ref == person.id):
            found.append(row)
    return found


def _entries(session: Session, org: str, ids: set[str]) -> Sequence[LedgerEntry]:
    rows = session.exec(select(LedgerEntry).where(LedgerEntry.org_id == org, col(LedgerEntry.id).in_(sorted(ids)))).all()
    return sorted(rows, key=lambda row: row.idx)


def _close_account(session: Session, ctx: Context, person: Person) -> None:
    now = ctx.now()
    for token in session.exec(select(Token).where(Token.org_id == ctx.org, Token.person_id == person.id)).all():
        token.name, token.revoked_at = "", token.revoked_at or now
        session.add(token)
    for gone in (WebSession, Account):
        session.exec(delete(gone).where(col(gone.org_id) == ctx.org, col(gone.person_id) == person.id))
    person.email, person.name, person.roles = f"{person.id}@{ERASED}", "", ""
    person.password_hash, person.disabled = "", True
    session.add(person)


def _forget(session: Session, org: str, person: str, email: str) -> None:
    """The address in every column that is nothing else (who asked, decided, signed, closed)."""
    session.flush()
    answers = select(IdempotencyKey).where(
        IdempotencyKey.org_id == org
    )  # kept answers name whoever they are about, and hold what was written
    for kept in session.exec(answers).all():
        if kept.person_id == person or email in kept.body.lower():
            session.delete(kept)
    for table in SQLModel.metadata.sorted_tables:
        if "org_id" in table.c and not table.name.startswith("ledger"):  # a leaf never holds an address; disclosures are deleted above
            for column in table.c:
                if isinstance(column.type, String | AutoString) and column.name != "org_id":
                    session.execute(update(table).where(table.c.org_id == org, column == email).values({column.name: f"{person}@{ERASED}"}))


def _forget_words(session: Session, org: str, entries: Sequence[LedgerEntry]) -> None:
    """Reasons of decisions and notes of cutovers that stand in a row beside the erased disclosure."""
    for entry in (Entry.parse(row.leaf) for row in entries):
        change = str(entry.payload.get("change"))
        if entry.type in DECISIONS:
            mine = (col(Approval.org_id) == org, col(Approval.change_id) == change, col(Approval.person_id) == entry.actor_ref)
            session.execute(update(Approval).where(*mine, col(Approval.digest) == entry.payload["digest"]).values(reason=""))
        elif entry.type == "change:cutover":
            session.execute(update(Change).where(col(Change.org_id) == org, col(Change.id) == change).values(cutover_note=""))


def _remaining(ctx: Context, email: str) -> dict[str, int]:
    """Where the address still stands, because history that is hashed or closed keeps it: earlier catalog documents."""
    from governor.store.rows.catalog import CatalogVersion

    with ctx.rows.session() as session:
        bodies = session.exec(select(CatalogVersion.body).where(CatalogVersion.org_id == ctx.org)).all()
    return {"catalog_versions": sum(email in str(body).lower() for body in bodies)}
