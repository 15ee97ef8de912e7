"""Batches of the training set: indexed on the device where the set fits, else read ahead from its file by a thread."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import psutil
import torch
from torch import Tensor

from losslab.evaluation.planes import planes

AHEAD = 3
"""Batches that are read before they are asked for."""


class Batch(NamedTuple):
    """Images uint8 `[b, 3, H, W]`, masks uint8 `[B, C, H, W]` and, of losses that use them, maps `[B, C, H, W]`, on the
    device. A process that shares batches with others has its part of the images, and all masks."""

    images: Tensor
    masks: Tensor
    maps: Tensor | None


class Resident:
    """A training set that lies on the device; its truth is masks `[N, C, H, W]`, or labels `[N, H, W]` of `classes`."""

    def __init__(self, images: Tensor, truth: Tensor, maps: Tensor | None, classes: int = 0) -> None:
        self.images, self.truth, self.maps, self.classes = images, truth, maps, classes

    def epoch(self, order: Tensor, share: slice) -> Iterator[Batch]:
        """The batches whose images are at `order` `[steps, B]`; of the images a `share` of each."""
        for indices in order.to(self.images.device):
            maps = None if self.maps is None else self.maps[indices]
            yield Batch(self.images[indices[share]], planes(self.truth[indices], self.classes), maps)


class Streamed:
    """A training set in memory-mapped tensors on the CPU, sent to the device batch by batch.

    The batches are those of `Resident`, but for their maps: a loss computes them from the masks, to the same bits.
    """

    def __init__(self, images: Tensor, truth: Tensor, device: torch.device, classes: int = 0) -> None:
        self.images, self.truth, self.device, self.classes = images, truth, device, classes

    def epoch(self, order: Tensor, share: slice) -> Iterator[Batch]:
        """As `Resident.epoch`."""
        with ThreadPoolExecutor(1) as reader:
            jobs = deque(reader.submit(self._read, indices, share) for indices in order[:AHEAD])
            for step in range(len(order)):
                if step + AHEAD < len(order):
                    jobs.append(reader.submit(self._read, order[step + AHEAD], share))
                images, truth = (part.to(self.device, non_blocking=True) for part in jobs.popleft().result())
                yield Batch(images, planes(truth, self.classes), None)

    def _read(self, indices: Tensor, share: slice) -> Sequence[Tensor]:
        parts = (self.images[indices[share]], self.truth[indices])
        # Pinned memory is copied to a GPU while it computes.
        return [part.pin_memory() for part in parts] if self.device.type == "cuda" else parts


def fits(tensors: Sequence[Tensor], device: torch.device, gigabytes: float | None) -> bool:
    """Whether tensors may lie on the device.

    Args:
        tensors: what would lie there.
        device: where.
        gigabytes: how much may; none: half of what is free.
    """
    needed = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
    if gigabytes is not None:
        return needed <= gigabytes * 1e9
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else psutil.virtual_memory().available
    return needed <= free / 2
