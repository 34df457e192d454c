"""The golden cases of an approved route, asked again: which ones, what is sent, and whether the answer is still right.

Owns: positions after the sample's, their content and lines. Does not own: money and order (revalidate.py), what the lines say (governor.shadow.recheck).
Invariants: only cases with a check that the candidate was asked then; sent as it was then, redacted where the plan says so; a set that was withdrawn since is not
asked; no text is in a line.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from governor.actions.context import Context
from governor.actions.golden_lines import ARM_PREFIX
from governor.actions.replay_inputs import Input, read_document, read_input, redacted
from governor.actions.replay_table import Table
from governor.ports import ModelReply
from governor.shadow.golden import Case, GoldenCase
from governor.shadow.plan import ReplayPlan
from governor.shadow.recheck import GOLDEN, Line


def golden_again(plan: ReplayPlan, table: Table, seed: str) -> list[int]:
    """After the prompts, another order every time: where the budget ends, other cases are left out."""
    cases = plan.golden.cases if plan.golden is not None else ()
    found = [at for at, case in enumerate(cases, start=plan.n) if case.check and asked_then(table, at)]
    return sorted(found, key=lambda at: hashlib.sha256(f"{seed}|golden|{at}".encode()).digest())


def asked_then(table: Table, at: int) -> bool:
    one = table.get(at, {}).get("candidate")
    return one is not None and one.state == "done" and one.pick is not None


def case_at(plan: ReplayPlan, at: int) -> GoldenCase:
    assert plan.golden is not None  # noqa: S101 - positions after the sample's are its cases
    return plan.golden.cases[at - plan.n]


def record_of(plan: ReplayPlan, at: int) -> str:
    return plan.sample[at].record_id if at < plan.n else ARM_PREFIX + case_at(plan, at).sha256


def golden_row(plan: ReplayPlan) -> dict[str, Any]:
    """A case as policy is asked about it: it carries the workflow's data."""
    return {"data_class": plan.data_class or None, "content_state": "full"}


def input_again(ctx: Context, plan: ReplayPlan, at: int, call: Mapping[str, Any] | None) -> Input | None:
    """What is sent: the prompt of the evidence or of the case; None where it is not held any more."""
    address = case_at(plan, at).sha256 if at >= plan.n else call["input_sha256"] if call else None
    given = read_input(ctx, address)
    return redacted(given) if given is not None and plan.redact else given


def golden_line(ctx: Context, plan: ReplayPlan, table: Table, at: int, reply: ModelReply, cost: int | None) -> Line:
    """A failed reply is a wrong answer, as it was then."""
    then, document = table[at]["candidate"], read_document(ctx, case_at(plan, at).sha256)
    if not isinstance(document, Mapping) or "golden" not in document:
        return Line(at, record_of(plan, at), "excluded_content")
    right = reply.status == "ok" and Case.stored(document).right(reply.text, reply.tool_calls)
    return Line(
        at,
        record_of(plan, at),
        "done",
        {GOLDEN: int(right) - int(bool(then.pick))},
        right=right,
        cost_then_pico=then.cost_pico,
        cost_now_pico=cost,
    )
