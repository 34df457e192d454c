"""Shadow runs against a real HTTP endpoint and real stores: what ends in which state, what is spent, and what a crash leaves behind."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import islice
from typing import Any

import pytest
from sqlmodel import col, select

from governor.actions.apply import apply
from governor.actions.context import OPERATOR, Actor, Context, open_context
from governor.actions.erase import erase
from governor.actions.import_prices import load_book
from governor.actions.ingest import ingest
from governor.actions.init_home import init_home
from governor.actions.load_catalog import catalog_as_of
from governor.actions.people import authenticate, create_token
from governor.actions.plan_shadow import plan_shadow
from governor.actions.propose import propose
from governor.actions.replay import http_endpoint, replay
from governor.actions.replay_price import Pricer
from governor.actions.replay_rows import load
from governor.actions.show_change import show_change
from governor.actions.start_shadow import start_shadow
from governor.actions.withdraw import withdraw
from governor.adapters.model_endpoint import HttpModelEndpoint
from governor.catalog import parse_documents
from governor.demo.catalog import catalog_yaml
from governor.demo.simulated_endpoint import SimulatedEndpoint
from governor.demo.simulated_model import Behaviour
from governor.demo.traffic import make_month
from governor.errors import Invalid, Refused
from governor.ports import ModelEndpoint, ModelReply, ModelRequest
from governor.settings import load_settings
from governor.shadow.plan import Arm
from governor.shadow.verdict import rederive
from governor.store import ledger
from governor.store.rows.changes import Change, EvidenceFile, ReplayResult, ShadowRun

WORKFLOW = "fnol-triage"
UNTIL = (datetime.now(UTC) + timedelta(days=90)).date().isoformat()


@dataclass
class House:
    ctx: Context
    admin: Actor
    requester: Actor
    endpoint: SimulatedEndpoint

    def propose(self, model: str, **options: Any) -> str:
        values: dict[str, Any] = {"sample": 120, "margins": {"quality": "0.1"}, "budget_usd": "20", "endpoint_model": model}
        made = propose(
            self.ctx,
            self.requester,
            workflow=WORKFLOW,
            candidate="openai/gpt-4.1-mini",
            endpoint="gateway-shadow",
            reason="cheaper",
            **{**values, **options},
        )
        return str(made["id"])

    def start(self, change: str) -> str:
        return str(start_shadow(self.ctx, self.requester, change)["run"])

    def run(self, model: str, **options: Any) -> tuple[ShadowRun, dict[str, Any]]:
        run_id = self.start(self.propose(model, **options))
        replay(self.ctx, run_id)
        run = self.row(run_id)
        return run, json.loads(run.verdict)

    def row(self, run_id: str) -> ShadowRun:
        with self.ctx.rows.session() as session:
            return session.exec(select(ShadowRun).where(ShadowRun.id == run_id)).one()

    def change(self, run: ShadowRun) -> Change:
        with self.ctx.rows.session() as session:
            return session.exec(select(Change).where(Change.id == run.change_id)).one()

    def results(self, run_id: str) -> list[ReplayResult]:
        with self.ctx.rows.session() as session:
            return list(session.exec(select(ReplayResult).where(ReplayResult.run_id == run_id)))

    def files(self, run: ShadowRun) -> dict[str, bytes]:
        with self.ctx.rows.session() as session:
            return {row.name: row.body for row in session.exec(select(EvidenceFile).where(EvidenceFile.change_id == run.change_id))}

    def apply(self, **changes: Any) -> None:
        """The demo's catalog with fields of the workflow replaced by text."""
        text = catalog_yaml(self.endpoint.base_url, UNTIL)
        for before, after in changes.get("replace", ()):
            assert before in text
            text = text.replace(before, after, 1)
        apply(self.ctx, self.admin, parse_documents(text))


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    home = tmp_path_factory.mktemp("replay")
    patch = pytest.MonkeyPatch()
    for name in [name for name in os.environ if name.startswith("GOVERNOR_")]:
        patch.delenv(name)
    patch.setenv("GOVERNOR_DEMO_SHADOW_KEY", "shadow-key")
    patch.setenv("GOVERNOR_ALLOW_PRIVATE_ENDPOINTS", "true")
    with SimulatedEndpoint(seed=7) as endpoint:
        ctx = open_context(load_settings(home=home), create=True)
        admin = authenticate(ctx, init_home(ctx, email="admin@acme.example", name="Admin", billing_zone="UTC")["token"])
        made = House(ctx, admin, admin, endpoint)
        made.apply()
        month = make_month(home / "traffic", "2026-10", calls=3000)
        for file in month.files:
            file.write_text("".join(claimed(number, line) for number, line in enumerate(file.read_text().splitlines())))
        ingest(ctx, OPERATOR, "litellm", [str(file) for file in month.files])
        made.requester = authenticate(ctx, create_token(ctx, admin, email="rae@acme.example")["token"])
        yield made
        ctx.close()
    patch.undo()


def claimed(number: int, line: str) -> str:
    """Some callers say that their call holds restricted data."""
    if number % 9 == 0 and f'"workflow":"{WORKFLOW}"' in line:
        line = line.replace('"data_class":"internal"', '"data_class":"restricted"')
    return line + "\n"


def account(house: House, run: ShadowRun) -> None:
    """Every picodollar of the run is on a row, and nothing is left reserved."""
    table = load(house.ctx, run.id)
    assert run.reserved_pico == 0
    assert run.spent_pico == sum(one.spend_pico for arms in table.values() for name, one in arms.items() if name != "recorded")
    assert run.spent_pico <= run.budget_pico


def test_a_good_candidate_passes_and_leaves_evidence_that_gives_the_same_verdict(house: House) -> None:
    house.endpoint.asked.clear()
    run, verdict = house.run("sim-mini")
    assert (run.status, verdict["verdict"]) == ("done", "pass")
    assert house.change(run).state == "in_review"
    states = verdict["states"]
    assert sum(states.values()) == 120
    assert states["excluded_policy"] > 0
    again = verdict["repeat"]["n"]
    assert 0 < again <= 40, "the baseline is asked twice on a third of the sample"
    assert house.endpoint.asked == {"gpt-4o": states["done"] + again, "sim-mini": states["done"]}, (
        "nothing is sent for a trace that policy denies"
    )
    account(house, run)
    files = house.files(run)
    assert set(files) == {"plan.json", "sample.json", "pairs.jsonl", "verdict.json"}
    assert rederive(files["plan.json"], files["pairs.jsonl"]) == files["verdict.json"]
    assert Decimal(verdict["cost"]["savings_rate"]) > Decimal("0.5")
    assert verdict["aa"]["n"] == states["done"]


def test_no_text_of_a_prompt_or_reply_is_in_a_row_or_evidence_file(house: House) -> None:
    run, _ = house.run("sim-mini-quiet")
    stored = b"".join(house.files(run).values()) + "".join(row.reply for row in house.results(run.id)).encode()
    assert not [word for word in (b"Notice", b"severity\\", b"water damage", b"EUR") if word in stored]
    row = next(row for row in house.results(run.id) if row.arm == "candidate" and row.output_sha256)
    assert b"severity" in house.ctx.content.get(row.output_sha256)


def test_the_ledger_has_one_entry_for_the_start_and_one_for_the_end(house: House) -> None:
    run, _ = house.run("sim-mini-entries")
    replay(house.ctx, run.id)
    with house.ctx.rows.session() as session:
        entries = [ledger.parsed(row) for row in ledger.entries(session, house.ctx.org)]
    mine = [entry["payload"] for entry in entries if entry["type"] == "change:shadow" and entry["payload"]["run"] == run.id]
    assert [entry["status"] for entry in mine] == ["planned", "done"]


def test_a_harmful_candidate_fails_early_and_the_rest_is_not_paid_for(house: House) -> None:
    house.endpoint.behaviours["sim-bad"] = Behaviour(break_json=0.6)
    run, verdict = house.run("sim-bad", options={"concurrency": 2})  # a busy machine takes more calls ahead, some for each connection
    assert (run.status, verdict["verdict"]) == ("done", "fail")
    counted = Counter(row.state for row in house.results(run.id) if row.arm == "candidate")
    assert counted["skipped_decided"] >= 16, counted
    assert set(counted) <= {"done", "excluded_policy", "skipped_decided"}
    account(house, run)


def test_different_answers_that_nobody_judged_stay_open(house: House) -> None:
    house.endpoint.behaviours["sim-other"] = Behaviour(differ=0.3)
    run, verdict = house.run("sim-other")
    assert (run.status, verdict["verdict"]) == ("done", "inconclusive")
    assert "content_not_judged" in verdict["limitations"]


def test_a_constant_answer_does_not_pass(house: House) -> None:
    house.endpoint.behaviours["sim-null"] = Behaviour(constant=True)
    assert house.run("sim-null")[1]["verdict"] == "fail"


def test_the_budget_is_a_hard_stop(house: House) -> None:
    run, verdict = house.run("sim-mini-poor", budget_usd="0.02")
    assert (run.status, verdict["verdict"]) == ("aborted_budget", "aborted_budget")
    assert house.change(run).state == "draft"
    counted = Counter(row.state for row in house.results(run.id) if row.arm == "candidate")
    assert counted["skipped_budget"] > 0
    assert counted["done"] > 0
    assert not house.files(run), "a run that was stopped leaves no evidence to decide on"
    account(house, run)


class Boaster:
    """Now and then it reports tokens that no call could take."""

    def __init__(self, inner: ModelEndpoint) -> None:
        self.inner, self.boasted = inner, 0

    def call_many(self, requests: Iterable[ModelRequest], *, concurrency: int) -> Iterator[tuple[ModelRequest, ModelReply]]:
        for number, (request, reply) in enumerate(self.inner.call_many(requests, concurrency=concurrency)):
            boasts = number % 10 == 0
            self.boasted += boasts
            yield request, replace(reply, input_tokens=9999999999999999999) if boasts else reply


def test_usage_that_cannot_be_true_is_unknown_and_costs_its_reservation(house: House) -> None:
    run_id = house.start(house.propose("sim-mini"))
    boaster: list[Boaster] = []

    def endpoints(ctx: Context, name: str) -> Boaster:
        boaster.append(Boaster(http_endpoint(ctx, name)))
        return boaster[-1]

    assert replay(house.ctx, run_id, endpoints=endpoints)["status"] == "done"
    account(house, house.row(run_id))
    seen = [one for arms in load(house.ctx, run_id).values() for one in arms.values() if one.facts and one.facts.error]
    assert len(seen) == sum(one.boasted for one in boaster) > 0
    for one in seen:
        assert (one.facts.error, one.facts.input_tokens, one.cost_pico) == ("impossible_usage", None, None)
        assert one.lost_pico > 0


class Breaker(Boaster):
    """Its streams break off, or nothing can be read."""

    def call_many(self, requests: Iterable[ModelRequest], *, concurrency: int) -> Iterator[tuple[ModelRequest, ModelReply]]:
        for number, (request, _) in enumerate(self.inner.call_many(requests, concurrency=concurrency)):
            yield request, ModelReply("error", http_status=200 if number % 3 else 0, error="the stream ended early")


def test_what_came_instead_of_replies_is_said_in_words(house: House) -> None:
    run_id = house.start(house.propose("sim-mini"))
    replay(house.ctx, run_id, endpoints=lambda ctx, name: Breaker(http_endpoint(ctx, name)))
    told = show_change(house.ctx, house.row(run_id).change_id)["runs"][-1]["failures"]
    assert {one["error"] for one in told} == {"stream_broken_off", "no_answer"}


@pytest.mark.parametrize(("into", "out"), [(0, 0), (0, 9), (13, 0)])
def test_zeros_of_a_gateway_that_did_not_count_are_no_price(house: House, into: int, out: int) -> None:
    pricer, arm = Pricer(load_book(house.ctx, catalog_as_of(house.ctx))), Arm("openai", "gpt-4o")
    counted = ModelReply("ok", text="low", input_tokens=13, output_tokens=9)
    assert pricer.reply(arm, house.ctx.now(), counted)
    assert pricer.reply(arm, house.ctx.now(), replace(counted, input_tokens=into, output_tokens=out)) is None
    assert pricer.reply(arm, house.ctx.now(), replace(counted, text="", output_tokens=0)), "an empty answer has no tokens"


def test_a_budget_below_one_call_sends_nothing(house: House) -> None:
    before = sum(house.endpoint.asked.values())
    run, _ = house.run("sim-mini-broke", budget_usd="0.000001")
    assert (run.status, run.spent_pico) == ("aborted_budget", 0)
    assert sum(house.endpoint.asked.values()) == before


def test_a_baseline_that_does_not_answer_proves_nothing(house: House) -> None:
    """Both arms fail alike; equal is not good."""
    house.endpoint.behaviours |= {"gpt-4o": Behaviour(fail=1.0), "sim-down": Behaviour(fail=1.0)}
    try:
        run, verdict = house.run("sim-down")
    finally:
        del house.endpoint.behaviours["gpt-4o"]
    assert (run.status, verdict["decided_by"]) == ("invalid_baseline", "unusable")
    assert run.spent_pico == 0
    shown = show_change(house.ctx, run.change_id)
    assert "gave no usable answer to most of" in shown["runs"][-1]["sentence"]
    assert "mend what the run says" in shown["next"]
    assert {(one["arm"], one["error"]) for one in shown["runs"][-1]["failures"]} >= {("baseline", "http_500"), ("candidate", "http_500")}


def test_a_candidate_that_does_not_answer_fails_and_the_run_says_with_what(house: House) -> None:
    house.endpoint.behaviours["sim-shut"] = Behaviour(fail=1.0)
    run, verdict = house.run("sim-shut")
    assert (run.status, verdict["verdict"]) == ("done", "fail")
    [told] = show_change(house.ctx, run.change_id)["runs"][-1]["failures"]
    assert (told["arm"], told["error"]) == ("candidate", "http_500")
    assert told["n"] > 0


def test_when_policy_forbids_everything_nothing_is_sent(house: House) -> None:
    change = house.propose("sim-mini-denied")
    house.apply(replace=[("id: fnol-triage", "id: fnol-triage"), ("content_capture: full", "content_capture: hashed")])
    before = sum(house.endpoint.asked.values())
    try:
        run_id = house.start(change)
        replay(house.ctx, run_id)
    finally:
        house.apply()
    assert house.row(run_id).status == "aborted_policy"
    assert sum(house.endpoint.asked.values()) == before
    assert {row.state for row in house.results(run_id)} == {"excluded_policy"}


def test_content_that_was_erased_since_is_counted_and_not_sent(house: House) -> None:
    change = house.propose("sim-mini-erased")
    run_id = house.start(change)
    plan = json.loads(house_plan(house, change))
    from governor.actions.workflow_calls import calls_by_id

    victim = plan["sample"][0]["record_id"]
    address = calls_by_id(house.ctx, [victim])[victim]["input_sha256"]
    body = house.ctx.content.get(address)
    house.ctx.content.erase(address)
    try:
        replay(house.ctx, run_id)
    finally:
        house.ctx.content.put(address, body)
    gone = {position for position, pick in enumerate(plan["sample"]) if pick["record_id"] == victim}
    assert {row.state for row in house.results(run_id) if row.position in gone} <= {"excluded_content", "excluded_policy"}


def house_plan(house: House, change: str) -> str:
    with house.ctx.rows.session() as session:
        return session.exec(select(Change.plan).where(Change.id == change)).one()


def test_who_erases_a_prompt_erases_what_shadow_runs_answered_to_it(house: House) -> None:
    run, _ = house.run("sim-mini-forgotten")
    row = next(row for row in house.results(run.id) if row.arm == "candidate" and row.output_sha256)
    assert house.ctx.content.exists(row.output_sha256)
    erase(house.ctx, house.admin, record_ids=[row.record_id], reason="asked by the customer")
    assert not house.ctx.content.exists(row.output_sha256)


def test_a_judge_is_asked_in_both_orders_and_decides_nothing_uncalibrated(house: House) -> None:
    house.endpoint.behaviours["sim-judged"] = Behaviour(differ=0.2)
    options = {"judge": {"endpoint": "gateway-shadow", "provider": "anthropic", "model": "claude-haiku-4-5"}}
    run, verdict = house.run("sim-judged", options=options)
    differing = sum(row.arm == "judge_ab" for row in house.results(run.id))
    assert differing == sum(row.arm == "judge_ba" for row in house.results(run.id)) > 5
    canaries = sum(row.arm == "judge_canary_ab" for row in house.results(run.id))
    assert canaries == 12
    assert house.endpoint.asked["claude-haiku-4-5"] == 2 * (differing + canaries)
    assert verdict["judge"]["discarded"] is True  # it answers the question instead of judging, and prefers no known-good answer
    assert verdict["verdict"] == "inconclusive"
    assert verdict["judge"]["n"] == differing
    assert {"judge_uncalibrated"} <= set(verdict["limitations"])
    account(house, run)


def test_a_recorded_baseline_is_compared_without_paying_for_it(house: House) -> None:
    house.endpoint.asked.clear()
    run, verdict = house.run("sim-mini-recorded", options={"baseline_arm": "recorded", "aa_size": 30})
    assert verdict["verdict"] in {"pass", "inconclusive"}
    assert house.endpoint.asked["gpt-4o"] <= 30
    assert verdict["latency"]["p50_ratio"] is None
    assert verdict["aa"]["n"] == house.endpoint.asked["gpt-4o"]
    assert run.status == "done"


def test_the_same_request_on_the_same_lake_is_the_same_plan(house: House) -> None:
    with house.ctx.rows.session() as session:
        request = json.loads(session.exec(select(Change.request).order_by(col(Change.number)).limit(1)).one())
    assert plan_shadow(house.ctx, request).digest == plan_shadow(house.ctx, request).digest
    other = plan_shadow(house.ctx, {**request, "reason": "another"})
    assert other.seed != plan_shadow(house.ctx, request).seed


def test_every_call_of_the_window_is_drawn_from_or_counted_under_a_reason(house: House) -> None:
    with house.ctx.rows.session() as session:
        request = json.loads(session.exec(select(Change.request).order_by(col(Change.number)).limit(1)).one())
    plan = plan_shadow(house.ctx, request)
    from governor.actions.workflow_calls import workflow_calls

    since, until = (datetime.fromisoformat(text) for text in (plan.population.since, plan.population.until))
    calls = workflow_calls(house.ctx, WORKFLOW, since, until).num_rows
    assert plan.population.calls + sum(plan.population.excluded.values()) == calls
    assert plan.population.excluded["gateway_cache_hit"] > 0
    assert 0 < plan.expected_spend_pico < plan.budget_pico


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"candidate": {"provider": "openai", "model": "acme-unknown-9"}}, Refused, "no price"),
        ({"sample": 20}, Refused, "20 traces as they were drawn count as 1[0-9] equal ones and .* even perfect agreement needs 28"),
        ({"workflow": "ticket-summary", "baseline": {"provider": "openai", "model": "gpt-4o-mini"}}, Refused, "calls that can be replayed"),
        ({"options": {"beauty": 1}}, Invalid, "no plan option"),
        ({"options": {"since": "2026-10-02", "until": "2026-10-01"}}, Invalid, "until lies before since"),
        ({"options": {"judge": {"model": "x"}}}, Invalid, "a judge needs"),
        ({"options": {"judge": {"endpoint": "gateway-shadow", "provider": "azure.openai", "model": "o3"}}}, Refused, "same family"),
        ({"options": {"judge": {"endpoint": "gateway-shadow", "provider": "self", "model": "acme-7"}}}, Invalid, "nobody knows the family"),
        (
            {"options": {"judge": {"endpoint": "gateway-shadow", "provider": "x", "model": "claude-1"}}},
            Refused,
            "the judge x/claude-1 has no price",
        ),
        (
            {"options": {"judge": {"endpoint": "gateway-shadow", "provider": "x", "model": "claude-1", "weight": 2}}},
            Invalid,
            "nothing else",
        ),
        ({"options": {"labels": 5}}, Invalid, "labels"),
        ({"sample": -1}, Invalid, "whole number"),
    ],
)
def test_what_cannot_be_decided_is_not_planned(house: House, changes: dict[str, Any], error: type[Exception], words: str) -> None:
    with house.ctx.rows.session() as session:
        request = json.loads(session.exec(select(Change.request).order_by(col(Change.number)).limit(1)).one())
    with pytest.raises(error, match=words):
        plan_shadow(house.ctx, {**request, **changes})


def test_a_model_that_is_sold_under_a_longer_name_is_refused_with_it(house: House) -> None:
    candidate = {"provider": "aws.bedrock", "model": "claude-haiku-4-5", "region": "eu-central-1"}
    baseline = {"provider": "openai", "model": "gpt-4o"}
    request = {"workflow": "fnol-triage", "endpoint": "gateway-shadow", "baseline": baseline, "candidate": candidate}
    with pytest.raises(Refused, match="no price") as refused:
        plan_shadow(house.ctx, request)
    assert "aws.bedrock has prices for global.anthropic.claude-haiku-4-5" in str(refused.value.hint)


WORKER = """
import sys
from pathlib import Path
from governor.actions.erase import erase
from governor.actions.context import open_context
from governor.actions.jobs import wait_for
from governor.settings import load_settings
ctx = open_context(load_settings(home=Path(sys.argv[1])))
print("ready", flush=True)
wait_for(ctx, sys.argv[2], lease_seconds=1.0)
"""


@dataclass
class Withdrawing:
    """An endpoint that takes `after` calls before the change is withdrawn; `taken`: all that it was handed."""

    house: House
    change: str
    endpoint: HttpModelEndpoint
    after: int = 5
    taken: int = 0

    def call_many(self, requests: Iterable[ModelRequest], *, concurrency: int) -> Iterator[tuple[ModelRequest, ModelReply]]:
        for batch in self.call_batches(requests, concurrency=concurrency):
            yield from batch

    def call_batches(self, requests: Iterable[ModelRequest], *, concurrency: int) -> Iterator[list[tuple[ModelRequest, ModelReply]]]:
        return self.endpoint.call_batches(self.counted(requests), concurrency=concurrency)

    def counted(self, requests: Iterable[ModelRequest]) -> Iterator[ModelRequest]:
        for request in requests:
            self.taken += 1
            if self.taken == self.after:
                withdraw(self.house.ctx, self.house.requester, self.change, reason="a better one came")
            yield request


def test_a_run_whose_change_is_withdrawn_stops_and_every_picodollar_is_accounted_for(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("governor.actions.replay_calls.LOOK_S", 0.0)
    change = house.propose("sim-mini-withdrawn", options={"concurrency": 2})
    run_id = house.start(change)
    doors: list[Withdrawing] = []

    def door(ctx: Context, endpoint_id: str) -> ModelEndpoint:
        found = http_endpoint(ctx, endpoint_id)
        assert isinstance(found, HttpModelEndpoint)
        doors.append(Withdrawing(house, change, found))
        return doors[-1]

    assert replay(house.ctx, run_id, endpoints=door) == {"run": run_id, "status": "aborted_withdrawn", "verdict": None}
    run = house.row(run_id)
    assert (run.status, house.change(run).state) == ("aborted_withdrawn", "withdrawn")
    assert doors[0].taken == doors[0].after, "no call is handed over after it"
    assert run.spent_pico > 0
    account(house, run)
    states = Counter(row.state for row in house.results(run_id))
    assert not {"planned", "reserved"} & set(states)
    assert states["skipped_withdrawn"] > 100
    assert replay(house.ctx, run_id)["status"] == "aborted_withdrawn"
    assert house.files(run) == {}


def test_what_a_worker_that_died_had_reserved_counts_as_spent_once_the_change_is_withdrawn(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    change = house.propose("sim-mini-left")
    run_id = house.start(change)

    def door(ctx: Context, endpoint_id: str) -> ModelEndpoint:
        monkeypatch.setattr(HttpModelEndpoint, "call_batches", killed)
        return http_endpoint(ctx, endpoint_id)

    def killed(_: HttpModelEndpoint, requests: Iterable[ModelRequest], *, concurrency: int) -> Iterator[list[Any]]:
        raise MemoryError(list(islice(requests, concurrency)))

    with pytest.raises(MemoryError):
        replay(house.ctx, run_id, endpoints=door)
    reserved = house.row(run_id).reserved_pico
    assert reserved > 0
    done = withdraw(house.ctx, house.requester, change, reason="no")
    assert done["stopped"] == {"id": run_id, "spent_pico": "0", "reserved_pico": str(reserved)}
    replay(house.ctx, run_id)
    run = house.row(run_id)
    assert (run.status, run.spent_pico) == ("aborted_withdrawn", reserved)
    account(house, run)


def test_killed_at_any_point_and_started_again_it_ends_with_each_result_once(house: House) -> None:
    house.endpoint.behaviours |= {"gpt-4o": Behaviour(latency_ms=25), "sim-mini-killed": Behaviour(latency_ms=25)}
    change = house.propose("sim-mini-killed", sample=200)
    started = start_shadow(house.ctx, house.requester, change)
    rng = random.Random(3)
    kills = 0
    for _ in range(10):
        worker = subprocess.Popen([sys.executable, "-c", WORKER, str(house.ctx.settings.home), started["job"]], stdout=subprocess.PIPE)
        assert worker.stdout is not None
        worker.stdout.readline()
        time.sleep(rng.uniform(0.2, 1.5))
        if worker.poll() is None:
            worker.send_signal(signal.SIGKILL)
            kills += 1
        worker.wait()
        worker.stdout.close()
    subprocess.run(
        [sys.executable, "-c", WORKER, str(house.ctx.settings.home), started["job"]], check=True, capture_output=True, timeout=120
    )
    del house.endpoint.behaviours["gpt-4o"]
    run = house.row(started["run"])
    assert kills >= 3
    assert run.status == "done"
    rows = house.results(run.id)
    assert sorted((row.position, row.arm) for row in rows) == sorted(
        (at, arm) for at in range(200) for arm in ("recorded", "baseline", "candidate", *(["repeat"] if at < 67 else []))
    )
    assert {row.state for row in rows} <= {"done", "excluded_policy"}
    account(house, run)
    sent = {row.position for row in rows if row.arm == "candidate" and row.state == "done"}
    asked = {key: count for key, count in house.endpoint.keys.items() if key.startswith(run.id)}
    assert set(asked) == {f"{run.id}-{at}-{arm}" for at in sent for arm in ("baseline", "candidate", *(["repeat"] if at < 67 else []))}
    repeated = sum(count - 1 for count in asked.values())
    lost = sum(one.attempts - 1 for arms in load(house.ctx, run.id).values() for one in arms.values() if one.attempts)
    assert repeated <= lost, "a call that was made twice is one whose reservation was counted as lost"
    assert show_change(house.ctx, change)["state"] == "in_review"
