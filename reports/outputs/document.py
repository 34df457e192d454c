"""The output mapping file: which fact of a month stands in which column or key of a file that another system reads.

Owns: the document's shape, its checks, the shipped mappings, `extends`. Does not own: the facts (facts.py), how rows become bytes (layout.py). Invariants: a mapping
holds names, constants and templates, never code; an unknown key or fact is refused with the place it stands in.
"""

from __future__ import annotations

import re
from pathlib import Path
from string import Formatter
from typing import Any, Final, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from governor.catalog.parse import strict_yaml
from governor.errors import Invalid, TooLarge
from reports.journal import ACCOUNTS

SHIPPED: Final = Path(__file__).parent / "shipped"
LARGEST: Final = 1 << 20
TOLD: Final = 3  # wrong keys named in one refusal
START: Final = "start from `extends: netsuite` (or another of `governor period formats`); docs/outputs.md has an example"
PADDING: Final = re.compile(r"(?:.?[<>^]\d{1,3})?")
JOURNAL_FACTS: Final = frozenset({
    "batch", "reference", "period", "period_name", "entry", "line_no", "posting_date", "entity", "organization", "account", "account_name", "kind", "cost_center",
    "cost_center_name", "description", "line_memo", "memo", "short_memo", "debit", "credit", "currency", "source_document", "external_id", "reverses_external_id",
    "prepared_by", "statement_sha256", "fx_rate", "usd_rate", "fx_source", "fx_date", "local_currency", "local_debit", "local_credit",
})  # fmt: skip
EVENT_FACTS: Final = frozenset({
    "event_id", "period", "time", "customer", "cost_center", "cost_center_name", "workflow", "owner", "provider", "model", "meter", "service_tier",
    "traffic_class", "unit", "quantity", "requests", "amount", "amount_cents", "amount_micro", "exact_cost", "currency", "kind", "charge_month", "corrects",
    "organization", "statement_number",
})  # fmt: skip


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Account(Part):
    """An account of your chart."""

    number: str = Field(min_length=1, max_length=60)
    name: str = Field(default="", max_length=200)


class Center(Part):
    """What one cost center is called elsewhere."""

    name: str | None = None
    code: str | None = Field(default=None, description="the cost center's own id in the target; default: the id in Governor")
    customer: str | None = Field(default=None, description="the customer or subscription that its usage events name")
    accounts: dict[str, Account] = Field(default={}, description="accounts of this cost center that differ, by kind of spend")


class Column(Part):
    """One column of a CSV or key of a JSON record (dots nest): a fact, a constant, or a text with facts in braces."""

    name: str = Field(min_length=1, max_length=120)
    fact: str | None = Field(default=None, alias="from")
    value: str | None = None
    text: str | None = Field(default=None, description="such as '{account} {account_name}'")
    format: str | None = Field(default=None, max_length=40, description="strftime of a day or instant; 'unix' for seconds")
    names: dict[str, str] = Field(default={}, description="what Governor says -> what the target calls it")
    kind: Literal["id", "text", "integer"] = Field(
        default="id", description="id: refused where a spreadsheet would run it; text: defused; integer: a JSON number"
    )
    otherwise: str | None = Field(default=None, description="fact taken where the first is missing")
    required: bool = False
    most: int | None = Field(default=None, ge=1, le=4000, description="longest value; text is cut, an id is refused")

    @model_validator(mode="after")
    def _one_source(self) -> Column:
        if sum(given is not None for given in (self.fact, self.value, self.text)) != 1:
            raise ValueError(f"column {self.name!r}: give exactly one of from, value, text")
        return self

    @model_validator(mode="after")
    def _plain_template(self) -> Column:
        try:
            fields = [(name, spec, conversion) for _, name, spec, conversion in Formatter().parse(self.text or "") if name is not None]
        except ValueError as error:
            raise ValueError(f"column {self.name!r}: {error}") from None
        if not all(name for name, *_ in fields):
            raise ValueError(f"column {self.name!r}: {{}} names no fact")
        if any(conversion or not PADDING.fullmatch(spec or "") for _, spec, conversion in fields):
            raise ValueError(f"column {self.name!r}: a fact in a text may be padded, such as {{account:0>10}}, and nothing else")
        return self

    def facts(self) -> set[str]:
        words = [name for _, name, _, _ in Formatter().parse(self.text or "") if name is not None]
        return {name for name in (*words, self.fact, self.otherwise) if name}


class OutputMapping(Part):
    """A file for one target: its records, its layout, its accounts and names, its columns."""

    output: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")
    about: str = ""
    records: Literal["journal", "events"]
    layout: Literal["csv", "json", "jsonl"] = "csv"
    header: bool = Field(default=True, description="CSV: whether the first row names the columns; some imports go by position alone")
    under: str | None = Field(default=None, description="JSON: the records are a list under this key")
    batch: int | None = Field(default=None, ge=1, le=10_000, description="JSON lines: so many records in one request body")
    currency: Literal["pricing", "statement"] = Field(
        default="pricing", description="journal: what debit and credit are in: US dollars, or the statement's currency at the month's rate"
    )
    values: dict[str, str] = Field(default={}, description="constants of your company that columns use as facts, such as company: '1000'")
    accounts: dict[str, Account] = Field(default={}, description="usage, shadow, correction, unallocated, internal, commitment, clearing")
    cost_centers: dict[str, Center] = {}
    columns: tuple[Column, ...] = Field(min_length=1, max_length=200)

    @model_validator(mode="after")
    def _kinds(self) -> OutputMapping:
        own = {f"cost_centers.{name}.accounts": center.accounts for name, center in self.cost_centers.items()}
        for place, accounts in ({"accounts": self.accounts} | own).items():
            unknown = sorted(accounts.keys() - ACCOUNTS.keys())
            if unknown:
                raise ValueError(f"{place}: no kind of spend {unknown[0]!r}; kinds are {', '.join(ACCOUNTS)}")
        return self

    @model_validator(mode="after")
    def _known(self) -> OutputMapping:
        facts = (JOURNAL_FACTS if self.records == "journal" else EVENT_FACTS) | self.values.keys()
        for column in self.columns:
            unknown = sorted(column.facts() - facts)
            if unknown:
                raise ValueError(f"column {column.name!r}: no fact {unknown[0]!r}; known: {', '.join(sorted(facts))}")
        names = [column.name for column in self.columns]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"column {twice[0]!r} stands twice")
        inside = next(((name, other) for name in names for other in names if other.startswith(f"{name}.")), None)
        if inside and self.layout != "csv":
            raise ValueError(f"column {inside[0]!r} is a value and cannot hold {inside[1]!r}")
        return self


def shipped() -> dict[str, str]:
    """Name -> text of every mapping that comes with the product."""
    return {path.stem: path.read_text(encoding="utf-8") for path in sorted(SHIPPED.glob("*.yaml"))}


def output_mapping(text: str) -> OutputMapping:
    """Raises Invalid with the place that is wrong. `extends: NAME` starts from a shipped mapping."""
    raw = text.encode()
    if len(raw) > LARGEST:
        raise TooLarge(f"the mapping file has {len(raw):,} bytes; at most {LARGEST:,} are read", hint=START)
    found = strict_yaml(raw, "mapping file")
    given = found[0] if len(found) == 1 else None
    if not isinstance(given, dict) or not given:
        raise Invalid(f"the mapping file is {'empty' if not found else 'not one set of keys'}", hint=START)
    base = given.pop("extends", None)
    if base is not None:
        if not isinstance(base, str) or base not in shipped():
            raise Invalid(f"extends: no mapping {base!r} is shipped", hint=f"one of {', '.join(shipped())}")
        given = _over(yaml.safe_load(shipped()[base]), given)
    try:
        return OutputMapping.model_validate(given)
    except ValidationError as error:
        wrong = error.errors()
        more = f" (and {len(wrong) - TOLD} more)" if len(wrong) > TOLD else ""
        raise Invalid("mapping file: " + "; ".join(_told(one) for one in wrong[:TOLD]) + more, hint=START) from None


def _told(error: Any) -> str:
    """What is wrong with which key, and what to write there."""
    parts = [str(part) for part in error["loc"] if part != "[key]"]
    place = ".".join(parts)
    if error["type"] == "extra_forbidden":
        known = {1: OutputMapping.model_fields.keys() | {"extends"}}.get(len(parts), set())
        return f"{place}: no such key" + (f"; keys are {', '.join(sorted(known))}" if known else "")
    if error["type"] == "missing" and place in {"output", "records", "columns"}:
        return f"{place}: is missing; a file without `extends` describes the whole target"
    if error["type"] == "string_type":
        return f"{place}: {error['input']!r} is not text; write it in quotes"
    return f"{place + ': ' if place else ''}{error['msg'].removeprefix('Value error, ')}"


def _over(base: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """Constants, accounts and cost centers are added to; everything else is replaced."""
    merged = base | given
    for name in ("values", "accounts", "cost_centers"):
        if isinstance(base.get(name), dict) and isinstance(given.get(name), dict):
            merged[name] = base[name] | given[name]
    return merged
