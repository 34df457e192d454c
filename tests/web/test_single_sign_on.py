"""Signing in with the company's identity provider: the right account gets in, and nothing that was tampered with does."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from identity_provider import CLIENT, KEY, OTHER_KEY, SECRET, Provider, served
from joserfc import jwt
from pydantic import ValidationError

from governor.actions.apply import apply
from governor.actions.doctor import examine
from governor.actions.erase_person import erase_person
from governor.actions.people import authenticate, create_token
from governor.actions.single_sign_on import unlink
from governor.catalog import parse_documents
from governor.errors import Forbidden, NotFound
from governor.ledger.entry import Entry
from governor.settings import load_settings
from governor.store import ledger

PEOPLE = "kind: person\nemail: dana@acme.example\nroles: [owner]\n---\nkind: person\nemail: sol@acme.example\nroles: [security]\n"


@pytest.fixture(scope="module")
def running() -> Iterator[Provider]:
    with served() as provider:
        yield provider


@pytest.fixture
def provider(running: Provider) -> Provider:
    fresh = Provider()
    for name, value in vars(fresh).items():
        if name != "issuer":
            setattr(running, name, value)
    return running


@pytest.fixture
def site(open_site: Any, provider: Provider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("OIDC_SECRET", SECRET)
    knobs = {"oidc_client_id": CLIENT, "oidc_client_secret": "env:OIDC_SECRET", "oidc_name": "Acme Login"}
    with open_site(tmp_path / "home", oidc_issuer=provider.issuer, **knobs) as site:
        apply(site.ctx, site.admin, parse_documents(PEOPLE))
        yield site


def sent_out(visitor: Any, next_path: str = "/") -> str:
    answer = visitor.get(f"/sign-in/oidc?next={next_path}")
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"])


def through(visitor: Any, provider: Provider, next_path: str = "/") -> Any:
    return visitor.get(provider.authorize(sent_out(visitor, next_path)))


def entries(site: Any) -> list[dict[str, Any]]:
    with site.ctx.rows.session() as session:
        return [dict(Entry.parse(row.leaf).payload) for row in ledger.entries(session, site.ctx.org, type="person:apply", limit=100)]


def test_there_and_back(site: Any, provider: Provider) -> None:
    with site.visitor() as visitor:
        assert 'href="/sign-in/oidc?next=/workflows">Sign in with Acme Login</a>' in visitor.get("/sign-in?next=/workflows").text
        url = sent_out(visitor, "/workflows")
        asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        assert url.startswith(f"{provider.issuer}/authorization_endpoint?")
        assert (asked["response_type"], asked["client_id"], asked["code_challenge_method"]) == ("code", CLIENT, "S256")
        assert set(asked["scope"].split()) == {"openid", "email", "profile"}
        answer = visitor.get(provider.authorize(url))
        assert (answer.status_code, answer.headers["location"]) == (303, "/workflows")
        assert "dana@acme.example" in visitor.get("/settings").text
    _path, body, authorization = next(one for one in provider.requests if one[0] == "/token_endpoint")
    assert base64.b64decode(authorization.removeprefix("Basic ")).decode() == f"{CLIENT}:{SECRET}"
    assert SECRET not in str(body)
    assert next(one for one in provider.requests if one[0] == "/jwks_uri")[2] == ""  # the keys are asked for without the token
    linked = [payload for payload in entries(site) if payload.get("account") == "linked"]
    assert [payload["issuer"] for payload in linked] == [provider.issuer]
    with site.visitor() as again:
        assert through(again, provider).status_code == 303
    assert len([payload for payload in entries(site) if payload.get("account")]) == 1


def part(what: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(what).encode()).rstrip(b"=").decode()


def unsigned(claims: dict[str, Any]) -> str:
    return f"{part({'alg': 'none'})}.{part(claims)}."


def with_public_key_as_secret(claims: dict[str, Any]) -> str:
    signed = ".".join(part(one) for one in ({"alg": "HS256", "kid": "now"}, claims))
    digest = hmac.new(KEY.as_pem(private=False), signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


SPOILT: dict[str, Callable[[Provider], object]] = {
    "unsigned": lambda provider: setattr(provider, "signed", unsigned),
    "key_as_secret": lambda provider: setattr(provider, "signed", with_public_key_as_secret),
    "foreign_key": lambda provider: setattr(
        provider, "signed", lambda claims: jwt.encode({"alg": "RS256", "kid": "now"}, claims, OTHER_KEY)
    ),
    "no_token": lambda provider: setattr(provider, "signed", lambda _: ""),
    "issuer": lambda provider: provider.claims.update(iss="https://elsewhere.example"),
    "audience": lambda provider: provider.claims.update(aud="another-client"),
    "other_party": lambda provider: provider.claims.update(aud=[CLIENT, "other"], azp="other"),
    "expired": lambda provider: provider.claims.update(exp=int(time.time()) - 300),
    "no_expiry": lambda provider: provider.claims.update(exp=None),
    "nonce": lambda provider: provider.claims.update(nonce="that of another sign-in"),
    "no_nonce": lambda provider: provider.claims.update(nonce=None),
    "no_subject": lambda provider: provider.claims.update(sub=None),
    "unverified": lambda provider: provider.claims.update(email_verified=False),
    "said_as_text": lambda provider: provider.claims.update(email_verified="false"),
    "not_said": lambda provider: provider.claims.update(email_verified=None),
    "no_email": lambda provider: provider.claims.update(email=None),
    "email_of_no_form": lambda provider: provider.claims.update(email=["dana@acme.example"]),
    "nobody": lambda provider: provider.claims.update(email="eve@acme.example"),
    "keys_away": lambda provider: setattr(provider, "down", frozenset({"/jwks_uri"})),
    "token_away": lambda provider: setattr(provider, "down", frozenset({"/token_endpoint"})),
}


@pytest.mark.parametrize("name", sorted(SPOILT))
def test_nothing_that_was_tampered_with_gets_in(site: Any, provider: Provider, name: str) -> None:
    SPOILT[name](provider)
    with site.visitor() as visitor:
        answer = through(visitor, provider)
        assert answer.status_code in {401, 503}, answer.status_code
        assert "Not signed in" in answer.text
        assert SECRET not in answer.text
        assert visitor.get("/settings").headers["location"].startswith("/sign-in")
    assert not [payload for payload in entries(site) if payload.get("account")]


def test_who_comes_back_must_have_been_sent_out_by_this_browser(site: Any, provider: Provider) -> None:
    with site.visitor() as victim, site.visitor() as other:
        back = provider.authorize(sent_out(other))
        assert "in another browser" in victim.get(back).text  # a link with somebody else's code
        first = provider.authorize(sent_out(victim))
        second = provider.authorize(sent_out(victim))
        assert "another sign-in was begun" in victim.get(first).text.lower()
        assert "in another browser" in victim.get(second).text  # what failed is over
        assert "call+0900" not in victim.get("/sign-in/oidc/back?state=x&error=access_denied&error_description=call+0900").text
        url = sent_out(victim)
        state = parse_qs(urlsplit(url).query)["state"][0]
        refused = victim.get(f"/sign-in/oidc/back?state={state}&error=access_denied")
        assert (refused.status_code, "did not sign you in (access_denied)" in refused.text) == (401, True)


def test_a_code_is_taken_once_and_leads_nowhere_else(site: Any, provider: Provider) -> None:
    with site.visitor() as visitor:
        back = provider.authorize(sent_out(visitor, "//evil.example"))
        answer = visitor.get(back)
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        assert visitor.get(back).status_code == 401


def test_the_account_counts_and_not_the_address(site: Any, provider: Provider) -> None:
    with site.visitor() as visitor:
        assert through(visitor, provider).status_code == 303
    provider.claims["sub"] = "u-2"  # the address was given to somebody else
    with site.visitor() as visitor:
        assert "another account of the identity provider" in through(visitor, provider).text
    provider.claims.update(sub="u-1", email="dana.new@acme.example")  # and hers has changed
    with site.visitor() as visitor:
        assert through(visitor, provider).status_code == 303
    with pytest.raises(NotFound):
        unlink(site.ctx, site.admin, email="sol@acme.example")
    assert unlink(site.ctx, site.admin, email="dana@acme.example") == 1
    provider.claims.update(sub="u-2", email="dana@acme.example")
    with site.visitor() as visitor:
        assert through(visitor, provider).status_code == 303
    assert [payload["account"] for payload in entries(site) if payload.get("account")] == ["linked", "unlinked", "linked"]


def test_only_admins_unlink(site: Any) -> None:

    token = create_token(site.ctx, site.admin, email="dana@acme.example", scopes=["api"], name="")["token"]
    with pytest.raises(Forbidden):
        unlink(site.ctx, authenticate(site.ctx, token), email="sol@acme.example")


def test_who_is_disabled_or_erased_stays_out(site: Any, provider: Provider) -> None:
    with site.visitor() as visitor:
        assert through(visitor, provider).status_code == 303
        apply(site.ctx, site.admin, parse_documents(PEOPLE.replace("[owner]", "[owner]\ndisabled: true")))
        assert visitor.get("/settings").headers["location"].startswith("/sign-in")
        assert "Nobody here has the e-mail dana@acme.example. An admin adds people" in through(visitor, provider).text
    apply(site.ctx, site.admin, parse_documents(PEOPLE))
    erase_person(site.ctx, site.admin, email="dana@acme.example", reason="asked to")
    with site.visitor() as visitor:
        assert "Nobody here has the e-mail dana@acme.example. An admin adds people" in through(visitor, provider).text


def test_an_e_mail_that_only_userinfo_names(site: Any, provider: Provider) -> None:
    provider.claims = {"sub": "u-1"}
    provider.userinfo = {"sub": "u-9", "email": "dana@acme.example", "email_verified": True}
    with site.visitor() as visitor:
        assert through(visitor, provider).status_code == 401  # somebody else's
        provider.userinfo["sub"] = "u-1"
        assert through(visitor, provider).status_code == 303


@pytest.mark.parametrize(
    ("metadata", "says"),
    [({"issuer": "https://elsewhere.example"}, "names the issuer"), ({"token_endpoint": "ftp://x"}, "has no token_endpoint")],
    ids=["issuer", "endpoint"],
)
def test_a_provider_that_is_another_is_not_believed(site: Any, provider: Provider, metadata: dict[str, str], says: str) -> None:
    provider.metadata = metadata
    with site.visitor() as visitor:
        answer = visitor.get("/sign-in/oidc")
        assert (answer.status_code, says in answer.text) == (502, True)
    [check] = [check for check in examine(site.ctx.settings) if check.name == "single sign-on"]
    assert (check.ok, says in check.detail) == (False, True)


def test_the_doctor_says_where_browsers_are_sent_back_to(site: Any, provider: Provider) -> None:
    [check] = [check for check in examine(site.ctx.settings) if check.name == "single sign-on"]
    assert check.ok
    assert check.detail.endswith("must send browsers back to http://127.0.0.1:8321/sign-in/oidc/back")


def test_tries_are_counted(site: Any) -> None:
    with site.visitor() as visitor:
        answers = [visitor.get("/sign-in/oidc") for _ in range(61)]
        assert [answer.status_code for answer in answers[-2:]] == [303, 429]
        assert visitor.sign_in("admin@acme.example").status_code == 303, "another way in"


def test_passwords_may_be_turned_off(open_site: Any, provider: Provider, tmp_path: Path) -> None:
    with (
        open_site(tmp_path / "home", oidc_issuer=provider.issuer, oidc_client_id=CLIENT, password_sign_in=False) as site,
        site.visitor() as visitor,
    ):
        page = visitor.get("/sign-in").text
        assert 'name="password"' not in page
        assert "Sign in with single sign-on" in page
        assert visitor.sign_in(site.admin.email).status_code == 403
        assert visitor.post("/sign-in", {"token": site.token}, page="/sign-in").status_code == 303


def test_a_home_without_a_provider_has_no_such_door(open_site: Any, tmp_path: Path) -> None:
    with open_site(tmp_path / "home") as site, site.visitor() as visitor:
        assert "oidc" not in visitor.get("/sign-in").text
        assert (visitor.get("/sign-in/oidc").status_code, visitor.get("/sign-in/oidc/back").status_code) == (404, 404)


@pytest.mark.parametrize(
    "knobs",
    [
        {"oidc_issuer": "http://login.acme.example", "oidc_client_id": "x"},
        {"oidc_issuer": "login.acme.example", "oidc_client_id": "x"},
        {"oidc_issuer": "https://login.acme.example"},
    ],
    ids=["plain", "no_scheme", "no_client"],
)
def test_settings_that_cannot_work_are_refused(tmp_path: Path, knobs: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        load_settings(home=tmp_path, **knobs)
