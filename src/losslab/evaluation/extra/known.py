"""Masks and probabilities as the extra metrics see them: of what is unknown they see nothing."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from losslab.data.tensors import VOID
from losslab.evaluation.boundaries import unknown_within

Planes = NDArray[np.bool_]
"""`[M, H, W]`, a plane for each image and class."""


@dataclass(frozen=True)
class Known:
    """Decisions and truth of M planes; no mask has a pixel where the truth is unknown.

    Args:
        predicted: `[M, H, W]`.
        true: `[M, H, W]`.
        void: `[M, H, W]`, where the truth is unknown.
        probabilities: in [0, 1], `[M, H, W]`, if they are needed.
    """

    predicted: Planes
    true: Planes
    void: Planes
    probabilities: NDArray[np.float32] | None

    @cached_property
    def unknown_inside(self) -> Planes:
        """The unknown pixels within the smallest rectangle that holds all that is known of a plane: those beyond, such
        as padding, are as if they were not there."""
        inside, _ = unknown_within(torch.from_numpy(self.void), *self.void.shape[1:])
        return np.zeros_like(self.void) if inside is None else inside.numpy()


def known(predicted: Tensor, target: Tensor, probabilities: Tensor | None) -> Known:
    """From decisions `[N, C, H, W]`, truth of 0, 1 and 255, and probabilities, on any device."""
    planes = (predicted.bool(), target == 1, target == VOID)
    guess, true, void = (plane.flatten(0, 1).cpu().numpy() for plane in planes)
    likely = None if probabilities is None else probabilities.flatten(0, 1).cpu().float().numpy()
    return Known(guess & ~void, true, void, likely)
