"""`keys list|rotate|revoke`: which keys sign, replacing one without losing what it signed, and saying that one is no longer to be believed.

Owns: the order of steps of a replacement. Does not own: key files (adapters/keys.py), the chain and its ranges (key_history.py).
Invariants: the entry is on record before the new key signs alone; between, checkpoints carry both signatures; every step may be repeated after a crash;
the present key is never revoked before it is replaced; a revocation narrows what is believed or it is refused.
"""

from __future__ import annotations

import base64
from typing import Any

from sqlmodel import Session

from governor.actions.context import Actor, Context
from governor.actions.key_history import REASONS, ROLES, SECOND, HeldKey, gravity, key_chain, key_stream, vouching
from governor.errors import Invalid, NotFound, Refused
from governor.ledger.entry import Entry, EntryDraft
from governor.ledger.note import ED25519, MLDSA_COSIGNATURE, VerifierKey, parse_note
from governor.store import ledger, sequencer


def list_keys(ctx: Context) -> list[dict[str, Any]]:
    """Every key of the installation that signs or signed: role, id, state, range of tree sizes. Public facts only."""
    found: list[dict[str, Any]] = []
    with ctx.rows.session() as session:
        for role in filter(ctx.keys.has, ROLES):
            chain = key_chain(session, ctx.org, ctx.keys, role)
            coming = ctx.keys.successor(role)
            if coming is not None:
                found.append(
                    {**shown(HeldKey(role, coming.key_id, coming.public_key, "incoming")), "store": ctx.keys.where(f"{role}.next")}
                )
            found += [{**shown(one), "store": ctx.keys.where(role) if place == 0 else ""} for place, one in enumerate(chain)]
    return found


def shown(key: HeldKey) -> dict[str, Any]:
    return {
        "role": key.role,
        "key_id": key.key_id,
        "state": key.state,
        "sizes": key.sizes if key.last is None or key.first <= key.last else "none",
        "since": key.since or None,
        "revoked_at": key.revoked_at or None,
        "reason": key.reason or None,
    }


def may_change_keys(actor: Actor) -> None:
    """The operator of an embedded home holds the key files anyway; elsewhere an admin."""
    if actor.kind != "operator":
        actor.require("admin")


def rotate_key(ctx: Context, actor: Actor, role: str, *, address: str = "") -> dict[str, Any]:
    """Replace the key of a role, by a new file or by the key at `address`. A replacement that was interrupted is finished."""
    may_change_keys(actor)
    if role not in ROLES:
        raise Invalid(
            f"no role {role!r} has a key here", hint=f"roles: {', '.join(ROLES)}; the witness and the root have commands of their own"
        )
    if role == SECOND and address:
        raise Invalid("the ML-DSA-44 key is a file; key stores hold Ed25519 keys", hint="leave --to away")
    with ctx.rows.session() as session:
        used = [one.public_key for one in key_chain(session, ctx.org, ctx.keys, role)]
    old, new = ctx.keys.signer(role), ctx.keys.make_successor(role, address, used=used)
    vouched = new.sign(vouching(role, old.public_key, new.public_key))
    payload = {
        "role": role,
        "key_id": new.key_id,
        "public_key": base64.b64encode(new.public_key).decode(),
        "previous": old.key_id,
        "previous_public_key": base64.b64encode(old.public_key).decode(),
        "vouched": base64.b64encode(vouched).decode(),
    }
    draft = EntryDraft("key:rotate", key_stream(role), payload, actor.ledger_ref(), f"key:rotate:{role}:{new.key_id}", ctx.now())
    with ctx.transaction(actor) as tx:
        row = tx.append(draft)
    idx = row.idx
    _take_over(ctx, role, idx)
    with ctx.rows.session() as session:
        present, *before = key_chain(session, ctx.org, ctx.keys, role)
    return {"role": role, "entry": idx, "key": shown(present), "previous": shown(before[0])}


def _take_over(ctx: Context, role: str, idx: int) -> None:
    ctx.seal()  # where the process died before it was sealed
    with ctx.rows.session(write=True) as session:
        sequencer.alone(session, ctx.org)
        if role in {"log", SECOND}:
            _both_signed(session, ctx, role, idx)
        ctx.keys.adopt(role)


def _both_signed(session: Session, ctx: Context, role: str, idx: int) -> None:
    newest, coming = ledger.latest_checkpoint(session, ctx.org), ctx.keys.successor(role)
    name, signers = ctx.keys.origin(ctx.org), [ctx.keys.signer(role), *([coming] if coming else [])]
    algorithm = MLDSA_COSIGNATURE if role == SECOND else ED25519
    if (
        newest is None
        or newest.size <= idx
        or not all(parse_note(newest.note).signed_by(VerifierKey(name, algorithm, one.public_key)) for one in signers)
    ):
        raise Refused("the newest checkpoint is not signed by both keys yet", hint="run the same command again")


def revoke_key(ctx: Context, actor: Actor, key_id: str, *, reason: str, at_size: int | None = None, note: str = "") -> dict[str, Any]:
    """A replaced key is not to be believed for trees larger than `at_size` (default: as far as its range went); below its first: for none."""
    may_change_keys(actor)
    if reason not in REASONS:
        raise Invalid(f"unknown reason {reason!r}", hint=f"reasons: {', '.join(REASONS)}")
    if at_size is not None and at_size < 0:
        raise Invalid("a tree size is not negative")
    with ctx.rows.session() as session:
        every = [one for role in ROLES if ctx.keys.has(role) for one in key_chain(session, ctx.org, ctx.keys, role)]
    found = [one for one in every if one.key_id.startswith(key_id.lower())] if len(key_id) >= 8 else []  # noqa: PLR2004 - 32 bits
    if len(found) != 1:
        raise NotFound(f"no key {key_id} signs or signed here", hint="`governor keys list` shows their ids; give at least 8 digits")
    (key,) = found
    if key.state == "active":
        raise Refused(f"this is the {key.role} key that signs now", hint=f"first `governor keys rotate {key.role}`")
    _must_narrow(key, reason, at_size)
    payload: dict[str, Any] = {"role": key.role, "key_id": key.key_id, "reason": reason}
    if at_size is not None:
        payload["revoked_at_size"] = at_size
    draft = EntryDraft(
        "key:revoke",
        key_stream(key.role),
        payload,
        actor.ledger_ref(),
        f"key:revoke:{key.key_id}:{at_size}:{reason}",
        ctx.now(),
        personal={"note": note} if note else {},
    )
    with ctx.transaction(actor) as tx:
        tx.append(draft)
    with ctx.rows.session() as session:
        return shown(next(one for one in key_chain(session, ctx.org, ctx.keys, key.role) if one.key_id == key.key_id))


def _must_narrow(key: HeldKey, reason: str, at_size: int | None) -> None:
    """A revocation that would change nothing, or would have to widen the range, is not recorded."""
    if at_size is not None and key.last is not None and at_size > key.last:
        raise Refused(f"the key is believed for tree sizes {key.sizes} alone", hint="a revocation may only narrow them")
    narrower = at_size is not None and (key.last is None or at_size < key.last)
    if key.state == "revoked" and not narrower and gravity(reason) >= gravity(key.reason):
        raise Refused(
            f"the key is revoked already ({key.reason}), believed for tree sizes {shown(key)['sizes']}; nothing was recorded",
            hint="revoke it again with a smaller --at-size or a graver reason",
        )


def present_issuer(session: Session, ctx: Context) -> str:
    """Key id of the issuer that the ledger names last; a packet under another would be refused by verifiers."""
    rows = ledger.entries(session, ctx.org, stream=key_stream("issuer"), limit=1000)
    named = [entry.payload["key_id"] for entry in (Entry.parse(row.leaf) for row in rows) if entry.type == "key:rotate"]
    return str(named[-1]) if named else ctx.keys.issuer_signer().key_id
