"""Connected components of planes."""

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor


@torch.library.custom_op("losslab::components", mutates_args=())
def components(planes: Tensor) -> Tensor:
    """`[N, C, H, W]` of 0, 1 and 255 → float32 of the same shape: to which component of its plane a pixel belongs.

    Pixels of 1 that touch, by a corner too, are one; its number is 1 + the place of its first pixel, row by row, of
    H·W. All others, void ones included, are 0. Computed by the processor, wherever the planes are.
    """
    height, width = planes.shape[2:]
    inside = (planes == 1).flatten(0, 1).cpu().numpy()
    touching = np.zeros((3, 3, 3), bool)
    touching[1] = True  # within a plane
    labels, count = ndimage.label(inside, touching)
    places = np.arange(1, height * width + 1, dtype=np.float32)
    first = np.zeros(count + 1, np.float32)
    # The last that is written is the first of the component.
    first[labels.ravel()[::-1]] = np.broadcast_to(places, (len(inside), height * width)).ravel()[::-1]
    first[0] = 0
    return torch.from_numpy(first[labels]).view(planes.shape).to(planes.device)


@components.register_fake
def _(planes: Tensor) -> Tensor:
    return planes.new_empty(planes.shape, dtype=torch.float32)
