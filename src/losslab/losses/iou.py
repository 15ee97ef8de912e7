"""Soft intersection-over-union (Jaccard) loss."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field
from torch import Tensor

from losslab.losses import Loss
from losslab.losses.soft_counts import Reduce, soft_counts


@dataclass(frozen=True, kw_only=True)
class IoU(Loss):
    """One minus the soft intersection over union.

    L = mean of 1 − (tp + s)/(tp + fp + fn + s), with soft counts of p = sigmoid(logit) and s = `smooth`.

    Shapes: logits and target `[N, C, H, W]` → scalar in [0, 1].

    Convention: as `dice`: sigmoid inside; `reduce="sample"` averages over images and classes, `"batch"` pools the
    images and averages over classes; an empty mask costs Σp/(Σp + s), and with s = 0 two empty planes cost 0.

    Reference: Rahman and Wang, "Optimizing intersection-over-union in deep neural networks for image segmentation",
    ISVC 2016.
    """

    smooth: Annotated[float, Field(ge=0)] = 1.0
    reduce: Reduce = "batch"

    def __call__(self, logits: Tensor, target: Tensor) -> Tensor:
        tp, fp, fn = soft_counts(self.probabilities(logits), target, self.reduce)
        wrong = fp + fn
        return (wrong / (tp + wrong + self.smooth).clamp_min(1e-7)).mean()
