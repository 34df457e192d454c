"""The price book: search, the history of a price, and proposals that a person of finance decides on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from litestar import Response, get, post
from litestar.params import Parameter
from litestar.response import Redirect

from governor.actions.browse_prices import price_history, providers, search_prices, with_prices
from governor.actions.context import Actor, Context
from governor.actions.load_catalog import catalog_as_of
from governor.actions.propose_prices import APPROVERS, ProposalRow, decide_proposal, list_proposals, show_proposal
from governor.web.charts import svg
from governor.web.price_chart import drawn, price_spec
from governor.web.session import Form
from governor.web.shell import Flash, go, render, type_of_request
from governor.web.slices import Slice, slice_of

SIZES: Final = {"wide": (1060, 280), "narrow": (350, 300)}
Page = Annotated[int, Parameter(query="page", ge=1, le=100_000)]
Provider = Annotated[str, Parameter(query="provider", max_length=200)]
Model = Annotated[str, Parameter(query="model", max_length=500)]


@dataclass(frozen=True)
class BookPage:
    slice: Slice[dict[str, Any]]
    search: str
    provider: str
    providers: list[str]
    waiting: list[ProposalRow]
    decided: list[ProposalRow]


@dataclass(frozen=True)
class HistoryPage:
    history: dict[str, Any]
    chart: str
    rows: Slice[dict[str, Any]]
    zone: str  # contract prices begin with its days


@dataclass(frozen=True)
class ProposalPage:
    proposal: dict[str, Any]
    changes: Slice[dict[str, Any]]
    may: bool
    roles: tuple[str, ...]


@get("/prices", sync_to_thread=True)
def show_book(
    request: type_of_request,
    ctx: Context,
    search: Annotated[str, Parameter(query="q", max_length=200)] = "",
    provider: Provider = "",
    page: Page = 1,
) -> Response[str]:
    rows = slice_of(search_prices(ctx, search, provider=provider), page, "/prices", {"q": search, "provider": provider})
    proposals = list_proposals(ctx)
    shown = BookPage(
        slice=Slice(with_prices(ctx, list(rows.items)), rows.caption, rows.previous, rows.next, rows.total),
        search=search,
        provider=provider,
        providers=providers(ctx),
        waiting=[one for one in proposals if one["state"] == "proposed"],
        decided=[one for one in proposals if one["state"] != "proposed"][:20],
    )
    return render(request, "prices.html", shown)


@get("/prices/history", sync_to_thread=True)
def show_history(request: type_of_request, ctx: Context, provider: Provider, model: Model, page: Page = 1) -> Response[str]:
    history = price_history(ctx, provider, model)
    named = {"provider": history["provider"], "model": model}
    chart = f"/prices/history.svg?{urlencode(named)}" if drawn(history["rows"]) else ""
    rows = slice_of(history["rows"], page, "/prices/history", named)
    zone = catalog_as_of(ctx).organization.billing_zone
    return render(request, "price_history.html", HistoryPage(history, chart, rows, zone))


@get("/prices/history.svg", sync_to_thread=True)
def chart(
    ctx: Context, provider: Provider, model: Model, size: Annotated[str, Parameter(query="size", pattern=f"^({'|'.join(SIZES)})$")] = "wide"
) -> Response[str]:
    width, height = SIZES[size]
    today = ctx.now().replace(hour=0, minute=0, second=0, microsecond=0)
    image = svg(price_spec(drawn(price_history(ctx, provider, model)["rows"]), today, width=width, height=height))
    return Response(image, media_type="image/svg+xml", headers={"Cache-Control": "private, no-cache"})


@get("/prices/proposals/{proposal:str}", sync_to_thread=True)
def show_one(request: type_of_request, ctx: Context, actor: Actor, proposal: str, page: Page = 1) -> Response[str]:
    found = show_proposal(ctx, proposal, limit=5000)
    changes = slice_of(found["difference"].get("changes", []), page, f"/prices/proposals/{found['proposal']}", {})
    return render(request, "price_proposal.html", ProposalPage(found, changes, bool(actor.roles & set(APPROVERS)), APPROVERS))


@post("/prices/proposals/{proposal:str}", sync_to_thread=True)
def decide(ctx: Context, actor: Actor, proposal: str, form: Form) -> Redirect:
    approve = form.need("decision") == "approve"
    seen = form.need("difference") if approve else ""
    said = decide_proposal(ctx, actor, proposal, approve=approve, difference_digest=seen, reason=form.text("reason"))
    text = (
        f"{said['stored']:,} prices stored; the decision is in the ledger."
        if approve
        else "No price changed; the decision is in the ledger."
    )
    return go(f"/prices/proposals/{said['proposal']}", Flash("good" if approve else "warn", f"{said['proposal']} {said['state']}", text))


ROUTES = [show_book, show_history, chart, show_one, decide]
