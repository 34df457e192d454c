"""Bodies that wait are stored together, once, whatever is among them and whoever dies."""

from __future__ import annotations

import json
import shutil
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from governor.actions import drain, push
from governor.actions.context import OPERATOR, Context
from governor.actions.drain import Drainer, drain_spool
from governor.actions.spool import BODY, GROUP, claimed, folder_of, put
from governor.errors import Unavailable

FIXTURES = Path(__file__).parents[1] / "connectors/fixtures"
RECORDS = [json.loads(line) for line in (FIXTURES / "litellm_generic_api.jsonl").read_text().splitlines()]
NOTE = {"source": "litellm", "connector": "litellm", "content_type": "application/json", "actor": "gateway"}


@pytest.fixture
def ctx(world: Any) -> Context:
    world.now = datetime(2026, 11, 22, tzinfo=UTC)
    found: Context = world.ctx
    return found


def spool_all(ctx: Context) -> list[Path]:
    """One body a record, as small flushes of a busy gateway are."""
    return [put(ctx, NOTE, json.dumps([record]).encode()) for record in RECORDS]


def left(ctx: Context) -> list[str]:
    return sorted(path.name for path in folder_of(ctx).iterdir())


def test_many_bodies_are_one_batch_and_one_entry(ctx: Context, world: Any) -> None:
    spool_all(ctx)
    assert drain_spool(ctx) == len(RECORDS)
    assert ctx.lake.totals()["calls"] == len(RECORDS)
    [entry] = world.entries("source:ingest")
    assert (entry["payload"]["read"], entry["payload"]["stored"]) == (len(RECORDS), len(RECORDS))
    assert left(ctx) == []
    assert drain_spool(ctx) == 0


def test_groups_are_bounded_and_sources_are_kept_apart(ctx: Context, world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drain, "MOST_BODIES", 10)
    world.apply("kind: source\nid: eu\nconnector: litellm\nconfig: {}\n")
    for number, record in enumerate(RECORDS):
        put(ctx, NOTE | {"source": "eu" if number % 2 else "litellm"}, json.dumps(record).encode())
    assert drain_spool(ctx) == len(RECORDS)
    entries = world.entries("source:ingest")
    assert {entry["payload"]["source"] for entry in entries} == {"eu", "litellm"}
    assert max(entry["payload"]["read"] for entry in entries) <= 10
    assert sum(entry["payload"]["read"] for entry in entries) == len(RECORDS)


def test_a_drainer_that_died_after_its_commit_changes_nothing(
    ctx: Context, world: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = spool_all(ctx)
    copies = [Path(shutil.copy(path, tmp_path)) for path in paths]
    kept: list[bytes] = []
    real = drain.put_group

    def watched(*args: Any) -> Path:
        group = real(*args)
        kept.append(group.read_bytes())
        copies.append(Path(shutil.copy(group, tmp_path)))
        return group

    monkeypatch.setattr(drain, "put_group", watched)
    drain_spool(ctx)
    before = ctx.lake.totals()
    for copy in copies[3:]:  # it had removed three of the bodies
        shutil.copy(copy, folder_of(ctx))
    put(ctx, NOTE, json.dumps(RECORDS[0]).encode())  # and meanwhile another body came
    assert drain_spool(ctx) == len(paths) - 3 + 1
    assert ctx.lake.totals() == before | {"batches": before["batches"] + 1}
    assert [entry["payload"]["stored"] for entry in world.entries("source:ingest")] == [len(RECORDS), 0]
    assert left(ctx) == []


def test_a_drainer_that_died_before_its_commit_is_finished(ctx: Context, world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    spool_all(ctx)

    def dies(*_: Any, **__: Any) -> None:
        raise RuntimeError("power cut")

    with monkeypatch.context() as patch:
        patch.setattr(drain, "ingest_payloads", dies)
        with pytest.raises(RuntimeError):
            drain_spool(ctx)
    [group] = [name for name in left(ctx) if name.endswith(GROUP)]
    assert drain_spool(ctx) == len(RECORDS)
    [entry] = world.entries("source:ingest")
    assert entry["payload"]["batch"] == group.removesuffix(GROUP)
    assert left(ctx) == []


def test_a_body_nobody_can_read_does_not_hold_up_the_others(ctx: Context) -> None:
    note = {"source": "otlp", "connector": "otlp", "content_type": "application/x-protobuf", "actor": "gateway"}
    put(ctx, note, (FIXTURES / "otlp_litellm.pb").read_bytes())
    put(ctx, note, b"\x00\x01 not spans")
    assert drain_spool(ctx) == 2
    assert ctx.lake.totals()["calls"] > 0
    [row] = ctx.lake.quarantine()
    assert row["raw"] == b"\x00\x01 not spans"
    assert left(ctx) == []


def test_a_body_in_somebodys_hands_and_a_busy_lake_are_left_alone(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = spool_all(ctx)[:3]
    for path in folder_of(ctx).glob(f"*{BODY}"):
        if path not in paths:
            path.unlink()
    with claimed(paths[0]) as mine:
        assert mine
        assert drain_spool(ctx) == 2
    assert left(ctx) == [paths[0].name]

    def busy(*_: Any, **__: Any) -> None:
        raise Unavailable("busy")

    with monkeypatch.context() as patch:
        patch.setattr(drain, "ingest_payloads", busy)
        assert drain_spool(ctx) == 0
    assert left(ctx) == [paths[0].name]


def test_a_sender_beside_another_is_answered_at_once(ctx: Context) -> None:
    with push._storing:
        said = push.push(ctx, OPERATOR, "litellm", json.dumps(RECORDS).encode())
    assert (said["spooled"], said["read"]) == (True, 0)
    assert drain_spool(ctx) == 1
    assert push.push(ctx, OPERATOR, "litellm", json.dumps(RECORDS).encode())["duplicates"] == len(RECORDS)


def test_the_receiving_process_drains_its_own_spool(ctx: Context) -> None:
    spool_all(ctx)
    drainer = Drainer(ctx, pause_s=0.05)
    drainer.start()
    try:
        for _ in range(600):
            if not left(ctx):
                break
            time.sleep(0.05)
    finally:
        drainer.stop()
    assert left(ctx) == []
    assert ctx.lake.totals()["calls"] == len(RECORDS)
