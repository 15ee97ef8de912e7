"""Numbers as tensors on a device, copied there once: a copy makes the device wait, and a CUDA graph cannot hold one."""

from functools import cache

import torch
from torch import Tensor


@cache
def constant(values: tuple[float, ...], device: torch.device, dtype: torch.dtype = torch.float32) -> Tensor:
    """`[len(values)]`; the same tensor each time, so not to be written to."""
    return torch.tensor(values, device=device, dtype=dtype)
