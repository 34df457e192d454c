"""Passkeys: registering a device, and letting it sign a decision, so that nobody but its holder can have made it.

Owns: what a device signs, checking its answer (py_webauthn), the block that enters the ledger. Does not own: open challenges (passkey_challenges.py),
the offline check of that block (packets/passkey.py), whether the person may decide (decide.py). Invariants: the challenge of a decision is the digest of
its record, which names change, digest, decision, role and person; the device must have verified its user.
"""

from __future__ import annotations

import json
import secrets
from typing import Any, Final

from sqlmodel import col, select
from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    options_to_json,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url, decode_credential_public_key, parse_authentication_credential_json
from webauthn.helpers.cose import COSEAlgorithmIdentifier
from webauthn.helpers.decode_credential_public_key import DecodedEC2PublicKey, DecodedOKPPublicKey
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from governor.actions.assess import assess, find_change
from governor.actions.context import Actor, Context
from governor.actions.passkey_challenges import ask, checked, mine, site, take
from governor.actions.people import find_person
from governor.changes import Person, may_decide
from governor.errors import Forbidden, GovernorError, Invalid, NotFound, Refused, Unauthenticated
from governor.ledger.canonical import canonical_json
from governor.ledger.entry import EntryDraft
from governor.packets.passkey import PASSKEY, challenge, decision_record, verifies
from governor.store.rows.passkeys import Passkey

MOST: Final = 20
ALGORITHMS: Final = {COSEAlgorithmIdentifier.ECDSA_SHA_256: "ES256", COSEAlgorithmIdentifier.EDDSA: "EdDSA"}
REQUIRED: Final = UserVerificationRequirement.REQUIRED


def list_passkeys(ctx: Context, actor: Actor) -> list[dict[str, Any]]:
    """One's own, revoked ones too."""
    with ctx.rows.session() as session:
        rows = session.exec(select(Passkey).where(Passkey.org_id == ctx.org, Passkey.person_id == actor.id).order_by(col(Passkey.id))).all()
        return [
            {
                "id": row.id,
                "name": row.name,
                "algorithm": row.algorithm,
                "public_key": row.public_key,
                "created_at": row.created_at.isoformat(),
                "last_used_at": row.last_used_at.isoformat() if row.last_used_at else None,
                "revoked_at": row.revoked_at.isoformat() if row.revoked_at else None,
            }
            for row in rows
        ]


def begin_registration(ctx: Context, actor: Actor) -> str:
    """What the browser is given, as JSON."""
    decided_by_person(actor)
    actor.require_lasting("a passkey")
    _, rp = site(ctx.settings)
    asked = secrets.token_bytes(32)
    with ctx.rows.session(write=True) as session:
        known = mine(session, ctx, actor)
        if len(known) >= MOST:
            raise Refused(f"you have {len(known)} passkeys", hint="revoke one that you do not use")
        ask(session, ctx, actor, "register", asked)
    return options_to_json(
        generate_registration_options(
            rp_id=rp,
            rp_name="Governor",
            user_id=actor.id.encode(),
            user_name=actor.email,
            challenge=asked,
            supported_pub_key_algs=list(ALGORITHMS),
            exclude_credentials=[PublicKeyCredentialDescriptor(id=base64url_to_bytes(one.credential)) for one in known],
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.PREFERRED, user_verification=REQUIRED
            ),
        )
    )


def finish_registration(ctx: Context, actor: Actor, answer: str, *, name: str = "") -> dict[str, Any]:
    """Raises Forbidden for an answer that does not hold. The public key is on record from then on."""
    decided_by_person(actor)
    actor.require_lasting("a passkey")
    origin, rp = site(ctx.settings)
    held = take(ctx, actor, "register", answer)
    found = checked(
        lambda: verify_registration_response(
            credential=answer,
            expected_challenge=bytes.fromhex(held.challenge),
            expected_origin=origin,
            expected_rp_id=rp,
            require_user_verification=True,
            supported_pub_key_algs=list(ALGORITHMS),
        )
    )
    algorithm, public_key = plain_key(found.credential_public_key)
    with ctx.transaction(actor) as tx:
        find_person(tx.session, ctx.org, actor.email)  # not disabled since
        row = Passkey(
            org_id=ctx.org,
            person_id=actor.id,
            name=name.strip()[:100],
            credential=bytes_to_base64url(found.credential_id),
            algorithm=algorithm,
            public_key=public_key.hex(),
            cose=bytes_to_base64url(found.credential_public_key),
            sign_count=found.sign_count,
            created_at=tx.now,
        )
        tx.session.add(row)
        tx.session.flush()
        tx.append(_entry(ctx, actor, "passkey:register", row))
    return {"id": row.id, "name": row.name, "algorithm": algorithm}


def revoke_passkey(ctx: Context, actor: Actor, passkey_id: str) -> None:
    """One's own, or anybody's by an admin. What it signed before stays signed."""
    with ctx.transaction(actor) as tx:
        row = tx.session.exec(select(Passkey).where(Passkey.org_id == ctx.org, Passkey.id == passkey_id).with_for_update()).first()
        if row is None:
            raise NotFound(f"no passkey {passkey_id}")
        if row.person_id != actor.id:
            actor.require("admin")
        if row.revoked_at is None:
            row.revoked_at = tx.now
            tx.session.add(row)
            tx.append(_entry(ctx, actor, "passkey:revoke", row))


def begin_decision(ctx: Context, actor: Actor, change_id: str, *, digest: str, decision: str, role: str = "") -> str:
    """The options for `navigator.credentials.get`; their challenge is the digest of the record of this decision."""
    decided_by_person(actor)
    origin, rp = site(ctx.settings)
    if decision not in {"approve", "reject"}:
        raise Invalid("a decision is approve or reject")
    now = ctx.now()
    with ctx.rows.session() as session:
        found = assess(ctx, session, find_change(session, ctx.org, change_id), now)
    if digest != found.digest:
        raise Refused("the change is no longer what was shown", hint="reload the page")
    try:  # a rejection answers for any needed role, also where no approval is open to the person
        answered = may_decide(
            Person(actor.id, actor.email, actor.roles), found.docket, digest=digest, decision=decision, now=now, role=role
        )
    except GovernorError as error:
        raise Forbidden(f"you cannot {decision}: {error.message}") from None
    if decision == "approve" and not found.decision.allow:
        raise Forbidden("you cannot approve: policy does not allow it")
    record = decision_record(
        change=change_id,
        digest=digest,
        decision=decision,
        role=answered,
        person=actor.id,
        origin=origin,
        rp=rp,
        nonce=secrets.token_hex(16),
    )
    with ctx.rows.session(write=True) as session:
        known = mine(session, ctx, actor)
        if not known:
            raise Refused("you have no passkey", hint="register one under Settings")
        ask(session, ctx, actor, "decide", challenge(record), canonical_json(record).decode())
    return options_to_json(
        generate_authentication_options(
            rp_id=rp,
            challenge=challenge(record),
            allow_credentials=[PublicKeyCredentialDescriptor(id=base64url_to_bytes(one.credential)) for one in known],
            user_verification=REQUIRED,
        )
    )


def finish_decision(ctx: Context, actor: Actor, answer: str) -> dict[str, Any]:
    """The block for the ledger entry: record, public key, and what the device signed. Raises Forbidden for an answer that does not hold."""
    origin, rp = site(ctx.settings)
    held = take(ctx, actor, "decide", answer)
    checked(lambda: parse_authentication_credential_json(answer))
    sent = json.loads(answer)
    with ctx.rows.session(write=True) as session:
        row = next((one for one in mine(session, ctx, actor) if one.credential == sent["id"]), None)
        if row is None:
            raise Forbidden("this passkey is not registered for you, or was revoked")
        public = row
        found = checked(
            lambda: verify_authentication_response(
                credential=answer,
                expected_challenge=bytes.fromhex(held.challenge),
                expected_rp_id=rp,
                expected_origin=origin,
                credential_public_key=base64url_to_bytes(public.cose),
                credential_current_sign_count=public.sign_count,
                require_user_verification=True,
            )
        )
        row.sign_count, row.last_used_at = found.new_sign_count, ctx.now()
        session.add(row)
        said = sent["response"]
        return {
            "record": json.loads(held.record),
            "algorithm": row.algorithm,
            "public_key": row.public_key,
            "authenticator_data": said["authenticatorData"].rstrip("="),
            "client_data": said["clientDataJSON"].rstrip("="),
            "signature": said["signature"].rstrip("="),
        }


def decided_by_person(actor: Actor) -> None:
    if actor.kind != "person" or "api" not in actor.scopes:
        raise Unauthenticated("only a person has passkeys")


def plain_key(cose: bytes) -> tuple[str, bytes]:
    """(algorithm, raw public key) of a COSE key, so that a verifier needs no CBOR."""
    key = decode_credential_public_key(cose)
    name = ALGORITHMS.get(COSEAlgorithmIdentifier(key.alg))
    if name == "ES256" and isinstance(key, DecodedEC2PublicKey):
        raw = b"\x04" + key.x + key.y
    elif name == "EdDSA" and isinstance(key, DecodedOKPPublicKey):
        raw = key.x
    else:
        raise Refused("this device signs with an algorithm that verifiers do not check", hint="use one with ES256 or EdDSA")
    verifies(name, raw, b"", b"")  # raises ValueError for what is no key
    return name, raw


def _entry(ctx: Context, actor: Actor, kind: str, row: Passkey) -> EntryDraft:
    return EntryDraft(
        type=kind,
        stream=f"person/{row.person_id}",
        payload={"person": row.person_id, PASSKEY: row.id, "algorithm": row.algorithm, "public_key": row.public_key},
        actor=actor.ledger_ref(),
        idem=f"{kind}:{row.id}",
        occurred_at=ctx.now(),
    )
