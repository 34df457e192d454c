"""The form that asks for a route change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from litestar import Response, get, post
from litestar.params import Parameter
from litestar.response import Redirect
from markupsafe import Markup

from governor.actions.context import Actor, Context
from governor.actions.golden_sets import GoldenRow, list_golden
from governor.actions.load_catalog import catalog_as_of
from governor.actions.month_view import newest_month
from governor.actions.priced_models import priced_models
from governor.actions.propose import PROPOSERS, asked_in, propose, read_candidate
from governor.actions.registry import route_name
from governor.actions.show_change import route_text
from governor.errors import Invalid
from governor.web.filled_form import filled
from governor.web.newer_calls import SHOWS_SUMS
from governor.web.session import Form
from governor.web.shell import Flash, go, render, type_of_request


@dataclass(frozen=True)
class ProposePage:
    workflows: list[dict[str, Any]]
    endpoints: list[str]
    models: list[str]
    golden: list[GoldenRow]
    may: bool
    roles: tuple[str, ...]
    workflow: str


def propose_page(ctx: Context, actor: Actor, workflow: str) -> ProposePage:
    catalog = catalog_as_of(ctx)
    newest: dict[str, GoldenRow] = {}
    for row in list_golden(ctx):
        if not row["withdrawn"]:
            newest.setdefault(row["set"], row)
    seen = {route_name(provider, model) for provider, model in priced_models(ctx, newest_month(ctx))}
    return ProposePage(
        workflows=[
            {"id": one.id, "owner": one.owner, "routes": [route_name(route.provider, route.model) for route in one.routes]}
            for one in sorted(catalog.workflows.values(), key=lambda one: one.id)
        ],
        endpoints=sorted(catalog.endpoints),
        models=sorted(seen),
        golden=list(newest.values()),
        may=bool(actor.roles & set(PROPOSERS)),
        roles=PROPOSERS,
        workflow=workflow,
    )


@get("/changes/new", opt=SHOWS_SUMS, sync_to_thread=True)
def show_form(
    request: type_of_request,
    ctx: Context,
    actor: Actor,
    workflow: Annotated[str, Parameter(query="workflow")] = "",
    like: Annotated[str, Parameter(query="like", description="Fill in what this change asked for.")] = "",
) -> Response[str]:
    shown = propose_page(ctx, actor, workflow)
    page = render(request, "propose.html", shown)
    if like:
        asked = asked_in(ctx, like)
        lost = sorted(set(asked["options"]) - ({"golden", "judge"} if shown.golden else {"judge"}))
        fields = {name: value for name, value in fields_of(asked).items() if shown.golden or not name.startswith("golden")}
        more = f" Its {', '.join(lost)} has no field here: set it on the command line." if lost else ""
        notice = Markup(
            '<div class="notice"><strong>As {} asked for it</strong><span>A new sample is drawn from newer calls.{}</span></div>'
        )
        page.content = filled(page.content, "/changes/new", fields, str(notice.format(like, more)))
    return page


def fields_of(asked: dict[str, Any]) -> dict[str, str]:
    """The form's fields, of a request that was made with it or on the command line."""
    golden, judge = (asked["options"].get(name) or {} for name in ("golden", "judge"))
    golden = golden if isinstance(golden, dict) else {"set": str(golden)}
    fields = {
        **{name: asked[name] for name in ("workflow", "reason", "endpoint", "endpoint_model", "sample")},
        "candidate": route_text(asked["candidate"]),
        "baseline": asked["baseline"]["route"],
        "budget": asked["budget_usd"],
        "quality": asked["margins"].get("quality", ""),
        "golden": golden.get("set", ""),
        "golden_margin": golden.get("margin", ""),
        "golden_gate": "yes" if golden.get("critical", True) in (True, "true", "yes") else "",
        "judge": f"{judge['provider']}/{judge['model']}" if judge else "",
        "judge_endpoint": judge.get("endpoint", "") if judge.get("endpoint") != asked["endpoint"] else "",
        "judge_budget": judge.get("budget_usd", ""),
        "judge_family": judge.get("family", ""),
    }
    return {name: str(value) for name, value in fields.items()}


@post("/changes/new", sync_to_thread=True)
def do_propose(ctx: Context, actor: Actor, form: Form) -> Redirect:
    made = propose(
        ctx,
        actor,
        workflow=form.need("workflow"),
        candidate=form.need("candidate"),
        endpoint=form.need("endpoint"),
        endpoint_model=form.text("endpoint_model"),
        sample=whole(form.need("sample"), "sample"),
        margins={"quality": form.text("quality")} if form.text("quality") else {},
        budget_usd=form.need("budget", "most the replay may cost"),
        reason=form.need("reason"),
        baseline=form.text("baseline"),
        options=golden_option(form) | judge_option(form),
    )
    needs = ", ".join(need["role"] for need in made["needs"])
    told = f"The plan of {made['plan']['sample']} calls is fixed. Policy wants: {needs or 'nobody'}."
    return go(f"/changes/{made['id']}", Flash("good", f"{made['id']} proposed", told))


def golden_option(form: Form) -> dict[str, Any]:
    """The plan's golden option; an unticked box sends nothing."""
    if not form.text("golden"):
        return {}
    asked = {"set": form.text("golden"), "critical": form.text("golden_gate") == "yes"}
    return {"golden": asked | ({"margin": form.text("golden_margin")} if form.text("golden_margin") else {})}


def judge_option(form: Form) -> dict[str, Any]:
    """The plan's judge option; a judge without an endpoint of its own is asked where the replays are."""
    if not form.text("judge"):
        stray = next((name for name in ("judge_budget", "judge_family") if form.text(name)), "")
        if stray:
            raise Invalid(f"{stray.replace('_', ' ')} is given, and no judge", hint="name the judge, or empty the field")
        return {}
    arm = read_candidate(form.text("judge"), "judge")
    if arm.get("region"):
        raise Invalid(
            "a judge is asked at its endpoint, whatever the region", hint="write provider/model, such as anthropic/claude-haiku-4-5"
        )
    asked = {"endpoint": form.text("judge_endpoint") or form.need("endpoint"), "provider": arm["provider"], "model": arm["model"]}
    more = {"budget_usd": form.text("judge_budget"), "family": form.text("judge_family")}
    return {"judge": asked | {name: value for name, value in more.items() if value}}


def whole(text: str, name: str) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > 9:  # noqa: PLR2004 - more calls than any sample
        raise Invalid(f"{name} is a whole number from 0 to 999,999,999")
    return int(text)


ROUTES = [show_form, do_propose]
