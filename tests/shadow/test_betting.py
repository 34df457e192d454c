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
