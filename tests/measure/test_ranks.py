"""Rank correlation and permutation tests, on series whose answer is known."""

import numpy as np
import pytest

from steering.measure.ranks import permutation_p, separation, shuffled_spearman, spearman

RISING = [1.0, 2.0, 3.0, 4.0]


def test_any_rising_series_correlates_fully() -> None:
    assert spearman(RISING, [1.0, 10.0, 100.0, 1_000.0]) == pytest.approx(1)
    assert spearman(RISING, RISING[::-1]) == pytest.approx(-1)


def test_equal_values_share_their_mean_rank() -> None:
    # Ranks 1, 2.5, 2.5, 4 against 1, 2, 3, 4.
    assert spearman([1.0, 2.0, 2.0, 3.0], RISING) == pytest.approx(0.9487, abs=1e-4)


def test_a_constant_series_correlates_with_nothing() -> None:
    assert spearman([1.0, 1.0, 1.0], RISING[:3]) == 0


@pytest.mark.parametrize(("one", "other"), [([1.0], [1.0]), ([1.0, 2.0], [1.0])])
def test_what_cannot_be_correlated_is_refused(one: list[float], other: list[float]) -> None:
    with pytest.raises(ValueError, match="no pairs"):
        spearman(one, other)


def test_shuffles_stay_below_a_real_correlation_and_are_seeded() -> None:
    rising = [float(at) for at in range(30)]
    chance = shuffled_spearman(rising, rising, seed=1, times=200)
    assert 0 < chance < 0.6
    assert chance == shuffled_spearman(rising, rising, seed=1, times=200)


def test_two_clusters_lie_apart_and_a_random_split_does_not() -> None:
    rng = np.random.default_rng(0)
    centres = np.repeat([[3.0, 0.0], [0.0, 3.0]], 8, axis=0)
    points = centres + rng.normal(size=(16, 2)) * 0.3
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    similarity = points @ points.T
    side = np.arange(16) < 8
    assert separation(similarity, side) > 0.5
    assert permutation_p(similarity, side, seed=0, times=500) < 0.01
    mixed = np.arange(16) % 2 == 0
    assert permutation_p(similarity, mixed, seed=0, times=500) > 0.1
