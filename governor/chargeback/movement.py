"""Why spend moved between two spans: every difference as volume, mix, cache, price, retries, new and gone workflows.

Owns: the chain of what-ifs and its terms. Does not own: reading spans (actions/explain_spend.py), drawing. Invariants: each term is the difference of two neighbours in
a chain of whole pico-USD amounts from before to after, so the terms sum to the difference exactly, per workflow and in total; no float.

The chain of a workflow that has calls in both spans, failed and fallback calls aside: what was paid before; the same at the new number of calls (volume); with
the new share of calls that a gateway cache answered (cache); with the new models and token counts, at old prices and the old split of the input into
cached and uncached (mix); with the new split (cache); at new prices, which is what was paid after (price). Failed and fallback calls: their own
difference (retries). Where a model or meter had no use before, its old price is not known from use: its new one stands in, so the change is mix, not price.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

TERMS: Final = ("volume", "mix", "cache", "price", "retries", "new", "gone")
INPUT: Final = frozenset({"input", "cache_read", "cache_write", "cache_write_1h"})

Way = tuple[str, ...]
Amounts = dict[tuple[Way, str], tuple[int, int]]  # (way, meter) -> quantity, pico-USD


@dataclass(frozen=True)
class Use:
    """Calls alike. kind: paid | retry (failed, or served by a fallback) | hit (answered by a gateway cache).

    meters: (name, quantity, pico-USD); calls without a price are left out.
    """

    workflow: str
    way: Way
    kind: str
    calls: int
    meters: tuple[tuple[str, int, int], ...]

    @property
    def pico(self) -> int:
        return sum(pico for _, _, pico in self.meters)


@dataclass(frozen=True)
class Movement:
    """One workflow. `terms` has every name of TERMS; before + their sum = after."""

    workflow: str
    before: int
    after: int
    terms: Mapping[str, int]

    @property
    def delta(self) -> int:
        return self.after - self.before


def movements(before: Iterable[Use], after: Iterable[Use]) -> list[Movement]:
    """One movement per workflow, largest first."""
    old, new = by_workflow(before), by_workflow(after)
    found = [movement(name, old.get(name, []), new.get(name, [])) for name in old.keys() | new.keys()]
    return sorted(found, key=lambda one: (-abs(one.delta), one.workflow))


def add_up(every: Iterable[Movement], name: str = "") -> Movement:
    """The whole: term by term."""
    rows = list(every)
    terms = {term: sum(row.terms[term] for row in rows) for term in TERMS}
    return Movement(name, sum(row.before for row in rows), sum(row.after for row in rows), terms)


def by_workflow(uses: Iterable[Use]) -> dict[str, list[Use]]:
    found: dict[str, list[Use]] = defaultdict(list)
    for use in uses:
        found[use.workflow].append(use)
    return found


def movement(workflow: str, before: list[Use], after: list[Use]) -> Movement:
    start, end = sum(use.pico for use in before), sum(use.pico for use in after)
    terms = dict.fromkeys(TERMS, 0)
    if not before:
        terms["new"] = end
    elif not after:
        terms["gone"] = -start
    else:
        terms["retries"] = retried(after) - retried(before)
        terms |= chain(before, after)
    return Movement(workflow, start, end, terms)


def retried(uses: Iterable[Use]) -> int:
    return sum(use.pico for use in uses if use.kind == "retry")


def chain(before: list[Use], after: list[Use]) -> dict[str, int]:
    """volume, cache, mix and price of the calls that neither failed nor fell back."""
    old, new = amounts(before), amounts(after)
    paid_before, paid_after = sum(pico for _, pico in old.values()), sum(pico for _, pico in new.values())
    answered_before, answered_after = count(before, "paid", "hit"), count(after, "paid", "hit")
    sent_before, sent_after = count(before, "paid"), count(after, "paid")
    old_prices = priced(old, new)
    at_old_prices = total({key: Fraction(quantity) * old_prices[key] for key, (quantity, _) in new.items() if quantity})
    old_split = total(split_as_before(old, new, old_prices))
    if not sent_before or not paid_before:  # nothing was paid before: more of it is volume
        return {"volume": old_split - paid_before, "mix": 0, "cache": at_old_prices - old_split, "price": paid_after - at_old_prices}
    more_calls = round(Fraction(paid_before * answered_after, answered_before))
    more_sent = round(Fraction(paid_before * sent_after, sent_before))
    return {
        "volume": more_calls - paid_before,
        "mix": old_split - more_sent,
        "cache": (more_sent - more_calls) + (at_old_prices - old_split),
        "price": paid_after - at_old_prices,
    }


def count(uses: Iterable[Use], *kinds: str) -> int:
    return sum(use.calls for use in uses if use.kind in kinds)


def amounts(uses: Iterable[Use]) -> Amounts:
    found: Amounts = {}
    for use in uses:
        if use.kind == "paid":
            for meter, quantity, pico in use.meters:
                known = found.get((use.way, meter), (0, 0))
                found[use.way, meter] = (known[0] + quantity, known[1] + pico)
    return found


def priced(old: Amounts, new: Amounts) -> dict[tuple[Way, str], Fraction]:
    """Pico-USD per unit as it was paid before; as it is paid now where it was not used before."""
    return {key: Fraction(pico, quantity) for known in (new, old) for key, (quantity, pico) in known.items() if quantity}


def split_as_before(old: Amounts, new: Amounts, prices: Mapping[tuple[Way, str], Fraction]) -> dict[tuple[Way, str], Fraction]:
    """The new use at `prices`, its input tokens split into cached and uncached as the same model's were before."""
    cost = {key: Fraction(quantity) * prices[key] for key, (quantity, _) in new.items() if key[1] not in INPUT and quantity}
    for way in {way for way, meter in new if meter in INPUT}:
        now = sum(quantity for (one, meter), (quantity, _) in new.items() if one == way and meter in INPUT)
        then = {meter: quantity for (one, meter), (quantity, _) in old.items() if one == way and meter in INPUT and quantity}
        if not then:  # a model not used before: its own split stands in
            then = {meter: quantity for (one, meter), (quantity, _) in new.items() if one == way and meter in INPUT and quantity}
        whole = sum(then.values())
        for meter, quantity in then.items():
            cost[way, meter] = Fraction(now * quantity, whole) * prices[way, meter]
    return cost


def total(cost: Mapping[tuple[Way, str], Fraction]) -> int:
    """Rounded once."""
    return round(sum(cost.values(), Fraction(0)))
