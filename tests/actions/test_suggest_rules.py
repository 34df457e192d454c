"""Rules are suggested from what calls carry, whatever field the first rule happened to look at."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from governor.actions.apply import apply
from governor.actions.context import OPERATOR, Context
from governor.actions.ingest import ingest
from governor.actions.show_spend import show_spend
from governor.actions.usage import usage_report
from governor.catalog import parse_documents

EVENTS = Path(__file__).parents[1] / "connectors/fixtures/mapping_llm_usage_events.jsonl"
PERIOD = "2026-10"
CATALOG = """
kind: person
email: dana@acme.example
roles: [owner]
---
kind: workflow
id: w1
owner: dana@acme.example
match: [{environment: prod}]
"""


@pytest.fixture
def ctx(world: Any) -> Context:
    world.now = datetime(2026, 11, 22, tzinfo=UTC)
    found: Context = world.ctx
    ingest(found, OPERATOR, "mapping:llm_usage_events", [str(EVENTS)])
    return found


def suggested(ctx: Context) -> dict[str, int]:
    found = usage_report(ctx, PERIOD, ["workflow"])["suggestions"]
    assert found == usage_report(ctx, PERIOD, ["prompt"])["suggestions"] == show_spend(ctx, PERIOD)["suggestions"]
    return {one["match"]: one["calls"] for one in found}


def test_a_first_rule_does_not_hide_what_other_calls_could_be_told_by(ctx: Context) -> None:
    before = suggested(ctx)
    apply(ctx, OPERATOR, parse_documents(CATALOG, "first.yaml"))
    after = suggested(ctx)
    assert after.keys() <= before.keys()
    assert 0 < sum(before.values()) - sum(after.values()) < sum(before.values())
