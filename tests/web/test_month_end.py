"""Shared costs and the close checklist on the pages: a trial stores nothing, a dispute and a reopening go through the forms."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from page_text import plain

from governor.actions.close_checklist import close_checklist
from governor.actions.verify_ledger import verify_ledger

MONTH = "2026-10"
FINN, DANA, ADMIN = "finn@acme.example", "dana@acme.example", "admin@acme.example"
RULES = "kind: allocation\nid: nobody\nmethod: %s\nsource: {cost_center: UNALLOCATED}\n"


@pytest.fixture(scope="module")
def books(open_site: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with open_site(tmp_path_factory.mktemp("books"), traffic=tmp_path_factory.mktemp("traffic")) as site:
        yield site


def test_rules_are_tried_and_not_stored(books: Any) -> None:
    with books.at(FINN) as finn:
        assert "No rule shares anything out" in finn.get(f"/allocation?period={MONTH}").text
        size = verify_ledger(books.ctx).size
        tried = finn.post("/allocation/preview", {"period": MONTH, "rules": RULES % "proportional"}, page="/allocation")
        assert "tried, not applied" in tried.text
        assert "UNALLOCATED" in plain(tried.text)
        wrong = finn.post("/allocation/preview", {"period": MONTH, "rules": RULES % "even"}, page="/allocation")
        assert "method even needs targets" in plain(wrong.text)
        assert verify_ledger(books.ctx).size == size
        assert finn.get(f"/allocation.svg?period={MONTH}").text.startswith("<svg")


def test_the_way_of_a_month_through_the_forms(books: Any) -> None:
    page = f"/periods/{MONTH}/checklist"
    with books.at(FINN) as finn, books.at(ADMIN) as admin, books.at(DANA) as dana:
        assert "Nothing stands in the way" in plain(dana.get(page).text)
        assert dana.post(f"/periods/{MONTH}/soft-close", {}, page=page).status_code == 403
        assert finn.post(f"/periods/{MONTH}/soft-close", {}, page=page).status_code == 303
        assert finn.get(f"/periods/{MONTH}/exports/generic?accrual=true").text.startswith("batch_id")
        finn.post(f"/periods/{MONTH}/close", {"confirm": MONTH}, page=f"/periods/{MONTH}")
        shared = plain(finn.get(f"/allocation?period={MONTH}").text)
        assert f"{MONTH} is closed: the statement charged $" in shared
        assert "is what the records say today, $" in shared
        shown = finn.get(page).text
        line = re.search(rf"/periods/{MONTH}/lines/([0-9a-f]{{24}})", shown)
        assert line is not None
        assert "as used" in finn.get(line[0]).text
        assert f'name="line" value="{line[1]}"' in dana.get(f"{page}?line={line[1]}").text
        assert dana.post(f"/periods/{MONTH}/disputes", {"line": line[1], "reason": "<b>not ours</b>"}, page=page).status_code == 303
        (made,) = close_checklist(books.ctx, MONTH)["disputes"]
        seen = finn.get(page).text
        assert "<b>not ours</b>" not in seen
        finn.post(f"/periods/{MONTH}/disputes/{made['id']}", {"verdict": "rejected", "answer": "the key is yours"}, page=page)
        assert "the key is yours" in dana.get(page).text
        finn.post(f"/periods/{MONTH}/reopen", {"reason": "a source was missing"}, page=page)
        assert "Another person of finance or admin must agree" in plain(finn.get(page).text)
        assert admin.post(f"/periods/{MONTH}/reopen", {}, page=page).status_code == 303
        found = close_checklist(books.ctx, MONTH)
        assert (found["stage"], found["version"]) == ("reopened", 2)
        old = found["versions"][0]["files"][0]
        answer = admin.get(f"/periods/{MONTH}/versions/1/{old['name']}")
        assert len(answer.content) == old["bytes"]
