"""Budgets, and where notices go.

Owns: `kind: budget` and `kind: notification`. Does not own: what is spent (actions/govern.py), when a limit counts as crossed (governor.chargeback.budget), sending.
Invariants: a budget has exactly one scope; thresholds are whole percents, each once; the secret of a notification is a reference, and so is an address that holds one.
"""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal

from pydantic import Field, field_validator, model_validator

from governor.catalog.fields import Document, Email, Identifier, Part, SecretReference
from governor.catalog.moments import Money

Event = Literal["budget.threshold", "budget.forecast", "approval.waiting", "approval.withdrawn", "finding.violation"]
DEFAULT_THRESHOLDS: Final = (50, 80, 100)


class BudgetScope(Part):
    """Whose spend counts: exactly one of these, or `organization: true` for all of it."""

    workflow: Identifier | None = None
    owner: Email | None = None
    cost_center: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    organization: bool = False

    @model_validator(mode="after")
    def is_one(self) -> BudgetScope:
        if sum(1 for value in (self.workflow, self.owner, self.cost_center, self.organization) if value) != 1:
            raise ValueError("name exactly one of workflow, owner, cost_center, or organization: true")
        return self

    @property
    def dimension(self) -> str:
        """As usage calls it; empty for the whole organization."""
        return next((name for name in ("workflow", "owner", "cost_center") if getattr(self, name)), "")

    @property
    def value(self) -> str:
        return str(getattr(self, self.dimension)) if self.dimension else ""


class BudgetDocument(Document):
    """What a scope may spend in a calendar month of the billing zone, at contracted prices."""

    kind: Literal["budget"] = "budget"
    id: Identifier
    scope: BudgetScope
    monthly: Money
    thresholds: list[Annotated[int, Field(ge=1, le=1000)]] = Field(
        default=list(DEFAULT_THRESHOLDS), max_length=20, description="percents of the budget; reaching one (>=) is told once a month"
    )
    forecast: bool = Field(default=True, description="also tell when the month is forecast to reach the budget")

    @property
    def key(self) -> str:
        return self.id

    @field_validator("thresholds")
    @classmethod
    def each_once(cls, thresholds: list[int]) -> list[int]:
        if len(set(thresholds)) != len(thresholds):
            raise ValueError("a threshold is written twice")
        return sorted(thresholds)

    @field_validator("monthly")
    @classmethod
    def is_something(cls, text: str) -> str:
        if not text.strip("0."):
            raise ValueError("a budget is more than zero")
        return text


class NotificationDocument(Document):
    """Where notices go. webhook: signed after Standard Webhooks; apprise: chat, mail or pager by an Apprise URL, which is a secret as a whole."""

    kind: Literal["notification"] = "notification"
    id: Identifier
    channel: Literal["webhook", "apprise"]
    url: str = Field(default="", max_length=500, description="webhook only: where to POST")
    secret: SecretReference = Field(
        description="webhook: reference to the signing secret (whsec_...); apprise: reference to the Apprise URL"
    )
    events: list[Event] = Field(min_length=1)
    workflows: list[Identifier] = Field(default_factory=list, description="only notices about these workflows; none means all notices")

    @property
    def key(self) -> str:
        return self.id

    @model_validator(mode="after")
    def has_an_address(self) -> NotificationDocument:
        if self.channel == "webhook" and not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#]*)?", self.url):
            raise ValueError("url: an http(s) URL without user, password, query or fragment")
        if self.channel == "apprise" and self.url:
            raise ValueError("url: leave it out; the Apprise URL holds credentials, so `secret` refers to it (env:NAME or file:PATH)")
        if len(set(self.events)) != len(self.events):
            raise ValueError("events: one is written twice")
        return self
