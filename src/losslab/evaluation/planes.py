"""Truth and decisions as planes: one for each class, whether classes may overlap or exclude each other."""

import torch
from torch import Tensor

from losslab.data.tensors import VOID


def planes(truth: Tensor, classes: int) -> Tensor:
    """Truth as it is stored, uint8, to masks `[N, C, H, W]` of 0, 1 and 255: masks as they are, of labels `[N, H, W]`
    one plane for each class, 255 in all of them where a pixel is unknown."""
    if truth.ndim == 4:
        return truth
    labels = truth.unsqueeze(1)
    return _one_hot(labels, classes).to(torch.uint8).masked_fill_(labels == VOID, VOID)


def most_probable(probabilities: Tensor) -> Tensor:
    """The decision where classes exclude each other: bool `[N, C, H, W]`, one plane at each pixel, of equals the
    first."""
    return _one_hot(probabilities.argmax(1, keepdim=True), probabilities.shape[1])


def _one_hot(numbers: Tensor, classes: int) -> Tensor:
    return numbers == torch.arange(classes, device=numbers.device, dtype=numbers.dtype).view(1, -1, 1, 1)
