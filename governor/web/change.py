"""The page of one change: what changes, was it allowed, what did the shadow test show, who answers, decide.

Owns: its view-model and its forms. Does not own: any rule: what may be done and why not comes from actions/show_change.py.
Invariants: the decision form sends the digest that the page shows; a disabled button says who may act instead.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from litestar import Response, get, post
from litestar.response import Redirect

from governor.actions.browse_ledger import stream_entries
from governor.actions.context import Actor, Context
from governor.actions.cutover import cutover
from governor.actions.decide import approve, reject
from governor.actions.export_packet import export_packet
from governor.actions.passkey_challenges import available
from governor.actions.passkeys import begin_decision, list_passkeys
from governor.actions.route_checks import ASKERS, LIVE, RouteCheckDocument, checks_of, start_revalidation
from governor.actions.show_change import VOID, show_change
from governor.actions.show_golden import golden_texts
from governor.actions.show_losses import losses_of
from governor.actions.start_shadow import STARTERS, start_shadow
from governor.actions.verify_change import verify_change
from governor.actions.withdraw import withdraw
from governor.changes import State, of_change
from governor.errors import Invalid
from governor.ledger.types import change_stream
from governor.shadow.golden_report import CHECKED
from governor.shadow.limits import LIMITATIONS
from governor.web.attached import attached
from governor.web.change_facts import MetricRow, Tile, metric_rows, tiles
from governor.web.change_split import SplitPart, noise_rows, segment_rows, split_part
from governor.web.session import Form
from governor.web.shell import Flash, go, render, type_of_request

STEPS: Final = ("draft", "shadowing", "in_review", "approved", "cutover", "verified")
DECIDED: Final = frozenset({State.APPROVED, State.REJECTED, State.EXPIRED, State.CUTOVER, State.VERIFIED, State.DRIFTED})
RELOAD_SECONDS: Final = 4
NEXT: Final = {
    "draft": "Next: start the shadow run. Whoever starts it is the author of the evidence and cannot approve it.",
    "shadowing": "The shadow run is under way.",
    "in_review": "Next: everybody named under Decision answers.",
    "approved": "Next: move the route in the gateway, then record the cutover here.",
    "cutover": "Next: look at later traffic; the change is verified when calls take the approved route.",
    "verified": "Later traffic takes the approved route.",
    "drifted": "Later traffic does not take the approved route. Correct the gateway, then look again.",
    "rejected": "This change was rejected. A new attempt is a new change.",
    "withdrawn": "This change was withdrawn; nothing is left to decide. Where it is wanted after all, propose it anew.",
    "expired": "Approvals ran out before the cutover. Run the shadow test again for fresh evidence, then everybody answers again.",
}
AFTER_STOP: Final = {
    "aborted_budget": "Next: propose the change again with a larger budget. This plan cannot be finished with its own.",
    "aborted_policy": "Next: propose a candidate that policy allows for this data, or have the rules or the data class changed and run again.",
    "invalid_baseline": "Next: mend what the run says of the current model, then run again.",
}
AFTER_VERDICT: Final = {
    "fail": "Next: reject it, or see under “What part could move” whether a part of the traffic could.",
    "inconclusive": "Next: settle what is open, or everybody named under Decision answers.",
}


@dataclass(frozen=True)
class ChangePage:
    change: dict[str, Any]
    tiles: list[Tile]
    metrics: list[MetricRow]
    losses: dict[str, Any]
    golden: dict[str, Any]
    limits: list[str]
    history: list[dict[str, Any]]
    steps: list[tuple[str, str]]
    reload_seconds: int
    may_start: bool
    may_reject: bool
    may_move: bool
    packet: bool
    next: str
    split: SplitPart | None
    segments: list[dict[str, Any]]
    noise: list[dict[str, str]]
    checks: list[RouteCheckDocument]
    may_check: bool
    passkeys: int = 0


def steps_of(change: dict[str, Any]) -> list[tuple[str, str]]:
    """(name, done | now | ahead); a change that ended otherwise shows where."""
    state = change["state"]
    if state == State.WITHDRAWN:  # from wherever it stood
        been = ("draft", *["shadowing"][: len(change["runs"])], *["in_review"][: change["submitted_at"] is not None])
        return [*((name, "done") for name in (*been, *["approved"][: change["decided_at"] is not None])), (state, "now")]
    path = [*STEPS[:3], state] if state in {"rejected", "expired"} else [*STEPS[:5], "drifted"] if state == "drifted" else list(STEPS)
    now = path.index(state) if state in path else 0
    return [(name, "done" if place < now else "now" if place == now else "ahead") for place, name in enumerate(path)]


def next_words(change: dict[str, Any]) -> str:
    """What to do now, by state and by how the newest run ended."""
    state, runs = change["state"], change["runs"]
    if given_up(change):
        return "The shadow run stopped. Mend the problem it names below, then run it again; what was answered is kept."
    if change["next"] == of_change(VOID, change["id"]):
        return "Leave the route as it is: what was approved has changed or an approval ran out. Recording a cutover is refused and says who decides again."
    stopped = AFTER_STOP.get(runs[-1]["status"]) if state == State.DRAFT and runs else None
    said = AFTER_VERDICT.get((change["verdict"] or {}).get("verdict", "")) if state == State.IN_REVIEW else None
    return stopped or said or NEXT.get(state, str(change["next"]))


def given_up(change: dict[str, Any]) -> bool:
    """Does a run stand that nobody will go on with unless it is started again?"""
    return change["state"] == State.SHADOWING and bool(change["runs"]) and bool(change["runs"][-1]["given_up"])


@get("/changes/{change_id:str}", sync_to_thread=True)
def show(request: type_of_request, ctx: Context, actor: Actor, change_id: str) -> Response[str]:
    change = show_change(ctx, change_id, actor)
    state = change["state"]
    page = ChangePage(
        change=change,
        tiles=tiles(change),
        metrics=metric_rows(change),
        losses=losses_of(ctx, actor, change_id),
        golden=golden_texts(ctx, actor, change_id, change["golden"]) | {"checked": CHECKED},
        limits=[LIMITATIONS.get(code, code) for code in (change["verdict"] or {}).get("limitations") or []],
        history=list(reversed(stream_entries(ctx, change_stream(change["id"])))),
        steps=steps_of(change),
        reload_seconds=RELOAD_SECONDS if state == State.SHADOWING and not given_up(change) else 0,
        may_start=(state in {State.DRAFT, State.IN_REVIEW, State.EXPIRED} or given_up(change)) and bool(actor.roles & set(STARTERS)),
        may_reject=state == State.IN_REVIEW and change["you"]["may_reject"],
        may_move=bool(actor.roles & {"requester", "owner", "admin"}),
        packet=state in DECIDED or (state == State.WITHDRAWN and change["submitted_at"] is not None),
        next=next_words(change),
        split=split_part(ctx, change),
        segments=segment_rows(change),
        noise=noise_rows(change),
        checks=checks_of(ctx, change["id"]),
        may_check=state in LIVE and bool(actor.roles & set(ASKERS)),
        passkeys=len([one for one in list_passkeys(ctx, actor) if not one["revoked_at"]]) if available(ctx.settings) else 0,
    )
    return render(request, "change.html", page)


@post("/changes/{change_id:str}/shadow", sync_to_thread=True)
def do_shadow(ctx: Context, actor: Actor, change_id: str) -> Redirect:
    start_shadow(ctx, actor, change_id)
    return go(f"/changes/{change_id}", Flash("good", "Shadow run started", "Sampled calls are replayed now; this page follows the run."))


@post("/changes/{change_id:str}/decide", sync_to_thread=True)
def do_decide(ctx: Context, actor: Actor, change_id: str, form: Form) -> Redirect:
    """The button that was pressed says which decision; the digest is the one that was shown."""
    verb = {"approve": approve, "reject": reject}.get(form.text("decision"))
    if verb is None:
        raise Invalid("choose approve or reject")
    if form.text("by-passkey") and not form.text("assertion"):  # the device was not asked: without its answer it would be the weaker kind
        begin_decision(ctx, actor, change_id, digest=form.need("digest"), decision=form.text("decision"), role=form.text("role"))
        raise Invalid(
            "your device did not sign, so nothing is on record",
            hint="send it again with JavaScript, or clear the box: your sign-in alone then stands behind the decision",
        )
    done = verb(
        ctx,
        actor,
        change_id,
        digest=form.need("digest"),
        reason=form.need("reason", "your reason"),
        role=form.text("role"),
        assertion=form.text("assertion"),
    )
    waits = f"Still open: {', '.join(done['open'])}." if done["open"] else f"The change is {done['state']}."
    return go(f"/changes/{change_id}", Flash("good", f"Your decision is on record: {done['decision']} as {done['role']}", waits))


@post("/changes/{change_id:str}/withdraw", sync_to_thread=True)
def do_withdraw(ctx: Context, actor: Actor, change_id: str, form: Form) -> Redirect:
    if form.text("confirm") != "yes":
        raise Invalid("tick the box: a withdrawn change stays withdrawn")
    done = withdraw(ctx, actor, change_id, reason=form.need("why", "your reason"))
    return go(f"/changes/{change_id}", Flash("good", f"{done['id']} is withdrawn", "Nobody is asked to decide on it any more."))


@post("/changes/{change_id:str}/cutover", sync_to_thread=True)
def do_cutover(ctx: Context, actor: Actor, change_id: str, form: Form) -> Redirect:
    done = cutover(ctx, actor, change_id, note=form.text("note"))
    return go(f"/changes/{change_id}", Flash("good", "Cutover recorded", f"The new route is approved until {done['approved_until']}."))


@post("/changes/{change_id:str}/verify", sync_to_thread=True)
def do_verify(ctx: Context, actor: Actor, change_id: str) -> Redirect:
    seen = verify_change(ctx, actor, change_id)
    told = f"{seen['on_route']:,} of {seen['on_route'] + seen['elsewhere']:,} calls took the approved route."
    tone = {"verified": "good", "drifted": "bad"}.get(seen["state"], "warn")
    return go(
        f"/changes/{change_id}",
        Flash(tone, f"Looked at later traffic: {seen['state']}", told if seen["enough"] else f"{told} Too few calls to say."),
    )


@post("/changes/{change_id:str}/revalidate", sync_to_thread=True)
def do_revalidate(ctx: Context, actor: Actor, change_id: str) -> Redirect:
    start_revalidation(ctx, actor, change_id)
    return go(
        f"/changes/{change_id}#since", Flash("good", "The approved route is asked again", "A worker does it; the result appears here.")
    )


@post("/changes/{change_id:str}/packet", sync_to_thread=True)
def download_packet(ctx: Context, actor: Actor, change_id: str) -> Response[bytes]:
    """A POST: issuing a packet is itself on record."""
    body = export_packet(ctx, actor, change_id)
    name = re.sub(r"[^A-Za-z0-9._-]", "-", change_id)
    return attached(body, "application/zip", f"{name}.govpacket")


ROUTES = [show, do_shadow, do_decide, do_withdraw, do_cutover, do_verify, do_revalidate, download_packet]
