"""Contract terms that refer to the list: a percentage off it, or a multiple of it.

Owns: the frozen term, its exact price from a list price, which of several terms holds. Does not own: fixed contract prices (price.py), the order between both (book.py).
Invariants: the contracted unit price is list amount x factor as exact decimal text for the same block, never rounded; terms do not add up: the narrowest one that
holds is the only one; a term says nothing where the list has no price.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from decimal import Decimal, localcontext
from functools import cached_property
from typing import Any, Final

from governor.prices.price import Price, instant_text, plain

ANY: Final = "*"
DIGITS: Final = 80  # an amount times a factor has fewer, so that nothing is rounded


@dataclass(frozen=True)
class Term:
    """factor: decimal text that a list amount is multiplied by; words: how people say it. model, meter and service_tier may be `*`."""

    provider: str
    model: str
    meter: str
    factor: str
    words: str
    region: str = ""
    service_tier: str = ""
    context_min: int = 0  # always the whole range: a term follows the bands of the list
    context_max: int | None = None
    valid_from: datetime | None = None
    valid_to: datetime | None = None

    @cached_property
    def digest(self) -> str:
        """Hex SHA-256 over the term's canonical JSON."""
        values: dict[str, Any] = asdict(self) | {
            "valid_from": instant_text(self.valid_from),
            "valid_to": instant_text(self.valid_to),
            "kind": "term",
        }
        return hashlib.sha256(json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()).hexdigest()

    def speaks_for(self, meter: str, at: datetime, tier: str, region: str) -> bool:
        return (
            self.meter in {meter, ANY}
            and self.service_tier in {tier, ANY}
            and self.region in {region, ""}
            and (self.valid_from is None or self.valid_from <= at)
            and (self.valid_to is None or at < self.valid_to)
        )

    def price(self, listed: Price) -> Price:
        """The contract price that follows from a list price, in its band, tier and region; it holds while both do."""
        with localcontext() as context:
            context.prec = DIGITS
            amount = plain(Decimal(listed.amount) * Decimal(self.factor))
        starts = [moment for moment in (listed.valid_from, self.valid_from) if moment is not None]
        stops = [moment for moment in (listed.valid_to, self.valid_to) if moment is not None]
        return replace(
            listed,
            kind="contract",
            amount=amount,
            match="",
            valid_from=max(starts, default=None),
            valid_to=min(stops, default=None),
            terms=self.words,
        )


def width(term: Term | Price, names: Sequence[str]) -> tuple[int, ...]:
    """The order of precedence, narrowest first: model, then meter, then tier, then region, then a fixed price before a term.

    names: the models a contract may be written for, nearest first, in lower case.
    """
    model = term.model.lower()
    return (
        names.index(model) if model in names else len(names),
        term.meter == ANY,
        term.service_tier == ANY,
        not term.region,
        isinstance(term, Term),
    )


def narrowest(terms: Iterable[Term], names: Sequence[str]) -> Term | None:
    return min(terms, key=lambda term: (width(term, names), term.digest), default=None)
