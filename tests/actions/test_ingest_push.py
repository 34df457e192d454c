"""Pushed traffic is on disk before it is acknowledged and in the lake once, whatever dies in between."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from governor.actions import push as push_module
from governor.actions.context import OPERATOR, Actor, Context
from governor.actions.drain import drain_spool
from governor.actions.ingest import ingest
from governor.actions.push import push
from governor.actions.spool import put
from governor.errors import Forbidden, Invalid, NotFound, TooLarge
from governor.store.lake_lock import ingest_lock

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "tests/connectors/fixtures"
RECORDS = [json.loads(line) for line in (FIXTURES / "litellm_generic_api.jsonl").read_text().splitlines()]
BODY = json.dumps(RECORDS).encode()
SENDER = Actor(id="gateway", scopes=frozenset({"ingest:litellm"}))


def spool(ctx: Context) -> list[Path]:
    return sorted(path for path in (ctx.settings.home / "spool").rglob("*") if path.is_file())


def test_a_pushed_body_gives_the_totals_of_the_file(ctx: Context) -> None:
    counts = push(ctx, SENDER, "litellm", BODY, "application/json")
    assert counts == {
        "read": len(RECORDS),
        "stored": len(RECORDS),
        "duplicates": 0,
        "conflicts": 0,
        "quarantined": 0,
        "other_spans": 0,
        "spooled": False,
    }
    assert push(ctx, SENDER, "litellm", BODY)["duplicates"] == len(RECORDS)
    assert ingest(ctx, OPERATOR, "litellm", [str(FIXTURES / "litellm_generic_api.jsonl")])["duplicates"] == len(RECORDS)
    assert spool(ctx) == []


def test_protobuf_and_json_spans_are_taken(ctx: Context) -> None:
    protobuf = (FIXTURES / "otlp_litellm.pb").read_bytes()
    assert push(ctx, OPERATOR, "otlp", protobuf, content_type="application/x-protobuf")["stored"] > 0
    text = (FIXTURES / "otlp_genai.json").read_bytes()
    assert push(ctx, OPERATOR, "otlp", text, "application/json")["stored"] > 0


def test_a_busy_lake_spools_and_a_worker_drains_once(ctx: Context, world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(push_module, "PATIENCE", 0.1)
    ctx.lake.snapshot_id()
    with ingest_lock(ctx.lake.place, ctx.settings.home / "lake"):
        counts = push(ctx, SENDER, "litellm", BODY)
        assert (counts["spooled"], counts["stored"]) == (True, 0)
        assert drain_spool(ctx) == 0
    [path] = spool(ctx)
    kept = path.read_bytes()
    assert drain_spool(ctx) == 1
    assert ctx.lake.totals()["calls"] == len(RECORDS)
    path.write_bytes(kept)  # a worker that died after its commit leaves the file: draining again changes nothing
    assert drain_spool(ctx) == 1
    assert ctx.lake.totals() | {"batches": 1} == ctx.lake.totals()
    assert len(world.entries("source:ingest")) == 1
    assert spool(ctx) == []


def test_what_nobody_can_read_is_refused_or_quarantined_whole(ctx: Context) -> None:
    junk = b"\x00\x01 not spans"
    with pytest.raises(Invalid):
        push(ctx, OPERATOR, "otlp", junk, "application/x-protobuf")
    assert spool(ctx) == []
    note = {"source": "otlp", "connector": "otlp", "content_type": "application/x-protobuf", "actor": "gateway"}
    put(ctx, note, junk)  # what a receiver leaves that dies before it has looked inside
    assert drain_spool(ctx) == 1
    [row] = ctx.lake.quarantine()
    assert (ctx.content.unseal(row["raw"]), row["source"]) == (junk, "otlp")


def test_limits_and_rights(ctx: Context, world: Any) -> None:
    with pytest.raises(Forbidden):
        push(ctx, SENDER, "otlp", BODY)
    with pytest.raises(NotFound):
        push(ctx, OPERATOR, "fluentd", BODY)
    with pytest.raises(Invalid, match="empty"):
        push(ctx, SENDER, "litellm", b" \n")
    with pytest.raises(TooLarge):
        push(ctx, SENDER, "litellm", b" " * (ctx.settings.max_body_bytes + 1))
    assert spool(ctx) == []
    world.apply("kind: source\nid: prod\nconnector: litellm\nconfig: {}\n")
    assert push(ctx, Actor(id="g", scopes=frozenset({"ingest:prod"})), "prod", BODY)["stored"] == len(RECORDS)
    assert {row["source_instance"] for row in ctx.lake.calls(columns=["source_instance"]).to_pylist()} == {"prod"}


def test_many_senders_at_once_store_each_call_once(ctx: Context) -> None:
    parts = [json.dumps(RECORDS[start : start + 10]).encode() for start in range(0, len(RECORDS), 5)]
    threads = [threading.Thread(target=push, args=(ctx, SENDER, "litellm", part)) for part in parts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    drain_spool(ctx)
    [row] = ctx.lake.query("SELECT count(*) AS calls, count(DISTINCT record_id) AS ids FROM {calls}").to_pylist()
    assert (row["calls"], row["ids"]) == (len(RECORDS), len(RECORDS))


PUSHER = """
import os, sys
from pathlib import Path
from governor.actions.context import OPERATOR, open_context
from governor.actions.push import push
from governor.settings import load_settings
ctx = open_context(load_settings(home=Path(sys.argv[1])))
body = Path(sys.argv[2]).read_bytes()
ctx.lake.snapshot_id()
real = ctx.lake.store
def dying(*args, **more):
    if sys.argv[3] == "before":
        os.kill(os.getpid(), 9)
    counts = real(*args, **more)
    os.kill(os.getpid(), 9)
ctx.lake.store = dying
push(ctx, OPERATOR, "litellm", body)
"""


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_receiver_killed_around_its_commit_loses_and_doubles_nothing(ctx: Context, world: Any, tmp_path: Path, when: str) -> None:
    path = tmp_path / "body.json"
    path.write_bytes(BODY)
    done = subprocess.run(
        [sys.executable, "-c", PUSHER, str(ctx.settings.home), str(path), when],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    assert len(spool(ctx)) == 1
    assert drain_spool(ctx) == 1
    assert ctx.lake.totals()["calls"] == len(RECORDS)
    assert [entry["payload"]["stored"] for entry in world.entries("source:ingest")] == [len(RECORDS)]
