"""Every metric of the leaderboard: how it is computed, what it is called, and what it means; each in one place.

Counts are of pixels that are known; they are summed over the test set for each class before a formula is applied,
unless the definition says otherwise. The value is NaN where there is nothing to measure.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from losslab.evaluation.aggregates import Draws, Floats, quotient
from losslab.evaluation.formulas import boundary_f, dice, f_of_shares, iou, precision, recall


@dataclass(frozen=True)
class Metric:
    """One metric.

    Args:
        title: what people call it.
        definition: what it is, for the report.
        value: from the draws of one loss to `[D, S]`.
        decimals: how many are shown.
        highest: the largest value that it can have.
        lower_is_better: whether less is better.
        headline: whether `dvc metrics` shows it.
        applies: whether data of this form has such a metric.
    """

    title: str
    definition: str
    value: Callable[[Draws], Floats]
    decimals: int = 3
    highest: float = 1.0
    lower_is_better: bool = False
    headline: bool = False
    applies: Callable[[Draws], bool] = lambda draws: True

    def text(self, value: float | None) -> str:
        """A value as people read it; a dash for none."""
        return "–" if value is None else f"{value:.{self.decimals}f}"


def _image_dice(draws: Draws) -> Floats:
    return draws.mean_over_images(dice(*np.moveaxis(draws.counts[..., :3].astype(np.float64), -1, 0)))


def _pixel_accuracy(draws: Draws) -> Floats:
    tp, fp, fn, tn = draws.pooled
    if draws.exclusive:
        return quotient(tp.sum(-1), (tp + fn).sum(-1))
    return quotient((tp + tn).sum(-1), (tp + fp + fn + tn).sum(-1))


def _has_background(draws: Draws) -> bool:
    return not draws.foreground.all()


def _measured(name: str) -> Callable[[Draws], bool]:
    """Whether `evaluate.metrics` named it."""
    return lambda draws: name in draws.extras


def _cl_dice(draws: Draws) -> Floats:
    return draws.mean_over_images(draws.of_objects(f_of_shares(draws.extras["cl_dice"])))


def _component_recall(draws: Draws) -> Floats:
    _, _, true, hit = draws.pooled_extra("components")
    return draws.mean_of_classes(hit / np.maximum(true, 1), background=False)


def _component_precision(draws: Draws) -> Floats:
    predicted, right, _, _ = draws.pooled_extra("components")
    return draws.mean_of_classes(right / np.maximum(predicted, 1), background=False)


def _betti_error(draws: Draws, dimension: int) -> Floats:
    values = draws.extras["betti"]
    error = abs(values[..., dimension] - values[..., 2 + dimension])
    return draws.mean_over_images(draws.of_objects(np.where(values[..., 0] + values[..., 2] > 0, error, np.nan)))


def _calibration_error(draws: Draws) -> Floats:
    gaps = draws.pooled_extra("calibration")[:-1]
    return draws.mean_of_classes(quotient(abs(gaps).sum(0), draws.pooled.sum(0)))


def _brier(draws: Draws) -> Floats:
    return draws.mean_of_classes(quotient(draws.pooled_extra("calibration")[-1], draws.pooled.sum(0)))


METRICS = {
    "miou": Metric(
        "mIoU",
        "For each class true positive pixels over the union of true and predicted pixels, TP / (TP + FP + FN), summed "
        "over the test set; then the mean over the classes that the truth holds.",
        lambda draws: draws.mean_over_classes(iou),
        headline=True,
    ),
    "miou_foreground": Metric(
        "mIoU without background",
        "mIoU over all classes but background, of data in which background is a class.",
        lambda draws: draws.mean_over_classes(iou, background=False),
        applies=_has_background,
    ),
    "dice": Metric(
        "Dice",
        "2·TP / (2·TP + FP + FN) per class over the test set, then the mean over classes.",
        lambda draws: draws.mean_over_classes(dice),
        headline=True,
    ),
    "dice_foreground": Metric(
        "Dice without background",
        "Dice over all classes but background, of data in which background is a class.",
        lambda draws: draws.mean_over_classes(dice, background=False),
        applies=_has_background,
    ),
    "image_dice": Metric(
        "image Dice",
        "Dice within each image, over the classes in its truth or prediction (a class predicted where there is none "
        "scores 0, one absent from both is left out); then the mean over images.",
        _image_dice,
    ),
    # torchmetrics' micro-averaged multilabel accuracy, or 1 − Hamming loss; of classes that exclude each other the
    # micro-averaged multiclass accuracy.
    "pixel_accuracy": Metric(
        "pixel accuracy",
        "The share of all decisions that are right: one per pixel where classes exclude each other, else one per pixel "
        "and class. Where most pixels are background it is high for any loss.",
        _pixel_accuracy,
    ),
    "precision": Metric(
        "precision",
        "TP / (TP + FP): how much of what is predicted is there; mean over classes.",
        lambda draws: draws.mean_over_classes(precision),
    ),
    "recall": Metric(
        "recall",
        "TP / (TP + FN): how much of what is there is predicted; mean over classes.",
        lambda draws: draws.mean_over_classes(recall),
    ),
    "boundary_f": Metric(
        "boundary F",
        "F-score of the outlines: a pixel of one outline is right where the other is at most "
        "evaluate.boundary_tolerance pixels away; mean over classes and images.",
        lambda draws: draws.mean_over_images(boundary_f(draws.boundaries)),
    ),
    "hd95": Metric(
        "Hausdorff 95",
        "95th percentile of the distances between the outlines of truth and prediction, in pixels, mean over classes "
        "and images; lower is better.",
        lambda draws: draws.mean_over_images(draws.boundaries[..., 4]),
        decimals=1,
        highest=float("inf"),
        lower_is_better=True,
    ),
    "cl_dice": Metric(
        "clDice",
        "How much of the predicted skeleton lies in the truth, and of the true one in the prediction, as F-score; mean "
        "over classes but background and over images. It asks whether thin structures are met and whole, not how "
        "thick they are.",
        _cl_dice,
        applies=_measured("cl_dice"),
    ),
    "component_recall": Metric(
        "component recall",
        "The share of the truth's connected components, of the test set, in which a pixel is predicted; mean over "
        "classes but background.",
        _component_recall,
        applies=_measured("components"),
    ),
    "component_precision": Metric(
        "component precision",
        "The share of the prediction's connected components, of the test set, in which a pixel is true; mean over "
        "classes but background.",
        _component_precision,
        applies=_measured("components"),
    ),
    "betti_0": Metric(
        "Betti-0 error",
        "By how many connected components prediction and truth differ; mean over classes but background and over "
        "images; lower is better.",
        lambda draws: _betti_error(draws, 0),
        decimals=2,
        highest=float("inf"),
        lower_is_better=True,
        applies=_measured("betti"),
    ),
    "betti_1": Metric(
        "Betti-1 error",
        "By how many holes prediction and truth differ; mean over classes but background and over images; lower is "
        "better.",
        lambda draws: _betti_error(draws, 1),
        decimals=2,
        highest=float("inf"),
        lower_is_better=True,
        applies=_measured("betti"),
    ),
    "ece": Metric(
        "calibration error",
        "Expected calibration error: how far probabilities lie from the share that is true, pixels of like probability "
        "together (15 bins), over the test set; mean over classes; lower is better. No threshold has a part in it.",
        _calibration_error,
        lower_is_better=True,
        applies=_measured("calibration"),
    ),
    "brier": Metric(
        "Brier score",
        "The mean of (probability − truth)² over the pixels of the test set; mean over classes; lower is better. No "
        "threshold has a part in it.",
        _brier,
        decimals=4,
        lower_is_better=True,
        applies=_measured("calibration"),
    ),
}


def compute(draws: Draws) -> dict[str, Floats]:
    """Every metric that applies, `[D, S]`."""
    return {name: metric.value(draws) for name, metric in METRICS.items() if metric.applies(draws)}
