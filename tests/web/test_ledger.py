"""The ledger pages: what they show, that a proof downloaded from them holds, and that a change of one byte shows."""

from __future__ import annotations

import hashlib
import re
import sqlite3
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from governor.actions.browse_ledger import checkpoints, entries_page, streams
from governor.ledger.checkpoint import parse_checkpoint
from governor.ledger.merkle import verify_inclusion
from governor.ledger.note import parse_note
from governor.ledger.proof import parse_proof
from governor.ledger.trust import parse_trust
from governor.packets.verify import verify_packet


def test_the_checkpoint_is_shown_and_served_as_signed(site: Any) -> None:
    with site.at("ada@acme.example") as ada:
        page, note, trust = ada.get("/ledger").text, ada.get("/ledger/checkpoint"), ada.get("/ledger/trust")
        assert [one.headers["content-type"] for one in (note, trust)] == ["text/plain; charset=utf-8"] * 2
    newest = checkpoints(site.ctx, 1)[0]
    assert note.headers["content-type"].startswith("text/plain")
    signed = parse_note(note.text)
    assert any(signed.signed_by(key) for key in parse_trust(trust.content).logs)
    assert parse_checkpoint(signed.text).root.hex() == newest["root"]
    assert newest["root"] in page
    assert f"<dt>Log</dt><dd>{site.ctx.keys.origin(site.ctx.org)}</dd>" in page
    assert "attachment" in trust.headers["content-disposition"]


def test_leaf_and_proof_of_an_entry_hold_for_an_outsider(site: Any) -> None:
    with site.at("ada@acme.example") as ada:
        page, leaf, text = (ada.get(f"/ledger/entries/2{part}") for part in ("", "/leaf", "/proof"))
    proof = parse_proof(text.text)
    root = parse_checkpoint(parse_note(proof.checkpoint).text)
    leaf_hash = hashlib.sha256(b"\0" + leaf.content).digest()
    verify_inclusion(2, root.size, leaf_hash, list(proof.hashes), root.root)
    assert leaf_hash.hex() in page.text
    assert hashlib.sha256(leaf.content).hexdigest() in page.text
    assert page.text.count('class="state good"') == 6


def test_people_are_named_by_the_list_of_people_not_by_the_leaf(site: Any) -> None:
    found = next(one for one in entries_page(site.ctx, kind="change:propose")["entries"])
    with site.at("ada@acme.example") as ada:
        page, leaf = ada.get(f"/ledger/entries/{found['idx']}").text, ada.get(f"/ledger/entries/{found['idx']}/leaf").text
    assert "<dt>Actor</dt><dd>rae@acme.example</dd>" in page
    assert "rae@acme.example" not in leaf


def test_entries_filter_by_stream_and_type_and_lead_to_their_neighbours(site: Any) -> None:
    with site.at("dana@acme.example") as dana:
        one_type = dana.get("/ledger?type=source:ingest").text
        one_stream = dana.get("/ledger?stream=change/RC-1").text
        nothing = dana.get("/ledger?type=period:close").text
        older = dana.get("/ledger?before=1").text
    assert set(re.findall(r'<span class="sub">([a-z]+:[a-z]+)</span>', one_type)) == {"source:ingest"}
    assert set(re.findall(r'data-label="Stream"[^>]*><a [^>]*>([^<]+)<', one_stream)) == {"change/RC-1"}
    assert "No entry matches" in nothing
    assert re.findall(r'<th scope="row" class="num"><a href="/ledger/entries/(\d+)"', older) == ["0"]
    assert 'rel="prev"' in older or "Newest" in older
    rows = entries_page(site.ctx, stream="change/RC-1")["entries"]
    if len(rows) > 1:
        with site.at("dana@acme.example") as dana:
            assert f'href="/ledger/entries/{rows[0]["idx"]}" rel="next"' in dana.get(f"/ledger/entries/{rows[1]['idx']}").text


def plan_of(ctx: Any, ask: Callable[[], Any], word: str) -> list[str]:
    """How SQLite goes about the one statement with `word` that `ask` makes."""
    asked = list[tuple[str, Any]]()

    def note(_c: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        asked.append((statement, values))

    sa.event.listen(ctx.rows.engine, "before_cursor_execute", note)
    ask()
    sa.event.remove(ctx.rows.engine, "before_cursor_execute", note)
    [(statement, values)] = [one for one in asked if word in one[0]]
    with sqlite3.connect(ctx.settings.home / "governor.db") as rows:
        return [step for *_, step in rows.execute(f"EXPLAIN QUERY PLAN {statement}", values) if "ledgerentry" in step]


def test_the_streams_are_counted_without_reading_the_leaves(site: Any) -> None:
    """Every view of the ledger lists them, and the leaves are nearly all of the database."""
    plan = plan_of(site.ctx, lambda: streams(site.ctx), "GROUP BY")
    assert sum(one["entries"] for one in streams(site.ctx)) == entries_page(site.ctx)["size"]
    assert plan
    assert all("COVERING INDEX" in step or "stream_seq=?" in step for step in plan), plan


@pytest.mark.parametrize("kind", ["change:approve", "change", "nothing"])
def test_entries_of_one_kind_are_found_from_an_index(site: Any, kind: str) -> None:
    """Of 200,000 entries each was looked at: four tenths of a second for every page of a rare kind."""
    plan = plan_of(site.ctx, lambda: entries_page(site.ctx, kind=kind, before=10**6), "ledgerentry.leaf,")
    assert plan
    assert all("COVERING INDEX ix_ledgerentry_type" in step or "idx=?" in step for step in plan), plan
    every = entries_page(site.ctx, limit=500)["entries"]
    assert entries_page(site.ctx, kind=kind)["entries"] == [one for one in every if f"{one['type']}:".startswith(f"{kind}:")]


def test_older_entries_are_reached_page_by_page(site: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("governor.web.ledger.SIZE", 4)
    seen: list[int] = []
    path = "/ledger"
    with site.at("ada@acme.example") as ada:
        while path:
            text = ada.get(path).text
            seen += [int(index) for index in re.findall(r'<th scope="row" class="num"><a href="/ledger/entries/(\d+)"', text)]
            older = re.search(r'href="([^"]+)" rel="next"', text)
            path = older[1].replace("&amp;", "&") if older else ""
    assert seen == list(range(len(seen) - 1, -1, -1))
    assert len(seen) == entries_page(site.ctx)["size"]


def test_a_changed_leaf_shows_on_its_page_and_in_the_whole(open_site: Any, tmp_path: Any) -> None:
    with open_site(tmp_path / "bent") as site, site.at("admin@acme.example") as admin:
        assert "The ledger verifies" not in admin.get("/ledger").text
        with sqlite3.connect(tmp_path / "bent" / "governor.db") as raw:
            for (name,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name LIKE '%ledger%'").fetchall():
                raw.execute(f'DROP TRIGGER "{name}"')
            table = raw.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE '%ledger%entry%'").fetchone()[0]
            leaf = raw.execute(f"SELECT leaf FROM {table} WHERE idx = 0").fetchone()[0]
            raw.execute(f"UPDATE {table} SET leaf = ? WHERE idx = 0", [leaf.replace(b'"billing_zone":"UTC"', b'"billing_zone":"CET"')])
        raw.close()
        entry = admin.get("/ledger/entries/0")
        assert "does not verify" in entry.text
        assert "The bytes do not hash" in entry.text or "the bytes do not hash" in entry.text
        assert "checked just now" not in entry.text
        whole = admin.post("/ledger/verify", page="/ledger")
        assert whole.status_code == 200
        assert "The ledger does not verify" in whole.text
        assert "entry 0: leaf bytes do not hash to leaf_hash" in whole.text
        with sqlite3.connect(tmp_path / "bent" / "governor.db") as raw:
            raw.execute(f"UPDATE {table} SET leaf = x'00' WHERE idx = 0")
        raw.close()
        assert "Entries cannot be listed" in admin.get("/ledger").text
        assert "This entry cannot be shown" in admin.get("/ledger/entries/0").text


def test_a_period_packet_is_handed_out_and_verifies(site: Any) -> None:
    with site.at("ada@acme.example") as ada:
        (name,) = re.findall(r'name="period" value="([^"]+)"', ada.get("/ledger").text)
        packet = ada.post("/ledger/packet", {"period": name}, page="/ledger")
        trust = ada.get("/ledger/trust").text
        wrong = ada.post("/ledger/packet", {"period": "soon"}, page="/ledger")
    assert f'filename="{name}.govpacket"' in packet.headers["content-disposition"]
    report = verify_packet(packet.content, trust)
    assert report.exit_code == 0, report.text()
    assert "not a period" in wrong.text or wrong.status_code in {303, 422}
