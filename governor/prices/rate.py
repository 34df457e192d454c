"""What usage costs, exactly: token classes times rates, rounded to the pico-USD once, half to even.

Owns: the disjoint token classes, which price a class without one of its own takes, the sum, linearity. Does not own: which prices hold (book.py), groups of calls
(actions/govern). Invariants: classes add up to the inclusive totals or the usage is unknown; parts add up to the total; no float.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from difflib import get_close_matches
from math import lcm
from typing import Final

from governor.errors import Invalid
from governor.prices.book import PriceBook, Rates, Unpriced
from governor.prices.price import PICO, Price
from governor.prices.units import CACHED, FEES, SIZE, UNIT_METERS, Untold, base_of, charged, lacking, told, whole
from governor.prices.units import INSTEAD as UNIT_NAMES

# A class without a price of its own takes the first of these that has one; the result says so.
INSTEAD: Final = {
    "cache_read": ("input",),
    "cache_write": ("cache_write_5m", "input"),
    "cache_write_1h": ("cache_write", "input"),
    "audio_input": ("input",),
    "image_input": ("input",),
    "audio_output": ("output",),
    "image_output": ("output",),
    "reasoning": ("output",),
    "video_input": ("input_video_tokens", "input"),
    "video_output": ("output_video_tokens", "output"),
    "cache_read_audio": ("cache_audio_read_tokens", "cache_read", "input"),
    "cache_read_image": ("cache_image_read_tokens", "cache_read", "input"),
    **UNIT_NAMES,
}


@dataclass(frozen=True, slots=True)
class Usage:
    """Token sums of one call, or of calls alike: input includes cache classes, output includes reasoning; None is unknown."""

    input_tokens: int | None
    output_tokens: int | None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_write_1h_tokens: int | None = None
    reasoning_tokens: int | None = None
    audio_input_tokens: int | None = None
    audio_output_tokens: int | None = None
    image_input_tokens: int | None = None
    image_output_tokens: int | None = None
    requests: int = 1
    counts: tuple[tuple[str, int | Decimal | None], ...] = ()  # other meters, such as ("image", 4); units.py says what is charged


@dataclass(frozen=True, slots=True)
class Part:
    """One meter's share of a cost. `list_price` and `contract_price` are the rows used; a meter that differs from theirs took another's price."""

    meter: str
    quantity: int
    list_pico: int
    contracted_pico: int
    list_price: Price
    contract_price: Price


@dataclass(frozen=True, slots=True)
class Rated:
    """status: priced | priced_by_provider | zero_rated | unpriced; money is None when unpriced."""

    status: str
    list_pico: int | None = None
    contracted_pico: int | None = None
    parts: tuple[Part, ...] = ()
    reason: str = ""
    detail: str = ""
    notes: tuple[str, ...] = ()
    entry: str = ""
    missing: str = ""  # the meter of which alone there is no price


def unpriced(why: Unpriced) -> Rated:
    return Rated("unpriced", reason=why.reason, detail=why.detail, missing=why.meter)


def rate_usage(rates: Rates | Unpriced, usage: Usage, *, context_tokens: int | None = None) -> Rated:
    """The exact cost. `context_tokens` picks the context band for sums over calls of one band; without it the usage is one call's."""
    if isinstance(rates, Unpriced):
        return unpriced(rates)
    classes = token_classes(usage, rates)
    if isinstance(classes, Unpriced):
        return unpriced(classes)
    context = context_tokens if context_tokens is not None else (usage.input_tokens or 0)
    chosen: list[tuple[str, int, Price, Price]] = []
    notes = list(rates.notes)
    try:
        for meter, quantity in classes.items():
            chosen += _priced(rates, meter, quantity, usage, context, notes, summed=context_tokens is not None)
    except Untold as why:
        return unpriced(Unpriced(*why.args))
    list_total, list_parts = _total([(quantity, listed) for _, quantity, listed, _ in chosen])
    contract_total, contract_parts = _total([(quantity, contracted) for _, quantity, _, contracted in chosen])
    parts = tuple(
        Part(meter, quantity, list_pico, contracted_pico, listed, contracted)
        for (meter, quantity, listed, contracted), list_pico, contracted_pico in zip(chosen, list_parts, contract_parts, strict=True)
    )
    return Rated("priced", list_total, contract_total, parts, notes=tuple(dict.fromkeys(notes)), entry=rates.entry)


def _priced(
    rates: Rates, meter: str, quantity: int | Decimal, usage: Usage, context: int, notes: list[str], *, summed: bool
) -> list[tuple[str, int, Price, Price]]:
    """One meter's use with its list and its contract price. Raises Untold."""
    listed, contracted = (price_for(rates, meter, context, contract=contract) for contract in (False, True))
    if listed is None or contracted is None:
        raise Untold("no_meter_price", f"no {meter} price for {rates.provider}/{rates.model}", meter)
    if contracted.meter != meter:
        notes.append(f"{meter} at the {contracted.meter} rate")
    if listed.kind == "contract":
        notes.append(f"{meter}: no list price, listed at the contract price")
    name, number, parts = whole(meter, quantity)
    if "marginal" not in (listed.band_rule, contracted.band_rule):
        if parts > 1:
            listed, contracted = (replace(price, per=price.per * parts) for price in (listed, contracted))
        return [(name, number, listed, contracted)]
    pieces = _marginal(rates, meter, number, usage, context if summed else None)
    if pieces is None:
        why = f"{meter} of {rates.provider}/{rates.model} is priced by marginal bands, which sums over calls cannot tell apart"
        raise Untold("unknown_usage", why)
    return pieces


def reported(provider: str | None, model: str | None, pico: int, why: Rated) -> Rated:
    """Money that the provider says it charged, for use that the book cannot rate: one US dollar for 10^12 pico-USD, so that the line multiplies out."""
    price = Price("reported", provider or "unknown", model or "unknown", "reported_cost", "1", PICO)
    part = (Part("reported_cost", pico, pico, pico, price, price),) if pico else ()
    return Rated("priced_by_provider", pico, pico, part, why.reason, f"the provider's own charge; by the book: {why.detail}")


def rate_group(
    book: PriceBook,
    provider: str | None,
    model: str | None,
    at: datetime,
    usage: Usage,
    *,
    tier: str | None = None,
    region: str | None = None,
    context_tokens: int | None = None,
) -> Rated:
    """Lookup and rate token sums of calls that share provider, model, tier, region, price epoch and context band.

    Exact where `linear(rates)`; otherwise each call would have been rounded on its own, which the notes say.
    """
    rates = book.lookup(provider, model, at, tier, region)
    rated = rate_usage(rates, usage, context_tokens=context_tokens)
    if rated.status == "priced" and isinstance(rates, Rates) and usage.requests > 1 and not linear(rates):
        return replace(rated, notes=(*rated.notes, "rate finer than a pico-USD per token: rounded once for the group"))
    return rated


def linear(rates: Rates) -> bool:
    """Whether every rate is a whole number of pico-USD per token, so that the price of a sum is the sum of the prices."""
    return all(
        price.pico.denominator == 1
        for table in (rates.listed, rates.contracted)
        for bands in table.values()
        for price in bands
        if price.meter in RATED
    )


RATED: Final = frozenset(
    {"input", "output", "request", "cache_write_5m", *INSTEAD, *(name for names in INSTEAD.values() for name in names), *UNIT_METERS}
)


def refuse_unknown_meter(meter: str, where: str) -> None:
    """Raises Invalid for a slip of the pen: no call would ever have this price."""
    if meter not in RATED and (base_of(meter) not in {"request", *UNIT_METERS} or meter.endswith(SIZE)):
        near = get_close_matches(meter, sorted(RATED), n=1)
        names = f"meters are {', '.join(sorted(RATED))}"
        raise Invalid(f"{where}: no call is rated by a meter {meter!r}", hint=f"did you mean {near[0]}? {names}" if near else names)


def token_classes(usage: Usage, rates: Rates) -> dict[str, int | Decimal] | Unpriced:
    """Disjoint classes that add up to input and output, then other units, each with a quantity above zero; or why they cannot be told."""
    known = rates.meters
    by_token = bool(known & {"input", "output"})
    untold = usage.input_tokens is None or (usage.output_tokens is None and "output" in known)
    try:
        counted = charged(usage.counts, known, tokens=by_token and not untold, requests=usage.requests)
    except Untold as why:
        return Unpriced(*why.args)
    sized = any(base_of(name) == "request" for name in counted)
    priced_by = lacking(known)
    if (not by_token or (untold and not usage.input_tokens and not usage.output_tokens)) and any(
        base_of(name) not in (*FEES, "request") for name in counted
    ):
        return counted  # what a model is priced by in place of tokens, whatever else is told of them
    if untold or (priced_by and not by_token):
        what = f"how many: {priced_by}" if priced_by and not by_token else "how many tokens were used"
        return Unpriced("unknown_usage", f"the source did not say {what}")
    classes = _of_tokens(usage, known)
    if isinstance(classes, Unpriced):
        return classes
    if wrong := [meter for meter, quantity in classes.items() if quantity < 0]:
        return Unpriced("unknown_usage", f"token classes do not add up: {wrong[0]} would be {classes[wrong[0]]}")
    classes["request"] = usage.requests if not sized and "request" in known else 0
    return {meter: quantity for meter, quantity in classes.items() if quantity} | counted


def _of_tokens(usage: Usage, known: frozenset[str]) -> dict[str, int | Decimal] | Unpriced:
    read, written, long = (usage.cache_read_tokens or 0), (usage.cache_write_tokens or 0), (usage.cache_write_1h_tokens or 0)
    heard, seen = (usage.audio_input_tokens or 0), (usage.image_input_tokens or 0)
    spoken, drawn = (usage.audio_output_tokens or 0), (usage.image_output_tokens or 0)
    counts = told(usage.counts)
    kept_heard, kept_seen = (int(counts.get(name) or 0) for name in CACHED)
    if (read or written) and not counts.keys() & {*CACHED}:
        if (heard and "audio_input" in known) or (seen and "image_input" in known):
            return Unpriced("unknown_usage", "cached tokens and audio or image tokens overlap by an amount the source does not say")
        heard = seen = 0  # without a price of its own it is input, wherever it stands
    thought = (usage.reasoning_tokens or 0) if "reasoning" in known else 0  # otherwise reasoning is simply output
    return {
        "input": (usage.input_tokens or 0) - read - written - (heard - kept_heard) - (seen - kept_seen),
        "cache_read": read - kept_heard - kept_seen,
        "cache_read_audio": kept_heard,
        "cache_read_image": kept_seen,
        "cache_write": written - long,
        "cache_write_1h": long,
        "audio_input": heard - kept_heard,
        "image_input": seen - kept_seen,
        "output": (usage.output_tokens or 0) - thought - spoken - drawn,
        "audio_output": spoken,
        "image_output": drawn,
        "reasoning": thought,
    }


def _marginal(rates: Rates, meter: str, quantity: int, usage: Usage, band: int | None) -> list[tuple[str, int, Price, Price]] | None:
    """The quantity cut at the bands: a request's first units at the first price, those beyond a threshold at the next.

    For sums over calls (`band`: the smallest input of their context band) this is known only where the meter is all of the input, or all of it is below the
    first threshold; else None.
    """
    tables = [
        bands for table in (rates.listed, rates.contracted) for name in (meter, *INSTEAD.get(meter, ())) if (bands := table.get(name))
    ]
    marks = sorted({price.context_min for bands in tables for price in bands if price.band_rule == "marginal" and price.context_min})
    edges = [0, *(mark - 1 for mark in marks)]  # the price of a band is that of its first unit and on
    if band is None and usage.requests == 1:
        sizes = [min(quantity, high) - low for low, high in zip(edges, [*edges[1:], quantity], strict=True) if quantity > low]
    else:
        place = sum(mark <= (band or 0) for mark in marks)
        if quantity != usage.input_tokens and (place or meter not in INPUT_CLASSES):
            return None
        sizes = [usage.requests * (edges[step + 1] - edges[step]) for step in range(place)] + [quantity - usage.requests * edges[place]]
    found = []
    for size, start in zip(sizes, [0, *marks], strict=False):
        listed, contracted = (price_for(rates, meter, start, contract=contract) for contract in (False, True))
        if listed is None or contracted is None or size < 0:
            return None
        found.append((meter, size, listed, contracted))
    return [piece for piece in found if piece[1]]


INPUT_CLASSES: Final = frozenset({"input", "cache_read", "cache_write", "cache_write_1h", "audio_input", "image_input", "video_input"})


def price_for(rates: Rates, meter: str, context_tokens: int, *, contract: bool) -> Price | None:
    """The price a class takes: its own, else that of the first class it may take instead."""
    for name in (meter, *INSTEAD.get(meter, ())):
        price = rates.price(name, context_tokens, contract=contract)
        if price is not None:
            return price
    return None


def _total(pieces: list[tuple[int, Price]]) -> tuple[int, list[int]]:
    """The sum rounded once half to even, and whole parts of it by largest remainder."""
    rates = [price.pico for _, price in pieces]
    common = lcm(*(rate.denominator for rate in rates))  # nearly always 1: whole pico-USD per token, nothing to round
    exact = [rate.numerator * (common // rate.denominator) * quantity for rate, (quantity, _) in zip(rates, pieces, strict=True)]
    if common == 1:
        return sum(exact), exact
    total = round_half_even(sum(exact), common)
    parts = [part // common for part in exact]
    by_remainder = sorted(range(len(exact)), key=lambda index: (-(exact[index] % common), index))
    for index in by_remainder[: total - sum(parts)]:
        parts[index] += 1
    return total, parts


def round_half_even(value: int, by: int) -> int:
    """The quotient as a whole number, ties to even, exact for any size."""
    whole, rest = divmod(value, by)
    return whole + (1 if 2 * rest > by or (2 * rest == by and whole % 2) else 0)
