"""Spend by prompt and by the parts of prompts, through the page, REST and the command line."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from page_text import plain

from governor.actions.show_segments import show_segments
from governor.actions.show_spend import spend_table
from governor.cli import main
from governor.web.present import money_text

MONTH = "2026-10"
FINN = "finn@acme.example"


def test_the_page_cut_by_prompt_has_versions_parts_and_the_whole(site: Any) -> None:
    table, parts = spend_table(site.ctx, MONTH, by="prompt"), show_segments(site.ctx, MONTH)
    with site.at(FINN) as finn:
        text = finn.get(f"/spend?period={MONTH}&by=prompt").text
        narrowed = plain(finn.get(f"/spend?period={MONTH}&by=workflow&prompt=clause-extract&prompt_version=13").text)
        without = plain(finn.get(f"/spend?period={MONTH}&by=prompt&prompt=-").text)
        chart = finn.get(f"/spend/chart.svg?period={MONTH}&prompt=clause-extract")
        elsewhere = plain(finn.get(f"/spend?period={MONTH}").text)
    seen = plain(text)
    versions = {row["prompt_version"]: row for row in table["rows"] if row["prompt"] == "clause-extract"}
    assert set(versions) == {"12", "13"}
    for version, row in versions.items():
        assert f"prompt=clause-extract&amp;prompt_version={version}" in text
        assert money_text(row["cost_per_call"], 6) in seen
    assert parts["calls"]
    assert "Who pays for which part of the prompt" in seen
    assert {"system", "contract", "examples"} <= {row["segment"] for row in parts["rows"]}
    for row in parts["rows"]:
        assert money_text(row["cost"]) in seen
    assert "Only prompt clause-extract, prompt version 13" in narrowed
    assert f"All {versions['13']['calls']:,} " in narrowed
    assert "No call says what its prompt is made of" in without, "calls that name no prompt: none of them says it"
    assert chart.status_code == 200
    assert "Who pays for which part" not in elsewhere


def test_names_of_parts_are_other_peoples_words(site: Any) -> None:
    with site.at(FINN) as finn:
        text = finn.get(f"/spend?period={MONTH}&by=prompt&prompt=%3Cscript%3Ealert(1)%3C/script%3E").text
    assert "<script>alert" not in text
    assert "No calls match" in text


def test_rest_answers_with_the_same_rows(site: Any) -> None:
    with site.visitor() as visitor:

        def get(path: str) -> Any:
            return visitor.client.get(f"/api/v1/{path}", headers={"Authorization": f"Bearer {site.token}"})

        assert visitor.client.get("/api/v1/spend/segments").status_code == 401
        cut = get(f"spend?period={MONTH}&by=prompt").json()
        assert cut["rows"] == spend_table(site.ctx, MONTH, by="prompt")["rows"]
        assert sum(Decimal(row["contracted_cost"]) for row in cut["rows"]) == Decimal(cut["totals"]["contracted_cost"])
        parts = get(f"spend/segments?period={MONTH}&by=workflow,prompt_version&prompt=clause-extract").json()
        assert sum(Decimal(row["cost"]) for row in parts["rows"]) == Decimal(parts["cost"]) > 0
        assert {row["prompt_version"] for row in parts["rows"]} == {"12", "13"}
        assert get(f"spend?period={MONTH}&by=colour").status_code == 422
        assert get(f"spend/segments?period={MONTH}&by=colour").status_code == 422
        assert get("spend?period=October").status_code == 422


def test_the_command_says_the_same(site: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOVERNOR_HOME", str(site.ctx.settings.home))

    def run(*words: str) -> str:
        with pytest.raises(SystemExit) as stopped:
            main(list(words))
        said = capsys.readouterr()
        assert not stopped.value.code, said.err
        return said.out

    assert (
        json.loads(run("spend", "--by", "prompt", "--period", MONTH, "--json"))["rows"] == spend_table(site.ctx, MONTH, by="prompt")["rows"]
    )
    assert "clause-extract" in run("spend", "--by", "prompt", "--period", MONTH)
    assert json.loads(run("spend", "segments", "--period", MONTH, "--json")) == show_segments(site.ctx, MONTH)
    text = run("spend", "segments", "--period", MONTH, "--by", "prompt,prompt_version")
    assert "contract" in text
    assert "(unsaid)" in text
    assert "prompt_segments" in run("spend", "segments", "--period", MONTH, "--workflow", "fnol-triage")
    assert "prompt" in run("usage", "--period", MONTH, "--by", "prompt,prompt_version")
