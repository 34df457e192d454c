"""A golden set through the pages: named when a change is proposed, read on the change's page when both models have answered."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from governor.actions.golden_sets import import_golden
from governor.actions.people import authenticate, create_token
from governor.actions.replay import replay
from governor.actions.show_change import show_change
from governor.adapters.model_endpoint import HttpModelEndpoint
from governor.demo.simulated_endpoint import SimulatedEndpoint
from governor.demo.simulated_model import Behaviour, severity

KEY = "env:GOVERNOR_DEMO_SHADOW_KEY"
FIELDS = {
    "workflow": "fnol-triage", "candidate": "openai/gpt-4.1-mini", "endpoint": "gateway-shadow", "endpoint_model": "sim-half", "sample": "60",
    "quality": "0.2", "budget": "5", "reason": "less for the same",
}  # fmt: skip


def cases(count: int) -> bytes:
    return json.dumps(
        [
            {
                "id": f"hail-{at}", "prompt": f"Notice {at}: hail at a depot. Estimated damage {at * 900} EUR", "check": "json", "fields": ["severity"],
                "expected": {"severity": severity(at * 900)},
            }
            for at in range(1, count + 1)
        ]
    ).encode()  # fmt: skip


def test_from_the_form_to_the_results(open_site: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOVERNOR_DEMO_SHADOW_KEY", "shadow-key")
    with open_site(tmp_path / "home", traffic=tmp_path / "traffic") as site, site.at("rae@acme.example") as rae:
        assert "No golden set is kept yet" in rae.get("/changes/new").text
        owner = authenticate(site.ctx, create_token(site.ctx, site.admin, email="rae@acme.example")["token"])
        import_golden(site.ctx, owner, workflow="fnol-triage", name="hail", body=cases(40))
        page = rae.get("/changes/new").text
        assert "hail, version 1 (fnol-triage, 40 cases)" in page
        assert re.search(r'name="golden_gate" value="yes" checked', page)

        refused = rae.post("/changes/new", {**FIELDS, "golden": "hail", "golden_margin": "0.05", "golden_gate": "yes"}, page="/changes/new")
        assert "even perfect agreement needs 59" in refused.text
        assert '<option value="hail" selected="">' in refused.text
        unticked = rae.post("/changes/new", {**FIELDS, "golden": "hail", "golden_margin": "7"}, page="/changes/new")
        assert "Margin golden=7" in unticked.text
        assert not re.search(r'name="golden_gate" value="yes" checked', unticked.text)

        sent = rae.post("/changes/new", {**FIELDS, "golden": "hail", "golden_margin": "0.3"}, page="/changes/new")
        assert sent.headers["location"] == "/changes/RC-1", sent.text
        planned = show_change(site.ctx, "RC-1")["plan"]["golden"]
        assert (planned["name"], planned["margin"], planned["critical"]) == ("hail", "0.3", False)
        rae.post("/changes/RC-1/shadow", page="/changes/RC-1")
        waiting = rae.get("/changes/RC-1").text
        assert "Waiting for a worker" in waiting.split("data-live")[1]
        assert '<noscript><meta http-equiv="refresh"' in waiting.split("</head>")[0]
        run = show_change(site.ctx, "RC-1")["runs"][-1]["id"]
        with SimulatedEndpoint(seed=7) as endpoint:
            endpoint.behaviours["sim-half"] = Behaviour(differ=0.5)
            replay(site.ctx, run, endpoints=lambda _ctx, _name: HttpModelEndpoint("openai", endpoint.base_url, KEY, allow_private=True))
        told = show_change(site.ctx, "RC-1")["golden"]
        assert told["failed"] > 10
        page = rae.get("/changes/RC-1").text
        assert "data-live" not in page
        assert "Golden set hail, version 1" in page
        assert f"the candidate passed {told['passed']} and failed {told['failed']}; the current model passed 40" in page
        assert page.index("What went wrong, worst first") < page.index(f"<strong>{told['worst'][0]['case']}</strong>")
        assert "Estimated damage" in page
        with site.at("finn@acme.example") as finn:
            theirs = finn.get("/changes/RC-1").text
        assert told["worst"][0]["case"] in theirs
        assert "Estimated damage" not in theirs


def test_a_judge_is_named_on_the_form(open_site: Any, tmp_path: Path) -> None:
    with open_site(tmp_path / "home", traffic=tmp_path / "traffic") as site, site.at("rae@acme.example") as rae:
        owner = authenticate(site.ctx, create_token(site.ctx, site.admin, email="rae@acme.example")["token"])
        letter = [{"id": "letter", "prompt": "Decline politely.", "rubric": [{"name": "tone", "text": "Stays kind."}]}]
        import_golden(site.ctx, owner, workflow="fnol-triage", name="letters", body=json.dumps(letter).encode())
        asked = {**FIELDS, "golden": "letters", "golden_margin": "0.3"}

        def sent(**more: str) -> Any:
            return rae.post("/changes/new", asked | more, page="/changes/new")

        assert "1 cases of golden set letters have only a rubric" in sent().text
        assert "Judge budget is given, and no judge" in sent(judge_budget="2").text
        kept = sent(judge="haiku", judge_budget="2").text
        assert "Cannot read judge" in kept
        assert re.search(r'name="judge"[^>]* value="haiku"', kept)
        assert re.search(r'name="judge_budget"[^>]* value="2"', kept)
        assert "is asked at its endpoint, whatever the region" in sent(judge="anthropic/claude-haiku-4-5@us-east-1").text
        assert "is of the same family (openai)" in sent(judge="openai/gpt-4o-mini").text
        assert "Nobody knows the family of judge acme-7" in sent(judge="self/acme-7").text
        made = sent(judge="anthropic/claude-haiku-4-5", judge_budget="2")
        assert made.headers["location"] == "/changes/RC-1", made.text
        plan = show_change(site.ctx, "RC-1")["plan"]
        assert {name: plan["judge"][name] for name in ("endpoint", "provider", "model", "family", "budget_pico")} == {
            "endpoint": "gateway-shadow", "provider": "anthropic", "model": "claude-haiku-4-5", "family": "anthropic", "budget_pico": "2000000000000",
        }  # fmt: skip
        assert "claude-haiku-4-5" in rae.get("/changes/RC-1").text
