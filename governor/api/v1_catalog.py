"""`/api/v1/catalog`: documents in force, their schemas, and `apply`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final, Generic, TypedDict, cast

from litestar import Response, get, post
from litestar.params import Parameter

from governor.actions.apply import apply, plan
from governor.actions.browse_catalog import CatalogItem, browse_catalog
from governor.actions.context import Actor, Context
from governor.actions.draft_catalog import draft_catalog
from governor.api.bearer import ASKS
from governor.api.bodies import download, raw_answer, raw_body
from governor.api.idempotency import REPEATABLE
from governor.api.months import MONTH
from governor.api.slices import Cursor, Item, Limit, Slice, named, slice_of
from governor.catalog import KINDS, json_schema, parse_documents
from governor.errors import Invalid, NotFound

YAML_ALONE: Final = "application/yaml"
YAML: Final = ("application/json", YAML_ALONE)
Prune = Annotated[bool, Parameter(query="prune", description="Also remove documents that the body does not name (persons never).")]


class DocumentSlice(Slice[Item], Generic[Item]):
    """digest: of the whole catalog."""

    digest: str


class FieldChange(TypedDict):
    """before, after: JSON values; null is absence."""

    path: str
    before: Any
    after: Any


class PlannedDocument(TypedDict):
    """op: create, update, unchanged or remove. The new version holds for [valid_from, valid_to); null is open."""

    op: str
    kind: str
    key: str
    valid_from: str | None
    valid_to: str | None
    fields: list[FieldChange]


class PlanCounts(TypedDict):
    create: int
    update: int
    unchanged: int
    remove: int


class CatalogPlan(TypedDict):
    """changes: all but the unchanged, in the order of the documents."""

    changes: list[PlannedDocument]
    create: list[PlannedDocument]
    update: list[PlannedDocument]
    unchanged: list[PlannedDocument]
    remove: list[PlannedDocument]
    counts: PlanCounts


class AppliedCatalog(CatalogPlan):
    dry_run: bool
    applied: bool


@get("/catalog", sync_to_thread=True, tags=["catalog"])
def list_documents(
    ctx: Context,
    limit: Limit,
    cursor: Cursor,
    kind: Annotated[str, Parameter(query="kind", description=f"Only this kind: {', '.join(KINDS)}.")] = "",
    at: Annotated[datetime | None, Parameter(query="at", description="Instant; default: now.")] = None,
) -> Annotated[DocumentSlice[CatalogItem], named("DocumentSlice")]:
    """Documents in force at an instant."""
    if at is not None and at.tzinfo is None:
        raise Invalid("at: give a time zone, such as 2026-10-01T00:00:00Z")
    found = browse_catalog(ctx, kind=kind, at=at)
    return {"digest": found["digest"], **slice_of(found["items"], lambda one: f"{one['kind']}/{one['key']}", limit=limit, cursor=cursor)}


@get("/catalog/schemas/{kind:str}", sync_to_thread=False, tags=["catalog"])
def show_schema(kind: str) -> dict[str, Any]:
    """JSON Schema of a kind of document."""
    if kind not in KINDS:
        raise NotFound(f"no kind {kind!r}", hint=f"kinds are {', '.join(KINDS)}")
    return json_schema(kind)


@get("/catalog/draft", sync_to_thread=True, tags=["catalog"], media_type=YAML_ALONE, operation_class=raw_answer(YAML_ALONE))
def draft(
    ctx: Context,
    period: Annotated[str, Parameter(query="period", pattern=MONTH, description="Calendar month of the billing zone, YYYY-MM.")],
    at_least: Annotated[str, Parameter(query="at_least", description="USD that the calls of a document cost in the month.")] = "0",
    by: Annotated[str, Parameter(query="by", description="The field that tells workflows apart; default: what tells most.")] = "",
) -> Response[bytes]:
    """A first catalog from calls that belong to no workflow, as YAML to complete: nothing is approved by it, and `apply` refuses it until it is filled in."""
    return download(draft_catalog(ctx, period, at_least=at_least, by=by).text.encode(), YAML_ALONE, f"catalog-{period}.yaml")


@post(
    "/catalog/plan",
    status_code=200,
    sync_to_thread=True,
    tags=["catalog"],
    operation_class=raw_body(*YAML),
    opt={ASKS: True, REPEATABLE: True},
)
def show_plan(ctx: Context, body: bytes, prune: Prune = False) -> CatalogPlan:
    """What applying these documents would change, field by field. Changes nothing."""
    return cast("CatalogPlan", plan(ctx, parse_documents(body, "body"), prune=prune).as_dict())


@post("/catalog/apply", status_code=200, sync_to_thread=True, tags=["catalog"], operation_class=raw_body(*YAML))
def apply_documents(
    ctx: Context,
    actor: Actor,
    body: bytes,
    prune: Prune = False,
    dry_run: Annotated[bool, Parameter(query="dry_run", description="Check permission and show the plan; change nothing.")] = False,
) -> AppliedCatalog:
    """YAML (or JSON) documents take effect, declaratively: all of them or none. What is already so is left alone."""
    done = apply(ctx, actor, parse_documents(body, "body"), dry_run=dry_run, prune=prune)
    return cast("AppliedCatalog", done.as_dict() | {"dry_run": dry_run, "applied": bool(done.changes) and not dry_run})


ROUTES = [list_documents, show_schema, draft, show_plan, apply_documents]
