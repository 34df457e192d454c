"""The decision API: may a call like this one be made now? For gateways that ask before they send; Governor itself blocks nothing.

Owns: attribution of the asked call, the question, engines that stay loaded. Does not own: the rules (policies), the answer's meaning (policy/decision).
Invariants: the same question as the month's findings ask afterwards; an engine is loaded once per catalog; a fact nobody gave is null, never a default
that allows; nothing is stored and nothing of the call's content is asked for.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from governor.actions.context import Context
from governor.actions.judge import judge, prepare
from governor.actions.load_catalog import catalog_as_of
from governor.attribution import Attribution, Rule, attribute, rules_of
from governor.catalog import Catalog
from governor.policy.catalog_data import boundaries, epochs
from governor.policy.question import CallQuestion
from governor.ports import PolicyEngine

KEPT: Final = 4
_loaded: dict[tuple[str, str, str, str], Loaded] = {}
_lock = threading.Lock()


@dataclass(frozen=True)
class AskedCall:
    """keys: what attribution rules look at, such as {"api_key_alias": ..., "metadata.workflow": ...}; workflow: where the caller knows it."""

    provider: str | None = None
    model: str | None = None
    requested_model: str | None = None
    region: str | None = None
    environment: str | None = None
    data_class: str | None = None
    is_fallback: bool | None = None
    fallback_from: str | None = None
    traffic_class: str = "production"
    workflow: str | None = None
    keys: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Loaded:
    engine: PolicyEngine
    rules: tuple[Rule, ...]
    edges: tuple[Any, ...]
    revision: str


def decide_call(ctx: Context, asked: AskedCall) -> dict[str, Any]:
    """{"allow", "status", "workflow", "owner", "attribution", ...the decision, "revision", "catalog"}. Raises PolicyRefused when the engine fails."""
    catalog = catalog_as_of(ctx)
    loaded = load(ctx, catalog)
    found = attribution_of(loaded, catalog, asked)
    workflow = catalog.workflows.get(found.workflow_id or "")
    now = ctx.now()
    question = CallQuestion(
        workflow_id=found.workflow_id,
        attribution_status="mapped" if found.workflow_id else "unmapped",
        provider=asked.provider,
        model=asked.model or asked.requested_model,
        requested_model=asked.requested_model or asked.model,
        region=asked.region,
        environment=asked.environment or (workflow.environment if workflow else None),
        data_class=asked.data_class or (workflow.data_class if workflow else None),
        is_fallback=asked.is_fallback,
        fallback_from=asked.fallback_from,
        traffic_class=asked.traffic_class,
        at=epochs(loaded.edges, now, now + timedelta(microseconds=1))[0].at,
    )
    decision = judge(loaded.engine, [question])[0]
    return {
        **decision.document(),
        "status": decision.status,
        "workflow": found.workflow_id,
        "owner": workflow.owner if workflow else None,
        "attribution": {"rule": found.rule_id, "trust": found.trust, "reason": found.reason},
        "revision": loaded.revision,
        "catalog": catalog.digest,
    }


def attribution_of(loaded: Loaded, catalog: Catalog, asked: AskedCall) -> Attribution:
    """A workflow the caller names is its claim; otherwise the rules that attribute cost say."""
    if asked.workflow is None:
        return attribute(loaded.rules, [dict(asked.keys)])[0]
    if asked.workflow in catalog.workflows:
        return Attribution(asked.workflow, None, "claim", "the caller named the workflow")
    return Attribution(None, None, "none", "the caller named a workflow that the catalog does not know")


def load(ctx: Context, catalog: Catalog) -> Loaded:
    """The engine of this catalog; built by the first who asks after the catalog changed."""
    key = (ctx.rows.url, ctx.org, catalog.digest, ctx.settings.opa_url)
    with _lock:
        found = _loaded.get(key)
        if found is None:
            engine = ctx.engine()
            revision = prepare(engine, ctx.bundle, catalog)
            found = Loaded(engine, rules_of(catalog), tuple(boundaries(catalog)), revision)
            while len(_loaded) >= KEPT:
                del _loaded[next(iter(_loaded))]
            _loaded[key] = found
    return found
