"""Why spend moved: each cause alone lands in its own term, and all together sum to the difference to the last pico-USD."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from governor.chargeback.movement import TERMS, Movement, Use, add_up, movements

GPT, HAIKU = ("openai", "gpt-4o"), ("anthropic", "claude-haiku-4-5")


def use(
    calls: int = 100,
    *,
    price: int = 7,
    cached: int = 0,
    tokens: int = 1000,
    way: tuple[str, ...] = GPT,
    kind: str = "paid",
    workflow: str = "claims",
) -> Use:
    read = calls * tokens * cached // 100
    fresh = calls * tokens - read
    meters = (("input", fresh, fresh * price), ("cache_read", read, read * price // 10), ("output", calls * 50, calls * 50 * price * 4))
    return Use(workflow, way, kind, calls, tuple(meter for meter in meters if meter[1]) if kind != "hit" else ())


def only(before: list[Use], after: list[Use]) -> Movement:
    [found] = movements(before, after)
    assert sum(found.terms.values()) == found.delta == sum(one.pico for one in after) - sum(one.pico for one in before)
    return found


def causes(found: Movement) -> set[str]:
    return {name for name, pico in found.terms.items() if pico}


def test_each_cause_alone_is_its_own_term() -> None:
    assert causes(only([use()], [use()])) == set()
    assert causes(only([use()], [use(200)])) == {"volume"}
    assert causes(only([use()], [use(price=8)])) == {"price"}
    assert causes(only([use()], [use(tokens=1500)])) == {"mix"}
    assert causes(only([use(cached=20)], [use(cached=70)])) == {"cache"}
    assert causes(only([use(60), use(40, way=HAIKU, price=2)], [use(40), use(60, way=HAIKU, price=2)])) == {"mix"}
    assert causes(only([use(), use(5, kind="retry")], [use(), use(9, kind="retry")])) == {"retries"}
    assert causes(only([use(90), use(10, kind="hit")], [use(60), use(40, kind="hit")])) == {"cache"}
    assert causes(only([], [use()])) == {"new"}
    assert causes(only([use()], [])) == {"gone"}


def test_signs_and_sizes() -> None:
    doubled = only([use()], [use(200)])
    assert doubled.terms["volume"] == use().pico
    dearer = only([use(price=10)], [use(price=11)])
    assert dearer.terms["price"] == use(price=11).pico - use(price=10).pico
    saved = only([use(price=10)], [use(price=10, cached=50)])
    assert saved.terms["cache"] == -(50_000 * 10 - 50_000 * 1)
    assert only([use()], [use(10, kind="hit")]).terms["volume"] == use().pico * 10 // 100 - use().pico


def test_a_price_and_a_volume_at_once_are_told_apart() -> None:
    found = only([use(100, price=10)], [use(300, price=20)])
    assert found.terms["volume"] == 2 * use(100, price=10).pico
    assert found.terms["price"] == use(300, price=20).pico - use(300, price=10).pico


def test_the_largest_comes_first_and_the_whole_is_the_sum() -> None:
    rows = movements([use(workflow="a"), use(workflow="b")], [use(110, workflow="a"), use(400, workflow="b"), use(1, workflow="c")])
    assert [row.workflow for row in rows] == ["b", "a", "c"]
    whole = add_up(rows)
    assert sum(whole.terms.values()) == whole.delta == whole.after - whole.before


meters = st.dictionaries(
    st.sampled_from(["input", "cache_read", "cache_write", "output", "request"]),
    st.tuples(st.integers(0, 10**9), st.integers(0, 10**14)),
    max_size=5,
).map(lambda found: tuple((name, quantity, pico if quantity else 0) for name, (quantity, pico) in found.items()))
uses = st.lists(
    st.builds(
        Use, st.sampled_from("abc"), st.sampled_from([GPT, HAIKU]), st.sampled_from(["paid", "retry", "hit"]), st.integers(1, 10**6), meters
    ),
    max_size=8,
).map(lambda found: [Use(one.workflow, one.way, one.kind, one.calls, one.meters if one.kind != "hit" else ()) for one in found])


@settings(max_examples=300, deadline=None)
@given(uses, uses)
def test_terms_sum_exactly_whatever_happened(before: list[Use], after: list[Use]) -> None:
    rows = movements(before, after)
    for row in rows:
        assert tuple(row.terms) == TERMS
        assert row.before + sum(row.terms.values()) == row.after
    whole = add_up(rows)
    assert whole.after == sum(one.pico for one in after)
    assert whole.before == sum(one.pico for one in before)
    assert whole.before + sum(whole.terms.values()) == whole.after
