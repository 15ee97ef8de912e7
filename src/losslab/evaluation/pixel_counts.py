"""Counting pixels: true and false positives and negatives, of decisions or at all thresholds at once.

A prediction is `probability ≥ threshold`, or the most probable class where classes exclude each other. Pixels whose
truth is 255 are unknown, and not counted.
"""

import torch
from torch import Tensor

from losslab.data.tensors import VOID
from losslab.evaluation.formulas import FIXED_THRESHOLD, iou
from losslab.evaluation.planes import most_probable

BINS = 128
"""Thresholds that are tried lie at k/128: exact in binary, so that a histogram and a comparison agree to the pixel."""


def pixel_counts(predicted: Tensor, target: Tensor) -> Tensor:
    """Decisions, boolean or 0/1, and truth of 0, 1 and 255, both `[N, C, H, W]` → int64 `[N, C, 4]`: tp, fp, fn, tn."""
    predicted, void, pixels = predicted.bool(), target == VOID, torch.tensor(target.shape[2] * target.shape[3])
    if void.any():  # most data has none
        predicted, target, pixels = predicted & ~void, target == 1, (~void).sum((2, 3))
    target = target.bool()
    tp = (predicted & target).sum((2, 3))
    positive, true = predicted.sum((2, 3)), target.sum((2, 3))
    return torch.stack([tp, positive - tp, true - tp, pixels - positive - true + tp], dim=-1)


def confusion(predicted: Tensor, target: Tensor) -> Tensor:
    """Decisions and truth that have one plane at each known pixel, `[N, C, H, W]` → int64 `[C, C]`: pixels of a class
    (row) that were taken for a class (column)."""
    truth, classes = target == 1, target.shape[1]
    known = truth.any(1)
    pairs = truth.int().argmax(1)[known] * classes + predicted.int().argmax(1)[known]
    return torch.bincount(pairs, minlength=classes**2).view(classes, classes)


class ThresholdCurve:
    """Class counts at every threshold k/128 at once, by a histogram of the probabilities."""

    def __init__(self, classes: int, device: torch.device) -> None:
        self.histogram = torch.zeros(classes * 3 * (BINS + 1), dtype=torch.int64, device=device)
        self.classes = classes

    def add(self, probabilities: Tensor, target: Tensor) -> None:
        """Count a batch: probabilities float32 in [0, 1] and target of 0, 1 and 255, both `[N, C, H, W]`."""
        offsets = torch.arange(self.classes, device=target.device).view(1, -1, 1, 1) * 3
        # NaN has no bin; such a run is recorded as diverged by its loss.
        bins = (probabilities.nan_to_num(0.0) * BINS).to(torch.int64)
        index = (offsets + target.clamp(max=2)) * (BINS + 1) + bins  # what is unknown is counted by itself
        self.histogram += torch.bincount(index.flatten(), minlength=len(self.histogram))

    def miou(self) -> Tensor:
        """float64 `[129]`: mIoU at threshold k/128."""
        per_class = self.histogram.view(self.classes, 3, BINS + 1).flip(-1).cumsum(-1).flip(-1)
        fp, tp = per_class[:, 0].double(), per_class[:, 1].double()
        return mean_over_present(iou(tp, fp, tp[:, :1] - tp), tp[:, 0] > 0)

    def best(self) -> tuple[float, float]:
        """(threshold, mIoU) at the threshold in (0, 1) with the highest mIoU; of equals the middle of the first row of
        them, which is the farthest from where it falls."""
        curve = self.miou()[1:BINS]
        first = int(curve.argmax())
        below = (curve[first:] < curve[first]).nonzero()
        last = first + int(below[0]) - 1 if len(below) else len(curve) - 1
        index = (first + last) // 2
        return (index + 1) / BINS, float(curve[index])

    def fixed(self) -> float:
        """mIoU at threshold 0.5."""
        return float(self.miou()[int(FIXED_THRESHOLD * BINS)])


class ArgmaxCounts:
    """Class counts of the most probable classes, summed over batches."""

    def __init__(self, classes: int, device: torch.device) -> None:
        self.counts = torch.zeros(classes, 4, dtype=torch.int64, device=device)

    def add(self, probabilities: Tensor, target: Tensor) -> None:
        """Count a batch: probabilities and target of 0, 1 and 255, both `[N, C, H, W]`."""
        self.counts += pixel_counts(most_probable(probabilities), target).sum(0)

    def miou(self) -> float:
        """mIoU so far."""
        tp, fp, fn, _ = self.counts.double().unbind(-1)
        return float(mean_over_present(iou(tp, fp, fn), tp + fn > 0))


def mean_over_present(per_class: Tensor, present: Tensor) -> Tensor:
    """Mean over the classes (dimension 0) that the truth holds; NaN if it holds none."""
    return per_class[present].mean(0)
