"""Draws and intervals, against hand calculation, another library and simulation."""

import numpy as np
import pytest
from simulated_runs import Simulation, miou, with_rare_classes

from losslab.comparison import resampling
from losslab.comparison.resampling import Resampler
from losslab.evaluation.aggregates import Counts, unweighted

TRIALS = 250


def test_the_estimate_is_the_mean_over_seeds_and_drawing_is_weighing() -> None:
    table = Simulation(seeds=3, images=20).counts(np.random.default_rng(0))[0]
    tp, fp, fn, _ = table.sum(axis=1)[:, 0].T
    resampler = Resampler(20, 300, 0)
    values = miou(table, resampler.sums)
    assert values.shape == (301, 3)
    assert values[0] == pytest.approx(tp / (tp + fp + fn))
    assert values[0] == pytest.approx(miou(table, unweighted)[0])
    weights = resampler.image_weights[271]
    assert weights.sum() == 20
    assert values[271] == pytest.approx(miou(np.repeat(table, weights, axis=1), unweighted)[0])


def test_an_interval_of_seeds_alone_is_students() -> None:
    from scipy.stats import t

    seeds = np.array([0.70, 0.74, 0.69])
    values = np.tile(seeds, (2001, 1))  # as if every draw of images gave the same
    low, high = Resampler(5, 2000, 0).interval(values, 0.95)
    expected = t.interval(0.95, 2, seeds.mean(), seeds.std(ddof=1) / 3**0.5)
    assert (low, high) == pytest.approx(expected, rel=0.02)
    assert Resampler(5, 2000, 0).interval(values[:, :1], 0.95) == pytest.approx((0.70, 0.70))
    assert np.isnan(Resampler(5, 2000, 0).interval(values * np.nan, 0.95)).all()


@pytest.mark.parametrize("seeds", [3, 8])
def test_intervals_hold_the_truth_as_often_as_they_say(seeds: int) -> None:
    case = Simulation(seeds=seeds, images=40, effects=(0.0, 0.02), own_seed=0.02)
    truth = case.truth()
    resampler = Resampler(case.images, 200, 0)
    held = np.zeros(2)
    for trial in range(TRIALS):
        one, other = (miou(table, resampler.sums) for table in case.counts(np.random.default_rng([trial, seeds])))
        for index, (values, wanted) in enumerate(((one, truth[0]), (other - one, truth[1] - truth[0]))):
            low, high = resampler.interval(values, 0.95)
            held[index] += low <= wanted <= high
    assert (held >= 0.92 * TRIALS).all(), "95 % less 2.4 standard errors"
    assert (held <= 0.99 * TRIALS).all(), "nor so wide that they say nothing"


@pytest.mark.parametrize("seeds", [1, 3, 8])
def test_an_interval_holds_its_own_estimate_where_classes_are_rare(seeds: int) -> None:
    """Of 20 classes 18 are in 5 % of 32 images: a draw of images loses those that it lacks, and the mean rises."""
    resampler = Resampler(32, 200, 0)
    for trial in range(20):
        (table,) = with_rare_classes(np.random.default_rng([trial, seeds]), seeds, images=32)
        values = miou(table, resampler.sums)
        low, high = resampler.interval(values, 0.95)
        assert 0.35 < (values[0].mean() - low) / (high - low) < 0.65


def test_an_interval_holds_the_truth_where_each_class_is_in_ten_images() -> None:
    images, held, trials = 200, 0, 120
    truth = miou(with_rare_classes(np.random.default_rng(0), 30, images=10_000)[0], unweighted).mean()
    resampler = Resampler(images, 200, 0)
    for trial in range(trials):
        (table,) = with_rare_classes(np.random.default_rng([trial, 1]), 3, images)
        low, high = resampler.interval(miou(table, resampler.sums), 0.95)
        held += low <= truth <= high
    assert held >= 0.88 * trials


def test_draws_take_memory_by_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    table: Counts = Simulation(seeds=2, images=30).counts(np.random.default_rng(0))[0]
    whole = Resampler(30, 100, 3).sums(table[0])
    monkeypatch.setattr(resampling, "_BLOCK", 7)
    again = Resampler(30, 100, 3)
    assert np.array_equal(again.image_weights.sum(axis=1), np.full(101, 30))
    assert again.sums(table[0]).shape == whole.shape
    assert np.array_equal(again.sums(table[0])[0], whole[0])
