"""What the routes of changes answer, field by field.

Owns: names, types and presence of the fields, for the OpenAPI document and the clients generated from it. Does not own: what is in them (actions).
Invariants: rates and margins are decimal strings; null says that there is none; what not every answer holds is NotRequired.
Annotations are no text in this module (no __future__ import): TypedDict does not see NotRequired in text.
"""

from typing import Any, NotRequired, TypedDict

from governor.actions.asked_before import AskedBefore
from governor.actions.propose import NeededRole
from governor.actions.withdrawal import ChangeWithdrawal


class ChangeRoute(TypedDict):
    """route: the catalog's id of a baseline. retention_days: how long the provider keeps prompts, null where nobody said."""

    provider: str
    model: str
    region: NotRequired[str | None]
    route: NotRequired[str | None]
    retention_days: NotRequired[int | None]


class ChangeNeed(NeededRole):
    """status: open or answered. by: whoever answered; by_holds_role: still. may: who could answer it."""

    status: str
    by: str | None
    by_holds_role: bool | None
    may: list[str]


class ChangeViolation(TypedDict):
    rule: str
    severity: str
    message: str
    solution: str


class PolicyVerdict(TypedDict):
    bundle: str
    allow: bool
    violations: list[ChangeViolation]
    undecided: list[str]


class ReplayFailure(TypedDict):
    """What the endpoint said instead of an answer, n times. model: the one it named, where another than was asked answered."""

    arm: str
    error: str
    n: int
    model: NotRequired[str]


class ShadowRunDocument(TypedDict):
    """status: planned, running, done, aborted_budget, aborted_policy or invalid_baseline. error: of its job, last; given_up: nothing goes on by itself."""

    id: str
    status: str
    planned: int
    budget_pico: str
    reserved_pico: str
    spent_pico: str
    author: str
    started_at: str | None
    finished_at: str | None
    verdict: str | None
    sentence: str | None
    error: str | None
    given_up: bool
    failures: list[ReplayFailure]


class EvidenceReference(TypedDict):
    name: str
    sha256: str
    size: int
    media_type: str


class CastVote(TypedDict):
    """counts: of the digest shown, and not expired."""

    person: str
    role: str
    decision: str
    digest: str
    reason: str
    decided_at: str
    expires_at: str | None
    auth: str | None
    counts: bool


class YourStanding(TypedDict):
    """why_not, code: why you may not approve now."""

    may_approve: bool
    may_reject: bool
    may_withdraw: bool
    role: str | None
    why_not: str | None
    code: str | None


class RouteTraffic(TypedDict):
    """counts: on_route, fallback or elsewhere. examples: record ids."""

    provider: str | None
    model: str | None
    region: str | None
    calls: int
    cost: str
    counts: str
    examples: list[str]


class CutoverTraffic(TypedDict):
    """Calls since the cutover by where they went; share: percent on the approved route, approved fallbacks aside. enough: to say verified or drifted."""

    calls: int
    on_route: int
    fallback: int
    elsewhere: int
    share: str
    routes: list[RouteTraffic]
    since: str
    until: str
    enough: bool


class VerifiedCutover(CutoverTraffic):
    id: str
    state: str


class ShadowPlan(TypedDict):
    """What was fixed before anything was sent; sample: how many traces. Beside these stand all other terms of the plan."""

    sample: int
    budget_usd: str
    margins: dict[str, str]
    candidate: NotRequired[dict[str, Any]]
    baseline: NotRequired[dict[str, Any]]
    metrics: NotRequired[list[dict[str, Any]]]
    population: NotRequired[dict[str, Any]]
    seed: NotRequired[str]


class ShadowVerdict(TypedDict):
    """verdict: pass, fail or inconclusive. Beside these stand the statistics behind it (docs/shadow.md)."""

    verdict: str
    sentence: str
    n_pairs: NotRequired[int]
    n_planned: NotRequired[int]
    metrics: NotRequired[list[dict[str, Any]]]
    cost: NotRequired[dict[str, Any] | None]
    latency: NotRequired[dict[str, Any] | None]
    segments: NotRequired[list[dict[str, Any]]]
    limitations: NotRequired[list[str]]
    still_needed: NotRequired[Any]


class ChangeDocument(TypedDict):
    """digest: what a decision must name. needs: who must decide and why. expires_at: when the first approval of this digest runs out. you: null without a
    person. Times are RFC 3339.
    """

    id: str
    state: str
    next: str
    sentence: str
    workflow: str
    owner: str | None
    requester: str
    reason: str
    baseline: ChangeRoute
    candidate: ChangeRoute
    endpoint: str
    digest: str | None
    reviewed_digest: str | None
    stale: bool
    needs: list[ChangeNeed]
    policy: PolicyVerdict
    progress: dict[str, Any] | None
    representativeness: dict[str, Any] | None
    plan: ShadowPlan
    runs: list[ShadowRunDocument]
    verdict: ShadowVerdict | None
    earlier_runs: str
    asked_before: list[AskedBefore]
    golden: dict[str, Any] | None
    evidence: list[EvidenceReference]
    approvals: list[CastVote]
    you: YourStanding | None
    created_at: str
    updated_at: str
    submitted_at: str | None
    decided_at: str | None
    cutover_at: str | None
    expires_at: str | None
    verification: CutoverTraffic | None
    withdrawal: ChangeWithdrawal | None


class PairsOfChange(TypedDict):
    """needs: pairs that a confirmation takes at least."""

    change: str
    pairs: int
    needs: NotRequired[int]


class FrontierPoint(TypedDict):
    """A set of segments that could move together. *_ci95: low and high. status: confirmed or not_confirmed."""

    segments: int
    traffic_share: str
    savings_rate: str | None
    savings_ci95: list[str] | None
    monthly_savings_usd: str | None
    quality: str
    quality_ci95: list[str]
    predicted: str
    predicted_worst: str
    p: str
    decided_by: str
    status: str


class SegmentScore(TypedDict):
    segment: list[str]
    n: int
    traffic_share: str
    raw: str
    shrunk: str
    saves: bool
    moves: bool


class SplitRecommendation(TypedDict):
    """status: recommended, not_confirmed or nothing_fits. predicate, rego: the condition of what moves; null without a recommendation."""

    change: str
    workflow: str
    candidate: str
    status: str
    caution: str
    sentence: str
    fields: list[str]
    margin: str
    alpha: str
    choosing: PairsOfChange
    fresh: PairsOfChange
    frontier: list[FrontierPoint]
    recommended: FrontierPoint | None
    still_needed: int | None
    segments: list[SegmentScore]
    segments_total: int
    predicate: dict[str, Any] | None
    rego: str | None
