"""Rating beside the same sum written out in fractions, without bands, books or any of its code."""

from __future__ import annotations

from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governor.prices.book import PriceBook, Rates
from governor.prices.rate import Usage, rate_group, rate_usage

NOW = datetime(2026, 11, 1, tzinfo=UTC)
METERS = (
    *("input", "output", "cache_read", "cache_write", "cache_write_1h", "cache_write_5m", "audio_input", "image_input"),
    *("audio_output", "image_output", "reasoning", "request", "image", "second", "audio_seconds"),
)
INSTEAD = {"cache_write_1h": ("cache_write", "input"), "cache_write": ("cache_write_5m", "input"), "second": ("audio_seconds",)}
INSTEAD |= dict.fromkeys(("cache_read", "audio_input", "image_input"), ("input",))
INSTEAD |= dict.fromkeys(("audio_output", "image_output", "reasoning"), ("output",))
small = st.none() | st.integers(0, 40)
usages = st.builds(
    Usage,
    input_tokens=st.none() | st.integers(0, 200),
    output_tokens=st.none() | st.integers(0, 200),
    cache_read_tokens=small,
    cache_write_tokens=small,
    cache_write_1h_tokens=small,
    reasoning_tokens=small,
    audio_input_tokens=small,
    audio_output_tokens=small,
    image_input_tokens=small,
    image_output_tokens=small,
    requests=st.integers(1, 3),
    counts=st.sampled_from(((), (), (("unit", 3),), (("image", 2),), (("image", 2), ("second", 0)), (("unit", 1), ("image", 4)))),
)
tables = st.dictionaries(st.sampled_from(METERS), st.integers(0, 9999), max_size=len(METERS)).map(lambda found: {"input": 1234} | found)


def row(meter: str, amount: int, **more: Any) -> dict[str, Any]:
    return {"kind": "list", "provider": "openai", "model": "m", "meter": meter, "amount": str(amount), "per": 7_000_000} | more


def rates_of(listed: dict[str, int], contracted: dict[str, int]) -> Rates:
    rows = [row(meter, amount) for meter, amount in listed.items()] + [
        row(meter, amount, kind="contract") for meter, amount in contracted.items()
    ]
    found = PriceBook(rows).lookup("openai", "m", NOW)
    assert isinstance(found, Rates)
    return found


def by_hand(usage: Usage, listed: dict[str, int], contracted: dict[str, int]) -> tuple[Fraction, Fraction] | None:
    """(list, contracted) in pico-USD before rounding; None where nobody can tell."""
    classes = told_apart(usage, {*listed, *contracted})
    if classes is None or min(classes.values(), default=0) < 0:
        return None
    sums = []
    for first, then in ((listed, contracted), (contracted, listed)):
        whole = Fraction(0)
        for meter, quantity in classes.items():
            price = next((table[name] for name in (meter, *INSTEAD.get(meter, ())) for table in (first, then) if name in table), None)
            if quantity and price is None:
                return None
            whole += Fraction(quantity * (price or 0) * 10**12, 7_000_000)
        sums.append(whole)
    return sums[0], sums[1]


def told_apart(usage: Usage, own: set[str]) -> dict[str, int] | None:
    read, written, long = usage.cache_read_tokens or 0, usage.cache_write_tokens or 0, usage.cache_write_1h_tokens or 0
    heard, seen = usage.audio_input_tokens or 0, usage.image_input_tokens or 0
    counted: dict[str, int] = {}
    for name, quantity in usage.counts:
        units = [unit for unit, names in (("image", {"image"}), ("second", {"second", "audio_seconds"})) if names & own]
        if name == "unit" and len(units) != 1:
            return None
        meant = units[0] if name == "unit" else name
        counted[meant] = counted.get(meant, 0) + quantity
    untold = usage.input_tokens is None or (usage.output_tokens is None and "output" in own)
    if untold:  # images and seconds stand in for tokens that nobody knows
        counted = {meter: quantity for meter, quantity in counted.items() if quantity}
        return counted if counted and not usage.input_tokens and not usage.output_tokens else None
    classes: dict[str, int] = {}
    if usage.input_tokens is not None:
        cached = bool(read or written)
        if cached and ((heard and "audio_input" in own) or (seen and "image_input" in own)):
            return None
        if cached:
            heard = seen = 0  # without a price of its own it is input, wherever it stands
        thought = usage.reasoning_tokens or 0 if "reasoning" in own else 0
        spoken, drawn = usage.audio_output_tokens or 0, usage.image_output_tokens or 0
        classes |= {"input": usage.input_tokens - read - written - heard - seen, "cache_read": read, "cache_write": written - long}
        classes |= {"cache_write_1h": long, "audio_input": heard, "image_input": seen, "audio_output": spoken, "image_output": drawn}
        classes |= {"output": (usage.output_tokens or 0) - thought - spoken - drawn, "reasoning": thought}
        classes |= {"request": usage.requests if "request" in own else 0}
    return classes


@settings(max_examples=600, deadline=None)
@given(usages, tables, st.dictionaries(st.sampled_from(METERS), st.integers(0, 9999), max_size=4))
def test_every_class_costs_what_is_written_out(usage: Usage, listed: dict[str, int], contracted: dict[str, int]) -> None:
    rated = rate_usage(rates_of(listed, contracted), usage)
    exact = by_hand(usage, listed, contracted)
    if exact is None:
        assert (rated.status, rated.list_pico, rated.contracted_pico) == ("unpriced", None, None)
        return
    assert (rated.list_pico, rated.contracted_pico) == (round(exact[0]), round(exact[1])), "fractions round half to even"
    assert sum(part.list_pico for part in rated.parts) == rated.list_pico
    assert sum(part.contracted_pico for part in rated.parts) == rated.contracted_pico
    assert all(part.quantity > 0 for part in rated.parts)


@pytest.mark.parametrize(("audio", "image", "told"), [(5, 5, False), (5, 0, True), (0, 5, False), (0, 0, True)])
def test_cached_pictures_beside_sound_overlap_where_only_pictures_have_a_price(audio: int, image: int, told: bool) -> None:
    """With any sound in the call the pictures' own price was passed over, and they cost what text does."""
    rates = rates_of({"input": 100, "output": 1, "image_input": 900}, {})
    rated = rate_usage(rates, Usage(100, 0, cache_read_tokens=20, audio_input_tokens=audio, image_input_tokens=image))
    assert (rated.status == "priced") is told


@given(
    st.lists(st.integers(1, 60), min_size=1, max_size=6),
    st.lists(st.integers(1, 50), min_size=1, max_size=3, unique=True).map(sorted),
    st.lists(st.integers(0, 999), min_size=4, max_size=4),
)
def test_marginal_bands_cost_each_token_by_its_place_in_its_request(inputs: list[int], marks: list[int], amounts: list[int]) -> None:
    """Token n of a request is priced by the band that n lies in; sums over requests of one band come to the same."""
    starts = [0, *(mark + 1 for mark in marks)]
    rows = [
        row("input", amount, per=1_000_000, context_min=low, context_max=high, band_rule="marginal")
        for low, high, amount in zip(starts, [*starts[1:], None], amounts, strict=False)
    ]
    book = PriceBook([*rows, row("output", 3, per=1_000_000)])

    def token(place: int) -> int:
        return 10**6 * next(amount for low, amount in reversed(list(zip(starts, amounts, strict=False))) if place >= low)

    def written_out(tokens: int) -> int:
        return sum(token(place) for place in range(1, tokens + 1))

    for tokens in inputs:
        assert rate_group(book, "openai", "m", NOW, Usage(tokens, 0)).list_pico == written_out(tokens)
    for low, high in zip(starts, [*starts[1:], 10**9], strict=True):
        mine = [tokens for tokens in inputs if low <= tokens < high]
        if mine:
            together = Usage(sum(mine), 0, requests=len(mine))
            assert rate_group(book, "openai", "m", NOW, together, context_tokens=low).list_pico == sum(map(written_out, mine))
            cached = Usage(sum(mine), 0, 1, requests=len(mine))
            known = rate_group(book, "openai", "m", NOW, cached, context_tokens=low)
            if low:
                assert known.reason == "unknown_usage", "how much of the cached input lies beyond the mark is not known"
            else:
                assert known.list_pico == sum(map(written_out, mine)), "all of it below the first mark"


def test_a_rate_finer_than_a_pico_says_so_for_more_than_one_request() -> None:
    fine = PriceBook([row("input", 1), row("output", 1)])
    whole = PriceBook([row("input", 7), row("output", 14)])
    for book, requests, said in ((fine, 2, True), (fine, 1, False), (whole, 2, False)):
        notes = rate_group(book, "openai", "m", NOW, Usage(10, 10, requests=requests)).notes
        assert any("rounded once for the group" in note for note in notes) is said
