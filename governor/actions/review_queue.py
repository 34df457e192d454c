"""The queue of people who compare answers without knowing whose they are: what waits, and one pair at a time.

Owns: who may label a change, the queue of a reviewer, the texts of a pair as A and B. Does not own: writing labels (review_labels.py), spreadsheets
(review_sheets.py), the draw and the sides (governor.shadow.labels).
Invariants: nothing returned here names a route, a model, a price or a time, nor tells which side is which; the requester never labels the own change.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypedDict

from sqlmodel import Session, col, select

from governor.actions.assess import find_change
from governor.actions.context import Actor, Context
from governor.actions.evidence_files import evidence_files
from governor.actions.load_catalog import read_catalog
from governor.actions.replay_inputs import answer_document, read_document
from governor.actions.show_losses import content_text, cut, may_not_read, prompt_text
from governor.actions.workflow_calls import calls_by_id
from governor.changes import State
from governor.errors import Forbidden, NotFound
from governor.shadow.comparison import Pair
from governor.shadow.labels import candidate_first, differing, doubled, queue
from governor.shadow.likeness import likeness
from governor.shadow.plan import ReplayPlan
from governor.store.rows.changes import Approval, Change, ReplayResult, ShadowRun
from governor.store.rows.reviews import ReviewLabel

REVIEWABLE: Final = frozenset({State.IN_REVIEW, State.APPROVED})
LONGEST: Final = 30_000  # a spreadsheet cell holds 32,767
_ALIKE: dict[tuple[str, str, str], dict[int, float]] = {}  # likeness of a run's answers: read once, the same every time


@dataclass(frozen=True)
class Work:
    """A run people may label. `order`: positions, the registered part first."""

    change: Change
    run: ShadowRun
    plan: ReplayPlan
    pairs: dict[int, Pair]
    order: tuple[int, ...]
    labels: tuple[ReviewLabel, ...]
    refused: str  # why this reader may not label; empty when they may

    def by(self, reviewer: str) -> dict[int, ReviewLabel]:
        return {label.position: label for label in self.labels if label.reviewer == reviewer}

    def submitted(self) -> set[int]:
        return {label.position for label in self.labels if label.state == "submitted"}

    def for_reviewer(self, reviewer: str) -> list[int]:
        """What this reviewer is asked about: what nobody labelled, every tenth pair a second time, and what they labelled themselves."""
        mine = self.by(reviewer)
        others = [label.position for label in self.labels if label.state == "submitted" and label.reviewer != reviewer]
        return [at for at in self.order if at in mine or others.count(at) < (2 if doubled(self.plan.seed, at) else 1)]


def load_work(ctx: Context, session: Session, actor: Actor, change_id: str, *, lock: bool = False) -> Work:
    """Raises NotFound where no finished run with answers that differ waits for people."""
    change = find_change(session, ctx.org, change_id, lock=lock)
    runs = select(ShadowRun).where(ShadowRun.org_id == ctx.org, ShadowRun.change_id == change.id, ShadowRun.status == "done")
    run = session.exec(runs.order_by(col(ShadowRun.id).desc())).first()
    files = {item.name: item.body for item in evidence_files(session, ctx.org, change.id)}
    if run is None or State(change.state) not in REVIEWABLE or "pairs.jsonl" not in files:
        raise NotFound(
            f"{change.id} has no run that people can label now", hint="answers are labelled between the end of a run and the cutover"
        )
    plan = ReplayPlan.parse(json.loads(change.plan))
    pairs = {pair.position: pair for pair in (Pair.parse(json.loads(line)) for line in files["pairs.jsonl"].splitlines() if line)}
    labels = session.exec(
        select(ReviewLabel).where(ReviewLabel.org_id == ctx.org, ReviewLabel.run_id == run.id).order_by(col(ReviewLabel.id))
    )
    order = queue(plan.seed, list(pairs.values()), plan.labels, alike(ctx, session, run.id, plan, pairs))
    return Work(change, run, plan, pairs, tuple(order), tuple(labels), may_not_label(ctx, session, actor, change))


def may_not_label(ctx: Context, session: Session, actor: Actor, change: Change) -> str:
    """Why this person may not label this change; empty when they may."""
    if actor.kind != "person":
        return "only a signed-in person labels answers"
    if "api" not in actor.scopes or not actor.roles:
        return "labelling needs a role here, and a token with scope api"
    if taken := other_part(session, ctx.org, actor.id, change, "you"):
        return taken
    workflow = read_catalog(session, ctx.org, ctx.now()).workflows.get(change.workflow_id)
    return may_not_read(actor, workflow.owner if workflow else "", workflow.data_class if workflow else "restricted")


def other_part(session: Session, org: str, person_id: str, change: Change, name: str) -> str:
    """Which other part of the change this person has, who therefore labels none of its answers; empty for none. name: as the sentence calls them."""
    if person_id == change.requester_id:
        return f"{name} requested {change.id}; others compare its answers"
    votes = select(Approval.id).where(Approval.org_id == org, Approval.change_id == change.id, Approval.person_id == person_id)
    if session.exec(votes).first() is not None:
        return f"{name} decided on {change.id}; whoever decides does not make the evidence"
    return ""


class ReviewRow(TypedDict):
    """registered: pairs of the plan, from first to last; beyond: labelled ones after them. may: whether you may label, why_not says why not."""

    change: str
    workflow: str
    differing: int
    registered: int
    labelled: int
    beyond: int
    drafts: int
    submitted_by_you: int
    open_for_you: int
    verdict: str
    may: bool
    why_not: str


def waiting(ctx: Context, actor: Actor) -> list[ReviewRow]:
    """Changes whose answers differ and that wait for people, or that people already label; newest first."""
    found = []
    with ctx.rows.session() as session:
        query = select(Change).where(Change.org_id == ctx.org, col(Change.state).in_([state.value for state in REVIEWABLE]))
        for change in session.exec(query.order_by(col(Change.number).desc())).all():
            try:
                work = load_work(ctx, session, actor, change.id)
            except NotFound:
                continue
            word = json.loads(work.run.verdict)["verdict"]
            if work.order and (word == "inconclusive" or work.labels):
                found.append(progress(work, actor))
    return found


def progress(work: Work, actor: Actor) -> ReviewRow:
    registered = work.order[: work.plan.labels]
    done, mine = work.submitted(), work.by(actor.email)
    return {
        "change": work.change.id,
        "workflow": work.change.workflow_id,
        "differing": len(work.order),
        "registered": len(registered),
        "labelled": sum(position in done for position in registered),
        "beyond": len(done - set(registered)),
        "drafts": sum(label.state == "draft" for label in mine.values()),
        "submitted_by_you": sum(label.state == "submitted" for label in mine.values()),
        "open_for_you": sum(position not in mine for position in work.for_reviewer(actor.email)),
        "verdict": json.loads(work.run.verdict)["verdict"],
        "may": not work.refused,
        "why_not": work.refused,
    }


def show_pair(ctx: Context, actor: Actor, change_id: str, position: int | None = None) -> dict[str, Any]:
    """One pair for this reviewer: the one asked for, else the first open one. `pair` is null when nothing is left. Raises Forbidden, NotFound."""
    with ctx.rows.session() as session:
        work = load_work(ctx, session, actor, change_id)
        refuse(work)
        order, mine = work.for_reviewer(actor.email), work.by(actor.email)
        if position is not None and position not in order:
            raise NotFound(f"pair {position} of {change_id} is not yours to label", hint="start from the list at /review")
        chosen = position if position is not None else next((at for at in order if at not in mine), None)
        texts = blind_texts(ctx, session, work, [chosen]) if chosen is not None else {}
    told = progress(work, actor)
    if chosen is None:
        return {**told, "pair": None}
    place, label = order.index(chosen), mine.get(chosen)
    return {
        **told,
        "pair": {
            "position": chosen,
            "place": place + 1,
            "of": len(order),
            "previous": order[place - 1] if place else None,
            "next": order[place + 1] if place + 1 < len(order) else None,
            "pick": label.pick if label else "",
            "note": label.note if label else "",
            "submitted": label is not None and label.state == "submitted",
            **texts[chosen],
        },
    }


def refuse(work: Work) -> None:
    if work.refused:
        raise Forbidden(work.refused)


def blind_texts(ctx: Context, session: Session, work: Work, positions: list[int]) -> dict[int, dict[str, str | None]]:
    """{"prompt","a","b"} per position; a text is null where its content is not held any more."""
    calls = calls_by_id(ctx, [work.pairs[at].record_id for at in positions])
    answers = answer_texts(ctx, session, work.run.id, work.plan, positions)
    found: dict[int, dict[str, str | None]] = {}
    for at in positions:
        sides = answers.get(at, (None, None))
        baseline, candidate = sides
        first = candidate_first(work.plan.seed, at)
        call = calls.get(work.pairs[at].record_id)
        found[at] = {
            "prompt": prompt_text(read_document(ctx, call["input_sha256"]), LONGEST) if call else None,
            "a": candidate if first else baseline,
            "b": baseline if first else candidate,
        }
    return found


def answer_texts(
    ctx: Context, session: Session, run_id: str, plan: ReplayPlan, positions: list[int]
) -> dict[int, tuple[str | None, str | None]]:
    """(compared baseline, candidate) per position."""
    compared = "baseline" if plan.baseline_arm == "replayed" else "recorded"
    rows: dict[tuple[int, str], str] = {}
    for at in range(0, len(positions), 500):
        query = select(ReplayResult).where(
            ReplayResult.org_id == ctx.org,
            ReplayResult.run_id == run_id,
            col(ReplayResult.arm).in_([compared, "candidate"]),
            col(ReplayResult.position).in_(positions[at : at + 500]),
        )
        rows |= {(row.position, row.arm): row.output_sha256 for row in session.exec(query)}
    return {
        at: (
            answer_text(answer_document(ctx, plan, compared, rows.get((at, compared)))),
            answer_text(answer_document(ctx, plan, "candidate", rows.get((at, "candidate")))),
        )
        for at in positions
    }


def alike(ctx: Context, session: Session, run_id: str, plan: ReplayPlan, pairs: Mapping[int, Pair]) -> dict[int, float]:
    """For the order only. An answer that is not held any more sorts last."""
    key = (str(ctx.settings.home), ctx.org, run_id)
    if key not in _ALIKE:
        texts = answer_texts(ctx, session, run_id, plan, [pair.position for pair in differing(list(pairs.values()))])
        _ALIKE[key] = {at: likeness(left, right) if left is not None and right is not None else 1.0 for at, (left, right) in texts.items()}
    return _ALIKE[key]


def answer_text(document: Any) -> str | None:
    if not isinstance(document, Mapping):
        return None
    message = document.get("message")
    if not isinstance(message, Mapping):
        return cut(str(message or ""), LONGEST)
    called = message.get("tool_calls")
    parts = [one.get("function", one) for one in called if isinstance(one, Mapping)] if isinstance(called, list) else []
    calls = [one for one in parts if isinstance(one, Mapping)]
    # ids of calls are a provider's handwriting: they would tell who answered
    named = "".join(f"\n[tool call] {one.get('name', '')} {one.get('arguments', '')}" for one in calls)
    return cut((content_text(message.get("content")) + named).strip(), LONGEST)
