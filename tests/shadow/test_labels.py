"""People's labels: order, sides, what several say, and what they decide together with a judge that may be wrong."""

import math
import random
from collections.abc import Callable
from dataclasses import replace
from statistics import mean
from typing import Any

import numpy as np
import pytest

from governor.ledger.canonical import canonical_json
from governor.shadow.comparison import Pair
from governor.shadow.corrected import corrected
from governor.shadow.judging import CONSTANT, caught, discarded, planted
from governor.shadow.labels import candidate_first, doubled, drawn, kappa, queue, reading, value_of, wilson
from governor.shadow.plan import Judge, ReplayPlan
from governor.shadow.statistics import NORMAL, student_cdf, student_quantile
from governor.shadow.verdict import rederive, verdict

PlanOf = Callable[..., ReplayPlan]
PairsOf = Callable[..., list[Pair]]
JUDGE = Judge("judges", "mistral-large", "mistral", "p", family="mistral", canaries=12)


def free_text(pairs: list[Pair], share: float, seed: int, worse: float, better: float) -> list[tuple[Pair, int]]:
    """(pair, truth): on `share` of the pairs answers differ, and the candidate is truly worse or better on some of them."""
    dice = random.Random(seed)
    found = []
    for pair in pairs:
        if dice.random() >= share:
            found.append((pair, 0))
            continue
        roll = dice.random()
        truth = -1 if roll < worse else 1 if roll < worse + better else 0
        found.append((replace(pair, quality=(-1, 1), equal="no"), truth))
    return found


def judged(rows: list[tuple[Pair, int]], right: float, seed: int) -> list[tuple[Pair, int]]:
    """A judge that is right on this share and otherwise prefers the candidate."""
    dice = random.Random(seed)
    return [(replace(pair, judge=truth if dice.random() < right else 1, longer=1) if pair.equal else pair, truth) for pair, truth in rows]


def labelled(plan: ReplayPlan, rows: list[tuple[Pair, int]], count: int) -> list[Pair]:
    chosen = set(drawn(plan.seed, [pair for pair, _ in rows])[:count])
    return [replace(pair, labels=(truth,), quality=(truth, truth)) if pair.position in chosen else pair for pair, truth in rows]


def differing_pairs(plan: ReplayPlan, pairs_of: PairsOf, **shape: Any) -> list[tuple[Pair, int]]:
    pairs = [replace(pair, equal="answer") for pair in pairs_of(plan, [0] * plan.n)]
    return free_text(pairs, **{"share": 0.4, "seed": 3, "worse": 0.05, "better": 0.05, **shape})


def test_the_registered_part_is_drawn_by_the_seed_and_similarity_only_sorts_inside_it(plan_of: PlanOf, pairs_of: PairsOf) -> None:
    plan = plan_of()
    pairs = [pair for pair, _ in differing_pairs(plan, pairs_of)]
    order = drawn(plan.seed, pairs)
    alike = {position: random.Random(position).random() for position in order}
    shown = queue(plan.seed, pairs, 40, alike)
    assert set(shown[:40]) == set(order[:40])
    assert shown[:40] != order[:40]
    assert shown[:40] == sorted(shown[:40], key=alike.__getitem__)
    assert set(shown) == {pair.position for pair in pairs if pair.equal == "no"}
    assert order != sorted(order)


def test_sides_and_second_readings_are_fixed_and_balanced() -> None:
    sides = [candidate_first("seed", position) for position in range(2000)]
    assert sides == [candidate_first("seed", position) for position in range(2000)]
    assert 900 < sum(sides) < 1100
    assert 150 < sum(doubled("seed", position) for position in range(2000)) < 250
    assert [value_of(pick, first=True) for pick in ("a", "b", "tie", "unsure")] == [1, -1, 0, None]
    assert [value_of(pick, first=False) for pick in ("a", "b")] == [-1, 1]


@pytest.mark.parametrize(
    ("labels", "said"),
    [((), (-1, 1)), ((None,), (-1, 1)), ((0,), (0, 0)), ((1, -1), (-1, 1)), ((0, -1), (-1, 0)), ((1, 1, -1), (1, 1)), ((None, 1), (1, 1))],
)
def test_labels_without_a_majority_stay_unknown_between_their_extremes(labels: tuple[int | None, ...], said: tuple[int, int]) -> None:
    assert reading(labels) == said


def test_kappa_is_that_of_the_textbook_and_certainty_needs_many() -> None:
    first = [1] * 25 + [0] * 25
    second = [1] * 20 + [0] * 5 + [1] * 10 + [0] * 15
    found = kappa(first, second)
    assert found is not None
    assert found.value == pytest.approx(0.4)  # agreement .70 against .50 by chance
    assert found.interval.low < 0.4 < found.interval.high
    whole = kappa([1, 0] * 10, [1, 0] * 10)
    assert whole is not None
    assert whole.value == 1
    assert 0.6 < whole.interval.low < 1
    assert kappa([0, 0], [0, 0]).value is None  # type: ignore[union-attr]
    assert kappa([], []) is None


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    [(45, 50, 0.7863976856, 0.9565242351), (10, 10, 0.7224672001, 1.0), (0, 10, 0.0, 0.2775327999), (3, 40, 0.0258360256, 0.1986423352)],
)
def test_the_interval_of_a_share_is_wilsons(hits: int, n: int, low: float, high: float) -> None:
    """Against statsmodels, proportion_confint(method="wilson"); the interval of kappa is made of it."""
    assert wilson(hits, n, NORMAL.inv_cdf(0.975)) == pytest.approx((low, high), abs=1e-9)


def test_a_pair_with_labels_reads_back_as_it_was(plan_of: PlanOf, pairs_of: PairsOf) -> None:
    pair = replace(pairs_of(plan_of(), [0] * 300)[0], labels=(1, None), longer=-1, canary=False, judge=1)
    assert Pair.parse(pair.document()) == pair
    bare = pairs_of(plan_of(), [0] * 300)[0].document()
    assert not {"labels", "longer", "canary"} & set(bare)


def test_free_text_without_people_stays_open_and_says_what_would_settle_it(plan_of: PlanOf, pairs_of: PairsOf) -> None:
    plan = plan_of(n=600, margin="0.05", judge=JUDGE)
    rows = judged(differing_pairs(plan, pairs_of, worse=0.0, better=0.0), 1.0, 1)
    found = verdict(plan, [pair for pair, _ in rows])
    assert found["verdict"] == "inconclusive"
    assert found["still_needed"]["labels"]["missing"] == 100
    assert "labels of people on 100 of them" in found["sentence"]


def test_a_random_part_labelled_by_people_decides_and_part_of_it_does_not(plan_of: PlanOf, pairs_of: PairsOf) -> None:
    plan = plan_of(n=600, margin="0.05", judge=JUDGE)
    rows = judged(differing_pairs(plan, pairs_of, worse=0.02, better=0.02), 0.95, 1)
    almost = verdict(plan, labelled(plan, rows, 99))
    assert (almost["verdict"], almost["still_needed"]["labels"]["missing"]) == ("inconclusive", 1)
    assert almost["people"]["correction"] is None
    whole = labelled(plan, rows, 100)
    found = verdict(plan, whole)
    assert (found["verdict"], found["decided_by"]) == ("pass", "final_test")
    assert found["people"]["correction"]["method"] == "prediction_powered"
    assert "judge_uncalibrated" not in found["limitations"]
    body = b"".join(canonical_json(pair.document()) + b"\n" for pair in whole)
    assert rederive(plan.canonical, body) == canonical_json(found)
    assert found["judge"]["agreement"]["n"] == 100


def test_labels_that_show_harm_fail_the_candidate_though_answers_nobody_read_are_left(plan_of: PlanOf, pairs_of: PairsOf) -> None:
    plan = plan_of(n=400, margin="0.05")
    rows = differing_pairs(plan, pairs_of, share=0.5, worse=0.6, better=0.04)
    almost = verdict(plan, labelled(plan, rows, 99))
    assert almost["verdict"] == "inconclusive"
    whole = labelled(plan, rows, 100)
    found = verdict(plan, whole)
    assert (found["verdict"], found["decided_by"]) == ("fail", "labels")
    assert "did worse than allowed: quality -" in found["sentence"]
    assert "by 100 answers that people read" in found["sentence"]
    quality = next(one for one in found["metrics"] if one["name"] == "quality")
    assert quality["status"] == "fail"
    assert float(quality["best_estimate"]) > 0  # what nobody read could still make good for it, but what people read is a random part
    unsure = [replace(pair, labels=(None,), quality=(-1, 1)) if pair.labels == (-1,) else pair for pair in whole]
    assert verdict(plan, unsure)["verdict"] == "inconclusive"


def test_what_stays_open_after_the_labels_is_told_by_their_interval(plan_of: PlanOf, pairs_of: PairsOf) -> None:
    plan = plan_of(n=400, margin="0.05")
    found = verdict(plan, labelled(plan, differing_pairs(plan, pairs_of, share=0.5, worse=0.2, better=0.1), 100))
    assert found["verdict"] == "inconclusive"
    assert "as long as nobody reads" not in found["sentence"]
    assert "by 100 answers that people read. The answers that the plan drew are labelled" in found["sentence"]
    assert "content_not_judged" not in found["limitations"]
    assert found["still_needed"]["labels_would_help"] is False


@pytest.mark.parametrize(("worse", "better", "labels"), [(0.3, 0.1, 100), (0.3, 0.1, 40), (0.2, 0.0, 60)])
def test_labels_fail_a_candidate_at_the_margin_as_seldom_as_stated(
    plan_of: PlanOf, pairs_of: PairsOf, worse: float, better: float, labels: int
) -> None:
    plan = plan_of(n=200, margin="0.1", metrics=("quality",), labels=labels)
    weights = [1.0] * plan.n
    failed = 0
    for seed in range(400):
        rows = differing_pairs(plan, pairs_of, share=0.5, worse=worse, better=better, seed=seed)
        found = corrected(plan.seed, labelled(plan, rows, labels), weights, 0.1, labels, judge=False, best=True)
        failed += found is not None and found.harm_p <= 0.05
    assert 4 <= failed <= 32  # 5 % of 400, give or take three standard errors


def test_a_judge_that_always_likes_the_candidate_does_not_carry_a_bad_one(plan_of: PlanOf, pairs_of: PairsOf) -> None:
    plan = plan_of(n=600, margin="0.05", judge=JUDGE)
    rows = judged(differing_pairs(plan, pairs_of, worse=0.5, better=0.0), 0.0, 1)
    found = verdict(plan, labelled(plan, rows, 100))
    assert found["verdict"] != "pass"
    assert float(found["people"]["correction"]["ci95"][1]) < -0.1
    assert found["judge"]["length"]["longer_preferred"] == "1.000000"


def test_a_judge_that_misses_known_bad_answers_counts_for_nothing(plan_of: PlanOf, pairs_of: PairsOf) -> None:
    plan = plan_of(n=600, margin="0.05", judge=JUDGE)
    rows = judged(differing_pairs(plan, pairs_of, worse=0.02, better=0.02), 0.95, 1)
    pairs = [replace(pair, canary=pair.position >= 2) if pair.position < 12 else pair for pair in labelled(plan, rows, 100)]
    found = verdict(plan, pairs)
    assert found["judge"]["discarded"] is True
    assert found["judge"]["canaries"] == {"n": 12, "caught": 10}
    assert "judge_discarded" in found["limitations"]
    assert found["people"]["correction"]["method"] == "labels_only"
    assert discarded([True] * 11 + [False]) is False
    assert [caught(*said) for said in ((-1, 1), (-1, -1), (0, 0), (1, 1))] == [True, False, False, False]
    assert len({planted(turn, "another answer") for turn in range(4)}) == 4
    assert planted(5, "x") == CONSTANT


@pytest.mark.parametrize(("judge", "best", "effect", "seed"), [(True, False, 1.0, 1), (True, True, 1.7, 2), (False, False, 1.3, 3)])
def test_the_corrected_estimate_is_the_textbooks(
    plan_of: PlanOf, pairs_of: PairsOf, judge: bool, best: bool, effect: float, seed: int
) -> None:
    """Written out over arrays: the judge's word everywhere, tuned by its regression on what people said, plus what it leaves over (Angelopoulos et al. 2023,
    PPI++), with the weighted influence of each pair and two labels more, one each way.
    """
    plan, margin = plan_of(), 0.03

    def shaped(pair: Pair) -> Pair:
        at = pair.position
        pair = replace(pair, quality=(at % 3 - 1,) * 2, equal="") if at % 11 == 0 else pair
        pair = replace(pair, state="excluded_content") if at % 13 == 0 else pair
        return replace(pair, judge=None) if at % 7 == 0 else pair

    rows = judged(differing_pairs(plan, pairs_of, seed=seed, worse=0.2, better=0.1), 0.6, seed)
    pairs = labelled(plan, [(shaped(pair), truth) for pair, truth in rows], 40)
    chosen = {pair.position for pair in pairs if pair.labels}
    weights = [0.4 + (pair.position * 7 % 10) / 5 for pair in pairs]
    found = corrected(plan.seed, pairs, weights, margin, 40, judge=judge, effect=effect, best=best)
    assert found is not None

    rows_done = [(pair, weight) for pair, weight in zip(pairs, weights, strict=True) if pair.state == "done"]
    w = np.array([weight for _, weight in rows_done])
    is_open = np.array([pair.equal == "no" for pair, _ in rows_done])
    read = np.array([pair.position in chosen for pair, _ in rows_done])
    opinion = np.array([float(pair.judge or 0) * judge for pair, _ in rows_done])
    truth = np.array([float(pair.labels[0]) if pair.labels else 0.0 for pair, _ in rows_done])  # type: ignore[arg-type]
    known = np.array([float(pair.quality[0]) for pair, _ in rows_done])
    v, centred = w[read], opinion[read] - np.average(opinion[read], weights=w[read])
    slope = (v * centred * (truth[read] - np.average(truth[read], weights=v))).sum() / ((v * centred**2).sum() or 1.0)
    trust = min(max(slope, 0.0), 1.0)
    rest = np.average(truth[read] - trust * opinion[read], weights=v)
    value = np.where(is_open, trust * opinion + rest, known)
    estimate = np.average(value, weights=w)
    share = v.sum() / w[is_open].sum()
    extra = np.where(read, truth - trust * opinion - rest, 0.0) / share
    influence = w / w.sum() * (value - estimate + extra)
    unseen = (1 - share) * 2 * (w[is_open].sum() / w.sum() / (read.sum() + 2)) ** 2
    error = math.sqrt(effect * ((influence**2).sum() + unseen))
    freedom = int(read.sum()) - 1
    half = student_quantile(0.975, freedom) * error
    assert (found.labelled, found.differing) == (40, is_open.sum())
    assert found.judged == (
        sum(pair.judge is not None for (pair, _), unread in zip(rows_done, is_open, strict=True) if unread) if judge else 0
    )
    assert (found.trust, found.estimate, found.error) == pytest.approx((trust, estimate, error), rel=1e-9)
    assert (found.interval.low, found.interval.high) == pytest.approx((estimate - half, estimate + half), rel=1e-9)
    at = (estimate + margin) / error
    upper = 1 - student_cdf(at, freedom) if at > 0 else student_cdf(-at, freedom)
    assert (found.p, found.harm_p) == pytest.approx((upper, 1 - upper), abs=1e-12)
    assert (0 < found.trust < 1) is judge


def test_labels_count_from_thirty_on_and_where_some_answers_are_left(plan_of: PlanOf, pairs_of: PairsOf) -> None:
    plan = plan_of()
    rows = differing_pairs(plan, pairs_of)
    differing = sum(pair.equal == "no" for pair, _ in rows)
    ones = [1.0] * plan.n

    def found(count: int) -> Any:
        return corrected(plan.seed, labelled(plan, rows, count), ones, 0.03, count, judge=False)

    assert [found(29), found(differing)] == [None, None], "too few, or all of them: then the counts are known"
    assert (found(30).labelled, found(differing - 1).labelled) == (30, differing - 1)
    assert found(0) is None


@pytest.mark.parametrize("right", [0.95, 0.7, 0.0])
def test_the_interval_covers_the_truth_however_wrong_the_judge_is(plan_of: PlanOf, pairs_of: PairsOf, right: float) -> None:
    """A fresh sample each time; the judge alone is far off where it is seldom right, and people narrow it."""
    plan = plan_of(n=500, judge=JUDGE)
    truth = 0.4 * (0.05 - 0.15)
    runs = 120
    inside, alone, widths, without = 0, 0, [], []
    for seed in range(runs):
        drawn_plan = replace(plan, seed=f"s{seed}")
        rows = judged(differing_pairs(drawn_plan, pairs_of, seed=seed, worse=0.15, better=0.05), right, seed + 10_000)
        pairs = labelled(drawn_plan, rows, 100)
        weights = [1.0] * len(pairs)
        found = corrected(drawn_plan.seed, pairs, weights, 0.03, 100, judge=True)
        people = corrected(drawn_plan.seed, pairs, weights, 0.03, 100, judge=False)
        assert found is not None
        assert people is not None
        inside += found.interval.low <= truth <= found.interval.high
        widths.append(found.error)
        without.append(people.error)
        alone += abs(mean([float(pair.judge or 0) for pair, _ in rows]) - truth) < 0.035
    assert inside / runs >= 0.9
    assert mean(widths) < mean(without) * 1.01
    if right < 0.9:
        assert alone / runs < 0.5
    else:
        assert mean(widths) < 0.85 * mean(without)


def test_what_is_said_of_labels_and_of_the_judges_taste_for_length_is_counted(plan_of: PlanOf, pairs_of: PairsOf) -> None:
    plan = plan_of(n=300, margin="0.05", judge=JUDGE, labels=30)
    said = [(1, 1), (1, 1), (-1, 1), (1, -1), (-1, -1), (0, -1)]  # (judge, longer): three of five choices took the longer answer
    labels: list[tuple[int | None, ...]] = [(None,), (1, None), (0,), (-1, -1), (1, 0), ()]
    known = [replace(pair, equal="answer") for pair in pairs_of(plan, [0] * plan.n)]
    for at, ((judge, longer), told) in enumerate(zip(said, labels, strict=True)):
        known[at] = replace(known[at], quality=reading(told), equal="no", judge=judge, longer=longer, labels=told)
    found = verdict(plan, known)
    length = found["judge"]["length"]
    assert (length["n"], length["longer_preferred"]) == (5, "0.600000")
    assert (length["estimate_candidate_longer"], length["estimate_candidate_shorter"]) == ("0.333333", "0.000000")
    people = found["people"]
    assert (people["pairs"], people["labels"], people["unsure"], people["differing"]) == (5, 8, 2, 6)
    assert people["reviewers_agree"]["n"] == 2


def test_an_answer_that_is_better_does_not_make_up_for_another_in_the_certificate(plan_of: PlanOf, pairs_of: PairsOf) -> None:
    """A program that reads the answer is not served by a better one elsewhere: the bound is on how often answers are lost."""
    plan = plan_of(n=300, margin="0.05")
    found = verdict(plan, pairs_of(plan, [-1, 1, *[0] * 23] * 12))["agreement"]
    assert found["disagreement"] == "0.040000"
    assert found["certified"] is False
