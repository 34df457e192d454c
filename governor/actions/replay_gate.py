"""Policy before anything is sent: each trace of the sample is asked about once per way of being alike.

Owns: the questions about traces. Does not own: the rules. Invariants: undecided is no; a trace that is not allowed is never sent and is counted;
a judge's provider needs the same permission as the candidate's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from governor.actions.context import Context
from governor.actions.judge import judge, prepare
from governor.actions.load_catalog import catalog_as_of
from governor.policy.catalog_data import rfc3339
from governor.policy.question import ReplayQuestion, Target
from governor.shadow.plan import ReplayPlan


def denied(ctx: Context, plan: ReplayPlan, retention_days: int | None, rows: Mapping[str, Mapping[str, Any]]) -> frozenset[str]:
    """Record ids that must not be sent, as policy and catalog say now."""
    targets = [(plan.endpoint, Target(plan.candidate.provider, plan.candidate.model, plan.candidate.region or None, retention_days))]
    if plan.judge is not None:
        targets.append((plan.judge.endpoint, Target(plan.judge.provider, plan.judge.model)))
    at = rfc3339(ctx.now().replace(microsecond=0))
    asked = [
        (record_id, ReplayQuestion(plan.workflow_id, row["data_class"], row["content_state"], target, endpoint, at))
        for record_id, row in rows.items()
        for endpoint, target in targets
    ]
    if not asked:
        return frozenset()
    engine = ctx.engine()
    prepare(engine, ctx.bundle, catalog_as_of(ctx))
    answers = judge(engine, [question for _, question in asked])
    return frozenset(record_id for (record_id, _), answer in zip(asked, answers, strict=True) if not answer.allow)
