"""The verdict of a packet is computed again from its pair table; a verdict the pairs do not give fails, however well it is signed."""

import json
from dataclasses import replace
from typing import Any

import pytest

from governor.errors import IntegrityError
from governor.ledger.canonical import canonical_json
from governor.ledger.trust import parse_trust
from governor.packets.case import Case
from governor.packets.recomputed import GOLDEN, PAIRS, PLAN, VERDICT, check_verdict
from governor.packets.report import Check
from governor.packets.verify import checks_of
from governor.shadow.comparison import Pair
from governor.shadow.golden import GoldenCase, GoldenLine, GoldenSet
from governor.shadow.plan import Arm, Metric, Population, ReplayPlan
from governor.shadow.sampling import Candidate, draw
from governor.shadow.verdict import rederive, verdict


def files() -> dict[str, bytes]:
    sample = draw([Candidate(1_000 + number, f"call-{number:04d}") for number in range(900)], 160, "seed")
    population = Population(900, 900, sample.population_digest, 10**9, 0, {}, "2026-10-01", "2026-11-01", 31, (), 1)
    plan = ReplayPlan(
        workflow_id="fnol-triage", population=population, seed="seed", sample=sample.draws, weight_cap=sample.weight_cap,
        metrics=(Metric("error", "0.03"), Metric("quality", "0.03")), baseline=Arm("openai", "gpt-4o"), candidate=Arm("openai", "gpt-4.1-mini"),
        endpoint="gateway", protocol="openai", baseline_arm="replayed", aa_size=0, budget_pico=10**12, max_output_tokens=100, timeout_ms=1000,
        concurrency=1, price_book="book", aa_replays=54,
    )  # fmt: skip
    pairs = [
        Pair(at, pick.record_id, "done", {"error": 0}, equal="answer", baseline_text=f"b{at}", candidate_text=f"c{at}", baseline_cost_pico=100,
             candidate_cost_pico=30, baseline_us=900, candidate_us=400, spend_pico=130, repeat={"error": 0} if at < 54 else {}, repeat_us=910)
        for at, pick in enumerate(plan.sample)
    ]  # fmt: skip
    return {
        PLAN: plan.canonical,
        PAIRS: b"".join(canonical_json(pair.document()) + b"\n" for pair in pairs),
        VERDICT: canonical_json(verdict(plan, pairs)),
    }


def check(story: Any, found: dict[str, bytes]) -> Check:
    return check_verdict(Case(found, parse_trust(story.trust), subjects={"evidence/plan.json": "a"}))


def test_what_the_pairs_give_is_confirmed(story: Any) -> None:
    found = check(story, files())
    assert (found.status, found.name) == ("ok", "verdict")
    assert "160 pairs" in found.detail
    assert [name for name, _ in checks_of(files())][3:6] == ["evidence", "verdict", "binding"]
    assert "verdict" not in dict(checks_of({}))


@pytest.mark.parametrize(
    ("name", "before", "after", "differs"),
    [
        (VERDICT, b'"verdict":"pass"', b'"verdict":"fail"', "verdict"),
        (VERDICT, b'"savings_rate":"0.7', b'"savings_rate":"0.9', "cost"),
        (PAIRS, b'"candidate_cost_pico":"30"', b'"candidate_cost_pico":"29"', "cost"),
        (PLAN, b'"alpha_final":"0.04"', b'"alpha_final":"0.05"', "plan_digest"),
    ],
)
def test_a_changed_number_anywhere_fails(story: Any, name: str, before: bytes, after: bytes, differs: str) -> None:
    found = files()
    assert before in found[name]
    found[name] = found[name].replace(before, after, 1)
    with pytest.raises(IntegrityError, match=differs):
        check(story, found)


def test_another_version_of_the_method_is_not_called_wrong(story: Any) -> None:
    found = files()
    found[VERDICT] = canonical_json({**json.loads(found[VERDICT]), "software": "governor.shadow/1"})
    assert check(story, found).status == "warn"


def test_a_packet_without_pairs_says_that_nothing_was_computed(story: Any) -> None:
    found = files()
    del found[PLAN]
    assert check(story, found).status == "none"


def with_golden() -> dict[str, bytes]:
    """The same run with sixty golden cases, all right on both routes."""
    found = files()
    cases = tuple(GoldenCase(f"case-{at}", f"{at:064x}", "exact") for at in range(60))
    plan = replace(ReplayPlan.parse(json.loads(found[PLAN])), golden=GoldenSet("hail", 1, "d" * 64, cases, "0.05"))
    lines = [GoldenLine(case.id, case.sha256, "done", baseline=True, candidate=True, spend_pico=7) for case in cases]
    golden = b"".join(canonical_json(line.document()) + b"\n" for line in lines)
    return {PLAN: plan.canonical, PAIRS: found[PAIRS], GOLDEN: golden, VERDICT: rederive(plan.canonical, found[PAIRS], golden)}


def test_golden_lines_are_part_of_what_the_verdict_is_computed_from(story: Any) -> None:
    assert "60 golden cases" in check(story, with_golden()).detail
    changed = with_golden()
    changed[GOLDEN] = changed[GOLDEN].replace(b'"candidate":true', b'"candidate":false', 1)
    with pytest.raises(IntegrityError, match="golden"):
        check(story, changed)
    missing = with_golden()
    del missing[GOLDEN]
    with pytest.raises(IntegrityError, match="golden"):
        check(story, missing)
