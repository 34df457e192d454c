"""The catalog as Rego sees it (data.catalog), and the instants at which a decision can change.

Owns: normalisation (canonical provider and model names, integer micro-USD, RFC 3339 instants) and validity epochs. Does not own: the documents
(governor.catalog). It reads a Catalog, or plain mappings shaped like the YAML.
Invariants: a date that ends something includes that day (in UTC); limits are rounded down, so rounding never loosens one; a table row that no rule
could read is refused here, not discovered by a failing rule.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import ROUND_FLOOR, Decimal
from functools import cache
from importlib.resources import files
from typing import Any

from governor.catalog import CAPTURE_DEFAULTS, begins, ends
from governor.errors import Invalid

SNAPSHOT = re.compile(r"[-@](\d{4}-\d{2}-\d{2}|\d{8}|latest)(-v\d+(:\d+)?)?")
BEGINNING = "1970-01-01T00:00:00Z"


@dataclass(frozen=True)
class Epoch:
    """Within [start, end) no decision changes by time alone; `at` is what questions carry."""

    start: datetime
    end: datetime
    at: str


def catalog_data(catalog: Any) -> dict[str, Any]:
    """data.catalog from a Catalog, or from a mapping with `workflows`, `waivers`, `endpoints`, `organization` (each may be missing)."""
    organization = next(iter(_documents(catalog, "organization")), {})
    capture = {**CAPTURE_DEFAULTS, **(organization.get("content_capture") or {})}
    workflows = {str(one["id"]): _workflow(one, capture) for one in _documents(catalog, "workflows")}
    named = [name for one in workflows.values() for route in (*one["routes"], *one["fallback"]) for name in route["names"][:1]]
    return {
        "workflows": workflows,
        "models": dict.fromkeys(sorted(set(named)), True),
        "waivers": [_waiver(one) for one in _documents(catalog, "waivers")],
        "endpoints": sorted(str(one["id"]) for one in _documents(catalog, "endpoints")),
        "providers": {canonical_provider(name): dict(terms) for name, terms in sorted((organization.get("providers") or {}).items())},
        "tables": _tables(organization.get("tables") or {}),
    }


def boundaries(catalog: Any) -> list[datetime]:
    """Every instant at which a decision could change: approvals that start or end, waivers that start or expire."""
    data = catalog_data(catalog)
    found = {
        route[edge]
        for one in data["workflows"].values()
        for route in (*one["routes"], *one["fallback"])
        for edge in ("approved_from", "approved_until")
    }
    found |= {waiver[edge] for waiver in data["waivers"] for edge in ("starts", "expires")}
    return sorted(datetime.fromisoformat(text) for text in found if text is not None)


def epochs(edges: Iterable[datetime], start: datetime, end: datetime) -> list[Epoch]:
    """Cut [start, end) at the boundaries. `at` is the boundary an epoch began with, even before `start`, so that months share decisions."""
    edges = sorted(set(edges))
    before = [edge for edge in edges if edge <= start]
    inside = [edge for edge in edges if start < edge < end]
    first = rfc3339(before[-1]) if before else BEGINNING
    starts, ats = [start, *inside], [first, *map(rfc3339, inside)]
    return [Epoch(one, until, at) for one, until, at in zip(starts, [*inside, end], ats, strict=True)]


def rfc3339(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


@cache
def provider_aliases() -> Mapping[str, str]:
    loaded = json.loads(files("policies").joinpath("data/providers.json").read_text(encoding="utf-8"))
    return dict(loaded["aliases"])


def canonical_provider(name: str) -> str:
    """The gen_ai.provider.name of a provider, from the table the rules use as well."""
    return provider_aliases().get(name.lower(), name.lower())


def bare_model(name: str) -> str:
    """Lower case, without a `provider/` prefix."""
    return name.lower().rsplit("/", 1)[-1]


def serves(model: str, named: str) -> bool:
    """Is the name that answered this model, or a dated snapshot of it? Normalised as the rules do (policies/lib/names.rego)."""
    asked, found = bare_model(model), bare_model(named)
    return found == asked or (found.startswith(asked) and SNAPSHOT.fullmatch(found[len(asked) :]) is not None)


def _documents(catalog: Any, name: str) -> list[dict[str, Any]]:
    found = catalog.get(name) if isinstance(catalog, Mapping) else getattr(catalog, name, None)
    if found is None:
        return []
    if name == "organization":
        found = [found]
    if isinstance(found, Mapping):
        found = found.values()
    return [_plain(one) for one in found]


def _plain(one: Any) -> dict[str, Any]:
    if isinstance(one, Mapping):
        return dict(one)
    if hasattr(one, "document"):  # a waiver and who put it in force
        return {**one.document.model_dump(), "id": one.id, "approver": one.approver}
    return dict(one.model_dump())


TABLE_FIELDS: Mapping[str, Mapping[str, type | tuple[type, ...]]] = {
    "data_classes": {"rank": int, "providers": list, "regions": list, "max_retention_days": (int, type(None))},
    "approval": {
        "finance_delta_micro_usd": int,
        "security_classes": list,
        "security_risk_tiers": list,
        "passkey_classes": list,
        "passkey_risk_tiers": list,
    },
    "limits": {"budget_warn_percent": int, "environments": dict},
}


def _tables(tables: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Rows of the organization that win over the shipped tables, with the fields and types the rules read."""
    for name, table in tables.items():
        if name not in TABLE_FIELDS:
            raise Invalid(f"organization: tables.{name} is not a policy table", hint=f"tables are {', '.join(TABLE_FIELDS)}")
        rows = table.items() if name == "data_classes" else [("", table)]
        for key, row in rows:
            where = f"organization: tables.{name}" + (f".{key}" if key else "")
            for field, value in row.items() if isinstance(row, Mapping) else [("", row)]:
                kind = TABLE_FIELDS[name].get(field)
                if kind is None or isinstance(value, bool) or not isinstance(value, kind):
                    raise Invalid(f"{where}{'.' + field if field else ''} is not a field of this table or has the wrong type")
    return {name: {key: _lowered(row) for key, row in table.items()} for name, table in tables.items()}


def _lowered(row: Any) -> Any:
    """Providers and regions are compared in lower case."""
    if not isinstance(row, Mapping):
        return row
    return {field: [str(item).lower() for item in value] if isinstance(value, list) else value for field, value in row.items()}


def _workflow(one: Mapping[str, Any], capture: Mapping[str, str]) -> dict[str, Any]:
    ident = one["id"]
    return {
        "owner": one.get("owner"),
        "cost_center": one.get("cost_center"),
        "environment": one.get("environment"),
        "risk_tier": one.get("risk_tier"),
        "data_class": one.get("data_class"),
        "content_capture": one.get("content_capture") or capture.get(str(one.get("data_class")), "off"),
        "latency_target_ms": one.get("latency_target_ms"),
        "max_cost_micro_usd": micro_usd(one.get("max_cost_per_call"), f"workflow {ident}: max_cost_per_call"),
        "monthly_budget_micro_usd": micro_usd(one.get("monthly_budget"), f"workflow {ident}: monthly_budget"),
        "routes": [_route(route, str(route.get("id") or f"{ident}#{number}")) for number, route in enumerate(one.get("routes") or (), 1)],
        "fallback": [
            _route(route, str(route.get("id") or f"{ident}#fallback{number}")) for number, route in enumerate(one.get("fallback") or (), 1)
        ],
    }


def _route(route: Mapping[str, Any], ident: str) -> dict[str, Any]:
    model = bare_model(str(route["model"]))
    aliases = [str(alias).lower() for alias in route.get("aliases") or ()]
    return {
        "id": ident,
        "provider": canonical_provider(str(route["provider"])),
        "model": model,
        "names": [model, *(alias for alias in aliases if alias != model)],
        "regions": [str(region).lower() for region in route.get("regions") or ()],
        "retention_days": route.get("retention_days"),
        "approved_from": _opens(route.get("approved_from"), f"route {ident}: approved_from"),
        "approved_until": _closes(route.get("approved_until"), f"route {ident}: approved_until"),
    }


def _waiver(one: Mapping[str, Any]) -> dict[str, Any]:
    scope = {name: value for name, value in dict(one.get("scope") or {}).items() if value is not None}
    rule, expires = str(one["rule"]), _closes(one.get("expires"), f"waiver of {one['rule']}: expires")
    named = ",".join(f"{name}={scope[name]}" for name in sorted(scope)) or "everything"
    return {
        "id": str(one.get("id") or f"{rule}/{named}"),
        "rule": rule,
        "scope": scope,
        "reason": one.get("reason"),
        "compensating_control": one.get("compensating_control"),
        "approver": next((str(one[name]) for name in ("approver", "approved_by", "applied_by") if one.get(name)), None),
        "starts": _opens(one.get("starts") or one.get("valid_from"), f"waiver of {rule}: starts"),
        "expires": expires,
    }


def micro_usd(amount: Any, what: str) -> int | None:
    """A decimal amount as integer micro-USD, rounded down."""
    if amount is None:
        return None
    if isinstance(amount, float):
        raise Invalid(f"{what}: {amount} is a float; write the amount in quotes")
    try:
        return int((Decimal(str(amount)) * 1_000_000).to_integral_value(ROUND_FLOOR))
    except ArithmeticError:
        raise Invalid(f"{what}: {amount!r} is not an amount") from None


def _opens(value: Any, what: str) -> str | None:
    return _instant(value, what, begins)


def _closes(value: Any, what: str) -> str | None:
    return _instant(value, what, ends)


def _instant(value: Any, what: str, read: Callable[[str], datetime]) -> str | None:
    """One spelling for every instant, so that equal ones are equal text."""
    if value is None or value == "":
        return None
    text = value.isoformat() if isinstance(value, date) else str(value)
    try:
        instant = read(text)
    except ValueError:
        raise Invalid(f"{what}: {text!r} is neither a date nor an instant") from None
    if instant.tzinfo is None:
        raise Invalid(f"{what}: {text} has no time zone")
    return rfc3339(instant)
