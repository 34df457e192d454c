"""Any-time evidence: it may be looked at after every block and is still wrong as rarely as promised."""

import numpy as np
import pytest

from governor.shadow.betting import anytime_interval, harm_wealth, noninferiority_wealth


def stream(rng: np.random.Generator, n: int, difference: float, discordance: float) -> list[int]:
    up = (discordance + difference) / 2
    dice = rng.random(n)
    return [1 if x < up else -1 if x < discordance else 0 for x in dice]


@pytest.mark.parametrize("discordance", [0.04, 0.12, 0.3])
def test_a_candidate_at_the_margin_is_rarely_approved_however_often_one_looks(discordance: float) -> None:
    rng = np.random.default_rng(5)
    crossed = [noninferiority_wealth(stream(rng, 1200, -0.03, discordance), [1.0] * 1200, 0.03, 1.0, 4).max() >= 20 for _ in range(300)]
    assert np.mean(crossed) <= 0.05


def test_a_candidate_at_the_margin_is_rarely_failed() -> None:
    rng = np.random.default_rng(6)
    crossed = [harm_wealth(stream(rng, 1200, -0.03, 0.15), [1.0] * 1200, 0.03, 1.0, 4).max() >= 20 for _ in range(300)]
    assert np.mean(crossed) <= 0.05


def test_weights_keep_the_error() -> None:
    """Heavy traces lose, light ones win: the weighted mean is at the margin although the plain mean is far worse."""
    rng = np.random.default_rng(7)
    crossed = 0
    for _ in range(300):
        heavy = rng.random(1200) < 0.5
        w = np.where(heavy, 0.4, 1.6)
        d = np.where(rng.random(1200) < np.where(heavy, 0.15, 0.0), -1, 0)  # E[w d] = -0.03
        crossed += noninferiority_wealth(list(d), list(w), 0.03, 1.6, 4).max() >= 20
    assert crossed / 300 <= 0.05


def test_blocks_whose_strata_differ_keep_the_error() -> None:
    """One stratum of four carries all the loss; the mean over a block is at the margin."""
    rng = np.random.default_rng(8)
    crossed = 0
    for _ in range(300):
        d = np.zeros(1200, dtype=int)
        d[::4] = np.where(rng.random(300) < 0.12, -1, 0)
        crossed += noninferiority_wealth(list(d), [1.0] * 1200, 0.03, 1.0, 4).max() >= 20
    assert crossed / 300 <= 0.05


def test_a_good_candidate_is_found_good_and_a_bad_one_bad() -> None:
    rng = np.random.default_rng(9)
    good = [noninferiority_wealth(stream(rng, 1500, 0.0, 0.05), [1.0] * 1500, 0.03, 1.0, 4).max() >= 100 for _ in range(100)]
    bad = [harm_wealth(stream(rng, 600, -0.2, 0.25), [1.0] * 600, 0.03, 1.0, 4).max() >= 160 for _ in range(100)]
    assert np.mean(good) >= 0.85
    assert np.mean(bad) == 1


def test_the_confidence_sequence_holds_and_shrinks() -> None:
    rng = np.random.default_rng(10)
    misses = 0
    for _ in range(60):
        low, high = anytime_interval(stream(rng, 600, -0.02, 0.2), [1.0] * 600, 1.0, 4)
        misses += not low <= -0.02 <= high
    assert misses <= 4
    wide, narrow = (anytime_interval([0] * n, [1.0] * n, 1.0, 4) for n in (100, 2000))
    assert narrow[1] - narrow[0] < wide[1] - wide[0]


def test_nothing_is_known_before_the_first_block() -> None:
    assert anytime_interval([0, 0, 0], [1.0] * 3, 1.0, 4) == (-1.0, 1.0)
    assert not len(noninferiority_wealth([0, 0, 0], [1.0] * 3, 0.03, 1.0, 4))


def plain_wealth(increments: list[float], worst: float, target: float, prior: float, block: int) -> list[float]:
    """The same bettor written out: eight fixed bets and one that learns, each with its own purse."""
    fractions = (0.02, 0.04, 0.08, 0.15, 0.25, 0.4, 0.6, 0.85)
    bets = [fraction / -worst for fraction in fractions]
    purses, moving, squares = [1.0] * len(bets), 1.0, 0.0
    path = []
    for start in range(0, len(increments) // block * block, block):
        bet = min(target / ((squares + 10 * prior) / (start + 10)), 0.85 / -worst)
        for x in increments[start : start + block]:
            purses = [purse * (1 + one * x) for purse, one in zip(purses, bets, strict=True)]
            moving *= 1 + bet * x
            squares += x * x
        path.append(sum(purses) / 16 + moving / 2)
    return path


@pytest.mark.parametrize("margin", [0.03, 0.1, 0.5])
def test_wealth_and_interval_are_those_of_the_bettor_written_out(margin: float) -> None:
    dice = np.random.default_rng(7)
    d = [int(value) for value in dice.choice([-1, 0, 1], p=[0.2, 0.7, 0.1], size=122)]
    w = [float(value) for value in dice.uniform(0.3, 2.0, size=122)]
    prior = (0.1 + margin * margin) / 2
    gains = plain_wealth([weight * (x + margin) / 2 for x, weight in zip(d, w, strict=True)], margin - 1, margin / 2, prior, 4)
    losses = plain_wealth(
        [-weight * (x + margin) / 2 for x, weight in zip(d, w, strict=True)], -1 - margin, max(margin, 0.05) / 2, prior, 4
    )
    assert noninferiority_wealth(d, w, margin, 2.0, 4) == pytest.approx(gains)
    assert harm_wealth(d, w, margin, 2.0, 4) == pytest.approx(losses)

    def refuted(mean: float, sign: int) -> bool:
        path = plain_wealth(
            [sign * weight * (x - mean) / 2 for x, weight in zip(d, w, strict=True)], -1 - sign * mean, 0.025, 0.1025 / 2, 4
        )
        return max(path) >= 40

    grid = [step / 200 for step in range(-199, 200)]
    low, high = anytime_interval(d, w, 2.0, 4)
    assert low == pytest.approx(max(mean for mean in [-1.0, *grid] if mean == -1 or refuted(mean, 1)), abs=0.0051)
    assert high == pytest.approx(min(mean for mean in [*grid, 1.0] if mean == 1 or refuted(mean, -1)), abs=0.0051)
