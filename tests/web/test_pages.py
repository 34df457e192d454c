"""What pages show, to whom, and that all of them can be read and used without JavaScript."""

from __future__ import annotations

import html.parser
import re
from html import unescape
from itertools import pairwise
from typing import Any

import pytest
from sqlmodel import select

from governor.actions.apply import apply, plan
from governor.actions.context import Actor
from governor.actions.people import create_person
from governor.actions.show_change import show_change
from governor.catalog import parse_documents
from governor.store.rows.people import Token
from governor.web.shell import TEMPLATES, environment

PAGES = (
    "/",
    "/changes",
    "/changes/new",
    "/changes/RC-1",
    "/workflows",
    "/workflows/fnol-triage",
    "/spend?period=2026-10",
    "/findings?period=2026-10",
    "/periods",
    "/periods/2026-10",
    "/sources",
    "/sources/quarantine",
    "/sources/conflicts",
    "/ledger",
    "/ledger/entries/0",
    "/settings",
    "/settings/doctor",
)
BARE = tuple(page for page in PAGES if page not in {"/changes/RC-1", "/workflows/fnol-triage"})
FIELDS = {"input", "select", "textarea"}


class Reader(html.parser.HTMLParser):
    """Collects what a page must get right."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.forms: list[dict[str, Any]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append((tag, found))
        if tag == "form":
            self.forms.append({**found, "names": set()})
        if tag in FIELDS and self.forms:
            self.forms[-1]["names"].add(found.get("name"))

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("who", ["admin@acme.example", "dana@acme.example", "finn@acme.example", "ada@acme.example"])
def test_every_page_is_sound_for_everybody(site: Any, path: str, who: str) -> None:
    with site.at(who) as person:
        answer = person.get(path)
    assert answer.status_code == 200, answer.text[-2000:]
    sound(answer.text)


@pytest.mark.parametrize("path", BARE)
def test_a_page_without_data_teaches(bare_site: Any, path: str) -> None:
    with bare_site.at("admin@acme.example") as admin:
        answer = admin.get(path)
    assert answer.status_code == 200, answer.text[-2000:]
    sound(answer.text)


def test_the_inbox_of_an_empty_home_says_where_to_begin(bare_site: Any, site: Any) -> None:
    with bare_site.at("admin@acme.example") as admin, site.at("dana@acme.example") as dana:
        first = admin.get("/").text
        assert "First steps" in first
        assert first.index("first catalog") < first.index("governor apply") < first.index("bring in the rest"), (
            "a prompt that was not kept cannot be had later"
        )
        assert "First steps" not in dana.get("/").text


def test_the_catalog_on_a_page_without_workflows_applies_as_it_stands(bare_site: Any) -> None:
    with bare_site.at("admin@acme.example") as admin:
        shown = re.search(r"<pre>(kind: .*?)</pre>", admin.get("/workflows").text, re.DOTALL)
    assert shown is not None
    assert len(plan(bare_site.ctx, parse_documents(unescape(shown[1]))).items) == 2


def sound(text: str) -> None:
    page = Reader(text)
    assert len(page.of("h1")) == 1
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert all(after <= before + 1 for before, after in pairwise(levels)), f"a level of headings is left out: {levels}"
    assert page.of("html")[0]["lang"] == "en"
    assert page.of("main")[0]["id"] == "main"
    assert any(link.get("href") == "#main" for link in page.of("a"))
    scripts = page.of("script")
    assert [script["src"] for script in scripts] == ["/static/governor.js"]
    handlers = {name for _, attrs in page.tags for name in attrs if name.startswith("on") or name == "style"}
    assert not handlers, "the content policy forbids inline script and style"
    for form in page.forms:
        if (form.get("method") or "get") == "post":
            assert "csrf" in form["names"], form
    labels = {label.get("for") for label in page.of("label")}
    for tag, attrs in page.tags:
        if tag in FIELDS and attrs.get("type") not in {"hidden", "checkbox"}:
            assert attrs.get("id") in labels or attrs.get("aria-label"), attrs
    ids = [attrs["id"] for _, attrs in page.tags if attrs.get("id")]
    assert len(ids) == len(set(ids)), "an id is used twice"
    assert all(image.get("alt") for image in page.of("img"))
    for tag, attrs in page.tags:
        if tag == "th":
            assert attrs.get("scope") in {"col", "row"}, attrs


def test_what_people_wrote_is_text(site: Any) -> None:
    create_person(site.ctx, site.admin, email="x@acme.example", name='<script>alert("x")</script>', roles=["auditor"])
    with site.at("admin@acme.example") as admin:
        shown = admin.get("/settings").text
    assert "<script>alert" not in shown
    assert "&lt;script&gt;alert" in shown


def test_a_search_word_comes_back_as_text(site: Any) -> None:
    with site.at("dana@acme.example") as dana:
        shown = dana.get('/workflows?q="><script>alert(1)</script>').text
    assert "<script>alert" not in shown


def test_the_registry_searches_and_filters(site: Any) -> None:
    with site.at("dana@acme.example") as dana:
        every, one = dana.get("/workflows").text, dana.get("/workflows?q=FNOL").text
        risky, nothing = dana.get("/workflows?risk=high&owner=dana@acme.example").text, dana.get("/workflows?q=zzz").text
    assert every.count('href="/workflows/') >= 12
    assert re.findall(r'<th scope="row"><a href="/workflows/([^"]+)"', one) == ["fnol-triage"]
    assert "fnol-triage" in risky
    assert "ticket-summary" not in risky
    assert "No workflow matches" in nothing


def test_a_page_that_is_not_there_says_so(site: Any) -> None:
    with site.at("dana@acme.example") as dana:
        for path in (
            "/nothing",
            "/changes/RC-404",
            "/workflows/none",
            "/ledger/entries/99999",
            "/ledger/entries/none",
            "/periods/2026-10/files/x",
        ):
            answer = dana.get(path)
            assert answer.status_code == 404, path
            assert "Traceback" not in answer.text


@pytest.mark.parametrize(
    "path", ["/periods/2026-13", "/periods/october", "/spend?period=x", "/findings?period=2026-00", "/changes?state=lost"]
)
def test_a_wrong_question_is_answered_as_such(site: Any, path: str) -> None:
    with site.at("dana@acme.example") as dana:
        assert dana.get(path).status_code == 422


def test_the_list_of_changes_says_how_long_decisions_take(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from governor.web import changes as module

    row = module.list_changes(site.ctx)[0]
    day = {"created_at": "2026-11-01T00:00:00+00:00", "submitted_at": "2026-11-07T00:00:00+00:00"}
    decided = {**row, **day, "state": "approved", "decided_at": "2026-11-10T00:00:00+00:00"}
    monkeypatch.setattr(module, "list_changes", lambda *_, **__: [decided, {**row, **day, "state": "in_review", "decided_at": None}])
    with site.at("dana@acme.example") as dana:
        page = " ".join(dana.get("/changes").text.split())
    assert "1 change decided, within 9 days of being asked for and 3 days of its evidence." in page
    assert "1 waits for a decision, the oldest for " in page


def test_the_change_says_who_may_decide_and_why_not(site: Any) -> None:
    digest = show_change(site.ctx, "RC-1")["digest"]
    with site.at("rae@acme.example") as rae, site.at("finn@acme.example") as finn:
        mine, theirs = rae.get("/changes/RC-1").text, finn.get("/changes/RC-1").text
    for shown in (mine, theirs):
        assert digest in shown
        assert "May answer: dana@acme.example" in shown
        assert "May answer: sol@acme.example" in shown
    assert "Start shadow run" in mine
    assert "Start shadow run" not in theirs


def test_a_decision_before_the_evidence_is_refused(site: Any) -> None:
    digest = show_change(site.ctx, "RC-1")["digest"]
    with site.at("dana@acme.example") as dana:
        answer = dana.post("/changes/RC-1/decide", {"decision": "approve", "digest": digest, "reason": "looks fine"})
        assert answer.status_code == 409
        assert re.search("missing_evidence|wrong_state", answer.text)
        assert dana.post("/changes/RC-1/decide", {"decision": "maybe", "digest": digest, "reason": "x"}).status_code == 422
    assert not show_change(site.ctx, "RC-1")["approvals"]


def test_a_refused_proposal_keeps_what_was_typed(site: Any) -> None:
    fields = {
        "workflow": "fnol-triage",
        "candidate": "openai/no-such-model",
        "endpoint": "gateway-shadow",
        "sample": "60",
        "budget": "5",
        "reason": "my words",
        "page": "/changes/new",
    }
    with site.at("rae@acme.example") as rae, site.at("finn@acme.example") as finn:
        answer = rae.post("/changes/new", fields, page="/changes/new")
        assert answer.status_code in {409, 422}
        assert "<h1>Propose a change</h1>" in answer.text
        assert "my words</textarea>" in answer.text
        assert 'value="openai/no-such-model"' in answer.text
        assert finn.post("/changes/new", {**fields, "candidate": "openai/gpt-4.1-mini"}, page="/changes/new").status_code == 403


def test_only_finance_closes_and_the_page_says_so(site: Any) -> None:
    with site.at("dana@acme.example") as dana, site.at("finn@acme.example") as finn:
        mine, theirs = dana.get("/periods/2026-10").text, finn.get("/periods/2026-10").text
        assert "Closing needs role finance or admin; you hold owner" in re.sub(r"\s+", " ", mine)
        assert "Closing needs role" not in theirs
        assert dana.post("/periods/2026-10/close").status_code == 403


def test_a_token_is_shown_once(site: Any) -> None:
    with site.at("dana@acme.example") as dana:
        made = dana.post("/settings/tokens", {"name": "laptop", "scopes": "read"}, page="/settings")
        assert made.status_code == 201
        secret = re.search(r'<div class="secret">(gov_[^<]+)</div>', made.text)
        assert secret
        again = dana.get("/settings").text
        assert secret[1] not in again
        assert "laptop" in again
        for_other = dana.post("/settings/tokens", {"email": "admin@acme.example", "scopes": "api"}, page="/settings")
        assert for_other.status_code == 403
    with site.ctx.rows.session() as session:
        stored = session.exec(select(Token).where(Token.name == "laptop")).one()
    assert secret[1] not in str(stored)


def test_the_entry_page_carries_a_proof_that_was_checked(site: Any) -> None:
    with site.at("ada@acme.example") as ada:
        shown = ada.get("/ledger/entries/0").text
        assert "checked just now" in shown
        proof = ada.get("/ledger/entries/0/proof")
        assert proof.text.startswith("c2sp.org/tlog-proof@v1")
        leaf = ada.get("/ledger/entries/0/leaf")
        assert leaf.json()["type"] == "home:init"
        verified = ada.post("/ledger/verify", page="/ledger")
        assert verified.status_code == 303
        assert "The ledger verifies" in ada.get("/ledger").text


def test_charts_are_images_without_script(site: Any) -> None:
    with site.at("finn@acme.example") as finn:
        sources = [str(image["src"]) for image in Reader(finn.get("/spend?period=2026-10").text).of("img")]
        assert sources
        for source in sources:
            image = finn.get(source)
            assert image.headers["content-type"].startswith("image/svg+xml")
            assert image.text.startswith("<svg")
            assert "<script" not in image.text


def test_the_badge_counts_nothing_that_is_not_mine(site: Any) -> None:
    from governor.actions.inbox import inbox, waiting_count

    stranger = Actor(id="nobody", email="nobody@acme.example", roles=frozenset({"auditor"}))
    assert waiting_count(site.ctx, stranger) == 0
    assert inbox(site.ctx, stranger)["decide"] == []


def test_pages_call_the_organization_by_its_name(open_site: Any, tmp_path: Any) -> None:
    with open_site(tmp_path / "named") as named:
        with named.visitor() as visitor:
            assert "<small>default</small>" in visitor.get("/sign-in").text
        apply(named.ctx, named.admin, parse_documents("kind: organization\nname: Müller & Söhne\n"))
        with named.at("admin@acme.example") as admin:
            assert "<small>Müller &amp; Söhne</small>" in admin.get("/settings").text


def test_the_decision_comes_before_the_evidence_on_a_phone(site: Any) -> None:
    """One column follows the order of the page: the decision was five screens down."""
    with site.at("dana@acme.example") as dana:
        text = dana.get("/changes/RC-1").text
    assert text.index('id="decide"') < text.index('id="evidence"') < text.index('id="history"')


def test_the_inbox_shows_what_waits_for_a_decision_before_what_has_moved(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Newer changes that only wait for traffic took all its places."""
    from governor.actions import inbox as module

    row = module.list_changes(site.ctx)[0]
    rows = [{**row, "id": f"RC-{number}", "state": "cutover"} for number in range(9, 1, -1)] + [row]
    with_review = [*rows[:-1], {**row, "state": "in_review"}]
    monkeypatch.setattr(module, "list_changes", lambda _ctx: with_review)
    monkeypatch.setattr(module, "MOST", 3)
    found = module.inbox(site.ctx, site.admin)
    assert [one["id"] for one in found["decide"] + found["watch"] if one["state"] == "in_review"] == ["RC-1"]
    assert (len(found["decide"] + found["act"] + found["watch"]), found["more"]) == (4, 5)
    with site.at("dana@acme.example") as dana:
        assert '5 more changes: <a href="/changes">' in dana.get("/").text


def test_enter_in_a_field_decides_nothing() -> None:
    """Browsers press the first button of a form then: it upheld disputes and approved prices. A disabled one in its place does nothing."""
    deciding = 0
    for template in sorted(TEMPLATES.glob("*.html")):
        for form in re.findall(r'<form method="post".*?</form>', template.read_text(), re.DOTALL):
            if re.search(r'<button[^>]* name="(decision|verdict|pick)"', form):
                deciding += 1
                assert "{{ m.no_enter() }}" in form.partition("<button")[0], template.name
    assert deciding == 4
    assert environment().get_template("marks.html").module.no_enter() == "<button disabled hidden></button>"  # type: ignore[attr-defined]
