"""Proving who acts: first admin, tokens, passwords, sessions."""

from typing import Any

import pytest
from sqlmodel import select

from governor.actions import sign_in as passwords
from governor.actions.context import OPERATOR
from governor.actions.load_catalog import catalog_as_of
from governor.actions.passkeys import begin_registration
from governor.actions.people import authenticate, create_first_admin, create_person, create_token, list_tokens, made_since, revoke_token
from governor.actions.sign_in import (
    SESSION_HOURS,
    change_password,
    open_session,
    session_actor,
    set_password,
    sign_in,
    sign_in_with_token,
    sign_out,
)
from governor.errors import Forbidden, Invalid, NotFound, Refused, Unauthenticated
from governor.store.rows.people import Person, Token, WebSession

PASSWORD = "correct horse battery"


def test_the_first_admin_is_made_once(world: Any) -> None:
    assert create_first_admin(world.ctx, email="second@acme.example") is None
    assert world.admin.roles == {"admin"}


def test_a_token_proves_its_person_until_it_ends(world: Any) -> None:
    made = create_token(world.ctx, world.admin, email="Dana@Acme.example", days=2)
    assert made["token"].startswith("gov_")
    assert authenticate(world.ctx, made["token"]).email == "dana@acme.example"
    world.later(days=2)
    with pytest.raises(Unauthenticated):
        authenticate(world.ctx, made["token"])


@pytest.mark.parametrize("token", ["", "gov_", "gov_x", "' OR 1=1 --"])
def test_anything_else_proves_nothing(world: Any, token: str) -> None:
    with pytest.raises(Unauthenticated):
        authenticate(world.ctx, token)


def test_revoked_tokens_and_disabled_people_prove_nothing(world: Any) -> None:
    dana = create_token(world.ctx, world.admin, email="dana@acme.example")
    revoke_token(world.ctx, world.admin, dana["id"])
    revoke_token(world.ctx, world.admin, dana["id"])
    with pytest.raises(Unauthenticated):
        authenticate(world.ctx, dana["token"])
    assert len(world.entries("token:revoke")) == 1
    ada = create_token(world.ctx, world.admin, email="ada@acme.example")
    opened = sign_in_with_token(world.ctx, ada["token"]).secret
    world.apply("kind: person\nemail: ada@acme.example\nroles: [auditor]\ndisabled: true")
    with pytest.raises(Unauthenticated):
        authenticate(world.ctx, ada["token"])
    world.apply("kind: person\nemail: ada@acme.example\nroles: [auditor]")
    with pytest.raises(Unauthenticated):
        session_actor(world.ctx, opened)  # it ended, and who comes back signs in


def test_only_admins_make_tokens_for_others(world: Any) -> None:
    dana = world.person("dana")
    assert create_token(world.ctx, dana, email="dana@acme.example")["email"] == "dana@acme.example"
    with pytest.raises(Forbidden):
        create_token(world.ctx, dana, email="sol@acme.example")
    with pytest.raises(Unauthenticated):
        create_token(world.ctx, OPERATOR, email="sol@acme.example")
    narrow = authenticate(world.ctx, create_token(world.ctx, world.admin, email="admin@acme.example", scopes=["read"])["token"])
    with pytest.raises(Forbidden):
        create_token(world.ctx, narrow, email="sol@acme.example")
    with pytest.raises(NotFound):
        create_token(world.ctx, world.admin, email="nobody@acme.example")


@pytest.mark.parametrize("scope", ["admin", "ingest", "ingest:", "api read", "ingest:../x"])
def test_unknown_scopes_are_refused(world: Any, scope: str) -> None:
    with pytest.raises(Invalid, match="scope"):
        create_token(world.ctx, world.admin, email="dana@acme.example", scopes=[scope])


def test_secrets_are_kept_as_digests_and_listed_never(world: Any) -> None:
    made = create_token(world.ctx, world.admin, email="dana@acme.example", scopes=["ingest:litellm"], name="push")
    with world.ctx.rows.session() as session:
        kept = " ".join(str(row.model_dump()) for row in session.exec(select(Token)).all())
    assert made["token"] not in kept
    rows = list_tokens(world.ctx, world.admin, email="dana@acme.example")
    assert [row["scopes"] for row in rows] == [["ingest:litellm"]]
    assert made["token"] not in str(rows)
    with pytest.raises(Forbidden):
        list_tokens(world.ctx, world.person("dana"))
    assert made["token"] not in str(world.entries())


def test_people_are_made_by_admins_once(world: Any) -> None:
    create_person(world.ctx, world.admin, email="kim@acme.example", roles=["owner"])
    with pytest.raises(Refused):
        create_person(world.ctx, world.admin, email="kim@acme.example")
    with pytest.raises(Invalid):
        create_person(world.ctx, world.admin, email="lee@acme.example", roles=["boss"])
    with pytest.raises(Forbidden):
        create_person(world.ctx, world.person("dana"), email="x@acme.example")


def test_a_password_opens_a_session_that_ends(world: Any) -> None:
    set_password(world.ctx, world.person("dana"), email="dana@acme.example", password=PASSWORD)
    signed = sign_in(world.ctx, email="DANA@acme.example", password=PASSWORD)
    found = session_actor(world.ctx, signed.secret)
    assert (found.actor.email, found.csrf, found.actor.auth) == ("dana@acme.example", signed.csrf, "session")
    world.later(hours=SESSION_HOURS)
    with pytest.raises(Unauthenticated):
        session_actor(world.ctx, signed.secret)


def test_signing_out_and_a_new_password_end_sessions(world: Any) -> None:
    set_password(world.ctx, world.admin, email="dana@acme.example", password=PASSWORD)
    first, second = (sign_in(world.ctx, email="dana@acme.example", password=PASSWORD) for _ in range(2))
    sign_out(world.ctx, first.secret)
    with pytest.raises(Unauthenticated):
        session_actor(world.ctx, first.secret)
    assert session_actor(world.ctx, second.secret).actor.email == "dana@acme.example"
    set_password(world.ctx, world.admin, email="dana@acme.example", password=PASSWORD + "2")
    with pytest.raises(Unauthenticated):
        session_actor(world.ctx, second.secret)
    with world.ctx.rows.session() as session:
        assert session.exec(select(WebSession)).all() == []
        person = session.exec(select(Person).where(Person.email == "dana@acme.example")).one()
    assert person.password_hash.startswith("$argon2id$v=19$m=65536,t=3,p=4$")  # RFC 9106, for little memory
    assert PASSWORD not in person.password_hash


def test_wrong_sign_ins_sound_alike(world: Any) -> None:
    set_password(world.ctx, world.admin, email="dana@acme.example", password=PASSWORD)
    said = set()
    for email, password in (("dana@acme.example", "wrong"), ("nobody@acme.example", PASSWORD), ("sol@acme.example", PASSWORD), ("", "")):
        with pytest.raises(Unauthenticated) as refused:
            sign_in(world.ctx, email=email, password=password)
        said.add(refused.value.message)
    assert len(said) == 1


def test_an_unknown_e_mail_costs_as_much_as_a_wrong_password(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    set_password(world.ctx, world.admin, email="dana@acme.example", password=PASSWORD)
    compared: list[str] = []
    matches = passwords.matches
    monkeypatch.setattr(passwords, "matches", lambda held, password: compared.append(held) or matches(held, password))
    for email in ("dana@acme.example", "nobody@acme.example", "sol@acme.example"):
        with pytest.raises(Unauthenticated):
            sign_in(world.ctx, email=email, password="wrong")
    assert len(compared) == 3
    assert len({held.rpartition("$")[0].rpartition("$")[0] for held in compared}) == 1  # algorithm and parameters


def test_weak_passwords_and_other_peoples_are_refused(world: Any) -> None:
    with pytest.raises(Invalid):
        set_password(world.ctx, world.admin, email="dana@acme.example", password="short")
    with pytest.raises(Forbidden):
        set_password(world.ctx, world.person("dana"), email="sol@acme.example", password=PASSWORD)


def test_a_token_may_open_a_session(world: Any) -> None:
    world.person("dana")
    assert sign_in_with_token(world.ctx, world.tokens["dana@acme.example"]).actor.email == "dana@acme.example"
    narrow = create_token(world.ctx, world.admin, email="dana@acme.example", scopes=["read"])["token"]
    with pytest.raises(Unauthenticated):
        sign_in_with_token(world.ctx, narrow)


def test_a_session_does_not_outlive_the_token_that_opened_it(world: Any) -> None:
    made = create_token(world.ctx, world.admin, email="dana@acme.example", days=1)
    world.later(hours=20)
    signed = sign_in_with_token(world.ctx, made["token"])
    world.later(hours=5)
    with pytest.raises(Unauthenticated):
        session_actor(world.ctx, signed.secret)


def test_what_a_token_makes_does_not_outlive_it(world: Any) -> None:
    made = create_token(world.ctx, world.admin, email="admin@acme.example", days=2)
    world.later(hours=1)
    by_token = authenticate(world.ctx, made["token"])
    signed = sign_in_with_token(world.ctx, made["token"])
    for actor in (by_token, session_actor(world.ctx, signed.secret).actor):
        for email in ("admin@acme.example", "dana@acme.example"):
            assert create_token(world.ctx, actor, email=email)["expires_at"] == made["expires_at"]
            with pytest.raises(Forbidden, match="would outlive your token"):
                create_token(world.ctx, actor, email=email, days=2)
            with pytest.raises(Forbidden, match="a password would outlive"):
                set_password(world.ctx, actor, email=email, password=PASSWORD)
        with pytest.raises(Forbidden, match="a passkey would outlive"):
            begin_registration(world.ctx, actor)
        again = open_session(world.ctx, actor)  # as the page does for who revoked a token of their own
        assert session_actor(world.ctx, again.secret).actor.ends is not None
    with pytest.raises(Unauthenticated):
        session_actor(world.ctx, signed.secret.partition(".")[0])
    with pytest.raises(Unauthenticated):
        session_actor(world.ctx, signed.secret + "0")
    world.later(days=2)
    with pytest.raises(Unauthenticated):
        session_actor(world.ctx, again.secret)


def test_a_token_does_not_replace_its_persons_password(world: Any) -> None:
    dana = world.person("dana")
    set_password(world.ctx, dana, email="dana@acme.example", password=PASSWORD)
    with pytest.raises(Forbidden, match="a token does not replace it"):
        set_password(world.ctx, dana, email="dana@acme.example", password=PASSWORD + "2")
    set_password(world.ctx, world.admin, email="dana@acme.example", password=PASSWORD + "3")
    signed = sign_in(world.ctx, email="dana@acme.example", password=PASSWORD + "3")
    change_password(world.ctx, session_actor(world.ctx, signed.secret).actor, current=PASSWORD + "3", password=PASSWORD)


def test_a_revoked_token_names_what_may_have_been_made_with_it(world: Any) -> None:
    before = create_token(world.ctx, world.admin, email="admin@acme.example")["id"]
    world.later(minutes=1)
    found, pushes = (create_token(world.ctx, world.admin, email="admin@acme.example")["id"] for _ in range(2))
    ended = create_token(world.ctx, world.admin, email="dana@acme.example", days=1)["id"]
    dana = create_token(world.ctx, world.admin, email="dana@acme.example")["id"]
    own = create_token(world.ctx, world.person("dana"), email="dana@acme.example")["id"]
    revoke_token(world.ctx, world.admin, ended)
    revoke_token(world.ctx, world.admin, found)
    assert before not in made_since(world.ctx, found)
    assert {pushes, dana} <= set(made_since(world.ctx, found)), "an admin makes them for anybody"
    assert not {found, ended, own} & set(made_since(world.ctx, found))
    assert made_since(world.ctx, dana) == [own]


def test_revoking_a_token_ends_the_sessions_it_may_have_opened(world: Any) -> None:
    made, pushes = (create_token(world.ctx, world.admin, email="dana@acme.example", scopes=[one]) for one in ("api", "ingest:litellm"))
    signed = sign_in_with_token(world.ctx, made["token"])
    revoke_token(world.ctx, world.admin, pushes["id"])
    assert session_actor(world.ctx, signed.secret).actor.email == "dana@acme.example", "this one opens no session"
    revoke_token(world.ctx, world.admin, made["id"])
    with pytest.raises(Unauthenticated):
        session_actor(world.ctx, signed.secret)


def test_who_was_added_before_stays_a_person(world: Any) -> None:
    with world.ctx.rows.session(write=True) as session:
        session.add(Person(org_id=world.ctx.org, email="<odd>@acme.example", roles="owner", created_at=world.ctx.now()))
    assert catalog_as_of(world.ctx).people["<odd>@acme.example"].roles == ["owner"]
    with pytest.raises(Invalid, match="not an e-mail address"):
        create_person(world.ctx, world.admin, email="<new>@acme.example", name="", roles=["owner"])
