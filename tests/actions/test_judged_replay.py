"""Free text from replay to verdict: a judge that is tested first, people who label blind, and what both together decide."""

import csv
import io
import json
import os
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import openpyxl
import pytest
from sqlmodel import col, select

from governor.actions.apply import apply
from governor.actions.assess import assess, find_change
from governor.actions.context import OPERATOR, Actor, Context, open_context
from governor.actions.decide import reject
from governor.actions.evidence_files import evidence_files
from governor.actions.export_packet import export_packet
from governor.actions.export_trust import export_trust
from governor.actions.ingest import ingest
from governor.actions.init_home import init_home
from governor.actions.people import authenticate, create_token
from governor.actions.propose import propose
from governor.actions.replay import http_endpoint, replay
from governor.actions.replay_rows import CANARIES, JUDGES, OPEN, load
from governor.actions.review_labels import label, submit, undo
from governor.actions.review_queue import load_work, show_pair, waiting
from governor.actions.review_sheets import export_sheet, import_sheet
from governor.actions.show_change import show_change
from governor.actions.start_shadow import start_shadow
from governor.catalog import parse_documents
from governor.changes import Person, may_decide
from governor.demo.catalog import catalog_yaml
from governor.demo.simulated_endpoint import SimulatedEndpoint
from governor.demo.simulated_model import NOTICE, Behaviour, severity
from governor.demo.traffic import make_month
from governor.errors import Forbidden, Invalid, SeparationOfDuties, WrongState
from governor.packets.verify import verify_packet
from governor.ports import ModelReply, ModelRequest
from governor.settings import load_settings
from governor.shadow.labels import candidate_first
from governor.shadow.verdict import rederive
from governor.store.rows.changes import ShadowRun

WORKFLOW = "fnol-triage"
UNTIL = (datetime.now(UTC) + timedelta(days=90)).date().isoformat()


class Judge:
    """Knows the truth that is in the prompt; `fooled` is one that likes what is long."""

    def __init__(self, *, fooled: bool = False) -> None:
        self.fooled = fooled
        self.asked = 0

    def call_many(self, requests: Sequence[ModelRequest], *, concurrency: int) -> Iterator[tuple[ModelRequest, ModelReply]]:
        del concurrency
        for request in requests:
            self.asked += 1
            text = str(request.messages[0]["content"])
            asked, a, b = (text.split(f"<{tag}>\n")[1].split(f"\n</{tag}>", maxsplit=1)[0] for tag in ("request", "answer_a", "answer_b"))
            notice = NOTICE.search(asked)
            assert notice is not None
            score = [sum(word in one for word in (f'"{notice["loss"]}"', f'"{severity(int(notice["amount"]))}"')) for one in (a, b)]
            better = "A" if score[0] > score[1] else "B" if score[1] > score[0] else "tie"
            if self.fooled:
                better = "A" if len(a) > len(b) else "B"
            yield request, ModelReply("ok", text=json.dumps({"better": better}), input_tokens=100, output_tokens=6, duration_ms=5.0)


class House:
    def __init__(self, ctx: Context, admin: Actor, endpoint: SimulatedEndpoint) -> None:
        self.ctx, self.admin, self.endpoint = ctx, admin, endpoint

    def person(self, name: str) -> Actor:
        return authenticate(self.ctx, create_token(self.ctx, self.admin, email=f"{name}@acme.example")["token"])

    def run(self, candidate: str, judge: Any, **options: Any) -> tuple[str, str, dict[str, Any]]:
        rae = self.person("rae")
        chosen: dict[str, Any] = {"labels": 30}
        if judge is not None:
            chosen["judge"] = {"endpoint": "judges", "provider": "anthropic", "model": "claude-haiku-4-5", **options}
        change = propose(
            self.ctx, rae, workflow=WORKFLOW, candidate="openai/gpt-4.1-mini", endpoint="gateway-shadow", endpoint_model=candidate,
            reason="cheaper", sample=200, margins={"quality": "0.2"}, budget_usd="50", options=chosen,
        )["id"]  # fmt: skip
        run_id = start_shadow(self.ctx, rae, change)["run"]
        replay(self.ctx, run_id, endpoints=lambda ctx, name: judge if name == "judges" and judge else http_endpoint(ctx, name))
        return str(change), str(run_id), self.verdict(run_id)

    def label_all(self, name: str, change: str, picks: Mapping[int, str] | None = None, limit: int = 1000) -> int:
        """Pair after pair as the page does it, until none is left; the pick says equally good unless `picks` says else."""
        who, count = self.person(name), 0
        while (shown := show_pair(self.ctx, who, change)["pair"]) is not None and count < limit:
            label(self.ctx, who, change, shown["position"], (picks or {}).get(shown["position"], "tie"))
            count += 1
        return count

    def verdict(self, run_id: str) -> dict[str, Any]:
        with self.ctx.rows.session() as session:
            return json.loads(session.exec(select(ShadowRun).where(ShadowRun.id == run_id)).one().verdict)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    home = tmp_path_factory.mktemp("judged")
    patch = pytest.MonkeyPatch()
    for name in [name for name in os.environ if name.startswith("GOVERNOR_")]:
        patch.delenv(name)
    patch.setenv("GOVERNOR_DEMO_SHADOW_KEY", "shadow-key")
    patch.setenv("GOVERNOR_ALLOW_PRIVATE_ENDPOINTS", "true")
    with SimulatedEndpoint(seed=7) as endpoint:
        ctx = open_context(load_settings(home=home), create=True)
        admin = authenticate(ctx, init_home(ctx, email="admin@acme.example", name="Admin", billing_zone="UTC")["token"])
        text = catalog_yaml(endpoint.base_url, UNTIL)
        judges = (
            f"\n---\nkind: endpoint\nid: judges\nprotocol: openai\nbase_url: {endpoint.base_url}\nsecret: env:GOVERNOR_DEMO_SHADOW_KEY\n"
        )
        people = "".join(f"\n---\nkind: person\nemail: {name}@acme.example\nroles: [requester]\n" for name in ("lena", "milo"))
        apply(ctx, admin, parse_documents(text + judges + people))
        month = make_month(home / "traffic", "2026-10", calls=3000)
        ingest(ctx, OPERATOR, "litellm", [str(file) for file in month.files])
        endpoint.behaviours["sim-other"] = Behaviour(differ=0.4)
        yield House(ctx, admin, endpoint)
        ctx.close()
    patch.undo()


def test_a_tested_judge_and_people_on_a_random_part_pass_what_stayed_open(house: House) -> None:
    judge = Judge()
    change, run_id, verdict = house.run("sim-other", judge)
    table = load(house.ctx, run_id)
    assert verdict["judge"]["canaries"] == {"n": 12, "caught": 12}
    assert judge.asked == 2 * (12 + verdict["judge"]["n"])
    assert verdict["verdict"] == "inconclusive"
    assert verdict["still_needed"]["labels"] == {"missing": 30, "registered": 30, "differing": verdict["judge"]["n"]}
    assert sum(name in arms for arms in table.values() for name in CANARIES) == 24
    assert all(arms[name].cost_pico is not None or arms[name].lost_pico for arms in table.values() for name in JUDGES if name in arms)
    for name, reason in (("rae", "you requested"), ("finn", "captured content is read by")):
        with pytest.raises(Forbidden, match=reason):
            show_pair(house.ctx, house.person(name), change)
    house.label_all("lena", change, limit=29)
    done = submit(house.ctx, house.person("lena"), change)
    assert (done["submitted"], done["verdict"]) == (29, "inconclusive")
    house.label_all("milo", change, limit=60)
    assert submit(house.ctx, house.person("milo"), change)["verdict"] == "pass"
    found = house.verdict(run_id)
    assert found["people"]["registered_labelled"] == 30
    assert found["people"]["correction"]["labelled"] == 30
    assert found["judge"]["agreement"]["n"] >= 30
    with house.ctx.rows.session() as session:
        seen = assess(house.ctx, session, find_change(session, house.ctx.org, change), house.ctx.now())
        files = {item.name: item.body for item in seen.files}
    assert {house.person(name).id for name in ("rae", "lena", "milo")} == seen.docket.authors
    assert rederive(files["plan.json"], files["pairs.jsonl"]) == files["verdict.json"]
    assert b"acme.example" not in files["labels.jsonl"]
    entries = [json.loads(row) for row in files["labels.jsonl"].splitlines()]
    assert len({row["reviewer"] for row in entries}) == 2
    with pytest.raises(SeparationOfDuties):
        may_decide(
            Person(house.person("lena").id, "lena@acme.example", frozenset({"owner"})),
            seen.docket, digest=seen.digest, decision="approve", now=house.ctx.now(),
        )  # fmt: skip


def test_labels_of_an_earlier_run_are_no_evidence_of_the_next(house: House) -> None:
    change, run_id, _ = house.run("sim-other", None)
    house.label_all("lena", change, limit=1)
    submit(house.ctx, house.person("lena"), change)
    again = start_shadow(house.ctx, house.person("rae"), change)["run"]
    assert again != run_id
    replay(house.ctx, again)
    with house.ctx.rows.session() as session:
        files = {item.name: item.body for item in evidence_files(session, house.ctx.org, change)}
    assert files["labels.jsonl"] == b""
    assert rederive(files["plan.json"], files["pairs.jsonl"]) == files["verdict.json"]
    dana = house.person("dana")
    reject(house.ctx, dana, change, digest=show_change(house.ctx, change)["digest"], reason="open")
    packet = export_packet(house.ctx, dana, change)
    assert verify_packet(packet, export_trust(house.ctx)).exit_code == 0
    with zipfile.ZipFile(io.BytesIO(packet)) as archive:
        assert archive.read("evidence/labels.jsonl") == b""


def test_a_judge_fooled_by_a_planted_answer_is_discarded(house: House) -> None:
    _, _, verdict = house.run("sim-other", Judge(fooled=True))
    assert verdict["judge"]["discarded"] is True
    assert "judge_discarded" in verdict["limitations"]


def test_a_judge_stops_at_its_own_cap_and_the_run_goes_on(house: House) -> None:
    judge = Judge()
    _, run_id, verdict = house.run("sim-other", judge, budget_usd="0.20")
    table = load(house.ctx, run_id)
    spent = sum(one.spend_pico for arms in table.values() for name, one in arms.items() if name.startswith("judge"))
    assert 0 < spent <= 200_000_000_000
    assert verdict["judge"]["canaries"]["n"] == 12 or verdict["judge"]["n"] == 0
    assert verdict["n_pairs"] > 150


def test_nothing_a_reviewer_sees_says_whose_answer_it_is(house: House) -> None:
    change, _run_id, _ = house.run("sim-other", None)
    shown = show_pair(house.ctx, house.person("lena"), change)
    text = json.dumps(shown).lower()
    for word in ("gpt", "openai", "sim-", "candidate", "baseline", "cost", "usd", "latency", "judge"):
        assert word not in text.replace("differing", ""), word
    with house.ctx.rows.session() as session:
        work = load_work(house.ctx, session, house.person("lena"), change)
    sides = set()
    for at in work.order[:20]:
        pair = show_pair(house.ctx, house.person("lena"), change, at)["pair"]
        notice = NOTICE.search(pair["prompt"])
        assert notice is not None
        right = [f'"{severity(int(notice["amount"]))}"' in pair[side] for side in ("a", "b")]
        assert sorted(right) == [False, True]  # the baseline is right where they differ
        assert right[1] is candidate_first(work.plan.seed, at)
        sides.add(right[0])
    assert sides == {True, False}
    assert any(one["change"] == change and one["open_for_you"] == len(work.order) for one in waiting(house.ctx, house.person("lena")))


def test_a_draft_is_changed_and_taken_back_until_it_is_submitted(house: House) -> None:
    change, _, _ = house.run("sim-other", None)
    lena = house.person("lena")
    at = show_pair(house.ctx, lena, change)["pair"]["position"]
    label(house.ctx, lena, change, at, "a", "clearer")
    label(house.ctx, lena, change, at, "b")
    assert show_pair(house.ctx, lena, change, at)["pair"]["pick"] == "b"
    undo(house.ctx, lena, change, at)
    assert show_pair(house.ctx, lena, change)["pair"]["position"] == at
    with pytest.raises(Invalid, match="no labels"):
        submit(house.ctx, lena, change)
    for wrong in ("A", "candidate", ""):
        with pytest.raises(Invalid, match="is none of"):
            label(house.ctx, lena, change, at, wrong)
    label(house.ctx, lena, change, at, "unsure")
    assert submit(house.ctx, lena, change)["verdict"] == "inconclusive"
    for again in (lambda: label(house.ctx, lena, change, at, "a"), lambda: undo(house.ctx, lena, change, at)):
        with pytest.raises(WrongState, match="stays"):
            again()


@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_a_sheet_goes_out_blind_and_comes_back_once(house: House, form: str) -> None:
    change, run_id, _ = house.run("sim-other", None)
    lena = house.person("lena")
    body = export_sheet(house.ctx, lena, change, form=form, reviewer="Counsel, Legal")
    rows = rows_of(body, form)
    assert len(rows) == 31
    assert not {"gpt", "candidate", "baseline"} & set(" ".join(str(cell) for row in rows for cell in row).lower().split())
    pick, _pair, check = (rows[0].index(name) for name in ("pick", "pair", "check"))
    for row in rows[1:]:
        row[pick] = "tie"
    rows[3][pick] = "better"
    rows[4][check] = "0" * 16
    rows[5][pick] = ""
    rows.append([*rows[1]])
    rows.append([change, "99999", "x", "", "", "", "a", ""])
    sheet = sheet_of(rows, form)
    done = import_sheet(house.ctx, lena, sheet, reviewer="Counsel, Legal")
    assert (done["imported"], done["empty"], done["labelled"]) == (27, 1, 27)
    assert [error["row"] for error in done["errors"]] == [4, 5, 32, 33]
    assert "none of a, b, tie, unsure" in done["errors"][0]["reason"]
    again = import_sheet(house.ctx, lena, sheet, reviewer="counsel, legal")
    assert (again["imported"], again["unchanged"], again["labelled"]) == (0, 28, 27)
    rows[1][pick] = "a"
    changed = import_sheet(house.ctx, lena, sheet_of(rows[:2], form), reviewer="Counsel, Legal")
    assert "said tie on pair" in changed["errors"][0]["reason"]
    with house.ctx.rows.session() as session:
        docket = assess(house.ctx, session, find_change(session, house.ctx.org, change), house.ctx.now()).docket
    assert lena.id in docket.authors
    assert house.verdict(run_id)["people"]["registered_labelled"] == 27


def test_a_sheet_is_taken_from_nobody_who_has_another_part_in_the_change(house: House) -> None:
    change, _, _ = house.run("sim-other", None)
    lena = house.person("lena")
    sheet = export_sheet(house.ctx, lena, change, form="csv", reviewer="Counsel")
    for verb in (
        lambda: export_sheet(house.ctx, lena, change, form="csv", reviewer="Rae@acme.example"),
        lambda: import_sheet(house.ctx, lena, sheet, reviewer="rae@acme.example"),
    ):
        with pytest.raises(Forbidden, match=r"rae@acme.example requested"):
            verb()
    assert import_sheet(house.ctx, lena, sheet, reviewer="milo@acme.example")["errors"] == []


def rows_of(body: bytes, form: str) -> list[list[Any]]:
    if form == "csv":
        return [list(row) for row in csv.reader(io.StringIO(body.decode("utf-8-sig")))]
    return [
        ["" if cell is None else cell for cell in row]
        for row in openpyxl.load_workbook(io.BytesIO(body)).worksheets[0].iter_rows(values_only=True)
    ]


def sheet_of(rows: Sequence[Sequence[Any]], form: str) -> bytes:
    if form == "csv":
        out = io.StringIO()
        csv.writer(out).writerows(rows)
        return out.getvalue().encode()
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(list(row))
    packed = io.BytesIO()
    book.save(packed)
    return packed.getvalue()


class Mortal(Judge):
    """A judge whose worker dies after some answers, until it is told to live."""

    def __init__(self, dies_after: int) -> None:
        super().__init__()
        self.dies_after = dies_after

    def call_many(self, requests: Sequence[ModelRequest], *, concurrency: int) -> Iterator[tuple[ModelRequest, ModelReply]]:
        for one in super().call_many(requests, concurrency=concurrency):
            if self.asked > self.dies_after:
                raise KeyboardInterrupt
            yield one


@pytest.mark.parametrize("dies_after", [5, 60])
def test_a_worker_that_dies_among_the_judges_questions_changes_no_word_of_the_verdict(house: House, dies_after: int) -> None:
    unbroken = house.run("sim-other", Judge())[2]
    judge = Mortal(dies_after)
    with pytest.raises(KeyboardInterrupt):
        house.run("sim-other", judge)
    judge.dies_after = 10_000
    with house.ctx.rows.session() as session:
        run_id = session.exec(select(ShadowRun.id).order_by(col(ShadowRun.id).desc())).first()
    assert run_id is not None
    replay(house.ctx, run_id, endpoints=lambda ctx, name: judge if name == "judges" else http_endpoint(ctx, name))
    found = house.verdict(run_id)
    assert found["judge"]["canaries"] == {"n": 12, "caught": 12}
    assert found["judge"]["n"] == unbroken["judge"]["n"]
    assert not any(one.state in OPEN for arms in load(house.ctx, run_id).values() for one in arms.values())


def test_a_judge_is_asked_by_the_name_that_its_endpoint_knows_and_has_room_to_think(house: House) -> None:
    asked: list[ModelRequest] = []

    class Listening(Judge):
        def call_many(self, requests: Sequence[ModelRequest], *, concurrency: int) -> Iterator[tuple[ModelRequest, ModelReply]]:
            asked.extend(requests)
            return super().call_many(requests, concurrency=concurrency)

    named = f"kind: endpoint\nid: judges\nprotocol: openai\nbase_url: {house.endpoint.base_url}\nsecret: env:GOVERNOR_DEMO_SHADOW_KEY\n"
    apply(house.ctx, house.admin, parse_documents(named + "models: {gemini-2.5-flash: team-judge}"))
    house.run("sim-other", Listening(), provider="gcp.vertex_ai", model="gemini-2.5-flash")
    assert {request.model for request in asked} == {"team-judge"}
    assert {request.metadata["model"] for request in asked} == {"gemini-2.5-flash"}
    assert {request.max_output_tokens for request in asked} == {256 + 4096}
    apply(house.ctx, house.admin, parse_documents(named))


def test_a_judge_is_asked_again_for_what_a_wave_could_not_reserve(house: House) -> None:
    """A question is reserved at far more than it costs: this cap holds some at a time, and in the end all."""
    _, _, verdict = house.run("sim-other", Judge(), budget_usd="0.05")
    assert verdict["judge"]["canaries"]["n"] == 12
    assert verdict["judge"]["n"] == verdict["still_needed"]["labels"]["differing"]
