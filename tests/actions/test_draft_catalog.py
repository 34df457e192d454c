"""A first catalog from traffic: it approves nothing, is refused until it is filled in, and maps the month once it is."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from governor.actions.apply import apply
from governor.actions.context import OPERATOR, Context
from governor.actions.draft_catalog import draft_catalog
from governor.actions.ingest import ingest
from governor.actions.usage import usage_report
from governor.catalog import Unfilled, parse_documents
from governor.errors import Invalid

PERIOD = "2026-10"
HOSTILE = "x\"]}\n---\nkind: person\nemail: mallory@evil.example\n# \u2028 '*{[&a"
FILLED = {"owner": "dana@acme.example", "cost_center": "CC-1", "approved_until": "2027-03-31", "roles: [": "owner"}
KNOWN = """
kind: person
email: dana@acme.example
roles: [owner]
---
kind: workflow
id: search
owner: dana@acme.example
match: [{api_key_alias: nobody-uses-this}]
"""

PRICES = "---\n".join(
    f'kind: contract_price\nprovider: {provider}\nmodel: {model}\nmeter: {meter}\nprice: {{amount: "{amount}"}}\n'
    for provider, model in (("openai", "gpt-4o"), ("openai", "gpt-4o-2024-08-06"), ("anthropic", "claude-haiku-4-5"))
    for meter, amount in (("input", "2.50"), ("output", "10"))
)


def calls(ctx: Context, folder: Path, *rows: dict[str, Any]) -> None:
    """Rows of an application's own metering table; each is a call of its own. `app` tells who called."""
    file = folder / "events.jsonl"
    base = {"tenant_id": "acme", "model": "gpt-4o-2024-08-06", "requested_model": "gpt-4o", "provider": "openai", "status": "ok"}
    numbered = [
        {
            **base,
            "id": f"evt-{number}",
            "created_at": f"2026-10-0{number % 9 + 1}T08:00:00Z",
            "input_tokens": 100_000,
            "output_tokens": 100,
            **row,
        }
        for number, row in enumerate(rows)
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in numbered))
    ingest(ctx, OPERATOR, "mapping:llm_usage_events", [str(file)])


def filled(text: str) -> str:
    for name, value in FILLED.items():
        text = re.sub(rf"({re.escape(name)}:? ?)CHANGE_ME", rf"\g<1>{value}", text)
    return text


@pytest.fixture
def ctx(world: Any) -> Context:
    world.now = datetime(2026, 11, 22, tzinfo=UTC)
    found: Context = world.ctx
    apply(found, OPERATOR, parse_documents(PRICES, "prices.yaml"))
    return found


def test_a_draft_is_refused_by_line_until_it_is_filled_in_and_then_maps_the_month(ctx: Context, tmp_path: Path) -> None:
    said = {"owner": "Nina@acme.example", "cost_center": "CC-9"}
    calls(
        ctx,
        tmp_path,
        {"feature": "inbox", "metadata": said, "environment": "prod"},
        {
            "feature": "inbox",
            "metadata": said,
            "environment": "prod",
            "model": "claude-haiku-4-5",
            "requested_model": None,
            "provider": "anthropic",
        },
        {"feature": "inbox", "environment": "prod"},
        {"feature": "the search box"},
        {"feature": "cheap", "input_tokens": 10, "output_tokens": 1},
        {"feature": "new", "model": "nobody-has-a-price", "requested_model": None, "input_tokens": 10, "output_tokens": 1},
    )
    made = draft_catalog(ctx, PERIOD, at_least="0.01")
    assert (made.workflows, made.rules, made.left_out) == (2, 0, 2)
    with pytest.raises(Unfilled) as refused:
        apply(ctx, OPERATOR, parse_documents(made.text, "catalog.yaml"))
    lines = made.text.splitlines()
    for place in refused.value.places:
        _, line, _, field = place.split(":")
        assert "CHANGE_ME" in lines[int(line) - 1]
        assert field.strip() in lines[int(line) - 1]
    assert len(refused.value.places) == made.text.count("CHANGE_ME") - 1, "each but the word in the first lines"
    assert not re.search(r"approved_until: (?!CHANGE_ME)", made.text), "nobody approved anything yet"
    person, inbox, other = [one for one in yaml.safe_load_all(made.text) if one]
    assert (person["email"], person["roles"]) == ("nina@acme.example", ["CHANGE_ME"]), "who answers is a caller's word: a person says so"
    assert (inbox["id"], inbox["owner"], inbox["cost_center"], inbox["environment"]) == ("inbox", "nina@acme.example", "CC-9", "prod")
    assert [(one["provider"], one["model"]) for one in inbox["routes"]] == [("openai", "gpt-4o"), ("anthropic", "claude-haiku-4-5")]
    assert "said by 2 of 3 calls" in made.text
    assert (other["match"], other["owner"]) == ([{"app": "the search box"}], "CHANGE_ME")

    apply(
        ctx, OPERATOR, parse_documents(f"kind: person\nemail: dana@acme.example\nroles: [owner]\n---\n{filled(made.text)}", "catalog.yaml")
    )
    reached = re.findall(r"with all above: ([0-9.]+)%", made.text)[-1]
    assert usage_report(ctx, PERIOD, ["workflow"])["coverage"]["percent"] == reached
    assert Decimal(reached) > 90


def test_what_callers_wrote_stays_in_its_line(ctx: Context, tmp_path: Path) -> None:
    calls(ctx, tmp_path, {"feature": HOSTILE, "model": HOSTILE, "requested_model": None, "provider": "openai", "environment": HOSTILE})
    documents = [one for one in yaml.safe_load_all(draft_catalog(ctx, PERIOD).text) if one]
    assert [one["kind"] for one in documents] == ["workflow"]
    assert documents[0]["match"] == [{"app": HOSTILE}]
    assert documents[0]["routes"][0]["model"] == HOSTILE


def test_a_name_with_a_star_is_said_to_match_others_too(ctx: Context, tmp_path: Path) -> None:
    calls(ctx, tmp_path, {"feature": "batch*"}, {"feature": "batch-1"})
    said = {
        part.split("match:")[1].split("}")[0]: "stands for any text" in part
        for part in draft_catalog(ctx, PERIOD).text.split("\n---\n")
        if "match:" in part
    }
    assert said == {'\n  - {app: "batch*"': True, "\n  - {app: batch-1": False}


def test_no_workflow_of_the_catalog_is_overwritten(ctx: Context, tmp_path: Path) -> None:
    apply(ctx, OPERATOR, parse_documents(KNOWN, "known.yaml"))
    calls(ctx, tmp_path, {"feature": "search"}, {"feature": "Se\u0301arch"}, {"feature": "東京"}, {"feature": "ACME: Inc."})
    found = [one for one in yaml.safe_load_all(draft_catalog(ctx, PERIOD).text) if one]
    rule = next(one for one in found if one["kind"] == "attribution")
    assert rule["rules"] == [{"workflow": "search", "match": {"app": "search"}}]
    names = [one["id"] for one in found if one["kind"] == "workflow"]
    assert len(set(names)) == len(names) == 3
    assert {"search-2", "acme-inc"} < set(names)


def test_a_person_says_which_field_tells_workflows_apart(ctx: Context, tmp_path: Path) -> None:
    calls(
        ctx,
        tmp_path,
        {"feature": "shared", "metadata": {"step": "a"}},
        {"feature": "shared", "metadata": {"step": "b"}},
        {"feature": "shared"},
    )
    assert draft_catalog(ctx, PERIOD).workflows == 1
    found = [one["match"][0] for one in yaml.safe_load_all(draft_catalog(ctx, PERIOD, by="metadata.step").text) if one]
    assert sorted(map(str, found)) == ["{'app': 'shared'}", "{'metadata.step': 'a'}", "{'metadata.step': 'b'}"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"by": "nonsense"}, "unknown field"),
        ({"at_least": "much"}, "no amount"),
        ({"at_least": "NaN"}, "no amount"),
        ({"at_least": "99999"}, "99999 USD or more"),
    ],
)
def test_a_wrong_wish_is_refused_in_words(ctx: Context, tmp_path: Path, options: dict[str, str], words: str) -> None:
    calls(ctx, tmp_path, {"feature": "inbox"})
    with pytest.raises(Invalid, match=words):
        draft_catalog(ctx, PERIOD, **options)


def test_a_month_without_calls_has_no_draft(ctx: Context) -> None:
    with pytest.raises(Invalid, match="there are no calls"):
        draft_catalog(ctx, "2026-09")
