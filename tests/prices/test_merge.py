"""An import never loses a price: what its source leaves open stays as it was."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from governor.prices.book import PriceBook, Rates, Unpriced
from governor.prices.difference import difference
from governor.prices.formats import read_csv, read_litellm
from governor.prices.merge import merged
from governor.prices.price import EVER, Price, price_of
from governor.prices.rate import Usage, rate_group
from governor.prices.seed import Seed

AT = datetime(2026, 11, 1, tzinfo=UTC)
MAP = {
    name: {"litellm_provider": "openai", "input_cost_per_token": 0.000003, "output_cost_per_token": 0.00001}
    for name in ("gpt-4o", "gpt-4o-2024-05-13")
}
LITELLM = read_litellm(json.dumps(MAP), "map")


def imported(before: tuple[Price, ...], after: tuple[Price, ...]) -> PriceBook:
    """The book as import_prices leaves it."""
    named = {(row.provider, row.model) for row in after}
    return PriceBook([*(row for row in before if (row.provider, row.model) not in named), *merged(before, after)])


def cost(book: PriceBook, model: str, at: datetime = AT, tier: str = "") -> int | None:
    return rate_group(book, "openai", model, at, Usage(1_000_000, 0), tier=tier).list_pico


@pytest.mark.parametrize("snapshot", ["gpt-4o-2024-08-06", "gpt-4o-20240806", "openai/gpt-4o-2024-11-20"])
def test_a_snapshot_that_the_new_list_does_not_name_keeps_its_price(seed: Seed, snapshot: str) -> None:
    assert cost(PriceBook(seed.rows), snapshot) == 2_500_000_000_000
    assert cost(imported(seed.rows, LITELLM.rows), snapshot) == 3_000_000_000_000, "the model's new price"


def test_every_name_that_had_a_price_has_one_after_any_import(seed: Seed) -> None:
    before, after = PriceBook(seed.rows), imported(seed.rows, LITELLM.rows)
    names = [entry.model for _, entry in before.entries("openai")] + [row.model for row in LITELLM.rows]
    for name in names:
        for tier in ("", "batch", "priority", "flex"):
            had, has = before.lookup("openai", name, AT, tier), after.lookup("openai", name, AT, tier)
            if isinstance(had, Rates):
                assert isinstance(has, Rates), (name, tier)
                assert had.listed.keys() <= has.listed.keys(), (name, tier)


def test_a_snapshot_with_an_entry_of_its_own_is_compared_with_what_it_cost(seed: Seed) -> None:
    own = read_csv("provider,model,meter,amount,per\nopenai,gpt-4o-2024-08-06,input,5,1000000\n", "own")
    found = difference(seed.rows, own.rows)
    assert found.added == [("openai", "gpt-4o-2024-08-06")]
    [change] = found.changes
    assert (change.meter, change.before, change.after, change.jump) == ("input", "2.5 USD per 1000000", "5 USD per 1000000", True)
    assert found.document()["prices_kept"] > 0
    book = imported(seed.rows, own.rows)
    assert (cost(book, "gpt-4o-2024-08-06"), cost(book, "gpt-4o")) == (5_000_000_000_000, 2_500_000_000_000)
    assert cost(book, "gpt-4o-2024-08-06", tier="priority") == cost(PriceBook(seed.rows), "gpt-4o", tier="priority")


def test_a_dated_price_leaves_the_time_before_it_as_it_was(seed: Seed) -> None:
    dated = read_csv("provider,model,meter,amount,per,valid_from\nopenai,gpt-4o,input,3,1000000,2026-11-01T00:00:00+00:00\n", "dated")
    book = imported(seed.rows, dated.rows)
    assert cost(book, "gpt-4o", datetime(2026, 10, 31, 23, 59, 59, tzinfo=UTC)) == 2_500_000_000_000
    assert cost(book, "gpt-4o") == 3_000_000_000_000


def test_a_price_for_a_while_leaves_the_time_after_it_as_it_was(seed: Seed) -> None:
    head = "provider,model,meter,amount,per,currency,valid_from,valid_to\n"
    offer = read_csv(f"{head}openai,gpt-4o,input,2,1000000,USD,2026-10-10,2026-10-20\n", "offer")
    book = imported(seed.rows, offer.rows)
    days = [datetime(2026, 10, day, tzinfo=UTC) for day in (9, 10, 19, 20)]
    assert [cost(book, "gpt-4o", day) for day in days] == [2_500_000_000_000, 2_000_000_000_000, 2_000_000_000_000, 2_500_000_000_000]
    assert difference(book.rows, offer.rows).changes == []


def test_a_price_for_long_requests_leaves_that_of_short_ones_as_it_was(seed: Seed) -> None:
    long = read_csv("provider,model,meter,amount,per,context_min\nopenai,gpt-4o,input,5,1000000,100001\n", "long")
    book = imported(seed.rows, long.rows)
    short, longer = (rate_group(book, "openai", "gpt-4o", AT, Usage(tokens, 0)).list_pico for tokens in (100_000, 100_001))
    assert (short, longer) == (100_000 * 2_500_000, 100_001 * 5_000_000)
    [change] = difference(seed.rows, long.rows).changes
    assert (change.context_min, change.before, change.jump) == (100_001, "2.5 USD per 1000000", True), (
        "compared with what such a request cost"
    )
    assert difference(book.rows, long.rows).changes == []


def test_a_price_in_another_currency_leaves_the_time_before_it_as_it_was(seed: Seed) -> None:
    """The older prices end with it in every meter, because an entry of two currencies has no price at all."""
    head = "provider,model,meter,amount,per,currency,valid_from\n"
    euros = read_csv(f"{head}openai,gpt-4o,input,2,1000000,EUR,2026-11-15\nopenai,gpt-4o,output,9,1000000,EUR,2026-11-15\n", "euros")
    found = difference(seed.rows, euros.rows)
    assert ("input", "2.5 USD per 1000000", "2 EUR per 1000000") in {(one.meter, one.before, one.after) for one in found.changes}
    assert found.unmatched == [("openai", "gpt-4o")], "it would lose its price, and whoever approves has to read so"
    book = imported(seed.rows, euros.rows)
    dollars = read_csv(f"{head}openai,gpt-4o,input,2,1000000,USD,2026-11-15\nopenai,gpt-4o,output,9,1000000,USD,2026-11-15\n", "dollars")
    assert difference(seed.rows, dollars.rows).unmatched == []
    assert difference(book.rows, dollars.rows).unmatched == []
    assert cost(book, "gpt-4o", datetime(2026, 11, 14, 23, 59, tzinfo=UTC)) == 2_500_000_000_000
    after = book.lookup("openai", "gpt-4o", datetime(2026, 11, 15, tzinfo=UTC))
    assert isinstance(after, Unpriced)
    assert after.reason == "currency"


def test_a_price_that_begins_earlier_is_compared_with_the_one_it_replaces(seed: Seed) -> None:
    """It was told as one price added and another, the same, removed."""
    head = "provider,model,meter,amount,per,valid_from\n"
    late = imported(seed.rows, read_csv(f"{head}openai,gpt-4o-own,input,2,1000000,2026-10-14\n", "late").rows)
    found = difference(late.rows, read_csv(f"{head}openai,gpt-4o-own,input,2,1000000,2026-08-01\n", "early").rows)
    [change] = found.changes
    assert (change.before, change.after, change.valid_from) == (None, "2 USD per 1000000", "2026-08-01T00:00:00+00:00")


def test_the_same_source_again_changes_nothing(seed: Seed) -> None:
    for source in (
        LITELLM,
        read_csv("provider,model,meter,amount,per,valid_from\nopenai,gpt-4o,input,3,1000000,2026-11-01T00:00:00+00:00\n", "d"),
    ):
        again = difference(imported(seed.rows, source.rows).rows, source.rows)
        assert (again.added, again.changed, again.changes) == ([], [], [])


def test_a_list_that_says_which_names_it_means_is_believed(seed: Seed) -> None:
    clause = '{"clause":{"equals":"gpt-4o"},"rank":3}'
    row = Price("list", "openai", "gpt-4o", "input", "3", 1_000_000, match=clause)
    assert {found.match for found in merged(seed.rows, [row])} == {clause}


def test_a_price_in_another_currency_does_not_unprice_the_entry(seed: Seed) -> None:
    row = Price("list", "openai", "gpt-4o", "input", "3", 1_000_000, currency="EUR")
    euro = merged(seed.rows, [row])
    assert {found.currency for found in euro} == {"EUR"}
    assert cost(PriceBook(merged(euro, [Price("list", "openai", "gpt-4o", "input", "3", 1_000_000)])), "gpt-4o") == 3_000_000_000_000


def test_what_a_list_no_longer_has_is_withdrawn_where_that_is_asked_for() -> None:
    """A reranker that an older list had at zero, and a price that ended."""
    rows = [
        price_of({"kind": "list", "provider": "p", "model": model, "meter": meter, "amount": amount, "per": 1})
        for model, meter, amount in (("rerank", "input", "0"), ("rerank", "search_unit", "2"), ("other", "input", "3"))
    ]
    new = [replace(rows[1], amount="1")]
    assert difference(rows, new).entries["p", "rerank"] == [new[0], rows[0]], "absence deletes nothing by itself"

    never = difference(rows, new, withdraw=EVER)
    assert never.entries == {("p", "rerank"): new}, "an entry that is not named stays as it is"
    assert (never.kept, never.withdrawn, never.document()["prices_withdrawn"]) == (0, 1, 1)
    assert {(change.meter, change.before, change.after) for change in never.changes} == {
        ("input", "0 USD per 1", None),
        ("search_unit", "2 USD per 1", "1 USD per 1"),
    }

    day = datetime(2026, 11, 15, tzinfo=UTC)
    ended = difference(rows, [replace(new[0], valid_from=day)], withdraw=day)
    assert {(row.meter, row.amount, row.valid_from, row.valid_to) for row in ended.entries["p", "rerank"]} == {
        ("search_unit", "1", day, None),
        ("search_unit", "2", None, day),
        ("input", "0", None, day),
    }
    assert ("input", "0 USD per 1 until 2026-11-15, then none") in {(change.meter, change.after) for change in ended.changes}
    again = difference([row for rows in ended.entries.values() for row in rows], [replace(new[0], valid_from=day)], withdraw=day)
    assert (again.changed, again.withdrawn) == ([], 0)
