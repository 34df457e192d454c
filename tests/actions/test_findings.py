"""From stored calls to findings: what policy objects to in a month, with the calls and the money behind it."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from governor.actions.apply import apply
from governor.actions.backtest import backtest
from governor.actions.context import OPERATOR, Context, open_context
from governor.actions.findings import Finding, findings
from governor.actions.month_view import this_month
from governor.actions.people import authenticate, create_first_admin
from governor.calls import CALL_SCHEMA, CONTENT_SCHEMA, REJECT_SCHEMA, SPAN_SCHEMA
from governor.catalog import parse_documents
from governor.ports import Batch
from governor.settings import load_settings

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 11, 2, tzinfo=UTC)
CATALOG = """
kind: person
email: dana@acme.example
roles: [owner]
---
kind: workflow
id: triage
owner: dana@acme.example
environment: production
data_class: internal
latency_target_ms: 1000
max_cost_per_call: "0.05"
monthly_budget: "1"
match: [{api_key_alias: triage-key}]
routes:
  - {id: current, provider: openai, model: gpt-4o, approved_until: 2026-10-20}
fallback: [{provider: azure.openai, model: gpt-4o}]
---
kind: contract_price
provider: openai
model: gpt-4o
meter: input
price: {amount: "2.00", per: 1000000, currency: USD}
---
kind: contract_price
provider: openai
model: gpt-4o
meter: output
price: {amount: "10.00", per: 1000000, currency: USD}
"""
WAIVER = """
kind: waiver
rule: latency.target
scope: {workflow: triage}
reason: provider incident
compensating_control: queue
expires: 2026-12-31
"""


def call(number: int, **values: Any) -> dict[str, Any]:
    start = datetime(2026, 10, 5, tzinfo=UTC) + timedelta(minutes=number)
    return {
        "record_id": f"{number:064x}",
        "revision": 0,
        "source_kind": "litellm.generic_api",
        "source_instance": "test",
        "source_record_id": f"call-{number}",
        "raw_sha256": f"{number:064x}",
        "grain": "attempt",
        "cost_bearing": True,
        "start_time": start,
        "end_time": start + timedelta(seconds=1),
        "time_basis": "start",
        "duration_ms": 500.0,
        "provider": "openai",
        "requested_model": "gpt-4o",
        "response_model": "gpt-4o",
        "input_tokens": 1000,
        "output_tokens": 100,
        "status": "ok",
        "traffic_class": "production",
        "api_key_alias": "triage-key",
        "environment": "production",
        "usage_source": "provider",
    } | values


def batch(calls: list[dict[str, Any]]) -> Batch:
    columns = [pa.array([one.get(field.name) for one in calls], field.type) for field in CALL_SCHEMA]
    table = pa.Table.from_arrays(columns, schema=CALL_SCHEMA)
    return Batch(table, REJECT_SCHEMA.empty_table(), SPAN_SCHEMA.empty_table(), CONTENT_SCHEMA.empty_table())


@pytest.fixture
def ctx(tmp_path: Path) -> Iterator[Context]:
    context = open_context(load_settings(home=tmp_path / "home"), create=True)
    context.now = lambda: NOW
    apply(context, OPERATOR, parse_documents(CATALOG, "catalog.yaml"))
    yield context
    context.close()


def found(ctx: Context, calls: list[dict[str, Any]]) -> list[Finding]:
    ctx.lake.ingest("batch-1", [batch(calls)], NOW)
    return findings(ctx, "2026-10")


def test_a_clean_month_has_none(ctx: Context) -> None:
    assert found(ctx, [call(number) for number in range(10)]) == []


def test_an_unapproved_model_is_one_finding_with_its_calls_and_examples(ctx: Context) -> None:
    calls = [call(number, requested_model="gpt-4.1", response_model="gpt-4.1") for number in range(7)] + [call(99)]
    everything = found(ctx, calls)
    only = [one for one in everything if one.status == "violation"]
    assert [(one.rule, one.workflow, one.calls) for one in only] == [("model.approved", "triage", 7)]
    assert [(one.status, one.message) for one in everything if one not in only] == [
        ("warning", "7 calls of 2026-10 have no price and are missing from the spend")
    ]
    assert 1 <= len(only[0].example_record_ids) <= 3
    assert only[0].severity == "high"
    assert only[0].solution.startswith("Propose the route")


def test_money_at_risk_is_exact(ctx: Context) -> None:
    only = found(ctx, [call(number, environment="staging") for number in range(3)])
    assert [one.rule for one in only] == ["environment.match"]
    assert only[0].cost_at_risk_pico == 3 * (1000 * 2_000_000 + 100 * 10_000_000)
    assert only[0].document()["cost_at_risk"] == "0.009"
    assert not any(isinstance(value, int) and value > only[0].calls for value in only[0].document().values()), (
        "money goes out as decimal text alone"
    )


def test_an_approval_that_ends_inside_the_month_splits_it(ctx: Context) -> None:
    late = datetime(2026, 10, 21, tzinfo=UTC)
    calls = [call(1, start_time=late - timedelta(microseconds=1)), call(2, start_time=late), call(3, start_time=late + timedelta(days=2))]
    only = found(ctx, calls)
    assert [(one.rule, one.calls) for one in only] == [("route.expired", 2)]


def test_traffic_of_nobody(ctx: Context) -> None:
    only = found(ctx, [call(1, api_key_alias="stranger"), call(2)])
    assert [(one.rule, one.workflow, one.calls) for one in only] == [("owner.required", None, 1)]


def test_a_silent_downgrade(ctx: Context) -> None:
    rules = {one.rule for one in found(ctx, [call(1, response_model="gpt-4o-mini"), call(2)]) if one.status == "violation"}
    assert rules == {"fallback.declared", "model.approved"}


def test_latency_over_the_month(ctx: Context) -> None:
    slow = [call(number, duration_ms=1000.4 if number >= 18 else 100.0) for number in range(20)]
    only = found(ctx, slow)
    assert [(one.rule, one.window, one.message) for one in only] == [
        ("latency.target", "2026-10", "p95 was 1001 ms in 2026-10, the target is 1000 ms")
    ]


def test_calls_above_the_ceiling_are_counted_one_by_one(ctx: Context) -> None:
    # 0.05 USD are exactly 15,000 input and 2,000 output tokens; one token more is above
    calls = [
        call(1, input_tokens=15_000, output_tokens=2_000),
        call(2, input_tokens=15_001, output_tokens=2_000),
        call(3, input_tokens=15_000, output_tokens=2_001),
        call(4, input_tokens=90_000, output_tokens=0, gateway_cache="hit_exact"),
    ]
    only = [one for one in found(ctx, calls) if one.rule == "cost.ceiling"]
    assert [one.message for one in only] == ["2 of 4 calls cost more than 0.05 USD, the dearest 0.05001 USD"]


def test_budget_of_the_month(ctx: Context) -> None:
    calls = [call(number, input_tokens=20_000, output_tokens=500) for number in range(20)]  # 0.045 USD each
    warning = found(ctx, calls)
    assert [(one.status, one.rule, one.message) for one in warning] == [
        ("warning", "budget.month", "spent 0.90 USD of 1.00 USD in 2026-10")
    ]
    ctx.lake.ingest("batch-2", [batch([call(number, input_tokens=20_000, output_tokens=500) for number in range(20, 25)])], NOW)
    assert [(one.status, one.rule) for one in findings(ctx, "2026-10")] == [("violation", "budget.month")]


def test_a_waiver_turns_the_violation_into_waived(ctx: Context) -> None:
    token = create_first_admin(ctx, email="admin@acme.example")
    assert token
    apply(ctx, authenticate(ctx, token), parse_documents(WAIVER, "waiver.yaml"))
    only = found(ctx, [call(number, duration_ms=3000.0) for number in range(3)])
    assert [(one.status, one.rule) for one in only] == [("waived", "latency.target")]
    assert only[0].waiver


def test_shadow_traffic_is_not_production(ctx: Context) -> None:
    assert found(ctx, [call(1, traffic_class="shadow", response_model="gpt-5", duration_ms=9000.0)]) == []


def test_backtest_names_what_would_flip(ctx: Context, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(ROOT / "policies", tmp_path / "trial")
    rule = tmp_path / "trial" / "rules" / "environment.rego"
    rule.write_text(rule.read_text().replace("\tgoverned\n", "\tgoverned\n\tfalse\n"))
    ctx.lake.ingest("batch-1", [batch([call(1, environment="staging"), call(2)])], NOW)
    report = backtest(ctx, "2026-10", tmp_path / "trial")
    assert (report["calls"], report["flipped_calls"]) == (2, 1)
    flip = report["flips"][0]
    assert (flip["before"], flip["after"], flip["gained"], flip["lost"]) == ("violation", "allowed", [], ["environment.match"])
    assert report["before"] != report["after"]


def test_this_month_is_of_the_billing_zone(world: Any) -> None:
    world.apply("kind: organization\nname: Acme\nbilling_zone: Asia/Tokyo\n")
    world.now = datetime(2026, 10, 31, 16, tzinfo=UTC)
    assert this_month(world.ctx) == "2026-11"
