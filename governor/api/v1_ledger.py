"""`/api/v1/ledger`: entries, their exact bytes and proofs, checkpoints, full verification."""

from __future__ import annotations

from typing import Annotated, Generic, TypedDict, cast

from litestar import MediaType, Response, get, post
from litestar.params import Parameter
from msgspec import Struct

from governor.actions.anchor_states import AnchorState, anchor_states, audit_grade
from governor.actions.anchors import AnchorCheck
from governor.actions.browse_ledger import (
    CheckpointRow,
    EntryDocument,
    EntryRow,
    StreamRow,
    checkpoints,
    entries_page,
    entry_document,
    entry_leaf,
    streams,
)
from governor.actions.context import Actor, Context
from governor.actions.restore_ledger import EntrySpan, IncarnationRow, LogHead, LostSpan, incarnations, preview_restore, restore_ledger
from governor.actions.verify_ledger import current_checkpoint, prove_entry, verify_with_anchors
from governor.api.bodies import download, raw_answer
from governor.api.slices import Cursor, Item, Items, Limit, Slice, decode, encode, named, slice_of
from governor.errors import Invalid
from governor.ledger.checkpoint import parse_checkpoint
from governor.ledger.note import parse_note

TAGS = ["ledger"]


class LedgerRestoration(Struct, forbid_unknown_fields=True):
    """confirm: the digest that the preview shows. reason: what happened, for auditors; it goes on record for ever."""

    reason: str
    confirm: str


def place(cursor: str) -> int | None:
    """The index or size that a cursor names; none without a cursor."""
    found = decode(cursor) if cursor else ""
    if cursor and not (found.isdecimal() and len(found) < 18):  # noqa: PLR2004 - fits 64 bits
        raise Invalid("unknown cursor", hint="start again without a cursor")
    return int(found) if found else None


class LogSlice(Slice[Item], Generic[Item]):
    """size: entries of the log; sealed: how many of them the newest checkpoint covers."""

    size: int
    sealed: int


class NewestCheckpoint(TypedDict):
    """note: the C2SP signed note itself, with cosignatures of witnesses."""

    origin: str
    size: int
    root: str
    note: str


class LedgerCheck(TypedDict):
    """ok: nothing was changed, dropped or inserted. blind: what the check cannot see, empty where an outside anchor was compared."""

    ok: bool
    audit_grade: bool
    blind: str
    size: int
    checked: int
    checkpoints: int
    unsealed: int
    root: str
    problems: list[str]
    anchors: list[AnchorCheck]


class NoteKept(LogHead):
    """place: where the note is kept."""

    place: str


class LossToConfirm(TypedDict):
    """lost: entries that notes prove and the database no longer holds. confirm: the digest that confirms exactly this."""

    incarnation: str
    old_head: LogHead
    restored_head: LogHead
    lost: LostSpan
    unsigned: EntrySpan
    notes: list[NoteKept]
    confirm: str


class RestoredLog(IncarnationRow):
    """entry: its place in the log."""


class GradedItems(Items[Item], Generic[Item]):
    """audit_grade: one outside the database owner's reach is up to date."""

    audit_grade: bool


@get("/ledger/checkpoint", sync_to_thread=True, tags=TAGS)
def show_checkpoint(ctx: Context) -> NewestCheckpoint:
    """The newest signed checkpoint; `note` is the C2SP signed note itself. Keep copies where the database's owner cannot reach them."""
    note = current_checkpoint(ctx)
    found = parse_checkpoint(parse_note(note).text)
    return {"origin": found.origin, "size": found.size, "root": found.root.hex(), "note": note}


@get("/ledger/checkpoints", sync_to_thread=True, tags=TAGS)
def list_checkpoints(ctx: Context, limit: Limit, cursor: Cursor) -> Annotated[Slice[CheckpointRow], named("CheckpointSlice")]:
    """Signed checkpoints, newest first."""
    found = checkpoints(ctx, limit + 1, before=place(cursor))
    shown = found[:limit]
    return {"items": shown, "next": encode(str(shown[-1]["size"])) if len(found) > limit else None}


@get("/ledger/streams", sync_to_thread=True, tags=TAGS)
def list_streams(ctx: Context, limit: Limit, cursor: Cursor) -> Annotated[Slice[StreamRow], named("StreamSlice")]:
    """Streams by newest entry."""
    return slice_of(streams(ctx, limit=None), lambda one: one["stream"], limit=limit, cursor=cursor)


@get("/ledger/entries", sync_to_thread=True, tags=TAGS)
def list_entries(
    ctx: Context,
    limit: Limit,
    cursor: Cursor,
    stream: Annotated[str, Parameter(query="stream", description="Only this stream, such as change/RC-1.")] = "",
    kind: Annotated[str, Parameter(query="type", description="Only this type (change:approve) or subject (change).")] = "",
) -> Annotated[LogSlice[EntryRow], named("EntrySlice")]:
    """Entries, newest first; `sealed` is the size that the newest checkpoint covers."""
    page = entries_page(ctx, stream=stream, kind=kind, before=place(cursor), limit=limit)
    following = encode(str(page["next"])) if page["next"] is not None else None
    return {"items": page["entries"], "next": following, "size": page["size"], "sealed": page["sealed"]}


@get("/ledger/entries/{name:str}", sync_to_thread=True, tags=TAGS)
def show_entry(ctx: Context, name: str) -> EntryDocument:
    """One entry by id or index, with its inclusion proof, checked here and now."""
    return entry_document(ctx, name)


@get("/ledger/entries/{name:str}/leaf", sync_to_thread=True, tags=TAGS, operation_class=raw_answer("application/json"))
def show_leaf(ctx: Context, name: str) -> Response[bytes]:
    """The bytes that are hashed, exactly."""
    return download(entry_leaf(ctx, name), "application/json", "entry.json")


@get("/ledger/entries/{name:str}/proof", sync_to_thread=True, tags=TAGS, media_type=MediaType.TEXT)
def show_proof(ctx: Context, name: str) -> str:
    """A c2sp.org/tlog-proof@v1 of the entry under the newest checkpoint."""
    return prove_entry(ctx, name)[1]


@get("/ledger/verify", sync_to_thread=True, tags=TAGS)
def check(
    ctx: Context, tail: Annotated[int, Parameter(query="tail", ge=1, le=1_000_000, description="Newest entries to check.")] = 10_000
) -> LedgerCheck:
    """Recompute hashes, streams and signatures and compare with every anchor. `ok` is false when anything was changed, dropped or inserted.

    `blind` says what the check cannot see when no outside anchor was compared.
    """
    return cast("LedgerCheck", verify_with_anchors(ctx, tail=tail).document())


@get("/ledger/anchors", sync_to_thread=True, tags=TAGS)
def list_anchors(ctx: Context) -> Annotated[GradedItems[AnchorState], named("AnchorItems")]:
    """Every anchor with its age; `audit_grade` needs one outside the database owner's reach that is up to date."""
    states = anchor_states(ctx)
    return {"audit_grade": audit_grade(states), "items": states}


@get("/ledger/incarnations", sync_to_thread=True, tags=TAGS)
def list_incarnations(ctx: Context) -> Annotated[Items[IncarnationRow], named("IncarnationItems")]:
    """Every name the log had, newest first: one more for every time it went on after a restored database."""
    return {"items": incarnations(ctx)}


@get("/ledger/restore", sync_to_thread=True, tags=TAGS)
def show_loss(ctx: Context) -> LossToConfirm:
    """What going on from this database would give up, who proves that it existed, and the digest that confirms exactly this. Refused where nothing is lost."""
    return cast("LossToConfirm", preview_restore(ctx).document)


@post("/ledger/restore", status_code=200, sync_to_thread=True, tags=TAGS)
def decide_loss(ctx: Context, actor: Actor, data: LedgerRestoration) -> RestoredLog:
    """Go on from an older database under a new name and key of the log. Role admin."""
    return cast("RestoredLog", restore_ledger(ctx, actor, reason=data.reason, confirm=data.confirm))


ROUTES = [
    show_checkpoint, list_checkpoints, list_streams, list_entries, show_entry, show_leaf, show_proof, check, list_anchors, list_incarnations,
    show_loss, decide_loss,
]  # fmt: skip
