"""Formulas over true and false positives and negatives, and over boundary pixels: of numbers, arrays or tensors.

Counts are integers per image and class, so any aggregate can be recomputed from the scores alone. Nothing here imports
torch.
"""

from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

FIXED_THRESHOLD = 0.5

Number = TypeVar("Number", "Tensor", NDArray[np.float64])


def iou(tp: Number, fp: Number, fn: Number) -> Number:
    """Intersection over union, tp / (tp + fp + fn); 0/0 gives NaN."""
    with np.errstate(invalid="ignore"):
        return tp / (tp + fp + fn)


def dice(tp: Number, fp: Number, fn: Number) -> Number:
    """Dice coefficient (F1), 2·tp / (2·tp + fp + fn); 0/0 gives NaN."""
    with np.errstate(invalid="ignore"):
        return 2 * tp / (2 * tp + fp + fn)


def precision(tp: Number, fp: Number, fn: Number) -> Number:
    """Share of predicted pixels that are true, tp / (tp + fp); 0 where nothing is predicted."""
    predicted = tp + fp
    share: Number = tp / (predicted + (predicted == 0))
    return share


def recall(tp: Number, fp: Number, fn: Number) -> Number:
    """Share of true pixels that are predicted, tp / (tp + fn); 0 where nothing is true."""
    true = tp + fn
    share: Number = tp / (true + (true == 0))
    return share


def boundary_f(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Boundary F-score from numbers of boundary pixels `[..., 5]`; NaN where neither mask has any."""
    return f_of_shares(values[..., :4])


def f_of_shares(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The harmonic mean of two shares, from numbers `[..., 4]`: predicted, of these right, true, of these met; NaN
    where neither mask has any."""
    predicted, right, true, met = np.moveaxis(values, -1, 0)
    precision, recall = right / np.maximum(predicted, 1), met / np.maximum(true, 1)
    total = precision + recall
    score: NDArray[np.float64] = np.where(
        predicted + true > 0, 2 * precision * recall / np.where(total > 0, total, 1), np.nan
    )
    return score
