"""The 95% rule, to the last pico-dollar."""

from itertools import product

import pytest

from governor.chargeback.coverage import Coverage, CoverageLine, coverage_of
from governor.chargeback.statement import coverage_document
from governor.prices.exposure import Exposure


def covered(mapped: int, other: int) -> Coverage:
    return coverage_of([CoverageLine(1, mapped, None, True, True, True), CoverageLine(1, other, None, True, True, False)])


@pytest.mark.parametrize(
    ("mapped", "other", "enough"),
    [
        (95, 5, True),
        (949, 51, False),
        (950, 50, True),
        (95 * 10**30 - 1, 5 * 10**30 + 1, False),
        (95 * 10**30, 5 * 10**30, True),
        (0, 0, True),
    ],
)
def test_the_comparison_is_exact(mapped: int, other: int, enough: bool) -> None:
    assert covered(mapped, other).sufficient is enough


def test_each_part_is_counted_over_the_same_denominator() -> None:
    found = coverage_of(
        [
            CoverageLine(10, 100, None, True, True, True),
            CoverageLine(10, 20, None, False, False, True),
            CoverageLine(10, 30, None, True, False, True),
            CoverageLine(10, 50, None, True, True, False),
        ]
    )
    assert (found.mapped_pico, found.workflow_pico, found.owner_pico, found.approved_pico, found.denominator_pico) == (
        100,
        180,
        150,
        150,
        200,
    )
    assert (found.mapped_calls, found.calls, found.unpriced_calls) == (10, 40, 0)


def test_an_unpriced_call_counts_at_the_middle_of_its_exposure_and_is_never_mapped() -> None:
    found = coverage_of(
        [CoverageLine(9, 95, None, True, True, True), CoverageLine(2, 0, Exposure(1, 6, 90, 7), True, True, True, unpriced_calls=2)]
    )
    assert (found.mapped_pico, found.denominator_pico, found.sufficient) == (95, 101, False)
    assert (found.exposure_low_pico, found.exposure_mid_pico, found.exposure_high_pico, found.unpriced_calls) == (1, 6, 90, 2)


def test_a_month_of_which_nothing_is_priced_is_not_covered() -> None:
    found = coverage_of([CoverageLine(2, 0, Exposure(0, 0, 0, 0), True, True, True, unpriced_calls=2)])
    assert (found.sufficient, found.nothing) == (False, False)


@pytest.mark.parametrize(("middle", "enough"), [(5, True), (6, False)])
def test_calls_without_a_price_count_as_what_they_may_cost_and_no_more(middle: int, enough: bool) -> None:
    unpriced = CoverageLine(2, 0, Exposure(0, middle, 90, 7), True, True, True, unpriced_calls=2)
    assert coverage_of([CoverageLine(9, 95, None, True, True, True), unpriced]).sufficient is enough


@pytest.mark.parametrize("lines", [[], [CoverageLine(3, 0, None, False, False, False)]])
def test_a_month_without_spend_has_nothing_to_cover(lines: list[CoverageLine]) -> None:
    found = coverage_document(coverage_of(lines))
    assert (found["nothing_to_cover"], found["percent"], found["sufficient"]) == (True, "100.00", True)
    assert set(found["parts"].values()) == {"100.00"}
    assert coverage_document(covered(949, 51))["nothing_to_cover"] is False


@pytest.mark.parametrize("has", list(product((True, False), repeat=3)), ids=str)
def test_mapped_is_what_has_all_three(has: tuple[bool, bool, bool]) -> None:
    found = coverage_of([CoverageLine(3, 70, None, *has), CoverageLine(2, 0, Exposure(1, 5, 90, 4), *has, unpriced_calls=2)])
    assert (found.mapped_pico, found.mapped_calls) == ((70, 3) if all(has) else (0, 0))
    assert (found.denominator_pico, found.calls, found.unpriced_calls) == (75, 5, 2)
    assert (found.workflow_pico, found.owner_pico, found.approved_pico) == tuple(70 * one for one in has)
    assert (found.exposure_low_pico, found.exposure_mid_pico, found.exposure_high_pico) == (1, 5, 90)
    assert not found.nothing
