"""Golden results of a change's evidence: the report, and the wrong cases with their texts for whoever may read them.

Owns: which evidence file and which run they come from. Does not own: the report (governor.shadow.golden_report), who may read (show_losses.py).
Invariants: texts come from the content store only; what was withdrawn, erased or not captured is null.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlmodel import col, select

from governor.actions.assess import find_change
from governor.actions.context import Actor, Context
from governor.actions.evidence_files import evidence_files
from governor.actions.load_catalog import read_catalog
from governor.actions.replay_inputs import read_document
from governor.actions.show_losses import may_not_read, output_text, prompt_text
from governor.evidence import EvidenceItem
from governor.shadow.golden_report import golden_report
from governor.store.rows.changes import ReplayResult, ShadowRun

SHOWN: Final = 10


def report_of(files: Sequence[EvidenceItem]) -> dict[str, Any] | None:
    """The report of evidence files; None where the plan names no set."""
    bodies = {item.name: item.body for item in files}
    golden = json.loads(bodies.get("plan.json", b"{}")).get("golden")
    if not golden or "golden.jsonl" not in bodies:
        return None
    return golden_report(golden, [json.loads(line) for line in bodies["golden.jsonl"].splitlines() if line])


def golden_texts(ctx: Context, actor: Actor, change_id: str, report: Mapping[str, Any] | None) -> dict[str, Any]:
    """{"shown":[{"case","check","what","prompt","expected","baseline","candidate"}],"why_not"} of the worst cases of a report."""
    worst = list(report["worst"][:SHOWN]) if report else []
    if not worst:
        return {"shown": [], "why_not": ""}
    with ctx.rows.session() as session:
        change = find_change(session, ctx.org, change_id)
        plan = next(json.loads(item.body) for item in evidence_files(session, ctx.org, change.id) if item.name == "plan.json")
        workflow = read_catalog(session, ctx.org, ctx.now()).workflows.get(change.workflow_id)
        runs = select(ShadowRun.id).where(ShadowRun.org_id == ctx.org, ShadowRun.change_id == change.id, ShadowRun.status == "done")
        run_id = session.exec(runs.order_by(col(ShadowRun.id).desc())).first() or ""
        place = {case["id"]: (at, case["sha256"]) for at, case in enumerate(plan["golden"]["cases"], start=len(plan["sample"]))}
        rows = select(ReplayResult).where(
            ReplayResult.org_id == ctx.org,
            ReplayResult.run_id == run_id,
            col(ReplayResult.position).in_([place[one["case"]][0] for one in worst]),
        )
        outputs = {(row.position, row.arm): row.output_sha256 for row in session.exec(rows)}
    why_not = may_not_read(actor, workflow.owner if workflow else "", workflow.data_class if workflow else "restricted")
    shown = []
    for one in worst:
        at, address = place[one["case"]]
        document = None if why_not else read_document(ctx, address)
        arms = {arm: None if why_not else output_text(read_document(ctx, outputs.get((at, arm)))) for arm in ("baseline", "candidate")}
        shown.append({**one, "prompt": prompt_text(document), "expected": expected_text(document), **arms})
    return {"shown": shown, "why_not": why_not}


def expected_text(document: Any) -> str | None:
    """What the case expects, as text; a rubric by its criteria."""
    wish = document.get("golden") if isinstance(document, Mapping) else None
    if not isinstance(wish, Mapping):
        return None
    if not wish.get("check"):
        return "\n".join(f"{one['name']}: {one.get('text', '')}" for one in wish.get("rubric", ()))
    expected = wish["expected"]
    if wish.get("fields") and isinstance(expected, Mapping):
        expected = {name: at_path(expected, name) for name in wish["fields"]}
    return expected if isinstance(expected, str) else json.dumps(expected, ensure_ascii=False)


def at_path(value: Any, path: str) -> Any:
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value
