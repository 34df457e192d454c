"""The golden results as people read them: counts by check and criterion, the wrong cases worst first."""

from typing import Any

from governor.shadow.golden_report import golden_report

GOLDEN = {
    "name": "hail",
    "version": 2,
    "digest": "d",
    "margin": "0.1",
    "critical": True,
    "cases": [
        {"id": name, "sha256": name * 2, "check": check}
        for name, check in zip("abcdefg", ["json", "json", "exact", "exact", "", "", "json"], strict=True)
    ],
}


def line(name: str, **more: Any) -> dict[str, Any]:
    blank = {"case": name, "sha256": name * 2, "state": "done", "baseline": None, "candidate": None, "judge": None, "criteria": {}}
    return blank | more


LINES = [
    line("a", baseline=True, candidate=True),
    line("b", baseline=False, candidate=False),
    line("c", baseline=True, candidate=False),
    line("d", baseline=False, candidate=True),
    line("e", judge=-1, criteria={"facts": -1, "tone": 1}),
    line("f"),
    line("g", state="skipped_budget"),
    line("z", baseline=True, candidate=False),
]


def test_what_went_wrong_comes_worst_first() -> None:
    found = golden_report(GOLDEN, LINES)
    assert [(one["case"], one["what"]) for one in found["worst"]] == [("c", "lost"), ("e", "judged_worse"), ("b", "neither")]
    assert found["won"] == ["d"]
    assert (found["passed"], found["failed"], found["baseline_passed"]) == (2, 2, 2)
    assert found["not_asked"] == {"skipped_budget": 1}


def test_checks_and_criteria_are_counted_apart() -> None:
    found = golden_report(GOLDEN, LINES)
    assert [(row["check"], row["cases"], row["passed"]) for row in found["by_check"]] == [("exact", 2, 1), ("json", 2, 1)]
    assert (found["by_rubric"]["cases"], found["by_rubric"]["judged"], found["by_rubric"]["worse"]) == (2, 1, 1)
    assert [(one["name"], one["worse"], one["better"]) for one in found["by_rubric"]["criteria"]] == [("facts", 1, 0), ("tone", 0, 1)]


def test_a_line_of_other_content_is_not_told() -> None:
    assert golden_report(GOLDEN, [line("a", baseline=True, candidate=True) | {"sha256": "other"}])["passed"] == 0
    assert golden_report(GOLDEN, [])["by_rubric"] is None
