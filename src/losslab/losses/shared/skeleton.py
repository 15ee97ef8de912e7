"""Skeletons of planes by minima and maxima of neighbours, which have a gradient."""

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d


def soft_skeleton(planes: Tensor, iterations: int, known: Tensor | None = None) -> Tensor:
    """`[N, C, H, W]` in [0, 1] → what is left of it by eroding and opening, of the same shape.

    Structures up to twice `iterations` pixels wide become lines; of wider ones the inside is missing. Pixels that are
    not `known` are nobody's neighbours, as those outside the image. (Shit et al., CVPR 2021, algorithm 1.)
    """
    shape = planes.shape
    # As channels of one image in channels_last, pooling on a CPU takes all planes at a time.
    planes, known = as_channels(planes), None if known is None else as_channels(known)
    skeleton = torch.zeros_like(planes)
    for step in range(iterations + 1):
        planes = erode(planes, known) if step else planes
        line = (planes - dilate(erode(planes, known), known)).relu()
        skeleton = skeleton + (line - skeleton * line).relu()
    return (skeleton if known is None else skeleton * known).reshape(shape)


def as_channels(planes: Tensor) -> Tensor:
    """`[N, C, H, W]` → `[1, N·C, H, W]`, in memory pixel by pixel."""
    return planes.flatten(0, 1).unsqueeze(0).contiguous(memory_format=torch.channels_last)


def erode(planes: Tensor, known: Tensor | None) -> Tensor:
    """The minimum of each pixel and its four neighbours."""
    lifted = -planes if known is None else -torch.where(known > 0, planes, 1.0)
    upright, across = max_pool2d(lifted, (3, 1), 1, (1, 0)), max_pool2d(lifted, (1, 3), 1, (0, 1))
    return -torch.maximum(upright, across)


def dilate(planes: Tensor, known: Tensor | None) -> Tensor:
    """The maximum of each pixel and its eight neighbours."""
    return max_pool2d(planes if known is None else planes * known, 3, 1, 1)
