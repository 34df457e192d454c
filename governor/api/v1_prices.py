"""`/api/v1/prices`: what a model costs at an instant; list prices proposed and decided on."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Annotated, Final, Literal, cast

from litestar import get, post
from litestar.params import Parameter
from msgspec import Struct

from governor.actions.context import Actor, Context
from governor.actions.import_prices import import_prices, preview, show_price
from governor.actions.propose_prices import ProposalRow, decide_proposal, list_proposals, propose_prices, show_proposal
from governor.api.bearer import ASKS
from governor.api.bodies import raw_body
from governor.api.idempotency import REPEATABLE
from governor.api.price_answers import DecidedPrices, ImportedPrices, PriceDifference, PriceProposal, PricesAt
from governor.api.slices import Cursor, Limit, Slice, named, slice_of
from governor.errors import Invalid
from governor.prices.formats import read_prices
from governor.prices.price import EVER
from governor.prices.seed import Seed, genai_seed

PACKAGE: Final = "genai-prices"
FILES: Final = ("application/json", "text/csv")
Source = Annotated[
    str,
    Parameter(
        query="source", max_length=100, description=f"`{PACKAGE}` for the installed package (no body), else the name of what the body is."
    ),
]
Begins = Annotated[
    datetime | None,
    Parameter(
        query="valid_from",
        description="Instant from which prices hold that name none themselves; default: ever, so that the past is rated at them.",
    ),
]

Withdraw = Annotated[
    bool,
    Parameter(
        query="withdraw",
        description="Prices of the models it names that it no longer has end at `valid_from`; without that they never held.",
    ),
]


@get("/prices", sync_to_thread=True, tags=["prices"])
def show(
    ctx: Context,
    model: Annotated[str, Parameter(query="model", min_length=1, description="provider/model, or a model of any provider.")],
    at: Annotated[datetime | None, Parameter(query="at", description="Instant; default: now.")] = None,
    tier: Annotated[str, Parameter(query="tier")] = "",
    region: Annotated[str, Parameter(query="region")] = "",
) -> PricesAt:
    """List and contract prices of a model, per meter and context band."""
    if at is not None and at.tzinfo is None:
        raise Invalid("at: give a time zone, such as 2026-10-01T00:00:00Z")
    return cast("PricesAt", show_price(ctx, model, at=at, tier=tier, region=region))


@post(
    "/prices/diff",
    status_code=200,
    sync_to_thread=True,
    tags=["prices"],
    operation_class=raw_body(*FILES),
    opt={ASKS: True, REPEATABLE: True},
)
def diff(
    ctx: Context,
    body: bytes,
    source: Source = "body",
    limit: Annotated[int, Parameter(query="limit", ge=1, le=1000)] = 50,
    begins: Begins = None,
    withdraw: Withdraw = False,
) -> PriceDifference:
    """What importing would change, jumps over 20% first. Writes nothing."""
    return cast("PriceDifference", preview(ctx, seed_of(body, source, begins, withdraw=withdraw)).document(limit))


@post("/prices/import", status_code=200, sync_to_thread=True, tags=["prices"], operation_class=raw_body(*FILES, required=False))
def propose(
    ctx: Context,
    actor: Actor,
    body: bytes,
    source: Source = "body",
    approve: Annotated[bool, Parameter(query="approve", description="Approve it at once; needs role finance.")] = False,
    begins: Begins = None,
    withdraw: Withdraw = False,
) -> ImportedPrices:
    """Propose list prices: LiteLLM's model map or OpenRouter's models (JSON), a price CSV, or the installed package. Nothing is priced by them before approval."""
    evidence = None if source == PACKAGE else body
    made = import_prices if approve else propose_prices
    return cast("ImportedPrices", made(ctx, actor, seed_of(body, source, begins, withdraw=withdraw), evidence=evidence))


@get("/prices/proposals", sync_to_thread=True, tags=["prices"])
def proposals(
    ctx: Context,
    limit: Limit,
    cursor: Cursor,
    only: Annotated[
        str, Parameter(query="state", pattern="^(proposed|approved|rejected)?$", description="Only proposed, approved or rejected ones.")
    ] = "",
) -> Annotated[Slice[ProposalRow], named("ProposalSlice")]:
    """Proposed sets of list prices, newest first."""
    return slice_of(list_proposals(ctx, state=only, limit=None), lambda one: one["proposal"], limit=limit, cursor=cursor)


@get("/prices/proposals/{proposal:str}", sync_to_thread=True, tags=["prices"])
def proposal(ctx: Context, proposal: str, limit: Annotated[int, Parameter(query="limit", ge=1, le=5000)] = 500) -> PriceProposal:
    """One proposal and the difference it makes, with the digest an approval names."""
    return cast("PriceProposal", show_proposal(ctx, proposal, limit=limit))


class PriceDecision(Struct, forbid_unknown_fields=True):
    """decision: approve | reject; difference_digest: of the difference that was seen; reason: needed to reject."""

    decision: Literal["approve", "reject"]
    difference_digest: str = ""
    reason: str = ""


@post("/prices/proposals/{proposal:str}/decision", status_code=200, sync_to_thread=True, tags=["prices"])
def decide(ctx: Context, actor: Actor, proposal: str, data: PriceDecision) -> DecidedPrices:
    """Approve (it becomes a version of the book) or reject. Role finance."""
    return cast(
        "DecidedPrices",
        decide_proposal(
            ctx, actor, proposal, approve=data.decision == "approve", difference_digest=data.difference_digest, reason=data.reason
        ),
    )


def seed_of(body: bytes, source: str, begins: datetime | None = None, *, withdraw: bool = False) -> Seed:
    if begins is not None and begins.tzinfo is None:
        raise Invalid("valid_from: give a time zone, such as 2026-10-01T00:00:00Z")
    seed = _seed(body, source)
    seed = seed if begins is None else seed.beginning(begins)
    return replace(seed, withdraw=begins or EVER) if withdraw else seed


def _seed(body: bytes, source: str) -> Seed:
    if source == PACKAGE:
        if body:
            raise Invalid(f"source {PACKAGE} takes no body")
        return genai_seed()
    try:
        return read_prices(body.decode(), source)
    except UnicodeDecodeError:
        raise Invalid("the body is not UTF-8 text") from None


ROUTES = [show, diff, propose, proposals, proposal, decide]
