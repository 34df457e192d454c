"""The auditor's page: a sample that anybody can draw again, its list, and nothing that changes anything."""

import csv
import hashlib
import io
from datetime import timedelta
from typing import Any

import pytest

from governor.actions.sample_changes import Wish, sample_changes
from governor.errors import Invalid
from governor.store.rows.changes import Change


@pytest.fixture(scope="module")
def decided(site: Any) -> Any:
    """Forty rejected changes of two days."""
    now = site.ctx.now()
    with site.ctx.rows.session(write=True) as session:
        for number in range(501, 541):
            when = now - timedelta(days=number % 2 * 10)
            session.add(
                Change(
                    org_id=site.ctx.org, id=f"RC-{number}", number=number, workflow_id="fnol-triage", state="rejected", requester_id="p", digest="0" * 64,
                    requester_email="rae@acme.example", created_at=when, updated_at=when, decided_at=when,
                    request='{"baseline":{"provider":"a","model":"b"},"candidate":{"provider":"a","model":"c"},"reason":"r"}',
                )
            )  # fmt: skip
    return site


def test_anybody_draws_the_same_sample(decided: Any) -> None:
    found = sample_changes(decided.ctx, Wish(size=7, seed="letter-2026"))
    ids = [f"RC-{number}" for number in range(501, 541)]
    by_hand = sorted(ids, key=lambda one: hashlib.sha256(f"letter-2026\n{one}".encode()).hexdigest())[:7]
    assert [one["id"] for one in found["items"]] == by_hand
    assert (found["population"], found["size"]) == (40, 7)
    assert found["population_sha256"] == hashlib.sha256("".join(f"{one}\n" for one in ids).encode()).hexdigest()
    larger = sample_changes(decided.ctx, Wish(size=12, seed="letter-2026"))
    assert [one["id"] for one in larger["items"]][:7] == by_hand, "a larger sample holds the smaller one"
    assert sample_changes(decided.ctx, Wish(size=7))["seed"] == sample_changes(decided.ctx, Wish(size=7))["seed"], "the newest root"


def test_filters_bound_the_population(decided: Any) -> None:
    ctx = decided.ctx
    today, before = ctx.now().date().isoformat(), (ctx.now() - timedelta(days=5)).date().isoformat()
    assert sample_changes(ctx, Wish(since=before, until=today))["population"] == 20
    assert sample_changes(ctx, Wish(until=before))["population"] == 20
    assert sample_changes(ctx, Wish(state="approved"))["population"] == 0
    by_risk = [sample_changes(ctx, Wish(risk=risk))["population"] for risk in ("low", "medium", "high")]
    assert sorted(by_risk) == [0, 0, 40]
    for wrong in (Wish(size=0), Wish(risk="extreme"), Wish(state="draft"), Wish(since="yesterday"), Wish(seed="two words")):
        with pytest.raises(Invalid):
            sample_changes(ctx, wrong)


def test_what_was_withdrawn_before_its_deciders_is_in_the_population(decided: Any) -> None:
    """A change that was taken back when it was about to be rejected is what an auditor looks for; one that nobody was asked about has no packet."""
    when, asked = decided.ctx.now() - timedelta(days=400), [f"RC-{number}" for number in (541, 542)]
    with decided.ctx.rows.session(write=True) as session:
        for number, put in ((541, when), (542, when), (543, None)):
            session.add(
                Change(
                    org_id=decided.ctx.org, id=f"RC-{number}", number=number, workflow_id="fnol-triage", state="withdrawn", requester_id="p",
                    digest="0" * 64, requester_email="rae@acme.example", created_at=when, updated_at=when, submitted_at=put,
                    request='{"baseline":{"provider":"a","model":"b"},"candidate":{"provider":"a","model":"c"},"reason":"r"}',
                )
            )  # fmt: skip
    day = when.date().isoformat()
    for wish in (Wish(since=day, until=day), Wish(since=day, until=day, state="withdrawn")):
        assert sorted(one["id"] for one in sample_changes(decided.ctx, wish)["items"]) == asked
    with decided.at("ada@acme.example") as ada:
        page = ada.get(f"/audit?since={day}&until={day}&state=withdrawn").text
        assert page.count('action="/changes/RC-') == len(asked)
        assert '<option value="withdrawn" selected>' in page


def test_the_page_and_its_list(decided: Any) -> None:
    with decided.at("ada@acme.example") as ada:
        page = ada.get("/audit?size=5&seed=abc")
        assert page.status_code == 200
        assert page.text.count('action="/changes/RC-') == 5
        listed = ada.get("/audit/sample.csv?size=5&seed=%3Dabc")
        rows = list(csv.DictReader(io.StringIO(listed.text)))
        assert [row["rank"] for row in rows] == ["1", "2", "3", "4", "5"]
        assert {row["seed"] for row in rows} == {"'=abc"}, "no formula"
        assert all(row["page"].endswith(f"/changes/{row['id']}") for row in rows)
        assert ada.get("/audit?state=approved").status_code == 200
        assert "Nothing to draw from" in ada.get("/audit?state=approved").text
        assert ada.get("/audit?size=0").status_code == 422
    with decided.visitor() as stranger:
        assert stranger.get("/audit").status_code == 303
