"""Pairs of a shadow run in which the candidate did worse, worst first, side by side where the reader may see content.

Owns: the order of losses and who may read captured bodies. Does not own: the comparison (governor.shadow), the bodies (store/content).
Invariants: bodies come from the content store only and stay encrypted at rest; a body that was not captured, was erased, or that the reader may not
see is said to be so; restricted data is read by the workflow's owner and security only.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from sqlmodel import col, select

from governor.actions.assess import find_change
from governor.actions.context import Actor, Context
from governor.actions.evidence_files import evidence_files
from governor.actions.load_catalog import read_catalog
from governor.actions.replay_inputs import read_document
from governor.actions.workflow_calls import calls_by_id
from governor.shadow.guards import GUARDS
from governor.store.rows.changes import ReplayResult, ShadowRun

SHOWN: Final = 20
LONGEST: Final = 4000
READERS: Final = frozenset({"security", "auditor", "requester"})


def losses_of(ctx: Context, actor: Actor, change_id: str) -> dict[str, Any]:
    """{"total","differ","shown":[{"position","record_id","why","prompt","baseline","candidate"}],"may_read","why_not"}; texts are null where not readable."""
    with ctx.rows.session() as session:
        change = find_change(session, ctx.org, change_id)
        files = {item.name: item.body for item in evidence_files(session, ctx.org, change.id)}
        workflow = read_catalog(session, ctx.org, ctx.now()).workflows.get(change.workflow_id)
        runs = select(ShadowRun.id).where(ShadowRun.org_id == ctx.org, ShadowRun.change_id == change.id, ShadowRun.status == "done")
        run_id = session.exec(runs.order_by(col(ShadowRun.id).desc())).first()
        pairs = [json.loads(line) for line in files.get("pairs.jsonl", b"").splitlines() if line]
        worse = sorted((pair for pair in pairs if why(pair)), key=lambda pair: (-len(why(pair)), pair["quality"][0], pair["position"]))
        shown = worse[:SHOWN]
        query = select(ReplayResult).where(
            ReplayResult.org_id == ctx.org,
            ReplayResult.run_id == (run_id or ""),
            col(ReplayResult.position).in_([pair["position"] for pair in shown]),
        )
        outputs = {(row.position, row.arm): row.output_sha256 for row in session.exec(query)}
    owner = workflow.owner if workflow else ""
    why_not = may_not_read(actor, owner, workflow.data_class if workflow else "restricted")
    calls = calls_by_id(ctx, [pair["record_id"] for pair in shown]) if shown and not why_not else {}
    return {
        "total": len(worse),
        "differ": sum(pair["equal"] == "no" for pair in pairs),
        "shown": [loss(ctx, pair, outputs, calls.get(pair["record_id"]), readable=not why_not) for pair in shown],
        "may_read": not why_not,
        "why_not": why_not,
    }


def why(pair: Mapping[str, Any]) -> list[str]:
    """What the candidate did worse in this pair; empty when nothing is known to be worse."""
    found = [name for name in GUARDS if pair["d"].get(name, 0) < 0]
    if pair["quality"][1] < 0 and not found:
        found.append("quality")
    return found + [name for name in ("latency", "cost_ceiling") if pair["d"].get(name, 0) < 0]


def may_not_read(actor: Actor, owner: str, data_class: str) -> str:
    """Why this reader does not see prompts and outputs; empty when they do."""
    if actor.kind != "person":
        return "only a signed-in person sees captured content"
    if "api" not in actor.scopes:
        return "captured content needs a token with scope api"
    if actor.email == owner or "security" in actor.roles:
        return ""
    if data_class == "restricted":
        return "content of restricted workflows is read by the owner and security only"
    return "" if actor.roles & READERS else "captured content is read by the owner, security, auditors and requesters"


def loss(
    ctx: Context, pair: Mapping[str, Any], outputs: Mapping[tuple[int, str], str], call: Mapping[str, Any] | None, *, readable: bool
) -> dict[str, Any]:
    place = pair["position"]
    compared = outputs.get((place, "baseline")) or outputs.get((place, "recorded")) or ""
    candidate = outputs.get((place, "candidate")) or ""
    return {
        "position": place,
        "record_id": pair["record_id"],
        "why": why(pair),
        "prompt": prompt_text(read_document(ctx, call["input_sha256"])) if readable and call else None,
        "baseline": output_text(read_document(ctx, compared)) if readable else None,
        "candidate": output_text(read_document(ctx, candidate)) if readable else None,
    }


def prompt_text(document: Any, longest: int = LONGEST) -> str | None:
    """The conversation as lines of `role: text`."""
    messages = document.get("messages") if isinstance(document, Mapping) else None
    if not isinstance(messages, list):
        return None
    lines = [f"{message.get('role', '?')}: {content_text(message.get('content'))}" for message in messages if isinstance(message, Mapping)]
    return cut("\n\n".join(lines), longest)


def output_text(document: Any) -> str | None:
    if not isinstance(document, Mapping):
        return None
    message = document.get("message")
    if not isinstance(message, Mapping):
        return cut(str(message or ""))
    text = content_text(message.get("content"))
    called = message.get("tool_calls")
    return cut(text + (f"\n[tool calls] {json.dumps(called, ensure_ascii=False)}" if called else ""))


def content_text(content: Any) -> str:
    if isinstance(content, list):
        return "".join(str(part.get("text") or f"[{part.get('type', 'part')}]") for part in content if isinstance(part, Mapping))
    return "" if content is None else str(content)


def cut(text: str, longest: int = LONGEST) -> str:
    return text if len(text) <= longest else f"{text[:longest]}\n[{len(text) - longest:,} more characters]"
