"""One call as facts: its canonical columns, its witnesses, and how it was attributed, priced and judged. Never its content.

Owns: the document of a call. Does not own: governing (govern.py), the columns (governor/calls). Invariants: no prompt, output, request parameter or provider
message is in the document, whatever the capture mode; a call is governed by the same code as its month, with the catalog in force when it happened.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from governor.actions.context import Actor, Context
from governor.actions.govern import Group, govern
from governor.actions.usage import usd
from governor.calls import COLUMN_GROUPS
from governor.errors import NotFound

# May quote what was said to a model or by it.
WITHHELD: Final = frozenset({"error_message", "request_params", "guardrail_results", "usage_raw", "routing_detail", "raw_ref"})
QUOTING: Final = frozenset({"error_message", "request_params", "guardrail_results"})  # of these, words
NEAR: Final = timedelta(days=2)
WITNESS_COLUMNS: Final = ("record_id", "source_kind", "source_instance", "start_time", "cost_bearing", "exclusion_reason")


def show_call(ctx: Context, record_id: str) -> dict[str, Any]:
    """{"record_id","facts": {group: [{"name","doc","value"}]},"governed","witnesses","archived"}; unknown facts are left out. Raises NotFound."""
    found = ctx.lake.calls([record_id]).to_pylist()
    if not found:
        raise NotFound(f"no call {record_id[:80]}", hint="a record id is 64 hex digits; findings and exports name them")
    call = found[0]
    return {
        "record_id": record_id,
        "start_time": call["start_time"],
        "cost_bearing": call["cost_bearing"],
        "exclusion_reason": call["exclusion_reason"],
        "provider": call["provider"],
        "model": call["response_model"] or call["routed_model"] or call["requested_model"],
        "status": call["status"] or "ok",
        "facts": facts_of(call),
        "governed": governed(ctx, call) if call["cost_bearing"] else None,
        "witnesses": witnesses(ctx, call),
        "archived": call["raw_ref"] is not None,
    }


def kept_from(actor: Actor) -> frozenset[str]:
    """Columns of calls that this reader gets empty: only security, and the operator at their own home, may read words of prompts of all workflows."""
    return QUOTING if actor.kind == "person" and "security" not in actor.roles else frozenset()


def facts_of(call: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """What the source said, group by group, in the schema's order."""
    return {
        group: known
        for group, fields in COLUMN_GROUPS.items()
        if (
            known := [
                {"name": field.name, "doc": (field.metadata or {}).get(b"doc", b"").decode(), "value": call[field.name]}
                for field in fields
                if field.name not in WITHHELD and call[field.name] not in (None, [], "")
            ]
        )
    }


def governed(ctx: Context, call: dict[str, Any]) -> dict[str, Any] | None:
    """Null when too many calls share the instant to tell this one's group from its look-alikes."""
    month = govern(ctx, call["start_time"], call["start_time"] + timedelta(microseconds=1))
    group = next((one for one in month.groups if call["record_id"] in one.examples), None)
    return None if group is None else governed_document(group, month.price_book, month.policy_revision, month.catalog_digest)


def governed_document(group: Group, price_book: str, policy_revision: str, catalog: str) -> dict[str, Any]:
    """alone: the sums of the group are this call's."""
    alone, decision = group.calls == 1, group.decision
    priced = group.price_status != "unpriced"
    return {
        "workflow": group.workflow_id,
        "owner": group.owner,
        "cost_center": group.cost_center,
        "rule": group.rule_id,
        "reason": group.attribution_reason,
        "price_status": group.price_status,
        "price_reason": group.rated.detail or group.rated.reason,
        "list_cost": usd(group.list_pico) if priced and alone else None,
        "contracted_cost": usd(group.contracted_pico) if priced and alone else None,
        "gateway_cost": usd(group.gateway_pico) if group.gateway_pico is not None and alone else None,
        "provider_cost": usd(group.provider_pico) if group.provider_pico is not None and alone else None,
        "ledger_cost": usd(group.contracted_pico) if priced and alone else None,
        "cost_basis": cost_basis(group),
        "route_status": decision.route_status,
        "decision": decision.status,
        "objections": [
            {"status": status, "rule": one.rule, "message": one.message, "solution": one.solution}
            for status, several in (("violation", decision.violations), ("waived", decision.waived), ("warning", decision.warnings))
            for one in several
        ]
        + [{"status": "undecided", "rule": one.rule, "message": one.reason, "solution": ""} for one in decision.undecided],
        "provenance": {"price_book": price_book, "policy": policy_revision, "catalog": catalog},
    }


def cost_basis(group: Group) -> str | None:
    """Which of contract > list > provider decided what is charged; null where nothing did."""
    if group.price_status == "priced":
        return "contract" if any(part.contract_price.kind == "contract" for part in group.rated.parts) else "list"
    return {"priced_by_provider": "provider", "zero_rated": "zero_rated"}.get(group.price_status)


def witnesses(ctx: Context, call: dict[str, Any]) -> list[dict[str, Any]]:
    """Other records of the same real call, which are close to it in time (store/lake_witness.py)."""
    if call["dup_group_key"] is None:
        return []
    at = call["start_time"]
    rows = ctx.lake.calls(
        equal={"dup_group_key": call["dup_group_key"]}, start=at - NEAR, end=at + NEAR, columns=WITNESS_COLUMNS, limit=50
    ).to_pylist()
    return [row for row in rows if row["record_id"] != call["record_id"]]
