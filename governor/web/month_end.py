"""The close checklist of a month and the forms of its way: soft close, signature, reopening, disputes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Final

from litestar import Response, get, post
from litestar.params import Parameter
from litestar.response import Redirect

from governor.actions.close_checklist import close_checklist
from governor.actions.context import Actor, Context
from governor.actions.correct import statement_lines
from governor.actions.dispute_line import MAY_OPEN, answer_dispute, dispute_line
from governor.actions.reopen_period import reopen, version_file
from governor.actions.sign_close import ROLES, withdraw
from governor.actions.soft_close import soft_close
from governor.chargeback.amounts import usd
from governor.web.attached import attached
from governor.web.session import Form
from governor.web.shell import Flash, go, render, type_of_request
from governor.web.slices import Slice, slice_of

TONES: Final = {"done": "good", "blocks": "bad", "look": "warn", "open": "plain"}
WORDS: Final = {"done": "done", "blocks": "blocks the close", "look": "have a look", "open": "open"}


@dataclass(frozen=True)
class ChecklistPage:
    found: dict[str, Any]
    lines: Slice[dict[str, Any]]
    may_act: bool
    may_dispute: bool
    me: str
    disputed: str
    tones: dict[str, str]
    words: dict[str, str]


@get("/periods/{month:str}/checklist", sync_to_thread=True)
def show(
    request: type_of_request,
    ctx: Context,
    actor: Actor,
    month: str,
    page: Annotated[int, Parameter(query="page", ge=1)] = 1,
    disputed: Annotated[str, Parameter(query="line", max_length=64)] = "",
) -> Response[str]:
    found = close_checklist(ctx, month)
    with ctx.rows.session() as session:
        lines = statement_lines(session, ctx.org, month) if found["stage"] == "closed" else []
    rows = [
        {"id": one.line_id, "origin": one.origin if one.ratio else one.corrects or one.line_id, "cost_center": one.cost_center, "workflow": one.workflow_id,
         "what": f"{one.provider} / {one.model}, {one.meter.replace('_', ' ')}", "rule": one.rule, "corrects": one.corrects, "month": one.charge_month,
         "amount": usd(one.contracted_pico)}
        for one in sorted(lines, key=lambda one: -abs(one.contracted_pico))
    ]  # fmt: skip
    shown = ChecklistPage(
        found=found,
        lines=slice_of(rows, page, f"/periods/{month}/checklist", {}),
        may_act=bool(actor.roles & set(ROLES)),
        may_dispute=bool(actor.roles & set(MAY_OPEN)),
        me=actor.email,
        disputed=disputed,
        tones=TONES,
        words=WORDS,
    )
    return render(request, "checklist.html", shown)


@post("/periods/{month:str}/soft-close", sync_to_thread=True)
def do_soft_close(ctx: Context, actor: Actor, month: str, form: Form) -> Redirect:  # noqa: ARG001 - reading the form checks its csrf value
    made = soft_close(ctx, actor, month)
    return go(
        f"/periods/{month}/checklist",
        Flash("good", f"{month} is soft closed", f"{made['accrued']} USD accrued, reversed on {made['reversal_date']}."),
    )


@post("/periods/{month:str}/withdraw", sync_to_thread=True)
def do_withdraw(ctx: Context, actor: Actor, month: str, form: Form) -> Redirect:
    withdraw(ctx, actor, month, form.text("reason"))
    return go(f"/periods/{month}/checklist", Flash("good", "The signature is withdrawn", "The next close is computed anew."))


@post("/periods/{month:str}/reopen", sync_to_thread=True)
def do_reopen(ctx: Context, actor: Actor, month: str, form: Form) -> Redirect:
    done = reopen(ctx, actor, month, form.text("reason"))
    text = (
        "It is open again; what its close wrote is kept as a version."
        if done["state"] == "open"
        else "It stays closed until another person agrees."
    )
    return go(f"/periods/{month}/checklist", Flash("good", f"{month}: reopening", text))


@post("/periods/{month:str}/disputes", sync_to_thread=True)
def do_dispute(ctx: Context, actor: Actor, month: str, form: Form) -> Redirect:
    made = dispute_line(ctx, actor, month, form.need("line", "the line"), form.need("reason", "why it is wrong"))
    return go(
        f"/periods/{month}/checklist", Flash("good", "Dispute opened", f"Finance answers for {made['cost_center']}; it is in the ledger.")
    )


@post("/periods/{month:str}/disputes/{dispute:str}", sync_to_thread=True)
def do_answer(ctx: Context, actor: Actor, month: str, dispute: str, form: Form) -> Redirect:
    made = answer_dispute(ctx, actor, dispute, form.need("verdict", "upheld or rejected"), form.need("answer", "why"))
    return go(f"/periods/{month}/checklist", Flash("good", f"Dispute {made['state']}", "The answer is in the ledger."))


@get("/periods/{month:str}/versions/{version:int}/{name:str}", sync_to_thread=True)
def old_file(ctx: Context, month: str, version: int, name: str) -> Response[bytes]:
    file = version_file(ctx, month, version, name)
    return attached(file.body, file.media_type, f"v{version}-{file.name}")


ROUTES = [show, do_soft_close, do_withdraw, do_reopen, do_dispute, do_answer, old_file]
