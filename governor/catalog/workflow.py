"""Workflows and the rules that find their calls.

Owns: workflow, route, fallback, output contract, standalone attribution rules. Does not own: how a rule is matched (governor.attribution).
Invariants: a workflow has an owner; an approved route says until when; route ids differ within a workflow.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from governor.catalog.fields import CAPTURE_DEFAULTS, RETENTION_DEFAULTS, Capture, DataClass, Document, Email, Identifier, Match, Name, Part
from governor.catalog.moments import Moment, Money, begins, ends
from governor.catalog.organization import OrganizationDocument


class Route(Part):
    """A provider and model a workflow may use. `aliases`: other names the gateway uses for it. No regions means any region."""

    id: Identifier
    provider: Name
    model: Name
    regions: list[Name] = Field(default_factory=list)
    aliases: list[Name] = Field(default_factory=list)
    retention_days: int | None = Field(default=None, ge=0, description="how long the provider keeps prompts on this route, where agreed")
    approved_from: Moment | None = None
    approved_until: Moment = Field(description="last day (or instant) of the approval; approvals never run for ever")
    change: str = Field(default="", description="the change request that approved it; written by `change cutover`")

    @model_validator(mode="after")
    def ends_after_it_begins(self) -> Route:
        if self.approved_from and ends(self.approved_until) <= begins(self.approved_from):
            raise ValueError("approved_until lies before approved_from")
        return self


class Fallback(Part):
    provider: Name
    model: Name
    regions: list[Name] = Field(default_factory=list)
    aliases: list[Name] = Field(default_factory=list)
    retention_days: int | None = Field(default=None, ge=0)
    approved_from: Moment | None = None
    approved_until: Moment | None = None


class OutputContract(Part):
    json_schema: dict[str, Any]

    @field_validator("json_schema")
    @classmethod
    def is_a_schema(cls, schema: dict[str, Any]) -> dict[str, Any]:
        import jsonschema  # few workflows have a contract, and every command reads the catalog

        try:
            jsonschema.Draft202012Validator.check_schema(schema)
        except jsonschema.SchemaError as error:
            raise ValueError(f"not a JSON Schema: {error.message}") from None
        return schema


class Revalidate(Part):
    """How often an approved route of the workflow is asked again with prompts of its approved evidence, on how many, for how much at most."""

    every_days: int = Field(default=30, ge=1, le=366)
    sample: int = Field(default=50, ge=20, le=500, description="prompts of a check; each is asked twice")
    budget_usd: Money = Field(default="2", description="the most a check may spend")


class RubricCriterion(Part):
    """What a judge weighs when two answers differ: a name, what it means, how heavy it is beside the others."""

    name: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9_ -]{0,59}$")
    text: str = Field(min_length=1, max_length=1000)
    weight: str = Field(default="1", pattern=r"^[0-9]{1,3}(\.[0-9]{1,3})?$")


class WorkflowDocument(Document):
    kind: Literal["workflow"] = "workflow"
    id: Identifier
    name: str = ""
    owner: Email
    cost_center: str = Field(default="", max_length=100)
    grc_id: str = ""
    environment: str = "production"
    risk_tier: Literal["low", "medium", "high"] = "medium"
    data_class: DataClass = "internal"
    latency_target_ms: int | None = Field(default=None, gt=0)
    max_cost_per_call: Money | None = None
    monthly_budget: Money | None = None
    output_contract: OutputContract | None = None
    rubric: list[RubricCriterion] = Field(default_factory=list, max_length=12, description="what the judge of a shadow run weighs")
    content_capture: Capture | None = None
    content_retention_days: int | None = Field(default=None, ge=0)
    revalidate: Revalidate | None = Field(
        default=None, description="check approved routes on a schedule; without it they are not asked again"
    )
    order: int = Field(default=0, description="lower is asked first; equal orders keep the order of first application")
    match: list[Match] = Field(default_factory=list)
    routes: list[Route] = Field(default_factory=list)
    fallback: list[Fallback] = Field(default_factory=list)

    @property
    def key(self) -> str:
        return self.id

    @field_validator("owner", mode="before")
    @classmethod
    def somebody_owns_it(cls, value: Any) -> Any:
        if value is None or (isinstance(value, str) and not value.strip()):
            raise ValueError("a workflow without an owner is refused; name the e-mail of the person who answers for it")
        return value

    @model_validator(mode="after")
    def routes_differ(self) -> WorkflowDocument:
        ids = [route.id for route in self.routes]
        twice = sorted({name for name in ids if ids.count(name) > 1})
        if twice:
            raise ValueError(f"route id {twice[0]!r} is used twice")
        return self

    def capture(self, organization: OrganizationDocument | None = None) -> Capture:
        """The workflow's own word, then the organization's for its data class, then the default."""
        of_class = organization.content_capture if organization else {}
        return self.content_capture or of_class.get(self.data_class) or CAPTURE_DEFAULTS[self.data_class]

    def retention_days(self, organization: OrganizationDocument | None = None) -> int:
        if self.content_retention_days is not None:
            return self.content_retention_days
        of_class = organization.content_retention_days if organization else {}
        return of_class.get(self.data_class, RETENTION_DEFAULTS[self.data_class])


class AttributionRule(Part):
    workflow: Identifier
    match: Match


class AttributionDocument(Document):
    """Ordered rules that stand apart from the workflows, such as those a platform team keeps for legacy keys."""

    kind: Literal["attribution"] = "attribution"
    id: Identifier
    order: int = Field(default=0, description="lower is asked first, together with the orders of workflows")
    rules: list[AttributionRule] = Field(min_length=1)

    @property
    def key(self) -> str:
        return self.id
