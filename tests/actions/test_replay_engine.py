"""The replay engine with an endpoint that answers from the prompt alone, in any order: the same verdict, the cap, the stream, what is sent and what never is."""

import json
import os
import random
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
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
from governor.actions.replay_budget import reserve, settle
from governor.actions.replay_rows import find_run, load, start
from governor.actions.replay_table import Task, Written
from governor.actions.shadow_progress import shadow_progress
from governor.actions.show_change import show_change
from governor.actions.start_shadow import start_shadow
from governor.catalog import parse_documents
from governor.demo.catalog import catalog_yaml
from governor.demo.simulated_endpoint import SimulatedEndpoint
from governor.demo.simulated_model import SMALL_MODEL, answer
from governor.demo.traffic import make_month
from governor.ports import ModelReply, ModelRequest
from governor.settings import load_settings
from governor.shadow.plan import ReplayPlan
from governor.store.capture import redact
from governor.store.rows.changes import Change, EvidenceFile, ShadowRun

SAMPLE = 104


@dataclass
class Scripted:
    """implements ports.ModelEndpoint: a reply that depends on nothing but the prompt; `seed` shuffles the order; dies after `lives` answers."""

    seed: int = 0
    lives: int | None = None
    asked: list[ModelRequest] = field(default_factory=list)

    def call_many(self, requests: Iterable[ModelRequest], *, concurrency: int) -> Iterator[tuple[ModelRequest, ModelReply]]:  # noqa: ARG002 - the port
        found = list(requests)
        random.Random(self.seed).shuffle(found)
        for request in found:
            self.asked.append(request)
            if self.lives is not None and len(self.asked) > self.lives:
                raise KeyboardInterrupt
            yield request, self.reply(request)

    def reply(self, request: ModelRequest) -> ModelReply:
        text = answer("model", {"messages": request.messages, **request.params}, SMALL_MODEL, 1)
        speed = 40.0 if request.model == "fast" else 80.0
        return ModelReply(
            "ok", text.text, text.tool_calls, text.finish_reason, input_tokens=text.input_tokens, output_tokens=text.output_tokens, duration_ms=speed,
            ttft_ms=speed / 4 if request.stream else None, http_status=200,
        )  # fmt: skip


@dataclass
class House:
    ctx: Context
    admin: Actor
    url: str

    def propose(self, **options: Any) -> str:
        made = propose(
            self.ctx, self.admin, workflow="fnol-triage", candidate="openai/gpt-4.1-mini", endpoint="gateway-shadow", endpoint_model="fast", reason="cheaper",
            sample=SAMPLE, margins={"quality": "0.1"}, budget_usd=options.pop("budget_usd", "20"), options={"seed": "engine", **options},
        )  # fmt: skip
        return str(made["id"])

    def run(self, change: str, endpoint: Any) -> ShadowRun:
        run_id = str(start_shadow(self.ctx, self.admin, change)["run"])
        while True:
            try:
                replay(self.ctx, run_id, endpoints=lambda _ctx, _id: endpoint)
                break
            except KeyboardInterrupt:
                endpoint.lives = None if endpoint.lives is None or endpoint.lives > 200 else endpoint.lives * 2
        return self.row(run_id)

    def row(self, run_id: str) -> ShadowRun:
        with self.ctx.rows.session() as session:
            return find_run(session, self.ctx.org, run_id)

    def plan(self, change: str) -> ReplayPlan:
        with self.ctx.rows.session() as session:
            return ReplayPlan.parse(json.loads(session.exec(select(Change.plan).where(Change.id == change)).one()))

    def files(self, change: str) -> dict[str, bytes]:
        with self.ctx.rows.session() as session:
            return {row.name: row.body for row in session.exec(select(EvidenceFile).where(EvidenceFile.change_id == change))}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    home = tmp_path_factory.mktemp("engine")
    patch = pytest.MonkeyPatch()
    for name in [name for name in os.environ if name.startswith("GOVERNOR_")]:
        patch.delenv(name)
    patch.setenv("GOVERNOR_DEMO_SHADOW_KEY", "shadow-key")
    patch.setenv("GOVERNOR_ALLOW_PRIVATE_ENDPOINTS", "true")
    with SimulatedEndpoint(seed=7) as endpoint:
        ctx = open_context(load_settings(home=home), create=True)
        admin = authenticate(ctx, init_home(ctx, email="admin@acme.example", name="Admin", billing_zone="UTC")["token"])
        apply(ctx, admin, parse_documents(catalog_yaml(endpoint.base_url, "2030-01-01")))
        ingest(ctx, OPERATOR, "litellm", [str(file) for file in make_month(home / "traffic", "2026-10", calls=1500).files])
        yield House(ctx, admin, endpoint.base_url)
        ctx.close()
    patch.undo()


def test_shuffled_answers_and_a_killed_worker_leave_the_same_bytes(house: House) -> None:
    """One plan, run three times: in order, shuffled, and by workers that die again and again."""
    verdicts, pairs, spent = set(), set(), []
    for endpoint in (Scripted(), Scripted(seed=5), Scripted(seed=9, lives=7)):
        change = house.propose()
        run = house.run(change, endpoint)
        files = house.files(change)
        verdicts.add(files["verdict.json"])
        pairs.add(files["pairs.jsonl"])
        spent.append(run.spent_pico)
        assert run.reserved_pico == 0
        table = load(house.ctx, run.id)
        assert run.spent_pico == sum(one.spend_pico for arms in table.values() for name, one in arms.items() if name != "recorded")
    assert (len(verdicts), len(pairs)) == (1, 1)
    assert json.loads(verdicts.pop())["verdict"] == "pass"
    assert spent[0] == spent[1] < spent[2], "what dead workers may have spent is on the run, and not in the evidence about the routes"


def test_time_to_the_first_token_is_measured_where_it_was_streamed_and_null_elsewhere(house: House) -> None:
    change = house.propose()
    house.run(change, Scripted())
    verdict = show_change(house.ctx, change)["verdict"]
    assert verdict["latency"]["ttft_paired"]["median"] == "0.500000"
    change = house.propose(stream="false")
    endpoint = Scripted()
    run = house.run(change, endpoint)
    assert not any(request.stream for request in endpoint.asked)
    assert "ttft_paired" not in show_change(house.ctx, change)["verdict"]["latency"]
    assert all(one.facts is None or one.facts.ttft_us is None for arms in load(house.ctx, run.id).values() for one in arms.values())


def test_both_arms_are_sent_the_same_redacted_prompt(house: House) -> None:
    endpoint = Scripted()
    change = house.propose(redact="true")
    house.run(change, endpoint)
    by_position: dict[str, set[str]] = {}
    for request in endpoint.asked:
        text = json.dumps(request.messages)
        assert redact(text.encode()) == text.encode()
        by_position.setdefault(request.idempotency_key.rsplit("-", 1)[0], set()).add(text)
    assert all(len(texts) == 1 for texts in by_position.values())
    assert "redacted" in show_change(house.ctx, change)["verdict"]["limitations"]


def test_the_evidence_says_what_it_speaks_for_and_what_was_left_out(house: House) -> None:
    change = house.propose()
    before = show_change(house.ctx, change)["representativeness"]
    plan = house.plan(change)
    assert sum(int(line["calls"]) for line in plan.population.coverage.values()) == plan.population.calls + sum(
        plan.population.excluded.values()
    )
    assert 0 < float(before["calls"]) < 1
    assert {one["reason"] for one in before["left_out"]} == set(plan.population.excluded)
    house.run(change, Scripted())
    after = show_change(house.ctx, change)["representativeness"]
    assert after["calls"] == before["calls"], "nothing of the sample was denied here"
    assert json.loads(house.files(change)["verdict.json"])["representativeness"] == after


def test_parameters_that_cannot_be_sent_are_in_the_plan_and_the_evidence(house: House) -> None:
    change = house.propose(params={"seed": 4, "surprise": True})
    told = {(arm, one["name"], one["action"]) for arm, lines in house.plan(change).translation.items() for one in lines}
    assert {("baseline", "surprise", "dropped"), ("candidate", "surprise", "dropped")} <= told
    house.run(change, Scripted())
    verdict = json.loads(house.files(change)["verdict.json"])
    assert verdict["translation"]["candidate"]
    assert "params_dropped" in verdict["limitations"]


@pytest.mark.parametrize("seen", [False, True])
def test_rivals_that_reserve_at_once_never_pass_the_cap(house: House, seen: bool) -> None:
    """Eight threads ask for every position at the same time; what is granted together stays within the budget, and nothing is granted twice.

    seen: each goes by the rows as they were before anybody asked.
    """
    change = house.propose(budget_usd="0.5")
    run_id = str(start_shadow(house.ctx, house.admin, change)["run"])
    plan = house.plan(change)
    start(house.ctx, run_id, plan)
    request = ModelRequest("key", "m", [], {}, 10)
    worst = plan.budget_pico // 37  # the budget holds 37 calls and a bit
    table = load(house.ctx, run_id)
    granted: list[Task] = []
    ready = threading.Barrier(8)

    def rival(number: int) -> None:
        tasks = [
            [
                Task(
                    at,
                    "candidate",
                    replace(request, idempotency_key=str(at)),
                    plan.candidate,
                    worst,
                    table[at]["candidate"].row if seen else None,
                )
            ]
            for at in range(plan.n)
        ]
        ready.wait()
        mine = tasks[number:] + tasks[:number]
        for at in range(0, len(mine), 5):
            granted.extend(reserve(house.ctx, run_id, mine[at : at + 5]))

    threads = [threading.Thread(target=rival, args=(number * 11,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    run = house.row(run_id)
    assert len({task.position for task in granted}) == len(granted) == 37
    assert run.reserved_pico == 37 * worst <= run.budget_pico


def test_a_reply_that_comes_after_its_worker_was_given_up_is_a_second_bill(house: House) -> None:
    """The rows a worker saw are not the rows that are: another one counted its reservation as spent and planned the call again."""
    run_id = str(start_shadow(house.ctx, house.admin, house.propose())["run"])
    plan = house.plan(house.row(run_id).change_id)
    start(house.ctx, run_id, plan)
    asked = ModelRequest("key", "m", [], {}, 10)
    late = reserve(house.ctx, run_id, [[Task(0, "candidate", asked, plan.candidate, 700, load(house.ctx, run_id)[0]["candidate"].row)]])
    start(house.ctx, run_id, plan)
    assert (house.row(run_id).spent_pico, house.row(run_id).reserved_pico) == (700, 0)
    again = reserve(house.ctx, run_id, [[Task(0, "candidate", asked, plan.candidate, 700, load(house.ctx, run_id)[0]["candidate"].row)]])
    first = settle(house.ctx, run_id, again[0], Written("done", cost_pico=300))
    second = settle(house.ctx, run_id, late[0], Written("done", cost_pico=200))
    assert (first.cost_pico, first.abandoned_pico, first.attempts) == (300, 700, 2)
    assert (second.state, second.cost_pico, second.abandoned_pico) == ("done", 300, 900)
    assert (house.row(run_id).spent_pico, house.row(run_id).reserved_pico) == (1_200, 0)
    assert load(house.ctx, run_id)[0]["candidate"] == second


def test_progress_counts_calls_and_knows_the_end(house: House) -> None:
    change = house.propose()
    run_id = str(start_shadow(house.ctx, house.admin, change)["run"])
    assert shadow_progress(house.ctx, run_id).total == 0

    class Failing(Scripted):
        def reply(self, request: ModelRequest) -> ModelReply:
            return super().reply(request) if len(self.asked) % 10 else ModelReply("timeout", duration_ms=1.0)

    with pytest.raises(KeyboardInterrupt):
        replay(house.ctx, run_id, endpoints=lambda _ctx, _id: Failing(lives=30))
    found = shadow_progress(house.ctx, run_id)
    assert found.failed == 3
    assert found.reserved_pico == house.row(run_id).reserved_pico > 0
    assert sum(found.left_out.values()) == found.done - found.sent
    assert (found.status, found.sent, found.total) == ("running", 30, 2 * SAMPLE + 35)
    assert 30 <= found.done < found.total
    assert found.rate > 0
    assert found.eta_s is not None
    assert "calls" in found.line()
    assert show_change(house.ctx, change)["progress"]["total"] == found.total
    replay(house.ctx, run_id, endpoints=lambda _ctx, _id: Scripted())
    assert shadow_progress(house.ctx, run_id).done == found.total
    assert show_change(house.ctx, change)["progress"] is None


@dataclass
class FallingBack(Scripted):
    """A gateway that answers calls of the candidate with the current model."""

    names: dict[str, str] = field(default_factory=lambda: {"fast": "openai/gpt-4o-2024-08-06", "gpt-4o": "gpt-4o-2024-08-06"})

    def reply(self, request: ModelRequest) -> ModelReply:
        return replace(super().reply(request), response_model=self.names[request.model])


def test_a_reply_of_the_other_route_is_no_reply_of_the_candidate(house: House) -> None:
    change = house.propose()
    run = house.run(change, FallingBack())
    assert json.loads(run.verdict)["verdict"] == "fail"
    shown = show_change(house.ctx, change)
    assert [(one["arm"], one["error"]) for one in shown["runs"][-1]["failures"]] == [("candidate", "answer_of_the_other_model")]
    first = json.loads(house.files(change)["pairs.jsonl"].splitlines()[0])
    assert (first["d"]["error"], first["candidate_us"]) == (-1, None)
    assert first["candidate_cost_pico"] == first["baseline_cost_pico"]  # it is paid as what it was

    assert shown["runs"][-1]["failures"][0]["model"] == "openai/gpt-4o-2024-08-06"

    named = FallingBack(names={"fast": "gpt-4.1-mini-2025-04-14", "gpt-4o": "gpt-4o-2024-08-06"})
    assert house.run(house.propose(seed="named"), named).verdict.count('"verdict":"pass"') == 1


@pytest.mark.parametrize("model", ["mistral-large-2411", "gpt-4o-mini-2024-07-18", "azure/gpt-3.5-turbo"])
def test_a_reply_of_a_third_model_is_no_reply_of_the_route(house: House, model: str) -> None:
    change = house.propose()
    run = house.run(change, FallingBack(names={"fast": model, "gpt-4o": "gpt-4o-2024-08-06"}))
    assert json.loads(run.verdict)["verdict"] == "fail"
    [failed] = show_change(house.ctx, change)["runs"][-1]["failures"]
    assert (failed["arm"], failed["error"], failed["model"]) == ("candidate", "answer_of_another_model", model)
    pair = json.loads(house.files(change)["pairs.jsonl"].splitlines()[0])
    assert (pair["d"]["error"], pair["candidate_us"]) == (-1, None)
    assert pair["candidate_cost_pico"] != pair["baseline_cost_pico"]


def test_a_gateway_that_says_it_fell_back_did_not_ask_the_route(house: House) -> None:
    class PassedOn(Scripted):
        def reply(self, request: ModelRequest) -> ModelReply:
            return replace(super().reply(request), passed_on=request.model == "fast")

    change = house.propose()
    assert json.loads(house.run(change, PassedOn()).verdict)["verdict"] == "fail"
    assert {one["error"] for one in show_change(house.ctx, change)["runs"][-1]["failures"]} == {"answer_of_another_model"}
