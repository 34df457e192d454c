"""Settings: whose tokens one sees and ends, how a password changes, and that secrets stay references."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from governor.actions.apply import apply
from governor.actions.people import authenticate, create_person, create_token
from governor.catalog import parse_documents
from governor.errors import Unauthenticated

PASSWORD = "a long enough password"
OTHER = "another password, longer"
CATALOG = """
kind: source
id: litellm-prod
connector: litellm
config: {database: env:LITELLM_DB, poll_minutes: 15, address: gw.acme.example}
---
kind: endpoint
id: gateway-shadow
protocol: openai
base_url: https://gateway.acme.example/v1
secret: env:SHADOW_KEY
"""


@pytest.fixture(scope="module")
def own(open_site: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with open_site(tmp_path_factory.mktemp("settings")) as made:
        apply(made.ctx, made.admin, parse_documents(CATALOG))
        for name in ("rae", "dana"):
            create_person(made.ctx, made.admin, email=f"{name}@acme.example", roles=["requester"])
            made.give_password(f"{name}@acme.example")
        yield made


def test_everybody_sees_their_own_tokens_and_an_admin_all(own: Any) -> None:
    mine = create_token(own.ctx, own.admin, email="rae@acme.example", name="of rae")
    theirs = create_token(own.ctx, own.admin, email="dana@acme.example", name="of dana")
    with own.at("rae@acme.example") as rae, own.at("admin@acme.example") as admin:
        page, every = rae.get("/settings").text, admin.get("/settings").text
        assert "of rae" in page
        assert "of dana" not in page
        assert "of rae" in every
        assert "of dana" in every
        assert rae.post(f"/settings/tokens/{theirs['id']}/revoke", page="/settings").status_code == 403
        assert rae.post(f"/settings/tokens/{mine['id']}/revoke", page="/settings").status_code == 303
        assert rae.get("/settings").status_code == 200, "who revokes a token of their own stays"
    with pytest.raises(Unauthenticated):
        authenticate(own.ctx, mine["token"])
    assert authenticate(own.ctx, theirs["token"]).email == "dana@acme.example"


def test_a_token_ends_when_its_form_said(own: Any) -> None:
    with own.at("rae@acme.example") as rae:
        made = rae.post("/settings/tokens", {"name": "short", "scopes": "ingest:otlp, read", "days": "30"}, page="/settings")
        assert made.status_code == 201
        assert made.headers["cache-control"] == "no-store"
        [secret] = re.findall(r'<div class="secret">(gov_[^<]+)</div>', made.text)
        assert rae.get("/settings/tokens").headers["location"] == "/settings"
        assert rae.post("/settings/tokens", {"scopes": "everything"}, page="/settings").status_code == 422
    assert authenticate(own.ctx, secret).scopes == {"ingest:otlp", "read"}
    now = own.ctx.now
    try:
        own.ctx.now = lambda: now() + timedelta(days=31)
        with pytest.raises(Unauthenticated):
            authenticate(own.ctx, secret)
        with own.at("rae@acme.example") as rae:
            row = re.search(r"<tr><th scope=\"row\">short</th>.*?</tr>", rae.get("/settings").text, re.DOTALL)
        assert row
        assert "expired" in row[0]
        assert "Revoke" not in row[0]
    finally:
        own.ctx.now = now


def test_a_password_changes_for_whoever_knows_it_and_ends_other_sessions(own: Any) -> None:
    with own.at("dana@acme.example") as dana, own.at("dana@acme.example") as elsewhere:
        wrong = dana.post("/settings/password", {"current": "not it at all", "password": OTHER}, page="/settings")
        assert wrong.status_code == 403
        assert "present password is wrong" in wrong.text
        short = dana.post("/settings/password", {"current": PASSWORD, "password": "short"}, page="/settings")
        assert short.status_code == 422
        assert "12 to 1,024 characters; this one has 5." in short.text
        long = dana.post("/settings/password", {"current": PASSWORD, "password": "x" * 100_000}, page="/settings")
        assert "this one has 100,000." in long.text
        for days in ("99999999999", "-1"):
            refused = dana.post("/settings/tokens", {"scopes": "api", "days": days}, page="/settings")
            assert "a whole number from 0 to 999,999,999" in refused.text
        assert elsewhere.get("/settings").status_code == 200
        done = dana.post("/settings/password", {"current": PASSWORD, "password": OTHER}, page="/settings")
        assert (done.status_code, done.headers["location"]) == (303, "/settings")
        assert "Your password is changed" in dana.get("/settings").text
        assert elsewhere.get("/settings").status_code == 303
    with own.visitor() as visitor:
        assert visitor.sign_in("dana@acme.example", PASSWORD).status_code == 401
        assert visitor.sign_in("dana@acme.example", OTHER).status_code == 303


def test_signing_out_everywhere_ends_ones_own_sessions_and_nobody_elses(own: Any) -> None:
    with own.at("rae@acme.example") as here, own.at("rae@acme.example") as elsewhere, own.at("admin@acme.example") as other:
        done = here.post("/sign-out/everywhere", {}, page="/settings")
        assert (done.status_code, done.headers["location"]) == (303, "/sign-in")
        assert [one.get("/settings").status_code for one in (here, elsewhere, other)] == [303, 303, 200]


def test_the_present_password_cannot_be_guessed_at_leisure(own: Any) -> None:
    with own.at("rae@acme.example") as rae:
        for number in range(8):
            rae.post("/settings/password", {"current": f"guess {number} of many", "password": OTHER}, page="/settings")
        right = rae.post("/settings/password", {"current": PASSWORD, "password": OTHER}, page="/settings")
        assert right.status_code == 429
        assert "Too many tries" in right.text
    own.app.state.attempts.succeeded("rae@acme.example", "testclient")
    with own.at("rae@acme.example"):
        pass  # the old password still signs in


def test_only_an_admin_adds_people_and_sets_their_password(own: Any) -> None:
    fields = {"email": "new@acme.example", "role-finance": "yes"}
    with own.at("rae@acme.example") as rae, own.at("admin@acme.example") as admin:
        assert rae.post("/settings/people", fields, page="/settings").status_code == 403
        assert rae.post("/settings/password", {"email": "admin@acme.example", "password": OTHER}, page="/settings").status_code == 403
        assert "Add a person" not in rae.get("/settings").text
        assert admin.post("/settings/people", fields, page="/settings").status_code == 303
        assert admin.post("/settings/password", {"email": "new@acme.example", "password": OTHER}, page="/settings").status_code == 303
    with own.visitor() as visitor:
        assert visitor.sign_in("new@acme.example", OTHER).status_code == 303


def test_hundreds_of_people_do_not_bury_ones_own_password(own: Any) -> None:
    for number in range(30):
        create_person(own.ctx, own.admin, email=f"p{number:02d}@many.example", name="زيد" if number == 29 else "", roles=["auditor"])
        create_token(own.ctx, own.admin, email="admin@acme.example", scopes=["read"], name=f"probe {number:02d}")
    with own.at("admin@acme.example") as admin:
        first, last = admin.get("/settings").text, admin.get("/settings?page=99&tokens=2").text
        found, nobody = admin.get("/settings?q=زيد").text, admin.get("/settings?q=nobody-at-all").text
    assert first.count('<td data-label="Signs in">') == 20
    assert 'href="/settings?page=2"' in first
    assert 'href="/settings?tokens=2"' in first
    assert "probe 29</th>" in first
    assert ">rae@acme.example<" in last
    assert "probe 05</th>" in last
    assert found.count('<td data-label="Signs in">') == 1
    assert '<th scope="row">p29@many.example' in found
    assert "Nobody is called that" in nobody


def test_what_is_connected_is_shown_and_secrets_are_references(own: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("SHADOW_KEY", "sk-live-value")
    monkeypatch.setenv("LITELLM_DB", "postgres://reader:hunter2@db/litellm")
    with own.at("rae@acme.example") as rae:
        page = rae.get("/settings").text
    for shown in ("env:SHADOW_KEY", "database: env:LITELLM_DB", "poll_minutes: 15", "address: gw.acme.example", own.ctx.bundle.revision):
        assert shown in page, shown
    assert "sk-live-value" not in page
    assert "hunter2" not in page


def test_the_doctor_tells_what_works(own: Any) -> None:
    with own.at("rae@acme.example") as rae:
        page = rae.get("/settings/doctor").text
    assert "everything needed works" in page
    assert own.ctx.bundle.revision[:12] in page
