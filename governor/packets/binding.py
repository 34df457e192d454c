"""What exactly was approved: the digest every approval names, derived again from what the packet shows.

Owns: recomputing the binding digest from request, evidence, policy bundle and the parts the review recorded. Does not own: its definition (changes.py).
Invariants: route, reason, margins and budget come from the statement and must hash to the approved digest; the evidence part is recomputed from the
files' digests, never taken from the statement.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from governor.changes import Binding
from governor.errors import IntegrityError
from governor.ledger.canonical import canonical_json, digest
from governor.ledger.entry import Entry


def last_review(change: Mapping[str, Any], events: Sequence[Entry]) -> Entry | None:
    """The newest review of the digest the statement names."""
    return next(
        (event for event in reversed(events) if event.type == "change:review" and event.payload["digest"] == change["digest"]), None
    )


def check_binding(predicate: Mapping[str, Any], events: Sequence[Entry]) -> str:
    """The digest, derived again. Raises IntegrityError when the approved digest is not that of what the packet shows."""
    change, request, shadow = predicate["change"], predicate["request"], predicate["shadow"]
    review = last_review(change, events)
    if review is None:
        raise IntegrityError("no review of the statement's digest is on record")
    parts, policy = review.payload["parts"], review.body["policy"]
    if policy is None:
        raise IntegrityError("no policy decision on the statement's digest is on record")
    files = digest(sorted(review.body["evidence"], key=lambda item: str(item["name"])))
    evidence = "" if shadow is None else digest([shadow["run"], canonical_json(shadow["verdict"]).decode(), files])
    if parts["evidence"] != evidence:
        raise IntegrityError("verdict and evidence are not the ones that were approved")
    for name in ("baseline", "candidate", "reason", "endpoint"):
        if change.get(name) != request.get(name):
            raise IntegrityError(f"{name} of the statement is not the one that was requested")
    binding = Binding(
        request=request,
        workflow=parts["workflow"],
        plan=parts["plan"],
        sample=parts["sample"],
        evidence=evidence,
        policy_bundle=policy["bundle_sha256"],
        price_book=parts["price_book"],
    )
    if binding.digest != change["digest"]:
        raise IntegrityError("the approved digest is not that of this request, plan, evidence and policy")
    return binding.digest
