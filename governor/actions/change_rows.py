"""Whether the row of a change is what its entries say: where it stands, what was asked, by whom, for which workflow, when.

Owns: the comparison of one row with its story. Does not own: decisions (state_rows), what a packet says besides (packets/told.py).
Invariants: reads only; believes the entries.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

from governor.changes import Binding
from governor.ledger.canonical import sha256_hex, timestamp
from governor.ledger.entry import Entry
from governor.packets.period import state_of
from governor.packets.told import DECISIONS
from governor.store.rows.changes import Change

DECIDED: Final = frozenset({"approved", "rejected", "expired", "cutover", "verified", "drifted", "withdrawn"})
SETTLED: Final = frozenset({*DECISIONS, "change:expire", "change:cutover", "change:withdraw"})  # entries that name the digest decided on
RUNS: Final = frozenset({"planned", "running"})


def change_problems(change: Change, story: Sequence[Entry]) -> Iterator[str]:
    """What the row of a change says and its entries do not."""
    said = state_of(story)
    if change.state != said and (change.state in DECIDED or said in DECIDED):
        yield f"its row says {change.state}, the ledger {said or 'nothing'}"
    try:
        yield from (f"its row has another {name} than the ledger" for name in _other_columns(change, story, said))
    except (ValueError, TypeError, KeyError, AttributeError) as error:  # a column that holds something else than what was written
        yield f"its row cannot be read ({type(error).__name__})"


def _other_columns(change: Change, story: Sequence[Entry], state: str) -> Iterator[str]:
    """Names of columns that differ from the entries which recorded them."""
    proposed = next((entry for entry in story if entry.type == "change:propose"), None)
    if proposed is None:
        return
    said, request = proposed.payload, json.loads(change.request)
    for name, shown, told in (
        ("requester", change.requester_id, proposed.actor_ref),
        ("workflow", change.workflow_id, said["workflow"]),
        ("time", timestamp(change.created_at), proposed.body["occurred_at"]),
        ("plan", sha256_hex(change.plan.encode()), said["plan_digest"]),
        (
            "request",
            [request[part] for part in ("baseline", "candidate", "endpoint")],
            [said[part] for part in ("baseline", "candidate", "endpoint")],
        ),
    ):
        if shown != told:
            yield name
    moved = next((entry for entry in reversed(story) if entry.type == "change:cutover"), None)
    if (timestamp(change.cutover_at) if change.cutover_at else None) != (moved.body["occurred_at"] if moved else None):
        yield "time of cutover"
    digests = _digests(story, state)
    if digests and change.digest not in digests:
        yield "digest"
    review = next((entry for entry in reversed(story) if entry.type == "change:review" and entry.payload["digest"] == change.digest), None)
    if review is not None:
        if _bound(request, review) != change.digest:
            yield "reviewed request"
        needs = [{name: value for name, value in need.items() if name != "reasons"} for need in json.loads(change.needs)]
        if needs != review.payload["needs"]:
            yield "list of needed roles"


def _digests(story: Sequence[Entry], state: str) -> set[str]:
    """The digests a row may show. None between the end of a shadow run and its review: there it moves without an entry."""
    if state in DECIDED:
        return {next(str(entry.payload["digest"]) for entry in reversed(story) if entry.type in SETTLED)}
    ended = [at for at, entry in enumerate(story) if entry.type == "change:shadow" and entry.payload.get("status") not in RUNS]
    reviews = [at for at, entry in enumerate(story) if entry.type == "change:review"]
    if ended and (not reviews or ended[-1] > reviews[-1]):
        return set()
    return {str(entry.payload["digest"]) for entry in story if entry.type == ("change:review" if reviews else "change:propose")}


def _bound(request: dict[str, Any], review: Entry) -> str:
    """The digest that this request has among everything else that was reviewed."""
    parts, policy = review.payload["parts"], review.body["policy"]
    return Binding(
        request=request, workflow=parts["workflow"], plan=parts["plan"], sample=parts["sample"], evidence=parts["evidence"],
        policy_bundle=policy["bundle_sha256"], price_book=parts["price_book"],
    ).digest  # fmt: skip
