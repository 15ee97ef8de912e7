"""What the published losses share: raw outputs as predictions, and masks as those reports store them."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from losslab.losses.loss import Loss, at_least_float32

Foreground = Literal["class_values", "binary", 255]
"""What foreground is in a mask: 50·(k + 1) in plane k, 1, or 255."""


@dataclass(frozen=True, kw_only=True)
class RawOutput(Loss):
    """A loss of raw outputs and masks that hold label values."""

    float_target = False

    labels: Foreground = "class_values"

    @abstractmethod
    def of_masks(self, outputs: Tensor, masks: Tensor) -> Tensor:
        """The loss of raw outputs and label-valued masks, both `[B, C, H, W]`."""

    def value(self, logits: Tensor, target: Tensor) -> Tensor:
        # In place, which is twice as fast: the memory of a new tensor is what these losses spend their time on.
        return self.of_masks(logits, target.to(logits.dtype, copy=True).mul_(label_values(self.labels, logits)))

    def probabilities(self, logits: Tensor) -> Tensor:
        """Output / label value within [0, 1]: ½ is half-way from background to the label."""
        outputs = at_least_float32(logits)
        return (outputs / label_values(self.labels, outputs)).clamp(0, 1)


def label_values(labels: Foreground, like: Tensor) -> Tensor:
    """The label value of each plane of `like`, `[C, 1, 1]`."""
    if labels == "class_values":
        return 50 * torch.arange(1, like.shape[1] + 1, device=like.device, dtype=like.dtype).view(-1, 1, 1)
    return like.new_full((1, 1, 1), 1 if labels == "binary" else 255)


def scored_channels(outputs: Tensor) -> int:
    """How many channels count: the reports' loop over channels runs to the batch size."""
    return min(outputs.shape[:2])
