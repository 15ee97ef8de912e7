"""Images of any size for networks that need sides of a multiple."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from torch import Tensor
from torch.nn.functional import pad

Forward = Callable[[Any, Tensor], Tensor]
"""A network's `forward`, from images `[N, C, H, W]` to logits of the same size."""


def any_size(forward: Forward) -> Forward:
    """A `forward` that takes images of any size: their edge is repeated, below and at the right, until both sides are
    multiples of the network's attribute `multiple`; of the logits the image's part is kept."""

    @wraps(forward)
    def padded(self: Any, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        below, right = -height % self.multiple, -width % self.multiple
        if not (below or right):
            return forward(self, x)
        return forward(self, pad(x, (0, right, 0, below), mode="replicate"))[:, :, :height, :width]

    return padded
