"""`review`: a person's label on a pair, taken back, and submitted: then it is evidence and the verdict is computed again with it.

Owns: drafts, submission, the evidence files that change with labels. Does not own: what is shown (review_queue.py), what labels decide (governor.shadow).
Invariants: a submitted label never changes; submitting is one transaction with one `change:shadow` entry that names the labeller as author of the evidence,
so that here and in every packet whoever labelled cannot approve; the change goes back before its deciders.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from sqlmodel import col, select

from governor.actions.context import Actor, Context
from governor.actions.evidence_files import LABELS, evidence_files, keep_files, labelled_idem
from governor.actions.review import ensure_review
from governor.actions.review_queue import Work, load_work, refuse
from governor.errors import Invalid, NotFound, WrongState
from governor.evidence import EvidenceItem, evidence_digest
from governor.ledger.canonical import canonical_json, sha256_hex, timestamp
from governor.ledger.entry import EntryDraft
from governor.ledger.types import change_stream
from governor.shadow.labels import PICKS, candidate_first, reading, value_of
from governor.shadow.verdict import verdict
from governor.store.rows.reviews import ReviewLabel
from governor.store.transaction import Transaction

LONGEST_NOTE = 2_000


def label(ctx: Context, actor: Actor, change_id: str, position: int, pick: str, note: str = "") -> dict[str, Any]:
    """Keep a draft, in place of an earlier draft of the same person. Raises WrongState where it was submitted already."""
    with ctx.rows.session(write=True) as session:
        work = load_work(ctx, session, actor, change_id)
        refuse(work)
        check(work, position, pick, note)
        found = work.by(actor.email).get(position)
        if found is not None and found.state == "submitted":
            raise WrongState(f"you submitted pair {position} of {change_id} already; what was submitted stays")
        row = found or ReviewLabel(
            org_id=ctx.org, change_id=work.change.id, run_id=work.run.id, position=position, reviewer=actor.email, person_id=actor.id,
            pick=pick, labelled_at=ctx.now(),
        )  # fmt: skip
        row.pick, row.note, row.labelled_at = pick, note, ctx.now()
        session.add(row)
    return {"change": change_id, "position": position, "pick": pick, "state": "draft"}


def check(work: Work, position: int, pick: str, note: str) -> None:
    if pick not in PICKS:
        raise Invalid(f"pick {pick[:20]!r} is none of {', '.join(PICKS)}")
    if position not in work.order:
        raise NotFound(f"{work.change.id} has no pair {position} whose answers differ")
    if len(note) > LONGEST_NOTE:
        raise Invalid(f"the note of pair {position} is longer than {LONGEST_NOTE:,} characters")


def undo(ctx: Context, actor: Actor, change_id: str, position: int) -> dict[str, Any]:
    """Take a draft back. Raises NotFound where there is none, WrongState where it was submitted."""
    with ctx.rows.session(write=True) as session:
        work = load_work(ctx, session, actor, change_id)
        found = work.by(actor.email).get(position)
        if found is None:
            raise NotFound(f"you did not label pair {position} of {change_id}")
        if found.state == "submitted":
            raise WrongState(f"you submitted pair {position} of {change_id} already; what was submitted stays")
        session.delete(found)
    return {"change": change_id, "position": position, "state": "open"}


def submit(ctx: Context, actor: Actor, change_id: str) -> dict[str, Any]:
    """Every draft of this person becomes evidence: {"change","submitted","verdict","digest","sentence"}. Raises Invalid where there is none."""
    with ctx.transaction(actor) as tx:
        work = load_work(ctx, tx.session, actor, change_id, lock=True)
        refuse(work)
        drafts = [row for row in work.labels if row.state == "draft" and row.reviewer == actor.email]
        if not drafts:
            raise Invalid(f"you have no labels on {change_id} to submit", hint="label a pair first")
        found = record(ctx, tx, actor, work, drafts)
    ensure_review(ctx, change_id)
    return {"change": change_id, "submitted": len(drafts), "verdict": found["verdict"], "sentence": found["sentence"]}


def record(ctx: Context, tx: Transaction, actor: Actor, work: Work, drafts: Iterable[ReviewLabel]) -> dict[str, Any]:
    """Inside the caller's transaction: drafts are submitted, pairs and verdict computed again, files written, the entry appended. Gives the verdict."""
    count = 0
    for row in drafts:
        row.state, row.submitted_at = "submitted", tx.now
        tx.session.add(row)
        count += 1
    tx.session.flush()
    every = tx.session.exec(
        select(ReviewLabel)
        .where(ReviewLabel.org_id == ctx.org, ReviewLabel.run_id == work.run.id, ReviewLabel.state == "submitted")
        .order_by(col(ReviewLabel.id))
    ).all()
    values: dict[int, list[int | None]] = {}
    for row in every:
        values.setdefault(row.position, []).append(value_of(row.pick, first=candidate_first(work.plan.seed, row.position)))
    pairs = [
        replace(pair, labels=tuple(values[at]), quality=reading(values[at])) if at in values else pair
        for at, pair in sorted(work.pairs.items())
    ]
    before = {item.name: item for item in evidence_files(tx.session, ctx.org, work.change.id)}
    golden = [json.loads(row) for row in before["golden.jsonl"].body.splitlines()] if "golden.jsonl" in before else []
    found = verdict(work.plan, pairs, golden)
    files = (
        EvidenceItem("pairs.jsonl", "application/jsonl", b"".join(canonical_json(pair.document()) + b"\n" for pair in pairs)),
        EvidenceItem(LABELS, "application/jsonl", b"".join(canonical_json(line(work, row)) + b"\n" for row in every)),
        EvidenceItem("verdict.json", "application/json", canonical_json(found)),
    )
    keep_files(tx.session, ctx.org, work.change.id, files, tx.now)
    now = before | {item.name: item for item in files}  # labels change nothing about the others
    work.run.verdict = canonical_json(found).decode()
    work.run.evidence_digest = evidence_digest(now.values())
    tx.session.add(work.run)
    tx.session.flush()
    tx.append(
        EntryDraft(
            type="change:shadow",
            stream=change_stream(work.change.id),
            payload={
                "change": work.change.id,
                "run": work.run.id,
                "status": "labelled",
                "author": actor.id,
                "labels": count,
                "verdict": str(found["verdict"]),
                "plan_digest": work.run.plan_digest,
            },
            actor=actor.ledger_ref(),
            idem=labelled_idem(work.run),
            occurred_at=tx.now,
            evidence=[now[name].reference() for name in sorted(now)],
        )
    )
    return found


def line(work: Work, row: ReviewLabel) -> Mapping[str, Any]:
    """A label as evidence: without a name or a word of its note, which may hold content."""
    first = candidate_first(work.plan.seed, row.position)
    return {
        "position": row.position,
        "record_id": work.pairs[row.position].record_id,
        "reviewer": sha256_hex(f"{row.run_id}|{row.reviewer}".encode())[:16],
        "entered_by": row.person_id,
        "pick": row.pick,
        "candidate_shown_as": "a" if first else "b",
        "value": value_of(row.pick, first=first),
        "note_sha256": sha256_hex(row.note.encode()) if row.note else None,
        "via": row.via,
        "labelled_at": timestamp(row.labelled_at),
    }
