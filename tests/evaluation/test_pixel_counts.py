"""Counts, IoU and Dice against scikit-learn and torchmetrics, and the threshold curve against brute force."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix, f1_score, jaccard_score

from losslab.evaluation import formulas
from losslab.evaluation.pixel_counts import BINS, ThresholdCurve, pixel_counts

SIZES = st.tuples(*(st.integers(1, n) for n in (3, 3, 6, 6)))


def random(size: tuple[int, ...], seed: int, share: float) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    # Many values on the thresholds themselves, where ≥ and > differ.
    probabilities = torch.randint(0, BINS + 1, size, generator=generator) / BINS
    return probabilities, (torch.rand(size, generator=generator) < share).to(torch.uint8)


@given(SIZES, st.integers(0, 2**20), st.floats(0, 1))
@settings(max_examples=60, deadline=None)
def test_counts_are_those_of_scikit_learn(size: tuple[int, ...], seed: int, share: float) -> None:
    probabilities, target = random(size, seed, share)
    predicted = probabilities >= 0.5
    counts = pixel_counts(predicted, target)
    assert counts.sum(-1).unique().tolist() == [size[2] * size[3]]
    for n in range(size[0]):
        for c in range(size[1]):
            (tn, fp), (fn, tp) = confusion_matrix(
                target[n, c].flatten(), predicted[n, c].flatten().int(), labels=[0, 1]
            ).tolist()
            assert counts[n, c].tolist() == [tp, fp, fn, tn]


@given(SIZES, st.integers(0, 2**20), st.floats(0, 1))
@settings(max_examples=60, deadline=None)
def test_the_curve_equals_counting_at_each_threshold(size: tuple[int, ...], seed: int, share: float) -> None:
    probabilities, target = random(size, seed, share)
    curve = ThresholdCurve(size[1], torch.device("cpu"))
    for n in range(size[0]):
        curve.add(probabilities[n : n + 1], target[n : n + 1])
    for k in range(BINS + 1):
        tp, fp, fn, _ = pixel_counts(probabilities >= k / BINS, target).sum(0).double().unbind(-1)
        present = tp + fn > 0
        expected = (tp / (tp + fp + fn))[present].mean()
        torch.testing.assert_close(curve.miou()[k], expected, equal_nan=True)


def test_the_best_threshold_is_the_one_that_separates() -> None:
    curve = ThresholdCurve(1, torch.device("cpu"))
    probabilities = torch.tensor([0.1, 0.2, 0.3, 0.4]).view(1, 1, 2, 2)
    curve.add(probabilities, torch.tensor([0, 0, 1, 1]).view(1, 1, 2, 2))
    threshold, miou = curve.best()
    assert 0.2 < threshold <= 0.3
    assert miou == 1
    assert curve.fixed() == 0


def test_iou_and_dice_are_those_of_scikit_learn_and_torchmetrics() -> None:
    from torchmetrics.functional.segmentation import dice_score, mean_iou

    probabilities, target = random((5, 3, 16, 16), 1, 0.2)
    predicted = (probabilities >= 0.5).int()
    tp, fp, fn, _ = pixel_counts(predicted, target).sum(0).double().unbind(-1)
    for c in range(3):
        truth, guess = target[:, c].flatten(), predicted[:, c].flatten()
        assert formulas.iou(tp, fp, fn)[c] == pytest.approx(jaccard_score(truth, guess))
        assert formulas.dice(tp, fp, fn)[c] == pytest.approx(f1_score(truth, guess))
    tp, fp, fn, _ = pixel_counts(predicted, target).double().unbind(-1)  # per image
    theirs = mean_iou(predicted, target.int(), num_classes=3, per_class=True, input_format="one-hot")
    np.testing.assert_allclose(formulas.iou(tp, fp, fn), theirs, rtol=1e-6)
    theirs = dice_score(predicted, target.int(), num_classes=3, average="none", input_format="one-hot")
    np.testing.assert_allclose(formulas.dice(tp, fp, fn), theirs, rtol=1e-6)


def test_of_equally_good_thresholds_the_middle_one_is_taken() -> None:
    curve = ThresholdCurve(1, torch.device("cpu"))
    probabilities = torch.tensor([[[[0.25, 0.25], [0.75, 0.75]]]])
    curve.add(probabilities, (probabilities > 0.5).to(torch.uint8))
    threshold, miou = curve.best()
    assert miou == 1
    assert threshold == pytest.approx((33 + 96) // 2 / 128), "anything above 1/4 and up to 3/4 does"
