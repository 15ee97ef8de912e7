"""Signed distances to an object's edge, and what the losses that use them share."""

from abc import abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from losslab.losses import Loss

FAR = 1e9
CHUNK = 2**24
"""Numbers held at a time: 64 MiB."""


@dataclass(frozen=True, kw_only=True)
class DistanceLoss(Loss):
    """A loss of the target's signed distances, given or computed on the fly."""

    @abstractmethod
    def value_with_maps(self, logits: Tensor, target: Tensor, maps: Tensor) -> Tensor:
        """The loss, given `signed_distances` of the target."""

    def value(self, logits: Tensor, target: Tensor) -> Tensor:
        return self.value_with_maps(logits, target, signed_distances(target))

    def target_maps(self, masks: Tensor) -> Tensor | None:
        """Signed distances of the masks, float32 `[N, C, H, W]`."""
        return signed_distances(masks)


@torch.no_grad()
def signed_distances(masks: Tensor) -> Tensor:
    """`[N, C, H, W]` planes → float32 Euclidean distances in pixels of the same shape.

    Outside the object the distance to its nearest pixel, inside it minus the distance to the nearest pixel
    outside; 0 throughout a plane that is empty or full, which has no edge.
    """
    planes = masks.flatten(0, 1) > 0.5  # [P, H, W]
    height, width = planes.shape[1:]
    parts = torch.split(planes, max(1, CHUNK // (height * width * max(height, width))))
    return torch.cat([_signed(part) for part in parts]).view(masks.shape)


def _signed(inside: Tensor) -> Tensor:
    distances = torch.where(inside, -_distance_to(~inside), _distance_to(inside))
    edge = inside.any((1, 2), keepdim=True) & ~inside.all((1, 2), keepdim=True)
    return torch.where(edge, distances, 0.0)


def _distance_to(marked: Tensor) -> Tensor:
    """Bool `[P, H, W]` → distance to the nearest marked pixel, exact: least over rows of the least over columns."""
    squared = torch.where(marked, 0.0, FAR)
    for _ in range(2):  # along the width, then, turned, along the height
        steps = torch.arange(squared.shape[-1], device=marked.device, dtype=squared.dtype)
        squared = (squared.unsqueeze(-2) + (steps.unsqueeze(1) - steps).square()).amin(-1).transpose(1, 2)
    return squared.sqrt()
