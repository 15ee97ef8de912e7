"""Intervals and tests, against enumeration, hand calculation and simulation."""

import itertools

import numpy as np
import pytest

from losslab import statistics


def counts(seeds: int, images: int, skill: float, rng: np.random.Generator) -> np.ndarray:
    """Counts `[S, N, 1, 4]` of predictions that hit each of 100 true pixels with probability about `skill`."""
    ability = np.clip(skill + rng.normal(0, 0.02, (seeds, 1)) + rng.normal(0, 0.1, (1, images)), 0.01, 0.99)
    tp = rng.binomial(100, ability)
    fp = rng.binomial(100, 1 - ability)
    return np.stack([tp, fp, 100 - tp, 900 - fp], axis=-1)[:, :, None]


def test_the_estimate_is_the_mean_over_seeds() -> None:
    table = counts(3, 20, 0.8, np.random.default_rng(0))
    tp, fp, fn, _ = table.sum(axis=1)[:, 0].T
    expected = np.mean(tp / (tp + fp + fn))
    draws = statistics.Resampler([0, 1, 2], 20, 100, 0).draws(table, "miou")
    assert draws[0] == pytest.approx(expected)
    assert draws[0] == pytest.approx(statistics.seed_values(table, "miou").mean())
    assert draws.shape == (101,)


def test_classes_that_are_absent_are_left_out_and_false_ones_score_zero() -> None:
    #                 tp fp fn tn
    table = np.array([[[[4, 0, 0, 5], [0, 0, 0, 9]], [[0, 3, 0, 6], [2, 0, 2, 5]]]])  # 1 seed, 2 images, 2 classes
    assert statistics.seed_values(table, "image_dice")[0] == pytest.approx((1 + (0 + 4 / 6) / 2) / 2)
    assert statistics.seed_values(table, "miou")[0] == pytest.approx((4 / 7 + 2 / 4) / 2)
    assert statistics.seed_values(table, "dice")[0] == pytest.approx((8 / 11 + 4 / 6) / 2)


def test_intervals_cover_the_true_mean() -> None:
    rng = np.random.default_rng(1)
    truth = statistics.seed_values(counts(2000, 200, 0.8, rng), "miou").mean()
    covered = 0
    for trial in range(100):
        draws = statistics.Resampler(range(8), 60, 200, trial).draws(counts(8, 60, 0.8, rng), "miou")
        low, high = statistics.interval(draws[1:], 0.95)
        covered += low <= truth <= high
    assert 88 <= covered <= 100


def test_sign_flips_are_enumerated() -> None:
    differences = np.random.default_rng(2).normal(0.5, 1, 7)
    means = [np.mean(differences * signs) for signs in itertools.product([1, -1], repeat=7)]
    expected = np.mean(np.abs(means) >= abs(differences.mean()) - 1e-12)
    assert statistics.sign_flip_p(differences) == pytest.approx(expected)
    assert statistics.sign_flip_p(np.array([0.1, 0.2, 0.3, 0.1, 0.2, 0.4])) == pytest.approx(2 / 2**6)
    assert statistics.sign_flip_p(np.array([0.1])) == 1
    assert statistics.sign_flip_p(np.zeros(8)) == 1


def test_holm_by_hand() -> None:
    assert statistics.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert statistics.holm([0.6, 0.5]) == [1.0, 1.0]
    assert statistics.holm([]) == []
