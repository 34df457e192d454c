"""`/api/v1/changes`: a route change from proposal to verified cutover, and its audit packet."""

from __future__ import annotations

from typing import Annotated, Any, Final, cast

from litestar import Response, get, post
from litestar.params import Parameter
from msgspec import Struct, field

from governor.actions.context import Actor, Context
from governor.actions.cutover import MovedRoute, cutover
from governor.actions.decide import DecidedChange, approve, reject
from governor.actions.export_packet import export_packet
from governor.actions.propose import ProposedChange, propose
from governor.actions.route_checks import RouteCheckDocument, StartedCheck, checks_of, start_revalidation
from governor.actions.show_change import ChangeRow, list_changes, show_change
from governor.actions.split_route import split_route
from governor.actions.start_shadow import StartedRun, start_shadow
from governor.actions.verify_change import verify_change
from governor.actions.withdraw import WithdrawnChange, withdraw
from governor.api.bodies import download
from governor.api.change_answers import ChangeDocument, SplitRecommendation, VerifiedCutover
from governor.api.idempotency import REPEATABLE
from governor.api.slices import Cursor, Items, Limit, Slice, named, slice_of
from governor.ledger.canonical import sha256_hex

TAGS: Final = ["changes"]
MEDIA_TYPE: Final = "application/zip"


class NewChange(Struct, forbid_unknown_fields=True):
    """margins: metric -> share the candidate may lose, such as {"quality": "0.03"}; options: of the evaluation plan (docs/changes.md)."""

    workflow: str
    candidate: str
    endpoint: str
    reason: str
    endpoint_model: str = ""
    baseline: str = ""
    retention_days: int | None = None
    sample: int = 300
    margins: dict[str, str] = field(default_factory=dict)
    budget_usd: str = "20"
    options: dict[str, Any] = field(default_factory=dict)


class ChangeDecision(Struct, forbid_unknown_fields=True):
    """digest: what `GET /changes/ID` showed; you decide on exactly that. role: which need you answer, where you hold several roles."""

    digest: str
    reason: str
    role: str = ""


class RecordedCutover(Struct, forbid_unknown_fields=True):
    """export: litellm, portkey, kong, envoy or openrouter, for the route as that gateway writes it. approved_until: a date."""

    export: str = ""
    note: str = ""
    approved_until: str = ""


class WithdrawalReason(Struct, forbid_unknown_fields=True):
    reason: str


class CutoverCheck(Struct, forbid_unknown_fields=True):
    grace_hours: int = 0


class PacketRecipient(Struct, forbid_unknown_fields=True):
    """recipient: name people in the packet, for this reader; without it people are opaque references."""

    recipient: str = ""


@get("/changes", sync_to_thread=True, tags=TAGS)
def list_all(
    ctx: Context,
    limit: Limit,
    cursor: Cursor,
    in_state: Annotated[str, Parameter(query="state", description="Only changes in this state.")] = "",
    workflow: Annotated[str, Parameter(query="workflow")] = "",
) -> Annotated[Slice[ChangeRow], named("ChangeSlice")]:
    """Changes, newest first."""
    return slice_of(list_changes(ctx, state=in_state, workflow=workflow), lambda row: str(row["id"]), limit=limit, cursor=cursor)


@get("/changes/{change_id:str}", sync_to_thread=True, tags=TAGS)
def show(ctx: Context, actor: Actor, change_id: str) -> ChangeDocument:
    """Digest, who must decide and why, evidence, verdict, decisions; `you` says what you may do."""
    return cast("ChangeDocument", show_change(ctx, change_id, actor))


@get("/changes/{change_id:str}/split", sync_to_thread=True, tags=TAGS)
def split(
    ctx: Context,
    change_id: str,
    by: Annotated[str, Parameter(query="by", description="Fields to cut by, comma-separated, coarse to fine.")] = "",
    confirm_on: Annotated[str, Parameter(query="confirm_on", description="A later change of the same routes whose pairs confirm.")] = "",
) -> SplitRecommendation:
    """Which part of the traffic the candidate could take: frontier, condition and Rego module. A recommendation; nothing is moved."""
    return cast(
        "SplitRecommendation",
        split_route(ctx, change_id, by=[name.strip() for name in by.split(",") if name.strip()], confirm_on=confirm_on),
    )


@get("/changes/{change_id:str}/revalidations", sync_to_thread=True, tags=TAGS)
def revalidations(ctx: Context, change_id: str) -> Annotated[Items[RouteCheckDocument], named("RouteCheckItems")]:
    """How the approved route answered when it was asked again; the newest twelve checks."""
    return {"items": checks_of(ctx, show_change(ctx, change_id)["id"])}


@post("/changes/{change_id:str}/revalidate", status_code=202, sync_to_thread=True, tags=TAGS)
def ask_again(ctx: Context, actor: Actor, change_id: str) -> StartedCheck:
    """Ask the approved route again now; a worker does it. Changes no route."""
    return start_revalidation(ctx, actor, change_id)


@post("/changes", sync_to_thread=True, tags=TAGS)
def make(ctx: Context, actor: Actor, data: NewChange) -> ProposedChange:
    """Propose a route change. The evaluation plan is fixed now, before anything is sent."""
    return propose(
        ctx,
        actor,
        workflow=data.workflow,
        candidate=data.candidate,
        endpoint=data.endpoint,
        endpoint_model=data.endpoint_model,
        sample=data.sample,
        margins=data.margins,
        budget_usd=data.budget_usd,
        reason=data.reason,
        baseline=data.baseline,
        retention_days=data.retention_days,
        options=data.options,
    )


@post("/changes/{change_id:str}/shadow", status_code=202, sync_to_thread=True, tags=TAGS)
def shadow(ctx: Context, actor: Actor, change_id: str) -> StartedRun:
    """Ask for the shadow run; a worker does it. Whoever asks is the author of the evidence and cannot approve it."""
    return start_shadow(ctx, actor, change_id)


@post("/changes/{change_id:str}/approve", status_code=200, sync_to_thread=True, tags=TAGS)
def say_yes(ctx: Context, actor: Actor, change_id: str, data: ChangeDecision) -> DecidedChange:
    """Approve exactly what you were shown. Refused with separation_of_duties, stale_approval, missing_evidence or role_not_needed."""
    return approve(ctx, actor, change_id, digest=data.digest, reason=data.reason, role=data.role)


@post("/changes/{change_id:str}/reject", status_code=200, sync_to_thread=True, tags=TAGS)
def say_no(ctx: Context, actor: Actor, change_id: str, data: ChangeDecision) -> DecidedChange:
    """Reject; one rejection by a needed role ends the change."""
    return reject(ctx, actor, change_id, digest=data.digest, reason=data.reason, role=data.role)


@post("/changes/{change_id:str}/withdraw", status_code=200, sync_to_thread=True, tags=TAGS)
def take_back(ctx: Context, actor: Actor, change_id: str, data: WithdrawalReason) -> WithdrawnChange:
    """Take a request back before it is cut over: its requester or an admin. A shadow run under way is stopped; what it spent is in the answer."""
    return withdraw(ctx, actor, change_id, reason=data.reason)


@post("/changes/{change_id:str}/cutover", status_code=200, sync_to_thread=True, tags=TAGS)
def moved(ctx: Context, actor: Actor, change_id: str, data: RecordedCutover) -> MovedRoute:
    """Record that you moved the route in your gateway. Governor changes no gateway."""
    return cutover(ctx, actor, change_id, export=data.export, note=data.note, approved_until=data.approved_until)


@post("/changes/{change_id:str}/verify", status_code=200, sync_to_thread=True, tags=TAGS)
def verify(ctx: Context, actor: Actor, change_id: str, data: CutoverCheck) -> VerifiedCutover:
    """Look at later traffic: verified when it takes the approved route, drifted when it does not."""
    return cast("VerifiedCutover", verify_change(ctx, actor, change_id, grace_hours=data.grace_hours))


@post(
    "/changes/{change_id:str}/packet", status_code=200, sync_to_thread=True, tags=["packets"], opt={REPEATABLE: True}, media_type=MEDIA_TYPE
)
def packet(ctx: Context, actor: Actor, change_id: str, data: PacketRecipient) -> Response[bytes]:
    """The audit packet of a decided change as a file. The same state gives the same bytes; issuing is itself on record."""
    body = export_packet(ctx, actor, change_id, recipient=data.recipient)
    return download(body, MEDIA_TYPE, f"{change_id}.govpacket", **{"Governor-SHA256": sha256_hex(body)})


ROUTES = [list_all, show, split, revalidations, ask_again, make, shadow, say_yes, say_no, take_back, moved, verify, packet]
