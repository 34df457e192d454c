"""Traces with tools, replayed as a whole from the recorded tape: every step is asked with the recorded history and no tool is executed."""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

from governor.actions.apply import apply
from governor.actions.context import OPERATOR, Actor, Context, open_context
from governor.actions.ingest import ingest
from governor.actions.init_home import init_home
from governor.actions.people import authenticate
from governor.actions.propose import propose
from governor.actions.replay import replay
from governor.actions.start_shadow import start_shadow
from governor.catalog import parse_documents
from governor.demo.catalog import catalog_yaml
from governor.demo.traffic import make_month
from governor.ports import ModelReply, ModelRequest
from governor.settings import load_settings
from governor.shadow.plan import ReplayPlan
from governor.shadow.units import ends
from governor.shadow.verdict import rederive
from governor.store.rows.changes import Change, EvidenceFile

STEPS = 3
TOOLS = [
    {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object", "properties": {"step": {"type": "integer"}}}}}
]


def call(step: int) -> dict[str, Any]:
    return {"id": f"call-{step}", "type": "function", "function": {"name": "look_up", "arguments": json.dumps({"step": step})}}


def traced(lines: list[str]) -> list[str]:
    """Calls of the workflow as whole traces of steps: a tool call, another, then words. Other workflows' calls stay as they were."""
    found, number = [], 0
    for line in sorted(lines, key=lambda line: "fnol-triage" in line):
        row = json.loads(line)
        if "fnol-triage" not in line:
            found.append(line)
            continue
        if row["status"] != "success":
            continue
        trace, step = divmod(number, STEPS)
        number += 1
        row["trace_id"] = f"{trace + 1:032x}"
        row["startTime"] = row["endTime"] = 1791377386 + trace * 60 + step
        row["model_parameters"]["tools"] = TOOLS
        row["messages"] = [{"role": "user", "content": f"Case {trace}"}]
        for before in range(1, step + 1):
            row["messages"] += [
                {"role": "assistant", "content": "", "tool_calls": [call(before)]},
                {"role": "tool", "tool_call_id": f"call-{before}", "content": f"result of {before}"},
            ]
        message = row["response"]["choices"][0]["message"] = {
            "role": "assistant",
            "content": "" if step < STEPS - 1 else '{"severity": "low"}',
        }
        if step < STEPS - 1:
            message["tool_calls"] = [call(step + 1)]
        found.append(json.dumps(row))
    return found[: len(found) - number % STEPS] if number % STEPS else found


@dataclass
class Tape:
    """implements ports.ModelEndpoint: does what the tape did; on every tenth case the candidate calls another tool argument at step 2."""

    asked: list[ModelRequest] = field(default_factory=list)

    def call_many(self, requests: Sequence[ModelRequest], *, concurrency: int) -> Iterator[tuple[ModelRequest, ModelReply]]:
        del concurrency
        for request in requests:
            self.asked.append(request)
            step = 1 + sum(one["role"] == "assistant" for one in request.messages)
            case = int(request.messages[0]["content"].split()[1])
            other = request.model == "fast" and case % 10 == 0 and step == 2
            calls = (call(99 if other else step),) if step < STEPS else ()
            text = "" if calls else '{"severity": "low", "cause": "x"}'
            yield request, ModelReply("ok", text, calls, "stop", input_tokens=50, output_tokens=5, duration_ms=5.0, http_status=200)


@dataclass
class House:
    ctx: Context
    admin: Actor

    def propose(self, **options: Any) -> str:
        made = propose(
            self.ctx, self.admin, workflow="fnol-triage", candidate="openai/gpt-4.1-mini", endpoint="gateway-shadow", endpoint_model="fast",
            reason="cheaper", sample=40, margins={"quality": "0.2", **dict.fromkeys(("contract", "tool_calls"), "0.3")}, options={"seed": "tape", **options},
        )  # fmt: skip
        return str(made["id"])

    def plan(self, change: str) -> ReplayPlan:
        with self.ctx.rows.session() as session:
            return ReplayPlan.parse(json.loads(session.exec(select(Change).where(Change.id == change)).one().plan))

    def files(self, change: str) -> dict[str, bytes]:
        with self.ctx.rows.session() as session:
            return {row.name: row.body for row in session.exec(select(EvidenceFile).where(EvidenceFile.change_id == change))}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    home = tmp_path_factory.mktemp("traces")
    patch = pytest.MonkeyPatch()
    for name in [name for name in os.environ if name.startswith("GOVERNOR_")]:
        patch.delenv(name)
    patch.setenv("GOVERNOR_DEMO_SHADOW_KEY", "shadow-key")
    ctx = open_context(load_settings(home=home), create=True)
    admin = authenticate(ctx, init_home(ctx, email="admin@acme.example", name="Admin", billing_zone="UTC")["token"])
    apply(ctx, admin, parse_documents(catalog_yaml("https://gateway.acme.example/v1", "2030-01-01")))
    files: list[Path] = list(make_month(home / "traffic", "2026-10", calls=1500).files)
    rows = traced([line for file in files for line in file.read_text().splitlines()])
    files[0].write_text("\n".join(rows) + "\n")
    ingest(ctx, OPERATOR, "litellm", [str(files[0])])
    yield House(ctx, admin)
    ctx.close()
    patch.undo()


def test_every_recorded_step_of_a_sampled_trace_is_asked_from_the_tape_and_no_tool_runs(house: House) -> None:
    change = house.propose()
    plan = house.plan(change)
    traces = [plan.sample[end - 1].cluster for end in ends(plan, plan.n)]
    assert len(traces) == 40
    assert sum(one.steps == STEPS for one in plan.sample) >= plan.n - 2 * STEPS  # a step on another route may be missing
    endpoint = Tape()
    run = start_shadow(house.ctx, house.admin, change)["run"]
    found = replay(house.ctx, str(run), endpoints=lambda _ctx, _id: endpoint)["verdict"]
    left = {pick.cluster for pick in plan.sample if (int(pick.cluster, 16) - 1) % 10 == 0}
    assert found["steps"]["diverged_at"] == {"2": len(left)}
    assert found["steps"]["whole_traces"] == found["steps"]["traces"] == found["clusters"] == len(set(traces))
    assert found["steps"]["tools_executed"] == 0
    after = [one for one in endpoint.asked if one.model == "fast" and len(one.messages) == 5]
    assert after
    for request in after:  # the third step sees what was recorded, whatever the candidate did at the second
        assert [json.loads(one["tool_calls"][0]["function"]["arguments"])["step"] for one in request.messages[1::2]] == [1, 2]
        assert [one["content"] for one in request.messages[2::2]] == ["result of 1", "result of 2"]
    files = house.files(change)
    assert files["verdict.json"] == rederive(files["plan.json"], files["pairs.jsonl"])


def test_single_calls_may_still_be_the_unit(house: House) -> None:
    plan = house.plan(house.propose(unit="call"))
    assert plan.n == 40
    assert {one.steps for one in plan.sample} == {1}
