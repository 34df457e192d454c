"""The list of route changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final

from litestar import Response, get
from litestar.params import Parameter

from governor.actions.context import Actor, Context
from governor.actions.decision_times import DecisionTimes, decision_times
from governor.actions.show_change import ChangeRow, list_changes
from governor.changes import State
from governor.web.shell import render, type_of_request
from governor.web.slices import Slice, slice_of

PROPOSERS: Final = frozenset({"requester", "owner", "admin"})


@dataclass(frozen=True)
class ChangesPage:
    slice: Slice[ChangeRow]
    states: list[str]
    state: str
    workflow: str
    may_propose: bool
    times: DecisionTimes


@get("/changes", sync_to_thread=True)
def show_changes(
    request: type_of_request,
    ctx: Context,
    actor: Actor,
    in_state: Annotated[str, Parameter(query="state")] = "",
    workflow: Annotated[str, Parameter(query="workflow")] = "",
    page: Annotated[int, Parameter(query="page", ge=1)] = 1,
) -> Response[str]:
    rows = list_changes(ctx, state=in_state, workflow=workflow)
    return render(
        request,
        "changes.html",
        ChangesPage(
            slice=slice_of(rows, page, "/changes", {"state": in_state, "workflow": workflow}),
            states=[str(one) for one in State],
            state=in_state,
            workflow=workflow,
            may_propose=bool(actor.roles & PROPOSERS),
            times=decision_times(rows, ctx.now()),
        ),
    )


ROUTES = [show_changes]
