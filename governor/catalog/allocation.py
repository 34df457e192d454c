"""Shared costs and internal prices: who pays for what nobody, or everybody, used.

Owns: `kind: allocation`, `kind: driver`, `kind: rate_plan`, and what makes rules contradict each other. Does not own: the arithmetic
(chargeback/allocate, chargeback/plans). Invariants: a method has exactly the fields it needs; fixed percents sum to 100;
the source of one rule is neither source nor target of another, so one pass is enough.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Annotated, Final, Literal

from pydantic import Field, field_validator, model_validator

from governor.catalog.fields import Document, Identifier, Name, Part
from governor.catalog.moments import Money
from governor.errors import Invalid

CostCenter = Annotated[str, Field(min_length=1, max_length=100)]
Method = Literal["direct", "mapped", "even", "fixed", "proportional", "driver", "residual"]
Plan = Literal["pass_through", "platform_fee", "fixed_fee", "tiered", "credit_pool"]
NEEDS: Final[dict[str, tuple[str, ...]]] = {  # method -> fields that must be set; other fields of METHOD_FIELDS must not
    "direct": ("source", "targets"),
    "mapped": ("source", "by", "mapping"),
    "even": ("source", "targets"),
    "fixed": ("source", "percents"),
    "proportional": ("source",),
    "driver": ("source", "driver"),
    "residual": ("targets",),
}
MAY: Final[dict[str, tuple[str, ...]]] = {"proportional": ("targets",), "driver": ("targets",)}
METHOD_FIELDS: Final = ("source", "targets", "percents", "by", "mapping", "driver")
PLAN_NEEDS: Final[dict[str, tuple[str, ...]]] = {
    "pass_through": (),
    "platform_fee": ("percent",),
    "fixed_fee": ("amount",),
    "tiered": ("tiers",),
    "credit_pool": ("amount",),
}
BUILT_IN_DRIVERS: Final = ("tokens", "calls")
HUNDRED: Final = Decimal(100)
Percent = Annotated[Money, Field(description='percent as quoted text, such as "12.5"')]


class AllocationSource(Part):
    """Whose production spend is shared out: a cost center (UNALLOCATED is what has none) or one workflow."""

    cost_center: CostCenter | None = None
    workflow: Identifier | None = None

    @model_validator(mode="after")
    def is_one(self) -> AllocationSource:
        if (self.cost_center is None) == (self.workflow is None):
            raise ValueError("name exactly one of cost_center, workflow")
        return self

    @property
    def words(self) -> str:
        return f"cost center {self.cost_center}" if self.cost_center else f"workflow {self.workflow}"


class AllocationDocument(Document):
    """One rule. Rules are asked in `order`; a charge is taken by the first whose source it is, and is never shared out twice."""

    kind: Literal["allocation"] = "allocation"
    id: Identifier
    order: int = Field(default=100, ge=1, le=10_000)
    method: Method
    source: AllocationSource | None = Field(default=None, description="not with residual: it takes what all other sources left")
    targets: list[CostCenter] = Field(default_factory=list, max_length=2000)
    percents: dict[CostCenter, Percent] = Field(default_factory=dict, description="fixed: cost center -> percent, summing to 100")
    by: Literal["workflow", "owner", "provider", "model"] | None = None
    mapping: dict[Name, CostCenter] = Field(default_factory=dict, description="mapped: value of `by` -> cost center")
    driver: Identifier | None = Field(default=None, description="driver: id of a `kind: driver`, or tokens, or calls")
    reason: str = Field(default="", max_length=500, description="printed on the statement")

    @property
    def key(self) -> str:
        return self.id

    @model_validator(mode="after")
    def has_what_the_method_needs(self) -> AllocationDocument:
        needed = NEEDS[self.method]
        missing = [name for name in needed if not getattr(self, name)]
        if missing:
            raise ValueError(f"method {self.method} needs {' and '.join(missing)}")
        extra = [name for name in METHOD_FIELDS if name not in (*needed, *MAY.get(self.method, ())) and getattr(self, name)]
        if extra:
            raise ValueError(f"method {self.method} has no use for {', '.join(extra)}")
        if self.method in {"direct", "residual"} and len(self.targets) != 1:
            raise ValueError(f"method {self.method} has one target")
        if len(set(self.targets)) != len(self.targets):
            raise ValueError("targets: a cost center is written twice")
        if self.method == "fixed":
            total = sum((Decimal(text) for text in self.percents.values()), Decimal(0))
            if total != HUNDRED:
                raise ValueError(f"percents sum to {total}, not 100")
        return self

    @property
    def paid_by(self) -> frozenset[str]:
        """Cost centers that are named as payers; empty where every cost center may be one."""
        return frozenset((*self.targets, *self.percents, *self.mapping.values()))


class DriverDocument(Document):
    """Weights by cost center for one month, and where they come from: heads, seats, square meters."""

    kind: Literal["driver"] = "driver"
    id: Identifier
    period: str = Field(pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])$", description="the month the weights are of, YYYY-MM")
    source: Name = Field(description="where the weights come from, such as an HR export and its date")
    weights: dict[CostCenter, Money] = Field(min_length=1, max_length=2000)

    @property
    def key(self) -> str:
        return f"{self.id}/{self.period}"

    @field_validator("id")
    @classmethod
    def is_not_built_in(cls, name: str) -> str:
        if name in BUILT_IN_DRIVERS:
            raise ValueError(f"{name} is measured by Governor; choose another name")
        return name

    @model_validator(mode="after")
    def weighs_something(self) -> DriverDocument:
        if not any(Decimal(text) for text in self.weights.values()):
            raise ValueError("weights: at least one is more than zero")
        return self


class Tier(Part):
    """A fee on the part of the month's cost up to a limit; the last tier has none."""

    up_to: Money | None = None
    percent: Percent


class RatePlanDocument(Document):
    """How cost centers are charged inside the company. Every fee has its counter line in `recovers_to`, so the month's total stays what providers charge."""

    kind: Literal["rate_plan"] = "rate_plan"
    id: Identifier
    plan: Plan
    cost_centers: list[CostCenter] = Field(min_length=1, max_length=2000)
    recovers_to: CostCenter = Field(description="the cost center that receives fees and funds credits")
    percent: Percent | None = None
    amount: Money | None = Field(
        default=None, description="fixed_fee: USD a month instead of usage; credit_pool: USD a month each may draw"
    )
    tiers: list[Tier] = Field(default_factory=list, max_length=20)

    @property
    def key(self) -> str:
        return self.id

    @model_validator(mode="after")
    def has_what_the_plan_needs(self) -> RatePlanDocument:
        needed = PLAN_NEEDS[self.plan]
        for name in ("percent", "amount", "tiers"):
            given = bool(getattr(self, name)) if name == "tiers" else getattr(self, name) is not None
            if given != (name in needed):
                raise ValueError(f"plan {self.plan} {'needs' if name in needed else 'has no use for'} {name}")
        if self.recovers_to in self.cost_centers:
            raise ValueError(f"recovers_to: {self.recovers_to} would pay itself")
        if len(set(self.cost_centers)) != len(self.cost_centers):
            raise ValueError("cost_centers: one is written twice")
        limits = [tier.up_to for tier in self.tiers]
        rising = [Decimal(text) for text in limits[:-1] if text is not None]
        if self.tiers and (limits[-1] is not None or len(rising) != len(limits) - 1 or rising != sorted(set(rising)) or 0 in rising):
            raise ValueError("tiers: every tier but the last has up_to, rising; the last has none")
        return self


def check_allocations(rules: Iterable[AllocationDocument]) -> None:
    """Raise Invalid, naming the rule, where a source is used twice or is a target elsewhere (a cycle, or a second pass)."""
    ordered = sorted(rules, key=lambda rule: (rule.order, rule.id))
    sources: dict[AllocationSource, AllocationDocument] = {}
    for rule in ordered:
        if rule.source is None:
            continue
        other = sources.setdefault(rule.source, rule)
        if other is not rule:
            raise Invalid(
                f"allocation {rule.id}: {rule.source.words} is the source of allocation {other.id} already",
                hint="a source is shared out by one rule; a residual rule takes what that rule leaves",
            )
    centers = {source.cost_center: rule for source, rule in sources.items() if source.cost_center}
    for rule in ordered:
        for target in sorted(rule.paid_by):
            if target == "UNALLOCATED":
                raise Invalid(f"allocation {rule.id}: UNALLOCATED cannot be a target", hint="name the cost center that pays")
            if target in centers:
                raise Invalid(
                    f"allocation {rule.id}: target {target} is the source of allocation {centers[target].id}",
                    hint="a cost center is shared out or pays, never both: rules run in one pass without cycles",
                )
    residual = [rule for rule in ordered if rule.method == "residual"]
    if len(residual) > 1:
        raise Invalid(f"allocation {residual[1].id}: {residual[0].id} takes the residual already")
    if residual and ordered[-1] is not residual[0]:
        raise Invalid(f"allocation {residual[0].id}: a residual rule comes last", hint=f"give it an order above {ordered[-1].order}")


def check_rate_plans(plans: Iterable[RatePlanDocument]) -> None:
    """Raise Invalid where a cost center has two plans, or one that recovers is charged by another."""
    ordered = sorted(plans, key=lambda plan: plan.id)
    held: dict[str, RatePlanDocument] = {}
    for plan in ordered:
        for center in plan.cost_centers:
            other = held.setdefault(center, plan)
            if other is not plan:
                raise Invalid(f"rate_plan {plan.id}: {center} is on rate_plan {other.id} already")
    for plan in ordered:
        if plan.recovers_to in held:
            raise Invalid(f"rate_plan {plan.id}: {plan.recovers_to} recovers here and is charged by rate_plan {held[plan.recovers_to].id}")
