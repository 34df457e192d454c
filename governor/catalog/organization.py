"""The organization and its people.

Owns: billing zone, defaults per data class, provider terms, policy table rows, persons and their roles. Does not own: passwords and tokens (actions/people.py).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator

from governor.catalog.fields import Capture, DataClass, Document, Email, Part, Role


class ProviderTerms(Part):
    """What a contract with a provider says. retention_days: how long it may keep prompts; 0 is zero retention."""

    retention_days: int | None = Field(default=None, ge=0)
    contract_ref: str = ""


class OrganizationDocument(Document):
    kind: Literal["organization"] = "organization"
    name: str = ""
    billing_zone: str = Field(default="UTC", description="IANA time zone that decides calendar months and budgets")
    content_capture: dict[DataClass, Capture] = Field(default_factory=dict, description="default capture per data class")
    content_retention_days: dict[DataClass, Annotated[int, Field(ge=0)]] = Field(default_factory=dict)
    providers: dict[str, ProviderTerms] = Field(default_factory=dict)
    tables: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="rows that win over the policy tables shipped: data_classes, approval, limits"
    )

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
    email: Email
    name: str = ""
    roles: list[Role] = Field(default_factory=list)
    disabled: bool = False

    @property
    def key(self) -> str:
        return self.email
