"""A call's cost worked out by DuckDB is that of prices/rate.py, to the pico-USD, and has no value exactly where that is unpriced."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from governor.prices.book import PriceBook, Rates
from governor.prices.rate import Usage, rate_usage
from governor.store.lake_costs import METERS, RATES_SCHEMA, TOKENS, costs_query, rate_rows

NOW = datetime(2026, 11, 1, tzinfo=UTC)
AMOUNTS = ["0", "2", "2.5", "0.0000003", "10.0000000003", "7.77", "1"]
USAGES = st.lists(st.tuples(*(st.one_of(st.none(), st.integers(0, 30), st.integers(0, 400_000)) for _ in TOKENS)), min_size=1, max_size=40)


@st.composite
def books(draw: st.DrawFn) -> list[dict[str, Any]]:
    rows = []
    for meter in draw(st.sets(st.sampled_from([*METERS, "cache_write_5m"]), min_size=1)):
        for kind in draw(st.sets(st.sampled_from(["list", "contract"]), min_size=1)):
            band = draw(st.sampled_from([(), (1000,), (20, 200_000)]))
            for low, high in zip((0, *band), (*band, None), strict=True):
                priced = {"kind": kind, "provider": "openai", "model": "m", "meter": meter, "context_min": low, "context_max": high}
                rows.append(priced | {"amount": draw(st.sampled_from(AMOUNTS)), "per": draw(st.sampled_from([1, 1000, 1_000_000, 7]))})
    if draw(st.booleans()):
        rows.pop()
    return rows


def by_duckdb(rates: Rates, usages: list[tuple[int | None, ...]]) -> dict[int, int]:
    table = pa.table({"place": pa.array(range(len(usages))), "way": pa.array([3] * len(usages), pa.int64())})
    for number, name in enumerate(TOKENS):
        table = table.append_column(name, pa.array([usage[number] for usage in usages], pa.int64()))
    with duckdb.connect() as engine:
        engine.register("used", table)
        engine.register("rates", pa.Table.from_pylist(rate_rows(rates, 3), RATES_SCHEMA))
        found = engine.execute(f"SELECT place, pico::VARCHAR FROM ({costs_query('used', 'rates')})").fetchall()
    assert len({place for place, _ in found}) == len(found)
    return {place: int(pico) for place, pico in found}


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(books(), USAGES)
def test_every_call_costs_what_the_book_says(rows: list[dict[str, Any]], usages: list[tuple[int | None, ...]]) -> None:
    rates = PriceBook(rows).lookup("openai", "m", NOW) if rows else None
    if not isinstance(rates, Rates):
        return
    wanted = [rate_usage(rates, Usage(**dict(zip(TOKENS, usage, strict=True)))).contracted_pico for usage in usages]
    assert by_duckdb(rates, usages) == {place: pico for place, pico in enumerate(wanted) if pico is not None}


def test_halves_are_rounded_to_the_even_pico() -> None:
    rates = PriceBook([{"kind": "list", "provider": "openai", "model": "m", "meter": "input", "amount": "0.5", "per": 10**12}]).lookup(
        "openai", "m", NOW
    )
    assert isinstance(rates, Rates)
    assert by_duckdb(rates, [(number, 0, *[None] * 6) for number in range(1, 8)]) == {0: 0, 1: 1, 2: 2, 3: 2, 4: 2, 5: 3, 6: 4}


@pytest.mark.parametrize("price", [{"band_rule": "marginal"}, {"amount": "0.00000000000000000000000001"}])
def test_what_sql_cannot_say_has_no_rows(price: dict[str, Any]) -> None:
    row = {"kind": "list", "provider": "openai", "model": "m", "meter": "input", "amount": "3", "per": 1_000_000}
    rates = PriceBook([row | price]).lookup("openai", "m", NOW)
    assert isinstance(rates, Rates)
    assert rate_rows(rates, 0) == []
