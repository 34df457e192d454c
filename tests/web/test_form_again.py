"""A refused form comes back where it stood, with what was typed, once more to send; nothing that is secret or signed is filled in."""

from __future__ import annotations

import re
from typing import Any

from governor.web.filled_form import filled

ADMIN = "admin@acme.example"
PASSWORD = "a long enough password"
LOST = "<p>refused</p>"


def test_a_refused_form_keeps_what_was_typed(site: Any) -> None:
    typed = {"email": "dana@acme.example", "name": 'D. <b> "Ruiz"', "role-security": "yes", "page": "/settings"}
    with site.at(ADMIN) as admin:
        answer = admin.post("/settings/people", typed, page="/settings")
        assert answer.status_code == 409
        assert "<h1>Settings</h1>" in answer.text
        form = re.search(r'<details open=""><summary>Add a person.*?</form>', answer.text, re.DOTALL)
        assert form, "the folded part of the page is open"
        assert "dana@acme.example is known already" in form[0]
        assert 'value="dana@acme.example"' in form[0]
        assert 'value="D. &lt;b&gt; &quot;Ruiz&quot;"' in form[0]
        assert 'value="yes" checked=""> security' in form[0]
        assert form[0].count("checked") == 1
        assert 'name="page" value="/settings"' in form[0], "sent again, it comes back to the same page"


def test_a_refused_token_keeps_its_choices_and_the_page_of_a_new_one_knows_its_address(site: Any) -> None:
    typed = {"scopes": "everything", "name": "ci", "days": "365", "email": "rae@acme.example", "page": "/settings"}
    with site.at(ADMIN) as admin:
        answer = admin.post("/settings/tokens", typed, page="/settings")
        assert answer.status_code == 422
        assert re.search(r'<option value="365" selected="">', answer.text)
        assert re.search(r'<option value="rae@acme.example" selected="">', answer.text)
        assert 'name="scopes" value="everything"' in answer.text
        made = admin.post("/settings/tokens", {**typed, "scopes": "read"}, page="/settings")
        assert 'name="page" value="/settings"' in made.text


def test_a_password_is_never_sent_back(site: Any) -> None:
    with site.at("finn@acme.example") as finn:
        typed = {"current": "not my password", "password": "another long password", "page": "/settings"}
        answer = finn.post("/settings/password", typed, page="/settings")
        assert answer.status_code == 403
        assert "The present password is wrong" in answer.text
        assert "not my password" not in answer.text
        assert "another long password" not in answer.text


def test_a_form_of_an_older_session_keeps_the_words_and_does_nothing(site: Any) -> None:
    with site.at("rae@acme.example") as rae:
        typed = {"csrf": "of yesterday", "page": "/changes/new", "workflow": "fnol-triage", "reason": "an hour of writing"}
        answer = rae.post("/changes/new", typed, page="/changes/new")
        assert answer.status_code == 403
        assert "an hour of writing</textarea>" in answer.text
        assert "of yesterday" not in answer.text


def test_a_sign_in_page_that_was_left_open_can_be_sent_again(site: Any) -> None:
    with site.visitor() as visitor:
        shown = visitor.get("/sign-in?next=/changes/RC-1").text
        typed = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', shown)) | {"email": "rae@acme.example"}
        visitor.client.cookies.clear()
        late = visitor.client.post("/sign-in", data={**typed, "password": PASSWORD}, follow_redirects=False)
        assert late.status_code == 403
        assert "<h1>Sign in</h1>" in late.text
        assert 'value="rae@acme.example"' in late.text
        assert PASSWORD not in late.text
        fresh = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', late.text))
        again = visitor.client.post("/sign-in", data={**typed, **fresh, "password": PASSWORD}, follow_redirects=False)
        assert (again.status_code, again.headers["location"]) == (303, "/changes/RC-1")


def test_after_a_session_that_ended_one_returns_to_the_page_of_the_form(site: Any) -> None:
    with site.visitor() as visitor:
        for referer, told in (
            ("http://testserver.local/changes/RC-1?x=1", "/sign-in?unsent=true&next=%2Fchanges%2FRC-1%3Fx%3D1"),
            ("http://127.0.0.1:8321/changes/RC-1", "/sign-in?unsent=true&next=%2Fchanges%2FRC-1"),  # the public URL, behind a proxy
            ("http://elsewhere.example/changes/RC-1", "/sign-in?unsent=true"),
        ):
            sent = visitor.client.post("/changes/RC-1/decide", data={"reason": "r"}, headers={"referer": referer}, follow_redirects=False)
            assert sent.headers["location"] == told


def test_a_form_that_is_gone_or_of_no_page_of_ours_is_still_answered(site: Any) -> None:
    with site.at("dana@acme.example") as dana:
        gone = dana.post("/changes/RC-1/decide", {"decision": "maybe", "page": "/changes/RC-1"})
        assert gone.status_code == 422
        assert "Choose approve or reject" in gone.text
        assert "RC-1 · fnol-triage" in gone.text
        for page in ("//elsewhere.example/", "/no-such-page", "/settings/people", "/spend.csv", "/periods/2026-13"):
            answer = dana.post("/changes/RC-1/decide", {"decision": "maybe", "page": page})
            assert answer.status_code == 422
            assert "Choose approve or reject" in answer.text


def test_the_script_of_a_page_is_told_the_reason(site: Any) -> None:
    with site.at("dana@acme.example") as dana:
        sent = {"csrf": dana.csrf("/"), "digest": "0" * 64, "decision": "approve"}
        answer = dana.client.post("/changes/RC-1/passkey", data=sent, headers={"accept": "application/json"})
        assert answer.status_code >= 400
        assert answer.json()["detail"]


def test_only_the_form_that_was_sent_is_filled() -> None:
    def form(number: str) -> str:
        return f'<form action="/discard"><input type="hidden" name="id" value="{number}"><input name="reason"><textarea name="more">\nold</textarea></form>'

    page = f"<main>{form('1')}{form('2')}</main>"
    typed = {"id": "2", "reason": 'a "b" <c>', "more": "\nx </textarea>"}
    found = filled(page, "/discard", typed, LOST)
    first, second = found.split("</form>")[:2]
    assert first == f"<main>{form('1')}".removesuffix("</form>")
    assert 'name="reason" value="a &quot;b&quot; &lt;c&gt;"' in second
    assert "\n\nx &lt;/textarea&gt;</textarea>" in second
    assert LOST in second
    assert filled(page, "/discard", {**typed, "id": "3"}, LOST) == f"<main>{LOST}{page.removeprefix('<main>')}", "decided by somebody else"


def test_what_is_signed_is_that_of_the_page() -> None:
    page = '<main><form action="/decide"><input type="hidden" name="digest" value="new"><textarea name="reason"></textarea></form></main>'
    found = filled(page, "/decide", {"digest": "old", "reason": "read it"}, LOST)
    assert 'value="new"' in found
    assert "old" not in found
    assert ">read it</textarea>" in found
