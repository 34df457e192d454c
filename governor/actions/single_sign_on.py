"""Signing in through the company's identity provider (OpenID Connect).

Owns: which person an account of the provider is, the link between the two. Does not own: the protocol (adapters/identity_provider.py), sessions (sign_in.py).
Invariants: nobody becomes a person by signing in; the first sign-in links the account (issuer and subject) with the person of its e-mail, on the ledger,
and from then on the account counts and not the address: whoever is given the address later is another account and is refused.
"""

from __future__ import annotations

from sqlmodel import select

from governor.actions.context import Actor, Context
from governor.actions.people import actor_of, find_person, person_entry
from governor.actions.sign_in import SignedIn, open_session
from governor.adapters.identity_provider import Asked, Identity, IdentityProvider
from governor.adapters.secrets import read_secret
from governor.errors import NotFound, Unauthenticated
from governor.settings import Settings
from governor.store.rows.people import Account, Person

CALLBACK = "/sign-in/oidc/back"


def identity_provider(settings: Settings) -> IdentityProvider | None:
    """The provider of the settings; None where none is named. Raises Invalid where its secret is not there."""
    if not settings.oidc_issuer:
        return None
    return IdentityProvider(
        settings.oidc_issuer,
        settings.oidc_client_id,
        read_secret(settings.oidc_client_secret),
        settings.public_url.rstrip("/") + CALLBACK,
        claim=settings.oidc_email_claim,
    )


def sign_in_with_code(ctx: Context, provider: IdentityProvider, code: str, asked: Asked) -> SignedIn:
    """Raises Unauthenticated for a code that is not good and for an account that is nobody here, Unavailable where the provider does not answer."""
    return sign_in_as(ctx, provider.finish(code, asked, int(ctx.now().timestamp())))


def sign_in_as(ctx: Context, identity: Identity) -> SignedIn:
    with ctx.rows.session() as session:
        mine = (Account.org_id == ctx.org, Account.issuer == identity.issuer)
        account = session.exec(select(Account).where(*mine, Account.subject == identity.subject)).first()
        if account is not None:
            person = session.get(Person, account.person_id)
        else:
            person = session.exec(select(Person).where(Person.org_id == ctx.org, Person.email == identity.email)).first()
            taken = person is not None and session.exec(select(Account).where(*mine, Account.person_id == person.id)).first() is not None
            if taken:
                raise Unauthenticated(
                    f"the person of {identity.email} signed in with another account of the identity provider before",
                    hint="if it is the same person, an admin runs `governor token unlink EMAIL`",
                )
    if person is None or person.disabled:
        raise Unauthenticated(
            f"nobody here has the e-mail {identity.email}", hint="an admin adds people with `kind: person` and `governor apply`"
        )
    actor = actor_of(person, frozenset({"api"}), "oidc")
    if account is None:
        with ctx.transaction(actor) as tx:  # two first sign-ins at once: the second meets the unique row and signs in again
            tx.session.add(
                Account(org_id=ctx.org, person_id=person.id, issuer=identity.issuer, subject=identity.subject, linked_at=ctx.now())
            )
            tx.append(person_entry(ctx, actor, person, account="linked", issuer=identity.issuer))
    return open_session(ctx, actor)


def unlink(ctx: Context, actor: Actor, *, email: str) -> int:
    """Forget which accounts are this person's: the next sign-in links anew. By an admin. Returns how many there were; raises NotFound for none."""
    actor.require("admin")
    with ctx.transaction(actor) as tx:
        person = find_person(tx.session, ctx.org, email)
        accounts = tx.session.exec(select(Account).where(Account.org_id == ctx.org, Account.person_id == person.id)).all()
        if not accounts:
            raise NotFound(f"{person.email} is linked with no account of an identity provider")
        for account in accounts:
            tx.session.delete(account)
        tx.append(person_entry(ctx, actor, person, account="unlinked"))
    return len(accounts)
