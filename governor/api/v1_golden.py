"""`/api/v1/golden`: cases whose right answer is known, asked of both routes in shadow runs."""

from __future__ import annotations

from typing import Annotated, Any, Final, cast

from litestar import Request, get, post
from litestar.params import Parameter
from msgspec import Struct

from governor.actions.context import Actor, Context
from governor.actions.golden_sets import GoldenRow, import_golden, list_golden, show_golden, withdraw_golden
from governor.api.bodies import raw_body, unpack
from governor.api.review_answers import GoldenCases, KeptGolden, WithdrawnGolden
from governor.api.slices import Cursor, Limit, Slice, named, slice_of

TAGS: Final = ["golden"]


class GoldenWithdrawal(Struct, forbid_unknown_fields=True):
    """Why the texts are erased; goes on record."""

    reason: str


@get("/golden", sync_to_thread=True, tags=TAGS)
def every(
    ctx: Context,
    limit: Limit,
    cursor: Cursor,
    workflow: Annotated[str, Parameter(query="workflow", max_length=200, description="Only sets of this workflow.")] = "",
) -> Annotated[Slice[GoldenRow], named("GoldenSlice")]:
    """Sets and their versions, without texts."""
    return slice_of(list_golden(ctx, workflow), lambda one: f"{one['workflow']}/{one['set']}/{one['version']}", limit=limit, cursor=cursor)


@get("/golden/{name:str}", sync_to_thread=True, tags=TAGS)
def one(ctx: Context, actor: Actor, name: str, version: Annotated[int | None, Parameter(query="version", ge=1)] = None) -> GoldenCases:
    """The cases of a set; their texts only for people who may read the workflow's content."""
    return cast("GoldenCases", show_golden(ctx, actor, name, version))


@post(
    "/golden/{name:str}",
    status_code=200,
    sync_to_thread=True,
    tags=TAGS,
    operation_class=raw_body("application/json", "application/x-ndjson", "application/yaml"),
)
def keep(
    request: Request[Actor, Any, Any],
    ctx: Context,
    actor: Actor,
    name: str,
    body: bytes,
    workflow: Annotated[str, Parameter(query="workflow", min_length=1, max_length=200, description="Workflow the cases belong to.")],
) -> KeptGolden:
    """Keep cases (JSON, JSON lines or YAML) as a new version. The same cases again change nothing."""
    plain = unpack(body, request.headers.get("content-encoding", ""), ctx.settings.max_body_bytes)
    return cast("KeptGolden", import_golden(ctx, actor, workflow=workflow, name=name, body=plain))


@post("/golden/{name:str}/withdraw", status_code=200, sync_to_thread=True, tags=TAGS)
def take_away(ctx: Context, actor: Actor, name: str, data: GoldenWithdrawal) -> WithdrawnGolden:
    """Erase the texts of all versions; digests and evidence stay."""
    return cast("WithdrawnGolden", withdraw_golden(ctx, actor, name, data.reason))


ROUTES = [every, one, keep, take_away]
