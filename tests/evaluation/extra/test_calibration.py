"""Calibration error and Brier score against torchmetrics, scikit-learn and hand calculation."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import brier_score_loss
from torch import Tensor

from losslab.errors import InputError
from losslab.evaluation.extra.calibration import BINS
from losslab.evaluation.extra.measuring import measure
from losslab.evaluation.scoring import of_masks
from losslab.results import scores


def of(probabilities: Tensor, target: Tensor) -> dict[str, float]:
    """Every metric at the threshold 0.5, calibration among them."""
    return of_masks(probabilities >= 0.5, target, metrics=["calibration"], probabilities=probabilities)


def measured(probabilities: Tensor, target: Tensor) -> NDArray[np.float64]:
    """What the metrics are made of, `[N, C, 16]`."""
    return measure(["calibration"], probabilities[None] >= 0.5, target, probabilities)["calibration"][0]


def random(seed: int, power: float = 1.0) -> tuple[Tensor, Tensor]:
    """Probabilities below 1, and a truth that they are more or less right about, some of it unknown."""
    generator = torch.Generator().manual_seed(seed)
    probabilities = torch.rand((3, 2, 9, 11), generator=generator) * 0.999
    target = (torch.rand(probabilities.shape, generator=generator) < probabilities**power).to(torch.uint8)
    return probabilities, target.masked_fill(torch.rand(target.shape, generator=generator) < 0.2, 255)


@given(st.integers(0, 2**20), st.floats(0.2, 5))
@settings(max_examples=40, deadline=None)
def test_each_class_is_judged_as_torchmetrics_and_scikit_learn_judge_it(seed: int, power: float) -> None:
    from torchmetrics.functional.classification import binary_calibration_error

    probabilities, target = random(seed, power)
    errors, squares = [], []
    for likely, truth in zip(probabilities.unbind(1), target.int().unbind(1), strict=True):
        if (truth == 1).any():
            errors.append(float(binary_calibration_error(likely, truth, n_bins=BINS, ignore_index=255)))
            known = truth != 255
            squares.append(brier_score_loss(truth[known].numpy(), likely[known].numpy()))
    ours = of(probabilities, target)
    assert ours["ece"] == pytest.approx(np.mean(errors), abs=1e-6)
    assert ours["brier"] == pytest.approx(np.mean(squares), rel=1e-6)


def test_by_hand() -> None:
    probabilities = torch.tensor([0.2, 0.2, 0.2, 0.2, 0.9, 0.9, 1.0, 0.0]).view(1, 1, 2, 4)
    target = torch.tensor([1, 0, 0, 255, 1, 0, 1, 0]).view(1, 1, 2, 4)
    ours = of(probabilities, target)
    # Three of 0.2 of which one is true; two of 0.9 of which one is; 1 and 0 are right.
    assert ours["ece"] == pytest.approx((abs(0.6 - 1) + abs(1.8 - 1)) / 7)
    assert ours["brier"] == pytest.approx((0.64 + 2 * 0.04 + 0.01 + 0.81) / 7)


def test_a_certain_and_right_prediction_has_no_error_and_a_certain_and_wrong_one_has_all() -> None:
    target = torch.zeros(1, 1, 4, 4)
    target[..., :2] = 1
    assert {of(target, target)[name] for name in ("ece", "brier")} == {0}
    assert {of(1 - target, target)[name] for name in ("ece", "brier")} == {1}


def test_gaps_and_squares_of_images_add_up() -> None:
    probabilities, target = random(4)
    whole = measured(probabilities, target)
    joined = [each.movedim(0, 2).flatten(2, 3)[None] for each in (probabilities, target)]  # one image of all three
    one = measured(joined[0], joined[1])
    assert whole.shape == (3, 2, len(scores.EXTRAS["calibration"])) == (3, 2, BINS + 1)
    np.testing.assert_allclose(whole.sum(0), one[0], rtol=1e-12)


def test_a_probability_that_is_no_number_counts_as_zero() -> None:
    probabilities, target = torch.full((1, 1, 1, 2), torch.nan), torch.ones(1, 1, 1, 2)
    assert measured(probabilities, target)[0, 0, -1] == 2


def test_without_probabilities_there_is_no_calibration() -> None:
    target = torch.zeros(1, 1, 2, 2)
    with pytest.raises(InputError, match="'calibration' is of probabilities: give them beside the decisions"):
        of_masks(target == 1, target, metrics=["calibration"])
