"""An approved route asked again over real HTTP: what is seen, what it costs, what it leaves behind, and that no route changes."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import yaml
from sqlmodel import select

from governor.actions.apply import apply
from governor.actions.context import OPERATOR, Actor, Context, open_context
from governor.actions.findings import findings
from governor.actions.golden_sets import import_golden, withdraw_golden
from governor.actions.ingest import ingest
from governor.actions.init_home import init_home
from governor.actions.jobs import error_of, run_one
from governor.actions.load_catalog import catalog_as_of
from governor.actions.people import authenticate, create_token
from governor.actions.plan_shadow import GUARDS
from governor.actions.propose import propose
from governor.actions.replay import http_endpoint, replay
from governor.actions.revalidate import revalidate
from governor.actions.route_checks import checks_of, find_check, schedule, start_revalidation
from governor.actions.split_route import split_route
from governor.actions.start_shadow import start_shadow
from governor.adapters.model_endpoint import HttpModelEndpoint
from governor.catalog import parse_documents
from governor.demo.catalog import catalog_yaml
from governor.demo.simulated_endpoint import SimulatedEndpoint
from governor.demo.simulated_model import Behaviour, severity
from governor.demo.traffic import make_month
from governor.errors import Invalid, MissingEvidence, WrongState
from governor.settings import load_settings
from governor.store.rows.changes import Change
from governor.store.rows.ledger import LedgerEntry
from tests.actions.conftest import work_off

WORKFLOW = "fnol-triage"
UNTIL = (datetime.now(UTC) + timedelta(days=90)).date().isoformat()
PROMPT = "Notice {at}: hail at a depot. Estimated damage {amount} EUR. Answer to claims@acme.example"
# wide enough for half of the pairs, which count as the traces they belong to
MARGINS = dict.fromkeys((*GUARDS, "contract", "tool_calls", "latency", "cost_ceiling", "quality"), "0.1")
SETTING = "\nrevalidate: {every_days: 7, sample: 40, budget_usd: '%s'}"


@dataclass
class House:
    ctx: Context
    admin: Actor
    rae: Actor
    endpoint: SimulatedEndpoint
    change: str = ""  # its plan names a golden set and redacts
    plain: str = ""

    def apply(self, *, budget: str | None = "2") -> None:
        text = catalog_yaml(self.endpoint.base_url, UNTIL)
        place = f"id: {WORKFLOW}"
        assert place in text
        text = text.replace(place, place + (SETTING % budget if budget else ""), 1)
        if self.change:
            documents = list(yaml.safe_load_all(text))
            route = {"id": "shadowed", "provider": "openai", "model": "gpt-4.1-mini", "change": self.change, "approved_until": UNTIL}
            next(one for one in documents if one.get("id") == WORKFLOW)["routes"].append(route)
            text = yaml.safe_dump_all(documents)
        apply(self.ctx, self.admin, parse_documents(text))

    def check(self, **behaviour: Any) -> dict[str, Any]:
        """A check with the model of the approved name behaving otherwise from now on."""
        self.endpoint.behaviours["sim-mini"] = Behaviour(**{"differ": 0.002, **behaviour})
        return revalidate(self.ctx, start_revalidation(self.ctx, self.rae, self.change)["check"])


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    home = tmp_path_factory.mktemp("revalidate")
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
        ingest(ctx, OPERATOR, "litellm", [str(file) for file in make_month(home / "traffic", "2026-10", calls=3000).files])
        made.rae = authenticate(ctx, create_token(ctx, admin, email="rae@acme.example")["token"])
        cases = [
            {"id": f"hail-{at}", "prompt": PROMPT.format(at=at, amount=at * 900), "check": "json", "fields": ["severity"], "expected": {"severity": severity(at * 900)}}
            for at in range(1, 41)
        ]  # fmt: skip
        import_golden(ctx, made.rae, workflow=WORKFLOW, name="hail", body=json.dumps(cases).encode())
        for options in ({}, {"golden": {"set": "hail", "margin": "0.5"}, "redact": True}):
            proposed = propose(
                ctx, made.rae, workflow=WORKFLOW, candidate="openai/gpt-4.1-mini", endpoint="gateway-shadow", reason="cheaper",
                endpoint_model="sim-mini", sample=420, margins=MARGINS, options=options,
            )  # fmt: skip
            with pytest.raises(MissingEvidence):
                split_route(ctx, str(proposed["id"]))
            replay(ctx, str(start_shadow(ctx, made.rae, str(proposed["id"]))["run"]))
            made.plain, made.change = made.change, str(proposed["id"])
        yield made
        ctx.close()
    patch.undo()


@pytest.fixture
def live(house: House) -> House:
    """The change cut over: its route is an approved one of the catalog."""
    with house.ctx.rows.session(write=True) as session:
        change = session.exec(select(Change).where(Change.id == house.change)).one()
        change.state, change.cutover_at = "cutover", house.ctx.now() - timedelta(days=8)
        session.add(change)
    house.apply()
    return house


def test_a_split_is_recommended_from_the_pairs_and_nothing_is_written(house: House) -> None:
    found = split_route(house.ctx, house.plain, by=["input_tokens"])
    assert found["status"] == "recommended"
    assert found["choosing"]["pairs"] + found["fresh"]["pairs"] <= 420
    assert float(found["recommended"]["traffic_share"]) > 0.5
    assert "candidate if {" in found["rego"]
    assert split_route(house.ctx, house.plain, by=["input_tokens"]) == found
    with pytest.raises(Invalid, match="cannot be split by"):
        split_route(house.ctx, house.plain, by=["output_tokens"])


def test_only_a_route_in_use_is_asked_again(house: House) -> None:
    with pytest.raises(WrongState, match="no route in force"):
        start_revalidation(house.ctx, house.rae, house.change)


def test_a_steady_model_gives_no_change_seen_and_one_entry(live: House) -> None:
    before = catalog_as_of(live.ctx).workflows[WORKFLOW].routes
    live.endpoint.asked.clear()
    found = live.check()
    assert found["verdict"] == "no_change_seen", found
    assert found["result"]["n"] == 40
    assert live.endpoint.asked == {"sim-mini": 120}, "each prompt is asked twice, each golden case once, and nothing else"
    golden = found["result"]["golden"]
    right = golden["right_now"]  # the approved model is wrong on a case now and then
    assert (golden["n"], golden["right_then"], golden["status"]) == (40, right, "no_change_seen")
    assert right >= 38
    assert f"40 golden cases (right on {right}, then on {right})" in found["result"]["sentence"]
    assert 0 < float(found["spent"]) <= 2
    with live.ctx.rows.session() as session:
        entries = session.exec(select(LedgerEntry).where(LedgerEntry.type == "route:revalidate")).all()
    assert len(entries) == 1
    assert revalidate(live.ctx, found["check"]) == found, "a finished check asks nothing again"
    assert catalog_as_of(live.ctx).workflows[WORKFLOW].routes == before


def test_a_model_that_answers_otherwise_under_its_name_has_drifted(live: House) -> None:
    found = live.check(differ=0.6)
    assert found["verdict"] == "drifted"
    assert found["result"]["answers"]["moved"]
    month = live.ctx.now().strftime("%Y-%m")
    assert [(one.status, one.workflow) for one in findings(live.ctx, month) if one.rule == "route.revalidation"] == [("warning", WORKFLOW)]


def test_a_broken_promise_is_a_violation(live: House) -> None:
    found = live.check(break_json=0.85)  # which prompts are asked is drawn anew each time
    assert found["verdict"] == "broken"
    assert "contract" in [one["name"] for one in found["result"]["metrics"] if one["status"] == "broken"]
    month = live.ctx.now().strftime("%Y-%m")
    assert [one.status for one in findings(live.ctx, month) if one.rule == "route.revalidation"] == ["violation"]


@pytest.mark.parametrize("away", [True, False])
def test_an_endpoint_that_does_not_answer_says_nothing_of_the_model(live: House, away: bool) -> None:
    """Nobody listens there, or every call is refused."""
    live.endpoint.behaviours["sim-mini"] = Behaviour(fail=1.0)
    nobody = HttpModelEndpoint("openai", "http://127.0.0.1:9/v1", allow_private=True, max_retries=0)
    refusing = replace(nobody, base_url=live.endpoint.base_url)
    found = revalidate(
        live.ctx, start_revalidation(live.ctx, live.rae, live.change)["check"], endpoints=lambda *_: nobody if away else refusing
    )
    assert (found["verdict"], found["spent"]) == ("inconclusive", "0.00"), found
    assert "its endpoint answered 0 of 40 prompts" in found["result"]["sentence"]


def test_wrong_answers_to_golden_cases_break_the_promise(live: House) -> None:
    found = live.check(differ=1.0)
    golden = found["result"]["golden"]
    assert (found["verdict"], golden["status"], golden["right_now"]) == ("broken", "broken", 0)
    assert len(golden["lost"]) == golden["right_then"] >= 38
    assert "golden" in found["result"]["sentence"].split("(")[1]


def test_a_prompt_leaves_as_the_plan_sent_it(live: House) -> None:
    """The plan redacts: a check must not send what the evidence did not."""
    sent: list[str] = []

    class Seen:
        def call_many(self, requests: Any, *, concurrency: int) -> Any:
            sent.extend(json.dumps(request.messages) for request in requests)
            return http_endpoint(live.ctx, "gateway-shadow").call_many(requests, concurrency=concurrency)

    revalidate(live.ctx, start_revalidation(live.ctx, live.rae, live.change)["check"], endpoints=lambda _ctx, _name: Seen())
    golden = [one for one in sent if "hail at a depot" in one]
    assert len(golden) == 40
    assert not [one for one in sent if "claims@acme.example" in one]


def test_a_withdrawn_set_is_not_asked_again(live: House) -> None:
    withdraw_golden(live.ctx, live.admin, "hail", "a customer asked")
    found = live.check()
    assert found["verdict"] == "no_change_seen"
    assert found["result"]["golden"]["states"] == {"excluded_content": 40}
    assert found["result"]["golden"]["status"] == "not_asked"


def test_the_budget_of_a_check_is_a_hard_stop(live: House) -> None:
    live.apply(budget="0.0001")
    found = live.check()
    assert found["verdict"] == "aborted_budget"
    assert float(found["spent"]) <= 0.0001
    assert sum(found["result"]["states"].values()) == 40


def test_a_check_asks_as_many_at_a_time_as_its_budget_can_reserve(live: House) -> None:
    """A call costs a fraction of what it may: a wave of eight would be more than this budget, and all that is asked costs less than half of it."""
    live.apply(budget="0.012")
    found = live.check()
    assert (found["verdict"], found["result"]["states"]) == ("no_change_seen", {"done": 40})
    assert float(found["spent"]) < 0.006


def test_a_reservation_that_outlived_its_worker_is_spent(live: House) -> None:
    started = start_revalidation(live.ctx, live.rae, live.change)

    def dying(ctx: Context, name: str) -> Any:
        class Endpoint:
            def call_many(self, requests: Any, *, concurrency: int) -> Any:  # noqa: ARG002
                raise KeyboardInterrupt

        return Endpoint()

    with pytest.raises(KeyboardInterrupt):
        revalidate(live.ctx, started["check"], endpoints=dying)
    live.endpoint.behaviours["sim-mini"] = Behaviour(differ=0.002)
    again = revalidate(live.ctx, started["check"], endpoints=http_endpoint)
    plain = live.check()
    assert again["verdict"] == plain["verdict"] == "no_change_seen"
    assert float(again["spent"]) > float(plain["spent"])


def test_two_workers_that_hold_one_check_count_every_prompt_once(live: House) -> None:
    """One was only slow: while its first answers come, the other carries the check out."""
    live.apply(budget="2")
    live.endpoint.behaviours["sim-mini"] = Behaviour(differ=0.002)
    started = start_revalidation(live.ctx, live.rae, live.change)
    other: list[dict[str, Any]] = []

    class Slow:
        def call_many(self, requests: Any, *, concurrency: int) -> Any:
            other.extend([] if other else [revalidate(live.ctx, started["check"])])
            return http_endpoint(live.ctx, "gateway-shadow").call_many(requests, concurrency=concurrency)

    found = revalidate(live.ctx, started["check"], endpoints=lambda _ctx, _name: Slow())
    assert found["result"] == other[0]["result"]
    assert (found["result"]["n"], found["result"]["states"]) == (40, {"done": 40})
    with live.ctx.rows.session() as session:
        check = find_check(session, live.ctx.org, started["check"])
        assert len(check.lines.splitlines()) == len({json.loads(line)["position"] for line in check.lines.splitlines()})
        assert check.reserved_pico == 0
        assert Decimal(check.spent_pico) / 10**12 > Decimal(other[0]["spent"])  # the second bill is counted
        entries = session.exec(select(LedgerEntry.idem).where(LedgerEntry.type == "route:revalidate")).all()
    assert entries.count(f"route:revalidate:{started['check']}") == 1


def test_a_gateway_that_falls_back_says_nothing_of_the_model(live: House) -> None:
    class Falling:
        def call_many(self, requests: Any, *, concurrency: int) -> Any:
            for request, reply in http_endpoint(live.ctx, "gateway-shadow").call_many(requests, concurrency=concurrency):
                yield request, replace(reply, passed_on=True, response_model="mistral-large-2411")

    found = revalidate(live.ctx, start_revalidation(live.ctx, live.rae, live.change)["check"], endpoints=lambda _ctx, _name: Falling())
    assert found["verdict"] == "inconclusive"


def test_a_check_that_could_not_be_done_is_done_when_asked_again_or_due(live: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here because the key is not there; its job is given up at once."""
    live.apply(budget="2")
    started = start_revalidation(live.ctx, live.rae, live.change)
    for ask_again in (lambda: start_revalidation(live.ctx, live.rae, live.change), lambda: schedule(live.ctx)):
        monkeypatch.delenv("GOVERNOR_DEMO_SHADOW_KEY")
        assert run_one(live.ctx, started["job"]) == "failed"
        assert "GOVERNOR_DEMO_SHADOW_KEY" in error_of(live.ctx, started["job"])
        monkeypatch.setenv("GOVERNOR_DEMO_SHADOW_KEY", "shadow-key")
        assert run_one(live.ctx, started["job"]) == "not_mine"
        later = datetime.now(UTC) + timedelta(days=8)
        monkeypatch.setattr(live.ctx, "now", lambda later=later: later, raising=False)
        ask_again()
    assert run_one(live.ctx, started["job"]) == "done"
    monkeypatch.undo()
    assert {one["check"]: one["status"] for one in checks_of(live.ctx, live.change)}[started["check"]] == "done"


def test_without_a_setting_nothing_is_asked(live: House) -> None:
    live.apply(budget=None)
    assert schedule(live.ctx) == []
    with pytest.raises(Invalid, match="sets no sample and budget"):
        start_revalidation(live.ctx, live.rae, live.change)


def test_the_schedule_asks_when_a_check_is_due_and_a_worker_does_it(live: House, monkeypatch: pytest.MonkeyPatch) -> None:
    assert schedule(live.ctx) == [], "the last check is of today"
    later = datetime.now(UTC) + timedelta(days=9)
    monkeypatch.setattr(live.ctx, "now", lambda: later, raising=False)
    assert schedule(live.ctx) == [live.change]
    assert schedule(live.ctx) == [], "one check at a time"
    assert work_off(live.ctx) >= 1
    newest = checks_of(live.ctx, live.change)[0]
    assert (newest["status"], newest["scheduled"]) == ("done", True)
    assert json.dumps(newest)
