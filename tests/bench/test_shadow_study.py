"""How often the shadow decision is wrong, on recorded outputs of real models. The same study at two sizes: small in the normal suite, whole under `bench`.

Every population here is real (44 models on 1,319 items, 7 models on 1,700 tool calls, 28,185 production requests); what is simulated is only which of
its traces a run happens to draw.
"""

import json
import random
from collections.abc import Iterator
from functools import cache
from itertools import permutations
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

from governor.shadow.betting import harm_wealth, noninferiority_wealth
from governor.shadow.forecast import still_needed
from governor.shadow.money import savings
from governor.shadow.statistics import Counts, noninferiority_p, tango_interval

SHARED = Path(__file__).parents[2] / "../shared/data/shadow"
pytestmark = pytest.mark.skipif(not SHARED.exists(), reason="recorded model outputs are not in this checkout")
SIZES = [pytest.param(0.02, id="small"), pytest.param(1.0, id="whole", marks=pytest.mark.bench)]
PASS_LEVEL, HARM_LEVEL, ALPHA_FINAL, BLOCK, LEAST = 100.0, 20.0, 0.04, 4, 30


def columns(file: str, query: str) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = duckdb.sql(query.format(f"'{SHARED / file}'")).to_arrow_table().to_pydict()
    return found


@cache
def labels() -> dict[str, Any]:
    """Model -> correct or not, by item."""
    rows = columns(
        "zeroeval_gsm_labels.parquet", "SELECT model, list(correct::INT ORDER BY item_id) AS correct FROM {} GROUP BY model ORDER BY model"
    )
    items = max(len(one) for one in rows["correct"])
    return {name: np.array(one) for name, one in zip(rows["model"], rows["correct"], strict=True) if len(one) == items}


def pairs_between(low: float, high: float, count: int, seed: int) -> list[Any]:
    """Differences (candidate - baseline) of real pairs whose true difference lies in [low, high]."""
    models = labels()
    found = [models[cand] - models[base] for base, cand in permutations(sorted(models), 2)]
    found = [d for d in found if low <= d.mean() <= high]
    random.Random(seed).shuffle(found)
    return found[:count]


def hybrid(d: Any, margin: float) -> tuple[str, int]:
    """(word, pairs read) of the rule in governor/shadow/verdict.py for one promise, looked at after every block."""
    ones = np.ones(len(d))
    losses = np.flatnonzero(harm_wealth(d, ones, margin, 1.0, BLOCK) >= HARM_LEVEL)
    if len(losses):
        return "fail", int(losses[0] + 1) * BLOCK
    gains = noninferiority_wealth(d, ones, margin, 1.0, BLOCK)
    holds = np.flatnonzero(gains >= PASS_LEVEL)
    holds = holds[(holds + 1) * BLOCK >= LEAST]
    if len(holds):
        return "pass", int(holds[0] + 1) * BLOCK
    counts = Counts(float((d > 0).sum()), float((d < 0).sum()), float(len(d)))
    return ("pass" if noninferiority_p(counts, margin) <= ALPHA_FINAL else "inconclusive"), len(d)


def runs(d: Any, n: int, reps: int, rng: Any, margin: float) -> list[tuple[str, int]]:
    return [hybrid(d[rng.integers(0, len(d), n)], margin) for _ in range(reps)]


def share(found: list[tuple[str, int]], word: str) -> float:
    return float(np.mean([one == word for one, _ in found]))


def say(text: str) -> None:
    print(text)  # noqa: T201 - a study prints


@pytest.mark.parametrize("size", SIZES)
def test_a_candidate_exactly_at_the_margin(size: float) -> None:
    """Margin = the pair's own true loss, the evidence looked at after every block of four."""
    rng = np.random.default_rng(31)
    reps = max(int(400 * size), 40)
    found = [
        (runs(d, n, reps, rng, -float(d.mean()))) for n in (600, 1500) for d in pairs_between(-0.10, -0.01, 60 if size == 1 else 8, seed=17)
    ]
    approved, failed = [share(one, "pass") for one in found], [share(one, "fail") for one in found]
    say(
        f"\nat the margin: {len(found)} pair cells x {reps}: approved mean {np.mean(approved):.3%} max {max(approved):.2%};"
        f" failed mean {np.mean(failed):.3%} max {max(failed):.2%}"
    )
    slack = 0.0 if size == 1 else 0.03
    assert np.mean(approved) <= 0.055 + slack
    assert np.mean(failed) <= 0.05 + slack
    if size == 1:
        assert max(approved) <= 0.09


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("low", "high", "word", "least"), [(-0.01, 0.05, "pass", 0.87), (-0.12, -0.06, "fail", 0.88), (-0.9, -0.12, "fail", 0.99)]
)
def test_power_at_three_points(size: float, low: float, high: float, word: str, least: float) -> None:
    rng = np.random.default_rng(32)
    reps = max(int(400 * size), 10)
    found = [one for d in pairs_between(low, high, 60 if size == 1 else 12, seed=18) for one in runs(d, 1500, reps, rng, 0.03)]
    read = float(np.median([pairs for _, pairs in found]))
    other = "pass" if word == "fail" else "fail"
    say(
        f"\ntrue difference [{low:+.2f}, {high:+.2f}]: {word} {share(found, word):.2%}, {other} {share(found, other):.3%}, median {read:.0f}"
    )
    assert share(found, word) >= least - (0.0 if size == 1 else 0.06)
    assert share(found, other) <= 0.02
    if low < -0.5:
        assert read <= 100


@pytest.mark.parametrize("size", SIZES)
def test_intervals_cover_the_truth(size: float) -> None:
    rng = np.random.default_rng(33)
    reps = max(int(2000 * size), 200)
    cells: list[float] = []
    for d in pairs_between(-0.5, 0.5, 15, seed=19):
        odds = [(d > 0).mean(), (d < 0).mean(), (d == 0).mean()]
        for n in (50, 100, 200, 400):
            drawn, times = np.unique(rng.multinomial(n, odds, size=reps)[:, :2], axis=0, return_counts=True)
            inside = 0
            for (better, worse), count in zip(drawn, times, strict=True):
                interval = tango_interval(Counts(float(better), float(worse), float(n)))
                inside += count * (interval.low <= d.mean() <= interval.high)
            cells.append(inside / reps)
    say(f"\nTango 95 % interval, {len(cells)} cells x {reps}: mean {np.mean(cells):.2%}, worst {min(cells):.2%}")
    assert 0.93 <= np.mean(cells) <= 0.97
    if size == 1:
        assert min(cells) >= 0.91


def money() -> Iterator[tuple[str, Any, Any]]:
    """(name, baseline cost, candidate cost) in pico-USD: recorded tool calls, and production requests whose candidate writes another length."""
    prices = {"gpt-4-turbo-2024-04-09-FC": (10, 30), "gpt-4o-2024-08-06-FC": (2.5, 10), "gpt-4o-mini-2024-07-18-FC": (0.15, 0.6)}
    cost = {}
    for model, (into, out) in prices.items():
        query = f"SELECT input_tokens AS i, output_tokens AS o FROM {{}} WHERE model = '{model}' ORDER BY segment, idx"
        rows = columns("bfcl_fixture_labels.parquet", query)
        cost[model] = (np.array(rows["i"], dtype=float) * into + np.array(rows["o"], dtype=float) * out) * 1e6
    for base, cand in (("gpt-4-turbo-2024-04-09-FC", "gpt-4o-2024-08-06-FC"), ("gpt-4o-2024-08-06-FC", "gpt-4o-mini-2024-07-18-FC")):
        yield f"{base} -> {cand}", cost[base], cost[cand]
    azure = columns("azure_llm_2023_tokens.parquet", "SELECT ctx, gen FROM {}")
    into, out = np.array(azure["ctx"], dtype=float), np.array(azure["gen"], dtype=float)
    length = np.random.default_rng(1).lognormal(0, 0.35, len(out))
    yield "production requests", (2.5 * into + 10 * out) * 1e6, (0.15 * into + 0.6 * out * length) * 1e6


@pytest.mark.parametrize("size", SIZES)
def test_the_cost_interval_covers_the_truth(size: float) -> None:
    """Draws as the plan makes them: half uniform, half proportional to what the call cost."""
    rng = np.random.default_rng(34)
    reps = max(int(2000 * size), 150)
    for name, base, cand in money():
        odds = 0.5 / len(base) + 0.5 * base / base.sum()
        truth, weight = 1 - cand.sum() / base.sum(), 1 / (len(base) * odds)
        for n in (100, 400):
            hits, half = 0, []
            picks = rng.choice(len(base), size=(reps, n), p=odds)
            for at in picks:
                found = savings(base[at].astype(np.int64).tolist(), cand[at].astype(np.int64).tolist(), weight[at].tolist())
                assert found is not None
                hits += found.interval.low <= truth <= found.interval.high
                half.append((found.interval.high - found.rate) / (1 - truth))
            say(f"\ncost, {name}, n={n}: coverage {hits / reps:.2%}, half-width {np.median(half):.2%} of the candidate's cost")
            if size == 1:
                assert 0.935 <= hits / reps <= 0.965
                assert n != 100 or name != "production requests" or np.median(half) <= 0.035


@pytest.mark.parametrize("size", SIZES)
def test_the_forecast_band_holds_what_it_says(size: float) -> None:
    """Runs that end open at 300, 600 or 1,500 pairs go on; how often do the pairs they then need lie in the 10-90 % band?"""
    rng = np.random.default_rng(35)
    inside: list[bool] = []
    wide = 0
    for planned in (300, 600, 1500) if size == 1 else (300,):
        ones = np.ones(planned * 40)
        for number, d in enumerate(pairs_between(-0.12, 0.05, 60 if size == 1 else 10, seed=20)):
            for rep in range(max(int(10 * size), 4)):
                stream = d[rng.integers(0, len(d), len(ones))]
                if hybrid(stream[:planned], 0.03)[0] != "inconclusive":
                    continue
                seen = stream[:planned]
                counts = Counts(float((seen > 0).sum()), float((seen < 0).sum()), float(planned))
                needed = still_needed(counts, 0.03, HARM_LEVEL, PASS_LEVEL, planned, f"{number}|{rep}")
                gains = np.flatnonzero(noninferiority_wealth(stream, ones, 0.03, 1.0, BLOCK) >= PASS_LEVEL)
                losses = np.flatnonzero(harm_wealth(stream, ones, 0.03, 1.0, BLOCK) >= HARM_LEVEL)
                first = min([int(one[0] + 1) * BLOCK for one in (gains, losses) if len(one)], default=10**9) - planned
                inside.append((needed.p10 or 10**8) <= first <= (needed.p90 or 10**10))
                wide += needed.p90 is None
    say(f"\nforecast: {len(inside)} open runs, band holds the truth {np.mean(inside):.1%}; upper end beyond its horizon {wide}")
    if size == 1:
        assert 0.75 <= np.mean(inside) <= 0.85
    else:
        assert np.mean(inside) > 0.5


def test_published_counts_of_paired_labels() -> None:
    published = json.loads((SHARED / "routellm_reproduced.json").read_text())["gsm8k"]
    query = """SELECT count(*) FILTER (strong_correct AND weak_correct) AS both, count(*) FILTER (strong_correct AND NOT weak_correct) AS strong_only,
        count(*) FILTER (weak_correct AND NOT strong_correct) AS weak_only, count(*) FILTER (NOT strong_correct AND NOT weak_correct) AS neither
        FROM {} WHERE dataset = 'gsm8k' AND NOT contaminated"""
    found = {name: values[0] for name, values in columns("routellm_gsm8k_mmlu_half.parquet", query).items()}
    assert found == {name: published[name] for name in found}


def host_change() -> tuple[Any, Any]:
    """(quality, strict JSON) differences when Llama 405B moves to another host."""
    found = []
    for name in ("correct", "json_strict"):
        query = f"SELECT model, list({name}::INT ORDER BY item_id) AS v FROM {{}} WHERE model LIKE '%405B%' GROUP BY model ORDER BY model"
        rows = columns("zeroeval_gsm_labels.parquet", query)
        values = dict(zip(rows["model"], rows["v"], strict=True))
        found.append(np.array(values["Llama-3.1-405B-Instruct-Turbo"]) - np.array(values["Llama-3.1-405B-Inst@sambanova"]))
    return found[0], found[1]


@pytest.mark.parametrize("size", SIZES)
def test_the_same_model_on_another_host_fails_on_json_while_quality_passes(size: float) -> None:
    quality, strict = host_change()
    rng, reps = np.random.default_rng(36), max(int(1000 * size), 20)
    words = []
    for _ in range(reps):
        at = rng.integers(0, len(quality), 600)
        words.append((hybrid(quality[at], 0.03)[0], hybrid(strict[at], 0.02)[0]))
    passed, failed = np.mean([one == "pass" for one, _ in words]), np.mean([two == "fail" for _, two in words])
    say(f"\n405B on another host: strict JSON fails {failed:.1%}, quality passes {passed:.1%} of {reps} runs of 600")
    assert failed >= 0.99
    assert passed >= 0.95


@pytest.mark.parametrize("size", SIZES)
def test_a_real_shift_between_two_runs_is_seen_and_none_is_seldom_invented(size: float) -> None:
    """The A/A rule on labels of reruns 17 days apart (no certain change), on the same with 8 % of the good answers broken, and on independent coins."""
    rng, reps = np.random.default_rng(37), max(int(400 * size), 30)
    rows = {(one["incumbent"], one["candidate"]): one for one in json.loads((SHARED / "golden_pairs.json").read_text())}
    for (base, _), one in rows.items():
        if "@07-25" not in base:
            continue
        odds = [one["cand_only"] / one["n"], one["inc_only"] / one["n"]]
        shifted = [odds[0], odds[1] + 0.08]
        for name, (better, worse), least, most in (("as it is", odds, 0.0, 0.04), ("8 points broken", shifted, 0.8, 1.0)):
            moved = 0
            for b, c, _ in rng.multinomial(200, [better, worse, 1 - better - worse], size=reps):
                counts = Counts(float(b), float(c), 200.0)
                strict, usual = tango_interval(counts, 0.01), tango_interval(counts, 0.05)
                beyond = abs(counts.difference) > 0.03 and (usual.low > 0 or usual.high < 0)
                moved += strict.low > 0 or strict.high < 0 or beyond
            say(f"\nA/A {base}, {name}: called moved in {moved / reps:.1%} of {reps} runs of 200")
            assert least - (0.1 if size < 1 else 0) <= moved / reps <= most + (0.1 if size < 1 else 0.03)
