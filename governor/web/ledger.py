"""The ledger browser: entries, streams, one entry with its proof, checkpoints, trust."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlencode

from litestar import Response, get, post
from litestar.params import Parameter
from litestar.response import Redirect

from governor.actions.browse_ledger import checkpoints, entries_page, entry_document, entry_leaf, streams
from governor.actions.context import Actor, Context
from governor.actions.export_trust import export_trust
from governor.actions.verify_ledger import verify_ledger
from governor.web.shell import Flash, go, render, type_of_request

TEXT = "text/plain; charset=utf-8"


@dataclass(frozen=True)
class LedgerPage:
    found: dict[str, Any]
    stream: str
    kind: str
    older: str
    filtered: bool
    checkpoints: list[dict[str, Any]]
    streams: list[dict[str, Any]]


@dataclass(frozen=True)
class EntryPage:
    entry: dict[str, Any]
    body: str


@get("/ledger", sync_to_thread=True)
def show_ledger(
    request: type_of_request,
    ctx: Context,
    stream: Annotated[str, Parameter(query="stream")] = "",
    kind: Annotated[str, Parameter(query="type")] = "",
    before: Annotated[int | None, Parameter(query="before", ge=0)] = None,
) -> Response[str]:
    found = entries_page(ctx, stream=stream, kind=kind, before=before)
    filters = {name: value for name, value in (("stream", stream), ("type", kind)) if value}
    page = LedgerPage(
        found=found,
        stream=stream,
        kind=kind,
        older=f"/ledger?{urlencode({**filters, 'before': found['next']})}" if found["next"] is not None else "",
        filtered=bool(filters) or before is not None,
        checkpoints=checkpoints(ctx, 5),
        streams=streams(ctx),
    )
    return render(request, "ledger.html", page)


@get("/ledger/entries/{name:str}", sync_to_thread=True)
def show_entry(request: type_of_request, ctx: Context, name: str) -> Response[str]:
    entry = entry_document(ctx, name)
    return render(request, "entry.html", EntryPage(entry, json.dumps(entry["body"], indent=2, ensure_ascii=False, sort_keys=True)))


@get("/ledger/entries/{name:str}/leaf", sync_to_thread=True)
def download_leaf(ctx: Context, name: str) -> Response[bytes]:
    """The exact bytes that were hashed."""
    return Response(entry_leaf(ctx, name), media_type="application/json", headers={"Content-Disposition": 'attachment; filename="entry.json"'})


@get("/ledger/entries/{name:str}/proof", sync_to_thread=True)
def download_proof(ctx: Context, name: str) -> Response[str]:
    """C2SP tlog-proof."""
    proof = entry_document(ctx, name)["proof"]
    return Response(proof["text"] if proof else "not sealed yet\n", media_type=TEXT)


@get("/ledger/checkpoint", sync_to_thread=True)
def download_checkpoint(ctx: Context) -> Response[str]:
    newest = checkpoints(ctx, 1)
    return Response(newest[0]["note"] if newest else "the log is empty\n", media_type=TEXT)


@get("/ledger/trust", sync_to_thread=True)
def download_trust(ctx: Context) -> Response[str]:
    """What a verifier must believe; holds no secret."""
    return Response(export_trust(ctx), media_type=TEXT, headers={"Content-Disposition": 'attachment; filename="governor.trust"'})


@post("/ledger/verify", sync_to_thread=True)
def do_verify(ctx: Context, actor: Actor) -> Redirect:  # noqa: ARG001 - any signed-in person may look
    found = verify_ledger(ctx)
    problems = list(found.problems)
    if problems:
        return go("/ledger", Flash("bad", f"The ledger does not verify: {len(problems)} problems", "; ".join(str(one) for one in problems[:3])))
    return go("/ledger", Flash("good", "The ledger verifies", f"{found.checked:,} entries: hashes, streams, tree and signatures were recomputed."))


ROUTES = [show_ledger, show_entry, download_leaf, download_proof, download_checkpoint, download_trust, do_verify]
