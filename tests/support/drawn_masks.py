"""Masks as text, and random ones, for the metrics of components and skeletons."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

CODES = {"#": 1, ".": 0, "?": 255}


def drawn(*rows: str) -> Tensor:
    """uint8 `[1, 1, H, W]`: `#` is in the mask, `.` is not, `?` is unknown."""
    return torch.tensor([[[[CODES[character] for character in row] for row in rows]]], dtype=torch.uint8)


def blobs(seed: int, size: tuple[int, ...] = (11, 13), planes: int = 4) -> NDArray[np.bool_]:
    """Masks `[planes, H, W]` from fine grain to coarse, some nearly empty or nearly full."""
    rng = np.random.default_rng(seed)
    values = rng.random((planes, *size))
    for plane in values[planes // 2 :]:
        plane[:] = np.kron(rng.random([-(-side // 3) for side in size]), np.ones((3, 3)))[: size[0], : size[1]]
    return values < rng.random((planes, 1, 1))
