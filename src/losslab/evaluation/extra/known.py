"""Masks and probabilities as the extra metrics see them: of what is unknown they see nothing."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from losslab.data.tensors import VOID
from losslab.evaluation.boundaries import unknown_within

if TYPE_CHECKING:
    from losslab.evaluation.extra.labelled import Labelled

Planes = NDArray[np.bool_]
"""`[M, H, W]`, a plane for each image and class; `[R, M, H, W]` by several rules."""


@dataclass(frozen=True)
class Known:
    """Decisions by R rules, and truth, of M planes; no mask has a pixel where the truth is unknown.

    Args:
        predicted: `[R, M, H, W]`.
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

    @cached_property
    def components(self) -> "tuple[Labelled, Labelled]":
        """Those of the predicted and of the true masks, neighbours by side or corner."""
        from losslab.evaluation.extra.labelled import BY_CORNERS, Labelled  # SciPy, which other metrics do without

        return Labelled(self.predicted, BY_CORNERS), Labelled(self.true, BY_CORNERS)


def framed(masks: Planes) -> Planes:
    """Masks with a border of one pixel that is in none, row after row in memory."""
    return np.ascontiguousarray(np.pad(masks, [*[(0, 0)] * (masks.ndim - 2), (1, 1), (1, 1)]))


def known(predicted: Tensor, target: Tensor, probabilities: Tensor | None) -> Known:
    """From decisions `[R, N, C, H, W]`, truth `[N, C, H, W]` of 0, 1 and 255, and probabilities, on any device."""
    true, void = ((target == value).flatten(0, 1).cpu().numpy() for value in (1, VOID))
    likely = None if probabilities is None else probabilities.flatten(0, 1).cpu().float().numpy()
    return Known(predicted.bool().flatten(1, 2).cpu().numpy() & ~void, true, void, likely)
