"""Every page, one list of modules."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from litestar import Request, Router
from litestar.datastructures import CacheControlHeader
from litestar.di import Provide
from litestar.static_files import create_static_files_router

from governor.api.bearer import provide_context
from governor.web import (
    allocation,
    audit,
    budgets,
    calls,
    change,
    changes,
    exports,
    findings,
    icon,
    inbox,
    ledger,
    map_file,
    month_end,
    own_mapping,
    passkeys,
    periods,
    prices,
    propose,
    reconciliation,
    review,
    settings,
    sign_in,
    single_sign_on,
    sources,
    spend,
    verifier,
    workflows,
)
from governor.web.newer_calls import begin_patience
from governor.web.session import SessionAuthentication, check_csrf, provide_actor, read_form

MODULES: Final = (
    sign_in,
    single_sign_on,
    inbox,
    propose,
    change,
    review,
    changes,
    workflows,
    spend,
    budgets,
    findings,
    calls,
    periods,
    exports,
    allocation,
    month_end,
    map_file,
    own_mapping,
    reconciliation,
    prices,
    sources,
    ledger,
    audit,
    verifier,
    settings,
    passkeys,
    icon,
)


async def before_page(request: Request[Any, Any, Any]) -> None:
    begin_patience(request)
    await check_csrf(request)


PAGES: Final = Router(
    path="/",
    route_handlers=[route for module in MODULES for route in module.ROUTES],
    middleware=[SessionAuthentication],
    before_request=before_page,
    dependencies={
        "ctx": Provide(provide_context, sync_to_thread=False),
        "actor": Provide(provide_actor, sync_to_thread=False),
        "form": Provide(read_form),
    },
    include_in_schema=False,
)
# Installed files bear the date of the wheel's build, years back: a browser that is not told keeps them for a tenth of that, months after an upgrade.
STATIC: Final = create_static_files_router(
    path="/static",
    directories=[Path(__file__).parent / "static"],
    include_in_schema=False,
    name="static",
    cache_control=CacheControlHeader(max_age=300),
)
ROUTERS: Final = [PAGES, STATIC]
