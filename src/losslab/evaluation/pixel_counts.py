"""Counting pixels: true and false positives and negatives, at one threshold or at all of them at once.

A prediction is `probability ≥ threshold`.
"""

import torch
from torch import Tensor

from losslab.evaluation.formulas import FIXED_THRESHOLD, iou

BINS = 128
"""Thresholds that are tried lie at k/128: exact in binary, so that a histogram and a comparison agree to the pixel."""


def pixel_counts(predicted: Tensor, target: Tensor) -> Tensor:
    """Two boolean or 0/1 tensors `[N, C, H, W]` → int64 `[N, C, 4]`: tp, fp, fn, tn."""
    predicted, target = predicted.bool(), target.bool()
    tp = (predicted & target).sum((2, 3))
    positive, true = predicted.sum((2, 3)), target.sum((2, 3))
    pixels = target.shape[2] * target.shape[3]
    return torch.stack([tp, positive - tp, true - tp, pixels - positive - true + tp], dim=-1)


class ThresholdCurve:
    """Class counts at every threshold k/128 at once, by a histogram of the probabilities."""

    def __init__(self, classes: int, device: torch.device) -> None:
        self.histogram = torch.zeros(classes * 2 * (BINS + 1), dtype=torch.int64, device=device)
        self.classes = classes

    def add(self, probabilities: Tensor, target: Tensor) -> None:
        """Count a batch: probabilities float32 in [0, 1] and target of 0 and 1, both `[N, C, H, W]`."""
        offsets = torch.arange(self.classes, device=target.device).view(1, -1, 1, 1) * 2
        # NaN has no bin; such a run is recorded as diverged by its loss.
        bins = (probabilities.nan_to_num(0.0) * BINS).to(torch.int64)
        index = (offsets + target) * (BINS + 1) + bins
        self.histogram += torch.bincount(index.flatten(), minlength=len(self.histogram))

    def miou(self) -> Tensor:
        """float64 `[129]`: mIoU, over the classes that the truth holds, at threshold k/128; NaN if it holds none."""
        per_class = self.histogram.view(self.classes, 2, BINS + 1).flip(-1).cumsum(-1).flip(-1)
        fp, tp = per_class[:, 0].double(), per_class[:, 1].double()
        return iou(tp, fp, tp[:, :1] - tp)[tp[:, 0] > 0].mean(0)

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
