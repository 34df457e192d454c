"""The guided run on little traffic: it tells its story, leaves a packet that verifies, and refuses a home that is in use."""

import hashlib
import json
import sys
from pathlib import Path

import pytest
from rich.console import Console

from governor.demo.run import run_demo
from governor.demo.traffic import make_month
from governor.errors import Refused
from governor.packets.verify import verify_packet


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_same_seed_makes_the_same_bytes(tmp_path: Path) -> None:
    first = make_month(tmp_path / "a", "2026-10", calls=2000)
    second = make_month(tmp_path / "b", "2026-10", calls=2000)
    assert [digest(path) for path in (*first.files, first.late)] == [digest(path) for path in (*second.files, second.late)]
    other = make_month(tmp_path / "c", "2026-10", calls=2000, seed=1)
    assert digest(other.files[0]) != digest(first.files[0])


def test_two_months_of_one_seed_share_no_call(tmp_path: Path) -> None:
    made = [make_month(tmp_path / month, month, calls=500) for month in ("2026-09", "2026-10")]
    first, second = ({json.loads(line)["id"] for path in month.files for line in path.read_text().splitlines()} for month in made)
    assert first
    assert not first & second


def test_the_planted_warts_are_in_the_files(tmp_path: Path) -> None:
    month = make_month(tmp_path, "2026-10", calls=6000)
    records = [json.loads(line) for path in month.files for line in path.read_text().splitlines()]
    assert len(records) == month.counts["records"] + month.counts["duplicates"]
    records += [json.loads(line) for line in month.late.read_text().splitlines()]
    assert sum(record["status"] == "failure" for record in records) >= month.counts["failed"]
    assert {"acme-finetune-7b", "gpt-4.1"} <= {record["model_group"] for record in records}
    assert any(record["metadata"]["user_api_key_alias"] == "c-orphan-notebook" for record in records)
    assert all(count > 0 for count in month.counts.values())


@pytest.mark.parametrize("name", ["DATABASE_URL", "LAKE_CATALOG", "LAKE_DATA", "BROKER_URL", "ANCHORS"])
def test_the_demo_touches_no_shared_installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    values = {"ANCHORS": '[{"name": "audit", "kind": "directory", "target": "/anchors"}]', "LAKE_DATA": "s3://company/lake"}
    monkeypatch.setenv(f"GOVERNOR_{name}", values.get(name, "postgresql://governor@db.invalid/governor"))
    with pytest.raises(Refused, match=f"GOVERNOR_{name} leads out of it"):
        run_demo(tmp_path / "home", calls=2500, sample=120, console=Console(quiet=True))
    assert not (tmp_path / "home").exists()


def test_the_guided_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GOVERNOR_HOME", "GOVERNOR_TOKEN", "GOVERNOR_DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GOVERNOR_DEMO_SHADOW_KEY", "demo")
    monkeypatch.setenv("PATH", "/usr/bin")  # as where .venv/bin is not on the PATH
    made = run_demo(tmp_path / "home", calls=2500, sample=120, console=Console(quiet=True))
    assert made["verdict"] in {"pass", "inconclusive"}
    assert made["message"].count(f"  {sys.argv[0]} ") == 2, "the commands to go on with can be typed as they stand"
    report = verify_packet(Path(made["packet"]).read_bytes(), Path(made["trust"]).read_text())
    assert report.exit_code == 0
    written = {path.suffix for path in Path(made["statements"]).iterdir()}
    assert {".pdf", ".csv", ".json", ".sha256"} <= written
    with pytest.raises(Refused):
        run_demo(tmp_path / "home", calls=2500, sample=120, console=Console(quiet=True))
