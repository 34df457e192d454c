"""Endpoints, contract prices, sources and waivers, and the table of all kinds.

Owns: these four kinds and KINDS. Does not own: YAML (parse.py), what makes documents wrong together (snapshot.py), their versions (actions/apply.py).
Invariants: no secret is accepted as a value; a waiver expires and names a compensating control.
"""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from governor.catalog.allocation import AllocationDocument, DriverDocument, RatePlanDocument
from governor.catalog.budget import BudgetDocument, NotificationDocument
from governor.catalog.commitment import CommitmentDocument, FxRateDocument
from governor.catalog.fields import (
    SECRET_NAME,
    SECRET_REFERENCE,
    URL_WITH_PASSWORD,
    Archive,
    Document,
    Identifier,
    Name,
    Part,
    SecretReference,
)
from governor.catalog.moments import Moment, Money, begins
from governor.catalog.organization import OrganizationDocument, PersonDocument
from governor.catalog.workflow import AttributionDocument, WorkflowDocument


class EndpointDocument(Document):
    """Where shadow replays and judge calls go. `models` maps a route's model to the name the endpoint knows it by."""

    kind: Literal["endpoint"] = "endpoint"
    id: Identifier
    protocol: Literal["openai", "anthropic"]
    base_url: str = Field(max_length=500)
    secret: SecretReference
    models: dict[str, str] = Field(default_factory=dict)
    concurrency: int = Field(default=4, ge=1, le=256)
    timeout_s: int = Field(default=120, ge=1, le=3600)
    requests_per_minute: int | None = Field(
        default=None, ge=1, le=1_000_000, description="Most requests that may leave in a minute, retries included."
    )

    @property
    def key(self) -> str:
        return self.id

    @field_validator("base_url")
    @classmethod
    def is_http(cls, text: str) -> str:
        if not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#]*)?", text):
            raise ValueError("an http(s) URL without user, password, query or fragment")
        return text.rstrip("/")


LARGEST_MULTIPLE: Final = 100
FACTOR_PLACES: Final = 8


def _short(text: str) -> str:
    if len(text.partition(".")[2]) > FACTOR_PLACES:
        raise ValueError(f"at most {FACTOR_PLACES} decimals")
    return text


Factor = Annotated[Money, AfterValidator(_short)]


class Price(Part):
    amount: Money
    per: int = Field(default=1_000_000, gt=0)
    currency: str = Field(default="USD", pattern=r"^[A-Z]{3}$")


class ContractPriceDocument(Document):
    """A negotiated price: an amount (`price`), a percentage off the list (`percent_off`) or a multiple of it (`multiplier`).

    A tool's fee (`web_search`, `file_search`, ...) may be one amount for every model: write `*`.
    `valid_from` and `valid_to` (exclusive) are the dates of the price itself, so dated prices live side by side. Terms that refer to the list may hold for every
    model, meter or service tier of the provider: write `*`.
    """

    kind: Literal["contract_price"] = "contract_price"
    provider: Name
    model: Name
    meter: str = Field(
        pattern=r"^(\*|[a-z][a-z0-9_]*(@[a-z0-9.-]+)?)$",
        description="input, cache_read, cache_write, output, request, ...; image@1024x1024; * for every meter",
    )
    region: str = ""
    service_tier: str = Field(default="", description="empty: the standard tier; * for every tier")
    context_min: int = Field(default=0, ge=0)
    context_max: int | None = Field(default=None, gt=0)
    price: Price | None = None
    percent_off: Factor | None = Field(default=None, description='percent off the list price of the moment, as quoted text such as "12.5"')
    multiplier: Factor | None = Field(default=None, description='multiple of the list price of the moment, such as "0.85" or "1.1"')
    valid_to: Moment | None = None

    @model_validator(mode="after")
    def says_one_thing(self) -> ContractPriceDocument:
        given = [name for name in ("price", "percent_off", "multiplier") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"give exactly one of price, percent_off, multiplier; found {' and '.join(given) or 'none'}")
        if self.price is not None:
            wide = [name for name in ("meter", "service_tier") if getattr(self, name) == "*"]
            if wide:
                raise ValueError(f"{wide[0]}: * is for percent_off and multiplier; an amount is the price of one thing")
            return self
        if self.context_min or self.context_max is not None:
            raise ValueError(f"context_min: {given[0]} follows the bands of the list; bands belong to price")
        if self.percent_off is not None and not 0 < Decimal(self.percent_off) <= 100:  # noqa: PLR2004 - percent
            raise ValueError("percent_off: more than 0 and at most 100")
        if self.multiplier is not None and not 0 < Decimal(self.multiplier) <= LARGEST_MULTIPLE:
            raise ValueError(f"multiplier: more than 0 and at most {LARGEST_MULTIPLE}")
        return self

    @property
    def key(self) -> str:
        where = f"{self.provider}/{self.model}/{self.meter}"
        narrowing = [self.region, self.service_tier, f"{self.context_min}" if self.context_min else ""]
        return where + "".join(f"/{part}" for part in narrowing if part) + f"@{self.valid_from or 'ever'}"

    def held(self, zone: str) -> tuple[datetime | None, datetime | None]:
        """From when until when it holds; plain dates are days of the billing zone."""
        return begins(self.valid_from, zone) if self.valid_from else None, begins(self.valid_to, zone) if self.valid_to else None


class SourceDocument(Document):
    """A configured gateway or file drop, for `sync` and push."""

    kind: Literal["source"] = "source"
    id: Identifier
    connector: str = Field(min_length=1, max_length=200)
    config: dict[str, Any] = Field(default_factory=dict)
    archive: Archive | None = Field(default=None, description="keep records as they were received; else the organization's word")

    @property
    def key(self) -> str:
        return self.id

    @field_validator("config")
    @classmethod
    def holds_no_secret(cls, config: dict[str, Any]) -> dict[str, Any]:
        for name, value in config.items():
            if not isinstance(value, str):
                continue
            if URL_WITH_PASSWORD.search(value) or (SECRET_NAME.search(name) and not SECRET_REFERENCE.fullmatch(value)):
                raise ValueError(f"config.{name} holds a secret; write a reference such as env:NAME or file:PATH")
        return config


class WaiverScope(Part):
    """Every field that is named must match; an empty scope is the whole organization."""

    workflow: str | None = None
    provider: str | None = None
    model: str | None = None
    environment: str | None = None
    region: str | None = None


class WaiverDocument(Document):
    kind: Literal["waiver"] = "waiver"
    id: str = Field(default="", max_length=200)
    rule: str = Field(pattern=r"^[a-z][a-z0-9_]*(\.[a-z0-9_]+)+$")
    scope: WaiverScope = Field(default_factory=WaiverScope)
    reason: str = Field(min_length=1, max_length=2000)
    compensating_control: str = Field(min_length=1, max_length=2000)
    starts: Moment | None = None
    expires: Moment = Field(description="last day (or instant) of the waiver; a waiver that never expires is refused")

    @property
    def key(self) -> str:
        if self.id:
            return self.id
        scope = self.scope.model_dump(exclude_none=True)
        return self.rule + "".join(f"/{name}={value}" for name, value in sorted(scope.items()))


KINDS: Final[dict[str, type[Document]]] = {
    "organization": OrganizationDocument,
    "person": PersonDocument,
    "workflow": WorkflowDocument,
    "endpoint": EndpointDocument,
    "contract_price": ContractPriceDocument,
    "source": SourceDocument,
    "waiver": WaiverDocument,
    "attribution": AttributionDocument,
    "budget": BudgetDocument,
    "notification": NotificationDocument,
    "allocation": AllocationDocument,
    "driver": DriverDocument,
    "rate_plan": RatePlanDocument,
    "commitment": CommitmentDocument,
    "fx_rate": FxRateDocument,
}
