"""The log as static files: paths and bytes as the specification has them, a mirror that grows and refuses another history, the routes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient

from governor.actions.context import OPERATOR, Context, open_context
from governor.actions.init_home import init_home
from governor.actions.mirror import mirror
from governor.actions.people import authenticate, create_token
from governor.asgi import create_app
from governor.errors import AnchorConflict, NotFound
from governor.ledger import merkle
from governor.ledger.checkpoint import parse_checkpoint
from governor.ledger.entry import Entry, EntryDraft
from governor.ledger.note import parse_note
from governor.settings import load_settings
from governor.store import ledger
from governor.store.tiles import ENTRIES, Tile, parse_tile, tiles_of


def fill(ctx: Context, count: int, *, start: int = 0) -> None:
    with ctx.rows.session(write=True) as session:
        for number in range(start, start + count):
            draft = EntryDraft("source:ingest", "source/s", {"batch": f"b{number}"}, OPERATOR.ledger_ref(), f"i{number}", ctx.now())
            ledger.append(session, ctx.org, draft, ctx.now(), ctx.keys.producer_signer())
    ctx.seal()


@pytest.fixture
def ctx(tmp_path: Path) -> Iterator[Context]:
    made = open_context(load_settings(home=tmp_path / "home"), create=True)
    yield made
    made.close()


def test_paths_are_those_of_the_specification() -> None:
    assert Tile(0, 1234067).path == "0/x001/x234/067"
    assert Tile(0, 0, 15).path == "0/000.p/15"
    assert parse_tile("entries/x001/234.p/255") == Tile(ENTRIES, 1234, 255)
    for wrong in (
        "0/x000/001",
        "0/1",
        "00/001",
        "8/000",
        "0/000.p/0",
        "0/000.p/256",
        "0/000.p/01",
        "entries/x1/000",
        "../checkpoint",
        "0/٠٠٠",
    ):
        with pytest.raises(NotFound):
            parse_tile(wrong)
    named = [tile.path for tile in tiles_of(70_000) if tile.level >= 0]
    assert (sum(path.startswith("0/") and ".p" not in path for path in named), named[273]) == (273, "0/273.p/112")
    assert named[274:] == ["1/000", "1/001.p/17", "2/000.p/1"]
    assert [tile.path for tile in tiles_of(256) if tile.level >= 0] == ["0/000", "1/000.p/1"]


def root_of(folder: Path) -> tuple[int, bytes]:
    """Root from entries, and from tiles; both must lead to the checkpoint."""
    tree = parse_checkpoint(parse_note((folder / "checkpoint").read_text()).text)
    leaves: list[bytes] = []
    for tile in tiles_of(tree.size):
        body = (folder / "tile" / tile.path).read_bytes()
        if tile.level == ENTRIES:
            while body:
                size = int.from_bytes(body[:2], "big")
                leaves.append(merkle.leaf_hash(Entry.parse(body[2 : 2 + size]).leaf))
                body = body[2 + size :]
        elif tile.level == 0:
            first = tile.index * 256
            assert body == b"".join(leaves[first : first + tile.width])
    nodes: dict[tuple[int, int], bytes] = {}
    for index, leaf in enumerate(leaves):
        for level, pos, value in merkle.new_nodes(lambda level, pos: nodes[level, pos], index, leaf):
            nodes[level, pos] = value
    for tile in tiles_of(tree.size):
        if tile.level > 0:
            body = (folder / "tile" / tile.path).read_bytes()
            assert body == b"".join(nodes[8 * tile.level, tile.index * 256 + place] for place in range(tile.width))
    root = merkle.root(lambda level, pos: nodes[level, pos], len(leaves))
    assert (len(leaves), root) == (tree.size, tree.root)
    return tree.size, root


def test_a_mirror_holds_the_whole_log_and_grows(ctx: Context, tmp_path: Path) -> None:
    folder = tmp_path / "mirror"
    with pytest.raises(NotFound):
        mirror(ctx, folder)
    fill(ctx, 250)
    assert mirror(ctx, folder)["written"] == 2
    assert root_of(folder)[0] == 250
    fill(ctx, 300, start=250)
    told = mirror(ctx, folder)
    assert (told["before"], told["size"], told["written"]) == (250, 550, 7)
    assert root_of(folder)[0] == 550
    assert mirror(ctx, folder)["written"] == 0


def test_a_mirror_of_another_history_is_left_alone(ctx: Context, tmp_path: Path) -> None:
    folder = tmp_path / "mirror"
    fill(ctx, 5)
    mirror(ctx, folder)
    note = (folder / "checkpoint").read_text()
    other = open_context(load_settings(home=tmp_path / "other"), create=True)
    for name in ("log.pem", "producer.pem", "domain"):
        (tmp_path / "other/keys" / name).write_bytes((tmp_path / "home/keys" / name).read_bytes())
    other.keys._signers.clear()
    fill(other, 7, start=3)
    with pytest.raises(AnchorConflict, match="not those that were signed"):
        mirror(other, folder)
    assert (folder / "checkpoint").read_text() == note
    other.close()


def test_tiles_are_served_to_readers_with_the_right_caching(ctx: Context, tmp_path: Path) -> None:
    fill(ctx, 260)
    token = reading_token(ctx)
    with TestClient(create_app(ctx.settings, context=ctx, with_worker=False)) as client:
        for path in ("/checkpoint", "/tile/0/000"):
            refused = client.get(path)
            assert (refused.status_code, refused.headers["content-type"].split(";")[0]) == (401, "application/problem+json")
        headers = {"Authorization": f"Bearer {token}"}
        note = client.get("/checkpoint", headers=headers)
        assert (note.headers["content-type"], note.headers["cache-control"]) == ("text/plain; charset=utf-8", "private, max-age=5")
        assert parse_checkpoint(parse_note(note.text).text).size >= 260
        full = client.get("/tile/0/000", headers=headers)
        assert (len(full.content), full.headers["cache-control"]) == (8192, "private, max-age=31536000, immutable")
        assert full.headers["content-type"] == "application/octet-stream"
        assert len(client.get("/tile/0/001.p/3", headers=headers).content) == 96
        assert client.get("/tile/entries/001.p/2", headers=headers).content[2:3] == b"{"
        for absent in ("/tile/0/001", "/tile/0/002", "/tile/1/000.p/2", "/tile/0/x000/000", "/tile/entries/"):
            assert client.get(absent, headers=headers).status_code == 404, absent
    open_home = ctx.settings.model_copy(update={"public_tiles": True})
    ctx.settings = open_home
    with TestClient(create_app(open_home, context=ctx, with_worker=False)) as client:
        served = client.get("/tile/1/000.p/1")
        assert (served.status_code, served.headers["cache-control"]) == (200, "public, max-age=31536000, immutable")


def reading_token(ctx: Context) -> str:
    made: Any = init_home(ctx, email="admin@acme.example", name="", billing_zone="UTC")
    admin = authenticate(ctx, made["token"])
    return str(create_token(ctx, admin, email="admin@acme.example", scopes=["read"])["token"])
