"""Golden sets from import to verdict: kept as content, asked beside the sample, checked, paid for, and read again from the packet's files."""

import json
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlmodel import select

from governor.actions.apply import apply
from governor.actions.context import OPERATOR, Actor, Context, open_context
from governor.actions.decide import reject
from governor.actions.evidence_files import evidence_files
from governor.actions.expected_spend import expected_golden
from governor.actions.export_packet import export_packet
from governor.actions.export_trust import export_trust
from governor.actions.golden_sets import import_golden, list_golden, read_file, show_golden, withdraw_golden
from governor.actions.import_prices import load_book
from governor.actions.ingest import ingest
from governor.actions.init_home import init_home
from governor.actions.load_catalog import catalog_as_of
from governor.actions.people import authenticate, create_token
from governor.actions.propose import propose
from governor.actions.replay import http_endpoint, replay
from governor.actions.replay_inputs import read_input
from governor.actions.replay_price import Pricer
from governor.actions.replay_rows import load
from governor.actions.show_change import show_change
from governor.actions.show_golden import golden_texts
from governor.actions.start_shadow import start_shadow
from governor.catalog import parse_documents
from governor.demo.catalog import catalog_yaml
from governor.demo.simulated_endpoint import SimulatedEndpoint
from governor.demo.simulated_model import Behaviour, severity
from governor.demo.traffic import make_month
from governor.errors import Invalid, NotFound, Refused, TooLarge, Unauthenticated
from governor.packets.verify import verify_packet
from governor.ports import ModelReply, ModelRequest
from governor.settings import load_settings
from governor.shadow.plan import ReplayPlan
from governor.shadow.verdict import rederive
from governor.store.rows.changes import Change, EvidenceFile, ShadowRun

WORKFLOW = "fnol-triage"
UNTIL = (datetime.now(UTC) + timedelta(days=90)).date().isoformat()
SECRET_WORD = "Zanzibar"
SILENT = "the customer nobody knows"


def golden(count: int = 40, **more: Any) -> bytes:
    rows = [
        {
            "id": f"hail-{at}",
            "prompt": f"Notice {at}: hail at a {SECRET_WORD} depot. Estimated damage {at * 900} EUR",
            "check": "json",
            "fields": ["severity"],
            "expected": {"severity": severity(at * 900), "cause": "not compared"},
        }
        for at in range(1, count + 1)
    ]
    return json.dumps([*rows, *more.get("extra", ())]).encode()


class Judge:
    """Likes the longer answer in either order, and says so by criterion; of what holds SILENT it says nothing."""

    def call_many(self, requests: Sequence[ModelRequest], *, concurrency: int) -> Iterator[tuple[ModelRequest, ModelReply]]:
        del concurrency
        for request in requests:
            text = str(request.messages[0]["content"])
            if SILENT in text:
                yield request, ModelReply("error", http_status=503, duration_ms=5.0)
                continue
            a, b = (text.split(f"<{tag}>\n")[1].split(f"\n</{tag}>", maxsplit=1)[0] for tag in ("answer_a", "answer_b"))
            word = "A" if len(a) > len(b) else "B" if len(b) > len(a) else "tie"
            said = {"better": "tie", "criteria": {"facts": word, "tone": "tie"}}
            yield request, ModelReply("ok", text=json.dumps(said), input_tokens=100, output_tokens=6, duration_ms=5.0)


class House:
    def __init__(self, ctx: Context, admin: Actor, endpoint: SimulatedEndpoint) -> None:
        self.ctx, self.admin, self.endpoint = ctx, admin, endpoint
        self.rae = authenticate(ctx, create_token(ctx, admin, email="rae@acme.example")["token"])

    def propose(self, model: str, options: dict[str, Any], budget: str = "20") -> str:
        made = propose(
            self.ctx, self.rae, workflow=WORKFLOW, candidate="openai/gpt-4.1-mini", endpoint="gateway-shadow", endpoint_model=model,
            reason="cheaper", sample=120, margins={"quality": "0.1"}, budget_usd=budget, options=options,
        )  # fmt: skip
        return str(made["id"])

    def run(self, model: str, options: dict[str, Any], budget: str = "20") -> tuple[str, str, dict[str, Any]]:
        change = self.propose(model, options, budget)
        run_id = str(start_shadow(self.ctx, self.rae, change)["run"])
        replay(self.ctx, run_id, endpoints=lambda ctx, name: Judge() if name == "judges" else http_endpoint(ctx, name))
        return change, run_id, json.loads(self.row(run_id).verdict)

    def plan(self, change: str) -> str:
        with self.ctx.rows.session() as session:
            return session.exec(select(Change.plan).where(Change.id == change)).one()

    def row(self, run_id: str) -> ShadowRun:
        with self.ctx.rows.session() as session:
            return session.exec(select(ShadowRun).where(ShadowRun.id == run_id)).one()

    def files(self, change: str) -> dict[str, bytes]:
        with self.ctx.rows.session() as session:
            return {row.name: row.body for row in session.exec(select(EvidenceFile).where(EvidenceFile.change_id == change))}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    home = tmp_path_factory.mktemp("golden")
    patch = pytest.MonkeyPatch()
    for name in [name for name in os.environ if name.startswith("GOVERNOR_")]:
        patch.delenv(name)
    patch.setenv("GOVERNOR_DEMO_SHADOW_KEY", "shadow-key")
    patch.setenv("GOVERNOR_ALLOW_PRIVATE_ENDPOINTS", "true")
    with SimulatedEndpoint(seed=7) as endpoint:
        ctx = open_context(load_settings(home=home), create=True)
        admin = authenticate(ctx, init_home(ctx, email="admin@acme.example", name="Admin", billing_zone="UTC")["token"])
        judges = (
            f"\n---\nkind: endpoint\nid: judges\nprotocol: openai\nbase_url: {endpoint.base_url}\nsecret: env:GOVERNOR_DEMO_SHADOW_KEY\n"
        )
        apply(ctx, admin, parse_documents(catalog_yaml(endpoint.base_url, UNTIL) + judges))
        ingest(ctx, OPERATOR, "litellm", [str(file) for file in make_month(home / "traffic", "2026-10", calls=3000).files])
        made = House(ctx, admin, endpoint)
        import_golden(ctx, made.rae, workflow=WORKFLOW, name="hail", body=golden())
        yield made
        ctx.close()
    patch.undo()


def test_the_texts_are_content_and_the_same_cases_are_the_same_version(house: House) -> None:
    again = import_golden(house.ctx, house.rae, workflow=WORKFLOW, name="hail", body=golden())
    assert (again["version"], again["new"]) == (1, False)
    assert list_golden(house.ctx, WORKFLOW)[-1]["cases"] == 40
    shown = show_golden(house.ctx, house.rae, "hail")
    assert SECRET_WORD in shown["cases"][0]["content"]["messages"][0]["content"]
    finn = authenticate(house.ctx, create_token(house.ctx, house.admin, email="finn@acme.example")["token"])
    hidden = show_golden(house.ctx, finn, "hail")
    assert hidden["why_not"]
    assert SECRET_WORD not in json.dumps(hidden)
    owner = "dana@acme.example"
    reads, acts = (
        authenticate(house.ctx, create_token(house.ctx, house.admin, email=owner, scopes=[scope])["token"]) for scope in ("read", "api")
    )
    assert show_golden(house.ctx, acts, "hail")["may_read"]
    assert not show_golden(house.ctx, reads, "hail")["may_read"], "a token that only reads is no owner"
    home = house.ctx.settings.home
    assert not [file for file in home.rglob("*") if file.is_file() and SECRET_WORD.encode() in file.read_bytes()]
    with pytest.raises(Unauthenticated):
        import_golden(house.ctx, OPERATOR, workflow=WORKFLOW, name="hail", body=golden())


def test_both_routes_are_asked_beside_the_sample_and_the_files_give_the_verdict(house: House) -> None:
    change, run_id, found = house.run("sim-small", {"golden": {"set": "hail", "margin": "0.1"}})
    assert (found["verdict"], found["n_planned"], found["n_pairs"]) == ("pass", 120, 120)
    metric = next(one for one in found["metrics"] if one["name"] == "golden")
    assert (metric["n"], metric["status"], metric["critical"]) == (40, "pass", True)
    assert (found["golden"]["baseline_right"], found["golden"]["candidate_right"]) == (40, 40)
    files = house.files(change)
    assert files["verdict.json"] == rederive(files["plan.json"], files["pairs.jsonl"], files["golden.jsonl"])
    assert len(files["golden.jsonl"].splitlines()) == 40
    assert SECRET_WORD.encode() not in b"".join(files.values())
    table, run = load(house.ctx, run_id), house.row(run_id)
    assert run.reserved_pico == 0
    assert run.spent_pico == sum(one.spend_pico for arms in table.values() for name, one in arms.items() if name != "recorded")
    assert int(found["golden"]["spend_pico"]) > 0
    assert show_change(house.ctx, change)["plan"]["golden"]["version"] == 1
    told = show_change(house.ctx, change)["golden"]
    assert (told["set"], told["passed"], told["failed"], told["worst"]) == ("hail", 40, 0, [])
    assert told["by_check"] == [{"check": "json", "cases": 40, "passed": 40, "failed": 0, "baseline_passed": 40}]
    assert golden_texts(house.ctx, house.rae, change, told) == {"shown": [], "why_not": ""}
    assert replay(house.ctx, run_id)["status"] == "done"  # run again: nothing changes
    assert house.row(run_id).spent_pico == run.spent_pico


def test_a_candidate_that_is_wrong_on_known_answers_fails(house: House) -> None:
    house.endpoint.behaviours["sim-lost"] = Behaviour(differ=1.0)
    change, _, found = house.run("sim-lost", {"golden": {"set": "hail", "margin": "0.1"}, "labels": 30})
    assert found["golden"]["candidate_right"] == 0
    assert (found["verdict"], found["decided_by"]) == ("fail", "golden")
    assert "golden" in found["sentence"]
    told = show_change(house.ctx, change)["golden"]
    assert (told["failed"], [one["what"] for one in told["worst"]]) == (40, ["lost"] * 40)
    seen = golden_texts(house.ctx, house.rae, change, told)
    assert len(seen["shown"]) == 10
    worst = seen["shown"][0]
    assert SECRET_WORD in worst["prompt"]
    assert json.loads(worst["expected"]).keys() == {"severity"}
    assert None not in {worst["baseline"], worst["candidate"]}
    assert worst["baseline"] != worst["candidate"]
    finn = authenticate(house.ctx, create_token(house.ctx, house.admin, email="finn@acme.example")["token"])
    hidden = golden_texts(house.ctx, finn, change, told)
    assert hidden["why_not"]
    assert {(one["prompt"], one["expected"], one["baseline"], one["candidate"]) for one in hidden["shown"]} == {(None, None, None, None)}


def test_the_evidence_is_that_of_the_last_run_though_the_first_one_found_the_same(house: House) -> None:
    change = house.propose("sim-moody", {"golden": {"set": "hail", "margin": "0.1"}})
    seen = []
    for differ in (0.0, 1.0, 0.0):
        house.endpoint.behaviours["sim-moody"] = Behaviour(differ=differ)
        replay(house.ctx, str(start_shadow(house.ctx, house.rae, change)["run"]))
        with house.ctx.rows.session() as session:
            seen.append({item.name: item.body for item in evidence_files(session, house.ctx.org, change)})
    assert seen[0]["golden.jsonl"] == seen[2]["golden.jsonl"] != seen[1]["golden.jsonl"]
    for files in seen:
        assert files["verdict.json"] == rederive(files["plan.json"], files["pairs.jsonl"], files["golden.jsonl"])
    dana = authenticate(house.ctx, create_token(house.ctx, house.admin, email="dana@acme.example")["token"])
    reject(house.ctx, dana, change, digest=show_change(house.ctx, change)["digest"], reason="moody")
    report = verify_packet(export_packet(house.ctx, dana, change), export_trust(house.ctx))
    assert report.exit_code == 0, report.text()


def test_the_forecast_of_a_plan_counts_its_golden_cases(house: House) -> None:
    with_cases, without = (
        int(show_change(house.ctx, house.propose("sim-cost", options))["plan"]["expected_spend_pico"])
        for options in ({"golden": {"set": "hail", "margin": "0.1"}, "seed": "one"}, {"seed": "one"})
    )
    plan = ReplayPlan.parse(json.loads(house.plan(house.propose("sim-cost", {"golden": {"set": "hail", "margin": "0.1"}}))))
    assert plan.golden is not None
    pricer = Pricer(load_book(house.ctx, catalog_as_of(house.ctx)))
    one = replace(plan.golden, cases=plan.golden.cases[:1])
    rows: dict[str, dict[str, Any]] = {"x": {"output_tokens": 100}, "y": {"output_tokens": 200}, "z": {"output_tokens": None}}
    words = read_input(house.ctx, one.cases[0].sha256)
    assert words is not None
    into = -(-len(words.given) // 4)
    for most, output in ((4096, 150), (20, 20)):
        wanted = pricer.tokens(plan.candidate, house.ctx.now(), input_tokens=into, output_tokens=output)
        assert expected_golden(house.ctx, one, rows, pricer, [plan.candidate], most) == wanted
    assert with_cases - without > (wanted or 0) * 40


def test_cases_are_not_asked_where_the_sample_decided(house: House) -> None:
    house.endpoint.behaviours["sim-broken"] = Behaviour(fail=0.9)
    _, _, found = house.run("sim-broken", {"golden": {"set": "hail", "margin": "0.1"}})
    assert found["decided_by"] == "harm_e_process"
    assert found["golden"]["states"] == {"skipped_decided": 40}


def test_a_budget_that_ends_within_a_wave_of_cases_ends_the_run(house: House) -> None:
    options = {"golden": {"set": "hail", "margin": "0.1"}, "seed": "one", "concurrency": 2, "max_output_tokens": 200}
    _, whole, _ = house.run("sim-cost", options)
    _, run_id, found = house.run("sim-cost", options, budget=str(house.row(whole).spent_pico * 96 // 100 / 10**12))
    assert found["verdict"] == "aborted_budget"
    assert found["golden"]["states"].keys() == {"done", "skipped_budget"}
    assert sum(found["golden"]["states"].values()) == 40
    assert house.row(run_id).spent_pico <= house.row(run_id).budget_pico


@pytest.mark.parametrize("seed", ["two", "three", "four"])  # which of them is first is chance
def test_two_workers_that_hold_a_run_ask_every_case_once(house: House, seed: str) -> None:
    """A worker that was only slow goes on beside the one that took over; what the other holds is not out of budget."""
    change = house.propose("sim-cost", {"golden": {"set": "hail", "margin": "0.1"}, "seed": seed, "concurrency": 2}, "20")
    run_id = str(start_shadow(house.ctx, house.rae, change)["run"])
    with ThreadPoolExecutor(2) as workers:
        done = [workers.submit(replay, house.ctx, run_id) for _ in range(2)]
        assert {one.result(timeout=120)["status"] for one in done} == {"done"}
    found = json.loads(house.row(run_id).verdict)
    assert found["golden"]["states"] == {"done": 40}
    assert (house.row(run_id).reserved_pico, found["states"]) == (0, {"done": 120})


def test_cases_with_only_a_rubric_are_read_by_the_judge_and_decide_nothing(house: House) -> None:
    rubric = [{"name": "facts", "text": "Are the facts right?", "weight": 2}, {"name": "tone", "text": "Is it kind?"}]
    extra = [{"id": f"free-{at}", "prompt": f"Write to customer {at}.", "rubric": rubric} for at in range(4)]
    extra.append({"id": "silent", "prompt": f"Write to {SILENT}.", "rubric": rubric})
    import_golden(house.ctx, house.rae, workflow=WORKFLOW, name="mixed", body=golden(extra=extra))
    house.endpoint.behaviours["sim-words"] = Behaviour(differ=0.2)
    judge = {"endpoint": "judges", "provider": "anthropic", "model": "claude-haiku-4-5", "rubric": rubric}
    with pytest.raises(Refused, match="only a rubric"):
        house.propose("sim-words", {"golden": {"set": "mixed", "margin": "0.1"}})
    change, _, found = house.run(
        "sim-words", {"golden": {"set": "mixed", "margin": "0.1", "critical": False}, "judge": judge, "labels": 30}
    )
    assert found["golden"]["by_rubric"]["judged"] == 4
    assert found["golden"]["n"] == 40
    told = show_change(house.ctx, change)["golden"]["by_rubric"]
    assert (told["cases"], told["judged"], told["better"] + told["worse"] + told["tie"]) == (5, 4, 4), "silence is no tie"
    assert {one["name"]: one["tie"] for one in told["criteria"]}["tone"] == 4
    by_criterion = {one["name"]: one for one in found["judge"]["criteria"]}
    assert by_criterion["facts"]["n"] == by_criterion["tone"]["n"] == found["judge"]["n"] > 0
    assert by_criterion["tone"]["estimate"] == "0.000000"


def test_a_line_of_a_file_ends_where_json_lines_end() -> None:
    """Texts may hold the line and paragraph separators of Unicode as they are: `jq` and JSON.stringify write them so."""
    rows = [{"id": f"case-{at}", "prompt": f"one{end}two", "expected": "yes"} for at, end in enumerate("\u2028\u2029\x85")]
    lines = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    assert [case.id for case in read_file(lines.encode())] == ["case-0", "case-1", "case-2"]


def test_a_set_in_yaml_that_would_grow_without_end_is_refused() -> None:
    bomb = "\n".join(["a0: &a0 [x, x, x]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12))])
    with pytest.raises(TooLarge, match="aliases"):
        read_file(bomb.encode())
    with pytest.raises(Invalid, match="2 YAML documents"):
        read_file(b"- id: a\n---\n- id: b\n")


def test_what_cannot_decide_is_refused_and_what_is_misnamed_is_named(house: House) -> None:
    with pytest.raises(Refused, match="even perfect agreement needs 59"):
        house.propose("sim-small", {"golden": "hail"})
    with pytest.raises(NotFound, match="no golden set snow"):
        house.propose("sim-small", {"golden": "snow"})
    with pytest.raises(Invalid, match="golden is the name of a set"):
        house.propose("sim-small", {"golden": {"set": "hail", "weight": 1}})
    with pytest.raises(Invalid, match="belongs to workflow"):
        import_golden(house.ctx, house.rae, workflow="reserve-estimate", name="hail", body=golden())


def test_a_withdrawn_set_is_erased_and_no_plan_names_it(house: House) -> None:
    import_golden(
        house.ctx,
        house.rae,
        workflow=WORKFLOW,
        name="short-lived",
        body=golden(3, extra=[{"id": "x", "prompt": "only here", "expected": "y"}]),
    )
    [alone] = [one for one in show_golden(house.ctx, house.rae, "short-lived")["cases"] if one["id"] == "x"]
    done = withdraw_golden(house.ctx, house.admin, "short-lived", "a customer asked")
    assert done["erased"] == 1  # the other cases are also those of another set
    assert not house.ctx.content.exists(alone["sha256"])
    with pytest.raises(NotFound):
        house.propose("sim-small", {"golden": "short-lived"})
