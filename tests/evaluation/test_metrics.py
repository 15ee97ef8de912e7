"""Metrics of the leaderboard against scikit-learn and torchmetrics."""

import numpy as np
import pytest
import torch
from sklearn.metrics import hamming_loss, precision_score, recall_score

from losslab.evaluation.aggregates import Draws, unweighted
from losslab.evaluation.metrics import METRICS, compute
from losslab.evaluation.pixel_counts import pixel_counts


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning")
def test_accuracy_precision_and_recall_are_those_of_scikit_learn_and_torchmetrics() -> None:
    from torchmetrics.functional.classification import multilabel_accuracy

    generator = torch.Generator().manual_seed(0)
    target, predicted = (torch.rand((6, 4, 16, 16), generator=generator) < share for share in (0.2, 0.3))
    target[:, 3] = False  # a class that is nowhere
    predicted[:, 2] = False  # one that is never predicted
    counts = pixel_counts(predicted, target).numpy()[None]
    no_boundaries = np.full((*counts.shape[:3], 5), np.nan)
    ours = {name: values[0, 0] for name, values in compute(Draws(counts, no_boundaries, unweighted)).items()}
    truth, guess = (mask.movedim(1, -1).reshape(-1, 4).int() for mask in (target, predicted))
    for name, score in (("precision", precision_score), ("recall", recall_score)):
        assert ours[name] == pytest.approx(score(truth[:, :3], guess[:, :3], average="macro"))
    assert ours["pixel_accuracy"] == pytest.approx(1 - hamming_loss(truth, guess))
    theirs = multilabel_accuracy(guess, truth, num_labels=4, average="micro")
    assert ours["pixel_accuracy"] == pytest.approx(float(theirs), rel=1e-6)


def test_every_metric_has_a_title_of_its_own_and_a_definition() -> None:
    assert len({metric.title for metric in METRICS.values()}) == len(METRICS)
    for metric in METRICS.values():
        assert metric.definition.endswith(".")
