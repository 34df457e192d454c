"""Every JSON route, one list of modules; what needs no token is named apart."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from litestar import Router
from litestar.di import Provide
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.spec import OpenAPIType, Operation, Parameter, Schema
from litestar.types import Method
from litestar.types.internal_types import PathParameterDefinition

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
    v1_metrics,
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
from governor.api.idempotency import LONGEST_KEY, Idempotency
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
    v1_metrics,
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


DONE: Final = {200: "Done", 201: "Made", 202: "Accepted; a worker does it"}


def documented(routes: Iterable[HTTPRouteHandler]) -> list[HTTPRouteHandler]:
    """The same routes; each says in a line what it does, and what it may answer beside success."""
    found = list(routes)
    for route in found:
        route.summary = (route.fn.__doc__ or "").split("\n")[0].split(". ")[0].rstrip(".")
        route.response_description = DONE[route.status_code]
        route.responses = PROBLEMS | dict(route.responses or {})
    return found


def keyed(routes: Iterable[HTTPRouteHandler]) -> list[HTTPRouteHandler]:
    """The same routes; each POST says that it takes an Idempotency-Key, so that generated clients can send one."""
    found = list(routes)
    for route in found:
        if "POST" in route.http_methods:
            route.operation_class = with_key(route.operation_class)
    return found


def with_key(operation: type[Operation]) -> type[Operation]:
    @dataclass
    class Keyed(operation):  # type: ignore[misc, valid-type]
        def __post_init__(self) -> None:
            told: Any = getattr(super(), "__post_init__", None)
            if told:
                told()
            self.parameters = [*(getattr(self, "parameters", None) or []), KEY]

    return Keyed


def operation_id(_: HTTPRouteHandler, method: Method, path: list[str | PathParameterDefinition]) -> str:
    """What a generated client calls it, such as get_changes_by_change_id_split: of the address alone, so that it stands when a function here is renamed."""
    words = [part.replace("-", "_") if isinstance(part, str) else f"by_{part.name}" for part in path if part not in {"api", "v1"}]
    return "_".join([method.lower(), *words])


KEY: Final = Parameter(
    name="Idempotency-Key",
    param_in="header",
    description="Yours: the same key with the same request does the work once and answers the same again.",
    schema=Schema(type=OpenAPIType.STRING, max_length=LONGEST_KEY),
)
API: Final = Router(
    path="/api/v1",
    route_handlers=keyed(documented(route for module in MODULES for route in module.ROUTES)),
    middleware=[BearerAuthentication, Idempotency()],
    dependencies=DEPENDENCIES,
    security=[{"token": []}],
)
PUSH: Final = Router(
    path="/", route_handlers=documented(push.ROUTES), middleware=[BearerAuthentication], dependencies=DEPENDENCIES, security=[{"token": []}]
)
OPEN: Final = Router(path="/", route_handlers=documented([*health.ROUTES, *tiles.ROUTES]), dependencies={"ctx": DEPENDENCIES["ctx"]})
ROUTERS: Final = [API, PUSH, OPEN]
