"""The model of few seeds, against what it must give, and calibrated by simulation."""

import numpy as np
import pytest

from losslab.comparison import chances

SEEDS = np.array([0.01, -0.01, 0.0])


def test_equal_losses_have_equal_chances_and_a_seeds_part_says_nothing() -> None:
    noise = np.array([[1, -1, 0], [0, 1, -1], [-1, 0, 1]]) * 0.002
    drawn = chances.draws(0.8 + noise + 3 * SEEDS, 4000, 0)
    assert chances.best(drawn) == pytest.approx([1 / 3] * 3, abs=0.03)
    assert chances.regret(drawn) == pytest.approx([0.001] * 3, abs=0.0008)


def test_a_loss_far_ahead_is_best_and_costs_nothing() -> None:
    drawn = chances.draws(np.array([[0.9], [0.7]]) + SEEDS + np.array([[0.0], [0.001]]) * [1, -1, 0], 2000, 0)
    assert chances.best(drawn).tolist() == pytest.approx([chances.SUREST, 1 - chances.SUREST]), "no more than is known"
    assert chances.regret(drawn) == pytest.approx([0, 0.2], abs=0.01)
    assert chances.costs(drawn, 0) == pytest.approx([0, 0], abs=0.001)
    assert chances.costs(drawn, 1) == pytest.approx([0.2, 0], abs=0.01)


def test_a_loss_whose_seeds_vary_has_more_chance_than_one_that_is_steady_and_behind() -> None:
    noise = np.random.default_rng(0).normal(size=(3, 8))
    noise -= noise.mean(axis=1, keepdims=True)
    drawn = chances.draws(np.array([[0.80], [0.78], [0.78]]) + noise * [[0.003], [0.003], [0.03]], 4000, 0)
    behind = drawn[:, :1] - drawn
    assert behind[:, 2].std() > 1.5 * behind[:, 1].std()
    best = np.mean(drawn == drawn.max(axis=1, keepdims=True), axis=0)
    assert best[2] > best[1]


def test_losses_with_fewer_seeds_are_compared_over_those_they_have() -> None:
    rng = np.random.default_rng(0)
    scores = np.array([[0.80], [0.79]]) + rng.normal(0, 0.05, 12) + rng.normal(0, 0.001, (2, 12))
    scores[1, 3:] = np.nan
    drawn = chances.draws(scores, 2000, 0)
    gap = drawn[:, 0] - drawn[:, 1]
    assert gap.mean() == pytest.approx(0.01, abs=0.003), "the seeds that only one has say nothing of the difference"


def test_chances_and_regret_are_calibrated_with_three_seeds() -> None:
    """Where a chance of 0.9 or more is given it is right as often, and choices cost no more than is expected."""
    rng = np.random.default_rng(1)
    sure, right, expected, paid, written_off, trials = 0, 0, 0.0, 0.0, 0, 400
    for trial in range(trials):
        truth = rng.normal(0, rng.choice([0.003, 0.01, 0.03]), 4)
        deviations = rng.choice([0.003, 0.01]) * np.exp(0.4 * rng.normal(size=(4, 1)))
        scores = 0.8 + truth[:, None] + rng.normal(0, 0.01, 3) + rng.normal(size=(4, 3)) * deviations
        drawn = chances.draws(scores, 200, trial)
        pick = scores.mean(axis=1).argmax()
        chance = np.mean(drawn == drawn.max(axis=1, keepdims=True), axis=0)
        if chance[pick] >= chances.SUREST:
            sure, right = sure + 1, right + (pick == truth.argmax())
        written_off += chance[truth.argmax()] < 0.01
        expected, paid = expected + chances.regret(drawn)[pick], paid + truth.max() - truth[pick]
    assert sure > trials / 6
    assert right / sure >= 0.9, "the audit found 0.70 to 0.85"
    assert written_off / trials <= 0.02, "the audit found 0.05 to 0.09"
    assert paid <= 1.1 * expected
