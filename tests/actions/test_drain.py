"""Bodies that wait are stored together, once, whatever is among them and whoever dies."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from sqlalchemy.exc import SQLAlchemyError

from governor.actions import drain, pace, push
from governor.actions.context import OPERATOR, Context
from governor.actions.doctor import Check, examine
from governor.actions.drain import Drainer, drain_due, drain_spool
from governor.actions.quarantine import retry
from governor.actions.spool import BODY, GROUP, claimed, folder_of, put
from governor.errors import Invalid, LakeBusy, Unavailable
from governor.store.lake_lock import ingest_lock

FIXTURES = Path(__file__).parents[1] / "connectors/fixtures"
RECORDS = [json.loads(line) for line in (FIXTURES / "litellm_generic_api.jsonl").read_text().splitlines()]
NOTE = {"source": "litellm", "connector": "litellm", "content_type": "application/json", "actor": "gateway"}


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
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(drain, "ingest_payloads", dies)
        with pytest.raises(KeyboardInterrupt):
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
    assert ctx.content.unseal(row["raw"]) == b"\x00\x01 not spans"
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


@pytest.mark.parametrize(
    ("error", "levels"), [(LakeBusy("another process is writing"), {"INFO"}), (Unavailable("the rows database is away"), {"WARNING"})]
)
def test_an_outage_is_a_warning_and_a_busy_lake_none(
    ctx: Context, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception, levels: set[str]
) -> None:
    spool_all(ctx)

    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(drain, "ingest_payloads", refuse)
    with caplog.at_level("INFO"):
        assert drain_spool(ctx) == 0
    assert {one.levelname for one in caplog.records if "spooled bodies wait" in one.message} == levels
    assert left(ctx)


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


class Poisoned:
    """A connector with a defect: one kind of record brings it down."""

    def __init__(self, real: Any) -> None:
        self._real, self.name = real, real.name

    def read(self, payloads: Any, options: Any) -> Any:
        def seen() -> Any:
            for payload in payloads:
                if b"poison" in payload.body:
                    raise ZeroDivisionError("of no use to anybody")
                yield payload

        return self._real.read(seen(), options)


@pytest.fixture
def poisoned(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Every connector has the defect until the patch is undone."""
    real = drain.connector_named
    with monkeypatch.context() as patch:
        patch.setattr(drain, "connector_named", lambda name: Poisoned(real(name)))
        patch.setattr(push, "connector_named", lambda name: Poisoned(real(name)))
        yield patch


def test_a_body_that_brings_its_reader_down_stops_nobody(ctx: Context, poisoned: Any) -> None:
    spans = {"source": "otlp", "connector": "otlp", "content_type": "application/json", "actor": "gateway"}
    bad = json.dumps([RECORDS[0] | {"poison": "x" * (2 << 20)}, RECORDS[1] | {"startTime": "never"}]).encode()
    put(ctx, NOTE, bad)
    for record in RECORDS[2:5]:
        put(ctx, NOTE, json.dumps([record]).encode())
    put(ctx, spans, (FIXTURES / "otlp_genai.json").read_bytes())
    assert drain_spool(ctx) == 5
    assert left(ctx) == []
    before = ctx.lake.totals()["calls"]
    assert before > 3
    [row] = ctx.lake.quarantine()
    assert (row["reason"], ctx.content.unseal(bytes(row["raw"]))) == ("payload: ZeroDivisionError: of no use to anybody", bad)
    poisoned.undo()
    assert retry(ctx, OPERATOR, [row["id"]])["stored"] == 1
    assert ctx.lake.totals()["calls"] == before + 1
    assert [one["reason"].split(":")[0] for one in ctx.lake.quarantine()] == ["bad_time"]  # the other one in it, named on its own


def test_what_still_cannot_be_read_stays_in_quarantine(ctx: Context, poisoned: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    put(ctx, NOTE, b'[{"poison": 1}]')
    assert drain_spool(ctx) == 1
    monkeypatch.setattr("governor.actions.quarantine.connector_named", drain.connector_named)
    assert retry(ctx, OPERATOR, [], every=True)["quarantined"] == 1
    assert len(ctx.lake.quarantine()) == 1


@pytest.mark.parametrize(
    "error",
    [
        OSError(28, "No space left on device"),
        duckdb.IOException("cannot read"),
        SQLAlchemyError("gone"),
        sqlite3.OperationalError("database is locked"),
    ],
)
def test_bodies_wait_for_a_lake_that_fails_and_others_have_their_turn(
    ctx: Context, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    for record in RECORDS[:4]:
        put(ctx, NOTE, json.dumps([record]).encode())
    put(ctx, NOTE | {"source": "other"}, json.dumps([RECORDS[4]]).encode())
    real = drain.ingest_payloads

    def fails(*args: Any, source: str, **more: Any) -> Any:
        if source == "litellm":
            raise error
        return real(*args, source=source, **more)

    with monkeypatch.context() as patch:
        patch.setattr(drain, "ingest_payloads", fails)
        assert (drain_spool(ctx), drain_spool(ctx)) == (1, 0)
    assert len([name for name in left(ctx) if name.endswith(BODY)]) == 4
    assert caplog.messages == ["4 spooled bodies of litellm wait"]
    assert drain_spool(ctx) == 4
    assert caplog.messages[1].startswith("bodies of litellm are stored again, after")
    assert (ctx.lake.totals()["calls"], ctx.lake.quarantine(), left(ctx)) == (5, [], [])


def test_a_lake_that_takes_no_reject_either_is_what_failed(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    spool_all(ctx)

    def broken(*_: Any, **__: Any) -> None:
        raise duckdb.FatalException("the database has been invalidated")

    with monkeypatch.context() as patch:
        patch.setattr(drain, "ingest_payloads", broken)
        patch.setattr(drain, "ingest_batches", broken)
        assert drain_spool(ctx) == 0
    assert drain_spool(ctx) == len(RECORDS)
    assert (ctx.lake.totals()["calls"], ctx.lake.quarantine()) == (len(RECORDS), [])


def test_a_body_on_disk_is_acknowledged_whatever_its_reader_does(ctx: Context, poisoned: Any) -> None:
    assert push.push(ctx, OPERATOR, "litellm", b'[{"poison": 1}]')["spooled"] is True
    assert drain_spool(ctx) == 1
    assert [row["reason"].split(":")[0] for row in ctx.lake.quarantine()] == ["payload"]


def test_the_doctor_names_what_another_user_left_in_the_home(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after `sudo governor ingest` beside a server that runs as a user of its own."""
    folder, access = spool_all(ctx)[0].parent, os.access

    def check() -> Check:
        return next(check for check in examine(ctx.settings) if check.name == "files")

    monkeypatch.setattr(os, "geteuid", lambda: ctx.settings.home.stat().st_uid)
    assert check().ok
    monkeypatch.setattr(os, "geteuid", lambda: 10_001)
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != folder and access(path, mode))
    assert (check().ok, check().needed) == (False, True)
    assert f"not for this user (10001) to write: {folder.relative_to(ctx.settings.home)}" in check().detail
    assert "chown" in check().detail


def test_the_doctor_tells_root_what_is_of_another_user_than_the_home(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    stat, home = Path.stat, ctx.settings.home

    def of_the_server(self: Path, **options: Any) -> os.stat_result:
        found = stat(self, **options)
        return os.stat_result((*found[:4], 10_001 if self == home else 0, *found[5:10]))

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(Path, "stat", of_the_server)
    [found] = [check.detail for check in examine(ctx.settings) if check.name == "files"]
    assert "of another user than the home (10001): " in found


def test_the_doctor_says_what_waits_and_since_when(ctx: Context) -> None:
    def line() -> str:
        return next(check.line() for check in examine(ctx.settings) if check.name == "spool")

    assert "no pushed body waits" in line()
    first, *_ = spool_all(ctx)
    assert f"{len(RECORDS)} pushed bodies wait" in line()
    assert line().startswith("[ ok ]")
    long_ago = datetime(2026, 11, 1, 8, 0, tzinfo=UTC).timestamp()
    os.utime(first, (long_ago, long_ago))
    assert "the oldest since 2026-11-01 08:00:00 UTC" in line()
    assert line().startswith("[ -- ]")


def test_what_a_killed_receiver_left_in_the_middle_goes_and_what_is_being_written_stays(ctx: Context) -> None:
    for name, age in (("killed.part", 4000), ("writing.part", 1)):
        (path := folder_of(ctx) / name).write_bytes(b"{")
        os.utime(path, (time.time() - age,) * 2)
    drain_spool(ctx)
    assert left(ctx) == ["writing.part"]


@pytest.fixture
def minutes(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The clock of the pace, in seconds; its last element is now."""
    clock = [0.0]
    monkeypatch.setattr("governor.actions.pace.monotonic", lambda: clock[-1])
    monkeypatch.setattr("governor.actions.pace._left", {})
    return clock


def test_a_source_that_never_stops_is_one_batch_a_minute(
    ctx: Context, world: Any, minutes: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A flush every five seconds for five minutes; what a quiet source brings is stored at once beside it."""
    monkeypatch.setattr("governor.actions.pace.BURST", 3)
    bodies = [json.dumps([{**record, "litellm_call_id": f"c-{n}", "id": f"i-{n}"}]).encode() for n, record in enumerate(RECORDS * 2)][:60]
    answers = []
    for body in bodies:
        minutes.append(minutes[-1] + 5)
        answers.append(push.push(ctx, OPERATOR, "litellm", body)["spooled"])
        drain_due(ctx)
    assert answers[:3] == [False, False, False]
    assert len(world.entries("source:ingest")) == 3 + 4  # at once, then one of each whole minute
    assert ctx.lake.totals()["calls"] + len(left(ctx)) == len(bodies)
    assert push.push(ctx, OPERATOR, "portkey", (FIXTURES / "portkey_export.jsonl").read_bytes())["spooled"] is False
    drain_spool(ctx)
    assert (ctx.lake.totals()["calls"] >= len(bodies), left(ctx)) == (True, [])


def test_a_full_group_waits_for_no_pace(ctx: Context, minutes: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("governor.actions.pace.BURST", 0)
    monkeypatch.setattr(drain, "MOST_BODIES", len(RECORDS) - 1)
    spool_all(ctx)
    assert (drain_due(ctx), drain_due(ctx)) == (len(RECORDS) - 1, 0)
    minutes.append(60.0)
    assert len(left(ctx)) == 1


def test_a_body_that_is_refused_and_a_lake_that_is_busy_cost_a_source_nothing(
    ctx: Context, minutes: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("governor.actions.pace.BURST", 1)
    with pytest.raises(Invalid):
        push.push(ctx, OPERATOR, "otlp", b"\x00\x01 not spans", "application/x-protobuf")
    monkeypatch.setattr(drain, "PATIENCE", 0.1)
    monkeypatch.setattr(push, "PATIENCE", 0.1)
    ctx.lake.snapshot_id()
    with ingest_lock(ctx.lake.place, ctx.settings.home / "lake"):
        spool_all(ctx)
        assert drain_due(ctx) == 0
    assert pace.may_store(folder_of(ctx), "otlp")
    assert drain_due(ctx) == len(RECORDS)
    assert not pace.may_store(folder_of(ctx), "litellm")


def test_a_receiver_that_stops_in_order_leaves_nothing_behind(ctx: Context, minutes: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("governor.actions.pace.BURST", 0)
    drainer = Drainer(ctx, pause_s=0.01)
    drainer.start()
    spool_all(ctx)
    drainer.stop()
    assert left(ctx) == []
    assert ctx.lake.totals()["calls"] == len(RECORDS)
