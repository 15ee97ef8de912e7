"""Soft Dice loss."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field
from torch import Tensor

from losslab.losses import Loss
from losslab.losses.soft_counts import Reduce, soft_counts


@dataclass(frozen=True, kw_only=True)
class Dice(Loss):
    """One minus the soft Dice coefficient (F1 of the pixels).

    L = mean of 1 − (2·tp + s)/(2·tp + fp + fn + s), with soft counts of p = sigmoid(logit) and s = `smooth`.

    Shapes: logits and target `[N, C, H, W]` → scalar in [0, 1].

    Convention: sigmoid inside; `reduce="sample"` averages over images and classes, `"batch"` pools the images and
    averages over classes. An empty mask costs Σp/(Σp + s): 0 for an empty prediction when s > 0, while with s = 0
    empty planes of truth and prediction count as a perfect 0. Sums are not squared (`squared_dice` has squares).

    Reference: Milletari, Navab and Ahmadi, "V-Net", 3DV 2016; Sudre et al., 2017, for the unsquared sums.
    """

    smooth: Annotated[float, Field(ge=0)] = 1.0
    reduce: Reduce = "batch"

    def __call__(self, logits: Tensor, target: Tensor) -> Tensor:
        tp, fp, fn = soft_counts(self.probabilities(logits), target, self.reduce)
        wrong = fp + fn
        return (wrong / (2 * tp + wrong + self.smooth).clamp_min(1e-7)).mean()
