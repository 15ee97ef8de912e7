"""Tests of differences, against enumeration, hand calculation, another library and simulation."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import permutation_test
from simulated_runs import SETTINGS, Simulation, comparison

from losslab.comparison import leaderboard, significance
from losslab.comparison.resampling import Resampler


def called(case: Simulation, trials: int, loss: str | None = None) -> float:
    """Share of simulated comparisons with a verdict of better or worse on a loss, or on any."""
    resampler = Resampler(case.images, 2, 0)
    verdicts = 0
    for trial in range(trials):
        compared = comparison(case.counts(np.random.default_rng([trial, 1])), resampler)
        rows = leaderboard.table(compared, "miou", "tuned", SETTINGS)
        verdicts += any(row.verdict in ("better", "worse") for row in rows if loss in (None, row.loss))
    return verdicts / trials


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
        assert significance.sign_flip_p(differences) == pytest.approx(theirs.pvalue)
    assert significance.sign_flip_p(np.array([0.1, 0.2, 0.3, 0.1, 0.2, 0.4])) == 2 / 2**6 == significance.smallest_p(6)
    assert significance.sign_flip_p(np.full(20, 0.1)) == pytest.approx(significance.smallest_p(20), abs=1e-4)
    assert 0.03 < significance.sign_flip_p(rng.normal(0.4, 1, 30)) < 0.5
    assert significance.sign_flip_p(np.array([0.1])) == 1 == significance.smallest_p(1)
    assert significance.sign_flip_p(np.zeros(8)) == 1


def test_holm_by_hand() -> None:
    assert significance.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert significance.holm([0.6, 0.5]) == [1.0, 1.0]
    assert significance.holm([]) == []


@pytest.mark.parametrize(
    ("comparisons", "confidence", "seeds"), [(1, 0.95, 6), (5, 0.95, 8), (1, 0.99, 8), (0, 0.95, 6), (4, 0.5, 4)]
)
def test_how_many_seeds_a_verdict_needs(comparisons: int, confidence: float, seeds: int) -> None:
    assert significance.seeds_needed(comparisons, confidence) == seeds
    level = 1 - confidence + 1e-12
    assert max(comparisons, 1) * significance.smallest_p(seeds) <= level < max(comparisons, 1) * 2 / 2 ** (seeds - 1)
