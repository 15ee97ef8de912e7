"""Signed distances to an object's edge, and what the losses that use them share."""

from abc import abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from losslab.losses.loss import VOID, Activated, mean

FAR = 1e6
CHUNK = 2**21
"""Numbers held at a time: 8 MiB, which a processor's cache holds."""


@dataclass(frozen=True, kw_only=True)
class DistanceLoss(Activated):
    """A loss of the target's signed distances, given or computed on the fly."""

    @abstractmethod
    def errors(self, p: Tensor, truth: Tensor, distances: Tensor, known: Tensor | None) -> Tensor:
        """The error of each pixel of `[N, C, H, W]`, given `signed_distances` of the target."""

    def value(self, logits: Tensor, target: Tensor, known: Tensor | None = None, maps: Tensor | None = None) -> Tensor:
        if maps is None:
            maps = signed_distances(target if known is None else target.masked_fill(known == 0, VOID))
        return mean(self.errors(*self.prediction(logits, target, known), maps, known), known)

    def target_maps(self, masks: Tensor) -> Tensor | None:
        """Signed distances of the masks, float32 `[N, C, H, W]`."""
        return signed_distances(masks.masked_fill(self.void(masks), VOID) if masks.dtype == torch.uint8 else masks)


@torch.no_grad()
def signed_distances(masks: Tensor) -> Tensor:
    """`[N, C, H, W]` planes → float32 Euclidean distances in pixels of the same shape.

    Outside the object the distance to its nearest pixel, inside it minus the distance to the nearest pixel
    outside; 0 throughout a plane that is empty or full, which has no edge. A pixel of 255, void, is neither
    inside nor outside: nothing is near to it, and its own distance is 0.
    """
    planes = masks.flatten(0, 1)  # [P, H, W]
    height, width = planes.shape[1:]
    parts = torch.split(planes, max(1, CHUNK // (height * width * max(height, width))))
    return torch.cat([_signed(part) for part in parts]).view(masks.shape)


def _signed(planes: Tensor) -> Tensor:
    void = planes == VOID
    inside, outside = (planes > 0.5) & ~void, planes <= 0.5
    distances = torch.where(inside, -_distance_to(outside), _distance_to(inside))
    edge = inside.any((1, 2), keepdim=True) & outside.any((1, 2), keepdim=True)
    return torch.where(edge & ~void, distances, 0.0)


def _distance_to(marked: Tensor) -> Tensor:
    """Bool `[P, H, W]` → exact distance to the nearest marked pixel: the nearest of each column's nearest."""
    rows, columns = (torch.arange(size, device=marked.device, dtype=torch.float32) for size in marked.shape[1:])
    rows = rows.unsqueeze(1)
    above = torch.where(marked, rows, -FAR).cummax(1).values
    below = torch.where(marked, rows, FAR).flip(1).cummin(1).values.flip(1)
    squared = torch.minimum(rows - above, below - rows).square()
    # [P, H, 1, W] + [W, W]: to the column's own nearest by way of every column.
    return (squared.unsqueeze(-2) + (columns.unsqueeze(1) - columns).square()).amin(-1).sqrt()
