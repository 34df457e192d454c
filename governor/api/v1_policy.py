"""`/api/v1/policy`: decisions for gateways that ask, and the bundle for those that decide themselves."""

from __future__ import annotations

from typing import Annotated, Any, TypedDict, cast

from litestar import Request, Response, get, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import Parameter
from msgspec import Struct, field, structs

from governor.actions.context import Actor, Context
from governor.actions.decide_call import AskedCall, decide_call
from governor.actions.load_catalog import catalog_as_of
from governor.api.bearer import ASKS
from governor.api.bodies import download
from governor.api.idempotency import REPEATABLE
from governor.ledger.canonical import sha256_hex
from governor.policy.bundle import archive
from governor.policy.catalog_data import catalog_data
from governor.policy.decision import Need, Undecided, Violation, Waived


class CallToDecide(Struct, forbid_unknown_fields=True):
    """A call that is about to be made. keys: what attribution rules look at, such as api_key_alias or metadata.workflow; or name the workflow."""

    provider: str | None = None
    model: str | None = None
    requested_model: str | None = None
    region: str | None = None
    environment: str | None = None
    data_class: str | None = None
    is_fallback: bool | None = None
    fallback_from: str | None = None
    traffic_class: str = "production"
    workflow: str | None = None
    keys: dict[str, str] = field(default_factory=dict)


class AttributedBy(TypedDict):
    """rule: null where none matched; reason: why, in words."""

    rule: str | None
    trust: str
    reason: str


class CallDecision(TypedDict):
    """status: violation, undecided, waived or allowed. revision: of the policy bundle; catalog: its digest."""

    allow: bool
    rules: list[str]
    violations: list[Violation]
    warnings: list[Violation]
    waived: list[Waived]
    undecided: list[Undecided]
    needs: list[Need]
    route: str | None
    route_status: str
    data_class: str | None
    status: str
    workflow: str | None
    owner: str | None
    attribution: AttributedBy
    revision: str
    catalog: str


@post("/policy/decision", status_code=200, sync_to_thread=True, tags=["policy"], opt={ASKS: True, REPEATABLE: True})
def decide(ctx: Context, data: CallToDecide) -> CallDecision:
    """May a call like this one be made now? `allow` is false for violations and for what is undecided; scope `read` is enough."""
    return cast("CallDecision", decide_call(ctx, AskedCall(**structs.asdict(data))))


@get(
    "/policy/bundle",
    sync_to_thread=True,
    tags=["policy"],
    media_type="application/gzip",
    responses={304: ResponseSpec(None, description="The bundle is the one of If-None-Match.")},
)
def bundle(
    request: Request[Actor, Any, Any],
    ctx: Context,
    catalog: Annotated[bool, Parameter(query="catalog", description="With today's catalog as data.catalog.")] = True,
) -> Response[bytes]:
    """The OPA bundle (tar.gz) of the rules and the catalog; an OPA server polls this with its ETag."""
    body = archive(ctx.bundle, catalog_data(catalog_as_of(ctx)) if catalog else None)
    tag = f'"{sha256_hex(body)}"'
    if request.headers.get("if-none-match", "") == tag:
        return Response(b"", status_code=304, headers={"ETag": tag})
    return download(body, "application/gzip", "governor-policies.tar.gz", ETag=tag)


ROUTES = [decide, bundle]
