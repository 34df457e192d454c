"""Every JSON route, one list of modules; what needs no token is named apart."""

from __future__ import annotations

from typing import Final

from litestar import Router
from litestar.di import Provide

from governor.api import (
    health,
)
from governor.api.bearer import BearerAuthentication, provide_actor, provide_context
from governor.api.idempotency import Idempotency

MODULES: Final = ()
DEPENDENCIES: Final = {
    "ctx": Provide(provide_context, sync_to_thread=False),
    "actor": Provide(provide_actor, sync_to_thread=False),
}
API: Final = Router(
    path="/api/v1",
    route_handlers=[route for module in MODULES for route in module.ROUTES],
    middleware=[BearerAuthentication, Idempotency()],
    dependencies=DEPENDENCIES,
    security=[{"token": []}],
)
OPEN: Final = Router(path="/", route_handlers=[*health.ROUTES], dependencies={"ctx": DEPENDENCIES["ctx"]})
ROUTERS: Final = [API, OPEN]
