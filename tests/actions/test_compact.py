"""Small files are merged by the clock, and before it is time where many came."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from governor.actions import compact
from governor.actions.chores import CHORES
from governor.actions.context import OPERATOR
from governor.actions.ingest import ingest

GENERIC = Path(__file__).parents[1] / "connectors/fixtures/litellm_generic_api.jsonl"


def test_many_new_files_are_merged_before_it_is_time(world: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compact, "MANY_FILES", 3)
    world.now = world.now.replace(day=22)
    compact.compact(world.ctx)
    lines = GENERIC.read_text().splitlines()[:6]
    merged = []
    for number, line in enumerate(lines):
        (tmp_path / f"{number}.jsonl").write_text(line + "\n")
        assert ingest(world.ctx, OPERATOR, "litellm", [str(tmp_path / f"{number}.jsonl")])["stored"] == 1
        merged.append(compact.compact_many(world.ctx))
        assert compact.files(world.ctx) <= 3
    assert merged.count(True) == 2
    assert world.ctx.lake.totals()["calls"] == len(lines)
    assert any(chore.function == "governor.actions.compact:compact_many" and chore.every_s <= 300 for chore in CHORES)
