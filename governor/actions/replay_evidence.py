"""The end of a shadow run: pair table, verdict, evidence files, ledger entry, the change's next state, in one transaction.

Owns: rows -> pairs, the files and their names. Does not own: the decision rule (governor.shadow.verdict), review (review.py).
Invariants: files are written as they were hashed; only a run that is done leaves evidence; the verdict is what `rederive(plan.json, pairs.jsonl)` gives.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sqlmodel import Session, select

from governor.actions.context import SYSTEM, Context
from governor.actions.evidence_files import LABELS, keep_files
from governor.actions.golden_lines import golden_lines
from governor.actions.replay_rows import CANARIES, JUDGES, OPEN, OPINIONS, UNDER_WAY, find_run
from governor.actions.replay_table import Result, Table
from governor.actions.review import complete_shadow, ensure_review
from governor.errors import Refused
from governor.evidence import EvidenceItem, evidence_digest
from governor.ledger.canonical import canonical_json
from governor.shadow.comparison import Limits, Pair, compare, differences, limit_differences, quality, repeated
from governor.shadow.golden import GoldenLine
from governor.shadow.guards import Facts
from governor.shadow.judging import caught, combine
from governor.shadow.plan import ReplayPlan
from governor.shadow.rubrics import combined
from governor.shadow.steps import diverges
from governor.shadow.verdict import verdict
from governor.store.rows.changes import Change, EvidenceFile, ShadowRun

DONE: Final = frozenset({"pass", "fail", "inconclusive"})


def compared_of(plan: ReplayPlan, arms: Mapping[str, Result]) -> Result | None:
    """The arm that the candidate is compared with."""
    return arms["recorded"] if plan.baseline_arm == "recorded" else arms.get("baseline")


def state_of(plan: ReplayPlan, arms: Mapping[str, Result]) -> str:
    """Of the pair row; not final as long as an arm it needs is open."""
    candidate, compared = arms["candidate"], compared_of(plan, arms)
    for one in (candidate, arms.get("baseline"), compared, arms.get("repeat")):
        if one is not None and one.state != "done":
            return one.state
    if any(arms[name].state in OPEN for name in OPINIONS & arms.keys()):
        return "reserved"
    return "excluded_content" if compared is None or compared.facts is None or candidate.facts is None else "done"


def alike(plan: ReplayPlan, arms: Mapping[str, Result]) -> bool:
    """Of a pair that is done: certainly nothing was lost, which is seen without making it."""
    compared, candidate = compared_of(plan, arms), arms["candidate"]
    if compared is None or compared.facts is None or candidate.facts is None or OPINIONS & arms.keys():
        return False
    if compared.facts.guards != candidate.facts.guards or compared.facts.called != candidate.facts.called:
        return False
    costs = compared.cost_pico, candidate.cost_pico
    return min(limit_differences(costs, compared.facts, candidate.facts, limits_of(plan)).values(), default=0) >= 0


def limits_of(plan: ReplayPlan) -> Limits:
    return Limits(plan.latency_slo_us, plan.cost_ceiling_pico)


def pair_of(plan: ReplayPlan, position: int, arms: Mapping[str, Result]) -> Pair:
    """The pair row of a position."""
    record_id = plan.sample[position].record_id
    recorded, candidate = arms["recorded"], arms["candidate"]
    baseline, again, compared = arms.get("baseline"), arms.get("repeat"), compared_of(plan, arms)
    spend = sum(one.evidence_pico for name, one in arms.items() if name != "recorded")
    state = state_of(plan, arms)
    if state != "done" or compared is None or compared.facts is None or candidate.facts is None:
        return Pair(position, record_id, state, spend_pico=spend)
    opinion = None
    more: dict[str, Any] = {}
    if all(name in arms and arms[name].pick is not None for name in JUDGES):
        opinion = combine(arms["judge_ab"].pick or 0, arms["judge_ba"].pick or 0)
        more["criteria"] = combined(arms["judge_ab"].criteria, arms["judge_ba"].criteria)
        more["longer"] = longer(compared.facts, candidate.facts)
    if all(name in arms and arms[name].pick is not None for name in CANARIES):
        more["canary"] = caught(*(arms[name].pick or 0 for name in CANARIES))
    tape = recorded.facts if recorded.facts is not None else compared.facts
    if candidate.facts.step:
        more["diverged"] = diverges(tape, candidate.facts)
    if baseline is not None and baseline.facts is not None:
        if recorded.facts is not None and position < plan.aa_size:
            more["aa"] = differences(recorded.facts, baseline.facts)
            more["aa_equal"] = quality(recorded.facts, baseline.facts)[1]
        if again is not None and again.facts is not None:
            more["repeat"], more["repeat_equal"], more["repeat_us"] = repeated(baseline.facts, again.facts)
    return compare(
        position,
        record_id,
        compared.facts,
        candidate.facts,
        limits=limits_of(plan),
        costs=(compared.cost_pico, candidate.cost_pico),
        judge=opinion,
        trust_judge=plan.judge is not None and plan.judge.calibrated,
        spend_pico=spend,
        **more,
    )


def longer(baseline: Facts, candidate: Facts) -> int | None:
    """1: the candidate's answer has more tokens to read; None where the provider did not say."""
    said = [None if facts.output_tokens is None else facts.output_tokens - (facts.reasoning_tokens or 0) for facts in (candidate, baseline)]
    return None if said[0] is None or said[1] is None else (said[0] > said[1]) - (said[0] < said[1])


def pairs_of(plan: ReplayPlan, table: Table) -> list[Pair]:
    return [pair_of(plan, position, table[position]) for position in range(plan.n) if position in table]


def finish(ctx: Context, run_id: str, plan: ReplayPlan, table: Table) -> dict[str, Any]:
    """The verdict; safe to call again. Raises Refused while a position is still open."""
    pairs = pairs_of(plan, table)
    golden = golden_lines(plan, table)
    open_positions = [
        state for state in (*(one.state for one in pairs), *(one.state for one in golden)) if state in {"planned", "reserved"}
    ]
    if open_positions:
        raise Refused(f"{len(open_positions)} positions of run {run_id} are still open")
    found = verdict(plan, pairs, golden)
    files = evidence(plan, pairs, golden, found)
    with ctx.transaction(SYSTEM) as tx:
        of_run = select(ShadowRun.change_id).where(ShadowRun.org_id == ctx.org, ShadowRun.id == run_id).scalar_subquery()
        change = tx.session.exec(select(Change).where(Change.org_id == ctx.org, Change.id == of_run).with_for_update()).one()
        run = find_run(tx.session, ctx.org, run_id, lock=True)  # after its change, as everywhere
        if run.status not in UNDER_WAY:
            return found
        run.status = "done" if found["verdict"] in DONE else str(found["verdict"])
        run.verdict = canonical_json(found).decode()
        run.finished_at = tx.now
        if run.status == "done":
            if labelled_before(tx.session, ctx.org, change.id):
                files.append(EvidenceItem(LABELS, "application/jsonl", b""))
            run.evidence_digest = evidence_digest(files)
            keep_files(tx.session, ctx.org, change.id, files, tx.now)
        complete_shadow(ctx, tx, change, run, files)
        change_id = change.id
    ensure_review(ctx, change_id)
    return found


def labelled_before(session: Session, org: str, change_id: str) -> bool:
    """Has an earlier run labels? A packet carries the file that the ledger names last under each name, so this run says that it has none."""
    query = select(EvidenceFile.id).where(EvidenceFile.org_id == org, EvidenceFile.change_id == change_id, EvidenceFile.name == LABELS)
    return session.exec(query).first() is not None


def evidence(plan: ReplayPlan, pairs: list[Pair], golden: list[GoldenLine], found: dict[str, Any]) -> list[EvidenceItem]:
    sample = [
        {"position": position, **{name: row[name] for name in ("record_id", "probability", "weight", "stratum")}}
        for position, row in enumerate(plan.document()["sample"])
    ]
    return [
        EvidenceItem("plan.json", "application/json", plan.canonical),
        EvidenceItem("sample.json", "application/json", canonical_json(sample)),
        EvidenceItem("pairs.jsonl", "application/jsonl", b"".join(canonical_json(pair.document()) + b"\n" for pair in pairs)),
        *([EvidenceItem("golden.jsonl", "application/jsonl", golden_file(golden))] if plan.golden is not None else []),
        EvidenceItem("verdict.json", "application/json", canonical_json(found)),
    ]


def golden_file(lines: list[GoldenLine]) -> bytes:
    return b"".join(canonical_json(line.document()) + b"\n" for line in lines)
