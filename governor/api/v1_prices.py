"""`/api/v1/prices`: what a model costs at an instant, and new list prices."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final

from litestar import get, post
from litestar.params import Parameter

from governor.actions.context import Actor, Context
from governor.actions.import_prices import import_prices, preview, show_price
from governor.api.bearer import ASKS
from governor.api.bodies import raw_body
from governor.api.idempotency import REPEATABLE
from governor.errors import Invalid
from governor.prices.formats import read_prices
from governor.prices.seed import Seed, genai_seed

PACKAGE: Final = "genai-prices"
FILES: Final = ("application/json", "text/csv")
Source = Annotated[
    str,
    Parameter(
        query="source", max_length=100, description=f"`{PACKAGE}` for the installed package (no body), else the name of what the body is."
    ),
]


@get("/prices", sync_to_thread=True, tags=["prices"])
def show(
    ctx: Context,
    model: Annotated[str, Parameter(query="model", min_length=1, description="provider/model, or a model of any provider.")],
    at: Annotated[datetime | None, Parameter(query="at", description="Instant; default: now.")] = None,
    tier: Annotated[str, Parameter(query="tier")] = "",
    region: Annotated[str, Parameter(query="region")] = "",
) -> dict[str, Any]:
    """List and contract prices of a model, per meter and context band."""
    if at is not None and at.tzinfo is None:
        raise Invalid("at: give a time zone, such as 2026-10-01T00:00:00Z")
    return show_price(ctx, model, at=at, tier=tier, region=region)


@post(
    "/prices/diff",
    status_code=200,
    sync_to_thread=True,
    tags=["prices"],
    operation_class=raw_body(*FILES),
    opt={ASKS: True, REPEATABLE: True},
)
def diff(
    ctx: Context, body: bytes, source: Source = "body", limit: Annotated[int, Parameter(query="limit", ge=1, le=1000)] = 50
) -> dict[str, Any]:
    """What importing would change, jumps over 20% first. Writes nothing."""
    return preview(ctx, seed_of(body, source)).document(limit)


@post("/prices/import", status_code=200, sync_to_thread=True, tags=["prices"], operation_class=raw_body(*FILES))
def record(ctx: Context, actor: Actor, body: bytes, source: Source = "body") -> dict[str, Any]:
    """Record list prices: LiteLLM's model map (JSON) or a price CSV as the body, or the installed package. Entries it does not name stay."""
    return import_prices(ctx, actor, seed_of(body, source))


def seed_of(body: bytes, source: str) -> Seed:
    if source == PACKAGE:
        if body:
            raise Invalid(f"source {PACKAGE} takes no body")
        return genai_seed()
    try:
        return read_prices(body.decode(), source)
    except UnicodeDecodeError:
        raise Invalid("the body is not UTF-8 text") from None


ROUTES = [show, diff, record]
