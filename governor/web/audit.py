"""The auditor's page: draw a sample of decided changes, see who signed how, go to their packets, take the list along.

Owns: its view and its CSV. Does not own: the draw (actions/sample_changes.py). Invariants: read-only; a cell of the CSV is never a formula.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from litestar import Response, get
from litestar.params import Parameter

from governor.actions.context import Actor, Context
from governor.actions.sample_changes import RISKS, STATES, USUAL, Wish, sample_changes
from governor.web.attached import attached
from governor.web.shell import render, type_of_request

COLUMNS: Final = ("rank", "id", "workflow", "risk", "state", "decided_at", "auth", "digest", "drawn_by", "page")


@dataclass(frozen=True)
class AuditPage:
    found: dict[str, Any]
    wish: Wish
    risks: tuple[str, ...]
    states: tuple[str, ...]
    csv: str


def wish_of(size: int, seed: str, since: str, until: str, risk: str, state: str) -> Wish:
    return Wish(size, seed.strip(), since, until, risk, state)


@get("/audit", sync_to_thread=True)
def show_audit(
    request: type_of_request,
    ctx: Context,
    size: int = USUAL,
    seed: str = "",
    since: str = "",
    until: str = "",
    risk: str = "",
    in_state: Annotated[str, Parameter(query="state")] = "",
) -> Response[str]:
    wish = wish_of(size, seed, since, until, risk, in_state)
    found = sample_changes(ctx, wish)
    named = {"size": size, "seed": found["seed"], "since": since, "until": until, "risk": risk, "state": in_state}
    link = f"/audit/sample.csv?{urlencode({name: value for name, value in named.items() if value})}"
    return render(request, "audit.html", AuditPage(found, wish, RISKS, STATES, link))


@get("/audit/sample.csv", sync_to_thread=True)
def download_sample(
    ctx: Context,
    actor: Actor,  # noqa: ARG001 - whoever is signed in may read it
    size: int = USUAL,
    seed: str = "",
    since: str = "",
    until: str = "",
    risk: str = "",
    in_state: Annotated[str, Parameter(query="state")] = "",
) -> Response[bytes]:
    found = sample_changes(ctx, wish_of(size, seed, since, until, risk, in_state))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*COLUMNS, "seed", "population", "population_sha256"])
    for one in found["items"]:
        row = [" ".join(one[name]) if isinstance(one[name], list) else one[name] for name in COLUMNS]
        writer.writerow([plain(value) for value in [*row, found["seed"], found["population"], found["population_sha256"]]])
    return attached(out.getvalue(), "text/csv; charset=utf-8", "sample.csv")


def plain(value: Any) -> str:
    """Spreadsheets run what begins with these."""
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


ROUTES = [show_audit, download_sample]
