"""Sums and means over classes and images, by hand."""

import numpy as np
import pytest

from losslab.data import tensors
from losslab.evaluation import aggregates
from losslab.evaluation.aggregates import Counts, Draws, Floats, unweighted
from losslab.evaluation.metrics import METRICS, compute

OF_BOUNDARIES = {"boundary_f", "hd95"}
OF_BACKGROUND = {"miou_foreground", "dice_foreground"}
EXTRA = {"cl_dice", "component_recall", "component_precision", "betti_0", "betti_1", "ece", "brier"}


def test_background_is_what_the_tensors_call_so() -> None:
    assert aggregates.BACKGROUND == tensors.BACKGROUND


def computed(counts: Counts) -> dict[str, Floats]:
    """Every metric of counts `[S, N, C, 4]`, with no boundary anywhere."""
    return compute(Draws(counts, np.full((*counts.shape[:3], 5), np.nan), unweighted))


def test_classes_that_are_absent_are_left_out_and_false_ones_score_zero() -> None:
    #                 tp fp fn tn
    table = np.array([[[[4, 0, 0, 5], [0, 0, 0, 9]], [[0, 3, 0, 6], [2, 0, 2, 5]]]])  # 1 seed, 2 images, 2 classes
    values = {metric: of_it[0, 0] for metric, of_it in computed(table).items() if metric not in OF_BOUNDARIES}
    assert values == pytest.approx({
        "image_dice": (1 + (0 + 4 / 6) / 2) / 2,
        "miou": (4 / 7 + 2 / 4) / 2,
        "dice": (8 / 11 + 4 / 6) / 2,
        "precision": (4 / 7 + 1) / 2,
        "recall": (1 + 2 / 4) / 2,
        "pixel_accuracy": 31 / 36,
    })  # fmt: skip
    assert values.keys() | OF_BOUNDARIES | OF_BACKGROUND | EXTRA == METRICS.keys()
    never_there = np.array([[[[0, 1, 0, 8], [1, 0, 0, 8]]]])
    assert computed(never_there)["miou"] == 1, "a class that the truth lacks is left out"
    assert np.isnan(computed(never_there[:, :, :1])["miou"]).all()


def test_boundary_metrics_are_means_over_classes_then_images() -> None:
    #                     predicted near true near hd95
    values = np.array([[[[4, 2, 4, 2, 3.0], [0, 0, 5, 0, 9.0]], [[8, 8, 8, 8, 0.0], [0, 0, 0, 0, np.nan]]]])
    counts = np.zeros((*values.shape[:3], 4), np.int64)
    means = compute(Draws(counts, values, unweighted))
    assert means["boundary_f"] == pytest.approx(((0.5 + 0) / 2 + 1) / 2)
    assert means["hd95"] == pytest.approx(((3 + 9) / 2 + 0) / 2)
    assert np.isnan(compute(Draws(counts[:, 1:, 1:], values[:, 1:, 1:], unweighted))["hd95"]).all()


def test_components_are_pooled_and_their_numbers_compared_within_images() -> None:
    counts = np.zeros((1, 2, 3, 4), np.int64)
    counts[..., 2] = 5  # every class is in the truth
    extras = {
        #              predicted right true hit
        "components": [[[4, 2, 2, 1], [0, 0, 1, 0], [9, 0, 9, 0]], [[4, 4, 2, 2], [0, 0, 1, 0], [9, 0, 9, 0]]],
        #         components holes, predicted and true
        "betti": [[[3, 1, 1, 1], [0, 0, 0, 0], [9, 9, 0, 0]], [[1, 0, 1, 3], [0, 0, 2, 0], [9, 9, 0, 0]]],
    }
    tables = {name: np.array([values], np.float64) for name, values in extras.items()}
    draws = Draws(counts, np.full((1, 2, 3, 5), np.nan), unweighted, ("a", "b", "background"), extras=tables)
    values = {name: value.item() for name, value in compute(draws).items()}
    assert values["component_recall"] == pytest.approx((3 / 4 + 0) / 2)
    assert values["component_precision"] == pytest.approx((6 / 8 + 0) / 2)
    assert values["betti_0"] == pytest.approx((2 + (0 + 2) / 2) / 2), "what is in neither mask is left out"
    assert values["betti_1"] == pytest.approx((0 + (3 + 0) / 2) / 2)
