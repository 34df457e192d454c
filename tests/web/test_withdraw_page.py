"""Taking a change back on its page: who is offered it, what the page says afterwards, and the form of asking again."""

import re
from typing import Any

import pytest

from governor.actions.show_change import show_change
from governor.web import change as module

FIELDS = {
    "workflow": "fnol-triage", "candidate": "openai/gpt-4.1-mini@us-east-1", "endpoint": "gateway-shadow", "sample": "70", "budget": "7",
    "quality": "0.1", "reason": "cheaper <for> now",
}  # fmt: skip


def test_the_requester_withdraws_it_once_and_asks_again_with_the_form_filled(site: Any) -> None:
    with site.at("rae@acme.example") as rae, site.at("dana@acme.example") as dana:
        change = rae.post("/changes/new", FIELDS, page="/changes/new").headers["location"]
        assert "Withdraw this change" in rae.get(change).text
        assert "Withdraw this change" not in dana.get(change).text
        said = {"why": "a newer model came", "confirm": "yes"}
        assert dana.post(f"{change}/withdraw", said).status_code == 403
        unticked = rae.post(f"{change}/withdraw", {"why": "a newer model came", "page": change}, page=change)
        assert unticked.status_code == 422
        assert "a newer model came</textarea>" in unticked.text
        assert rae.post(f"{change}/withdraw", said, page=change).status_code == 303
        assert rae.post(f"{change}/withdraw", said, page="/changes/new").status_code == 409

        page = " ".join(dana.get(change).text.split())
        assert "<strong>Withdrawn</strong> by rae@acme.example: “a newer model came”" in page
        assert "May answer" not in page
        assert "Nobody may answer" not in page
        assert "Withdraw this change" not in rae.get(change).text
        assert "Start shadow run" not in page
        assert change.removeprefix("/changes/") in dana.get("/changes?state=withdrawn").text
        assert change not in dana.get("/changes?state=draft").text

        form = rae.get(f"/changes/new?like={change.removeprefix('/changes/')}").text
        assert re.search(r'<option value="fnol-triage" selected', form)
        for text in (
            'value="openai/gpt-4.1-mini@us-east-1"',
            'value="70"',
            'value="7"',
            'value="0.1"',
            "cheaper &lt;for&gt; now</textarea>",
        ):
            assert text in form
        assert rae.get("/changes/new?like=RC-404").status_code == 404


def test_an_approved_change_says_by_when_it_is_to_be_moved(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = show_change(site.ctx, "RC-1", site.admin)
    monkeypatch.setattr(module, "show_change", lambda *_: {**shown, "state": "approved", "expires_at": "2026-11-16T09:00:00+00:00"})
    with site.at("rae@acme.example") as rae:
        page = " ".join(re.sub("<[^>]+>", "", rae.get("/changes/RC-1").text).split())
    assert "The first approval runs out 2026-11-16 09:00 UTC; a cutover recorded later is refused." in page


@pytest.mark.parametrize(
    ("role", "words"), [("owner", "name an owner of the workflow who may, in the catalog"), ("security", "give somebody else the role")]
)
def test_a_role_that_nobody_may_answer_says_what_helps(site: Any, monkeypatch: pytest.MonkeyPatch, role: str, words: str) -> None:
    """Another owner stands in only where the workflow's own is barred, so that giving somebody the role is no help."""
    shown = show_change(site.ctx, "RC-1", site.admin)
    need = {**shown["needs"][0], "role": role, "status": "open", "by": None, "may": []}
    monkeypatch.setattr(module, "show_change", lambda *_: {**shown, "state": "in_review", "needs": [need]})
    with site.at("rae@acme.example") as rae:
        page = " ".join(rae.get("/changes/RC-1").text.split())
    assert f"Nobody may answer this: {words}" in page
