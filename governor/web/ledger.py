"""The ledger browser: entries, streams, one entry with its proof, checkpoints, trust."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from litestar import Response, get, post
from litestar.params import Parameter
from litestar.response import Redirect

from governor.actions.anchor_states import AnchorState, anchor_states, audit_grade
from governor.actions.browse_ledger import CheckpointRow, EntryDocument, checkpoints, entries_page, entry_document, entry_leaf, streams
from governor.actions.browse_people import list_people
from governor.actions.check_entry import EntryCheck, check_entry
from governor.actions.context import Actor, Context
from governor.actions.export_period import export_period
from governor.actions.export_trust import export_trust
from governor.actions.restore_ledger import IncarnationRow, incarnations
from governor.actions.verify_ledger import Verified, verify_with_anchors
from governor.errors import GovernorError, NotFound
from governor.ledger.types import REGISTRY
from governor.web.attached import attached
from governor.web.session import Form
from governor.web.shell import Flash, go, render, type_of_request
from governor.web.slices import SIZE

TEXT: Final = "text/plain"  # the framework adds the charset
STREAMS_SHOWN: Final = 8
READABLE: Final = 200


@dataclass(frozen=True)
class LedgerPage:
    """problem: why the entries cannot be listed; findings: of a check that found something wrong."""

    found: dict[str, Any]
    problem: str
    stream: str
    kind: str
    types: list[str]
    newest: str
    newer: str
    older: str
    checkpoint: dict[str, Any] | None
    streams: list[dict[str, Any]]
    streams_shown: int
    names: dict[str, str]
    anchors: list[AnchorState]
    audit_grade: bool
    incarnations: list[IncarnationRow]
    broken: str
    quarter: str = ""
    verified: Verified | None = None


@dataclass(frozen=True)
class EntryPage:
    entry: EntryDocument | None
    name: str
    problem: str
    body: str
    checks: list[EntryCheck]
    sound: bool
    sealed: bool
    stream: str


def ledger_page(ctx: Context, stream: str = "", kind: str = "", before: int | None = None, verified: Verified | None = None) -> LedgerPage:
    found, problem = read_entries(ctx, stream, kind, before)
    filters = {name: value for name, value in (("stream", stream), ("type", kind)) if value}

    def link(index: int | None) -> str:
        return "/ledger" + (
            f"?{urlencode({**filters, **({'before': index} if index is not None else {})})}" if filters or index is not None else ""
        )

    newer = ""
    if before is not None and not filters:  # without a filter the index says where the page before begins
        newer = link(before + SIZE if before + SIZE < found["size"] else None)
    newest, anchors = checkpoints(ctx, 1), anchor_states(ctx)
    names, broken = read_incarnations(ctx)
    return LedgerPage(
        found=found,
        problem=problem,
        stream=stream,
        kind=kind,
        types=sorted(REGISTRY),
        newest=link(None) if before is not None else "",
        newer=newer,
        older=link(found["next"]) if found["next"] is not None else "",
        checkpoint=with_origin(newest[0]) if newest else None,
        streams=named_streams(ctx),
        streams_shown=STREAMS_SHOWN,
        names=stream_names(ctx),
        anchors=anchors,
        audit_grade=audit_grade(anchors),
        incarnations=names if len(names) > 1 else [],
        broken=broken,
        quarter=quarter_of(ctx.now()),
        verified=verified,
    )


def quarter_of(now: datetime) -> str:
    return f"{now.year}-Q{(now.month + 2) // 3}"


def read_incarnations(ctx: Context) -> tuple[list[IncarnationRow], str]:
    """(names of the log, why nothing more is signed); a database that is older than its home still shows its page."""
    try:
        with ctx.rows.session() as session:
            ctx.check_unbroken(session)
    except GovernorError as error:
        return [], f"{error.message}. {error.hint}"
    try:
        return incarnations(ctx), ""
    except (GovernorError, KeyError, ValueError) as error:
        return [], f"the names of the log cannot be read: {error}"


def read_entries(ctx: Context, stream: str, kind: str, before: int | None) -> tuple[dict[str, Any], str]:
    """A log that was tampered with must still lead to the button that says so."""
    try:
        return entries_page(ctx, stream=stream, kind=kind, before=before, limit=SIZE), ""
    except GovernorError as error:
        return {"entries": [], "next": None, "size": 0, "sealed": 0}, error.message


def with_origin(checkpoint: CheckpointRow) -> dict[str, Any]:
    """Its name, and the note for reading: an ML-DSA-44 signature is three thousand letters, which nobody reads on a page."""
    lines = str(checkpoint["note"]).split("\n")
    short = [line if len(line) <= READABLE else f"{line[:READABLE]}… ({len(line):,} letters)" for line in lines]
    return {**checkpoint, "origin": lines[0], "short": "\n".join(short)}


def stream_names(ctx: Context) -> dict[str, str]:
    """Streams of people carry an opaque reference; signed-in readers see whom it means."""
    return {f"person/{one['id']}": f"person/{one['email']}" for one in list_people(ctx)}


def named_streams(ctx: Context) -> list[dict[str, Any]]:
    names = stream_names(ctx)
    return [{**one, "label": names.get(one["stream"], one["stream"])} for one in streams(ctx)]


@get("/ledger", sync_to_thread=True)
def show_ledger(
    request: type_of_request,
    ctx: Context,
    stream: Annotated[str, Parameter(query="stream", max_length=300)] = "",
    kind: Annotated[str, Parameter(query="type", max_length=100)] = "",
    before: Annotated[int | None, Parameter(query="before", ge=0, lt=2**62)] = None,
) -> Response[str]:
    return render(request, "ledger.html", ledger_page(ctx, stream, kind, before))


@get("/ledger/entries/{name:str}", sync_to_thread=True)
def show_entry(request: type_of_request, ctx: Context, name: str) -> Response[str]:
    checks = check_entry(ctx, name)
    entry: EntryDocument | None = None
    problem = ""
    try:
        entry = entry_document(ctx, name)
    except NotFound:
        raise
    except GovernorError as error:
        problem = error.message
    page = EntryPage(
        entry=entry,
        name=name,
        problem=problem,
        body=json.dumps(entry["body"], indent=2, ensure_ascii=False, sort_keys=True) if entry else "",
        checks=checks,
        sound=not problem and all(check.status != "fail" for check in checks),
        sealed=all(check.status != "waiting" for check in checks),
        stream=stream_names(ctx).get(entry["stream"], entry["stream"]) if entry else "",
    )
    return render(request, "entry.html", page)


@get("/ledger/entries/{name:str}/leaf", sync_to_thread=True)
def download_leaf(ctx: Context, name: str) -> Response[bytes]:
    """The exact bytes that were hashed."""
    return attached(entry_leaf(ctx, name), "application/json", f"entry-{safe(name)}.json")


@get("/ledger/entries/{name:str}/proof", sync_to_thread=True)
def download_proof(ctx: Context, name: str) -> Response[bytes]:
    """C2SP tlog-proof."""
    proof = entry_document(ctx, name)["proof"]
    if proof is None:
        raise NotFound(f"entry {name} is not sealed yet", hint="the next checkpoint will cover it")
    return attached(proof["text"], TEXT, f"entry-{safe(name)}.tlog-proof")


def safe(name: str) -> str:
    return "".join(sign for sign in name if sign.isascii() and (sign.isalnum() or sign == "-"))[:64]


@get("/ledger/checkpoint", sync_to_thread=True)
def download_checkpoint(ctx: Context) -> Response[str]:
    """The newest signed note, as text."""
    newest = checkpoints(ctx, 1)
    if not newest:
        raise NotFound("the log is empty")
    return Response(newest[0]["note"], media_type=TEXT)


@get("/ledger/trust", sync_to_thread=True)
def download_trust(ctx: Context) -> Response[bytes]:
    """What a verifier must believe; holds no secret."""
    return attached(export_trust(ctx), TEXT, "governor.trust")


@post("/ledger/packet", sync_to_thread=True)
def download_period(ctx: Context, actor: Actor, form: Form) -> Response[bytes]:
    """A POST: issuing a packet is itself on record."""
    name = form.need("period")
    body = export_period(ctx, actor, name)
    return attached(body, "application/zip", f"{safe(name)}.govpacket")


@post("/ledger/verify", sync_to_thread=True)
def do_verify(request: type_of_request, ctx: Context) -> Response[str] | Redirect:
    """Any signed-in person may look. A sound log says so and goes back; anything wrong is listed, every line of it."""
    verified = verify_with_anchors(ctx)
    found = verified.findings
    if not verified.ok:
        return render(request, "ledger.html", ledger_page(ctx, verified=verified), at="/ledger")
    compared = [one.name for one in verified.anchors if one.status == "agrees" and one.kind != "home"]
    told = (
        f"{found.checked:,} entries and {found.checkpoints:,} checkpoints: every hash, stream, tree node and signature was computed again."
    )
    told += f" {found.unsealed:,} entries wait for the next checkpoint." if found.unsealed else ""
    told += f" Anchors that agree: {', '.join(compared)}." if compared else ""
    return go("/ledger", Flash("warn" if verified.blind else "good", "The ledger verifies", f"{verified.blind} {told}".strip()))


ROUTES = [show_ledger, show_entry, download_leaf, download_proof, download_checkpoint, download_trust, download_period, do_verify]
