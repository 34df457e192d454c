"""The draw: deterministic, with exactly the probability it states, balanced over cost."""

from collections import Counter
from decimal import Decimal

import pytest

from governor.shadow.sampling import Candidate, draw

POPULATION = [Candidate(cost, f"call-{cost:04d}") for cost in (*range(1, 400), 5_000, 9_000)]


def test_the_same_seed_draws_the_same_list_whatever_order_the_calls_came_in() -> None:
    assert draw(POPULATION, 200, "s") == draw(POPULATION[::-1], 200, "s")
    assert draw(POPULATION, 200, "s").draws != draw(POPULATION, 200, "t").draws


def test_the_list_is_frozen() -> None:
    """A change here re-orders registered plans of the field: never change it under the same plan version."""
    assert [pick.record_id for pick in draw(POPULATION, 8, "frozen").draws] == [
        "call-0046", "call-0223", "call-9000", "call-0313", "call-0119", "call-0258", "call-0264", "call-5000",
    ]  # fmt: skip


def test_a_longer_plan_starts_like_a_shorter_one() -> None:
    assert draw(POPULATION, 200, "s").draws[:40] == draw(POPULATION, 40, "s").draws


def test_probabilities_are_those_of_the_mixture_and_weights_undo_them() -> None:
    sample = draw(POPULATION, 400, "s")
    total, count = sum(call.cost_pico for call in POPULATION), len(POPULATION)
    for pick in sample.draws:
        q = Decimal(pick.probability)
        assert q == pytest.approx(Decimal("0.5") / count + Decimal("0.5") * pick.cost_pico / total, rel=Decimal("1e-15"))
        assert Decimal(pick.weight) * q * count == pytest.approx(Decimal(1), rel=Decimal("1e-15"))
        assert Decimal(pick.weight) <= Decimal(sample.weight_cap) <= 2


def test_calls_come_up_as_often_as_stated() -> None:
    found = Counter(pick.record_id for pick in draw(POPULATION, 20_000, "often").draws)
    stated = {pick.record_id: float(pick.probability) for pick in draw(POPULATION, 20_000, "often").draws}
    assert found["call-9000"] == pytest.approx(20_000 * stated["call-9000"], rel=0.05)
    assert sum(found[f"call-{cost:04d}"] for cost in range(1, 400)) == pytest.approx(
        20_000 * sum(stated[f"call-{cost:04d}"] for cost in range(1, 400)), rel=0.02
    )


def test_every_block_has_one_call_of_each_cost_quartile() -> None:
    strata = [pick.stratum for pick in draw(POPULATION, 100, "s").draws]
    assert all(sorted(strata[start : start + 4]) == [0, 1, 2, 3] for start in range(0, 100, 4))


def test_the_weighted_mean_of_the_draw_is_the_mean_of_the_population() -> None:
    truth = sum(call.cost_pico % 7 == 0 for call in POPULATION) / len(POPULATION)
    picks = draw(POPULATION, 8000, "mean").draws
    assert sum(float(pick.weight) * (pick.cost_pico % 7 == 0) for pick in picks) / 8000 == pytest.approx(truth, abs=0.015)


def test_without_costs_every_call_is_equally_likely() -> None:
    sample = draw([Candidate(0, f"call-{index}") for index in range(10)], 12, "s")
    assert {pick.probability for pick in sample.draws} == {"0.1"}
    assert sample.weight_cap == "1"


def test_nothing_to_draw_from_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing"):
        draw([], 10, "s")
