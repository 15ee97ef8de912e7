"""What the published losses share: raw outputs as predictions, and masks as those reports store them."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from losslab.losses.loss import Loss, Output, at_least_float32

Foreground = Literal["class_values", "binary", 255]
"""What foreground is in a mask: 50·(k + 1) in plane k, 1, or 255."""


@dataclass(frozen=True, kw_only=True)
class RawOutput(Loss):
    """A loss of raw outputs and masks that hold label values."""

    float_target = False

    labels: Foreground = "class_values"

    @abstractmethod
    def of_masks(self, outputs: Tensor, masks: Tensor, known: Tensor | None) -> Tensor:
        """The loss of raw outputs and label-valued masks, both `[B, C, H, W]` and 0 where not `known`."""

    def value(self, logits: Tensor, target: Tensor, known: Tensor | None = None) -> Tensor:
        # One new tensor and one pass: memory is what these losses spend their time on.
        masks = target.to(logits.dtype) * label_values(self.labels, logits)
        return self.of_masks(logits, masks, known)

    @property
    def output(self) -> Output:
        """None."""
        return "raw"

    def probabilities(self, logits: Tensor) -> Tensor:
        """Output / label value within [0, 1]: ½ is half-way from background to the label.

        Where classes exclude each other its softmax, so that the largest is the nearest to its label.
        """
        outputs = at_least_float32(logits)
        shares = outputs / label_values(self.labels, outputs)
        return shares.softmax(1) if self.exclusive else shares.clamp(0, 1)


def label_values(labels: Foreground, like: Tensor) -> Tensor:
    """The label value of each plane of `like`, `[C, 1, 1]`."""
    if labels == "class_values":
        return 50 * torch.arange(1, like.shape[1] + 1, device=like.device, dtype=like.dtype).view(-1, 1, 1)
    return like.new_full((1, 1, 1), 1 if labels == "binary" else 255)


def scored_channels(outputs: Tensor) -> int:
    """How many channels count: the reports' loop over channels runs to the batch size."""
    return min(outputs.shape[:2])
