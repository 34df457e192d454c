"""Erasure removes bodies and nothing else, is on record, and retention follows the workflow."""

from __future__ import annotations

import hashlib
import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from governor.actions.chores import CHORES
from governor.actions.context import OPERATOR, Context
from governor.actions.erase import erase, erase_expired, sweep_content
from governor.actions.golden_sets import import_golden, show_golden
from governor.actions.ingest import ingest
from governor.errors import Forbidden, Invalid, NotFound, Unauthenticated

RECORD = json.loads((Path(__file__).parents[1] / "connectors/fixtures/litellm_generic_api.jsonl").read_text().splitlines()[0])


@pytest.fixture
def ctx(world: Any, tmp_path: Path) -> Context:
    """Six calls: three of workflow `keeps` (90 days, full), three of `drops` (5 days, full); one text is in both."""
    world.now = datetime(2026, 11, 22, tzinfo=UTC)
    for name, days in (("keeps", 90), ("drops", 5)):
        world.apply(
            f"kind: workflow\nid: {name}\nowner: dana@acme.example\ncontent_capture: full\ncontent_retention_days: {days}\n"
            f"match: [{{metadata.workflow: {name}}}]\n"
        )
    lines = []
    for number in range(6):
        one = json.loads(
            json.dumps(RECORD).replace(RECORD["id"], f"{RECORD['id']}{number}").replace(RECORD["litellm_call_id"], f"call-{number}")
        )
        one["metadata"]["spend_logs_metadata"] = {"workflow": "keeps" if number < 3 else "drops"}
        one["end_user"] = f"user-{number % 2}"
        one["messages"] = [{"role": "user", "content": "shared text" if number in (0, 3) else f"text {number}"}]
        one["response"] = {"choices": [{"message": {"role": "assistant", "content": f"answer {number}"}, "finish_reason": "stop"}]}
        lines.append(json.dumps(one))
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(lines) + "\n")
    assert ingest(world.ctx, OPERATOR, "litellm", [str(path)])["stored"] == 6
    found: Context = world.ctx
    return found


def held(ctx: Context) -> dict[str, bool]:
    """Input text is held? by the number of the call."""
    rows = ctx.lake.calls(columns=["call_group_id", "input_sha256"]).to_pylist()
    return {row["call_group_id"][-1]: ctx.content.exists(row["input_sha256"]) for row in rows}


def test_erasing_an_end_user_leaves_hashes_and_a_record(ctx: Context, world: Any) -> None:
    before = ctx.lake.calls().to_pylist()
    done = erase(ctx, world.person("multi"), end_user="user-1", reason="request of the data subject")
    assert done["calls"] == 3
    assert done["erased"] == done["objects"] > 0
    assert held(ctx) == {"0": False, "1": False, "2": True, "3": False, "4": True, "5": False}  # 0 held the same text as 3
    assert ctx.lake.calls().to_pylist() == before
    [entry] = world.entries("content:erase")
    assert entry["payload"]["objects"] == done["objects"]
    assert "user-1" not in json.dumps(entry)
    assert erase(ctx, world.person("sol"), end_user="user-1", reason="again")["erased"] == 0


def test_erasing_by_id_and_time(ctx: Context, world: Any) -> None:
    record_id = ctx.lake.calls(columns=["record_id"], equal={"call_group_id": "call-4"}).to_pylist()[0]["record_id"]
    assert erase(ctx, world.person("sol"), record_ids=[record_id], reason="wrong capture")["calls"] == 1
    assert not held(ctx)["4"]


def test_what_matches_nothing_is_refused_and_not_recorded(ctx: Context, world: Any) -> None:
    record_id = ctx.lake.calls(columns=["record_id"]).to_pylist()[0]["record_id"]
    for wrong in (
        {"record_ids": [record_id, "nope"]},
        {"end_user": "user-typo"},
        {"before": datetime(2020, 1, 1, tzinfo=UTC)},
        {"record_ids": [record_id], "end_user": "user-typo"},
    ):
        with pytest.raises(NotFound, match=r"no call .*nothing was erased"):
            erase(ctx, world.person("sol"), reason="x", **wrong)
    assert world.entries("content:erase") == []
    assert all(held(ctx).values())


def test_only_named_roles_erase_and_never_everything_by_accident(ctx: Context, world: Any) -> None:
    with pytest.raises(Forbidden):
        erase(ctx, world.person("rae"), end_user="user-1", reason="x")
    with pytest.raises(Unauthenticated):
        erase(ctx, OPERATOR, end_user="user-1", reason="x")
    with pytest.raises(Invalid, match="what to erase"):
        erase(ctx, world.person("sol"), reason="x")
    with pytest.raises(Invalid, match="reason"):
        erase(ctx, world.person("sol"), end_user="user-1", reason=" ")
    assert all(held(ctx).values())


def test_retention_is_the_workflows_and_shared_text_outlives(ctx: Context, world: Any) -> None:
    assert erase_expired(ctx) == 0
    world.later(days=7)
    assert erase_expired(ctx) > 0
    assert held(ctx) == {
        "0": True,
        "1": True,
        "2": True,
        "3": True,
        "4": False,
        "5": False,
    }  # 3 shares its text with 0, which is still kept
    assert erase_expired(ctx) == 0
    world.later(days=100)
    assert erase_expired(ctx) > 0
    assert not any(held(ctx).values())
    assert len(world.entries("content:erase")) == 2


def test_what_only_a_conflict_names_is_erased_and_expires_too(ctx: Context, world: Any, tmp_path: Path) -> None:
    one = json.loads((tmp_path / "a.jsonl").read_text().splitlines()[4])
    one["messages"] = [{"role": "user", "content": "another text under the same id"}]
    (tmp_path / "b.jsonl").write_text(json.dumps(one) + "\n")
    assert ingest(ctx, OPERATOR, "litellm", [str(tmp_path / "b.jsonl")])["conflicts"] == 1
    [told] = ctx.lake.query("SELECT record_id, input_sha256 FROM lake.conflicts").to_pylist()
    assert ctx.content.exists(told["input_sha256"])
    done = erase(ctx, world.person("sol"), record_ids=[told["record_id"]], reason="wrong capture")
    assert done["calls"] == 1
    assert not ctx.content.exists(told["input_sha256"])


def orphans(ctx: Context, count: int) -> list[str]:
    """Bodies of an ingest that died before its calls were committed."""
    bodies = [f"orphan {number}".encode() for number in range(count)]
    addresses = [hashlib.sha256(body).hexdigest() for body in bodies]
    ctx.content.put_many(zip(addresses, bodies, strict=True))
    return addresses


def test_what_no_call_names_is_swept_after_a_day_and_nothing_else(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    lost = orphans(ctx, 5)
    assert sweep_content(ctx) == 0, "its ingest may be under way"
    monkeypatch.setattr(ctx.content, "_clock", lambda: time.time() + 2 * 86_400)
    assert sweep_content(ctx) == 5
    assert not any(ctx.content.exists(address) for address in lost)
    assert all(held(ctx).values())
    assert sweep_content(ctx) == 0


def test_what_a_golden_case_names_is_not_swept(ctx: Context, world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    case = {"id": "one", "prompt": "hail at a depot", "check": "exact", "expected": "high"}
    import_golden(ctx, world.person("multi"), workflow="keeps", name="cases", body=json.dumps([case]).encode())
    [address] = [one["sha256"] for one in show_golden(ctx, world.person("sol"), "cases")["cases"]]
    monkeypatch.setattr(ctx.content, "_clock", lambda: time.time() + 2 * 86_400)
    sweep_content(ctx)
    assert ctx.content.exists(address)


def test_sweeping_is_a_chore() -> None:
    assert any(chore.function == "governor.actions.erase:sweep_content" for chore in CHORES)
