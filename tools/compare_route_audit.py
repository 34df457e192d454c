"""Governor's verdict and split beside those of `llm-route-audit` (PyPI) on the same logs and the same labels.

    python -m venv audit && audit/bin/pip install llm-route-audit==0.3.3
    .venv/bin/python tools/compare_route_audit.py --audit audit/bin/llm-route-audit --labels ../shared/data/shadow/bfcl_fixture_labels.parquet

Both tools get the same recorded answers of two models to a sample of real tool calls, whether each answer was right, token counts and prices; nothing is
sent anywhere. The outside tool runs as its own program in its own environment; only its command line and its JSON report are used.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Final

import duckdb

from governor.shadow.split import ALPHA, Trial, recommended, split
from governor.shadow.statistics import Counts, noninferiority_p, tango_interval

# USD per million tokens, list prices of the time of the recordings
PRICES: Final = {
    "gpt-4-turbo-2024-04-09": (10.0, 30.0),
    "gpt-4o-2024-08-06": (2.5, 10.0),
    "gpt-4o-mini-2024-07-18": (0.15, 0.6),
    "gpt-3.5-turbo-0125": (0.5, 1.5),
    "claude-3-5-sonnet-20240620": (3.0, 15.0),
    "claude-3-haiku-20240307": (0.25, 1.25),
}
PAIRS: Final = (
    ("gpt-4-turbo-2024-04-09", "gpt-4o-2024-08-06"),
    ("gpt-4-turbo-2024-04-09", "gpt-4o-mini-2024-07-18"),
    ("gpt-4-turbo-2024-04-09", "gpt-3.5-turbo-0125"),
    ("claude-3-5-sonnet-20240620", "claude-3-haiku-20240307"),
)
SIZES: Final = (100, 400, 1600)
MARGIN: Final = 0.03
ALPHA_FINAL: Final = 0.04
ORIGINAL: Final = "original (as logged)"  # their name of the logged answer
Item = dict[str, Any]


def items(labels: Path, base: str, candidate: str) -> list[Item]:
    """Every item with what both models did on it. `task`: the category, known before the call."""
    rows = duckdb.execute(
        "SELECT x.segment AS task, x.segment || '-' || x.idx AS id, x.valid AS base_ok, y.valid AS cand_ok,"
        " x.input_tokens AS base_in, x.output_tokens AS base_out, y.input_tokens AS cand_in, y.output_tokens AS cand_out"
        " FROM read_parquet($file) AS x JOIN read_parquet($file) AS y USING (segment, idx) WHERE x.model = $base AND y.model = $cand ORDER BY id",
        {"file": str(labels), "base": f"{base}-FC", "cand": f"{candidate}-FC"},
    )
    names = [column[0] for column in rows.description or ()]
    return [dict(zip(names, row, strict=True)) for row in rows.fetchall()]


def theirs(audit: str, base: str, candidate: str, sample: list[Item], *, by_task: bool, folder: Path) -> dict[str, Any]:
    """The report of llm-route-audit with its own defaults (95 % of the original's pass rate, 10 graded answers)."""

    def written(name: str, rows: list[Item]) -> str:
        path = folder / name
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return str(path)

    logs = [
        {
            "id": one["id"],
            "timestamp": "2024-08-11T00:00:00Z",
            "model": base,
            "prompt": one["id"],
            "response": "recorded",
            "input_tokens": int(one["base_in"]),
            "output_tokens": int(one["base_out"]),
            "task_type": one["task"] if by_task else "all",
        }
        for one in sample
    ]
    replay = [
        {
            "record_id": one["id"],
            "task_type": one["task"] if by_task else "all",
            "model": candidate,
            "effort": None,
            "provider": None,
            "status": "ok",
            "response": "recorded",
            "input_tokens": int(one["cand_in"]),
            "output_tokens": int(one["cand_out"]),
            "cost": cost(candidate, one["cand_in"], one["cand_out"]),
        }
        for one in sample
    ]
    grades = [
        {"record_id": one["id"], "candidate": name, "outcome": "pass" if good else "fail"}
        for one in sample
        for name, good in ((candidate, one["cand_ok"]), (ORIGINAL, one["base_ok"]))
    ]
    prices = folder / "prices.yaml"
    prices.write_text(
        "updated: 2024-08-11\nmodels:\n" + "".join(f"  {name}: {{input: {low}, output: {high}}}\n" for name, (low, high) in PRICES.items())
    )
    options = ["--replay", written("replay.jsonl", replay), "--grades", written("grades.jsonl", grades), "--prices", str(prices)]
    done = subprocess.run(  # noqa: S603 - the operator names the program
        [audit, "report", written("logs.jsonl", logs), *options, "--html", str(folder / "report.html"), "--json"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"{audit}: {done.stderr or done.stdout}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def cost(model: str, tokens_in: float, tokens_out: float) -> float:
    low, high = PRICES[model]
    return (tokens_in * low + tokens_out * high) / 1e6


def ours(sample: list[Item]) -> str:
    d = [int(one["cand_ok"]) - int(one["base_ok"]) for one in sample]
    counts = Counts(sum(x > 0 for x in d), sum(x < 0 for x in d), len(d))
    interval = tango_interval(counts)
    if interval.high < -MARGIN:
        return "fail"
    return "pass" if noninferiority_p(counts, MARGIN) <= ALPHA_FINAL else "inconclusive"


def our_split(sample: list[Item]) -> set[str]:
    made = [Trial((one["task"],), {"quality": int(one["cand_ok"]) - int(one["base_ok"])}, 1.0, one["id"]) for one in sample]
    half = len(made) // 2
    _, frontier = split(made[:half], made[half:], {"quality": MARGIN}, ALPHA)
    best = recommended(frontier)
    return {segment[0] for segment in best.chosen.segments} if best else set()


def truth(every: list[Item], moved: set[str] | None = None) -> float:
    return sum(int(one["cand_ok"]) - int(one["base_ok"]) for one in every if moved is None or one["task"] in moved) / len(every)


def moved_cell(found: list[tuple[float, float]]) -> str:
    """Mean share moved, mean true difference of the route in points, how many routes truly lose more than the margin."""
    share, lost = sum(one for one, _ in found) / len(found), sum(one for _, one in found) / len(found)
    return f"{100 * share:.0f} %, {100 * lost:+.1f}, {sum(one < -MARGIN for _, one in found)} of {len(found)}"


def main() -> None:
    wanted = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    wanted.add_argument("--audit", required=True, help="the outside tool's command, in its own environment")
    wanted.add_argument("--labels", type=Path, required=True, help="recorded outcomes: model, segment, idx, valid, tokens")
    wanted.add_argument("--draws", type=int, default=20, help="samples per pair and size")
    args = wanted.parse_args()
    tell = print
    tell("| baseline to candidate | truth | traces | they switch | we: pass / fail / inconclusive | they move by task | we move by task |")
    tell("|---|---|---|---|---|---|---|")
    for base, candidate in PAIRS:
        every = items(args.labels, base, candidate)
        for size in SIZES:
            words: dict[str, int] = {"pass": 0, "fail": 0, "inconclusive": 0}
            switched = 0
            moves: dict[str, list[tuple[float, float]]] = {"they": [], "we": []}
            for draw in range(args.draws):
                sample = random.Random(f"{base}|{candidate}|{size}|{draw}").sample(every, size)  # noqa: S311 - a repeatable draw
                with tempfile.TemporaryDirectory() as name:
                    whole = theirs(args.audit, base, candidate, sample, by_task=False, folder=Path(name))
                    parts = theirs(args.audit, base, candidate, sample, by_task=True, folder=Path(name))
                switched += whole["tasks"][0]["choice"] == candidate
                words[ours(sample)] += 1
                for who, moved in (
                    ("they", {one["task"] for one in parts["tasks"] if one["choice"] == candidate}),
                    ("we", our_split(sample)),
                ):
                    moves[who].append((sum(one["task"] in moved for one in every) / len(every), truth(every, moved)))
            cells = [moved_cell(moves[who]) for who in ("they", "we")]
            tell(
                f"| {base} to {candidate} | {100 * truth(every):+.1f} | {size:,} | {switched} of {args.draws} |"
                f" {words['pass']} / {words['fail']} / {words['inconclusive']} | {cells[0]} | {cells[1]} |"
            )


if __name__ == "__main__":
    main()
