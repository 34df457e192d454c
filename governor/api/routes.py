"""Every JSON route, one list of modules; what needs no token is named apart."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from litestar import Router
from litestar.di import Provide
from litestar.handlers import HTTPRouteHandler

from governor.api import (
    health,
    push,
    tiles,
    v1_allocation,
    v1_bills,
    v1_budgets,
    v1_catalog,
    v1_changes,
    v1_exports,
    v1_golden,
    v1_ledger,
    v1_month_end,
    v1_packets,
    v1_people,
    v1_periods,
    v1_policy,
    v1_prices,
    v1_review,
    v1_sources,
    v1_spend,
    v1_usage,
)
from governor.api.bearer import BearerAuthentication, provide_actor, provide_context
from governor.api.idempotency import Idempotency
from governor.api.problems import PROBLEMS

MODULES: Final = (
    v1_allocation,
    v1_budgets,
    v1_bills,
    v1_catalog,
    v1_changes,
    v1_exports,
    v1_golden,
    v1_ledger,
    v1_month_end,
    v1_packets,
    v1_people,
    v1_periods,
    v1_policy,
    v1_prices,
    v1_review,
    v1_sources,
    v1_spend,
    v1_usage,
)
DEPENDENCIES: Final = {
    "ctx": Provide(provide_context, sync_to_thread=False),
    "actor": Provide(provide_actor, sync_to_thread=False),
}


def documented(routes: Iterable[HTTPRouteHandler]) -> list[HTTPRouteHandler]:
    """The same routes; each says what it may answer beside success."""
    found = list(routes)
    for route in found:
        route.responses = PROBLEMS | dict(route.responses or {})
    return found


API: Final = Router(
    path="/api/v1",
    route_handlers=documented(route for module in MODULES for route in module.ROUTES),
    middleware=[BearerAuthentication, Idempotency()],
    dependencies=DEPENDENCIES,
    security=[{"token": []}],
)
PUSH: Final = Router(
    path="/", route_handlers=documented(push.ROUTES), middleware=[BearerAuthentication], dependencies=DEPENDENCIES, security=[{"token": []}]
)
OPEN: Final = Router(path="/", route_handlers=documented([*health.ROUTES, *tiles.ROUTES]), dependencies={"ctx": DEPENDENCIES["ctx"]})
ROUTERS: Final = [API, PUSH, OPEN]
