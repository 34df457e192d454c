"""The golden results of a run as people read them: by check and by criterion, and the cases that went wrong, worst first.

Owns: the table behind the change page and the packet's report. Does not own: what the lines decide (golden_measured.py), texts (actions/show_golden.py).
Invariants: computed from the plan and golden.jsonl alone; a case that was not asked is in no count and is named by its state.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

# What made an answer right, in a reader's words; empty: a case with only a rubric.
CHECKED: Final = {
    "exact": "exact text",
    "normalised": "same text",
    "json": "JSON values",
    "contains": "holds the texts",
    "regex": "matches a pattern",
    "number": "number",
    "": "read under its rubric",
}
WORST: Final = ("lost", "judged_worse", "neither")  # in this order; what the candidate got right comes nowhere


def golden_report(golden: Mapping[str, Any], lines: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """golden: the plan's part; lines: documents of golden.jsonl. Nothing of a line the plan does not name is told."""
    by_case = {line["case"]: line for line in lines}
    found = [(case, by_case[case["id"]]) for case in golden["cases"] if by_case.get(case["id"], {}).get("sha256") == case["sha256"]]
    asked = [(case["check"], line) for case, line in found if line["state"] == "done"]
    checked = [(check, line) for check, line in asked if check]
    told = [{"case": line["case"], "check": check, "what": what(check, line)} for check, line in asked]
    return {
        **{name: golden[name] for name in ("version", "digest", "margin", "critical")},
        "set": golden["name"],
        "cases": len(golden["cases"]),
        "passed": sum(bool(line["candidate"]) for _, line in checked),
        "failed": sum(not line["candidate"] for _, line in checked),
        "baseline_passed": sum(bool(line["baseline"]) for _, line in checked),
        "not_asked": dict(sorted(Counter(line["state"] for _, line in found if line["state"] != "done").items())),
        "by_check": by_check(checked),
        "by_rubric": by_rubric([line for check, line in asked if not check]),
        "worst": sorted((one for one in told if one["what"] in WORST), key=lambda one: (WORST.index(one["what"]), one["case"])),
        "won": sorted(one["case"] for one in told if one["what"] == "won"),
    }


def what(check: str, line: Mapping[str, Any]) -> str:
    if not check:
        return {-1: "judged_worse", 0: "judged_alike", 1: "judged_better"}.get(line["judge"], "not_judged")
    return {(True, False): "lost", (False, False): "neither", (False, True): "won"}.get((line["baseline"], line["candidate"]), "both")


def by_check(checked: Sequence[tuple[str, Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """One row a kind of check, the one on which the candidate loses most first."""
    rows = []
    for name in {check for check, _ in checked}:
        mine = [line for check, line in checked if check == name]
        passed, before = (sum(bool(line[arm]) for line in mine) for arm in ("candidate", "baseline"))
        rows.append({"check": name, "cases": len(mine), "passed": passed, "failed": len(mine) - passed, "baseline_passed": before})
    return sorted(rows, key=lambda row: (row["passed"] - row["baseline_passed"], row["check"]))


def by_rubric(lines: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """What the judge said of cases with only a rubric, in all and by criterion; None where there are none."""
    if not lines:
        return None
    judged = [line for line in lines if line["judge"] is not None]
    names = {name for line in judged for name in line["criteria"]}
    criteria = [{"name": name} | split([line["criteria"][name] for line in judged if name in line["criteria"]]) for name in names]
    criteria.sort(key=lambda one: (one["better"] - one["worse"], one["name"]))
    return {"cases": len(lines), "judged": len(judged)} | split([line["judge"] for line in judged]) | {"criteria": criteria}


def split(words: Sequence[int]) -> dict[str, int]:
    return {"better": words.count(1), "worse": words.count(-1), "tie": words.count(0)}
