"""The book first, then the provider's own charge; an estimate is shown and never charged."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, cast

import pyarrow as pa
import pytest

from governor.actions.context import SYSTEM
from governor.actions.import_prices import import_prices
from governor.actions.price_row import price_row
from governor.actions.show_call import show_call
from governor.actions.usage import usage_report
from governor.calls import CALL_SCHEMA, CONTENT_SCHEMA, REJECT_SCHEMA, SPAN_SCHEMA
from governor.catalog import parse_documents
from governor.catalog.documents import ContractPriceDocument
from governor.errors import Invalid
from governor.ports import Batch
from governor.prices.book import PriceBook
from governor.prices.contract import contract_price, refuse_unusable
from governor.prices.exposure import Exposure
from governor.prices.formats import read_prices
from governor.prices.price import Price
from governor.prices.rate import Rated, Usage

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
    made: list[dict[str, Any]] = [
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


HEAD = "provider,model,meter,amount,per\n"
GROK = HEAD + "x_ai,grok,input,2,1000000\nx_ai,grok,output,8,1000000\nx_ai,grok,file_search,2.5,1000\n"
ELSEWHERE = "openai,gpt,web_search,10,1000\nopenai,gpt-old,web_search,25,1000\ngoogle,gem,web_search,14,1000\n"
NOW = datetime(2026, 11, 1, tzinfo=UTC)
CALL: dict[str, Any] = {
    "gateway_cache": None,
    "status": "ok",
    "context_band": 0,
    "provider": "x_ai",
    "model": "grok",
    "region": None,
    "cost_source": None,
}


def fee(document: str) -> Price:
    (contract,) = parse_documents(document, "c.yaml")
    found = contract_price(cast(ContractPriceDocument, contract))
    assert isinstance(found, Price)
    return found


def searched(rows: tuple[Any, ...], *, tier: str | None = None, searches: int | None = 4, model: str = "grok") -> tuple[Rated, Exposure]:
    usage = Usage(1000, 100, counts=(("file_search", 2), ("web_search", searches)))
    return price_row(CALL | {"service_tier": tier, "model": model}, PriceBook(rows), NOW, usage)


@pytest.mark.parametrize(
    ("elsewhere", "searches", "fees"),
    [(ELSEWHERE, 4, (40, 56, 100)), ("", 4, (0, 0, 0)), (ELSEWHERE, None, (0, 0, 0))],
    ids=["prices of others", "no price anywhere", "nobody counted"],
)
def test_a_fee_without_a_price_is_named_and_what_is_known_does_not_look_like_the_whole(
    elsewhere: str, searches: int | None, fees: tuple[int, ...]
) -> None:
    """The exposure was a point: the tokens, without the fee that was missing and without the one that has a price."""
    rated, exposed = searched(read_prices(GROK + elsewhere, "a.csv").rows, searches=searches)
    assert (rated.status, rated.contracted_pico, rated.missing) == ("unpriced", None, "web_search" if searches else "")
    tokens_and_files = (1000 * 2 + 100 * 8) * 10**6 + 5 * 10**9
    assert (exposed.low_pico, exposed.middle_pico, exposed.high_pico) == tuple(tokens_and_files + one * 10**9 for one in fees)


def test_one_price_of_a_tool_is_for_every_model_and_tier_of_its_provider() -> None:
    tiers = "".join(f"x_ai,grok,{meter},1,1000000,batch\n" for meter in ("input", "output"))
    listed = read_prices(GROK.replace("per\n", "per,service_tier\n").replace("000\n", "000,\n") + tiers, "a.csv").rows
    wide = fee("kind: contract_price\nprovider: xai\nmodel: '*'\nmeter: web_search\nprice: {amount: '5', per: 1000}\n")
    assert searched((*listed, wide))[0].contracted_pico == (1000 * 2 + 100 * 8) * 10**6 + 5 * 10**9 + 4 * 5 * 10**9
    assert searched((*listed, wide), tier="batch")[0].contracted_pico == 1100 * 10**6 + 5 * 10**9 + 4 * 5 * 10**9
    assert searched((*listed, wide), model="grok-unknown")[0].reason == "unknown_model", "a fee alone is no price of a model"
    narrow = fee("kind: contract_price\nprovider: xai\nmodel: grok\nmeter: web_search\nprice: {amount: '1', per: 1000}\n")
    assert searched((*listed, wide, narrow))[0].contracted_pico == (1000 * 2 + 100 * 8) * 10**6 + 5 * 10**9 + 4 * 10**9


def test_an_amount_for_every_model_is_for_fees_alone_and_a_size_has_a_contract_price() -> None:
    text = "kind: contract_price\nprovider: openai\nmodel: {}\nmeter: {}\nprice: {{amount: '5', per: 1000}}\n"
    for model, meter in (("'*'", "file_search"), ("gpt-image-1", "image@1024x1024-hd"), ("sonar", "request@low")):
        (found,) = parse_documents(text.format(model, meter), "c.yaml")
        refuse_unusable(cast(ContractPriceDocument, found))
    (found,) = parse_documents(text.format("'*'", "input"), "c.yaml")
    with pytest.raises(Invalid, match="fees of tools"):
        refuse_unusable(cast(ContractPriceDocument, found))
