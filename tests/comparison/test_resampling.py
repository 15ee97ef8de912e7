"""Intervals and tests, against enumeration, hand calculation, other libraries and simulation."""

from dataclasses import replace

import numpy as np
import pytest
from losslab.comparison.statistics import Counts, Resampler, from_counts, unweighted
from scipy.stats import permutation_test
from simulated_runs import SETTINGS, Simulation, comparison

from losslab.comparison import leaderboard, statistics

TRIALS = 250


def test_the_estimate_is_the_mean_over_seeds_and_drawing_is_weighing() -> None:
    table = Simulation(seeds=3, images=20).counts(np.random.default_rng(0))[0]
    tp, fp, fn, _ = table.sum(axis=1)[:, 0].T
    resampler = Resampler(20, 300, 0)
    values = from_counts(table, resampler.sums)["miou"]
    assert values.shape == (301, 3)
    assert values[0] == pytest.approx(tp / (tp + fp + fn))
    assert values[0] == pytest.approx(from_counts(table, unweighted)["miou"][0])
    weights = resampler.image_weights[271]
    assert weights.sum() == 20
    assert values[271] == pytest.approx(from_counts(np.repeat(table, weights, axis=1), unweighted)["miou"][0])


def test_classes_that_are_absent_are_left_out_and_false_ones_score_zero() -> None:
    #                 tp fp fn tn
    table = np.array([[[[4, 0, 0, 5], [0, 0, 0, 9]], [[0, 3, 0, 6], [2, 0, 2, 5]]]])  # 1 seed, 2 images, 2 classes
    values = {metric: found[0, 0] for metric, found in from_counts(table, unweighted).items()}
    assert values == pytest.approx({
        "image_dice": (1 + (0 + 4 / 6) / 2) / 2,
        "miou": (4 / 7 + 2 / 4) / 2,
        "dice": (8 / 11 + 4 / 6) / 2,
        "precision": (4 / 7 + 1) / 2,
        "recall": (1 + 2 / 4) / 2,
        "pixel_accuracy": 31 / 36,
    })  # fmt: skip
    assert values.keys() == set(statistics.METRICS)
    never_there = np.array([[[[0, 1, 0, 8], [1, 0, 0, 8]]]])
    assert from_counts(never_there, unweighted)["miou"] == 1, "a class that the truth lacks is left out"
    assert np.isnan(from_counts(never_there[:, :, :1], unweighted)["miou"]).all()


def test_boundary_metrics_are_means_over_classes_then_images() -> None:
    #                     predicted near true near hd95
    values = np.array([[[[4, 2, 4, 2, 3.0], [0, 0, 5, 0, 9.0]], [[8, 8, 8, 8, 0.0], [0, 0, 0, 0, np.nan]]]])
    found = statistics.from_boundaries(values, unweighted)
    assert found["boundary_f"] == pytest.approx(((0.5 + 0) / 2 + 1) / 2)
    assert found["hd95"] == pytest.approx(((3 + 9) / 2 + 0) / 2)
    assert np.isnan(statistics.from_boundaries(values[:, 1:, 1:], unweighted)["hd95"]).all()


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
        one, other = (
            from_counts(table, resampler.sums)["miou"] for table in case.counts(np.random.default_rng([trial, seeds]))
        )
        for index, (values, wanted) in enumerate(((one, truth[0]), (other - one, truth[1] - truth[0]))):
            low, high = resampler.interval(values, 0.95)
            held[index] += low <= wanted <= high
    assert (held >= 0.92 * TRIALS).all(), "95 % less 2.4 standard errors"
    assert (held <= 0.99 * TRIALS).all(), "nor so wide that they say nothing"


def called(case: Simulation, trials: int, loss: str | None = None) -> float:
    """Share of simulated comparisons with a verdict of better or worse on a loss, or on any."""
    resampler = Resampler(case.images, 2, 0)
    found = 0
    for trial in range(trials):
        compared = comparison(case.counts(np.random.default_rng([trial, 1])), resampler)
        rows = leaderboard.table(compared, "miou", "tuned", SETTINGS)
        found += any(row.verdict in ("better", "worse") for row in rows if loss in (None, row.loss))
    return found / trials


def test_losses_that_are_alike_are_told_apart_in_at_most_5_percent_of_simulations() -> None:
    assert called(Simulation(seeds=8, images=20, effects=(0.0,) * 6), 1000) <= 0.05


def test_three_points_are_found_with_eight_seeds() -> None:
    case = Simulation(seeds=8, images=200, effects=(0.0, 0.0225, 0.0, 0.0, 0.0, 0.0), own_seed=0.003)
    truth = replace(case, effects=case.effects[:2]).truth()
    assert truth[1] - truth[0] == pytest.approx(0.03, abs=0.002)
    assert called(case, 60, "loss1") > 0.95
    assert called(replace(case, seeds=7), 5) == 0, "five comparisons need eight seeds"


def test_sign_flips_are_enumerated_as_scipy_does() -> None:
    rng = np.random.default_rng(2)
    for pairs in (2, 3, 7, 12):
        differences = rng.normal(0.5, 1, pairs)
        theirs = permutation_test(
            (differences,), np.mean, permutation_type="samples", n_resamples=9999, vectorized=True, axis=0
        )
        assert statistics.sign_flip_p(differences) == pytest.approx(theirs.pvalue)
    assert statistics.sign_flip_p(np.array([0.1, 0.2, 0.3, 0.1, 0.2, 0.4])) == 2 / 2**6 == statistics.smallest_p(6)
    assert statistics.sign_flip_p(np.full(20, 0.1)) == pytest.approx(statistics.smallest_p(20), abs=1e-4)
    assert 0.03 < statistics.sign_flip_p(rng.normal(0.4, 1, 30)) < 0.5
    assert statistics.sign_flip_p(np.array([0.1])) == 1 == statistics.smallest_p(1)
    assert statistics.sign_flip_p(np.zeros(8)) == 1


def test_holm_by_hand() -> None:
    assert statistics.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert statistics.holm([0.6, 0.5]) == [1.0, 1.0]
    assert statistics.holm([]) == []


@pytest.mark.parametrize(
    ("comparisons", "confidence", "seeds"), [(1, 0.95, 6), (5, 0.95, 8), (1, 0.99, 8), (0, 0.95, 6), (4, 0.5, 4)]
)
def test_how_many_seeds_a_verdict_needs(comparisons: int, confidence: float, seeds: int) -> None:
    assert statistics.seeds_needed(comparisons, confidence) == seeds
    level = 1 - confidence + 1e-12
    assert max(comparisons, 1) * statistics.smallest_p(seeds) <= level < max(comparisons, 1) * 2 / 2 ** (seeds - 1)


def test_the_chance_to_be_best() -> None:
    rng = np.random.default_rng(0)
    resampler = Resampler(10, 4000, 0)

    def values(*seeds: float) -> np.ndarray:
        return np.tile(seeds, (4001, 1)) + rng.normal(0, 1e-9, (4001, 1))

    alike = resampler.shares_of_best([values(0.1, 0.2, 0.3), values(0.3, 0.2, 0.1)])
    assert alike == pytest.approx([0.5, 0.5], abs=0.03)
    apart = resampler.shares_of_best([values(0.1, 0.2, 0.3), values(0.2, 0.31, 0.4)])
    assert apart[1] > 0.99, "seeds are paired: the second is better in each"
    assert resampler.shares_of_best([np.ones((4001, 2))] * 4) == pytest.approx([0.25] * 4)
    # One difference d of mean 1 and deviation s: P(t₂ > −√3 / s).
    from scipy.stats import t

    d = np.array([0.0, 1.0, 2.0])
    one = resampler.shares_of_best([values(0, 0, 0), values(*d)])
    assert one[1] == pytest.approx(t.cdf(3**0.5, 2), abs=0.02)


def test_draws_take_memory_by_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    table: Counts = Simulation(seeds=2, images=30).counts(np.random.default_rng(0))[0]
    whole = Resampler(30, 100, 3).sums(table[0])
    monkeypatch.setattr(statistics, "_BLOCK", 7)
    again = Resampler(30, 100, 3)
    assert np.array_equal(again.image_weights.sum(axis=1), np.full(101, 30))
    assert again.sums(table[0]).shape == whole.shape
    assert np.array_equal(again.sums(table[0])[0], whole[0])
