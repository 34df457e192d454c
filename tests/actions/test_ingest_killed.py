"""`governor ingest` killed at any moment: after the next command every call is there once and every batch is on record."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from sqlmodel import select

from governor.actions.context import Context, open_context
from governor.actions.ingest import complete_batches
from governor.settings import load_settings
from governor.store import ledger
from governor.store.rows.ingest import IngestBatch

ROOT = Path(__file__).parents[2]
FIXTURE = ROOT / "tests/connectors/fixtures/litellm_generic_api.jsonl"


def start(home: Path, path: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "governor.cli", "--home", str(home), "--json", "ingest", "litellm", str(path)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GOVERNOR_")}
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def check(ctx: Context) -> None:
    """Whole batches only; lake, rows and ledger tell the same story."""
    [row] = ctx.lake.query("SELECT count(*) AS calls, count(DISTINCT record_id) AS ids FROM {calls}").to_pylist()
    assert row["calls"] == row["ids"]
    lake = {batch["batch_id"]: batch["stored"] for batch in ctx.lake.batches()}
    held = {
        row["id"]: row["calls"]
        for row in ctx.lake.query("SELECT ingest_batch_id AS id, count(*) AS calls FROM {calls} GROUP BY 1").to_pylist()
    }
    assert held == {batch: stored for batch, stored in lake.items() if stored}
    with ctx.rows.session() as session:
        rows = {batch.id: batch.stored for batch in session.exec(select(IngestBatch))}
        entries = [ledger.parsed(entry)["payload"] for entry in ledger.entries(session, ctx.org, type="source:ingest", limit=1000)]
    assert rows == lake
    assert sorted((entry["batch"], entry["stored"]) for entry in entries) == sorted(lake.items())


def test_ten_kills_lose_and_double_nothing(tmp_path: Path) -> None:
    home, path = tmp_path / "home", tmp_path / "traffic.jsonl"
    records = FIXTURE.read_text().splitlines()
    total = 0
    with path.open("w") as out:
        for copy in range(60):
            for line in records:
                call = json.loads(line)["litellm_call_id"]
                out.write(line.replace(call, f"{copy:04x}{call[4:]}").replace('"chatcmpl-', f'"chatcmpl-{copy:04x}') + "\n")
                total += 1
    open_context(load_settings(home=home), create=True).close()
    began = time.monotonic()
    whole = start(tmp_path / "other", path)
    whole.communicate()  # no home there: how long a start takes
    warm = time.monotonic() - began
    dice = random.Random(7)
    for _ in range(10):
        process = start(home, path)
        time.sleep(warm * 0.7 + dice.uniform(0.0, 2.0))
        process.send_signal(signal.SIGKILL)
        process.communicate()
    last = start(home, path)
    counts = json.loads(last.communicate()[0])
    assert counts["read"] == total
    ctx = open_context(load_settings(home=home))
    complete_batches(ctx)
    check(ctx)
    calm = tmp_path / "calm"
    open_context(load_settings(home=calm), create=True).close()
    undisturbed = json.loads(start(calm, path).communicate()[0])
    assert ctx.lake.totals()["calls"] == undisturbed["stored"] > total // 2
    ctx.close()


def test_two_commands_at_once_store_each_call_once(tmp_path: Path) -> None:
    home = tmp_path / "home"
    open_context(load_settings(home=home), create=True).close()
    rivals = [start(home, FIXTURE) for _ in range(2)]
    counts = [json.loads(rival.communicate()[0]) for rival in rivals]
    total = len(FIXTURE.read_text().splitlines())
    assert sum(count["stored"] for count in counts) == total
    assert sum(count["duplicates"] for count in counts) == total
    ctx = open_context(load_settings(home=home))
    check(ctx)
    ctx.close()
