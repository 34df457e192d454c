"""Cents that add up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governor.chargeback.allocation import CENT, split_cents, to_cents

AMOUNTS = st.dictionaries(st.text("abcdefgh", min_size=1, max_size=4), st.integers(-(10**16), 10**16), min_size=1, max_size=40)


@given(AMOUNTS)
def test_parts_sum_to_the_whole_and_none_moves_by_a_cent(parts: dict[str, int]) -> None:
    cents = split_cents(parts)
    assert sum(cents.values()) == to_cents(sum(parts.values()))
    assert all(abs(cents[name] * CENT - pico) < CENT for name, pico in parts.items())
    assert all(cents[name] == 0 for name, pico in parts.items() if pico == 0)


@given(AMOUNTS)
def test_a_credit_splits_like_the_charge_it_takes_back(parts: dict[str, int]) -> None:
    if sum(parts.values()) != 0:
        assert split_cents({name: -pico for name, pico in parts.items()}) == {name: -cents for name, cents in split_cents(parts).items()}


@given(AMOUNTS)
def test_the_order_of_the_parts_does_not_matter(parts: dict[str, int]) -> None:
    assert split_cents(dict(reversed(parts.items()))) == split_cents(parts)


@given(
    st.lists(
        st.dictionaries(st.text("xyz", min_size=1, max_size=3), st.integers(0, 10**13), min_size=1, max_size=9), min_size=1, max_size=9
    )
)
def test_a_split_inside_a_split_reaches_its_total(groups: list[dict[str, int]]) -> None:
    outer = split_cents({str(index): sum(group.values()) for index, group in enumerate(groups)})
    for index, group in enumerate(groups):
        assert sum(split_cents(group, total_cents=outer[str(index)]).values()) == outer[str(index)]


def test_ties_go_to_the_smaller_id() -> None:
    assert split_cents({"b": CENT // 2, "a": CENT // 2}) == {"a": 1, "b": 0}
    assert split_cents({"b": -CENT // 2, "a": -CENT // 2}) == {"a": -1, "b": 0}, "of a credit too"


def test_thirds_of_a_dollar() -> None:
    third = 10**12 // 3
    assert split_cents({"a": third, "b": third, "c": 10**12 - 2 * third}) == {"a": 33, "b": 33, "c": 34}


def test_halves_round_to_even() -> None:
    assert [to_cents(value) for value in (CENT // 2, 3 * CENT // 2, -CENT // 2, -3 * CENT // 2)] == [0, 2, 0, -2]


def test_an_unreachable_total_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot be split"):
        split_cents({"a": CENT}, total_cents=5)
