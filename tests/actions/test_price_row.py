"""The book first, then the provider's own charge; an estimate is shown and never charged."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from governor.actions.context import SYSTEM
from governor.actions.import_prices import import_prices
from governor.actions.show_call import show_call
from governor.actions.usage import usage_report
from governor.calls import CALL_SCHEMA, CONTENT_SCHEMA, REJECT_SCHEMA, SPAN_SCHEMA
from governor.ports import Batch
from governor.prices.formats import read_prices

LISTED = "provider,model,meter,amount,per\nopenai,gpt-4o,input,2.5,1000000\nopenai,gpt-4o,output,10,1000000\nfal,flux,image,0.025,1\n"


@pytest.fixture
def month(world: Any) -> Any:
    import_prices(world.ctx, SYSTEM, read_prices(LISTED, "a.csv"))
    common = {
        "revision": 0,
        "start_time": world.now,
        "end_time": world.now,
        "status": "ok",
        "cost_bearing": True,
        "grain": "attempt",
        "cost_currency": "USD",
    }
    made = [
        {
            "provider": "openai",
            "response_model": "gpt-4o",
            "input_tokens": 1000,
            "output_tokens": 100,
            "cost_amount": "0.004",
            "cost_source": "gateway_estimate",
        },
        {
            "provider": "x_ai",
            "response_model": "grok-new",
            "input_tokens": 10,
            "output_tokens": 1,
            "cost_amount": "0.003092",
            "cost_source": "provider_billed",
        },
        {
            "provider": "x_ai",
            "response_model": "grok-next",
            "input_tokens": 10,
            "output_tokens": 1,
            "cost_amount": "9",
            "cost_source": "gateway_estimate",
        },
        {
            "provider": "fal",
            "response_model": "flux",
            "usage_raw": '{"output_units": 4}',
            "cost_amount": "0.2",
            "cost_source": "provider_billed",
        },
        {
            "provider": "fal",
            "response_model": "flux",
            "usage_raw": '{"output_units": 1.5}',
            "cost_amount": "0.0375",
            "cost_source": "provider_billed",
        },
    ]
    rows = []
    for number, one in enumerate(made):
        moment = world.now + timedelta(seconds=number)
        ids = {
            "record_id": f"{number:064x}",
            "source_kind": "house.csv",
            "source_instance": "s",
            "source_record_id": str(number),
            "dup_group_key": f"response:{number}",
            "raw_sha256": str(number),
            "ingest_uri": "a.jsonl",
            "sample_rate": 1.0,
            "requested_model": one["response_model"],
            "traffic_class": "production",
        }
        rows.append(common | ids | {"start_time": moment, "end_time": moment} | one | {"cost_amount": Decimal(one["cost_amount"])})
    table = pa.Table.from_pylist(rows, schema=CALL_SCHEMA)
    empty = [schema.empty_table() for schema in (REJECT_SCHEMA, SPAN_SCHEMA, CONTENT_SCHEMA)]
    assert world.ctx.lake.ingest("batch", [Batch(table, *empty)], world.now + timedelta(days=40)).stored == 5
    return world


def test_the_three_costs_stand_side_by_side(month: Any) -> None:
    rows = {row["model"] + row["pricing"]: row for row in usage_report(month.ctx, "2026-11", ["model", "pricing"])["rows"]}
    listed = {name: (row["ledger_cost"], row["gateway_cost"], row["provider_cost"], row["unpriced_calls"]) for name, row in rows.items()}
    assert listed == {
        "gpt-4opriced": ("0.0035", "0.004", None, 0),
        "grok-newpriced_by_provider": ("0.003092", None, "0.003092", 0),
        "grok-nextunpriced": ("0.00", "9.00", None, 1),
        "fluxpriced": ("0.10", None, "0.20", 0),
        "fluxpriced_by_provider": ("0.0375", None, "0.0375", 0),
    }
    (total,) = usage_report(month.ctx, "2026-11", [])["rows"]
    assert (total["ledger_cost"], total["contracted_cost"]) == ("0.144092", "0.144092")


def test_a_call_says_which_of_them_decided(month: Any) -> None:
    said = [show_call(month.ctx, f"{number:064x}")["governed"] for number in range(5)]
    assert [one["cost_basis"] for one in said] == ["list", "provider", None, "list", "provider"]
    assert [one["ledger_cost"] for one in said] == ["0.0035", "0.003092", None, "0.10", "0.0375"]
    assert (said[3]["provider_cost"], said[0]["gateway_cost"]) == ("0.20", "0.004")


def test_the_lines_of_the_month_multiply_out(month: Any) -> None:
    from governor.actions.charge_month import charge_month

    lines = charge_month(month.ctx, "2026-11").lines
    for line in lines:
        assert Decimal(line.contract_amount) / line.contract_per * line.quantity * 10**12 == line.contracted_pico
    assert {line.price_source for line in lines} == {"list", "reported"}
    assert sum(line.contracted_pico for line in lines) == 144_092_000_000
