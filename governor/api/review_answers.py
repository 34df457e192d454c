"""What the routes of review and golden sets answer, field by field.

Owns: names, types and presence of the fields, for the OpenAPI document and the clients generated from it. Does not own: what is in them (actions).
Invariants: a text is null where it is not held any more; null says that there is none; what not every answer holds is NotRequired.
Annotations are no text in this module (no __future__ import): TypedDict does not see NotRequired in text.
"""

from typing import Any, NotRequired, TypedDict

from governor.actions.review_queue import ReviewRow


class BlindPair(TypedDict):
    """place of `of`: where it stands in your queue. prompt, a, b: null where the text is not held any more."""

    position: int
    place: int
    of: int
    previous: int | None
    next: int | None
    pick: str
    note: str
    submitted: bool
    prompt: str | None
    a: str | None
    b: str | None


class PairToReview(ReviewRow):
    """pair: null when nothing is left."""

    pair: BlindPair | None


class LabelledPair(TypedDict):
    """state: draft, or open once it is taken back."""

    change: str
    position: int
    state: str
    pick: NotRequired[str]


class SubmittedLabels(TypedDict):
    change: str
    submitted: int
    verdict: str
    sentence: str


class GoldenCase(TypedDict):
    """content: for whoever may read the workflow's content. check: how the answer is told right; empty for a rubric."""

    id: str
    sha256: str
    check: NotRequired[str | None]
    content: NotRequired[Any]


class GoldenCases(TypedDict):
    set: str
    workflow: str
    version: int
    digest: str
    withdrawn: bool
    cases: list[GoldenCase]
    may_read: bool
    why_not: str


class KeptGolden(TypedDict):
    """new: false where the same cases were kept before."""

    set: str
    workflow: str
    version: int
    digest: str
    cases: int
    new: bool


class WithdrawnGolden(TypedDict):
    set: str
    versions: int
    erased: int


class SheetError(TypedDict):
    row: int
    reason: str


class TakenSheet(TypedDict):
    """errors: rows that could not be taken. labelled, registered, verdict: how the change stands now."""

    change: str
    reviewer: str
    imported: int
    unchanged: int
    empty: int
    errors: list[SheetError]
    labelled: int
    registered: int
    verdict: str
