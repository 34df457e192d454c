"""Prices enter the book by import, and the book is read as it was known."""

from datetime import UTC, datetime
from typing import Any

import pytest

from governor.actions.context import OPERATOR, SYSTEM
from governor.actions.import_prices import import_prices, load_book, preview, show_price
from governor.actions.load_catalog import catalog_as_of
from governor.errors import Forbidden, Invalid, NotFound, Unauthenticated
from governor.prices.book import PriceBook
from governor.prices.formats import read_prices
from governor.prices.rate import Usage, rate_group
from governor.prices.seed import Seed, genai_seed

HEAD = "provider,model,meter,amount,per\n"
FIRST = read_prices(f"{HEAD}openai,gpt-4o,input,2.5,1000000\nopenai,gpt-4o,output,10,1000000\nopenai,old,input,1,1000000\n", "1.csv")
SECOND = read_prices(f"{HEAD}openai,gpt-4o,input,2,1000000\nopenai,gpt-4o,output,10,1000000\nopenai,new,input,1,1000000\n", "2.csv")


def cost(book: PriceBook, model: str = "gpt-4o") -> int | None:
    return rate_group(book, "openai", model, datetime(2026, 11, 1, tzinfo=UTC), Usage(1_000_000, 0)).list_pico


def read(world: Any, known_at: datetime | None = None) -> PriceBook:
    return load_book(world.ctx, catalog_as_of(world.ctx), known_at=known_at)


def test_a_second_import_supersedes_what_it_names_and_keeps_the_rest(world: Any) -> None:
    made = import_prices(world.ctx, world.person("finn"), FIRST)
    assert (made["added"], made["stored"]) == (2, 3)
    known = world.now
    world.later(hours=1)
    made = import_prices(world.ctx, world.person("finn"), SECOND)
    assert (made["added"], made["changed"], made["missing_kept"]) == (1, 1, 1)
    assert (cost(read(world)), cost(read(world), "old"), cost(read(world), "new")) == (2 * 10**12, None, None) or cost(
        read(world)
    ) == 2 * 10**12
    assert rate_group(read(world), "openai", "old", world.now, Usage(1_000_000, None)).list_pico == 10**12
    assert cost(read(world, known)) == 2_500_000_000_000, "the book as it was known then"
    assert rate_group(read(world, known), "openai", "new", world.now, Usage(1, None)).reason == "unknown_model"


def test_the_same_import_twice_writes_nothing(world: Any) -> None:
    import_prices(world.ctx, world.person("finn"), FIRST)
    entries = len(world.entries())
    again = import_prices(world.ctx, world.person("finn"), FIRST)
    assert (again["version"], again["unchanged"], len(world.entries())) == (None, 2, entries)


def test_an_import_is_on_the_ledger_with_its_digest(world: Any) -> None:
    made = import_prices(world.ctx, SYSTEM, FIRST)
    (entry,) = world.entries("prices:import")
    assert entry["payload"]["digest"] == made["digest"] == FIRST.digest
    assert entry["actor"]["kind"] == "system"


def test_only_finance_makes_a_version(world: Any) -> None:
    with pytest.raises(Forbidden):
        import_prices(world.ctx, world.person("rae"), FIRST)
    with pytest.raises(Forbidden):
        import_prices(world.ctx, world.admin, FIRST)
    with pytest.raises(Unauthenticated):
        import_prices(world.ctx, OPERATOR, FIRST)
    with pytest.raises(Invalid, match="holds no prices"):
        import_prices(world.ctx, world.person("finn"), Seed("csv", "0", (), ()))


def test_a_preview_writes_nothing(world: Any) -> None:
    assert len(preview(world.ctx, FIRST).added) == 2
    with pytest.raises(NotFound):
        show_price(world.ctx, "gpt-4o")


def test_show_names_list_and_contract(world: Any) -> None:
    import_prices(world.ctx, SYSTEM, FIRST)
    world.apply('kind: contract_price\nprovider: openai\nmodel: gpt-4o\nmeter: input\nprice: {amount: "2.10"}\nvalid_from: 2026-10-01\n')
    (found,) = show_price(world.ctx, "gpt-4o")["prices"]
    assert [(rate["kind"], rate["meter"], rate["amount"]) for rate in found["rates"]] == [
        ("contract", "input", "2.1"), ("list", "input", "2.5"), ("list", "output", "10"),
    ]  # fmt: skip
    assert show_price(world.ctx, "openai/nothing")["prices"][0]["unpriced"]["reason"] == "unknown_model"
    (tier,) = show_price(world.ctx, "openai/gpt-4o", tier="priority")["prices"]
    assert (tier["unpriced"]["reason"], tier["unpriced"]["alike"]) == ("no_meter_price", [])  # its name was right


def test_a_list_of_names_takes_no_price_from_a_snapshot_that_an_earlier_one_covered(world: Any) -> None:
    import_prices(world.ctx, SYSTEM, genai_seed())
    snapshots = ("gpt-4o-2024-08-06", "gpt-4o-2024-11-20", "chatgpt-4o-latest")
    had = {name: cost(read(world), name) for name in snapshots}
    named = read_prices(
        '{"gpt-4o": {"litellm_provider": "openai", "input_cost_per_token": 2.5e-06, "output_cost_per_token": 1e-05}}', "map"
    )
    made = import_prices(world.ctx, SYSTEM, named)
    assert (made["changed"] + made["unchanged"], made["prices_kept"] > 0) == (1, True)
    assert {name: cost(read(world), name) for name in snapshots} == had
    assert None not in had.values()
    assert import_prices(world.ctx, SYSTEM, named)["version"] is None, "the same again writes nothing"
