"""Commitments and provisioned capacity, and the exchange rates a month is stated at.

Owns: `kind: commitment`, `kind: fx_rate`. Does not own: the arithmetic (chargeback/commitments, chargeback/currency). Invariants: a commitment is either an amount of
money a month or units at an hourly rate; who pays for what nobody used is always named; an exchange rate belongs to one month and names its source and day.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Final, Literal

from pydantic import Field, model_validator

from governor.catalog.allocation import CostCenter, Percent
from governor.catalog.fields import Document, Identifier, Name, Part
from governor.catalog.moments import Moment, Money, begins

HUNDRED: Final = Decimal(100)
THREE_PLACES: Final = ("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND")
RATE_PLACES: Final = 10
Meter = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class Provisioned(Part):
    """Reserved throughput: units (PTU, model units) at an hourly rate, used or not."""

    units: int = Field(ge=1, le=1_000_000)
    hourly_rate: Money = Field(description="USD for one unit and hour")
    unit: str = Field(default="PTU", pattern=r"^[A-Za-z][A-Za-z0-9-]{0,19}$")
    tokens_per_minute: int | None = Field(
        default=None,
        ge=1,
        description="weighted tokens one unit serves in a minute: measures how much was used; without it, the contract value of the calls does",
    )
    weights: dict[Meter, Money] = Field(
        default_factory=dict, description='how much one token of a meter counts, such as output: "4"; default 1'
    )


class Unused(Part):
    """Who pays for the part that nobody used: one cost center, fixed percents, or everybody by use."""

    cost_center: CostCenter | None = Field(default=None, description="also who pays when by: use finds no use at all")
    percents: dict[CostCenter, Percent] = Field(default_factory=dict, description="cost center -> percent, summing to 100")
    by: Literal["use"] | None = Field(default=None, description="use: in proportion to what each cost center used of it")

    @model_validator(mode="after")
    def names_somebody(self) -> Unused:
        if bool(self.cost_center) == bool(self.percents):
            raise ValueError("unused: name a cost_center, or percents; by: use needs a cost_center for a month without use")
        if self.percents and self.by:
            raise ValueError("unused: percents or by: use, not both")
        total = sum((Decimal(text) for text in self.percents.values()), Decimal(0))
        if self.percents and total != HUNDRED:
            raise ValueError(f"unused: percents sum to {total}, not 100")
        return self


class CommitmentDocument(Document):
    """Money or capacity bought ahead. Calls it covers cost nothing more; its cost is charged by who used it, and what is left is a line of its own."""

    kind: Literal["commitment"] = "commitment"
    id: Identifier
    name: str = Field(default="", max_length=200)
    provider: Name
    models: list[Name] = Field(default_factory=list, max_length=200, description="empty: every model of the provider")
    service_tiers: list[str] = Field(default_factory=list, max_length=20, description="tiers as served; empty: every tier")
    starts: Moment
    ends: Moment = Field(description="exclusive: the first instant it no longer holds")
    monthly_amount: Money | None = Field(default=None, description="USD for each month; what it does not hold of a month it does not cost")
    provisioned: Provisioned | None = None
    unused: Unused

    @property
    def key(self) -> str:
        return self.id

    def held(self, zone: str) -> tuple[datetime, datetime]:
        """From when until when it holds; plain dates are days of the billing zone."""
        return begins(self.starts, zone), begins(self.ends, zone)

    @property
    def mark(self) -> str:
        """How its lines name it: what it is, and its id."""
        return f"{'capacity' if self.provisioned else 'spend'}/{self.id}"

    @model_validator(mode="after")
    def is_one_thing(self) -> CommitmentDocument:
        if (self.monthly_amount is None) == (self.provisioned is None):
            raise ValueError("give exactly one of monthly_amount, provisioned")
        if begins(self.ends) <= begins(self.starts):
            raise ValueError("ends: is not after starts")
        return self


class FxRateDocument(Document):
    """What one US dollar is in the statement's currency, for one month. It is sealed with the month; a later version is for months that are still open."""

    kind: Literal["fx_rate"] = "fx_rate"
    currency: str = Field(pattern=r"^[A-Z]{3}$")
    period: str = Field(pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])$", description="the month it is for, YYYY-MM")
    rate: Money = Field(description='units of the currency for one US dollar, as quoted text such as "0.9234"')
    source: Name = Field(description="whose rate it is, such as ECB reference rate")
    date: Moment = Field(description="the day the rate is of")

    @property
    def key(self) -> str:
        return f"{self.currency}/{self.period}"

    @model_validator(mode="after")
    def is_a_rate(self) -> FxRateDocument:
        if self.currency == "USD":
            raise ValueError("currency: USD is what prices are in; name another")
        if self.currency in THREE_PLACES:
            raise ValueError(f"currency: {self.currency} has three decimals; statements have two")
        if not Decimal(self.rate):
            raise ValueError("rate: more than zero")
        if len(self.rate.partition(".")[2]) > RATE_PLACES:
            raise ValueError(f"rate: at most {RATE_PLACES} decimals")
        if len(self.date) != len("2026-10-30"):
            raise ValueError("date: a day, such as 2026-10-30")
        return self
