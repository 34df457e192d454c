"""The organization and its people.

Owns: billing zone, defaults per data class, provider terms, policy table rows, persons and their roles. Does not own: passwords and tokens (actions/people.py).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator, model_validator

from governor.catalog.fields import Archive, Capture, DataClass, Document, Email, Part, PersonEmail, Role


class ProviderTerms(Part):
    """What a contract with a provider says. retention_days: how long it may keep prompts; 0 is zero retention."""

    retention_days: int | None = Field(default=None, ge=0)
    contract_ref: str = ""


class MonthEnd(Part):
    """How this organization ends a month. Defaults: one person closes, corrections are differences, shadow spend is the requester's."""

    two_people: bool = Field(default=False, description="a close takes effect when a second person of finance or admin runs it too")
    reconciled: bool = Field(default=False, description="a month closes only when its newest comparison with the bills says reconciled")
    corrections: Literal["delta", "ledger"] = Field(
        default="delta", description="delta: the difference; ledger: the charge taken back whole, then charged again"
    )
    shadow_charged_to: Literal["requester", "workflow_owner", "platform"] = Field(
        default="requester", description="whose cost center pays for shadow replays and judge calls"
    )
    people: dict[Email, Annotated[str, Field(min_length=1, max_length=100)]] = Field(
        default_factory=dict, description="e-mail of a requester -> cost center; who is not named pays from the workflow's"
    )
    currency: str = Field(
        default="USD",
        pattern=r"^[A-Z]{3}$",
        description="of statements and journals; another than USD needs a kind: fx_rate for each month",
    )
    platform_cost_center: Annotated[str, Field(max_length=100)] = ""

    @model_validator(mode="after")
    def knows_the_platform(self) -> MonthEnd:
        if self.shadow_charged_to == "platform" and not self.platform_cost_center:
            raise ValueError("platform_cost_center: name the cost center that pays for shadow spend")
        return self


class OrganizationDocument(Document):
    kind: Literal["organization"] = "organization"
    name: str = ""
    billing_zone: str = Field(default="UTC", description="IANA time zone that decides calendar months and budgets")
    content_capture: dict[DataClass, Capture] = Field(default_factory=dict, description="default capture per data class")
    content_retention_days: dict[DataClass, Annotated[int, Field(ge=0)]] = Field(default_factory=dict)
    archive: Archive = Field(default="off", description="full: keep records as they were received, of calls whose content is kept in full")
    providers: dict[str, ProviderTerms] = Field(default_factory=dict)
    tables: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="rows that win over the policy tables shipped: data_classes, approval, limits"
    )

    month_end: MonthEnd = Field(default_factory=MonthEnd)

    @property
    def key(self) -> str:
        return "organization"

    @field_validator("billing_zone")
    @classmethod
    def known_zone(cls, text: str) -> str:
        try:
            ZoneInfo(text)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError("unknown time zone; use an IANA name such as Europe/Berlin") from None
        return text


class PersonDocument(Document):
    kind: Literal["person"] = "person"
    email: PersonEmail
    name: str = ""
    roles: list[Role] = Field(default_factory=list)
    disabled: bool = False

    @property
    def key(self) -> str:
        return self.email
