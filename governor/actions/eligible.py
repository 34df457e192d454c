"""Which calls of a workflow may be drawn for a shadow run, and why the others may not.

Owns: the reasons, what each of them leaves out in calls, tokens and money. Does not own: finding the calls (workflow_calls.py), the draw (governor.shadow.sampling).
Invariants: every call of the window is eligible or counted under one reason; a call without a price counts as a call and adds no money.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from governor.actions.context import Context
from governor.actions.replay_price import Pricer
from governor.actions.workflow_calls import WorkflowCalls
from governor.catalog import WorkflowDocument
from governor.shadow.plan import Arm
from governor.shadow.sampling import Candidate
from governor.shadow.scope import Scope

FILTERS: Final = ("cost bearing", "production", "status ok or error", "not from a gateway cache", "baseline route", "chat", "content held")
CHAT: Final = frozenset({None, "", "chat", "text_completion", "responses", "generate_content", "messages"})
SENDABLE: Final = frozenset({"full", "redacted"})
BLOCKERS: Final = {
    "truncated": "truncated",
    "tool_side_effect": "tool_result_missing",
    "media_missing": "media_missing",
    "no_content": "content_not_captured",
}


@dataclass(frozen=True)
class Eligible:
    """Calls that may be drawn, the rows they came from, and how many others there were, by reason."""

    candidates: list[Candidate]
    rows: dict[str, dict[str, Any]]
    excluded: Counter[str]
    unpriced: int
    scope: Scope


def eligible_calls(ctx: Context, workflow: WorkflowDocument, baseline: Arm, found: WorkflowCalls, pricer: Pricer) -> Eligible:
    excluded: Counter[str] = Counter()
    unpriced = 0
    scope = Scope()
    candidates: list[Candidate] = []
    rows: dict[str, dict[str, Any]] = {}
    names = route_names(workflow, baseline)
    for row in found.calls.to_pylist():
        why = exclusion(ctx, row, names)
        cost = pricer.recorded(row)
        tokens = (row["input_tokens"] or 0) + (row["output_tokens"] or 0)
        scope.count(why, tokens, cost or 0)
        if why:
            excluded[why] += 1
            continue
        unpriced += cost is None
        rows[row["record_id"]] = row
        candidates.append(Candidate(cost or 0, row["record_id"], row["cluster"], tokens))
    return Eligible(candidates, rows, excluded, unpriced, scope)


def exclusion(ctx: Context, row: Mapping[str, Any], names: frozenset[str]) -> str:
    """Why a call cannot be drawn; empty when it can."""
    state, address = row["content_state"], row["input_sha256"]
    reasons = (
        (row["traffic_class"] != "production", "not_production"),
        (row["status"] not in {"ok", "error"}, "cancelled_or_blocked"),
        (str(row["gateway_cache"] or "").startswith("hit"), "gateway_cache_hit"),
        (row["operation"] not in CHAT, "not_chat"),
        (not on_route(row, names), "other_route"),
        (state not in SENDABLE or not address, "content_not_captured"),
        (row["replayable"] is False, blocker(str(row["replay_blockers"] or ""))),
    )
    why = next((reason for met, reason in reasons if met), "")
    return why or ("" if ctx.content.exists(str(address)) else "content_not_held")


def blocker(said: str) -> str:
    """What the connector said stands in the way of a replay."""
    return next((reason for name, reason in BLOCKERS.items() if name in said.split(",")), "not_replayable")


def route_names(workflow: WorkflowDocument, baseline: Arm) -> frozenset[str]:
    """Names under which gateways report the baseline's model."""
    aliases = {
        alias
        for route in workflow.routes
        if (route.provider, route.model) == (baseline.provider, baseline.model)
        for alias in route.aliases
    }
    return frozenset({baseline.model, *aliases})


def on_route(row: Mapping[str, Any], names: frozenset[str]) -> bool:
    """Was the baseline asked for, routed to, or answering? A dated snapshot of a model is that model."""
    said = [bare(row[name]) for name in ("requested_model", "routed_model", "response_model") if row[name]]
    return any(one == bare(name) or one.startswith(f"{bare(name)}-20") for one in said for name in names)


def bare(model: str) -> str:
    """Without the provider prefix that gateways put before a model."""
    return model.rpartition("/")[2]
